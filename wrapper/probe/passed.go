package probe

import (
	"context"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// The pause between the end of one try and the next.
const (
	earlyPause   = 5 * time.Millisecond // the minimum, when the probe has only just begun to fail
	earlyFactor  = 20                   // such a pause is the time since then, divided by this
	networkPause = 50 * time.Millisecond
	execPause    = 250 * time.Millisecond
	maxPause     = 10 * time.Second // the kubelet's default period
	restFactor   = 4                // the pause divided by the duration of a try: at most a fifth of the time is spent on tries
)

// Passed runs the probes one after another, for example a container's startup
// probe and then its readiness probe, until each has passed Successes times in
// a row, and returns nil. It does not run a probe again that has passed. If ctx
// ends first, it returns the error of ctx.
//
// A probe's first try comes InitialDelay after started, the start of the
// container's command, or after the previous probe has passed, whichever is
// later. The pause between two tries is 50 ms, or 250 ms for commands, but at
// least four times the duration of the last try, and at most 10 s. While a
// probe over the network fails, its pauses begin at 5 ms and are a twentieth of
// the time since its first try, up to 50 ms. This is how late a container may
// be detected as ready.
//
// The ctx of check ends after the probe's Timeout; a later success counts as a
// failure. Passed waits for check to return, so a check that ignores its ctx
// stalls it. It passes every failure to failed.
func Passed(ctx context.Context, probes []spec.Probe, started time.Time, check func(context.Context, spec.Handler) error, failed func(error)) error {
	for _, p := range probes {
		if err := sleep(ctx, time.Until(started.Add(p.InitialDelay()))); err != nil {
			return err
		}
		if err := pass(ctx, p, check, failed); err != nil {
			return err
		}
	}
	return nil
}

// pass runs one probe until it has passed, beginning immediately.
func pass(ctx context.Context, p spec.Probe, check func(context.Context, spec.Handler) error, failed func(error)) error {
	first := time.Now()
	for run := 0; ; {
		began := time.Now()
		run++
		if err := Try(ctx, p, check); err != nil {
			failed(err)
			run = 0
		}
		if run >= p.Successes() {
			return nil
		}
		least := networkPause
		switch {
		case p.Exec != nil:
			least = execPause
		case run == 0:
			least = min(max(earlyPause, time.Since(first)/earlyFactor), networkPause)
		}
		if err := sleep(ctx, pause(least, time.Since(began))); err != nil {
			return err
		}
	}
}

// Try performs one check within the probe's timeout.
func Try(ctx context.Context, p spec.Probe, check func(context.Context, spec.Handler) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout())
	defer cancel()
	if err := check(ctx, p.Handler); err != nil {
		return err
	}
	return ctx.Err()
}

// pause returns the pause after a try that took cost; least is the minimum.
func pause(least, cost time.Duration) time.Duration {
	return min(max(least, restFactor*cost), maxPause)
}

// sleep waits for d or for the end of ctx. It returns the error of ctx, even if
// d has passed as well.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
