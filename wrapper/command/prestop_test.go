package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// recorded creates a record in this state for an invocation.
func (i *invoked) recorded(t *testing.T, state record.State) *record.Record {
	t.Helper()
	if err := os.Mkdir(i.recordDir, 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := record.Create(i.recordDir, "", spec.Restart{})
	if err == nil {
		err = r.Update(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	keepOpen(t, r)
	return r
}

func TestTheCodeOfAPreStopHook(t *testing.T) {
	hook := func(words ...string) string {
		return `{"preStop":{"exec":{"command":["` + strings.Join(words, `","`) + `"]}}}`
	}
	for name, tt := range map[string]struct {
		text string
		code int
		err  string // part of standard error; "": standard error is empty
	}{
		"no hook":                    {`{}`, 0, ""},
		"a hook that succeeds":       {hook("true"), 0, ""},
		"a hook that fails":          {hook("sh", "-c", "exit 9"), 9, ""},
		"a hook that ends by signal": {hook("sh", "-c", "kill -TERM $$"), 143, ""},
		"a hook that is no program":  {hook("/nowhere/hook"), 1, "koordinator: preStop hook: "},
		"a pause of no time":         {`{"preStop":{"sleep":{"seconds":0}}}`, 0, ""},
		"a socket does nothing":      {`{"preStop":{"tcpSocket":{"port":1,"host":"127.0.0.1"}}}`, 0, ""},
		"a request to a closed port": {`{"preStop":{"httpGet":{"port":1,"host":"127.0.0.1"}}}`, 1, "koordinator: preStop hook: "},
		"a wrong spec":               {`{"preStop":{}}`, 64, "koordinator: KOORDINATOR_SPEC: preStop: it has no kind, or several"},
	} {
		t.Run(name, func(t *testing.T) {
			i := invoke(t, tt.text, "koordinator", "prestop")
			i.recorded(t, record.State{Phase: "running", Started: true})
			if code := i.main(); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			if have := i.err.String(); !strings.Contains(have, tt.err) || (have == "") != (tt.err == "") {
				t.Errorf("written %q, want %q", have, tt.err)
			}
			if p, err := record.Read(i.recordDir); err != nil || p.Stopping != (tt.code != 64) {
				t.Errorf("the record shows the stop: %t, %v", p.Stopping, err)
			}
		})
	}
}

// TestAHookRunsWithoutARecord uses a hook that creates a file.
func TestAHookRunsWithoutARecord(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	i := invoke(t, fmt.Sprintf(`{"preStop":{"exec":{"command":["touch",%q]}}}`, trace), "koordinator", "prestop")
	if code := i.main(); code != 0 {
		t.Errorf("code %d", code)
	}
	if !strings.Contains(i.err.String(), "other containers do not know that this one is stopping: ") {
		t.Errorf("written %q", i.err.String())
	}
	if _, err := os.Stat(trace); err != nil {
		t.Error(err)
	}
}

// TestTheStopIsNotedBeforeTheHookRuns uses a hook that fails without the note.
func TestTheStopIsNotedBeforeTheHookRuns(t *testing.T) {
	i := invoke(t, "", "koordinator", "prestop")
	text := fmt.Sprintf(`{"preStop":{"exec":{"command":["sh","-c","ls %s/stopping-* >/dev/null"]}}}`, i.recordDir)
	i.getenv = variables(map[string]string{spec.Env: text})
	r := i.recorded(t, record.State{Phase: "running", Started: true})
	if r.Noted() {
		t.Fatal("a stop is noted before there is one")
	}
	if code := i.main(); code != 0 || !r.Noted() {
		t.Errorf("code %d, noted: %t", code, r.Noted())
	}
}

func TestProgramsBesideTheWrapper(t *testing.T) {
	i := invoke(t, "{}", "koordinator")
	if err := i.exec(t.Context(), []string{"sh", "-c", `test -z "$KOORDINATOR_SPEC"`}); err != nil {
		t.Errorf("a hook has the wrapper's variables: %v", err)
	}
	err := i.exec(t.Context(), []string{"sh", "-c", "exit 3"})
	if exit, ok := errors.AsType[exitError](err); !ok || exit.code != 3 || err.Error() != `"sh": exit code 3` {
		t.Errorf("have %v, want exit code 3", err)
	}
	i = invoke(t, "[]", "koordinator")
	if err := i.exec(t.Context(), []string{"true"}); err == nil || !strings.Contains(err.Error(), "is not a JSON object") {
		t.Errorf("have %v, want the problem of the spec", err)
	}
}
