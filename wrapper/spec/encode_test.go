package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheDefaultSpecIsWrittenWithWhatPeopleLookFor(t *testing.T) {
	const want = `{"version":1,"stopTimeout":"30s","stoppedExitCode":0,"killedExitCode":137}`
	if have := Default().Encode(); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

// written contains for each field of a spec a value other than its default, and the
// JSON that the value adds to the default spec.
var written = map[string]struct {
	set     func(*Spec)
	json    string
	version int
}{
	"StartDeps":      {func(s *Spec) { s.StartDeps = []Dependency{{"a", Ready, false}, {"b", Started, true}} }, `"startDeps":["a=ready","b=started?"]`, 1},
	"StopDeps":       {func(s *Spec) { s.StopDeps = []Dependency{{"a", Exited, false}, {"b", Failed, false}} }, `"stopDeps":["a=exited","b=failed"]`, 1},
	"StartEndpoints": {func(s *Spec) { s.StartEndpoints = []Endpoint{{"tcp://db:1", true}, {"http://h/?a=1,2&b", false}} }, `"startDeps":["tcp://db:1?","http://h/?a=1,2&b"]`, 2},
	"StopWhen":       {func(s *Spec) { s.StopWhen = StopAll }, `"stopWhen":"all"`, 1},
	"StartTimeout":   {func(s *Spec) { s.StartTimeout = 90 * time.Second }, `"startTimeout":"1m30s"`, 1},
	"OnStartTimeout": {func(s *Spec) { s.OnStartTimeout = TimeoutStart }, `"onStartTimeout":"start"`, 1},
	"StopDelay":      {func(s *Spec) { s.StopDelay = 1500 * time.Millisecond }, `"stopDelay":"1.5s"`, 1},
	"StopSignal":     {func(s *Spec) { s.StopSignal = 37 }, `"stopSignal":"SIGRTMIN+3"`, 1},
	"StopTimeout":    {func(s *Spec) { s.StopTimeout = time.Hour }, `"stopTimeout":"1h0m0s"`, 1},
	"StopHTTP":       {func(s *Spec) { s.StopHTTP = &Request{"POST", "http://h/?a&b"} }, `"stopHTTP":"POST http://h/?a&b"`, 1},
	"ExitHTTP":       {func(s *Spec) { s.ExitHTTP = []Request{{"GET", "http://h/a"}, {"PUT", "http://h/b"}} }, `"exitHTTP":["GET http://h/a","PUT http://h/b"]`, 1},
	"RestartWith":    {func(s *Spec) { s.RestartWith = []string{"b", "a"} }, `"restartWith":["b","a"]`, 2},
	"EnvFiles":       {func(s *Spec) { s.EnvFiles = []EnvFile{{"/b,c", true}, {"/a", false}} }, `"envFiles":["/b,c?","/a"]`, 2},
	"ReadyWhen":      {func(s *Spec) { s.ReadyWhen = ReadyByNotice }, `"readyWhen":"notify"`, 2},

	"DependencySignal": {func(s *Spec) { s.DependencySignal = syscall.SIGKILL }, `"whenStopDepExited":{"signal":9}`, 1},
	"StoppedExitCode":  {func(s *Spec) { s.StoppedExitCode = Child }, `"stoppedExitCode":"child"`, 1},
	"KilledExitCode":   {func(s *Spec) { s.KilledExitCode = 0 }, `"killedExitCode":0`, 1},
	"Mode":             {func(s *Spec) { s.Mode = ExecMode }, `"mode":"exec"`, 1},
	"LogLevel":         {func(s *Spec) { s.LogLevel = "debug" }, `"logLevel":"debug"`, 1},
	"Source":           {func(s *Spec) { s.Source = SourceLocal }, `"source":"local"`, 1},
	"Wrapped":          {func(s *Spec) { s.Wrapped = []string{"b", "a"} }, `"wrapped":["b","a"]`, 1},

	"Container": {func(s *Spec) { s.Container = "main" }, `"container":"main"`, 1},
	"Restart": {
		func(s *Spec) {
			s.Restart = Restart{RestartNever, []RestartRule{{"Restart", &ExitCodes{"NotIn", []int{0, 75}}}}}
		},
		`"restart":{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"NotIn","values":[0,75]}}]}`, 1,
	},
	"HoldFor":     {func(s *Spec) { s.HoldFor = []string{"b", "a"} }, `"holdFor":["b","a"]`, 1},
	"GracePeriod": {func(s *Spec) { s.GracePeriod = time.Minute }, `"gracePeriod":"1m0s"`, 1},
	"ProbeGrace":  {func(s *Spec) { s.ProbeGrace = 5 * time.Second }, `"probeGrace":"5s"`, 1},
	"ReadyProbes": {
		func(s *Spec) {
			s.ReadyProbes = []Probe{{Handler: Handler{TCP: &TCPSocket{1, "h"}}}, {Handler: Handler{GRPC: &GRPC{2, "s"}}, SuccessThreshold: 2}}
		},
		`"readyProbes":[{"tcpSocket":{"port":1,"host":"h"}},{"grpc":{"port":2,"service":"s"},"successThreshold":2}]`, 1,
	},
	"StartupProbe": {
		func(s *Spec) { s.StartupProbe = &Probe{Handler{Exec: &Exec{[]string{"a", "<$(B)>"}}}, 1, 2, 3, 4} },
		`"startupProbe":{"exec":{"command":["a","<$(B)>"]},"initialDelaySeconds":1,"timeoutSeconds":2,"successThreshold":3,"periodSeconds":4}`, 1,
	},
	"LivenessDelay": {func(s *Spec) { s.LivenessDelay = 15 * time.Second }, `"livenessDelay":"15s"`, 1},
	"Liveness": {
		func(s *Spec) {
			s.Liveness = &Probe{Handler: Handler{HTTP: &HTTPGet{"/a", 1, "h", "HTTPS", []Header{{"n", "v"}}}}}
		},
		`"liveness":{"httpGet":{"path":"/a","port":1,"host":"h","scheme":"HTTPS","httpHeaders":[{"name":"n","value":"v"}]}}`, 1,
	},
	"Readiness":     {func(s *Spec) { s.Readiness = &Probe{Handler: Handler{TCP: &TCPSocket{Port: 1}}} }, `"readiness":{"tcpSocket":{"port":1}}`, 1},
	"PostStart":     {func(s *Spec) { s.PostStart = &Handler{Exec: &Exec{[]string{"a"}}} }, `"postStart":{"exec":{"command":["a"]}}`, 1},
	"PreStop":       {func(s *Spec) { s.PreStop = &Handler{Sleep: &Sleep{3}} }, `"preStop":{"sleep":{"seconds":3}}`, 1},
	"RequestSignal": {func(s *Spec) { s.RequestSignal = syscall.SIGQUIT }, `"requestSignal":"SIGQUIT"`, 1},
	"MessagePath":   {func(s *Spec) { s.MessagePath = "/tmp/m" }, `"messagePath":"/tmp/m"`, 1},

	"ReadyEndpoints": {func(s *Spec) { s.ReadyEndpoints = map[string]string{"q": "tcp://h:1", "p": "dns://h"} }, `"readyEndpoints":{"p":"dns://h","q":"tcp://h:1"}`, 2},
	"Delegated": {
		func(s *Spec) {
			s.Delegated = []Delegation{
				{"p", Request{"GET", "http://h/"}, StopAny, []Dependency{{"main", Exited, false}}},
				{"q", Request{"PUT", "http://h/"}, StopAll, []Dependency{{"main", Succeeded, false}, {"b", Failed, false}}},
			}
		},
		`"delegated":[{"container":"p","request":"GET http://h/","stopDeps":["main=exited"]},{"container":"q","request":"PUT http://h/","stopWhen":"all","stopDeps":["main=succeeded","b=failed"]}]`, 2,
	},
	"Environ":  {func(s *Spec) { s.Environ = map[string]string{"GODEBUG": "a=b", "A": ""} }, `"environ":{"A":"","GODEBUG":"a=b"}`, 1},
	"Commands": {func(s *Spec) { s.Commands = map[string][]string{"linux/b": {}, "linux/a": {"x", ""}} }, `"commands":{"linux/a":["x",""],"linux/b":[]}`, 1},
}

func TestEveryFieldIsWrittenAndReadBack(t *testing.T) {
	for field := range reflect.TypeFor[Spec]().Fields() {
		name := field.Name
		t.Run(name, func(t *testing.T) {
			tt, found := written[name]
			if !found {
				t.Fatal("the table does not have this field")
			}
			s := Default()
			if name == "Delegated" {
				s.Container = "main"
			}
			tt.set(&s)
			text := s.Encode()
			if !strings.Contains(text, tt.json) {
				t.Errorf("have %s\nwant %s", text, tt.json)
			}
			if version := fmt.Sprintf(`{"version":%d,`, tt.version); !strings.HasPrefix(text, version) {
				t.Errorf("have %s, want version %d", text, tt.version)
			}
			again, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, again); diff != "" {
				t.Errorf("parsed again (-first +second):\n%s", diff)
			}
			if cmp.Equal(Default(), again) {
				t.Error("the table sets nothing")
			}
		})
	}
}

// TestTheWebhookWritesEveryFieldThatIsRead compares the names in JSON: a field that
// one side alone has would be lost, or be rejected by the wrapper.
func TestTheWebhookWritesEveryFieldThatIsRead(t *testing.T) {
	var writes []string
	for field := range reflect.TypeFor[wire]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		writes = append(writes, name)
	}
	slices.Sort(writes)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fields)), writes); diff != "" {
		t.Errorf("(-read +written):\n%s", diff)
	}
	for alias, field := range aliases {
		if _, read := fields[field]; !read || slices.Contains(writes, alias) {
			t.Errorf("%s is another name of %s", alias, field)
		}
	}
}

func TestUnsetFieldsAreNotWritten(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"empty lists": func(s *Spec) {
			s.StartDeps, s.StopDeps, s.StartEndpoints, s.ExitHTTP = []Dependency{}, []Dependency{}, []Endpoint{}, []Request{}
			s.RestartWith, s.EnvFiles, s.Wrapped, s.HoldFor = []string{}, []EnvFile{}, []string{}, []string{}
			s.ReadyProbes, s.Delegated = []Probe{}, []Delegation{}
		},
		"empty maps": func(s *Spec) {
			s.ReadyEndpoints, s.Environ, s.Commands = map[string]string{}, map[string]string{}, map[string][]string{}
		},
		"rules of no policy": func(s *Spec) { s.Restart = Restart{Rules: []RestartRule{{Action: "Restart"}}} },
		"words that are not set": func(s *Spec) {
			s.StopWhen, s.OnStartTimeout, s.ReadyWhen, s.Mode, s.LogLevel, s.Source, s.MessagePath = "", "", "", "", "", "", ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := with(change)
			if have, want := s.Encode(), Default().Encode(); have != want {
				t.Errorf("have %s\nwant %s", have, want)
			}
			if again, err := Parse(s.Encode()); err != nil || !cmp.Equal(again, Default()) {
				t.Errorf("read as %+v, %v", again, err)
			}
		})
	}
}

// random returns a random spec, valid or not.
func random(r *rand.Rand) Spec {
	s := Default()
	if r.IntN(2) == 0 {
		s.Container = "main"
	}
	names := strings.Fields("a b c d-1 e2")
	some := func(do func(name string)) {
		for _, i := range r.Perm(len(names))[:r.IntN(len(names))] {
			do(names[i])
		}
	}
	pick := func(c ...Condition) Condition { return c[r.IntN(len(c))] }
	some(func(name string) {
		s.StartDeps = append(s.StartDeps, Dependency{name, pick(Started, Ready, Exited, Succeeded), r.IntN(2) == 0})
	})
	some(func(name string) {
		s.StopDeps = append(s.StopDeps, Dependency{name, pick(Exited, Succeeded, Failed), false})
	})
	some(func(name string) {
		s.StartEndpoints = append(s.StartEndpoints, Endpoint{"tcp://" + name + ":1", r.IntN(2) == 0})
	})
	some(func(name string) { s.EnvFiles = append(s.EnvFiles, EnvFile{"/run/" + name, r.IntN(2) == 0}) })
	some(func(name string) { s.HoldFor = append(s.HoldFor, name) })
	s.StartTimeout = time.Duration(r.Int64N(int64(time.Hour)))
	s.StopTimeout = time.Duration(r.Int64N(int64(time.Hour)))
	s.StopSignal = syscall.Signal(r.IntN(66))
	s.DependencySignal = syscall.Signal(r.IntN(66))
	s.RequestSignal = syscall.Signal(r.IntN(66))
	s.StoppedExitCode, s.KilledExitCode = ExitCode(r.IntN(257)-1), ExitCode(r.IntN(257)-1)
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if r.IntN(8) == 0 {
			written[name].set(&s)
		}
	}
	return s
}

// TestASpecWithoutProblemsIsReadAsItWasWritten checks, encodes and parses
// random specs: Parse and Check find the same problems, and Parse changes
// nothing.
func TestASpecWithoutProblemsIsReadAsItWasWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	right := 0
	for range 3000 {
		s := random(r)
		text := s.Encode()
		if !json.Valid([]byte(text)) || strings.Contains(text, "\n") || text != s.Encode() {
			t.Fatalf("not one line of JSON, or not always the same: %s", text)
		}
		again, err := Parse(text)
		if err != nil {
			continue
		}
		right++
		if problems := s.Check(); len(problems) > 0 {
			t.Fatalf("%s is accepted, but the spec has problems: %v", text, problems)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("%s (-written +read):\n%s", text, diff)
		}
	}
	if right < 300 {
		t.Errorf("only %d specs had no problems", right)
	}
}
