package podstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// The delay before the network program is started again: after the first
// failure, and after many.
const (
	firstDelay = 100 * time.Millisecond
	mostDelay  = 5 * time.Second
)

// Watch sends what the network program reports of the pod on out until ctx ends,
// and returns when the program is gone. It never gives up: a program that ends
// or cannot be started is started again, with growing delays and jitter. The
// first failure of a series is logged; a Snapshot ends the series.
func (c Config) Watch(ctx context.Context, network spec.Network, log *slog.Logger, out chan<- Snapshot) {
	input, err := json.Marshal(c)
	if err != nil {
		panic(err) // it has only strings
	}
	failures := 0
	take := func(line []byte) error {
		var s Snapshot
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("read its report: %w", err)
		}
		if failures > 0 {
			log.Info("pod watch running again")
			failures = 0
		}
		select {
		case out <- s:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for ctx.Err() == nil {
		err := network(ctx, spec.WatchTask, input, take)
		if ctx.Err() != nil {
			return
		}
		failures++
		report(log, failures, err)
		pause(ctx, delay(failures))
	}
}

// report logs the first failure of a series, the others at debug level.
func report(log *slog.Logger, failures int, err error) {
	if err == nil {
		err = errors.New("it ended")
	}
	level := slog.LevelDebug
	if failures == 1 {
		level = slog.LevelError
	}
	log.Log(context.Background(), level, "pod watch not running, restarting it", "program", spec.NetworkName, "error", err, "failures", failures)
}

// delay is how long to wait after so many failures: half to all of a delay that
// doubles with each.
func delay(failures int) time.Duration {
	d := min(firstDelay<<min(failures-1, 16), mostDelay)
	return d/2 + rand.N(d/2+1)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
