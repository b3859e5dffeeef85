package spec

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// with returns the default spec with a change.
func with(change func(*Spec)) Spec {
	s := Default()
	change(&s)
	return s
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Spec
	}{
		"an empty object is all defaults":      {`{}`, Default()},
		"pc-26 there is always a stop timeout": {`{"stopTimeout":"30s"}`, Default()},
		"the hand-written example of the design": {
			`{"startDeps":["cloud-sql-proxy",{"container":"migrate","condition":"succeeded"}],
			  "stopDeps":["main"],"stopDelay":"10s","stopSignal":"SIGTERM","stopTimeout":"30s"}`,
			with(func(s *Spec) {
				s.StartDeps = []Dependency{{Container: "cloud-sql-proxy", Condition: Ready}, {Container: "migrate", Condition: Succeeded}}
				s.StopDeps = []Dependency{{Container: "main", Condition: Exited}}
				s.StopDelay = 10 * time.Second
				s.StopSignal = syscall.SIGTERM
			}),
		},
		"every way to write a start dependency": {
			`{"startDeps":["a"," b = exited ","c?","d=started?","e?=succeeded",{"container":"f","optional":"true"},{"container":"g","optional":false,"condition":"exited"}]}`,
			with(func(s *Spec) {
				s.StartDeps = []Dependency{
					{"a", Ready, false},
					{"b", Exited, false},
					{"c", Ready, true},
					{"d", Started, true},
					{"e", Succeeded, true},
					{"f", Ready, true},
					{"g", Exited, false},
				}
			}),
		},
		"one text instead of a list": {
			`{"startDeps":"a, b=exited","stopDeps":"c=failed"}`,
			with(func(s *Spec) {
				s.StartDeps = []Dependency{{"a", Ready, false}, {"b", Exited, false}}
				s.StopDeps = []Dependency{{"c", Failed, false}}
			}),
		},
		"scalars as texts and as themselves": {
			`{"version":"1","stoppedExitCode":"7","killedExitCode":9,"stopSignal":15,"logLevel":"debug"}`,
			with(func(s *Spec) {
				s.StoppedExitCode, s.KilledExitCode, s.StopSignal, s.LogLevel = 7, 9, syscall.SIGTERM, "debug"
			}),
		},
		"the child's own codes": {
			`{"stoppedExitCode":"child","killedExitCode":"child"}`,
			with(func(s *Spec) { s.StoppedExitCode, s.KilledExitCode = Child, Child }),
		},
		"hbt-12, hbt-14 HBT koordinator's names": {
			`{"startDeps":["p"],"stopDeps":["m"],"termSignal":"SIGINT","termTimeout":"5s","killedByStopDepExitCode":99,"terminatedByStopDepExitCode":-1}`,
			with(func(s *Spec) {
				s.StartDeps = []Dependency{{"p", Ready, false}}
				s.StopDeps = []Dependency{{"m", Exited, false}}
				s.StopSignal, s.StopTimeout, s.KilledExitCode, s.StoppedExitCode = syscall.SIGINT, 5*time.Second, 99, Child
			}),
		},
		"hbt-14 whenStopDepExited with a signal": {
			`{"whenStopDepExited":{"signal":10}}`,
			with(func(s *Spec) { s.DependencySignal = syscall.SIGUSR1 }),
		},
		"hbt-14 and with both signals, 9 to kill": {
			`{"whenStopDepExited":{"signal":9},"termSignal":"TERM"}`,
			with(func(s *Spec) { s.DependencySignal, s.StopSignal = syscall.SIGKILL, syscall.SIGTERM }),
		},
		"every option": {
			`{"stopWhen":"all","onStartTimeout":"start","mode":"supervise","source":"local",
			  "stopHTTP":"POST http://127.0.0.1:15020/quitquitquit","exitHTTP":["GET http://127.0.0.1:1/a","PUT https://[::1]/b"]}`,
			with(func(s *Spec) {
				s.StopWhen, s.OnStartTimeout, s.Source = StopAll, TimeoutStart, SourceLocal
				s.StopHTTP = &Request{"POST", "http://127.0.0.1:15020/quitquitquit"}
				s.ExitHTTP = []Request{{"GET", "http://127.0.0.1:1/a"}, {"PUT", "https://[::1]/b"}}
			}),
		},
		"probes, hooks and restart rules, which the webhook takes over": {
			`{"wrapped":["a"],"holdFor":["a"],"gracePeriod":"30s","probeGrace":"2s","livenessDelay":"15s","environ":{"GODEBUG":"x=y"},
			  "liveness":{"tcpSocket":{"port":1}},"readiness":{"exec":{"command":["ok"]},"timeoutSeconds":4},
			  "restart":{"policy":"OnFailure","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":[42]}}]},
			  "readyProbes":[{"tcpSocket":{"port":5432}},{"httpGet":{"port":8080,"path":"/ready","httpHeaders":[{"name":"Host","value":"x"}]},"timeoutSeconds":3}],
			  "startupProbe":{"grpc":{"port":9000,"service":"db"},"initialDelaySeconds":2},
			  "postStart":{"exec":{"command":["sh","-c","echo hi"]}},"preStop":{"sleep":{"seconds":5}}}`,
			with(func(s *Spec) {
				s.Wrapped, s.HoldFor = []string{"a"}, []string{"a"}
				s.GracePeriod, s.ProbeGrace, s.LivenessDelay = 30*time.Second, 2*time.Second, 15*time.Second
				s.Environ = map[string]string{"GODEBUG": "x=y"}
				s.Liveness = &Probe{Handler: Handler{TCP: &TCPSocket{Port: 1}}}
				s.Readiness = &Probe{Handler: Handler{Exec: &Exec{Command: []string{"ok"}}}, TimeoutSeconds: 4}
				s.Restart = Restart{RestartOnFailure, []RestartRule{{"Restart", &ExitCodes{"In", []int{42}}}}}
				s.ReadyProbes = []Probe{
					{Handler: Handler{TCP: &TCPSocket{Port: 5432}}},
					{Handler: Handler{HTTP: &HTTPGet{Port: 8080, Path: "/ready", Headers: []Header{{"Host", "x"}}}}, TimeoutSeconds: 3},
				}
				s.StartupProbe = &Probe{Handler: Handler{GRPC: &GRPC{Port: 9000, Service: "db"}}, InitialDelaySeconds: 2}
				s.PostStart = &Handler{Exec: &Exec{Command: []string{"sh", "-c", "echo hi"}}}
				s.PreStop = &Handler{Sleep: &Sleep{Seconds: 5}}
			}),
		},
		"a command for each platform": {
			`{"commands":{"linux/amd64":["/a","$x"],"linux/arm64":["/b"]}}`,
			with(func(s *Spec) {
				s.Commands = map[string][]string{"linux/amd64": {"/a", "$x"}, "linux/arm64": {"/b"}}
			}),
		},
		"what only the webhook writes": {
			`{"version":1,"container":"main","requestSignal":"QUIT","messagePath":"/tmp/msg","startTimeout":"1m30s"}`,
			with(func(s *Spec) {
				s.Container, s.RequestSignal, s.MessagePath, s.StartTimeout = "main", syscall.SIGQUIT, "/tmp/msg", 90*time.Second
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Fatalf("spec (-want +got):\n%s", diff)
			}
			again, err := Parse(got.Encode())
			if err != nil {
				t.Fatalf("parse %s: %v", got.Encode(), err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Fatalf("encoded and parsed again (-first +second):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                            {``, "it is empty. Write a JSON object, at least {} [KO104]"},
		"no JSON":                            {`{startDeps: [a]}`, "not JSON: invalid character 's'"},
		"half a document":                    {`{"startDeps":["a"`, `not JSON at "startDeps"`},
		"a list":                             {`["a"]`, `["a"] is not a JSON object. Write {…} [KO104]`},
		"null":                               {`null`, "null is not a JSON object. Write {…} [KO104]"},
		"something behind":                   {`{} {}`, "there is more than one JSON object. Remove what follows it [KO104]"},
		"an unknown field":                   {`{"startdeps":["a"]}`, "startdeps: a spec has no field of this name. Use one of commands, container, delegated, envFiles,"},
		"an unknown version":                 {`{"version":3,"newField":true}`, "version: this koordinator reads spec versions 1 to 2, not 3. Use a webhook and a wrapper image of the same release [KO123]"},
		"no request":                         {`{"stopHTTP":"http://x/"}`, `stopHTTP: "http://x/" is not an HTTP request. Write GET, POST or PUT and a URL, for example "POST http://127.0.0.1:15020/quitquitquit"`},
		"no server":                          {`{"exitHTTP":["GET /quit"]}`, `exitHTTP: "/quit" is not the URL of a server. Write scheme, host and port`},
		"two handlers":                       {`{"preStop":{"sleep":{"seconds":1},"exec":{"command":["a"]}}}`, "preStop: it has no kind, or several. Set one of exec, grpc, httpGet, sleep, tcpSocket"},
		"a later handler":                    {`{"postStart":{"magic":{}}}`, `postStart: "magic" is not a known field. Use one of exec,`},
		"a probe without port":               {`{"readyProbes":[{"tcpSocket":{}}]}`, "readyProbes: [0]: tcpSocket: port 0 is not between 1 and 65535"},
		"a pause for a probe":                {`{"startupProbe":{"sleep":{"seconds":1}}}`, "startupProbe: sleep: a probe cannot be a pause"},
		"holding for itself":                 {`{"container":"a","holdFor":["a"]}`, `holdFor: "a" is not the name of another container`},
		"own-02 exec with a stop dependency": {`{"mode":"exec","stopDeps":["m"],"stopDelay":"1s"}`, "stopDeps: mode exec does not support this field, because the command replaces the wrapper. Remove it, or the mode [KO305]; stopDelay: mode exec"},
		"a repeated field":                   {`{"stopDelay":"1s","stopDelay":"2s"}`, "stopDelay: the field is set twice. Keep one [KO105]"},
		"a field by two names":               {`{"stopSignal":"TERM","termSignal":"TERM"}`, `termSignal: "stopSignal" and "termSignal" are two names of one field. Keep one [KO106]`},
		"an unheard signal":                  {`{"requestSignal":"SIGRTMIN"}`, "requestSignal: koordinator cannot receive SIGRTMIN as a stop signal. Use another stop signal for the container, for example SIGTERM [KO120]"},
		"a relative path":                    {`{"messagePath":"message"}`, `messagePath: "message" is not an absolute path. Begin it with / [KO124]`},
		"an unknown condition":               {`{"startDeps":["a=redy"]}`, `startDeps: [0]: "a=redy": "redy" is not a valid condition. Use one of started, ready, exited, succeeded [KO115]`},
		"ready as a stop":                    {`{"stopDeps":["a=ready"]}`, `"ready" is not a valid condition. Use one of exited, succeeded, failed`},
		"an optional stop":                   {`{"stopDeps":["a?"]}`, `stopDeps: [0]: "a?": a stop dependency cannot be optional. Remove the "?" [KO116]`},
		"an empty name":                      {`{"startDeps":["a",""]}`, `startDeps: [1]: "" names no container. Write NAME or NAME=CONDITION [KO114]`},
		"an object unnamed":                  {`{"startDeps":[{"condition":"exited"}]}`, `startDeps: [0]: a dependency names no container. Set container`},
		"an object's field":                  {`{"startDeps":[{"container":"a","when":"x"}]}`, "when: a dependency has no field of this name. Use container, endpoint, condition or optional [KO107]"},
		"a name twice":                       {`{"startDeps":["a","a=exited"]}`, `startDeps: container "a" is listed twice. Keep one condition [KO228]`},
		"no name":                            {`{"startDeps":["A","b_c",{"container":"d=e"},"-f"]}`, `"b_c" is not a container name. Use lowercase letters, digits and "-" [KO114]`},
		"itself":                             {`{"container":"a","stopDeps":["a"]}`, `stopDeps: container "a" cannot depend on itself. Remove the dependency [KO227]`},
		"no unit":                            {`{"stopDelay":"10"}`, `stopDelay: "10" is not a duration. Write a number with a unit, for example 10s, 500ms or 1m30s [KO117]`},
		"a number":                           {`{"stopDelay":10}`, `stopDelay: "10" is not a duration`},
		"a bare zero":                        {`{"stopDelay":"0"}`, `stopDelay: "0" has no unit. Write 0s [KO117]`},
		"a negative duration":                {`{"stopDelay":"-1s"}`, `stopDelay: "-1s" is negative. Set 0s or more [KO117]`},
		"no time to stop":                    {`{"stopTimeout":"0s"}`, "stopTimeout: 0s would kill the command before it can stop. Set 1s or more [KO118]"},
		"an unknown signal":                  {`{"stopSignal":"SIGFOO"}`, `stopSignal: "SIGFOO" is not a signal`},
		"SIGKILL":                            {`{"stopSignal":"KILL"}`, `stopSignal: no command can handle the signal "KILL"`},
		"a code too large":                   {`{"killedExitCode":256}`, `killedExitCode: "256" is not an exit code. Use 0 to 255, or "child"`},
		"a negative code":                    {`{"killedExitCode":-1}`, `"-1" is not an exit code`},
		"a log level":                        {`{"logLevel":"loud"}`, `logLevel: "loud" is not a valid value. Use one of error, info, debug [KO119]`},
		"http of HBT":                        {`{"whenStopDepExited":{"http":{"get":[]}}}`, `is not a signal. Write {"signal": N}`},
		"an object for a text":               {`{"logLevel":{}}`, "logLevel: {} is not a single value"},
		"a null":                             {`{"stopDelay":null}`, "stopDelay: null is not a single value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.text)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("have %q\nwant %q", err, tc.want)
			}
		})
	}
}

func TestParseNamesEverythingThatIsWrong(t *testing.T) {
	_, err := Parse(`{"startDeps":["a=x","b=y"],"stopDelay":"1","colour":"red"}`)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("have %T, want Problems", err)
	}
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	if diff := cmp.Diff([]string{"startDeps", "startDeps", "stopDelay", "colour"}, fields); diff != "" {
		t.Fatalf("fields (-want +got):\n%s", diff)
	}
	for i, want := range []string{"x", "y"} {
		if problems[i].Value != want || !strings.Contains(problems[i].Text, want) {
			t.Errorf("%q does not name %s", problems[i], want)
		}
	}
}

// FuzzParse checks that Parse never panics, and that a spec that it accepts can
// be encoded and parsed again without a change.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"startDeps":["a","b=exited?",{"container":"c"}],"stopDeps":"d","stopDelay":"1s"}`,
		`{"version":1,"stoppedExitCode":"child","stopSignal":"SIGRTMIN+3","termTimeout":"3s"}`,
		`{"whenStopDepExited":{"signal":2}}`, `{"a":{"b":[1,2]}}`, `[`, `{"startDeps":[{"container":"a","optional":"1"}]}`,
		` { "a" : 1 , "b\\n":[ 1, {"x":"}]\\"\\\\"} ] ,"c": true ,"d":null}`, `{"a":[],"b":{},"":"","e":-1e3}`, `{"a": "b" } x`,
		"\v{}", "{}\u00a0", "\t{\n}\r ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if members, ok := splitObject(text); ok {
			want, err := decodeAnyObject(text)
			if err != nil {
				t.Fatalf("split, but refused: %v", err)
			}
			if diff := cmp.Diff(want, members, cmp.AllowUnexported(member{})); diff != "" {
				t.Fatalf("split in another way (-want +have):\n%s", diff)
			}
		}
		s, err := Parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("refused without a word")
			}
			return
		}
		again, err := Parse(s.Encode())
		if err != nil {
			t.Fatalf("parse %s: %v", s.Encode(), err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("encoded and parsed again (-first +second):\n%s", diff)
		}
	})
}

func TestB14AllLevelsAreReadAlike(t *testing.T) {
	for text, want := range map[string]Spec{
		`{"postStart":{"httpGet":{"port":"80","path":"/x"}}}`: {PostStart: &Handler{HTTP: &HTTPGet{Port: 80, Path: "/x"}}},
		`{"preStop":{"sleep":{"seconds":"5"}}}`:               {PreStop: &Handler{Sleep: &Sleep{Seconds: 5}}},
		`{"restart":{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":["42",43]}}]}}`: {Restart: Restart{
			Policy: RestartNever, Rules: []RestartRule{{Action: "Restart", ExitCodes: &ExitCodes{Operator: "In", Values: []int{42, 43}}}},
		}},
	} {
		have, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, Spec{PostStart: have.PostStart, PreStop: have.PreStop, Restart: have.Restart}); diff != "" {
			t.Errorf("%s: (-want +have):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		`{"postStart":{"HTTPGET":{"port":80}}}`:                   `postStart: "HTTPGET" is not a known field`,
		`{"postStart":{"httpGet":{"Port":80}}}`:                   `postStart: httpGet: "Port" is not a known field`,
		`{"postStart":{"httpGet":{"port":80,"port":81}}}`:         "postStart: httpGet: port is set twice",
		`{"readyProbes":[{"tcpSocket":{"port":"http"}}]}`:         `readyProbes: [0]: tcpSocket: port: "http" is not a whole number`,
		`{"restart":{"policy":"Never","rules":{}}}`:               "restart: rules: {} is not a list",
		`{"commands":{"linux/amd64":["/a"],"linux/amd64":["b"]}}`: "commands: linux/amd64 is set twice",
		`{"preStop":{"exec":null}}`:                               "preStop: exec: null is not a value",
		`{"preStop":{"exec":{"command":null}}}`:                   "preStop: exec: the command is empty",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestDurationsOfEveryField(t *testing.T) {
	const unit = "Write a number with a unit, for example 10s, 500ms or 1m30s"
	read := map[string]func(Spec) time.Duration{
		"startTimeout":  func(s Spec) time.Duration { return s.StartTimeout },
		"stopDelay":     func(s Spec) time.Duration { return s.StopDelay },
		"stopTimeout":   func(s Spec) time.Duration { return s.StopTimeout },
		"termTimeout":   func(s Spec) time.Duration { return s.StopTimeout },
		"gracePeriod":   func(s Spec) time.Duration { return s.GracePeriod },
		"probeGrace":    func(s Spec) time.Duration { return s.ProbeGrace },
		"livenessDelay": func(s Spec) time.Duration { return s.LivenessDelay },
	}
	for field, of := range read {
		for text, want := range map[string]time.Duration{`"10s"`: 10 * time.Second, `"1h2m3.5s"`: 3723500 * time.Millisecond, `"1ns"`: 1, `"+1s"`: time.Second} {
			s, err := Parse(`{"` + field + `":` + text + `}`)
			if err != nil || of(s) != want {
				t.Errorf("%s: %s is %s, %v, want %s", field, text, of(s), err, want)
			}
		}
		for text, want := range map[string]Problem{
			`10`:      {InvalidDuration, field, "10", `"10" is not a duration`, unit},
			`"10"`:    {InvalidDuration, field, "10", `"10" is not a duration`, unit},
			`"1 s"`:   {InvalidDuration, field, "1 s", `"1 s" is not a duration`, unit},
			`"1d"`:    {InvalidDuration, field, "1d", `"1d" is not a duration`, unit},
			`"s"`:     {InvalidDuration, field, "s", `"s" is not a duration`, unit},
			`""`:      {InvalidDuration, field, "", `"" is not a duration`, unit},
			`true`:    {InvalidDuration, field, "true", `"true" is not a duration`, unit},
			`0`:       {InvalidDuration, field, "0", `"0" has no unit`, "Write 0s"},
			`"-0"`:    {InvalidDuration, field, "-0", `"-0" has no unit`, "Write 0s"},
			`"+0"`:    {InvalidDuration, field, "+0", `"+0" has no unit`, "Write 0s"},
			`"-1ns"`:  {InvalidDuration, field, "-1ns", `"-1ns" is negative`, "Set 0s or more"},
			`["10s"]`: {WrongForm, field, `["10s"]`, `["10s"] is not a single value`, "Write one value"},
			`null`:    {WrongForm, field, "null", "null is not a single value", "Write one value"},
		} {
			s, err := Parse(`{"` + field + `":` + text + `}`)
			have, _ := errors.AsType[Problems](err)
			if diff := cmp.Diff(Problems{want}, have); diff != "" {
				t.Errorf("%s: %s (-want +have):\n%s", field, text, diff)
			}
			if of(s) != of(Default()) {
				t.Errorf("%s: the wrong value %s has set %s", field, text, of(s))
			}
		}
	}
	for field := range read {
		_, err := Parse(`{"` + field + `":"0s"}`)
		if want := field == "stopTimeout" || field == "termTimeout"; (err != nil) != want {
			t.Errorf("%s: 0s is refused with %v", field, err)
		}
	}
	refuses(t, map[string]refusal{
		"no time to stop, by HBT koordinator's name": {`{"termTimeout":"0s"}`, Problems{{NoStopTimeout, "termTimeout", "0s", "0s would kill the command before it can stop", "Set 1s or more"}}},
		"no time to stop, by koordinator's name":     {`{"stopTimeout":"0ms"}`, Problems{{NoStopTimeout, "stopTimeout", "0s", "0s would kill the command before it can stop", "Set 1s or more"}}},
	})
}

func TestWordsOfEveryField(t *testing.T) {
	for field, words := range map[string][]string{
		"stopWhen":       {"any", "all"},
		"onStartTimeout": {"fail", "start"},
		"readyWhen":      {"probes", "notify"},
		"mode":           {"supervise", "exec"},
		"logLevel":       {"error", "info", "debug"},
		"source":         {"auto", "pod", "local"},
	} {
		remedy := "Use one of " + strings.Join(words, ", ")
		for _, word := range words {
			s, err := Parse(`{"` + field + `":"` + word + `"}`)
			if err != nil {
				t.Errorf("%s: %s: %v", field, word, err)
			}
			have := map[string]string{
				"stopWhen": string(s.StopWhen), "onStartTimeout": string(s.OnStartTimeout), "readyWhen": string(s.ReadyWhen),
				"mode": string(s.Mode), "logLevel": s.LogLevel, "source": string(s.Source),
			}
			if have[field] != word {
				t.Errorf("%s: %s is read as %s", field, word, have[field])
			}
			if capital := strings.ToUpper(word); !refused(`{"`+field+`":"`+capital+`"}`, Problem{UnknownWord, field, capital, `"` + capital + `" is not a valid value`, remedy}) {
				t.Errorf("%s: %s is not refused with %s", field, capital, remedy)
			}
		}
		for text, want := range map[string]Problem{
			`""`:   {UnknownWord, field, "", `"" is not a valid value`, remedy},
			`1`:    {UnknownWord, field, "1", `"1" is not a valid value`, remedy},
			`[]`:   {WrongForm, field, "[]", "[] is not a single value", "Write one value"},
			`null`: {WrongForm, field, "null", "null is not a single value", "Write one value"},
		} {
			if !refused(`{"`+field+`":`+text+`}`, want) {
				t.Errorf("%s: %s is not refused with %s", field, text, want)
			}
		}
	}
}

// refused reports whether the spec has exactly this problem.
func refused(text string, want Problem) bool {
	_, err := Parse(text)
	have, _ := errors.AsType[Problems](err)
	return cmp.Equal(Problems{want}, have)
}

func TestSignalsOfEveryField(t *testing.T) {
	const use = "Use a name, for example SIGTERM, TERM or SIGRTMIN+3, or a number from 1 to 64"
	for field, of := range map[string]func(Spec) syscall.Signal{
		"stopSignal":    func(s Spec) syscall.Signal { return s.StopSignal },
		"termSignal":    func(s Spec) syscall.Signal { return s.StopSignal },
		"requestSignal": func(s Spec) syscall.Signal { return s.RequestSignal },
	} {
		for text, want := range map[string]syscall.Signal{`"SIGINT"`: syscall.SIGINT, `"quit"`: syscall.SIGQUIT, `3`: syscall.SIGQUIT, `"RTMIN+1"`: 35} {
			s, err := Parse(`{"` + field + `":` + text + `}`)
			if err != nil || of(s) != want {
				t.Errorf("%s: %s is %d, %v, want %d", field, text, of(s), err, want)
			}
		}
		for text, want := range map[string]Problem{
			`"SIGNONE"`: {InvalidSignal, field, "SIGNONE", `"SIGNONE" is not a signal`, use},
			`0`:         {InvalidSignal, field, "0", `"0" is not a signal`, use},
			`"KILL"`:    {InvalidSignal, field, "KILL", `no command can handle the signal "KILL"`, "Use another, for example SIGTERM, SIGINT or SIGQUIT"},
			`null`:      {WrongForm, field, "null", "null is not a single value", "Write one value"},
		} {
			if !refused(`{"`+field+`":`+text+`}`, want) {
				t.Errorf("%s: %s is not refused with %s", field, text, want)
			}
		}
	}
}

func TestNamesAndPathsOfThePod(t *testing.T) {
	const remedy = "Set a value, or remove the field"
	refuses(t, map[string]refusal{
		"an empty name":           {`{"container":""}`, Problems{{InvalidValue, "container", "", "it is empty", remedy}}},
		"a name that is a list":   {`{"container":["a"]}`, Problems{{WrongForm, "container", `["a"]`, `["a"] is not a single value`, "Write one value"}}},
		"an empty path":           {`{"messagePath":""}`, Problems{{InvalidPath, "messagePath", "", `"" is not an absolute path`, "Begin it with /"}}},
		"a relative path":         {`{"messagePath":"tmp/m"}`, Problems{{InvalidPath, "messagePath", "tmp/m", `"tmp/m" is not an absolute path`, "Begin it with /"}}},
		"a path that is none":     {`{"messagePath":{}}`, Problems{{WrongForm, "messagePath", "{}", "{} is not a single value", "Write one value"}}},
		"null for a list":         {`{"wrapped":null}`, Problems{{WrongForm, "wrapped", "null", "null is not a value", remedy}}},
		"null with white space":   {`{"holdFor": null }`, Problems{{WrongForm, "holdFor", "null", "null is not a value", remedy}}},
		"a name alone":            {`{"wrapped":"a"}`, Problems{{WrongForm, "wrapped", "", `"a" is not a list`, "Write [a, b]"}}},
		"an object for a list":    {`{"holdFor":{"a":1}}`, Problems{{WrongForm, "holdFor", "", `{"a":1} is not a list`, "Write [a, b]"}}},
		"a list in a list":        {`{"wrapped":["a",["b"]]}`, Problems{{WrongForm, "wrapped", `["b"]`, `[1]: ["b"] is not a single value`, "Write one value"}}},
		"no container's name":     {`{"wrapped":["a","A",""]}`, Problems{{InvalidValue, "wrapped", "A", `"A" is not the name of another container`, ""}, {InvalidValue, "wrapped", "", `"" is not the name of another container`, ""}}},
		"its own name":            {`{"container":"main","holdFor":["a","main"]}`, Problems{{InvalidValue, "holdFor", "main", `"main" is not the name of another container`, ""}}},
		"null in place of a hook": {`{"preStop":null}`, Problems{{WrongForm, "preStop", "null", "null is not a value", remedy}}},
		"a list for an object":    {`{"environ":["A=b"]}`, Problems{{WrongForm, "environ", "", `["A=b"] is not a JSON object`, "Write {…}"}}},
		"a variable twice":        {`{"environ":{"A":"b","A":"c"}}`, Problems{{DuplicateKey, "environ", "A", "A is set twice", "Keep one"}}},
		"a word for a command":    {`{"commands":{"linux/amd64":"a"}}`, Problems{{WrongForm, "commands", "", `linux/amd64: "a" is not a list`, "Write [a, b]"}}},
	})
	s, err := Parse(`{"container":1e3,"wrapped":["a",7,true],"holdFor":[]}`)
	want := with(func(s *Spec) { s.Container, s.Wrapped, s.HoldFor = "1e3", []string{"a", "7", "true"}, []string{} })
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Errorf("names that are no texts in JSON: %v (-want +have):\n%s", err, diff)
	}
}

func TestFieldsAreGivenOnce(t *testing.T) {
	known := "Use one of " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	refuses(t, map[string]refusal{
		"a field three times": {`{"stopDelay":"1s","stopDelay":"1","stopDelay":"2s"}`, Problems{{DuplicateKey, "stopDelay", "stopDelay", "the field is set twice", "Keep one"}, {DuplicateKey, "stopDelay", "stopDelay", "the field is set twice", "Keep one"}}},
		"HBT's name first":    {`{"termTimeout":"1s","stopTimeout":"1s"}`, Problems{{GivenTwice, "stopTimeout", "stopTimeout", `"termTimeout" and "stopTimeout" are two names of one field`, "Keep one"}}},
		"HBT's name twice":    {`{"termTimeout":"1s","termTimeout":"1s"}`, Problems{{DuplicateKey, "termTimeout", "termTimeout", "the field is set twice", "Keep one"}}},
		"both exit codes":     {`{"stoppedExitCode":1,"terminatedByStopDepExitCode":1}`, Problems{{GivenTwice, "terminatedByStopDepExitCode", "terminatedByStopDepExitCode", `"stoppedExitCode" and "terminatedByStopDepExitCode" are two names of one field`, "Keep one"}}},
		"both killed codes":   {`{"killedByStopDepExitCode":1,"killedExitCode":1}`, Problems{{GivenTwice, "killedExitCode", "killedExitCode", `"killedByStopDepExitCode" and "killedExitCode" are two names of one field`, "Keep one"}}},
		"an unknown field":    {`{"StopDelay":"1s"}`, Problems{{UnknownField, "StopDelay", "StopDelay", "a spec has no field of this name", known}}},
		"an unknown, twice":   {`{"x":1,"x":1}`, Problems{{UnknownField, "x", "x", "a spec has no field of this name", known}, {UnknownField, "x", "x", "a spec has no field of this name", known}}},
	})
	s, _ := Parse(`{"stopDelay":"1s","stopDelay":"2s"}`)
	if s.StopDelay != time.Second {
		t.Errorf("of a field that is set twice, the first is %s, want 1s", s.StopDelay)
	}
}

func TestModeExecIsRefusedWithWhatNeedsTheWrapper(t *testing.T) {
	for field, text := range map[string]string{
		"stopDeps": `"stopDeps":"a"`, "restartWith": `"restartWith":"a"`, "readyWhen": `"readyWhen":"notify"`, "stopDelay": `"stopDelay":"1ns"`,
		"stopSignal": `"stopSignal":"INT"`, "exitHTTP": `"exitHTTP":"GET http://h/"`, "holdFor": `"holdFor":["a"]`,
		"delegated": `"delegated":[{"container":"p","request":"GET http://h/","stopDeps":["main"]}]`,
		"postStart": `"postStart":{"sleep":{"seconds":1}}`, "readyProbes": `"readyProbes":[{"tcpSocket":{"port":1}}]`,
	} {
		text = `{"container":"main",` + text
		want := Problem{ExecImpossible, field, "", "mode exec does not support this field, because the command replaces the wrapper", "Remove it, or the mode"}
		if !refused(text+`,"mode":"exec"}`, want) {
			_, err := Parse(text + `,"mode":"exec"}`)
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if _, err := Parse(text + `,"mode":"supervise"}`); err != nil {
			t.Errorf("%s, but the wrapper stays: %v", text, err)
		}
	}
	for _, text := range []string{
		`"startDeps":"a=exited"`, `"startTimeout":"1s"`, `"stopDelay":"0s"`, `"holdFor":[]`, `"envFiles":"/a"`, `"stopTimeout":"1s"`, `"wrapped":["a"]`,
		`"gracePeriod":"1s"`, `"liveness":{"tcpSocket":{"port":1}}`, `"requestSignal":"TERM"`, `"messagePath":"/m"`, `"readyWhen":"probes"`,
	} {
		if _, err := Parse(`{"mode":"exec",` + text + `}`); err != nil {
			t.Errorf("mode exec with %s: %v", text, err)
		}
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "z": true, "0": true, "9": true, "a-b": true, "a--b": true, "1e3": true, "on": true, strings.Repeat("a", 63): true,
		strings.Repeat("a", 64): false, "-a": false, "a-": false, "-": false, "A": false, "a_b": false, "a.b": false, "a b": false, " a": false, "ä": false, "a\n": false, "*": false,
	} {
		if have := IsName(name); have != want {
			t.Errorf("IsName(%q) = %t, want %t", name, have, want)
		}
	}
}

func TestTextThatIsNotAnObjectIsRejected(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want Problem
	}{
		"nothing":           {"", Problem{WrongForm, "", "", "it is empty", "Write a JSON object, at least {}"}},
		"white space":       {" \n\t", Problem{WrongForm, "", "", "it is empty", "Write a JSON object, at least {}"}},
		"a number":          {"7", Problem{WrongForm, "", "", "7 is not a JSON object", "Write {…}"}},
		"a list":            {`[{}]`, Problem{WrongForm, "", "", "[{}] is not a JSON object", "Write {…}"}},
		"a long list":       {`["0123456789","0123456789","0123456789","0123456789"]`, Problem{WrongForm, "", "", `["0123456789","0123456789","0123456789", is not a JSON object`, "Write {…}"}},
		"two objects":       {`{}{}`, Problem{WrongForm, "", "", "there is more than one JSON object", "Remove what follows it"}},
		"a letter after it": {`{} x`, Problem{WrongForm, "", "", "there is more than one JSON object", "Remove what follows it"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(tt.text)
			have, _ := errors.AsType[Problems](err)
			if diff := cmp.Diff(Problems{tt.want}, have); diff != "" {
				t.Errorf("%s (-want +have):\n%s", tt.text, diff)
			}
			if diff := cmp.Diff(Default(), s); diff != "" {
				t.Errorf("(-default +have):\n%s", diff)
			}
		})
	}
}

// TestTextThatIsNotJSONIsRejected ignores the error texts of encoding/json,
// which may change.
func TestTextThatIsNotJSONIsRejected(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                       "not JSON: ",
		`{1:2}`:                   "not JSON: ",
		`{"a":1 "b":2}`:           "not JSON: ",
		`{"a":1]`:                 "not JSON: ",
		`startDeps: a`:            "not JSON: ",
		`{"container":"a`:         `not JSON at "container": `,
		`{"a":1,"b":{"c":}}`:      `not JSON at "b": `,
		`{"a":01}`:                "not JSON: ",
		`{"a":tru}`:               `not JSON at "a": `,
		"{\"a\":\"line\nbreak\"}": `not JSON at "a": `,
	} {
		s, err := Parse(text)
		have, _ := errors.AsType[Problems](err)
		if len(have) != 1 || have[0].Code != InvalidValue || have[0].Field != "" || !strings.HasPrefix(have[0].Text, want) || len(have[0].Text) == len(want) {
			t.Errorf("%s: have %v, want %s…", text, err, want)
		}
		if diff := cmp.Diff(Default(), s); diff != "" {
			t.Errorf("%s (-default +have):\n%s", text, diff)
		}
	}
}

func TestKeysWithEscapesAreReadAsOthers(t *testing.T) {
	s, err := Parse(`{"stop\u0044elay":"\u0031s","container":"m\u0061in"}`)
	want := with(func(s *Spec) { s.StopDelay, s.Container = time.Second, "main" })
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Errorf("%v (-want +have):\n%s", err, diff)
	}
	if !refused(`{"stopDelay":"1s","stop\u0044elay":"1s"}`, Problem{DuplicateKey, "stopDelay", "stopDelay", "the field is set twice", "Keep one"}) {
		t.Error("a key that is escaped is another one")
	}
}

// TestEveryFieldRejectsAnEmptyValue passes an empty text, which a JSON object cannot
// contain, and null, which is an empty list in two fields that the webhook writes.
func TestEveryFieldRejectsAnEmptyValue(t *testing.T) {
	for field, read := range fields {
		if field == "version" {
			continue // checkVersion parses it
		}
		for text, accepted := range map[string]bool{
			"":       false,
			" ":      false,
			"null":   field == "readyProbes" || field == "delegated",
			" null ": field == "readyProbes" || field == "delegated",
		} {
			if err := read(&Spec{}, []byte(text)); (err == nil) != accepted {
				t.Errorf("%s: %q: have %v", field, text, err)
			}
		}
	}
}
