package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// stage is how another container stands, as far as anybody can tell.
type stage uint8

const (
	unknown stage = iota
	missing
	upStage
	readyStage
	stoppingStage
	between // two incarnations
	succeededStage
	failedStage
	killedStage
	neverRan
	endedAsAsked    // after a stop request
	neverRanAsAsked // the same, while it waited
	stoppedStage    // by its wrapper, which reports 0
	unseenStage     // runs, as far as the status reports
)

// stageFacts is what is known at each stage.
var stageFacts = [...]Fact{
	unknown:         {},
	missing:         {Missing: "no such container"},
	upStage:         {Started: true, Runs: true},
	readyStage:      {Started: true, Ready: true, Runs: true},
	stoppingStage:   {Started: true, Ready: true, Runs: true, Stopping: true},
	between:         {Started: true},
	succeededStage:  {Started: true, Exited: true},
	failedStage:     {Started: true, Exited: true, Code: 1},
	killedStage:     {Started: true, Exited: true, Code: 137},
	neverRan:        {Exited: true, Code: 69},
	endedAsAsked:    {Started: true, Stopping: true, Exited: true},
	neverRanAsAsked: {Stopping: true, Exited: true, Code: 143},
	stoppedStage:    {Started: true, Exited: true, Stopped: true},
	unseenStage:     {Started: true, Runs: true, Unseen: true},
}

// after are the stages that may be heard of next. Any may be missed.
func (s stage) after() []stage {
	all := []stage{upStage, readyStage, stoppingStage, between, succeededStage, failedStage, killedStage, endedAsAsked, stoppedStage, unseenStage}
	switch {
	case s == unknown:
		return append(all, missing, neverRan, neverRanAsAsked)
	case s == missing || s >= succeededStage && s != unseenStage:
		return nil // for good
	default:
		return all
	}
}

// world is one incarnation and the two containers that its spec may name.
type world struct {
	run
	peers [2]stage
}

type worldKey struct {
	run   runKey
	peers [2]stage
}

func (w *world) key() worldKey { return worldKey{w.run.key(), w.peers} }

func (w *world) keep() *world {
	c := *w
	return &c
}

// peerNames are the two containers.
var peerNames = [2]string{"p", "q"}

// named tells whether the spec names that container.
func named(s *spec.Spec, name string) bool {
	is := func(d spec.Dependency) bool { return d.Container == name }
	return slices.Contains(s.HoldFor, name) || slices.ContainsFunc(s.StartDeps, is) || slices.ContainsFunc(s.StopDeps, is)
}

// told is every next pair of stages that can be heard of at once. Only who
// waits can tell two changes at once from one after the other.
func (w *world) told() [][2]stage {
	if w.monitor.over {
		return nil
	}
	var next [2][]stage
	for i, name := range peerNames {
		next[i] = []stage{w.peers[i]}
		if named(&w.machine.spec, name) {
			next[i] = append(next[i], slices.DeleteFunc(w.peers[i].after(), func(s stage) bool { return w.idle(s, name) })...)
		}
	}
	var pairs [][2]stage
	for _, p := range next[0] {
		for _, q := range next[1] {
			pair := [2]stage{p, q}
			if pair != w.peers && (w.monitor.waiting() || p == w.peers[0] || q == w.peers[1]) {
				pairs = append(pairs, pair)
			}
		}
	}
	return pairs
}

// sent are the signals that somebody sends: a stop request, what may be one,
// the command's own, and one of the kernel's.
var sent = []Event{
	Signal{syscall.SIGTERM}, Signal{syscall.SIGUSR1}, Signal{syscall.SIGQUIT}, Signal{syscall.SIGHUP}, Signal{syscall.SIGCHLD},
}

// mayFireLate are the timers that may fire when another has come of what they
// were set for.
const mayFireLate = 1<<(LeaveTimer+1) - 1

// expand takes every event that can come next.
func (w *world) expand(step stepped[world]) error {
	var next world
	take := func(e Event, peers [2]stage) {
		next = world{w.clone(), peers}
		err := next.take(e)
		next.timers |= w.timers & mayFireLate
		err = errors.Join(err, next.drop())
		step(e, &next, err)
	}
	for _, e := range w.due() {
		take(e, w.peers)
	}
	if w.owes&oweStart != 0 {
		return nil
	}
	for _, e := range w.ends() {
		take(e, w.peers)
	}
	for _, e := range sent {
		take(e, w.peers)
	}
	if w.machine.spec.PreStop != nil {
		take(Noted{}, w.peers)
	}
	needs := w.machine.Needs()
	for _, pair := range w.told() {
		take(w.facts(pair), pair)
		if !w.concerned(needs, pair) && w.moved(&next) {
			return fmt.Errorf("it needs only %v, and acts on %v", needs, w.facts(pair))
		}
	}
	if w.peers[0].after() == nil && w.peers[1].after() == nil {
		return w.settles()
	}
	return nil
}

// concerned tells whether what is told is about a container that the machine
// says it needs.
func (w *world) concerned(needs []string, pair [2]stage) bool {
	for i, name := range peerNames {
		if pair[i] != w.peers[i] && slices.Contains(needs, name) {
			return true
		}
	}
	return false
}

// moved tells whether the machine did more than to note and to tell what it
// heard.
func (w *world) moved(next *world) bool {
	before, after := w.run.key(), next.run.key()
	before.monitor, before.complained, before.confirmed = after.monitor, after.complained, after.confirmed
	return before != after
}

// idle tells whether a stage differs from other ones only in what the spec does
// not depend on.
func (w *world) idle(s stage, name string) bool {
	m := &w.machine
	holds := slices.Contains(m.spec.HoldFor, name)
	on := func(conditions ...spec.Condition) bool {
		return slices.ContainsFunc(slices.Concat(m.spec.StartDeps, m.spec.StopDeps), func(d spec.Dependency) bool {
			return d.Container == name && slices.Contains(conditions, d.Condition)
		})
	}
	switch s {
	case readyStage:
		return !on(spec.Ready)
	case upStage, between:
		return !holds && !on(spec.Started, spec.Ready)
	case stoppingStage, unseenStage:
		return !holds
	case stoppedStage:
		return !on(spec.Succeeded, spec.Failed)
	case neverRan:
		return !on(spec.Started)
	case neverRanAsAsked:
		return !on(spec.Started, spec.Succeeded, spec.Failed)
	case killedStage: // as failedStage, but for the code
		return true
	default:
		return false
	}
}

func (w *world) facts(pair [2]stage) Facts {
	f := Facts{}
	for i, name := range peerNames {
		if named(&w.machine.spec, name) {
			f[name] = stageFacts[pair[i]]
		}
	}
	return f
}

// settles tells whether the run ends by itself, once nothing more is to be
// heard of others: everything that is due comes, and a command that nobody
// kills ends only when nothing else is left, unless there is a reason of ours
// to end it.
func (w *world) settles() error {
	r := w.clone()
	for range 40 {
		if r.monitor.over || r.owes&oweStart != 0 && r.inPlace {
			return nil
		}
		list := r.due()
		if len(list) == 0 || r.monitor.killed && r.monitor.running {
			list = r.ends()
			if r.monitor.running && r.monitor.owner != theirs && !r.monitor.killed {
				return errors.New("the command would never be killed")
			}
		}
		if len(list) == 0 {
			return errors.New("nothing can end it any more")
		}
		if err := r.take(list[0]); err != nil {
			return err
		}
		if r.monitor.killed && !w.monitor.killed && !r.monitor.asked {
			return errors.New("the command is killed without a signal before")
		}
	}
	return errors.New("it goes on for ever")
}
