package lifecycle

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// stage is the state of another container as far as it can be observed.
type stage uint8

const (
	unknown stage = iota
	missing
	upStage
	readyStage
	stoppingStage
	between // between two incarnations
	succeededStage
	failedStage
	killedStage
	neverRan
	endedAsAsked    // after a stop request
	neverRanAsAsked // after a stop request, while it waited
	stoppedStage    // stopped by its wrapper, which reports 0
	againStage      // runs again, and its end was missed
	unseenStage     // runs, as far as the status reports
	stages          // the number of stages
)

// How often the container of a stage has ended, according to its records.
var (
	notEnded = Ends{Counter: ByRecord}
	ended    = Ends{Counter: ByRecord, Number: 1}
)

// stageFacts contains the facts for each stage.
var stageFacts = [...]Fact{
	unknown:         {},
	missing:         {Missing: "no such container"},
	upStage:         {Started: true, Runs: true, Ends: notEnded},
	readyStage:      {Started: true, Ready: true, Runs: true, Ends: notEnded},
	stoppingStage:   {Started: true, Ready: true, Runs: true, Stopping: true, Ends: notEnded},
	between:         {Started: true, Ends: ended},
	succeededStage:  {Started: true, Exited: true, Ends: ended},
	failedStage:     {Started: true, Exited: true, Code: 1, Ends: ended},
	killedStage:     {Started: true, Exited: true, Code: 137, Ends: ended},
	neverRan:        {Exited: true, Code: 69},
	endedAsAsked:    {Started: true, Stopping: true, Exited: true, Ends: ended},
	neverRanAsAsked: {Stopping: true, Exited: true, Code: 143},
	stoppedStage:    {Started: true, Exited: true, Stopped: true, Ends: ended},
	againStage:      {Started: true, Ready: true, Runs: true, Ends: ended},
	unseenStage:     {Started: true, Runs: true, Unseen: true, Ends: Ends{Counter: ByStatus, Number: 4}},
}

// after returns the stages that may be observed next. Any stage may be missed.
func (s stage) after() []stage {
	all := []stage{upStage, readyStage, stoppingStage, between, succeededStage, failedStage, killedStage, endedAsAsked, stoppedStage, againStage, unseenStage}
	switch {
	case s == unknown:
		return append(all, missing, neverRan, neverRanAsAsked)
	case s == missing || s >= succeededStage && s < againStage:
		return nil // permanently
	default:
		return all
	}
}

// hearsay is everything that one incarnation can learn about the two containers
// that its spec may name.
type hearsay struct {
	named [2]bool
	next  [2][stages][]stage // the stages that may be observed next, if they can matter
	facts [stages][stages]Facts

	seed    maphash.Seed
	heard   map[heard]uint64 // the hash of the result
	repeats int
	tried   int
}

// heard is an incarnation without its facts, and the stages that it learns.
type heard struct {
	run   uint64
	peers [2]stage
}

// newHearsay computes the hearsay for a spec.
func newHearsay(s *spec.Spec) *hearsay {
	h := &hearsay{named: [2]bool{named(s, "p"), named(s, "q")}, heard: map[heard]uint64{}, seed: maphash.MakeSeed()}
	for p := range stages {
		for i, name := range peerNames {
			if h.named[i] {
				h.next[i][p] = slices.DeleteFunc(p.after(), func(next stage) bool { return next == p || idle(s, next, name) })
			}
		}
		for q := range stages {
			f := Facts{}
			for i, at := range [2]stage{p, q} {
				if h.named[i] {
					f[peerNames[i]] = stageFacts[at]
				}
			}
			h.facts[p][q] = f
		}
	}
	return h
}

// world is one incarnation and the two other containers.
type world struct {
	run
	peers   [2]stage
	hearsay *hearsay
}

// newWorld returns an incarnation that has begun and knows nothing.
func newWorld(s spec.Spec) (world, error) {
	r, err := newRun(s, nil)
	return world{run: r, hearsay: newHearsay(&s)}, err
}

type worldKey struct {
	run   runKey
	peers [2]stage
}

// key omits the stage of a container that the machine no longer needs.
func (w *world) key() worldKey {
	k := worldKey{w.run.key(), w.peers}
	needs := w.machine.Needs()
	for i, name := range peerNames {
		if !slices.Contains(needs, name) {
			k.peers[i] = stages
		}
	}
	return k
}

func (w *world) keep() *world {
	c := *w
	return &c
}

// peerNames are the names of the two other containers.
var peerNames = [2]string{"p", "q"}

// named reports whether the spec names that container.
func named(s *spec.Spec, name string) bool {
	is := func(d spec.Dependency) bool { return d.Container == name }
	return slices.Contains(s.HoldFor, name) || slices.Contains(s.RestartWith, name) || slices.ContainsFunc(startDeps(*s), is) || slices.ContainsFunc(s.StopDeps, is)
}

// told returns every next pair of stages that can be learned at once. Only a
// waiting container can distinguish two simultaneous changes from consecutive
// ones.
func (w *world) told() [][2]stage {
	if w.monitor.over {
		return nil
	}
	p, q := w.peers[0], w.peers[1]
	var pairs [][2]stage
	for _, next := range w.hearsay.next[1][q] {
		pairs = append(pairs, [2]stage{p, next})
	}
	for _, next := range w.hearsay.next[0][p] {
		pairs = append(pairs, [2]stage{next, q})
		if w.monitor.waiting() {
			for _, other := range w.hearsay.next[1][q] {
				pairs = append(pairs, [2]stage{next, other})
			}
		}
	}
	return pairs
}

// sent contains the signals that are sent: stop requests, one that may be a
// stop request, one for the command, and one from the kernel.
var sent = []Event{
	Signal{syscall.SIGTERM}, Signal{syscall.SIGUSR1}, Signal{syscall.SIGQUIT}, Signal{syscall.SIGHUP}, Signal{syscall.SIGCHLD},
}

// mayFireLate contains the timers that may fire after another event has made
// them obsolete.
const mayFireLate = 1<<(LeaveTimer+1) - 1

// expand handles every possible next event.
func (w *world) expand(step stepped[world]) error {
	var next world
	needs := w.machine.Needs()
	take := func(e Event, peers [2]stage) {
		var err error
		next, err = w.becomes(e, peers)
		step(e, &next, errors.Join(err, w.heedless(needs, e, &next)))
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
	h := w.hearsay
	run := maphash.Comparable(h.seed, w.run.key())
	for _, pair := range w.told() {
		// New facts replace the old ones. Therefore the same incarnation that learns
		// the same facts again has the same future, regardless of what it knew
		// before. Every 16th repeat verifies that.
		what, concerned := heard{run, pair}, w.concerned(needs, pair)
		outcome, again := h.heard[what]
		if again && concerned {
			if h.repeats++; h.repeats%16 != 0 {
				continue
			}
		}
		facts := h.facts[pair[0]][pair[1]]
		take(facts, pair)
		have := maphash.Comparable(h.seed, next.run.key())
		h.heard[what] = have
		switch {
		case again && have != outcome:
			return fmt.Errorf("what it had heard before changes what it does on %v", facts)
		case !concerned && w.moved(&next):
			return fmt.Errorf("it needs only %v, and acts on %v", needs, facts)
		}
	}
	for i, name := range peerNames {
		if w.peers[i].after() != nil && slices.Contains(needs, name) {
			return nil
		}
	}
	return w.settles()
}

// becomes returns the world after an event.
func (w *world) becomes(e Event, peers [2]stage) (world, error) {
	next := world{w.clone(), peers, w.hearsay}
	err := next.take(e)
	next.timers |= w.timers & mayFireLate
	return next, errors.Join(err, next.drop())
}

// heedless verifies the assumption behind key: a container that the machine
// does not need is not needed later either, and its stage does not change the
// effect of an event on the machine. Every 8th event is tried with another
// stage.
func (w *world) heedless(needs []string, e Event, next *world) error {
	for _, name := range next.machine.Needs() {
		if !slices.Contains(needs, name) {
			return fmt.Errorf("it needs %s again", name)
		}
	}
	h := w.hearsay
	other := w.peers
	h.tried++
	for i, name := range peerNames {
		if h.named[i] && !slices.Contains(needs, name) {
			other[i] = stage(h.tried / 8 % int(stages))
		}
	}
	if _, facts := e.(Facts); facts || other == w.peers || h.tried%8 != 0 {
		return nil
	}
	changed := *w
	changed.run = w.clone()
	changed.machine.facts = h.facts[other[0]][other[1]]
	have, err := changed.becomes(e, other)
	if err == nil && next.moved(&have) {
		err = fmt.Errorf("it needs only %v, and on %T%+v acts on others, were they as %v", needs, e, e, changed.machine.facts)
	}
	return err
}

// concerned reports whether the news is about a container that the machine
// needs.
func (w *world) concerned(needs []string, pair [2]stage) bool {
	for i, name := range peerNames {
		if pair[i] != w.peers[i] && slices.Contains(needs, name) {
			return true
		}
	}
	return false
}

// moved reports whether the machine did more than record and report the news.
func (w *world) moved(next *world) bool {
	before, after := w.run.key(), next.run.key()
	before.monitor, before.complained, before.confirmed = after.monitor, after.complained, after.confirmed
	return before != after
}

// idle reports whether a stage differs from others only in aspects that the
// spec does not depend on.
func idle(s *spec.Spec, at stage, name string) bool {
	holds, restarts := slices.Contains(s.HoldFor, name), slices.Contains(s.RestartWith, name)
	on := func(conditions ...spec.Condition) bool {
		return slices.ContainsFunc(slices.Concat(startDeps(*s), s.StopDeps), func(d spec.Dependency) bool {
			return d.Container == name && slices.Contains(conditions, d.Condition)
		})
	}
	switch at {
	case readyStage:
		return !on(spec.Ready)
	case upStage, between:
		return !holds && !restarts && !on(spec.Started, spec.Ready)
	case stoppingStage, unseenStage:
		return !holds && !restarts
	case againStage:
		return !restarts
	case stoppedStage:
		return !on(spec.Succeeded, spec.Failed)
	case neverRan:
		return !on(spec.Started)
	case neverRanAsAsked:
		return !on(spec.Started, spec.Succeeded, spec.Failed)
	case killedStage: // like failedStage, except for the code
		return true
	default:
		return false
	}
}

// settles checks that the run ends by itself when there is no more news about
// other containers. Everything that is due happens, and a command that nothing
// kills exits only when nothing else is left, unless the wrapper has a reason
// of its own to end it.
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
