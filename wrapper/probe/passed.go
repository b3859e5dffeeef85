package probe

import (
	"context"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// The pause between the end of one try and the next.
const (
	earlyPause   = 5 * time.Millisecond // the shortest, where the probe has only just begun to fail
	earlyFactor  = 20                   // such a pause is one part in so many of the time since then
	networkPause = 50 * time.Millisecond
	execPause    = 250 * time.Millisecond
	maxPause     = 10 * time.Second // the kubelet's default period
	restFactor   = 4                // pauses per time a try took: at most a fifth of the time is spent asking
)

// Passed asks the probes one after another, as a container's startup probe and
// then its readiness probe, until each has passed Successes times in a row,
// and returns nil; a probe that has passed is not asked again. Before that only
// the end of ctx ends it, with its error.
//
// A probe's first try comes InitialDelay after started, when the container's
// command began, or when the probe before it passed, whichever is later. Tries
// follow each other after a pause: 50 ms, for commands 250 ms, but four times
// as long as the last try took, and 10 s at most. As long as a probe over the
// network has not passed, its pauses begin at 5 ms and are a twentieth of the
// time since its first try, up to these 50 ms: readiness is seen that much later
// than it came.
//
// The ctx that check is given ends after the probe's Timeout; a success that
// comes later is a failure. Passed waits for check to return: one that does
// not heed its ctx stalls it. Every failure is given to failed.
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

// pass asks one probe until it has passed, beginning at once.
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

// Try is one check within the probe's timeout.
func Try(ctx context.Context, p spec.Probe, check func(context.Context, spec.Handler) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout())
	defer cancel()
	if err := check(ctx, p.Handler); err != nil {
		return err
	}
	return ctx.Err()
}

// pause is how long to wait after a try that took cost, least where that was
// little.
func pause(least, cost time.Duration) time.Duration {
	return min(max(least, restFactor*cost), maxPause)
}

// sleep waits for d, or for the end of ctx, whose error it returns; also when
// ctx has ended before and d is over.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
