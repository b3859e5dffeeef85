package spec

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNumbersOfAProbeHaveTheKubeletsDefaults(t *testing.T) {
	for name, tt := range map[string]struct {
		probe                         Probe
		timeout, initialDelay, period time.Duration
		successes                     int
	}{
		"nothing is set": {Probe{}, time.Second, 0, 10 * time.Second, 1},
		"all are set":    {Probe{InitialDelaySeconds: 7, TimeoutSeconds: 3, SuccessThreshold: 2, PeriodSeconds: 5}, 3 * time.Second, 7 * time.Second, 5 * time.Second, 2},
		"the least":      {Probe{InitialDelaySeconds: 1, TimeoutSeconds: 1, SuccessThreshold: 1, PeriodSeconds: 1}, time.Second, time.Second, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.probe
			have := []any{p.Timeout(), p.InitialDelay(), p.Period(), p.Successes()}
			if diff := cmp.Diff([]any{tt.timeout, tt.initialDelay, tt.period, tt.successes}, have); diff != "" {
				t.Errorf("timeout, initial delay, period, successes (-want +have):\n%s", diff)
			}
		})
	}
}

// TestWrongHandlersAreRejected tries every kind of invalid handler in each
// field that can contain one.
func TestWrongHandlersAreRejected(t *testing.T) {
	const kinds = "Set one of exec, grpc, httpGet, sleep, tcpSocket"
	value := func(field, text string) Problems { return Problems{{InvalidValue, field, "", text, ""}} }
	refuses(t, map[string]refusal{
		"a hook without kind":        {`{"postStart":{}}`, Problems{{InvalidValue, "postStart", "", "it has no kind, or several", kinds}}},
		"a hook of two kinds":        {`{"preStop":{"exec":{"command":["a"]},"tcpSocket":{"port":1}}}`, Problems{{InvalidValue, "preStop", "", "it has no kind, or several", kinds}}},
		"a probe without kind":       {`{"liveness":{"timeoutSeconds":1}}`, Problems{{InvalidValue, "liveness", "", "it has no kind, or several", kinds}}},
		"a probe of two kinds":       {`{"readiness":{"grpc":{"port":1},"tcpSocket":{"port":1}}}`, Problems{{InvalidValue, "readiness", "", "it has no kind, or several", kinds}}},
		"a hook that calls gRPC":     {`{"preStop":{"grpc":{"port":1}}}`, value("preStop", "grpc: a hook cannot be a gRPC call")},
		"a probe that pauses":        {`{"liveness":{"sleep":{"seconds":1}}}`, value("liveness", "sleep: a probe cannot be a pause")},
		"a pause of the past":        {`{"preStop":{"sleep":{"seconds":-1}}}`, value("preStop", "sleep: seconds is negative")},
		"no words":                   {`{"postStart":{"exec":{"command":[]}}}`, value("postStart", "exec: the command is empty")},
		"a command of no name":       {`{"startupProbe":{"exec":{"command":["","x"]}}}`, value("startupProbe", "exec: the command is empty")},
		"port 0 of HTTP":             {`{"postStart":{"httpGet":{"path":"/"}}}`, value("postStart", "httpGet: port 0 is not between 1 and 65535")},
		"port 65536 of HTTP":         {`{"postStart":{"httpGet":{"port":65536}}}`, value("postStart", "httpGet: port 65536 is not between 1 and 65535")},
		"a negative port of TCP":     {`{"liveness":{"tcpSocket":{"port":-1}}}`, value("liveness", "tcpSocket: port -1 is not between 1 and 65535")},
		"port 65536 of gRPC":         {`{"readiness":{"grpc":{"port":65536}}}`, value("readiness", "grpc: port 65536 is not between 1 and 65535")},
		"port 0 of gRPC":             {`{"startupProbe":{"grpc":{"service":"a"}}}`, value("startupProbe", "grpc: port 0 is not between 1 and 65535")},
		"another scheme":             {`{"preStop":{"httpGet":{"port":1,"scheme":"https"}}}`, Problems{{InvalidValue, "preStop", "https", `httpGet: "https" is not a valid scheme`, "Use HTTP or HTTPS"}}},
		"a negative initial delay":   {`{"liveness":{"tcpSocket":{"port":1},"initialDelaySeconds":-1}}`, value("liveness", "a number of a probe is negative")},
		"a negative timeout":         {`{"liveness":{"tcpSocket":{"port":1},"timeoutSeconds":-1}}`, value("liveness", "a number of a probe is negative")},
		"a negative threshold":       {`{"liveness":{"tcpSocket":{"port":1},"successThreshold":-1}}`, value("liveness", "a number of a probe is negative")},
		"a negative period":          {`{"liveness":{"tcpSocket":{"port":1},"periodSeconds":-1}}`, value("liveness", "a number of a probe is negative")},
		"one of the ready probes":    {`{"readyProbes":[{"tcpSocket":{"port":1}},{"tcpSocket":{"port":0}}]}`, value("readyProbes", "[1]: tcpSocket: port 0 is not between 1 and 65535")},
		"both of the ready probes":   {`{"readyProbes":[{"sleep":{"seconds":1}},{"tcpSocket":{"port":0}}]}`, append(value("readyProbes", "[0]: sleep: a probe cannot be a pause"), value("readyProbes", "[1]: tcpSocket: port 0 is not between 1 and 65535")...)},
		"a failure threshold":        {`{"liveness":{"tcpSocket":{"port":1},"failureThreshold":3}}`, Problems{{UnknownField, "liveness", "failureThreshold", `"failureThreshold" is not a known field`, "Use one of exec, grpc, httpGet, initialDelaySeconds, periodSeconds, sleep, successThreshold, tcpSocket, timeoutSeconds"}}},
		"a named port":               {`{"liveness":{"tcpSocket":{"port":"http"}}}`, Problems{{InvalidValue, "liveness", "http", `tcpSocket: port: "http" is not a whole number`, ""}}},
		"a form, before its content": {`{"readyProbes":[{"tcpSocket":{"port":0}},{"exec":[]}]}`, Problems{{WrongForm, "readyProbes", "", "[1]: exec: [] is not a JSON object", "Write {…}"}}},
	})
}

func TestHandlersAtTheirBoundsAreAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"the first port":               `{"liveness":{"tcpSocket":{"port":1}}}`,
		"the last port":                `{"liveness":{"tcpSocket":{"port":65535}}}`,
		"HTTP in capitals":             `{"preStop":{"httpGet":{"port":1,"scheme":"HTTP"}}}`,
		"HTTPS":                        `{"preStop":{"httpGet":{"port":1,"scheme":"HTTPS"}}}`,
		"a pause of no time":           `{"preStop":{"sleep":{"seconds":0}}}`,
		"a command of one word":        `{"postStart":{"exec":{"command":["a"]}}}`,
		"an empty argument":            `{"postStart":{"exec":{"command":["a",""]}}}`,
		"numbers that are 0":           `{"liveness":{"grpc":{"port":1},"initialDelaySeconds":0,"timeoutSeconds":0,"successThreshold":0,"periodSeconds":0}}`,
		"a hook with a socket":         `{"preStop":{"tcpSocket":{"port":1,"host":"db"}}}`,
		"no ready probes":              `{"readyProbes":[]}`,
		"headers with the same name":   `{"preStop":{"httpGet":{"port":1,"httpHeaders":[{"name":"A","value":"1"},{"name":"A","value":"2"}]}}}`,
		"a health service with a name": `{"startupProbe":{"grpc":{"port":1,"service":"db.v1.Health"}}}`,
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRequest(t *testing.T) {
	for text, want := range map[string]Request{
		"POST http://127.0.0.1:15020/quitquitquit": {"POST", "http://127.0.0.1:15020/quitquitquit"},
		"GET https://h":         {"GET", "https://h"},
		"PUT http://[::1]:1/a":  {"PUT", "http://[::1]:1/a"},
		"  GET \t http://h/  ":  {"GET", "http://h/"},
		"POST http://h/?a=b&c=": {"POST", "http://h/?a=b&c="},
	} {
		have, err := ParseRequest(text)
		if err != nil || have != want {
			t.Errorf("%q: have %q, %v, want %q", text, have, err, want)
		}
		if again, err := ParseRequest(have.String()); err != nil || again != want {
			t.Errorf("%q is written as %q and read as %q, %v", text, have, again, err)
		}
	}
	const method = `Write GET, POST or PUT and a URL, for example "POST http://127.0.0.1:15020/quitquitquit"`
	const server = `Write scheme, host and port, for example "http://127.0.0.1:15020/quitquitquit"`
	for text, want := range map[string]Problem{
		"":                      {InvalidRequest, "", "", `"" is not an HTTP request`, method},
		"POST":                  {InvalidRequest, "", "POST", `"POST" is not an HTTP request`, method},
		"http://h/":             {InvalidRequest, "", "http://h/", `"http://h/" is not an HTTP request`, method},
		"post http://h/":        {InvalidRequest, "", "post http://h/", `"post http://h/" is not an HTTP request`, method},
		"DELETE http://h/":      {InvalidRequest, "", "DELETE http://h/", `"DELETE http://h/" is not an HTTP request`, method},
		"POST /quit":            {InvalidRequest, "", "/quit", `"/quit" is not the URL of a server`, server},
		"POST h:80/quit":        {InvalidRequest, "", "h:80/quit", `"h:80/quit" is not the URL of a server`, server},
		"POST ftp://h/":         {InvalidRequest, "", "ftp://h/", `"ftp://h/" is not the URL of a server`, server},
		"POST http://":          {InvalidRequest, "", "http://", `"http://" is not the URL of a server`, server},
		"POST http://:80/":      {InvalidRequest, "", "http://:80/", `"http://:80/" is not the URL of a server`, server},
		"POST http://h:port/":   {InvalidRequest, "", "http://h:port/", `"http://h:port/" is not the URL of a server`, server},
		"POST https://[::1/":    {InvalidRequest, "", "https://[::1/", `"https://[::1/" is not the URL of a server`, server},
		"POST http://h/ http:x": {InvalidRequest, "", "http://h/ http:x", `"http://h/ http:x" is not the URL of a server`, server},
	} {
		_, err := ParseRequest(text)
		have, _ := errors.AsType[Problems](err)
		if diff := cmp.Diff(Problems{want}, have); diff != "" {
			t.Errorf("%q (-want +have):\n%s", text, diff)
		}
	}
}

func TestRequestsAreOneOrAList(t *testing.T) {
	for text, want := range map[string][]Request{
		`"GET http://h/"`:                     {{"GET", "http://h/"}},
		` [ "GET http://h/" ] `:               {{"GET", "http://h/"}},
		`["PUT http://h/b","GET http://h/a"]`: {{"PUT", "http://h/b"}, {"GET", "http://h/a"}},
		`[]`:                                  nil,
	} {
		s, err := Parse(`{"exitHTTP":` + text + `}`)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, s.ExitHTTP); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
	}
	const server = `Write scheme, host and port, for example "http://127.0.0.1:15020/quitquitquit"`
	refuses(t, map[string]refusal{
		"each that is wrong": {
			`{"exitHTTP":["GET /a","GET http://h/",{},"GET /b"]}`,
			Problems{
				{InvalidRequest, "exitHTTP", "/a", `"/a" is not the URL of a server`, server},
				{WrongForm, "exitHTTP", "{}", "{} is not a single value", "Write one value"},
				{InvalidRequest, "exitHTTP", "/b", `"/b" is not the URL of a server`, server},
			},
		},
		"an object":           {`{"exitHTTP":{"a":1}}`, Problems{{WrongForm, "exitHTTP", `{"a":1}`, `{"a":1} is not a single value`, "Write one value"}}},
		"a list for stopHTTP": {`{"stopHTTP":["GET http://h/"]}`, Problems{{WrongForm, "stopHTTP", `["GET http://h/"]`, `["GET http://h/"] is not a single value`, "Write one value"}}},
		"null for stopHTTP":   {`{"stopHTTP":null}`, Problems{{WrongForm, "stopHTTP", "null", "null is not a single value", "Write one value"}}},
	})
	s, err := Parse(`{"exitHTTP":["GET http://h/","GET /a"],"stopHTTP":"GET /b"}`)
	if err == nil || len(s.ExitHTTP) != 1 || s.StopHTTP != nil {
		t.Errorf("correct requests are not kept: %q, %v, %v", s.ExitHTTP, s.StopHTTP, err)
	}
}
