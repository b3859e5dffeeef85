package spec

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// with is the default spec, changed.
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
		"nothing":                            {``, "empty: want a JSON object, at least {}"},
		"no JSON":                            {`{startDeps: [a]}`, "not JSON: invalid character 's'"},
		"half a document":                    {`{"startDeps":["a"`, `not JSON at "startDeps"`},
		"a list":                             {`["a"]`, `want a JSON object {…}, have ["a"]`},
		"null":                               {`null`, "want a JSON object {…}, have null"},
		"something behind":                   {`{} {}`, "something follows the JSON object: remove it"},
		"an unknown field":                   {`{"startdeps":["a"]}`, "startdeps: unknown field (known: commands, container, environ, exitHTTP,"},
		"an unknown version":                 {`{"version":2}`, "version: version 2 is not known to this koordinator (it reads version 1): let the webhook and the wrapper image be of the same release"},
		"no request":                         {`{"stopHTTP":"http://x/"}`, `stopHTTP: "http://x/" is no request: write GET, POST or PUT and a URL, as "POST http://127.0.0.1:15020/quitquitquit"`},
		"no server":                          {`{"exitHTTP":["GET /quit"]}`, `exitHTTP: "/quit" is no URL of a server: write scheme, host and port`},
		"two handlers":                       {`{"preStop":{"sleep":{"seconds":1},"exec":{"command":["a"]}}}`, "preStop: want exactly one of exec, grpc, httpGet, sleep, tcpSocket"},
		"a later handler":                    {`{"postStart":{"magic":{}}}`, "postStart: magic: unknown field (known: exec,"},
		"a probe without port":               {`{"readyProbes":[{"tcpSocket":{}}]}`, "readyProbes: [0]: tcpSocket: port 0 is not between 1 and 65535"},
		"a pause for a probe":                {`{"startupProbe":{"sleep":{"seconds":1}}}`, "startupProbe: sleep: a probe cannot be a pause"},
		"holding for itself":                 {`{"container":"a","holdFor":["a"]}`, `holdFor: "a" is not the name of another container`},
		"own-02 exec with a stop dependency": {`{"mode":"exec","stopDeps":["m"],"stopDelay":"1s"}`, "stopDeps: mode exec leaves nobody to see to it: remove it, or the mode; stopDelay: mode exec"},
		"a repeated field":                   {`{"stopDelay":"1s","stopDelay":"2s"}`, "stopDelay: given twice: keep one"},
		"a field by two names":               {`{"stopSignal":"TERM","termSignal":"TERM"}`, `termSignal: "stopSignal" and "termSignal" are two names of one field: keep one`},
		"an unheard signal":                  {`{"requestSignal":"SIGRTMIN"}`, "requestSignal: koordinator cannot be asked to stop by SIGRTMIN: choose another stop signal for the container, as SIGTERM"},
		"a relative path":                    {`{"messagePath":"message"}`, `messagePath: "message" is no absolute path: begin it with /`},
		"an unknown condition":               {`{"startDeps":["a=redy"]}`, `startDeps: [0]: "a=redy": unknown condition "redy" (one of started, ready, exited, succeeded)`},
		"ready as a stop":                    {`{"stopDeps":["a=ready"]}`, `unknown condition "ready" (one of exited, succeeded, failed)`},
		"an optional stop":                   {`{"stopDeps":["a?"]}`, `stopDeps: [0]: "a?": a stop dependency cannot be optional: remove the ?`},
		"an empty name":                      {`{"startDeps":["a",""]}`, `startDeps: [1]: no container named in "": write name or name=condition`},
		"an object unnamed":                  {`{"startDeps":[{"condition":"exited"}]}`, `container: missing: name the container`},
		"an object's field":                  {`{"startDeps":[{"container":"a","when":"x"}]}`, "when: unknown field (known: condition, container, optional)"},
		"a name twice":                       {`{"startDeps":["a","a=exited"]}`, `startDeps: container "a" is named twice: keep one condition`},
		"no name":                            {`{"startDeps":["A","b_c",{"container":"d=e"},"-f"]}`, `"b_c" is no container name: a name has lower-case letters, digits and - only`},
		"itself":                             {`{"container":"a","stopDeps":["a"]}`, `stopDeps: container "a" cannot depend on itself: remove it`},
		"no unit":                            {`{"stopDelay":"10"}`, `stopDelay: "10" is not a duration: write a number with a unit, as 10s, 500ms or 1m30s`},
		"a number":                           {`{"stopDelay":10}`, `stopDelay: "10" is not a duration`},
		"a bare zero":                        {`{"stopDelay":"0"}`, `stopDelay: "0" has no unit: write 0s`},
		"a negative duration":                {`{"stopDelay":"-1s"}`, `stopDelay: "-1s" is negative: a duration is 0s or more`},
		"no time to stop":                    {`{"stopTimeout":"0s"}`, "stopTimeout: 0s would kill the command before it can end"},
		"an unknown signal":                  {`{"stopSignal":"SIGFOO"}`, `stopSignal: unknown signal "SIGFOO"`},
		"SIGKILL":                            {`{"stopSignal":"KILL"}`, `stopSignal: signal "KILL" cannot be handled by any command`},
		"a code too large":                   {`{"killedExitCode":256}`, `killedExitCode: "256" is not an exit code: write 0–255, or "child"`},
		"a negative code":                    {`{"killedExitCode":-1}`, `"-1" is not an exit code`},
		"a log level":                        {`{"logLevel":"loud"}`, `logLevel: "loud" is not known (one of error, info, debug)`},
		"http of HBT":                        {`{"whenStopDepExited":{"http":{"get":[]}}}`, `whenStopDepExited: want {"signal": N}`},
		"an object for a text":               {`{"logLevel":{}}`, "logLevel: want a single value, have {}"},
		"a null":                             {`{"stopDelay":null}`, "stopDelay: want a single value, have null"},
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
	if diff := cmp.Diff([]string{"startDeps", "stopDelay", "colour"}, fields); diff != "" {
		t.Fatalf("fields (-want +got):\n%s", diff)
	}
	for _, want := range []string{`"x"`, `"y"`} {
		if !strings.Contains(problems[0].Text, want) {
			t.Errorf("%q does not name %s", problems[0].Text, want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"SIGTERM": syscall.SIGTERM, "TERM": syscall.SIGTERM, "sigterm": syscall.SIGTERM, "15": syscall.SIGTERM, " INT ": syscall.SIGINT,
		"SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMAX": 64, "RTMAX-1": 63, "SIGRTMAX-30": 34, "SIGRTMIN+30": 64, "64": 64,
		"IOT": syscall.SIGABRT, "SIGPOLL": syscall.SIGIO, "WINCH": syscall.SIGWINCH, "SYS": syscall.SIGSYS,
	} {
		if got, err := ParseSignal(text); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "SIG", "0", "-1", "65", "KILL", "9", "STOP", "SIGSIGTERM", "RTMIN+31", "RTMIN-1", "RTMAX-31", "RTMIN+", "RTMIN+x", "TERM+1"} {
		if got, err := ParseSignal(text); err == nil {
			t.Errorf("ParseSignal(%q) = %d, want an error", text, got)
		}
	}
	for n := syscall.Signal(1); n <= 64; n++ {
		if n == syscall.SIGKILL || n == syscall.SIGSTOP {
			continue
		}
		if got, err := ParseSignal(SignalName(n)); err != nil || got != n {
			t.Errorf("ParseSignal(SignalName(%d) = %q) = %d, %v", n, SignalName(n), got, err)
		}
	}
}

// FuzzParse holds Parse to its word: no panic, and what it accepts is written
// and read back as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"startDeps":["a","b=exited?",{"container":"c"}],"stopDeps":"d","stopDelay":"1s"}`,
		`{"version":1,"stoppedExitCode":"child","stopSignal":"SIGRTMIN+3","termTimeout":"3s"}`,
		`{"whenStopDepExited":{"signal":2}}`, `{"a":{"b":[1,2]}}`, `[`, `{"startDeps":[{"container":"a","optional":"1"}]}`,
		` { "a" : 1 , "b\\n":[ 1, {"x":"}]\\"\\\\"} ] ,"c": true ,"d":null}`, `{"a":[],"b":{},"":"","e":-1e3}`, `{"a": "b" } x`,
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
		`{"postStart":{"HTTPGET":{"port":80}}}`:                   "postStart: HTTPGET: unknown field",
		`{"postStart":{"httpGet":{"Port":80}}}`:                   "postStart: httpGet: Port: unknown field",
		`{"postStart":{"httpGet":{"port":80,"port":81}}}`:         "postStart: httpGet: port: given twice",
		`{"readyProbes":[{"tcpSocket":{"port":"http"}}]}`:         `readyProbes: [0]: tcpSocket: port: "http" is not a whole number`,
		`{"restart":{"policy":"Never","rules":{}}}`:               "restart: rules: want a list",
		`{"commands":{"linux/amd64":["/a"],"linux/amd64":["b"]}}`: "commands: linux/amd64: given twice",
		`{"preStop":{"exec":null}}`:                               "preStop: exec: want a value, have null",
		`{"preStop":{"exec":{"command":null}}}`:                   "preStop: exec: the command is empty",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
