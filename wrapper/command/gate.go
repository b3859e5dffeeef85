package command

import (
	"context"
	"fmt"
	"time"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// How long the gate blocks before it fails once with a sentence. The first comes
// soon, for whoever looks; the others seldom, since the kubelet has few events
// per pod to give.
const (
	gateFirst = 2 * time.Second
	gateFor   = 30 * time.Second
)

// readyPoll is how often the gate looks whether its own container is ready.
const readyPoll = 200 * time.Millisecond

// gate speaks on stdout: the kubelet shows a failed probe's output in the pod's
// events.
func (c command) gate([]string) int {
	if err := c.passGate(time.Now().Add(gateFor)); err != nil {
		fmt.Fprintln(c.stdout, err)
		return 1
	}
	return 0
}

// passGate blocks until the command runs, and then until its liveness probe may
// begin or its own startup probe has been asked. Where it has one, every failure
// counts for that one's threshold, so the gate waits without end.
func (c command) passGate(end time.Time) error {
	s, err := c.spec()
	if err != nil {
		return err
	}
	called, first, most := time.Now(), gateFirst, gateFor
	if s.StartupProbe != nil {
		first, most = 0, 0
	}
	started, err := record.Gate(c.recordDir, first, most)
	if err != nil {
		return err
	}
	if s.StartupProbe != nil {
		return c.startup(s.StartupProbe, called, started.Add(s.StartupProbe.InitialDelay()))
	}
	return c.liveness(s, started, end)
}

// startup asks the container's own startup probe from the time given. After a
// call that it was kept waiting in, the kubelet asks again at once, and then at
// its own next tick: two periods less than the failures it counts should take.
// They are spent here.
func (c command) startup(p *spec.Probe, called, from time.Time) error {
	time.Sleep(time.Until(from))
	err := c.once(p)
	for _, at := range []time.Time{from.Add(p.Period()), from.Add(2 * p.Period())} {
		if err == nil || called.After(from) {
			break
		}
		time.Sleep(time.Until(at))
		err = c.once(p)
	}
	return err
}

// once asks a probe once.
func (c command) once(p *spec.Probe) error {
	check := func(ctx context.Context, h spec.Handler) error { return c.handlers().Check(ctx, h, c.runner()) }
	return probe.Try(context.Background(), *p, check)
}

// liveness waits until the liveness probe's initial delay has passed since the
// command was started: the kubelet counts it from the container's start, and
// asks as soon as the gate is open. A container that is ready needs no more
// delay.
func (c command) liveness(s spec.Spec, started, end time.Time) error {
	over := started.Add(s.LivenessDelay)
	for time.Now().Before(over) {
		if p, err := record.Read(c.recordDir); len(s.ReadyProbes) > 0 && err == nil && p.Ready {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("started %s ago, the liveness probe begins %s after the start", time.Since(started).Round(time.Second), s.LivenessDelay)
		}
		time.Sleep(min(readyPoll, time.Until(over)))
	}
	return nil
}
