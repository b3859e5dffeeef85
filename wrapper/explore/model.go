package explore

import (
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// phase is the phase of a container's life.
type phase uint8

const (
	waiting   phase = iota // its command does not run, and never ran
	again                  // its command ran, and does not run now
	running                // its command runs
	ready                  // and it is ready
	succeeded              // it permanently exited: the command itself ended with 0
	failed                 // it permanently exited otherwise; its command ran
	never                  // it permanently exited, and its command never ran
)

func (p phase) waits() bool { return p <= again }
func (p phase) runs() bool  { return p == running || p == ready }
func (p phase) gone() bool  { return p >= succeeded }

// kept returns the final phase of a container that was kept from running and is
// not started again.
func (p phase) kept() phase {
	if p == again {
		return failed
	}
	return never
}

// state contains the phases of all containers, four bits each.
type state uint64

func (s state) of(i int) phase { return phase(s >> (4 * i) & 15) }

func (s state) with(i int, p phase) state {
	return s&^(15<<(4*i)) | state(p)<<(4*i)
}

// dependency is a dependency on the container at an index.
type dependency struct {
	on        int
	condition spec.Condition
	optional  bool
}

// container contains the parts of a container's spec that the model needs.
type container struct {
	name        string
	start, stop []dependency
	all         bool // all stop dependencies must hold
	timeout     bool // it has a start timeout
	regardless  bool // and starts anyway after that
	endpoints   bool // it requires endpoints, which may never answer
	awaited     bool // others wait until it is ready
	ended       bool // others wait until it has exited
	needs       []int
	followers   []int // containers that restart with it

	own      outcome // of a command that exits by itself
	stopped  outcome // of a command that was stopped
	kept     outcome // of a container whose command was kept from running
	lost     outcome // of a container whose start dependencies can no longer hold
	late     outcome // of a container whose start timeout has passed
	unstarts outcome // of a container whose command cannot be started
}

// outcome is what can follow an exit with one of several codes.
type outcome struct {
	success, failure bool // the container permanently exits, with code 0 or another
	restart          bool
}

func (o outcome) gone() bool { return o.success || o.failure }

func (o outcome) or(p outcome) outcome {
	return outcome{o.success || p.success, o.failure || p.failure, o.restart || p.restart}
}

// canEnd reports whether the container's restart policy ever lets it
// permanently exit.
func (c *container) canEnd() bool { return c.own.gone() || c.stopped.gone() }

// outcomeOf returns what can follow an exit with a code. For spec.Child, that
// is any code of the command.
func outcomeOf(r spec.Restart, code spec.ExitCode) outcome {
	if code != spec.Child {
		good := r.ForGood(int(code))
		return outcome{good && code == 0, good && code != 0, !good}
	}
	var o outcome
	for code := range r.Codes() {
		o = o.or(outcomeOf(r, spec.ExitCode(code)))
	}
	return o
}

// model is the model of a pod.
type model struct{ containers []container }

// newModel returns the model for these specs. It ignores dependencies on
// containers that are not among them.
func newModel(specs []spec.Spec) *model {
	m := &model{make([]container, len(specs))}
	index := make(map[string]int, len(specs))
	for i, s := range specs {
		index[s.Container] = i
	}
	list := func(deps []spec.Dependency) (all []dependency) {
		for _, d := range deps {
			if on, found := index[d.Container]; found {
				all = append(all, dependency{on, d.Condition, d.Optional})
			}
		}
		return all
	}
	for i, s := range specs {
		code := func(c spec.ExitCode) outcome { return outcomeOf(s.Restart, c) }
		c := &m.containers[i]
		c.name, c.start, c.stop = s.Container, list(s.StartDeps), list(s.StopDeps)
		c.all, c.timeout, c.regardless = s.StopWhen == spec.StopAll, s.StartTimeout > 0, s.OnStartTimeout == spec.TimeoutStart
		required := func(e spec.Endpoint) bool { return !e.Optional }
		c.endpoints = !c.regardless && slices.ContainsFunc(s.StartEndpoints, required)
		c.own, c.kept = code(spec.Child), code(spec.ExitCode(s.StoppedExitCode.Or(spec.ExitStopped)))
		c.stopped = code(s.StoppedExitCode).or(code(spec.ExitCode(s.KilledExitCode.Or(137))))
		c.lost, c.late, c.unstarts = code(spec.ExitUnsatisfiable), code(spec.ExitStartTimeout), code(spec.ExitNotFound)
		for _, d := range slices.Concat(c.start, c.stop) {
			c.needs = append(c.needs, d.on)
		}
		for _, name := range s.RestartWith {
			if on, found := index[name]; found {
				m.containers[on].followers = append(m.containers[on].followers, i)
			}
		}
		for _, d := range c.start {
			on := &m.containers[d.on]
			on.awaited = on.awaited || d.condition == spec.Ready
			on.ended = on.ended || d.condition == spec.Exited || d.condition == spec.Succeeded
		}
	}
	return m
}

// verdict is the state of a dependency.
type verdict uint8

const (
	pending verdict = iota
	holds
	impossible // it can no longer hold
)

// judge compares a dependency with the phase of its container.
func judge(d dependency, p phase) verdict {
	is := false
	switch d.condition {
	case spec.Started:
		is = p != waiting && p != never
	case spec.Ready:
		is = p == ready
	case spec.Exited:
		is = p.gone()
	case spec.Succeeded:
		is = p == succeeded
	case spec.Failed:
		is = p.gone() && p != succeeded
	}
	switch {
	case is:
		return holds
	case p.gone():
		return impossible
	default:
		return pending
	}
}

// stopHolds reports whether a container's stop dependencies hold.
func (c *container) stopHolds(s state) bool {
	held := 0
	for _, d := range c.stop {
		if judge(d, s.of(d.on)) == holds {
			held++
		}
	}
	return held > 0 && (!c.all || held == len(c.stop))
}

// startHolds returns the combined verdict on the start dependencies, and
// whether the command may start after the start timeout.
func (c *container) startHolds(s state) (v verdict, inTime bool) {
	v, inTime = holds, true
	for _, d := range c.start {
		switch one := judge(d, s.of(d.on)); {
		case one == holds, one == impossible && d.optional:
		case one == impossible:
			return impossible, false
		default:
			v, inTime = pending, inTime && (d.optional || c.regardless)
		}
	}
	return v, inTime && c.timeout
}

// isLost reports whether a container fails repeatedly because it waits for a
// condition that can no longer hold.
func (m *model) isLost(s state) bool {
	for i := range m.containers {
		c := &m.containers[i]
		if v, _ := c.startHolds(s); s.of(i).waits() && v == impossible && !c.lost.gone() && !c.stopHolds(s) {
			return true
		}
	}
	return false
}

// step is one event in the life of one container.
type step struct {
	to   state
	exit Exit // Container is "" if the step is no exit
}

// steps appends the steps that can come next. The command of the container
// lasting does not exit by itself.
func (m *model) steps(s state, lasting int, prompt bool, list []step) []step {
	for i := range m.containers {
		if c := &m.containers[i]; prompt && s.of(i).runs() && c.stopHolds(s) {
			list = m.ends(s, i, c.stopped, true, list)
		}
	}
	if len(list) > 0 {
		return list
	}
	for i := range m.containers {
		c, p := &m.containers[i], s.of(i)
		switch {
		case p.gone():
		case p.waits():
			list = c.begins(s, i, list)
		case c.stopHolds(s):
			list = m.ends(s, i, c.stopped, true, list)
		case i != lasting:
			list = m.ends(s, i, c.own, false, list)
		}
		if p == running && c.awaited {
			list = append(list, step{to: s.with(i, ready)})
		}
	}
	return list
}

// begins appends the possible steps of a waiting container.
func (c *container) begins(s state, i int, list []step) []step {
	p := s.of(i)
	leave := func(o outcome, stopped bool) {
		if o.gone() {
			list = append(list, step{s.with(i, p.kept()), Exit{Container: c.name, Stopped: stopped}})
		}
	}
	if c.stopHolds(s) {
		leave(c.kept, true)
		return list
	}
	v, inTime := c.startHolds(s)
	if v == holds || inTime {
		list = append(list, step{to: s.with(i, running)})
		leave(c.unstarts, false)
	}
	if v == impossible {
		leave(c.lost, false)
	}
	if c.timeout && (v == pending && !inTime || v != impossible && c.endpoints) {
		leave(c.late, false)
	}
	return list
}

// restarted returns the state after a container's command has ended: the
// commands of the containers that restart with it, directly or through others,
// have ended too and wait to be started again.
func (m *model) restarted(s state, i int) state {
	for _, j := range m.containers[i].followers {
		if s.of(j).runs() {
			s = m.restarted(s.with(j, again), j)
		}
	}
	return s
}

// ends appends the ways in which a command can end.
func (m *model) ends(s state, i int, o outcome, stopped bool, list []step) []step {
	c := &m.containers[i]
	s = m.restarted(s, i)
	if o.success && !stopped {
		list = append(list, step{s.with(i, succeeded), Exit{c.name, true, false}})
	}
	if o.failure || o.success && stopped {
		list = append(list, step{s.with(i, failed), Exit{c.name, false, stopped}})
	}
	if o.restart {
		list = append(list, step{s.with(i, again), Exit{c.name, false, stopped}})
	}
	return list
}
