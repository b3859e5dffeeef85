package record

import (
	"path/filepath"
	"testing"
	"time"
)

// TestA9ACommandInTheWrappersPlaceIsStartedOnlyOnceItRuns follows a wrapper
// that replaces itself with a program.
func TestA9ACommandInTheWrappersPlaceIsStartedOnlyOnceItRuns(t *testing.T) {
	replacing := func(t *testing.T, program string) (f *follower, at string, next func()) {
		t.Setenv("RECORD_TEST_REPLACE", program)
		dir := t.TempDir()
		at = place(t, dir, "peer")
		next, _ = wrapperProcess(t, at)
		f = follow(t, dir, "peer")
		f.until(t, "waiting", func(s Snapshot) bool { return s["peer"].Phase == "waiting" })
		next()
		p := f.until(t, "starting", func(s Snapshot) bool { return s["peer"].Phase == "starting" })["peer"]
		if p.Started || p.Ready || p.Process != nil || !p.StartedAt.IsZero() || !p.Alive {
			t.Fatalf("before the execution: %+v", p)
		}
		return f, at, next
	}
	t.Run("it runs", func(t *testing.T) {
		f, at, next := replacing(t, "/bin/sleep")
		passed := gate(at, time.Minute)
		still(t, passed)
		next()
		f.until(t, "started", func(s Snapshot) bool { p := s["peer"]; return p.Started && p.Ready && p.Alive && p.Process != nil })
		if err := result(t, passed); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("it cannot be run", func(t *testing.T) {
		f, at, next := replacing(t, filepath.Join(t.TempDir(), "missing"))
		passed := gate(at, 200*time.Millisecond)
		next()
		p := f.until(t, "exited", func(s Snapshot) bool {
			if s["peer"].Started {
				t.Errorf("started: %+v", s["peer"])
			}
			return s["peer"].Exit != nil
		})["peer"]
		if p.Started || p.Ready || p.Exit.Code != 127 {
			t.Errorf("after it failed: %+v", p)
		}
		if err := result(t, passed); err == nil {
			t.Error("the gate passed")
		}
	})
}

func TestA9OnAFullVolume(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	state := State{Phase: "running", Started: true, Process: &Process{}}
	if r.file, r.shut, err = r.overwrite(state, encode(state)); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(dir); err != nil || p.Started || !p.Alive {
		t.Fatalf("have %+v, %v, want one that is about to start", p, err)
	}
	r.shut.Close()
	if p, err := Read(dir); err != nil || !p.Started || !p.Alive {
		t.Fatalf("have %+v, %v, want one that was started", p, err)
	}
}

// TestA16AMomentIsComparedByTheTimeSinceTheStartOfTheMachine checks that
// moments do not depend on the wall clock.
func TestA16AMomentIsComparedByTheTimeSinceTheStartOfTheMachine(t *testing.T) {
	m := Now()
	m.Wall = m.Wall.Add(time.Hour) // the clock has been set back since
	if age := m.Age(); age < 0 || age > time.Minute {
		t.Errorf("age %s", age)
	}
	if local := m.Local(); local.After(time.Now()) || time.Since(local) > time.Minute {
		t.Errorf("local %s", local)
	}
	if m.IsZero() || !(Moment{}).IsZero() {
		t.Error("zero is not what is none")
	}
}
