package command

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/spec"
)

// variables returns getenv for an environment.
func variables(all map[string]string) func(string) string {
	return func(name string) string { return all[name] }
}

func TestTheSpecIsReadFromTheEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		environ map[string]string
		signal  syscall.Signal // of the parsed spec
		want    string         // the error; "": none
	}{
		"no spec":                             {nil, 0, ""},
		"an empty spec":                       {map[string]string{spec.Env: ""}, 0, ""},
		"a spec":                              {map[string]string{spec.Env: `{"stopSignal":"INT"}`}, syscall.SIGINT, ""},
		"by the misspelled name":              {map[string]string{spec.EnvMisspelt: `{"stopSignal":"INT"}`}, syscall.SIGINT, ""},
		"one of the two is empty":             {map[string]string{spec.Env: `{"stopSignal":"INT"}`, spec.EnvMisspelt: ""}, syscall.SIGINT, ""},
		"both":                                {map[string]string{spec.Env: `{}`, spec.EnvMisspelt: `{}`}, 0, "KOORDINATOR_SPEC and KOOORDINATOR_SPEC are both set: keep KOORDINATOR_SPEC"},
		"a wrong field and a correct one":     {map[string]string{spec.Env: `{"stopSignal":"INT","mode":"x"}`}, syscall.SIGINT, `KOORDINATOR_SPEC: mode: "x" is not a valid value. Use one of supervise, exec [KO119]`},
		"a wrong spec by the misspelled name": {map[string]string{spec.EnvMisspelt: `[]`}, 0, "KOOORDINATOR_SPEC: [] is not a JSON object. Write {…} [KO104]"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := command{getenv: variables(tt.environ)}.spec()
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("have %v, want %q", err, tt.want)
			}
			want := spec.Default()
			want.StopSignal = tt.signal
			if diff := cmp.Diff(want, s); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestTheCommandsEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		kept    map[string]string // the spec's Environ
		want    []string
	}{
		"none": {nil, nil, nil},
		"all but the wrapper's variables": {
			[]string{"A=b", "KOORDINATOR_SPEC={}", "KOOORDINATOR_SPEC={}", "KOORDINATOR_POD_NAME=web-0", "KOORDINATOR_POD_NAMESPACE=shop", "KOORDINATOR_POD_IP=10.0.0.1", "Z="},
			nil,
			[]string{"A=b", "Z="},
		},
		"a name that begins as one of them": {[]string{"KOORDINATOR_SPECIAL=1", "KOORDINATOR=2", "koordinator_spec=3"}, nil, []string{"KOORDINATOR_SPECIAL=1", "KOORDINATOR=2", "koordinator_spec=3"}},
		"variables from the spec":           {[]string{"GODEBUG=", "A=b"}, map[string]string{"GODEBUG": "x=1,y=2", "GOMAXPROCS": "1"}, []string{"GODEBUG=x=1,y=2", "A=b"}},
		"a value that is empty again":       {[]string{"GODEBUG=http2client=0"}, map[string]string{"GODEBUG": ""}, []string{"GODEBUG="}},
		"the order, and names set twice":    {[]string{"B=1", "A=2", "B=3"}, nil, []string{"B=1", "A=2", "B=3"}},
		"values with equals signs":          {[]string{"A=b=c"}, nil, []string{"A=b=c"}},
		"entries that are not variables":    {[]string{"A", "=b", ""}, nil, []string{"A", "=b", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			have := command{environ: tt.environ}.childEnviron(spec.Spec{Environ: tt.kept})
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

// TestPrecedenceOfVariables sets the same name in the pod, in a file, and by
// the wrapper.
func TestPrecedenceOfVariables(t *testing.T) {
	k := kernel{environ: []string{"A=pod", "B=pod", "C=pod"}, own: []envfile.Variable{{Name: "C", Value: "wrapper"}, {Name: "D", Value: "wrapper"}}}
	have := map[string]string{}
	for _, variable := range k.commandEnviron([]envfile.Variable{{Name: "B", Value: "file"}, {Name: "C", Value: "file"}, {Name: "E", Value: "file"}}) {
		have[variable[:1]] = variable[2:]
	}
	want := map[string]string{"A": "pod", "B": "file", "C": "wrapper", "D": "wrapper", "E": "file"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if k.environ[2] != "C=pod" {
		t.Error("the environment of hooks and probes has changed")
	}
}

func TestTheTerminationMessageIsWrittenToAnEmptyFile(t *testing.T) {
	for name, tt := range map[string]struct {
		path string // of the spec
		make func(path string) error
		want string
	}{
		"an empty file":            {spec.Message, func(path string) error { return os.WriteFile(path, nil, 0o600) }, "why\n"},
		"the command has left one": {spec.Message, func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) }, "mine"},
		"another path":             {"/dev/other", func(path string) error { return os.WriteFile(path, nil, 0o600) }, ""},
		"no path":                  {"", func(path string) error { return os.WriteFile(path, nil, 0o600) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := command{message: filepath.Join(t.TempDir(), "message")}
			if err := tt.make(c.message); err != nil {
				t.Fatal(err)
			}
			c.leaveMessage(spec.Spec{MessagePath: tt.path}, "why")
			if have, err := os.ReadFile(c.message); err != nil || string(have) != tt.want {
				t.Errorf("have %q, %v, want %q", have, err, tt.want)
			}
		})
	}
	t.Run("the kubelet has made no file", func(t *testing.T) {
		c := command{message: filepath.Join(t.TempDir(), "message")}
		c.leaveMessage(spec.Default(), "why")
		if _, err := os.Stat(c.message); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("have %v, want no file", err)
		}
	})
	t.Run("a pipe without a reader", func(t *testing.T) {
		c := command{message: filepath.Join(t.TempDir(), "message")}
		if err := syscall.Mkfifo(c.message, 0o600); err != nil {
			t.Fatal(err)
		}
		c.leaveMessage(spec.Default(), "why") // must not block
	})
}

func TestTheStatusIsRequiredOnlyIfADependencyNeedsIt(t *testing.T) {
	unknown := errors.New("pod name unknown")
	c := command{api: func(func(string) string) (podstatus.Config, error) { return podstatus.Config{}, unknown }}
	for text, want := range map[string]error{
		`{}`:                                           nil,
		`{"startDeps":"a"}`:                            unknown,
		`{"stopDeps":"a"}`:                             unknown,
		`{"startDeps":"a","wrapped":["a"]}`:            nil,
		`{"startDeps":"a","source":"pod"}`:             unknown,
		`{"startDeps":"dns://h"}`:                      nil,
		`{"holdFor":["a"],"wrapped":["a"]}`:            nil,
		`{"startDeps":"a","wrapped":["b"]}`:            unknown,
		`{"stopDeps":"a, b","wrapped":["a"]}`:          unknown,
		`{"envFiles":"/a","exitHTTP":"GET http://h/"}`: nil,
	} {
		s, err := spec.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		status, err := c.statusSource(wrapper.Config{Spec: s, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, want) || (err == nil) != (want == nil) || (status == nil) != (want != nil) {
			t.Errorf("%s: have %v, want %v", text, err, want)
		}
		if status == nil {
			continue
		}
		if err := status(t.Context(), nil, nil); !errors.Is(err, unknown) {
			t.Errorf("%s: the last resort that is not there ends with %v", text, err)
		}
	}
}

func TestARecordRequiresItsDirectory(t *testing.T) {
	dir, peers, log := t.TempDir(), t.TempDir(), slog.New(slog.DiscardHandler)
	if r := openRecord(filepath.Join(dir, "nowhere"), peers, spec.Default(), log); r != nil {
		t.Error("a record was made where there is no place for it")
	}
	if r := openRecord(programFile(t, "no directory"), peers, spec.Default(), log); r != nil {
		t.Error("a record was made in a file")
	}
	if r := openRecord(dir, peers, spec.Default(), log); r == nil {
		t.Error("no record was made in its place")
	}
	if _, err := os.Stat(filepath.Join(dir, "record")); err != nil {
		t.Error(err)
	}
}
