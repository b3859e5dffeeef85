package command

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// clockSetBack changes the record in dir to one that was written before somebody
// set the clock back by an hour: what it says of the clock is in the future. The
// file stays the same, so its locks do.
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

// inPod is an invocation in a container with a spec and a record, which started
// its command.
func inPod(t *testing.T, text string) (command, *record.Record) {
	t.Helper()
	dir := t.TempDir()
	r, err := record.Create(dir, t.TempDir(), spec.Restart{})
	if err != nil {
		t.Fatal(err)
	}
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
