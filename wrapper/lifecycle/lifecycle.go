// Package lifecycle decides what the wrapper does next. It is a pure state
// machine: Handle takes one event and returns the actions that follow, in
// order. It has no clock, no goroutine and no access to the system; whoever
// drives it performs the actions and reports back with further events.
package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// State is where one incarnation of a container stands.
//
//	Waiting ── start dependencies hold ──► Starting ── failed ──► Done 126, 127
//	   │                                      │ started
//	   │                                   Running ─── stop request ──► Delaying
//	   │                                      │                            │ stopDelay
//	   │                     a stop dependency holds ──► Stopping ◄────────┘
//	   │                                                    │ stopTimeout
//	   │                                                 Killing ── cannot be killed ──► Done
//	   │          the command exits, in any of these ──► Sweeping ──► Done
//	   │ stop request: 143 · a stop dependency holds: stoppedExitCode
//	   └ a start dependency can no longer hold: 69 · startTimeout: 124 ──► Done
type State int

// The states, in the order a container goes through them.
const (
	Waiting  State = iota // for its start dependencies
	Starting              // the command is being started
	Running               // the command runs
	Delaying              // a stop request is kept back for stopDelay
	Stopping              // the command was asked to end
	Killing               // the command was sent SIGKILL
	Sweeping              // the command exited, the rest of its process group is ending
	Done                  // nothing follows
)

// SweepTimeout is how long what the command left in its process group may take
// to end before it is killed. Short, since the container's restart waits for it.
const SweepTimeout = 2 * time.Second

// Timer names what a SetTimer is for. It is set again only after it has fired.
type Timer int

// The timers.
const (
	StartTimeout Timer = iota
	StopDelay
	StopTimeout
	SweepTimer
)

// Fact is what is known of another container of the pod at this moment.
type Fact struct {
	Started bool   // its command has been started; stays true
	Ready   bool   // in its present incarnation
	Exited  bool   // for good
	Code    int    // exit code, when Exited
	Reason  string // why it ended as it did, where that is known
}

// Event is something that happened. A late one, for which the state has no use
// any more, is harmless.
type Event interface{ event() }

// What can happen. Begin comes first and once. The driver answers Start with
// Started or StartFailed before anything else, and Sweep with Swept once the
// group is empty.
type (
	// Begin is the wrapper's start.
	Begin struct{}
	// Facts are those of every container of the pod, replacing what came before.
	Facts map[string]Fact
	// Signal was sent to the wrapper.
	Signal struct{ Number syscall.Signal }
	// Started means that the command runs.
	Started struct{}
	// StartFailed means that it could not be started: code 126 or 127, and why.
	StartFailed struct {
		Code   int
		Reason string
	}
	// Exited is the command's end, with code 128+n for signal n.
	Exited struct{ Code int }
	// Unkillable means that SIGKILL could not be sent, and why.
	Unkillable struct{ Reason string }
	// Fired is a timer's end.
	Fired struct{ Timer Timer }
	// Swept means that nothing is left of the command's process group.
	Swept struct{}
)

func (Begin) event()       {}
func (Facts) event()       {}
func (Signal) event()      {}
func (Started) event()     {}
func (StartFailed) event() {}
func (Exited) event()      {}
func (Unkillable) event()  {}
func (Fired) event()       {}
func (Swept) event()       {}

// Action is something to do now.
type Action interface{ action() }

// What can be asked of the driver.
type (
	// Wait tells that the container still waits, for each of these.
	Wait struct{ For []string }
	// Start starts the command.
	Start struct{}
	// SetTimer asks for a Fired after a while.
	SetTimer struct {
		Timer Timer
		After time.Duration
	}
	// Forward passes a signal on to the command, unchanged.
	Forward struct{ Signal syscall.Signal }
	// Delay tells that a stop request is kept back.
	Delay struct{ For time.Duration }
	// Stop asks the command to end.
	Stop struct {
		Signal syscall.Signal
		Reason string
	}
	// Kill sends SIGKILL to the command.
	Kill struct{ Reason string }
	// Sweep sends a signal to what is left of the command's process group.
	Sweep struct{ Signal syscall.Signal }
	// Complain tells of a mistake that does not end anything.
	Complain struct{ Reason string }
	// Drop tells that an optional start dependency is no longer waited for, and why.
	Drop struct{ Reason string }
	// Exit ends the wrapper.
	Exit struct {
		Code    int
		Message string // the termination message, when the wrapper and not the command decided the end
	}
)

func (Wait) action()     {}
func (Start) action()    {}
func (SetTimer) action() {}
func (Forward) action()  {}
func (Delay) action()    {}
func (Stop) action()     {}
func (Kill) action()     {}
func (Sweep) action()    {}
func (Complain) action() {}
func (Drop) action()     {}
func (Exit) action()     {}

// Machine is one incarnation of a container.
type Machine struct {
	spec     spec.Spec
	terminal bool // WINCH is then a resize, not a stop request

	state   State
	facts   Facts
	waiting []string       // what the last Wait named
	dropped []string       // optional dependencies given up
	guessed bool           // what Delaying keeps back may be no stop request
	asked   syscall.Signal // by which the stop request came
	policy  bool           // a stop dependency held: our exit code policy applies
	killed  bool           // we sent SIGKILL
	exit    Exit
}

// New is a machine that has seen nothing yet. terminal tells that the command
// has a terminal.
func New(s spec.Spec, terminal bool) *Machine {
	return &Machine{spec: s, terminal: terminal}
}

// State is the present state.
func (m *Machine) State() State { return m.state }

// Handle takes the next event and returns what to do, in order.
func (m *Machine) Handle(e Event) []Action {
	switch e := e.(type) {
	case Begin:
		return m.begin()
	case Facts:
		return m.learn(e)
	case Signal:
		return m.signal(e.Number)
	case Started:
		return m.started()
	case StartFailed:
		return m.startFailed(e)
	case Exited:
		return m.exited(e.Code)
	case Unkillable:
		return m.unkillable(e.Reason)
	case Fired:
		return m.fired(e.Timer)
	case Swept:
		return m.swept()
	}
	return nil
}

func (m *Machine) begin() []Action {
	if m.state != Waiting {
		return nil
	}
	var acts []Action
	if m.spec.StartTimeout > 0 && len(m.spec.StartDeps) > 0 {
		acts = append(acts, SetTimer{StartTimeout, m.spec.StartTimeout})
	}
	return append(acts, m.evaluate()...)
}

func (m *Machine) learn(f Facts) []Action {
	var acts []Action
	if m.facts == nil {
		acts = m.complain(f)
	}
	m.facts = f
	switch m.state {
	case Waiting:
		return append(acts, m.evaluate()...)
	case Running, Delaying, Stopping:
		return append(acts, m.evaluateStop()...)
	default: // stale
		return nil
	}
}

// complain tells of stop dependencies that can never hold. The command may run
// by now, and goes on.
func (m *Machine) complain(f Facts) []Action {
	var acts []Action
	for _, d := range m.spec.StopDeps {
		if _, there := f[d.Container]; !there {
			acts = append(acts, Complain{"the stop dependency never holds: " + missing(d.Container, f)})
		}
	}
	return acts
}

// missing says that the pod has no such container, and which it has.
func missing(name string, f Facts) string {
	return fmt.Sprintf("no container %q in this pod (has: %s)", name, strings.Join(slices.Sorted(maps.Keys(f)), ", "))
}

// evaluate decides what a waiting container does with the present facts.
func (m *Machine) evaluate() []Action {
	if why := m.stopHolds(); why != "" {
		m.policy = true
		return m.finish(m.spec.StoppedExitCode.Or(spec.ExitStopped), why+" before the command was started")
	}
	var acts []Action
	var unmet []string
	for _, d := range m.spec.StartDeps {
		switch v := m.judge(d); {
		case v == holds || slices.Contains(m.dropped, d.Container):
		case v == pending:
			unmet = append(unmet, phrase(d))
		case d.Optional:
			m.dropped = append(m.dropped, d.Container)
			acts = append(acts, Drop{m.never(d)})
		default:
			return append(acts, m.finish(spec.ExitUnsatisfiable, m.never(d))...)
		}
	}
	if len(unmet) > 0 {
		if !slices.Equal(unmet, m.waiting) {
			m.waiting = unmet
			acts = append(acts, Wait{unmet})
		}
		return acts
	}
	m.state = Starting
	return append(acts, Start{})
}

// never says why a start dependency can no longer come true.
func (m *Machine) never(d spec.Dependency) string {
	f, there := m.facts[d.Container]
	if !there {
		return missing(d.Container, m.facts)
	}
	_, what, _ := strings.Cut(phrase(d), " to ")
	s := fmt.Sprintf("%s will never %s: it exited with code %d", d.Container, what, f.Code)
	if reason := strings.TrimSpace(strings.TrimPrefix(f.Reason, spec.NotStarted)); reason != "" {
		s += " (" + reason + ")"
	}
	return s
}

// phrase is a dependency as "waiting for …" goes on.
func phrase(d spec.Dependency) string {
	switch d.Condition {
	case spec.Ready:
		return d.Container + " to be ready"
	case spec.Started:
		return d.Container + " to be started"
	case spec.Succeeded:
		return d.Container + " to succeed"
	default:
		return d.Container + " to exit"
	}
}

// finish ends a container whose command never ran.
func (m *Machine) finish(code int, why string) []Action {
	m.state = Done
	return []Action{Exit{code, spec.NotStarted + why}}
}

func (m *Machine) started() []Action {
	if m.state != Starting {
		return nil
	}
	m.state = Running
	return m.evaluateStop()
}

func (m *Machine) startFailed(e StartFailed) []Action {
	if m.state != Starting {
		return nil
	}
	return m.finish(e.Code, e.Reason)
}
