package podwatch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// pace contains every duration of a watcher; tests shorten them.
type pace struct {
	first, most time.Duration // delay after the first failure, and the maximum
	wish        time.Duration // the longest Retry-After that is honored
	list        time.Duration // for the whole answer to a list
	header      time.Duration // for the start of any answer
	watch       time.Duration // minimum duration of a watch; the maximum is twice that
	slack       time.Duration // a watch is given up so much later
	healthy     time.Duration // a watch that lasted this long was successful
	change      time.Duration // minimum time between two logged errors
	repeat      time.Duration // minimum time between two logged errors of the same kind
	patience    time.Duration // until a lasting refusal is logged as an error
}

// defaultPace is the pace against a real API server.
func defaultPace() pace {
	return pace{
		first: 100 * time.Millisecond, most: 5 * time.Second, wish: 30 * time.Second,
		list: 30 * time.Second, header: 30 * time.Second,
		watch: 5 * time.Minute, slack: 30 * time.Second, healthy: 5 * time.Second,
		change: 10 * time.Second, repeat: 5 * time.Minute, patience: 5 * time.Second,
	}
}

// delay returns the delay before the next round: half to all of a value that
// doubles with each failure, up to a maximum, but not less than the server
// requests.
func (p pace) delay(failures int, err error) time.Duration {
	d := min(p.first<<min(max(failures-1, 0), 16), p.most)
	d = d/2 + rand.N(d/2+1)
	if a, ok := errors.AsType[*answer](err); ok && a.retryAfter > 0 {
		wish := min(a.retryAfter, p.wish)
		d = max(d, wish+rand.N(wish/10+1))
	}
	return d
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

// trouble is the present series of failures. A successful watch ends the
// series.
type trouble struct {
	failures int
	code     int       // status code of the last failure; 0: none
	began    time.Time // when the failures with this code began

	logged      time.Time // when the last failure was logged
	loggedCode  int
	loggedLevel slog.Level
	open        bool // a failure was logged, and its end was not
}

// note records a failure.
func (t *trouble) note(err error) {
	code := 0
	if a, ok := errors.AsType[*answer](err); ok {
		code = a.code
	}
	if t.failures == 0 || code != t.code {
		t.code, t.began = code, time.Now()
	}
	t.failures++
}

// level returns the log level: info, or error for a lasting refusal. A new
// account receives its permission, and a restarted API server learns about it,
// with a short delay.
func (t *trouble) level(patience time.Duration) slog.Level {
	refused := t.code == http.StatusUnauthorized || t.code == http.StatusForbidden
	if refused && time.Since(t.began) >= patience {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// report logs the first failure of a series, then failures that are worse or
// different, and repetitions rarely. Other failures are logged at debug level.
// An expired version is routine.
func (w *watcher) report(err error) {
	t, level := &w.trouble, w.trouble.level(w.pace.patience)
	since := time.Since(t.logged)
	early := since < w.pace.change || t.code == t.loggedCode && since < w.pace.repeat
	routine := t.code == http.StatusGone && t.failures == 1
	if routine || early && level <= t.loggedLevel {
		w.log.Debug("pod watch failed", "err", err, "failures", t.failures)
		return
	}
	t.logged, t.loggedCode, t.loggedLevel, t.open = time.Now(), t.code, level, true
	w.log.Log(context.Background(), level, "pod watch failed, trying again", "err", err, "failures", t.failures)
}

// resumed logs the end of a logged failure, once, when the API server has
// reported the pod's state again.
func (w *watcher) resumed() {
	if w.trouble.open {
		w.trouble.open = false
		w.log.Info("pod watch resumed")
	}
}
