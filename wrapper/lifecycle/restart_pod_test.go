package lifecycle

import (
	"fmt"
	"slices"
)

// countEnds records how often the other containers had ended when i's command
// was started, and what i knew about it.
func (p *pod) countEnds(i int) {
	c := &p.c[i]
	c.counted = c.views
	for _, name := range c.spec.RestartWith {
		j := int(name[0] - 'a')
		c.trueEnds[j] = p.c[j].ends
	}
}

// requestUnderway reports whether the pod's stop request has not yet reached a
// container that restarts with others. The runtime sends the stop requests of
// all containers in less time than a doubt lasts, and after a preStop hook
// within the grace period.
func (p *pod) requestUnderway(i int) bool {
	c := &p.c[i]
	return p.stopping && len(c.spec.RestartWith) > 0 && !c.asked
}

// anyRequestUnderway reports the same for all containers that are alive. The
// note of any container's preStop hook outlasts the pod's grace period.
func (p *pod) anyRequestUnderway() bool {
	for i := range p.c {
		if p.c[i].alive && p.requestUnderway(i) {
			return true
		}
	}
	return false
}

// checkRestart checks that a restart was caused by the end of a container that
// was not stopped with the pod.
func (p *pod) checkRestart(i int) error {
	c := &p.c[i]
	for _, name := range c.spec.RestartWith {
		j := int(name[0] - 'a')
		if o := &p.c[j]; o.ends > c.counted[j].ends && (!p.stopping || o.unasked > c.counted[j].ends) {
			return nil
		}
	}
	return fmt.Errorf("%s restarts, and nothing that it restarts with has ended, or the pod is being stopped", containerName(i))
}

// forgotten returns an error if a command continues to run although a container
// of its restartWith has ended, and nothing more will happen.
func (p *pod) forgotten(i int) error {
	c := &p.c[i]
	m := &c.run.monitor
	if p.stopping || !m.running || m.owner != theirs || m.beingStopped() || m.asked || m.hinted {
		return nil
	}
	lost := func(name string) bool { return p.c[name[0]-'a'].ends > c.trueEnds[name[0]-'a'] }
	if at := slices.IndexFunc(c.spec.RestartWith, lost); at >= 0 {
		return fmt.Errorf("%s goes on running, and %s has ended", containerName(i), c.spec.RestartWith[at])
	}
	return nil
}

// firstFacts returns what i knows when it begins: only how often the containers
// of its restartWith have ended.
func (p *pod) firstFacts(i int) Facts {
	f := Facts{}
	for _, name := range p.c[i].spec.RestartWith {
		f[name] = Fact{Ends: Ends{ByRecord, int(p.c[i].views[name[0]-'a'].ends)}}
	}
	return f
}
