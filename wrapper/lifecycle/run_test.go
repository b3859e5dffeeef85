package lifecycle

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// debt is the set of answers that the driver still owes the machine.
type debt uint8

const (
	oweStart debt = 1 << iota // the answer to Start
	oweSweep
	owePostStart
	owePreStop
	oweStop // the answer to stopHTTP
	oweExit // the answer to exitHTTP
	oweFiles
)

// run is one incarnation under a monitor, with a slow driver.
type run struct {
	machine Machine
	monitor monitor
	timers  uint32 // the timers that are set, one bit each
	owes    debt
	inPlace bool // the command may replace the wrapper now
}

// newRun returns an incarnation that has begun with these facts.
func newRun(s spec.Spec, first Facts) (run, error) {
	r := run{machine: *New(s, false)}
	err := r.take(Begin{first})
	return r, err
}

// clone returns a copy that shares no mutable state.
func (r *run) clone() run {
	c := *r
	c.machine.waiting = slices.Clip(c.machine.waiting)
	c.machine.dropped = slices.Clip(c.machine.dropped)
	c.machine.complained = slices.Clip(c.machine.complained)
	c.machine.certain, c.machine.believed = slices.Clip(c.machine.certain), slices.Clip(c.machine.believed)
	return c
}

// take handles an event.
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
	case FilesRead:
		r.owes &^= oweFiles
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

// The timers of each part of a run, one bit each.
const (
	waitingTimers  = 1<<StartTimeout | 1<<UnheardTimer
	keptTimers     = 1<<HoldMomentTimer | 1<<HoldBudget | 1<<StopDelay | 1<<HintTimer | 1<<UnseenTimer | 1<<DoubtTimer | 1<<NoteTimer
	stoppingTimers = 1<<PreStopTimeout | 1<<StopSignalTimer | 1<<StopTimeout | 1<<OverdueTimer
)

// dead returns the timers that have no effect in a state or in any later one.
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

// drop removes the timers that are set and dead, after it has checked that each
// has no effect.
func (r *run) drop() error {
	set := r.timers & dead(r.machine.state)
	if set == 0 {
		return nil
	}
	before := r.key()
	for t := StartTimeout; t <= LookTimer; t++ {
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
	case ReadFiles:
		r.owes |= oweFiles
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

// due returns the events that do not depend on others: answers, and timers, in
// any order. The command's exit is not among them.
func (r *run) due() []Event {
	if r.owes&oweStart != 0 {
		if r.inPlace {
			return []Event{StartFailed{126, "no permission"}}
		}
		return []Event{Started{}, StartFailed{127, "no such file"}}
	}
	var list []Event
	for t := StartTimeout; t <= LookTimer; t++ {
		if r.timers&(1<<t) != 0 {
			list = append(list, Fired{t})
		}
	}
	for _, o := range []struct {
		debt   debt
		events []Event
	}{
		{oweFiles, []Event{FilesRead{}, FilesRead{"no such file"}}},
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

// ends returns the possible exits of the command.
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

// runKey identifies a state among the runs of one spec.
type runKey struct {
	state                                       State
	waiting, dropped, complained                string
	guessed, confirmed, requested, killed, done bool
	doubts, hinted, noted, unseen, blind, deaf  bool
	spent                                       time.Duration
	hearing, overdue, late, reading, read       bool
	expired                                     bool
	deciding                                    bool
	certain, believed                           string
	ends                                        [most]Ends
	asked                                       syscall.Signal
	why                                         string
	cause                                       cause
	exit                                        Exit
	monitor                                     monitor
	timers                                      uint32
	owes                                        debt
	inPlace                                     bool
}

// keyed lists the machine's fields that runKey covers. spec, starts, terminal
// and requestSignal never change, by follows from why, and facts are part of
// the key of the surroundings.
var keyed = []string{
	"spec", "starts", "terminal", "requestSignal", "state", "facts", "waiting", "dropped", "complained", "noted", "late", "spent", "unseen", "blind", "reading", "read", "ends", "believed", "hearing", "deaf", "overdue", "doubts", "certain", "guessed", "expired", "asked",
	"hinted", "confirmed", "why", "by", "cause", "requested", "killed", "started", "deciding", "exit",
}

func (r *run) key() runKey {
	m := &r.machine
	k := runKey{
		state: m.state, waiting: strings.Join(m.waiting, ","), deciding: m.deciding, dropped: strings.Join(m.dropped, ","),
		complained: strings.Join(m.complained, ","), doubts: m.doubts, certain: strings.Join(m.certain, ","), believed: strings.Join(m.believed, ","), hinted: m.hinted, guessed: m.guessed, confirmed: m.confirmed,
		requested: m.requested, killed: m.killed, done: m.started, asked: m.asked, why: m.why, cause: m.cause,
		noted: m.noted, spent: m.spent, unseen: m.unseen && m.state == Holding, blind: m.blind, deaf: m.deaf, hearing: m.hearing, overdue: m.overdue, late: m.late, expired: m.expired, reading: m.reading, read: m.read,
		exit: m.exit, monitor: r.monitor, timers: r.timers, owes: r.owes, inPlace: r.inPlace,
	}
	if m.state <= Delaying || m.state == Stopping && m.cause == nobody { // they no longer matter after that
		copy(k.ends[:], m.ends)
	}
	return k
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
