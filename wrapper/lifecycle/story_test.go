package lifecycle

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"koordinator.io/koordinator/wrapper/spec"
)

// Signals and durations that many stories use.
const (
	term = syscall.SIGTERM
	kill = syscall.SIGKILL
	quit = syscall.SIGQUIT

	half = 30 * time.Second // the default stopTimeout
)

// story is a spec with a sequence of events and the actions that its machine
// must return.
type story struct {
	name  string
	spec  string // JSON
	steps []step
}

// step is one event and the expected actions.
type step struct {
	event Event
	want  []Action
}

// on returns a step.
func on(e Event, want ...Action) step { return step{e, want} }

// tell runs stories.
func tell(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) { play(t, New(parsed(t, s.spec), false), s.steps) })
	}
}

// play sends the events of all steps and compares every answer.
func play(t *testing.T, m *Machine, steps []step) {
	t.Helper()
	for i, s := range steps {
		have := m.Handle(s.event)
		if diff := cmp.Diff(s.want, have, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("step %d, %T%+v: actions (-want +have):\n%s", i, s.event, s.event, diff)
		}
	}
}

// parsed returns the spec for its JSON.
func parsed(t *testing.T, text string) spec.Spec {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Facts about another container.
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

// overdue is the timer for a command whose stop request did not come from the
// kubelet, with a grace period of at most 30 s.
var overdue = SetTimer{OverdueTimer, half}

// hinted is the answer to SIGQUIT when it is passed on unchanged.
var hinted = []Action{Forward{quit}, SetTimer{HintTimer, HintMoment}}

// a returns the facts when only container a is known.
func a(f Fact) Facts { return Facts{"a": f} }

// waitFor returns the first step of a container that waits.
func waitFor(what ...string) step { return on(Begin{}, Wait{what}) }

// running returns the steps of a command that starts immediately, followed by
// more.
func running(more ...step) []step {
	return append([]step{on(Begin{}, Start{}), on(Started{})}, more...)
}

// ending returns the steps, followed by those of a command that exits and
// leaves no processes behind.
func ending(steps []step, code int, want Exit) []step {
	return append(steps, on(Exited{code}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}), on(Swept{}, want))
}

// never returns the exit of a container whose command never ran.
func never(code int, why string) Exit { return Exit{Code: code, Message: spec.NotStarted + why} }

// askedBy returns the actions when a stop dependency holds, for a command with
// default options.
func askedBy(why string) []Action {
	return []Action{Stop{term, why}, SetTimer{StopTimeout, half}}
}

// podStop returns the action that passes on the pod's stop request.
func podStop(with, by syscall.Signal) Stop {
	return Stop{with, "the container received " + spec.SignalName(by)}
}

// stopped returns the exit of a container whose command was stopped for the
// reason why.
func stopped(code int, why string) Exit {
	return Exit{Code: code, Message: spec.StoppedBy + why, Stopped: true}
}

// kept returns the exit of a container whose command was kept from running by a
// stop dependency.
func kept(code int, why string) Exit {
	x := never(code, why+" before the command was started")
	x.Stopped = true
	return x
}
