package record

import (
	"path/filepath"
	"testing"
)

func TestStartsAreCountedOverAllIncarnations(t *testing.T) {
	p := onePod{t, t.TempDir()}
	place(t, p.dir, "proxy")
	ended := func(want int) {
		t.Helper()
		peer, err := Read(filepath.Join(p.dir, "proxy"))
		if err != nil || peer.Ended(true) != want {
			t.Errorf("ended %d times, want %d: %+v, %v", peer.Ended(true), want, peer.State, err)
		}
	}
	run := func(r *Record) {
		t.Helper()
		for _, s := range []State{{Phase: "running", Started: true}, {Phase: "stopping", Started: true, Stopping: true}} {
			if err := r.Update(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := p.begin("proxy", never)
	ended(0)
	run(r)
	ended(0)
	p.exit(r, 3)
	ended(1)
	r = p.begin("proxy", never) // its command never runs
	ended(1)
	if err := r.Update(State{Phase: "exited", Exit: &Exit{Code: 69}}); err != nil {
		t.Fatal(err)
	}
	p.kill(r)
	ended(1)
	r = p.begin("proxy", never)
	run(r)
	ended(1)
	p.kill(r)
	ended(2)
	r = p.begin("proxy", never)
	ended(2)
	if err := r.Update(State{Phase: "running", Started: true, Process: &Process{}}); err != nil { // about to replace the wrapper
		t.Fatal(err)
	}
	ended(2)
	p.kill(r)
}

func TestACommandInTheWrappersPlaceMayLiveWithoutItsRecord(t *testing.T) {
	p := Peer{State: State{Started: true, Starts: 2, Process: &Process{}}}
	if p.Ended(true) != 1 || p.Ended(false) != 2 {
		t.Errorf("ended %d and %d times, want 1 where it lives and 2 where not", p.Ended(true), p.Ended(false))
	}
}
