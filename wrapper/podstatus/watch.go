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
// failure, and the maximum.
const (
	firstDelay = 100 * time.Millisecond
	mostDelay  = 5 * time.Second
)

// Watch sends the network program's reports about the pod to out until ctx
// ends, and returns when the program has exited. It never gives up: it starts a
// program that ends or cannot be started again, with growing delays and jitter.
// It logs the first failure of a series; a Snapshot ends the series.
func (c Config) Watch(ctx context.Context, network spec.Network, log *slog.Logger, out chan<- Snapshot) {
	input, err := json.Marshal(c)
	if err != nil {
		panic(err) // cannot fail: only strings
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

// report logs the first failure of a series as an error, and the others at
// debug level.
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

// delay returns the delay after a number of failures: half to all of a value
// that doubles with each failure, up to a maximum.
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
