package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// world is a machine, the one container it depends on, and what the driver
// still owes it. Exploring takes every event that can come next, from every
// state that can be reached.
type world struct {
	machine  Machine
	peer     Fact // as the machine was told
	timers   map[Timer]bool
	starting bool // a Start is unanswered
	running  bool // the command runs
	sweeping bool
	requests int // stop requests sent

	// What has happened, for the invariants.
	started   bool
	asked     bool // a stop request came
	stopHeld  bool // the stop dependency held at some time
	stopSent  bool
	killed    bool
	childCode int
	gaveUp    bool // the start timeout fired while waiting
	exit      *Exit
}

// key tells two worlds apart.
func (w *world) key() string {
	c := *w
	c.exit = nil
	return fmt.Sprintf("%+v %+v", c, w.exit)
}

func (w *world) clone() *world {
	c := *w
	c.timers = maps.Clone(w.timers)
	c.machine.facts = maps.Clone(w.machine.facts)
	c.machine.waiting = slices.Clone(w.machine.waiting)
	c.machine.dropped = slices.Clone(w.machine.dropped)
	return &c
}

// peers are the ways the container's facts can go on from f.
func peers(f Fact) []Fact {
	switch {
	case f.Exited:
		return nil
	case f.Ready:
		return []Fact{{Started: true}, succeeded, failed} // restarting, or gone for good
	case f.Started:
		return []Fact{ready, succeeded, failed}
	default:
		return []Fact{up, ready, succeeded, failed, {Exited: true, Code: 69}}
	}
}

// events are all that can happen next.
func (w *world) events() []Event {
	if w.starting { // answered before anything else
		return []Event{Started{}, StartFailed{Code: 127, Reason: "not found"}}
	}
	var list []Event
	for _, f := range peers(w.peer) {
		list = append(list, a(f))
	}
	if w.requests < 2 {
		list = append(list, Signal{term})
	}
	for t := range w.timers {
		list = append(list, Fired{t})
	}
	if w.running {
		list = append(list, Exited{0}, Exited{3}, Exited{143})
	}
	if w.machine.state == Killing {
		list = append(list, Unkillable{"no permission"})
	}
	if w.sweeping {
		list = append(list, Swept{})
	}
	return list
}

// take lets an event happen and checks what the machine does about it.
func (w *world) take(t *testing.T, e Event) {
	t.Helper()
	before := w.machine.state
	switch e := e.(type) {
	case Facts:
		w.peer = e["a"]
	case Signal:
		w.asked = true
		w.requests++
	case Fired:
		delete(w.timers, e.Timer)
		w.gaveUp = w.gaveUp || e.Timer == StartTimeout && before == Waiting
	case Started:
		w.starting, w.running = false, true
	case StartFailed:
		w.starting = false
	case Exited:
		w.running, w.childCode = false, e.Code
	case Unkillable:
		w.running = false // with us
	case Swept:
		w.sweeping = false
	}
	w.stopHeld = w.stopHeld || before != Sweeping && before != Done && w.machineStops()
	for _, act := range w.machine.Handle(e) {
		w.perform(t, e, act)
	}
	if w.machine.state == Waiting && w.peer.Exited {
		t.Fatalf("after %+v it still waits, for what has been decided", e)
	}
	if w.running && w.stopHeld && !w.stopSent {
		t.Fatalf("after %+v the stop dependency holds and the command was not asked to stop", e)
	}
}

// machineStops is the stop dependency by its definition.
func (w *world) machineStops() bool {
	for _, d := range w.machine.spec.StopDeps {
		if w.peer.Exited && (d.Condition == spec.Exited || (w.peer.Code == 0) == (d.Condition == spec.Succeeded)) {
			return true
		}
	}
	return false
}

// startable is the start dependency by its definition.
func (w *world) startable() bool {
	for _, d := range w.machine.spec.StartDeps {
		p := w.peer
		ok := map[spec.Condition]bool{
			spec.Started: p.Started, spec.Ready: p.Ready && !p.Exited,
			spec.Exited: p.Exited, spec.Succeeded: p.Exited && p.Code == 0,
		}[d.Condition]
		dropped := d.Optional && (p.Exited || w.gaveUp)
		if !ok && !dropped {
			return false
		}
	}
	return true
}

func (w *world) perform(t *testing.T, e Event, act Action) {
	t.Helper()
	switch act := act.(type) {
	case Start:
		if w.started || w.asked || w.stopHeld || !w.startable() {
			t.Fatalf("after %+v: started, where started=%v asked=%v stopHeld=%v peer=%+v", e, w.started, w.asked, w.stopHeld, w.peer)
		}
		w.started, w.starting = true, true
	case SetTimer:
		w.timers[act.Timer] = true
	case Stop:
		if w.stopSent {
			t.Fatalf("after %+v: asked to stop twice", e)
		}
		w.stopSent = true
	case Kill:
		w.killed = true
	case Forward:
		if !w.running {
			t.Fatalf("after %+v: forwarded %v to nobody", e, act.Signal)
		}
	case Sweep:
		w.sweeping = act.Signal != syscall.SIGKILL
	case Exit:
		if w.exit != nil || w.running {
			t.Fatalf("after %+v: exit %+v, where exit=%v running=%v", e, act, w.exit, w.running)
		}
		w.exit = &act
		w.checkCode(t, e)
	}
}

// checkCode holds the exit code to what the documentation says of it.
func (w *world) checkCode(t *testing.T, last Event) {
	t.Helper()
	var want int
	switch {
	case !w.started && w.asked:
		want = 143
	case !w.started && w.stopHeld:
		want = 11 // stoppedExitCode
	case !w.started && w.gaveUp:
		want = 124
	case !w.started:
		want = 69
	case last == Event(StartFailed{Code: 127, Reason: "not found"}):
		want = 127
	case w.stopHeld && w.killed:
		want = 12 // killedExitCode
	case w.stopHeld:
		want = 11
	default:
		want = w.childCode
	}
	if w.exit.Code != want {
		t.Fatalf("after %+v: exit code %d, want %d (%+v)", last, w.exit.Code, want, *w)
	}
}

// explore visits every world that can be reached and checks that each can end.
func explore(t *testing.T, first *world) int {
	seen := map[string]bool{}
	todo := []*world{first}
	for len(todo) > 0 {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		k := w.key()
		if seen[k] {
			continue
		}
		seen[k] = true
		if w.machine.state == Done && w.exit == nil {
			t.Fatalf("done without an exit code: %+v", *w)
		}
		list := w.events()
		if w.exit == nil && len(list) == 0 {
			t.Fatalf("nothing can end it any more: %+v", *w)
		}
		for _, e := range list {
			next := w.clone()
			next.take(t, e)
			todo = append(todo, next)
		}
	}
	return len(seen)
}

// TestEveryInterleaving explores one machine against everything that can happen
// to it and to the container it depends on.
func TestEveryInterleaving(t *testing.T) {
	starts := []string{"", "a=started", "a=ready", "a=exited", "a=succeeded", "a=ready?", "a=succeeded?"}
	stops := []string{"", "a=exited", "a=succeeded", "a=failed"}
	machines, worlds := 0, 0
	for _, start := range starts {
		for _, stop := range stops {
			for _, delay := range []time.Duration{0, time.Second} {
				for _, timeout := range []time.Duration{0, time.Second} {
					s := spec.Default()
					s.StopDelay, s.StartTimeout = delay, timeout
					s.StoppedExitCode, s.KilledExitCode = 11, 12
					s.StartDeps, s.StopDeps = deps(start), deps(stop)
					w := &world{machine: *New(s, false), timers: map[Timer]bool{}}
					for _, act := range w.machine.Handle(Begin{}) {
						w.perform(t, Begin{}, act)
					}
					machines++
					worlds += explore(t, w)
				}
			}
		}
	}
	t.Logf("%d machines, %d states", machines, worlds)
}

// deps reads one dependency, or none.
func deps(text string) []spec.Dependency {
	if text == "" {
		return nil
	}
	s, err := spec.Parse(fmt.Sprintf(`{"startDeps":[%q]}`, text))
	if err != nil { // a condition that only stop dependencies have
		s, err = spec.Parse(fmt.Sprintf(`{"stopDeps":[%q]}`, text))
		if err != nil {
			panic(err)
		}
		return s.StopDeps
	}
	return s.StartDeps
}
