// Package lifecycle decides what the wrapper does next. It is a pure state
// machine: Handle takes one event and returns the actions that follow, in
// order. It has no clock, no goroutines and no access to the system. The driver
// performs the actions and reports the results as further events.
package lifecycle

import (
	"cmp"
	"fmt"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// State is the state of one incarnation of a container.
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
// Env files are read at the end of Waiting, each time the start dependencies
// hold. If that fails, the exit code is 78.
//
// In exec mode, the command replaces the wrapper in Starting, and nothing
// follows.
type State int

// The states, in the order in which a container passes through them.
const (
	Waiting     State = iota // for the start dependencies, and for the env files
	Starting                 // the command is being started
	Running                  // the command runs
	Holding                  // a stop request is held until the dependents have exited
	Delaying                 // a stop request is delayed for stopDelay
	PreStopping              // the preStop hook runs
	Stopping                 // the command has received a stop request
	Killing                  // the command has received SIGKILL
	Sweeping                 // the command has exited, and the rest of its process group is ending
	Leaving                  // delegated stops are being decided, or exit requests sent
	Done                     // nothing follows
)

// String returns the state's name in records and in "koordinator status".
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
	// SweepTimeout is how long the remaining processes of the command's process
	// group may take to end before they are killed. It is short because the
	// container's restart waits for it.
	SweepTimeout = 2 * time.Second
	// HoldMoment is how long a stop request is held while no dependent is being
	// stopped. After that, only this container is being stopped: the runtime sends
	// the stop requests to all containers of a pod within milliseconds, or within
	// a second on a busy node.
	HoldMoment = 2 * time.Second
	// DoubtMoment is how long a container draws no conclusion from the exit of a
	// container that had received a stop request, because its own stop request may
	// be about to arrive.
	DoubtMoment = 2 * time.Second
	// HintMoment is how long the container is reported as stopping after it has
	// passed on a signal that may have been a stop request. The pod's other
	// containers receive theirs within HoldMoment.
	HintMoment = HoldMoment
	// UnseenMoment is how long a stop request is held for containers whose exit
	// only the pod's status could report. The kubelet writes no container statuses
	// while it terminates a pod, so these exits cannot be observed.
	UnseenMoment = 5 * time.Second
	// UnheardMoment is how long a start waits for the pod's status if only the
	// status can report that a stop dependency already holds, and how long
	// delegated stops wait for missing facts.
	UnheardMoment = 10 * time.Second
	// LeaveLimit is how long one exit request is retried.
	LeaveLimit = time.Minute
	// leaveMargin is how much longer all exit requests may take than the sum of
	// their limits.
	leaveMargin = time.Second
)

// Timer names a timer. A second SetTimer for the same Timer replaces the first.
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
	OverdueTimer // a stop request came first, a stop dependency holds, and the grace period is over
	LookTimer    // the facts that a delegated stop depends on are missing
)

// Fact is what is known about another container of the pod at this moment. The
// zero Fact means that nothing is known.
type Fact struct {
	Missing  string // why the container will never exist; "": it exists, or may still appear
	Started  bool   // its command has been started; stays true
	Ready    bool   // in the present incarnation
	Runs     bool   // its command runs now
	Stopping bool   // it has received a stop request, even if it has exited since, or its preStop hook runs
	Mute     bool   // it has exited, and its command had replaced the wrapper, so that nothing reports whether it received a stop request
	Exited   bool   // permanently
	Stopped  bool   // its wrapper stopped the command or kept it from running: Code does not indicate success
	Code     int    // exit code, when Exited
	Reason   string // why it ended, if known
	Unseen   bool   // only the pod's status reports on it, and the status is not updated while the pod is being stopped
	Unheard  bool   // like Unseen, and no status has been received yet
	Left     bool   // its wrapper has ended by itself and has sent its exit requests
	Trouble  string // why an endpoint did not answer the last time, or why the container is not ready
	Ends     Ends   // how often its command has ended
}

// Event is something that happened. A late event that no longer matters in the
// present state is harmless.
type Event interface{ event() }

// The events. Begin comes first and exactly once. The driver answers Start with
// Started or StartFailed before any other event; only with InPlace may other
// events come first. It answers Sweep with Swept once the process group is
// empty.
type (
	// Begin is the wrapper's start, with the facts known at that time.
	Begin struct{ Facts Facts }
	// Facts contains the facts about every container that the spec names. It
	// replaces the previous facts.
	Facts map[string]Fact
	// Noted reports that the container's preStop hook runs: the kubelet has begun
	// to stop the container, and its signal follows.
	Noted struct{}
	// Spent reports the part of the grace period that the container's preStop hook
	// has used up. It comes immediately before the Signal.
	Spent struct{ Time time.Duration }
	// StopSignal is the signal with which the runtime stops the container, if the
	// pod's status reports it.
	StopSignal struct{ Number syscall.Signal }
	// Signal is a signal that was sent to the wrapper.
	Signal struct{ Number syscall.Signal }
	// FilesRead is the answer to ReadFiles; Err is "" for success.
	FilesRead struct{ Err string }
	// Started reports that the command runs.
	Started struct{}
	// StartFailed reports that the command could not be started, with code 126 or
	// 127 and the reason.
	StartFailed struct {
		Code   int
		Reason string
	}
	// Exited reports that the command has exited; the code is 128+n after signal
	// n.
	Exited struct{ Code int }
	// Unkillable reports that SIGKILL could not be sent, with the reason.
	Unkillable struct{ Reason string }
	// Fired reports that a timer has fired.
	Fired struct{ Timer Timer }
	// Swept reports that the command's process group is empty.
	Swept struct{}
	// HookDone reports that a hook has ended; Err is "" for success.
	HookDone struct {
		Hook Hook
		Err  string
	}
	// StopSent is the answer to stopHTTP; Err is "" for success.
	StopSent struct{ Err string }
	// Looked contains the facts collected after this container's exit was
	// published.
	Looked struct{ Facts Facts }
	// ExitSent reports that every request of SendExit has been answered or given
	// up.
	ExitSent struct{}
)

func (Begin) event()       {}
func (Facts) event()       {}
func (Noted) event()       {}
func (Spent) event()       {}
func (StopSignal) event()  {}
func (Signal) event()      {}
func (FilesRead) event()   {}
func (Started) event()     {}
func (StartFailed) event() {}
func (Exited) event()      {}
func (Unkillable) event()  {}
func (Fired) event()       {}
func (Swept) event()       {}
func (HookDone) event()    {}
func (StopSent) event()    {}
func (Looked) event()      {}
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

// The actions of the driver.
type (
	// Wait reports that the container still waits for each of these dependencies.
	Wait struct{ For []string }
	// ReadFiles reads the env files; its FilesRead may come at any time.
	ReadFiles struct{}
	// Start starts the command, either as a child or, with InPlace, instead of the
	// wrapper.
	Start struct{ InPlace bool }
	// SetTimer requests a Fired event after some time.
	SetTimer struct {
		Timer Timer
		After time.Duration
	}
	// Forward forwards a signal to the command, unchanged.
	Forward struct{ Signal syscall.Signal }
	// Hold reports that a stop request is held until these containers have exited.
	Hold struct {
		For  []string
		Most time.Duration
	}
	// Delay reports that a stop request is delayed.
	Delay struct {
		For    time.Duration
		Reason string
	}
	// RunHook runs a hook; its HookDone may come at any time.
	RunHook struct{ Hook Hook }
	// SendStop sends stopHTTP; its StopSent may come at any time.
	SendStop struct{ Reason string }
	// Stop sends the command a stop request.
	Stop struct {
		Signal syscall.Signal
		Reason string
	}
	// Kill sends SIGKILL to the command.
	Kill struct{ Reason string }
	// Sweep sends a signal to the remaining processes of the command's process
	// group.
	Sweep struct{ Signal syscall.Signal }
	// Look publishes the container's exit and then collects the facts for Looked.
	Look struct{}
	// SendExit sends each of these requests until it is answered or given up.
	SendExit struct{ Requests []spec.Request }
	// Complain reports a problem that does not end the container.
	Complain struct{ Reason string }
	// Drop reports that the container no longer waits for a start dependency, and
	// why.
	Drop struct{ Reason string }
	// Exit ends the wrapper.
	Exit struct {
		Code    int
		Message string // the termination message, if the wrapper rather than the command decided the exit
		Stopped bool   // the wrapper stopped the command or kept it from running: no success, regardless of the code
	}
)

func (Wait) action()      {}
func (ReadFiles) action() {}
func (Start) action()     {}
func (SetTimer) action()  {}
func (Forward) action()   {}
func (Hold) action()      {}
func (Delay) action()     {}
func (RunHook) action()   {}
func (SendStop) action()  {}
func (Stop) action()      {}
func (Kill) action()      {}
func (Sweep) action()     {}
func (Look) action()      {}
func (SendExit) action()  {}
func (Complain) action()  {}
func (Drop) action()      {}
func (Exit) action()      {}

// cause is why the wrapper ends a running command.
type cause int

const (
	nobody       cause = iota // it does not, or the pod's stop request came first
	byDependency              // stoppedExitCode and killedExitCode apply
	byRestart                 // a container of restartWith has ended
	byHook                    // postStart failed
)

// Machine is one incarnation of a container.
type Machine struct {
	spec          *spec.Spec        // as passed to New; never changed
	starts        []spec.Dependency // all start dependencies; an endpoint's URL stands for its container
	terminal      bool              // SIGWINCH then means a resize, not a stop request
	requestSignal syscall.Signal    // with which the runtime stops the container; 0: not known

	state      State
	facts      Facts
	waiting    []string       // the dependencies of the last Wait
	dropped    []string       // dependencies that have been given up
	complained []string       // dependencies that can never hold and have been reported
	noted      bool           // the container's preStop hook runs
	late       bool           // the start timeout has passed while noted
	spent      time.Duration  // the part of the grace period that the preStop hook has used up
	unseen     bool           // UnseenTimer is set
	blind      bool           // the machine no longer holds for containers whose exit cannot be observed
	reading    bool           // ReadFiles has not been answered yet
	read       bool           // ReadFiles has been answered with success, and the command may start
	ends       []Ends         // of the containers of RestartWith, at the command's start
	believed   []string       // containers of RestartWith whose end is believed since DoubtTimer fired
	hearing    bool           // UnheardTimer has been set
	deaf       bool           // UnheardTimer has fired
	overdue    bool           // OverdueTimer is set
	doubts     bool           // DoubtTimer is set
	certain    []string       // containers whose exit is believed since DoubtTimer fired
	guessed    bool           // the signal held in Holding and Delaying may not be a stop request
	expired    bool           // the stop request was held as long as the grace period allows
	asked      syscall.Signal // the signal of the stop request
	hinted     bool           // a signal that may be a stop request was passed on
	confirmed  bool           // a dependent is being stopped, too, so the whole pod is
	why        string         // why the command is stopped
	by         string         // the containers or the hook that cause the stop
	cause      cause
	requested  bool // stopHTTP was sent, but the signal was not
	killed     bool // the wrapper sent SIGKILL
	started    bool
	deciding   bool // delegated stops are being decided in Leaving
	exit       Exit
}

// New returns a machine that has not handled any event. terminal reports
// whether the command has a terminal.
func New(s spec.Spec, terminal bool) *Machine {
	return &Machine{spec: &s, starts: startDeps(s), terminal: terminal, requestSignal: s.RequestSignal}
}

// State returns the present state.
func (m *Machine) State() State { return m.state }

// Handle handles the next event and returns the actions to perform, in order.
func (m *Machine) Handle(e Event) []Action {
	switch e := e.(type) {
	case Begin:
		return m.begin(e.Facts)
	case Facts:
		return m.learn(e)
	case Noted:
		return m.note()
	case Spent:
		return m.spend(e.Time)
	case StopSignal:
		m.requestSignal = cmp.Or(m.requestSignal, e.Number)
		return nil
	case Signal:
		return m.signal(e.Number)
	case FilesRead:
		return m.filesRead(e.Err)
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
	case Looked:
		return m.looked(e.Facts)
	case ExitSent:
		return m.exitSent()
	}
	return nil
}
