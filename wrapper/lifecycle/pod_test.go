package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// most is how many containers a pod of the model has at the most.
const most = 4

// view is what a record tells of a container.
type view struct {
	started, ready, runs, stopping, exited bool
	unsuccessful                           bool // whatever the code
	code                                   int16
}

// container is one container of a pod.
type container struct {
	spec      *spec.Spec
	run       run // the present incarnation, when alive
	alive     bool
	inPlace   bool // the command runs in the wrapper's place
	noted     bool // the kubelet runs its preStop hook
	asked     bool // the kubelet sent its stop request
	gone      bool // exited for good
	code      int16
	stopped   bool // and had been asked to stop
	wasEnded  bool // and its wrapper had stopped it, or kept it from running
	once      bool // its command was started in some incarnation
	onceReady bool
	ready     bool
	views     [most]view // what the present incarnation was told
}

// hooked tells whether the kubelet runs a preStop hook before its signal.
func (c *container) hooked() bool { return c.spec.PreStop != nil && c.alive && !c.inPlace }

// runs tells whether the command runs.
func (c *container) runs() bool { return c.alive && (c.inPlace || c.run.monitor.running) }

// pod is a pod: its containers' machines, the records between them, which may
// arrive late and in any order, and the kubelet.
type pod struct {
	c        []container
	stopping bool // the kubelet stops the pod
	mishaps  int8 // left: a wrapper is killed, a container alone is stopped
	restarts int8 // left
}

// containerName is the name of the container at an index.
func containerName(i int) string { return "abcd"[i : i+1] }

// newPod is a pod whose containers have just begun.
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
	c.alive, c.noted, c.asked, c.views = true, false, false, [most]view{}
	c.run, err = newRun(*c.spec)
	return errors.Join(err, p.follow(i, run{}))
}

func (p *pod) keep() *pod {
	next := *p
	next.c = slices.Clone(p.c)
	return &next
}

// truth is how a container stands now.
func (p *pod) truth(i int) view {
	c := &p.c[i]
	v := view{started: c.once, ready: c.ready, runs: c.runs(), exited: c.gone, code: c.code, unsuccessful: c.wasEnded}
	switch {
	case c.gone:
		v.stopping = c.stopped
	case c.alive && !c.inPlace:
		v.stopping = c.run.machine.Report().Stopping
	}
	return v
}

// news is how j stands now, as far as it can still matter to i.
func (p *pod) news(i, j int) view {
	c, v := &p.c[i], p.truth(j)
	waits := slices.ContainsFunc(c.spec.StartDeps, func(d spec.Dependency) bool { return d.Container == containerName(j) })
	waits = waits && c.run.monitor.waiting()
	holds := slices.Contains(c.spec.HoldFor, containerName(j))
	v.started, v.ready = v.started && waits, v.ready && waits
	v.runs, v.stopping = v.runs && holds, v.stopping && (holds || waits)
	return v
}

// move is one thing that happens in a pod.
type move struct {
	what  string
	who   string
	about string
	event Event
}

// moves are all that can happen next, the kubelet's and others' whims apart.
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

// whims are what may happen or not: ends of commands, probes that pass, the
// pod's stop, and mishaps.
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

// late tells whether i has not heard how j stands.
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
		c.ready = false
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

// facts are what i was told, as its machine takes it.
func (p *pod) facts(i int) Facts {
	f := Facts{}
	for j := range p.c {
		if v := p.c[i].views[j]; named(p.c[i].spec, containerName(j)) {
			f[containerName(j)] = Fact{
				Started: v.started, Ready: v.ready, Runs: v.runs, Stopping: v.stopping, Exited: v.exited, Code: int(v.code), Stopped: v.unsuccessful,
			}
		}
	}
	return f
}

// follow takes what became of a container's incarnation.
func (p *pod) follow(i int, before run) error {
	c := &p.c[i]
	m := &c.run.monitor
	report := c.run.machine.Report()
	c.once = c.once || report.Started
	if m.started && !before.monitor.started {
		if err := p.checkStart(i); err != nil {
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

// end is a container's end, after which the kubelet restarts it or not.
func (p *pod) end(i, code int) {
	c := &p.c[i]
	c.stopped = c.alive && !c.inPlace && c.run.machine.Report().Stopping
	c.alive, c.inPlace, c.ready = false, false, false
	c.run, c.views = run{}, [most]view{}
	if c.spec.Restart.ForGood(code) {
		c.gone, c.code = true, int16(code)
	}
}

// checkStart holds a start to how the others really stood: at some time, and
// where all that is known is true, now.
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
			f.Exited = false // since
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

// checkHold holds the end of a hold to who really runs.
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
