package spec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestEndpointsAreReadFromEveryForm(t *testing.T) {
	want := []spec.Endpoint{{URL: "tcp://db:5432"}, {URL: "http://web/ready?full=1", Optional: true}}
	for name, text := range map[string]string{
		"one text":       `{"startDeps":"a, tcp://db:5432, http://web/ready?full=1?"}`,
		"a list":         `{"startDeps":["a","tcp://db:5432","http://web/ready?full=1?"]}`,
		"objects":        `{"startDeps":["a",{"endpoint":"tcp://db:5432"},{"optional":true,"endpoint":"http://web/ready?full=1"}]}`,
		"the other ways": `{"version":2,"startDeps":[{"container":"a"},{"endpoint":"tcp://db:5432","optional":"false"},{"endpoint":"http://web/ready?full=1?"}]}`,
	} {
		s, err := spec.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, s.StartEndpoints); diff != "" {
			t.Errorf("%s: -want +have\n%s", name, diff)
		}
		if diff := cmp.Diff([]spec.Dependency{{Container: "a", Condition: spec.Ready}}, s.StartDeps); diff != "" {
			t.Errorf("%s: dependencies -want +have\n%s", name, diff)
		}
	}
}

func TestEveryKindOfEndpointIsAccepted(t *testing.T) {
	for _, address := range []string{
		"tcp://db:5432", "tcp://[::1]:80", "tcp://10.0.0.1:65535", "http://web", "http://web:8080/ready?a=b&c", "https://web/",
		"grpc://api:50051", "grpc://api:50051/", "grpc://api:50051/my.Service", "file:///run/config.yaml", "file:///a%20b", "dns://db.shop.svc", "dns://db",
	} {
		if err := spec.CheckEndpoint(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWrongEndpointsAreRefusedWithARemedy(t *testing.T) {
	for address, want := range map[string]string{
		"redis://cache:6379":                     "\"redis\" is not a known scheme. Use tcp://",
		"db:5432":                                "has no scheme. Use tcp://",
		"tcp://db":                               "the port is missing. Write tcp://db:PORT",
		"tcp://:5432":                            "the host is missing",
		"tcp://db:0":                             "\"0\" is not a port",
		"tcp://db:65536":                         "\"65536\" is not a port",
		"tcp://db:postgres":                      "not a valid URL",
		"tcp://db:5432/path":                     "Write tcp://HOST:PORT",
		"tcp://a b:1":                            "contains a space. Write a space as %20",
		"tcp://da!ta:1":                          "is not a host name",
		"http://":                                "the host is missing",
		"http://web:":                            "is not a port",
		"http://web/#top":                        "a fragment (#) is never sent",
		"grpc://api":                             "the port is missing",
		"grpc://api:1/a/b":                       "at most one service",
		"grpc://api:1/a?b":                       "at most one service",
		"file://run/config":                      "Write three slashes, for example file:///run/config",
		"file:///":                               "does not name a file",
		"file:///run/":                           "does not name a file",
		"file:///run/a?b":                        "%3F",
		"dns://db:53":                            "Write dns://NAME",
		"dns://db/a":                             "Write dns://NAME",
		"dns://10.0.0.1":                         "an IP address is not resolved",
		"dns://":                                 "the host is missing",
		"tcp://$(DB):5432":                       "variables are not expanded",
		"tcp://db:1" + strings.Repeat("0", 600):  "the limit is 512",
		"http://web/" + strings.Repeat("a", 600): "the limit is 512",
	} {
		err := spec.CheckEndpoint(address)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, want %q", address, err, want)
		}
	}
}

func TestAPasswordInAnEndpointIsRefusedAndNotQuoted(t *testing.T) {
	for _, address := range []string{"http://u:hush@web/", "tcp://hush@db:1", "x://u:hush@h", "http://u:hu%zzsh@web", "hush@db:5432"} {
		_, err := spec.Parse(`{"startDeps":[{"endpoint":"` + address + `"}]}`)
		if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "hu%zzsh") {
			t.Errorf("%s: %v", address, err)
		}
		_, err = spec.Parse(`{"startDeps":[{"container":"` + address + `"}]}`)
		if strings.Contains(address, "://") && (err == nil || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%s as a container: %v", address, err)
		}
	}
}

func TestSpecsWithEndpointsThatMeanNothingAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"stopDeps":"tcp://db:5432"}`:                                                                                "stopDeps: an endpoint cannot be a stop dependency",
		`{"stopDeps":[{"endpoint":"tcp://db:5432"}]}`:                                                                 "an endpoint cannot be a stop dependency",
		`{"startDeps":["tcp://db:5432","tcp://db:5432?"]}`:                                                            "is listed twice. Keep one",
		`{"startDeps":[{"endpoint":"tcp://db:5432","container":"a"}]}`:                                                "neither a container nor a condition",
		`{"startDeps":[{"endpoint":"tcp://db:5432","condition":"ready"}]}`:                                            "neither a container nor a condition",
		`{"startDeps":[{"container":"tcp://db:5432"}]}`:                                                               `container names a tcp:// endpoint. Set endpoint instead`,
		`{"startDeps":[{"endpoint":""}]}`:                                                                             "has no scheme",
		`{"startDeps":"tcp://db=ready"}`:                                                                              "is not a host name",
		`{"readyEndpoints":{"p":"nowhere"}}`:                                                                          "p: endpoint \"nowhere\" has no scheme",
		`{"container":"m","delegated":[{"container":"P"}]}`:                                                           "is not the name of a container",
		`{"container":"m","delegated":[{"container":"p","request":"no"}]}`:                                            "request: ",
		`{"container":"m","delegated":[{"container":"p","request":"POST http://h/","stopDeps":["q"]}]}`:               "no stop dependency on this container",
		`{"container":"m","delegated":[{"container":"p","request":"POST http://h/","stopWhen":"x"}]}`:                 "is not a valid value. Use one of any, all",
		`{"container":"m","delegated":[{"container":"p","request":"POST http://h/","stopDeps":["m?"]}]}`:              "cannot be optional",
		`{"container":"m","mode":"exec","delegated":[{"container":"p","request":"POST http://h/","stopDeps":["m"]}]}`: "delegated: mode exec",
	} {
		_, err := spec.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nhave %v\nwant %q", text, err, want)
		}
	}
}

func TestNewFieldsAreWrittenAsVersion2AndReadBack(t *testing.T) {
	for name, set := range map[string]func(*spec.Spec){
		"an endpoint":      func(s *spec.Spec) { s.StartEndpoints = []spec.Endpoint{{URL: "tcp://db:1", Optional: true}} },
		"a ready endpoint": func(s *spec.Spec) { s.ReadyEndpoints = map[string]string{"p": "http://127.0.0.1:1/ready"} },
		"a delegated stop": func(s *spec.Spec) {
			s.Delegated = []spec.Delegation{{
				Container: "p", Request: spec.Request{Method: "POST", URL: "http://127.0.0.1:1/quit"}, StopWhen: spec.StopAll,
				StopDeps: []spec.Dependency{{Container: "m", Condition: spec.Exited}, {Container: "n", Condition: spec.Failed}},
			}}
		},
	} {
		s := spec.Default()
		s.Container = "m"
		set(&s)
		text := s.Encode()
		if !strings.HasPrefix(text, `{"version":2,`) {
			t.Errorf("%s: %s", name, text)
		}
		have, err := spec.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(s, have); diff != "" {
			t.Errorf("%s: -want +have\n%s", name, diff)
		}
	}
}

func TestProblemsOfEndpoints(t *testing.T) {
	const schemes = "Use tcp://, http://, https://, grpc://, file:// or dns://"
	const credentials = "Remove everything up to the @"
	const number, letters = "Write a number from 1 to 65535", "Use letters, digits, dots and hyphens"
	problem := func(value, text, remedy string) spec.Problem {
		return spec.Problem{Code: spec.InvalidEndpoint, Value: value, Text: text, Remedy: remedy}
	}
	of := func(address, text, remedy string) spec.Problem {
		return problem("", `endpoint "`+address+`": `+text, remedy)
	}
	for address, want := range map[string]spec.Problem{
		"":                       problem("", `endpoint "" has no scheme`, schemes),
		"db:5432":                problem("db:5432", `endpoint "db:5432" has no scheme`, schemes),
		"TCP://db:1":             problem("TCP://db:1", `endpoint "TCP://db:1": "TCP" is not a known scheme`, schemes),
		"://db:1":                problem("://db:1", `endpoint "://db:1": "" is not a known scheme`, schemes),
		"a=tcp://db:1":           problem("a=tcp://db:1", `endpoint "a=tcp://db:1": "a=tcp" is not a known scheme`, schemes),
		"http://u:p@h/":          problem("", "the http endpoint contains a user name or a password, which would appear in logs and events", credentials),
		"u@h":                    problem("", "the endpoint contains a user name or a password, which would appear in logs and events", credentials),
		"http://h/ tcp://db:1":   problem("http://h/ tcp://db:1", `endpoint "http://h/ tcp://db:1" contains a space`, "Write a space as %20, and a comma between two dependencies"),
		"tcp://$(HOST):1":        problem("tcp://$(HOST):1", `endpoint "tcp://$(HOST):1": variables are not expanded in endpoints`, "Write the value"),
		"http://h/#a":            problem("http://h/#a", `endpoint "http://h/#a": a fragment (#) is never sent`, "Remove it"),
		"http://h/#":             problem("http://h/#", `endpoint "http://h/#": a fragment (#) is never sent`, "Remove it"),
		"tcp://h":                of("tcp://h", "the port is missing", "Write tcp://h:PORT"),
		"tcp://[::1]":            of("tcp://[::1]", "the port is missing", "Write tcp://[::1]:PORT"),
		"tcp://h:":               of("tcp://h:", "the port is missing", "Write tcp://h:PORT"),
		"tcp://h:1/":             of("tcp://h:1/", "only a host and a port can follow tcp://", "Write tcp://HOST:PORT"),
		"tcp://h:1?":             of("tcp://h:1?", "only a host and a port can follow tcp://", "Write tcp://HOST:PORT"),
		"tcp://h:1?a":            of("tcp://h:1?a", "only a host and a port can follow tcp://", "Write tcp://HOST:PORT"),
		"tcp://h:0":              of("tcp://h:0", `"0" is not a port`, number),
		"tcp://h:65536":          of("tcp://h:65536", `"65536" is not a port`, number),
		"https://h:65536":        of("https://h:65536", `"65536" is not a port`, number),
		"http://h:":              of("http://h:", `"" is not a port`, number),
		"grpc://h:1?":            of("grpc://h:1?", "a gRPC endpoint names at most one service", "Write grpc://HOST:PORT or grpc://HOST:PORT/SERVICE"),
		"grpc://h:1/a/":          of("grpc://h:1/a/", "a gRPC endpoint names at most one service", "Write grpc://HOST:PORT or grpc://HOST:PORT/SERVICE"),
		"grpc://h/a":             of("grpc://h/a", "the port is missing", "Write grpc://h:PORT"),
		"https://:443/":          of("https://:443/", "the host is missing", "Write https://HOST…"),
		"grpc:///a":              of("grpc:///a", "the host is missing", "Write grpc://HOST…"),
		"http://a!b/":            of("http://a!b/", `"a!b" is not a host name`, letters),
		"dns://h:1":              of("dns://h:1", "only a name can follow dns://", "Write dns://NAME"),
		"dns://h/":               of("dns://h/", "only a name can follow dns://", "Write dns://NAME"),
		"dns://h?":               of("dns://h?", "only a name can follow dns://", "Write dns://NAME"),
		"dns://h?a":              of("dns://h?a", "only a name can follow dns://", "Write dns://NAME"),
		"dns://1.2.3.4":          of("dns://1.2.3.4", "an IP address is not resolved", "Write a name, or use tcp://HOST:PORT"),
		"dns://[::1]":            of("dns://[::1]", "an IP address is not resolved", "Write a name, or use tcp://HOST:PORT"),
		"dns://a,b":              of("dns://a,b", `"a,b" is not a host name`, letters),
		"file://run/a":           of("file://run/a", "the path is not absolute", "Write three slashes, for example file:///run/a"),
		"file:///a?b":            of("file:///a?b", "a file has no query", "Write ? in a file name as %3F"),
		"file:///a?":             of("file:///a?", "a file has no query", "Write ? in a file name as %3F"),
		"file://":                of("file://", "the path does not name a file", "Write file:///PATH"),
		"file:///":               of("file:///", "the path does not name a file", "Write file:///PATH"),
		"file:///run/":           of("file:///run/", "the path does not name a file", "Write file:///PATH"),
		strings.Repeat("a", 513): problem("", `endpoint "`+strings.Repeat("a", 40)+`"… has 513 bytes, and the limit is 512`, "Use a shorter URL"),
	} {
		have, _ := errors.AsType[spec.Problems](spec.CheckEndpoint(address))
		if diff := cmp.Diff(spec.Problems{want}, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", address, diff)
		}
	}
}

// TestEndpointsThatAreNotURLsAreRejected ignores the error texts of net/url,
// which may change.
func TestEndpointsThatAreNotURLsAreRejected(t *testing.T) {
	for _, address := range []string{"tcp://h:x", "http://[::g]/", "http://[h]/", "http://[1.2.3.4]/", "http://[::1", "http://::1/", "http://h/%zz", "http://h\n/", "tcp://h:-1"} {
		have, _ := errors.AsType[spec.Problems](spec.CheckEndpoint(address))
		begin := fmt.Sprintf("endpoint %q is not a valid URL: ", address)
		if len(have) != 1 || have[0].Remedy != "Correct the URL" || !strings.HasPrefix(have[0].Text, begin) || len(have[0].Text) == len(begin) {
			t.Errorf("%s: have %v, want %s…", address, have, begin)
		}
	}
}

func TestEndpointsAtTheirBoundsAreAccepted(t *testing.T) {
	for name, address := range map[string]string{
		"every letter and digit of a host":   "tcp://abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.h:1",
		"the last port":                      "tcp://h:65535",
		"512 bytes":                          "http://h/" + strings.Repeat("a", 503),
		"an @ in a path":                     "http://h/a@b",
		"an @ in a path without host":        "file:///a@b",
		"an @ in the first name of a file":   "file:///@",
		"an @ in a query":                    "http://h?a@b",
		"an empty query":                     "http://h/?",
		"a port with zeros":                  "http://h:0080/",
		"an address with a zone":             "tcp://[fe80::1%25eth0]:1",
		"a name that looks like a number":    "dns://1.2.3",
		"a question mark in a file's name":   "file:///a%3Fb",
		"a dollar that begins no variable":   "http://h/$a",
		"no port where the scheme has one":   "https://[::1]",
		"no service behind the slash":        "grpc://h:1/",
		"a slash within a service's escapes": "http://h/%2F",
	} {
		if err := spec.CheckEndpoint(address); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemes(t *testing.T) {
	for text, want := range map[string]string{"tcp://db:1": "tcp", "://": "", "a": "", "db:1": "", "http://h/?b=c://d": "http", "file:/a": ""} {
		if have := spec.Scheme(text); have != want {
			t.Errorf("the scheme of %q is %q, want %q", text, have, want)
		}
		if have := spec.IsEndpoint(text); have != strings.Contains(text, "://") {
			t.Errorf("%q is an endpoint: %t", text, have)
		}
	}
	for want, e := range map[string]spec.Endpoint{"tcp://db:1": {URL: "tcp://db:1"}, "tcp://db:1?": {URL: "tcp://db:1", Optional: true}} {
		if have := e.String(); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
}

func TestProblemsOfFieldsWithEndpoints(t *testing.T) {
	for text, want := range map[string]spec.Problems{
		`{"readyEndpoints":{"b":"x","a":"dns://h","c":"tcp://h"}}`: {
			{Code: spec.InvalidEndpoint, Field: "readyEndpoints", Value: "x", Text: `b: endpoint "x" has no scheme`, Remedy: "Use tcp://, http://, https://, grpc://, file:// or dns://"},
			{Code: spec.InvalidEndpoint, Field: "readyEndpoints", Text: `c: endpoint "tcp://h": the port is missing`, Remedy: "Write tcp://h:PORT"},
		},
		`{"readyEndpoints":["dns://h"]}`: {{Code: spec.WrongForm, Field: "readyEndpoints", Text: `["dns://h"] is not a JSON object`, Remedy: "Write {…}"}},
		`{"startDeps":"dns://h, tcp://h"}`: {
			{Code: spec.InvalidEndpoint, Field: "startDeps", Text: `endpoint "tcp://h": the port is missing`, Remedy: "Write tcp://h:PORT"},
		},
		`{"startDeps":["dns://h","dns://h?","dns://h"]}`: {
			{Code: spec.NamedTwice, Field: "startDeps", Value: "dns://h", Text: `endpoint "dns://h" is listed twice`, Remedy: "Keep one"},
			{Code: spec.NamedTwice, Field: "startDeps", Value: "dns://h", Text: `endpoint "dns://h" is listed twice`, Remedy: "Keep one"},
		},
		`{"stopDeps":["dns://h"]}`: {
			{Code: spec.InvalidEndpoint, Field: "stopDeps", Text: "[0]: an endpoint cannot be a stop dependency, because only the exit of a container stops a command", Remedy: "Name a container, or use exit-http to send a request when a container exits"},
		},
	} {
		s, err := spec.Parse(text)
		have, _ := errors.AsType[spec.Problems](err)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
		if len(s.StartEndpoints) > 1 {
			t.Errorf("%s: wrong and repeated endpoints are not left out: %v", text, s.StartEndpoints)
		}
	}
}

func TestStartDependenciesAndFilesWait(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: false, `{"startDeps":"a"}`: true, `{"startDeps":"a?"}`: true, `{"startDeps":"dns://h"}`: true, `{"envFiles":"/a"}`: true,
		`{"stopDeps":"a"}`: false, `{"startTimeout":"1s"}`: false, `{"readyEndpoints":{"a":"dns://h"}}`: false, `{"restartWith":"a"}`: false,
	} {
		s, err := spec.Parse(text)
		if err != nil || s.Waits() != want {
			t.Errorf("%s waits: %t, %v, want %t", text, s.Waits(), err, want)
		}
	}
}
