package probe

import (
	"context"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// The pause between the end of one try and the next.
const (
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
// as long as the last try took, and 10 s at most.
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
		if err := sleep(ctx, pause(p.Handler, time.Since(began))); err != nil {
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

// pause is how long to wait after a try that took cost.
func pause(h spec.Handler, cost time.Duration) time.Duration {
	least := networkPause
	if h.Exec != nil {
		least = execPause
	}
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
