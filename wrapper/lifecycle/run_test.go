package lifecycle

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// debt is what the driver still owes the machine.
type debt uint8

const (
	oweStart debt = 1 << iota // the answer to Start
	oweSweep
	owePostStart
	owePreStop
	oweStop // the answer to stopHTTP
	oweExit // the answer to exitHTTP
)

// run is one incarnation under a monitor, with a driver that takes its time.
type run struct {
	machine Machine
	monitor monitor
	timers  uint32 // those that are set, a bit for each
	owes    debt
	inPlace bool // the command may take the wrapper's place now
}

// newRun is an incarnation that has begun.
func newRun(s spec.Spec) (run, error) {
	r := run{machine: *New(s, false)}
	err := r.take(Begin{})
	return r, err
}

// clone is a copy that shares nothing that changes.
func (r *run) clone() run {
	c := *r
	c.machine.waiting = slices.Clip(c.machine.waiting)
	c.machine.dropped = slices.Clip(c.machine.dropped)
	c.machine.complained = slices.Clip(c.machine.complained)
	return c
}

// take lets an event happen.
func (r *run) take(e Event) error {
	switch e := e.(type) {
	case Fired:
		r.timers &^= 1 << e.Timer
	case Started, StartFailed:
		r.owes &^= oweStart
		r.inPlace = false
	case Swept:
		r.owes &^= oweSweep
	case HookDone:
		r.owes &^= map[Hook]debt{PostStart: owePostStart, PreStop: owePreStop}[e.Hook]
	case StopSent:
		r.owes &^= oweStop
	case ExitSent:
		r.owes &^= oweExit
	}
	acts := r.machine.Handle(e)
	for _, a := range acts {
		r.perform(a)
	}
	err := r.monitor.take(r.machine.spec, r.machine.facts, e, acts)
	return errors.Join(err, r.monitor.told(r.machine.Report()), r.drop())
}

// The timers of each part of a run, a bit for each.
const (
	waitingTimers  = 1<<StartTimeout | 1<<UnheardTimer
	keptTimers     = 1<<HoldMomentTimer | 1<<HoldBudget | 1<<StopDelay | 1<<HintTimer | 1<<UnseenTimer | 1<<DoubtTimer | 1<<NoteTimer
	stoppingTimers = 1<<PreStopTimeout | 1<<StopSignalTimer | 1<<StopTimeout | 1<<OverdueTimer
)

// dead are the timers that nothing can come of any more in a state, nor in those
// that may follow it.
func dead(s State) uint32 {
	switch {
	case s <= Starting:
		return 0
	case s <= Delaying:
		return waitingTimers
	case s <= Stopping:
		return waitingTimers | keptTimers
	case s == Killing:
		return waitingTimers | keptTimers | stoppingTimers
	default:
		return ^uint32(1<<SweepTimer | 1<<LeaveTimer)
	}
}

// drop forgets the timers that are set and dead, once each has been seen to do
// nothing.
func (r *run) drop() error {
	set := r.timers & dead(r.machine.state)
	if set == 0 {
		return nil
	}
	before := r.key()
	for t := StartTimeout; t <= OverdueTimer; t++ {
		if set&(1<<t) == 0 {
			continue
		}
		late := r.clone()
		if acts := late.machine.Handle(Fired{t}); len(acts) > 0 || late.key() != before {
			return fmt.Errorf("timer %d does something although it is late: %+v", t, acts)
		}
	}
	r.timers &^= set
	return nil
}

func (r *run) perform(a Action) {
	switch a := a.(type) {
	case Start:
		r.owes |= oweStart
		r.inPlace = a.InPlace
	case SetTimer:
		r.timers |= 1 << a.Timer
	case RunHook:
		r.owes |= map[Hook]debt{PostStart: owePostStart, PreStop: owePreStop}[a.Hook]
	case SendStop:
		r.owes |= oweStop
	case SendExit:
		r.owes |= oweExit
	case Sweep:
		r.owes |= oweSweep
		if a.Signal == syscall.SIGKILL {
			r.owes &^= oweSweep
		}
	}
}

// due are the events that come whatever others do: answers, and timers in any
// order at all. The command's end is not among them.
func (r *run) due() []Event {
	if r.owes&oweStart != 0 {
		if r.inPlace {
			return []Event{StartFailed{126, "no permission"}}
		}
		return []Event{Started{}, StartFailed{127, "no such file"}}
	}
	var list []Event
	for t := StartTimeout; t <= OverdueTimer; t++ {
		if r.timers&(1<<t) != 0 {
			list = append(list, Fired{t})
		}
	}
	for _, o := range []struct {
		debt   debt
		events []Event
	}{
		{oweSweep, []Event{Swept{}}},
		{owePostStart, []Event{HookDone{Hook: PostStart}, HookDone{PostStart, "exit code 1"}}},
		{owePreStop, []Event{HookDone{Hook: PreStop}, HookDone{PreStop, "exit code 1"}}},
		{oweStop, []Event{StopSent{}, StopSent{"connection refused"}}},
		{oweExit, []Event{ExitSent{}}},
	} {
		if r.owes&o.debt != 0 {
			list = append(list, o.events...)
		}
	}
	return list
}

// ends are the ways in which the command can end now.
func (r *run) ends() []Event {
	switch m := r.monitor; {
	case !m.running:
		return nil
	case m.killed:
		return []Event{Exited{137}, Unkillable{"no permission"}}
	case m.asked:
		return []Event{Exited{0}, Exited{1}, Exited{143}}
	default:
		return []Event{Exited{0}, Exited{1}}
	}
}

// runKey tells two runs of one spec apart.
type runKey struct {
	state                                       State
	waiting, dropped, complained                string
	guessed, confirmed, requested, killed, done bool
	doubts, hinted, noted, blind, deaf          bool
	hearing, overdue, late                      bool
	certain                                     string
	asked                                       syscall.Signal
	why                                         string
	cause                                       cause
	exit                                        Exit
	monitor                                     monitor
	timers                                      uint32
	owes                                        debt
	inPlace                                     bool
}

// keyed are the machine's fields that runKey holds. The spec does not change, nor
// does what the runtime's signal is; the facts are part of the surroundings' own
// key.
var keyed = []string{
	"spec", "terminal", "requestSignal", "state", "facts", "waiting", "dropped", "complained", "noted", "late", "blind", "hearing", "deaf", "overdue", "doubts", "certain", "guessed", "asked",
	"hinted", "confirmed", "why", "cause", "requested", "killed", "started", "exit",
}

func (r *run) key() runKey {
	m := &r.machine
	return runKey{
		state: m.state, waiting: strings.Join(m.waiting, ","), dropped: strings.Join(m.dropped, ","),
		complained: strings.Join(m.complained, ","), doubts: m.doubts, certain: strings.Join(m.certain, ","), hinted: m.hinted, guessed: m.guessed, confirmed: m.confirmed,
		requested: m.requested, killed: m.killed, done: m.started, asked: m.asked, why: m.why, cause: m.cause,
		noted: m.noted, blind: m.blind, deaf: m.deaf, hearing: m.hearing, overdue: m.overdue, late: m.late,
		exit: m.exit, monitor: r.monitor, timers: r.timers, owes: r.owes, inPlace: r.inPlace,
	}
}

func TestExplorationKnowsEveryFieldOfTheMachine(t *testing.T) {
	typ := reflect.TypeFor[Machine]()
	var have []string
	for field := range typ.Fields() {
		have = append(have, field.Name)
	}
	if !slices.Equal(have, keyed) {
		t.Errorf("fields %v, want %v: add the new one to runKey, or two states would be taken for one", have, keyed)
	}
}
