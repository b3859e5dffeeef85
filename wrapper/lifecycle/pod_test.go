package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// most is the maximum number of containers of a pod in the model.
const most = 4

// view is what a record reports about a container.
type view struct {
	started, ready, runs, stopping, mute, exited bool
	unsuccessful                                 bool // regardless of the code
	code                                         int16
	ends                                         int8 // ends of the command, in all incarnations
}

// container is one container of a pod.
type container struct {
	spec      *spec.Spec
	run       run // the present incarnation, when alive
	alive     bool
	inPlace   bool // the command has replaced the wrapper
	noted     bool // the kubelet runs its preStop hook
	asked     bool // the kubelet has sent its stop request
	gone      bool // permanently exited
	code      int16
	stopped   bool // and had received a stop request
	mute      bool // and its command had replaced the wrapper
	wasEnded  bool // and its wrapper had stopped it, or kept it from running
	once      bool // its command has been started in some incarnation
	onceReady bool
	ready     bool
	views     [most]view // what the present incarnation has learned
	ends      int8
	itself    bool       // the command ended before its stop request reached the container
	unasked   int8       // the ends before the pod's stop request reached the container
	counted   [most]view // what the present incarnation knew when its command was started
	trueEnds  [most]int8 // how often the others had really ended at that time
}

// hooked reports whether the kubelet runs a preStop hook before it sends the
// signal.
func (c *container) hooked() bool { return c.spec.PreStop != nil && c.alive && !c.inPlace }

// runs reports whether the command runs.
func (c *container) runs() bool { return c.alive && (c.inPlace || c.run.monitor.running) }

// pod is a pod: the machines of its containers, the records between them, which
// may arrive late and in any order, and the kubelet.
type pod struct {
	c        []container
	stopping bool // the kubelet is stopping the pod
	mishaps  int8 // mishaps left: a wrapper is killed, or a single container is stopped
	restarts int8 // restarts left
}

// containerName returns the name of the container at an index.
func containerName(i int) string { return "abcd"[i : i+1] }

// newPod returns a pod whose containers have just begun.
func newPod(specs []spec.Spec, mishaps, restarts int8) (pod, error) {
	p := pod{mishaps: mishaps, restarts: restarts, c: make([]container, len(specs))}
	for i := range specs {
		p.c[i].spec = &specs[i]
		if err := p.begin(i); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *pod) begin(i int) (err error) {
	c := &p.c[i]
	c.alive, c.noted, c.asked, c.itself, c.views = true, false, false, false, [most]view{}
	for _, name := range c.spec.RestartWith { // their records are read at the beginning
		c.views[name[0]-'a'].ends = p.c[name[0]-'a'].ends
	}
	c.run, err = newRun(*c.spec, p.firstFacts(i))
	return errors.Join(err, p.follow(i, run{}))
}

func (p *pod) keep() *pod {
	next := *p
	next.c = slices.Clone(p.c)
	return &next
}

// truth returns the real state of a container.
func (p *pod) truth(i int) view {
	c := &p.c[i]
	v := view{ends: c.ends, started: c.once, ready: c.ready, runs: c.runs(), exited: c.gone, code: c.code, unsuccessful: c.wasEnded}
	switch {
	case !c.alive:
		v.stopping, v.mute = c.stopped, c.mute
	case c.alive && !c.inPlace:
		v.stopping = c.run.machine.Report().Stopping
	}
	return v
}

// news returns the real state of j as far as it can still matter to i.
func (p *pod) news(i, j int) view {
	c, v := &p.c[i], p.truth(j)
	waits := slices.ContainsFunc(c.spec.StartDeps, func(d spec.Dependency) bool { return d.Container == containerName(j) })
	waits = waits && c.run.monitor.waiting()
	holds := slices.Contains(c.spec.HoldFor, containerName(j))
	v.started, v.ready = v.started && waits, v.ready && waits
	restarts := slices.Contains(c.spec.RestartWith, containerName(j))
	v.runs, v.stopping = v.runs && holds, v.stopping && (holds || waits || restarts)
	if !restarts {
		v.ends, v.mute = 0, false
	}
	return v
}

// move is one event in a pod.
type move struct {
	what  string
	who   string
	about string
	event Event
}

// moves returns the moves that are due, that is, without the whims.
func (p *pod) moves() []move {
	var list []move
	for i := range p.c {
		c, who := &p.c[i], containerName(i)
		if !c.alive {
			if !c.gone && !p.stopping && p.restarts > 0 {
				list = append(list, move{what: "restart", who: who})
			}
			continue
		}
		if p.stopping && !c.noted && c.hooked() && c.run.owes&oweStart == 0 {
			list = append(list, move{"pod stop", who, "", Noted{}})
		} else if p.stopping && !c.asked && c.run.owes&oweStart == 0 {
			list = append(list, move{"pod stop", who, "", Signal{syscall.SIGTERM}})
		}
		if c.inPlace {
			continue
		}
		for _, e := range c.run.due() {
			if e == Event(Fired{DoubtTimer}) && p.requestUnderway(i) || e == Event(Fired{NoteTimer}) && p.anyRequestUnderway() {
				continue // the runtime sends the stop request to all containers before that
			}
			list = append(list, move{"due", who, "", e})
		}
		for j := range p.c {
			if p.late(i, j) {
				list = append(list, move{what: "told", who: who, about: containerName(j)})
			}
		}
	}
	return list
}

// whims returns the moves that may or may not happen: ends of commands, probes
// that pass, the pod's stop, and mishaps.
func (p *pod) whims() []move {
	var list []move
	for i := range p.c {
		c, who := &p.c[i], containerName(i)
		if !c.alive {
			continue
		}
		if c.run.owes&oweStart != 0 && c.run.inPlace {
			list = append(list, move{what: "in place", who: who})
		}
		if c.runs() && !c.ready {
			list = append(list, move{what: "ready", who: who})
		}
		if c.inPlace {
			list = append(list, move{"ends", who, "", Exited{0}}, move{"ends", who, "", Exited{1}})
		} else {
			for _, e := range c.run.ends() {
				list = append(list, move{"ends", who, "", e})
			}
		}
		if p.mishaps > 0 {
			list = append(list, move{what: "killed", who: who})
			if !p.stopping && c.run.owes&oweStart == 0 && !c.inPlace {
				list = append(list, move{"stopped alone", who, "", Signal{syscall.SIGTERM}})
			}
		}
	}
	if !p.stopping {
		list = append(list, move{what: "the pod is stopped"})
	} else if !slices.ContainsFunc(p.c, func(c container) bool { return c.alive && !c.asked }) {
		list = append(list, move{what: "the grace period is over"})
	}
	return list
}

// late reports whether i does not know the real state of j.
func (p *pod) late(i, j int) bool {
	c := &p.c[i]
	return i != j && c.run.owes&oweStart == 0 && named(c.spec, containerName(j)) && c.views[j] != p.news(i, j)
}

// do makes a move.
func (p *pod) do(m move) error {
	i := 0
	if m.who != "" {
		i = int(m.who[0] - 'a')
	}
	c := &p.c[i]
	before := c.run
	switch m.what {
	case "restart":
		p.restarts--
		return p.begin(i)
	case "the pod is stopped":
		p.stopping = true
		return nil
	case "the grace period is over":
		for i := range p.c {
			p.kill(i)
		}
		return nil
	case "killed":
		p.mishaps--
		p.kill(i)
		return nil
	case "ready":
		c.ready, c.onceReady = true, true
		return nil
	case "in place":
		c.inPlace, c.once, c.run = true, true, run{}
		return nil
	case "told":
		j := int(m.about[0] - 'a')
		c.views[j] = p.news(i, j)
		m.event = p.facts(i)
	case "stopped alone":
		p.mishaps--
	case "pod stop":
		c.asked = m.event != Event(Noted{})
		c.noted = c.noted || !c.asked
	case "ends":
		knows := c.noted && (c.inPlace || c.run.machine.noted) // a note is discarded after the grace period
		c.ready, c.itself = false, !c.asked && !knows
	}
	if c.inPlace {
		if e, ends := m.event.(Exited); ends {
			p.end(i, e.Code)
		}
		return nil
	}
	c.run = c.run.clone()
	return errors.Join(c.run.take(m.event), p.follow(i, before))
}

// facts returns what i has learned, in the form that its machine takes.
func (p *pod) facts(i int) Facts {
	f := Facts{}
	for j := range p.c {
		if v := p.c[i].views[j]; named(p.c[i].spec, containerName(j)) {
			f[containerName(j)] = Fact{
				Ends: Ends{ByRecord, int(v.ends)}, Started: v.started, Ready: v.ready, Runs: v.runs, Stopping: v.stopping, Mute: v.mute, Exited: v.exited, Code: int(v.code), Stopped: v.unsuccessful,
			}
		}
	}
	return f
}

// follow updates the pod after a change to a container's incarnation.
func (p *pod) follow(i int, before run) error {
	c := &p.c[i]
	m := &c.run.monitor
	report := c.run.machine.Report()
	c.once = c.once || report.Started
	if m.started && !before.monitor.started {
		if err := p.checkStart(i); err != nil {
			return err
		}
		p.countEnds(i)
	}
	if m.owner == restart && before.monitor.owner != restart && !m.killed { // a kill comes after the grace period
		if err := p.checkRestart(i); err != nil {
			return err
		}
	}
	if m.released && !before.monitor.released {
		if err := p.checkHold(i); err != nil {
			return err
		}
	}
	if m.over {
		p.end(i, report.Exit.Code)
		c.wasEnded = report.Exit.Stopped && c.gone
	}
	return nil
}

func (p *pod) kill(i int) {
	if p.c[i].alive {
		p.end(i, 137)
	}
}

// end ends a container, which the kubelet then restarts or not.
func (p *pod) end(i, code int) {
	c := &p.c[i]
	if c.inPlace || c.run.machine.started {
		c.ends++
		if c.itself || !c.asked && !c.noted {
			c.unasked++
		}
	}
	c.stopped = c.alive && !c.inPlace && c.run.machine.Report().Stopping
	c.mute = c.alive && c.inPlace
	c.alive, c.inPlace, c.ready = false, false, false
	c.run, c.views = run{}, [most]view{}
	if c.spec.Restart.ForGood(code) {
		c.gone, c.code = true, int16(code)
	}
}

// checkStart checks a start against the real states of the other containers:
// past ones, or the present ones if everything known is still true.
func (p *pod) checkStart(i int) error {
	c := &p.c[i]
	current := !slices.ContainsFunc(c.spec.StartDeps, func(d spec.Dependency) bool {
		v, now := c.views[d.Container[0]-'a'], p.truth(int(d.Container[0]-'a'))
		return v.started != now.started || v.ready != now.ready || v.exited != now.exited
	})
	for _, d := range c.spec.StartDeps {
		j := int(d.Container[0] - 'a')
		o := &p.c[j]
		f := Fact{Started: o.once, Ready: o.onceReady, Exited: o.gone, Code: int(o.code), Stopped: o.wasEnded}
		lost := d.Optional && o.gone || c.run.monitor.timedOut && (d.Optional || c.spec.OnStartTimeout == spec.TimeoutStart)
		if d.Condition == spec.Ready {
			f.Exited = false // it may have exited since
		}
		if current {
			f.Ready, f.Exited = o.ready, o.gone
		}
		if !meets(d, f) && !lost {
			return fmt.Errorf("%s was started, and %s never came true", containerName(i), d)
		}
	}
	return nil
}

// checkHold checks the end of a hold against the commands that really run.
func (p *pod) checkHold(i int) error {
	c := &p.c[i]
	m := &c.run.monitor
	if m.owner != theirs || m.forced || budget(c.spec) <= 0 {
		return nil
	}
	for _, name := range c.spec.HoldFor {
		j := int(name[0] - 'a')
		if p.c[j].runs() && !p.late(i, j) {
			return fmt.Errorf("%s no longer holds for %s, which runs", containerName(i), name)
		}
	}
	return nil
}
