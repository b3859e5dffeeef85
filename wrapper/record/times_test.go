package record

import (
	"os"
	"path/filepath"
	"testing"
)

// TestARecordSaysWhenEachThingBegan also checks that a record keeps the first
// time of each.
func TestARecordSaysWhenEachThingBegan(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	set := func(s State) [4]bool {
		t.Helper()
		if err := r.Update(s); err != nil {
			t.Fatal(err)
		}
		p, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		return [4]bool{!p.StartedAt.IsZero(), !p.ReadyAt.IsZero(), !p.StoppingAt.IsZero(), !p.ExitedAt.IsZero()}
	}
	exit := &Exit{Code: 0}
	for _, step := range []struct {
		state State
		want  [4]bool
	}{
		{State{Phase: "waiting"}, [4]bool{}},
		{State{Phase: "running", Started: true}, [4]bool{true}},
		{State{Phase: "running", Started: true, Ready: true}, [4]bool{true, true}},
		{State{Phase: "stopping", Started: true, Ending: true, StoppedBy: "main"}, [4]bool{true, true, true}},
		{State{Phase: "exited", Started: true, Ending: true, StoppedBy: "main", Exit: exit}, [4]bool{true, true, true, true}},
	} {
		if have := set(step.state); have != step.want {
			t.Errorf("%+v: times of start, readiness, stop and exit: %v, want %v", step.state, have, step.want)
		}
	}
	before, _ := Read(dir)
	set(State{Phase: "leaving", Started: true, Ready: true, Stopping: true, StoppedBy: "main", Exit: exit})
	after, _ := Read(dir)
	if after.StartedAt != before.StartedAt || after.ReadyAt != before.ReadyAt || after.StoppingAt != before.StoppingAt || after.ExitedAt != before.ExitedAt {
		t.Errorf("the times changed from %+v to %+v", before, after)
	}
	if before.StoppedBy != "main" || before.StateSince == after.StateSince {
		t.Errorf("stopped by %q; the state began at %v and at %v", before.StoppedBy, before.StateSince, after.StateSince)
	}
}

func TestACommandThatExitsByItselfWasNotStopped(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "exited", Started: true, Ending: true, Exit: &Exit{Code: 3}}); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(dir); err != nil || !p.StoppingAt.IsZero() || p.ExitedAt.IsZero() {
		t.Errorf("%v: %+v", err, p.State)
	}
}

// TestFieldsOfALaterReleaseAreIgnored covers a container that was restarted
// with a later release of the wrapper, which may write more fields.
func TestFieldsOfALaterReleaseAreIgnored(t *testing.T) {
	dir := t.TempDir()
	text := `{"phase":"running","since":{"wall":"2026-01-02T03:04:05Z","boot":5,"more":1},"started":true,"readyAt":{"wall":"2026-01-02T03:04:05Z","boot":6},"mood":{"good":true}}`
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := Read(dir)
	if err != nil || p.Phase != "running" || !p.Started || p.ReadyAt.Boot != 6 {
		t.Errorf("%v: %+v", err, p.State)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil {
		t.Error("two values are taken for a record")
	}
}
