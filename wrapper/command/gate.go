package command

import (
	"context"
	"fmt"
	"time"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// How long the gate blocks before it fails once with a sentence: at first
// gateFirst, then twice the time that the container has waited, and at most
// gateFor. The kubelet emits only a limited number of events per pod. The first
// failure comes soon, before other containers have used them up, and later ones
// are rare.
const (
	gateFirst = 2 * time.Second
	gateFor   = 30 * time.Second
)

// readyPoll is how often the gate checks whether its own container is ready.
const readyPoll = 200 * time.Millisecond

// gate blocks until this container's command runs. It prints to stdout, because
// the kubelet shows the output of a failed probe in the pod's events.
func (c command) gate([]string) int {
	if err := c.passGate(time.Now().Add(gateFor)); err != nil {
		fmt.Fprintln(c.stdout, err)
		return 1
	}
	return 0
}

// passGate blocks until the command runs, and then until the container's own
// startup probe has run, the command has reported that it is ready, or the
// delay of its liveness probe is over. If the container has its own startup
// probe, every failure counts toward that probe's threshold, so the gate then
// waits for the command without a limit.
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
		if err := c.startup(s.StartupProbe, called, started.Add(s.StartupProbe.InitialDelay())); err != nil {
			return err
		}
		return c.noticed(s)
	}
	if s.ReadyWhen == spec.ReadyByNotice {
		return c.awaitNotice(s, started, end)
	}
	return c.liveness(s, started, end)
}

// startup runs the container's own startup probe, but not before from. After a
// call that had to wait for that time, the kubelet calls again immediately, and
// then at its next tick: it would count the allowed number of failures two
// periods too early. Such a call therefore spends these two periods here, on
// further tries.
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

// once runs a probe once.
func (c command) once(p *spec.Probe) error {
	check := func(ctx context.Context, h spec.Handler) error { return c.handlers().Check(ctx, h, c.runner()) }
	return probe.Try(context.Background(), *p, check)
}

// liveness waits until the initial delay of the liveness probe has passed since
// the command's start. The kubelet counts the delay from the container's start,
// and runs the probe as soon as the gate is open. A container whose ready
// probes have passed needs no further delay.
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
