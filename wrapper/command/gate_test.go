package command

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// clockSetBack changes the record in dir into one that was written before the
// clock was set back by an hour: its clock times are in the future. The file
// stays the same, and so do its locks.
func clockSetBack(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "record")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clock := regexp.MustCompile(`"20[^"]*T[^"]*"`)
	later := clock.ReplaceAllFunc(text, func(old []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(old))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(`"` + at.Add(time.Hour).Format(time.RFC3339Nano) + `"`)
	})
	if string(later) == string(text) {
		t.Fatalf("no time in %s", text)
	}
	if err := os.WriteFile(path, later, 0o644); err != nil {
		t.Fatal(err)
	}
}

// keepOpen keeps a record until the end of the test. Otherwise, the garbage
// collector would close its files, as if its wrapper had died.
func keepOpen(t *testing.T, r *record.Record) {
	t.Cleanup(func() { runtime.KeepAlive(r) })
}

// inPod returns an invocation in a container with a spec and a record, whose
// command has started.
func inPod(t *testing.T, text string) (command, *record.Record) {
	t.Helper()
	dir := t.TempDir()
	r, err := record.Create(dir, t.TempDir(), spec.Restart{})
	if err != nil {
		t.Fatal(err)
	}
	keepOpen(t, r)
	c := command{recordDir: dir, getenv: func(name string) string {
		if name == spec.Env {
			return text
		}
		return ""
	}}
	return c, r
}

func TestA16ClockSetBackAfterTheStart(t *testing.T) {
	for name, text := range map[string]string{
		"the liveness probe's delay": `{"livenessDelay":"1ms"}`,
		"its own startup probe":      `{"startupProbe":{"exec":{"command":["true"]},"initialDelaySeconds":0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, r := inPod(t, text)
			if err := r.Update(record.State{Phase: "running", Started: true}); err != nil {
				t.Fatal(err)
			}
			clockSetBack(t, c.recordDir)
			passed := make(chan error, 1)
			go func() { passed <- c.passGate(time.Now().Add(gateFor)) }()
			select {
			case err := <-passed:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("the gate is still shut")
			}
		})
	}
	t.Run("what it says while it is shut", func(t *testing.T) {
		c, _ := inPod(t, `{}`)
		clockSetBack(t, c.recordDir)
		if err := c.passGate(time.Now().Add(gateFor)); err == nil || !regexp.MustCompile(`^not started yet, \d+s$`).MatchString(err.Error()) {
			t.Fatalf("have %v", err)
		}
	})
}

// TestTheGateWaitsForTheReport calls the gate before and after the command's
// notification.
func TestTheGateWaitsForTheReport(t *testing.T) {
	c, r := inPod(t, `{"readyWhen":"notify"}`)
	if err := r.Update(record.State{Phase: "running", Started: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.passGate(time.Now()); err == nil || !strings.HasSuffix(err.Error(), " ago, "+spec.NoNotice) || !strings.HasPrefix(err.Error(), "started ") {
		t.Errorf("have %v, want that it has not reported", err)
	}
	if err := r.Update(record.State{Phase: "running", Started: true, Ready: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.passGate(time.Now()); err != nil {
		t.Errorf("have %v, want an open gate", err)
	}
}

// TestTheGateKeepsTheLivenessProbesDelay uses a delay that outlasts the call,
// and a container that is ready earlier.
func TestTheGateKeepsTheLivenessProbesDelay(t *testing.T) {
	const delay = `"livenessDelay":"1h"`
	for name, tt := range map[string]struct {
		text  string
		ready bool
		want  string
	}{
		"it is not over":                 {`{` + delay + `}`, false, "the liveness probe begins 1h0m0s after the start"},
		"it is ready, but has no probes": {`{` + delay + `}`, true, "the liveness probe begins 1h0m0s after the start"},
		"it has probes that fail":        {`{` + delay + `,"readyProbes":[{"exec":{"command":["true"]}}]}`, false, "the liveness probe begins 1h0m0s after the start"},
		"it has probes that have passed": {`{` + delay + `,"readyProbes":[{"exec":{"command":["true"]}}]}`, true, ""},
		"there is none":                  {`{}`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := inPod(t, tt.text)
			if err := r.Update(record.State{Phase: "running", Started: true, Ready: tt.ready}); err != nil {
				t.Fatal(err)
			}
			err := c.passGate(time.Now().Add(-time.Second))
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("have %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheGateReportsAWrongSpec(t *testing.T) {
	i := invoke(t, `{"mode":7}`, "koordinator", "gate")
	if code := i.main(); code != 1 || !strings.HasPrefix(i.out.String(), `KOORDINATOR_SPEC: mode: "7" is not a valid value`) || i.err.Len() > 0 {
		t.Errorf("code %d, printed %q and %q", code, i.out.String(), i.err.String())
	}
}
