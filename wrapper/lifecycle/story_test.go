package lifecycle

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"koordinator.io/koordinator/wrapper/spec"
)

// Signals and durations that many stories are about.
const (
	term = syscall.SIGTERM
	kill = syscall.SIGKILL
	quit = syscall.SIGQUIT

	half = 30 * time.Second // the default stopTimeout
)

// story is a spec, and what its machine must answer to one event after another.
type story struct {
	name  string
	spec  string // JSON
	steps []step
}

// step is one event and the answer.
type step struct {
	event Event
	want  []Action
}

// on is a step.
func on(e Event, want ...Action) step { return step{e, want} }

// tell runs stories.
func tell(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) { play(t, New(parsed(t, s.spec), false), s.steps) })
	}
}

// play takes steps and compares every answer.
func play(t *testing.T, m *Machine, steps []step) {
	t.Helper()
	for i, s := range steps {
		have := m.Handle(s.event)
		if diff := cmp.Diff(s.want, have, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("step %d, %T%+v: actions (-want +have):\n%s", i, s.event, s.event, diff)
		}
	}
}

// parsed is a spec from its JSON.
func parsed(t *testing.T, text string) spec.Spec {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is known of another container.
var (
	up             = Fact{Started: true, Runs: true}
	ready          = Fact{Started: true, Ready: true, Runs: true}
	stopping       = Fact{Started: true, Ready: true, Runs: true, Stopping: true}
	crashed        = Fact{Started: true} // and will be restarted
	succeeded      = Fact{Started: true, Exited: true}
	failed         = Fact{Started: true, Exited: true, Code: 3}
	killed         = Fact{Started: true, Exited: true, Code: 137}
	endedAsked     = Fact{Started: true, Exited: true, Stopping: true}
	unseen         = Fact{Started: true, Ready: true, Runs: true, Unseen: true}
	unseenStopping = Fact{Started: true, Ready: true, Runs: true, Unseen: true, Stopping: true}
	absent         = Fact{Missing: `no container "a" in this pod`}
)

// overdue is the timer for a command whose stop was requested by somebody else
// than the kubelet, with a grace period of at most 30 s.
var overdue = SetTimer{OverdueTimer, half}

// hinted is the answer to SIGQUIT when it is passed on as it is.
var hinted = []Action{Forward{quit}, SetTimer{HintTimer, HintMoment}}

// a is what is known when only container a is.
func a(f Fact) Facts { return Facts{"a": f} }

// waitFor is the first step of a container that waits.
func waitFor(what ...string) step { return on(Begin{}, Wait{what}) }

// running are the steps of a command that starts at once, and more.
func running(more ...step) []step {
	return append([]step{on(Begin{}, Start{}), on(Started{})}, more...)
}

// ending are the steps, and those of a command that then exits and leaves
// nothing behind.
func ending(steps []step, code int, want Exit) []step {
	return append(steps, on(Exited{code}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}), on(Swept{}, want))
}

// never is the exit of a container whose command never ran.
func never(code int, why string) Exit { return Exit{Code: code, Message: spec.NotStarted + why} }

// askedBy is the answer to a stop dependency of a command with default options.
func askedBy(why string) []Action {
	return []Action{Stop{term, why}, SetTimer{StopTimeout, half}}
}

// podStop is the pod's stop request being passed on.
func podStop(with, by syscall.Signal) Stop {
	return Stop{with, "the container was asked to by " + spec.SignalName(by)}
}

// stopped is the exit of a container whose command was stopped for why.
func stopped(code int, why string) Exit {
	return Exit{Code: code, Message: spec.StoppedBy + why, Stopped: true}
}

// kept is the exit of a container whose command a stop dependency kept from
// running.
func kept(code int, why string) Exit {
	x := never(code, why+" before the command was started")
	x.Stopped = true
	return x
}
