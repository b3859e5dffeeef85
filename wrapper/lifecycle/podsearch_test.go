package lifecycle

import (
	"errors"
	"fmt"
	"slices"
)

// stuck returns the reason why a pod in which nothing is due will never end.
func (p *pod) stuck() error {
	over := true // nothing is left that could change anything
	for i := range p.c {
		c := &p.c[i]
		switch {
		case c.runs(), c.alive && c.run.owes&oweStart != 0, !c.alive && !c.gone && !p.stopping:
			over = false
		case c.alive && p.stopping:
			return fmt.Errorf("%s still waits in a pod that was stopped", containerName(i))
		}
		if err := p.forgotten(i); err != nil {
			return err
		}
		m := &c.run.monitor
		switch {
		case c.alive && m.ended:
			return fmt.Errorf("%s has nothing left to do, and does not end", containerName(i))
		case !c.alive || !m.running:
		case p.stopping && !m.asked && !m.killed:
			return fmt.Errorf("%s was never asked to stop", containerName(i))
		case m.owner != theirs && !m.killed:
			return fmt.Errorf("%s would never be killed", containerName(i))
		}
	}
	if over && slices.ContainsFunc(p.c, func(c container) bool { return c.alive }) {
		return errors.New("all that are left wait for ever")
	}
	return nil
}

// answers returns the answers that a driver gives immediately: to Start, and to
// Sweep when the command's process group is empty.
func (p *pod) answers() []move {
	for i := range p.c {
		c, who := &p.c[i], containerName(i)
		switch {
		case !c.alive || c.inPlace:
		case c.run.owes&oweStart != 0 && !c.run.inPlace:
			return []move{{"due", who, "", Started{}}, {"due", who, "", StartFailed{127, "no such file"}}}
		case c.run.owes&oweSweep != 0:
			return []move{{"due", who, "", Swept{}}}
		}
	}
	return nil
}

// expand makes every possible next move.
func (p *pod) expand(step stepped[pod]) error {
	if prompt := p.answers(); prompt != nil {
		for _, m := range prompt {
			next := p.keep()
			err := next.do(m)
			step(m, next, err)
		}
		return nil
	}
	due := p.moves()
	for _, m := range append(due, p.whims()...) {
		next := p.keep()
		err := next.do(m)
		step(m, next, err)
	}
	if len(due) == 0 {
		return p.stuck()
	}
	return nil
}

// podKey identifies a state of a pod of two given specs.
type podKey struct {
	c        [2]containerKey
	stopping bool
	mishaps  int8
	restarts int8
}

type containerKey struct {
	run                                             runKey
	alive, inPlace, noted, asked, gone              bool
	once, onceReady, ready, stopped, mute, wasEnded bool
	code                                            int16
	views, counted                                  [most]view
	ends, unasked                                   int8
	itself                                          bool
	trueEnds                                        [most]int8
}

func (p *pod) key() podKey {
	return podKey{
		c: [2]containerKey{p.c[0].key(), p.c[1].key()}, stopping: p.stopping, mishaps: p.mishaps, restarts: p.restarts,
	}
}

func (c *container) key() containerKey {
	return containerKey{
		run: c.run.key(), alive: c.alive, inPlace: c.inPlace, noted: c.noted, asked: c.asked, gone: c.gone, once: c.once,
		onceReady: c.onceReady, ready: c.ready, stopped: c.stopped, mute: c.mute, wasEnded: c.wasEnded, code: c.code, views: c.views,
		ends: c.ends, unasked: c.unasked, itself: c.itself, counted: c.counted, trueEnds: c.trueEnds,
	}
}
