// Package lifecycle decides what the wrapper does next. It is a pure state
// machine: Handle takes one event and returns the actions that follow, in
// order. It has no clock, no goroutine and no access to the system; whoever
// drives it performs the actions and reports back with further events.
package lifecycle

import (
	"cmp"
	"fmt"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// State is where one incarnation of a container stands.
//
//	Waiting ── start dependencies hold ──► Starting ── failed ──► Leaving 126, 127
//	   │                                      │ started
//	   │                                   Running ── stop request ──► Holding ── dependents have exited,
//	   │                                      │                           │        or hold budget over
//	   │                                      │                        Delaying
//	   │      a stop dependency holds, or postStart failed                │ stopDelay
//	   │                                      ▼                           │
//	   │                                 PreStopping ── hook done ──► Stopping
//	   │                                                                  │ stopTimeout
//	   │                                                               Killing ── cannot be killed ──► Leaving
//	   │          the command exits, in any of these ──► Sweeping ──► Leaving
//	   │ stop request: 143 · a stop dependency holds: stoppedExitCode        │ exit requests sent
//	   └ a start dependency can no longer hold: 69 · startTimeout: 124 ──► Leaving ──► Done
//
// In place of Starting a command in mode exec takes the wrapper's place, and
// nothing follows.
type State int

// The states, in the order a container goes through them.
const (
	Waiting     State = iota // for its start dependencies
	Starting                 // the command is being started
	Running                  // the command runs
	Holding                  // a stop request is kept back until the dependents have exited
	Delaying                 // a stop request is kept back for stopDelay
	PreStopping              // the preStop hook runs
	Stopping                 // the command was asked to end
	Killing                  // the command was sent SIGKILL
	Sweeping                 // the command exited, the rest of its process group is ending
	Leaving                  // exitHTTP is being sent
	Done                     // nothing follows
)

// String is the state as records and "koordinator status" name it.
func (s State) String() string {
	names := [...]string{
		"waiting", "starting", "running", "holding", "delaying", "pre-stop",
		"stopping", "killing", "ending", "leaving", "exited",
	}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return names[s]
}

const (
	// SweepTimeout is how long what the command left in its process group may
	// take to end before it is killed. Short, since the container's restart waits
	// for it.
	SweepTimeout = 2 * time.Second
	// HoldMoment is how long a stop request is held when no dependent is being
	// stopped: then only this container is. The runtime asks all containers of a
	// pod within milliseconds, on a busy node within a second.
	HoldMoment = 2 * time.Second
	// DoubtMoment is how long a waiting container draws no conclusion from the exit
	// of one that had been asked to stop: its own stop request may be on its way.
	DoubtMoment = 2 * time.Second
	// HintMoment is how long a passed-on signal that may have been a stop request
	// is reported as one. A pod's other containers receive theirs within HoldMoment.
	HintMoment = HoldMoment
	// UnseenMoment is how long a stop request is held for containers of which only
	// the pod's status could report an exit. The kubelet writes no container
	// statuses while it terminates a pod, so their exit cannot be seen.
	UnseenMoment = 5 * time.Second
	// UnheardMoment is how long a start waits for the first answer of the pod's
	// status, where that alone can report that a stop dependency already holds.
	UnheardMoment = 10 * time.Second
	// LeaveLimit is how long one request of exitHTTP is retried.
	LeaveLimit = time.Minute
	// leaveMargin is how much longer all of them may take than their limits.
	leaveMargin = time.Second
)

// Timer names what a SetTimer is for. Setting it again replaces it.
type Timer int

// The timers.
const (
	StartTimeout Timer = iota
	DoubtTimer
	HoldMomentTimer
	HoldBudget
	StopDelay
	PreStopTimeout
	StopSignalTimer // stopHTTP was sent, and the signal follows
	StopTimeout
	SweepTimer
	LeaveTimer
	HintTimer
	UnseenTimer
	UnheardTimer
	NoteTimer
	OverdueTimer // the stop was requested, a stop dependency holds, and the grace period is over
)

// Fact is what is known of another container of the pod at this moment. The
// zero Fact is that nothing is.
type Fact struct {
	Missing  string // why it will never be there; "": it is, or may come
	Started  bool   // its command has been started; stays true
	Ready    bool   // in its present incarnation
	Runs     bool   // its command runs now
	Stopping bool   // it has been asked to stop, also when it has exited since, or its preStop hook runs
	Exited   bool   // for good
	Stopped  bool   // its wrapper stopped the command or kept it from running: Code is not the command's success
	Code     int    // exit code, when Exited
	Reason   string // why it ended as it did, where that is known
	Unseen   bool   // only the pod's status reports on it, which stops while the pod is being stopped
	Unheard  bool   // and the status has not been received yet
}

// Event is something that happened. A late one, for which the state has no use
// any more, is harmless.
type Event interface{ event() }

// What can happen. Begin comes first and once. The driver answers Start with
// Started or StartFailed before anything else, and Sweep with Swept once the
// group is empty.
type (
	// Begin is the wrapper's start, with the facts known by then.
	Begin struct{ Facts Facts }
	// Facts are those of every container that the spec names, replacing what
	// came before.
	Facts map[string]Fact
	// Noted means that the container's preStop hook runs: the kubelet has begun to
	// stop the container, and its signal follows.
	Noted struct{}
	// StopSignal is the signal by which the runtime stops the container, where the
	// pod's status reports it.
	StopSignal struct{ Number syscall.Signal }
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
	// HookDone is a hook's end; Err is "" for success.
	HookDone struct {
		Hook Hook
		Err  string
	}
	// StopSent is the answer to stopHTTP; Err is "" for success.
	StopSent struct{ Err string }
	// ExitSent means that every request of exitHTTP has been answered.
	ExitSent struct{}
)

func (Begin) event()       {}
func (Facts) event()       {}
func (Noted) event()       {}
func (StopSignal) event()  {}
func (Signal) event()      {}
func (Started) event()     {}
func (StartFailed) event() {}
func (Exited) event()      {}
func (Unkillable) event()  {}
func (Fired) event()       {}
func (Swept) event()       {}
func (HookDone) event()    {}
func (StopSent) event()    {}
func (ExitSent) event()    {}

// Hook names one of the container's hooks.
type Hook string

// The hooks.
const (
	PostStart Hook = "postStart"
	PreStop   Hook = "preStop"
)

// Action is something to do now.
type Action interface{ action() }

// What can be asked of the driver.
type (
	// Wait tells that the container still waits, for each of these.
	Wait struct{ For []string }
	// Start starts the command: as a child, or in the wrapper's place.
	Start struct{ InPlace bool }
	// SetTimer asks for a Fired after a while.
	SetTimer struct {
		Timer Timer
		After time.Duration
	}
	// Forward passes a signal on to the command, unchanged.
	Forward struct{ Signal syscall.Signal }
	// Hold tells that a stop request is kept back until these have exited.
	Hold struct {
		For  []string
		Most time.Duration
	}
	// Delay tells that a stop request is kept back.
	Delay struct {
		For    time.Duration
		Reason string
	}
	// RunHook runs a hook; its HookDone may come at any time.
	RunHook struct{ Hook Hook }
	// SendStop sends stopHTTP; its StopSent may come at any time.
	SendStop struct{ Reason string }
	// Stop asks the command to end.
	Stop struct {
		Signal syscall.Signal
		Reason string
	}
	// Kill sends SIGKILL to the command.
	Kill struct{ Reason string }
	// Sweep sends a signal to what is left of the command's process group.
	Sweep struct{ Signal syscall.Signal }
	// SendExit sends every request of exitHTTP.
	SendExit struct{}
	// Complain tells of a mistake that does not end anything.
	Complain struct{ Reason string }
	// Drop tells that a start dependency is no longer waited for, and why.
	Drop struct{ Reason string }
	// Exit ends the wrapper.
	Exit struct {
		Code    int
		Message string // the termination message, when the wrapper and not the command decided the end
		Stopped bool   // the wrapper stopped the command or kept it from running: no success, whatever the code
	}
)

func (Wait) action()     {}
func (Start) action()    {}
func (SetTimer) action() {}
func (Forward) action()  {}
func (Hold) action()     {}
func (Delay) action()    {}
func (RunHook) action()  {}
func (SendStop) action() {}
func (Stop) action()     {}
func (Kill) action()     {}
func (Sweep) action()    {}
func (SendExit) action() {}
func (Complain) action() {}
func (Drop) action()     {}
func (Exit) action()     {}

// cause is why the wrapper itself ends a command that runs.
type cause int

const (
	nobody       cause = iota // it does not, or the pod's stop request came first
	byDependency              // our exit code policy applies
	byHook                    // postStart failed
)

// Machine is one incarnation of a container.
type Machine struct {
	spec          *spec.Spec     // as it was given; never changed
	terminal      bool           // WINCH is then a resize, not a stop request
	requestSignal syscall.Signal // by which the runtime stops the container; 0: not known

	state      State
	facts      Facts
	waiting    []string       // what the last Wait named
	dropped    []string       // dependencies given up
	complained []string       // dependencies that can never hold, told of
	noted      bool           // the container's preStop hook runs
	late       bool           // the start timeout has passed meanwhile
	blind      bool           // containers whose exit cannot be seen are no longer held for
	hearing    bool           // UnheardTimer was set
	deaf       bool           // and has fired
	overdue    bool           // OverdueTimer is set
	doubts     bool           // DoubtTimer is set
	certain    []string       // containers whose exit is believed since it fired
	guessed    bool           // what Holding and Delaying keep back may be no stop request
	asked      syscall.Signal // by which the stop request came
	hinted     bool           // one was passed on
	confirmed  bool           // a dependent is being stopped, too: the pod is
	why        string         // why the command is stopped
	cause      cause
	requested  bool // stopHTTP was sent, the signal was not
	killed     bool // we sent SIGKILL
	started    bool
	exit       Exit
}

// New is a machine that has seen nothing yet. terminal tells that the command
// has a terminal.
func New(s spec.Spec, terminal bool) *Machine {
	return &Machine{spec: &s, terminal: terminal, requestSignal: s.RequestSignal}
}

// State is the present state.
func (m *Machine) State() State { return m.state }

// Report is what others are told of a machine.
type Report struct {
	State    State
	For      []string // what is waited for, as "proxy to be ready"
	Started  bool
	Stopping bool // it has been asked to stop, or may have been; in the end, whether that was by the runtime
	Ending   bool // the wrapper stops the command for a reason of its own, or the command has exited
	Exit     Exit // from Leaving on
}

// Report is the present one.
func (m *Machine) Report() Report {
	r := Report{State: m.state, Started: m.started, Stopping: m.asked != 0 || m.hinted || m.noted || m.state >= Holding && m.state <= Killing}
	r.Ending = m.cause != nobody && m.state > Running || m.state >= Sweeping
	switch m.state {
	case Waiting:
		r.For = m.waiting
	case Holding:
		for _, name := range m.dependents() {
			r.For = append(r.For, name+" to exit")
		}
	case Leaving, Done:
		r.Exit = m.exit
	default: // nothing is waited for, and nothing has ended
	}
	return r
}

// Handle takes the next event and returns what to do, in order.
func (m *Machine) Handle(e Event) []Action {
	switch e := e.(type) {
	case Begin:
		return m.begin(e.Facts)
	case Facts:
		return m.learn(e)
	case Noted:
		return m.note()
	case StopSignal:
		m.requestSignal = cmp.Or(m.requestSignal, e.Number)
		return nil
	case Signal:
		return m.signal(e.Number)
	case Started:
		return m.ran()
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
	case HookDone:
		return m.hookDone(e)
	case StopSent:
		return m.stopSent(e.Err)
	case ExitSent:
		return m.exitSent()
	}
	return nil
}
