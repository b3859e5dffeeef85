package wrapper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/spec"
)

// Work that takes time runs in goroutines outside the loop. They access the
// loop only through call.

// becomeReady reports the container ready as soon as its own probes have passed
// or, with readyWhen, its command has sent its notification. Without probes it
// is ready immediately.
func (l *loop) becomeReady() {
	started := time.Now()
	switch {
	case l.Spec.ReadyWhen == spec.ReadyByNotice:
		l.trouble = spec.NoNotice
		go l.awaitNotice(started)
	case len(l.Spec.ReadyProbes) == 0:
		l.nowReady(started)
	default:
		go l.awaitProbes(started, l.troubles(started))
	}
}

// awaitProbes waits until the container's own probes have passed, and reports
// their failures.
func (l *loop) awaitProbes(started time.Time, failed func(error)) {
	check := func(ctx context.Context, h spec.Handler) error { return l.Handlers.Check(ctx, h, l.runner()) }
	if probe.Passed(l.ctx, l.Spec.ReadyProbes, started, check, failed) != nil {
		return // the run is over
	}
	l.call(func() { l.nowReady(started) })
}

// awaitNotice waits until the command reports that it is ready.
func (l *loop) awaitNotice(started time.Time) {
	select {
	case <-l.ctx.Done():
	case <-l.Noticed:
		l.call(func() { l.nowReady(started) })
	}
}

// nowReady reports the container ready, some time after its start.
func (l *loop) nowReady(started time.Time) {
	l.Log.Info("command ready", event("ready"), "after", time.Since(started).Round(time.Millisecond))
	l.ready, l.trouble = true, ""
}

// The times at which failures of the container's own probe are logged and
// reported: not before most commands have begun to listen, and then rarely.
const (
	troubleFirst = 2 * time.Second
	troubleAgain = time.Minute
)

// troubles returns the function that takes the failures of the container's own
// probes.
func (l *loop) troubles(started time.Time) func(error) {
	next := started.Add(troubleFirst)
	return func(err error) {
		now := time.Now()
		if now.Before(next) {
			return
		}
		next = now.Add(troubleAgain)
		l.call(func() {
			if l.machine.State() <= lifecycle.Running {
				l.Log.Info("command not ready yet", event("not-ready"), "after", now.Sub(started).Round(time.Second), "error", err)
				l.trouble = err.Error()
			}
		})
	}
}

// readFiles reads the files with the command's variables. It does not block the
// loop, so a slow disk delays nothing else.
func (l *loop) readFiles() {
	go func() {
		variables, err := l.Files()
		l.call(func() {
			var done lifecycle.FilesRead
			if err != nil {
				done.Err = err.Error()
			}
			l.variables = variables
			l.handle(done)
			l.variables = nil
		})
	}()
}

// runHook runs one of the container's hooks.
func (l *loop) runHook(hook lifecycle.Hook) {
	handler := l.Spec.PostStart
	if hook == lifecycle.PreStop {
		handler = l.Spec.PreStop
	}
	l.Log.Info("hook runs", event("hook"), "hook", string(hook))
	go func() {
		done := lifecycle.HookDone{Hook: hook}
		if err := l.Handlers.Hook(l.ctx, *handler, l.runner()); err != nil {
			done.Err = err.Error()
		}
		l.call(func() { l.handle(done) })
	}()
}

// sendStop sends stopHTTP.
func (l *loop) sendStop() {
	request := *l.Spec.StopHTTP
	go func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.Spec.StopTimeout)
		defer cancel()
		var answer lifecycle.StopSent
		if err := l.Handlers.Send(ctx, request, l.runner()); err != nil {
			answer.Err = err.Error()
		}
		l.call(func() { l.handle(answer) })
	}()
}

// The limit of one attempt to send a request of exitHTTP, and the pauses
// between attempts.
const (
	exitTry        = 5 * time.Second
	exitPause      = 100 * time.Millisecond
	exitPauseAtEnd = 5 * time.Second
)

// look publishes the container's exit and then determines which delegated stops
// it completes. The order matters, because another wrapper may do the same at
// this moment.
func (l *loop) look() {
	l.sources.know.leaving = true
	l.tell()
	l.handle(lifecycle.Looked{Facts: l.sources.now()})
}

// sendExit sends the requests that follow the command's exit, one after another.
func (l *loop) sendExit(requests []spec.Request) {
	go func() {
		for _, request := range requests {
			err := l.sendUntilAnswered(request)
			if l.ctx.Err() != nil {
				return // the run is over
			}
			l.call(func() { l.logExitRequest(request, err) })
		}
		l.call(func() { l.handle(lifecycle.ExitSent{}) })
	}()
}

func (l *loop) logExitRequest(request spec.Request, err error) {
	if err != nil {
		l.Log.Error("exit request failed: the sidecar continues to run", "request", request.String(), "error", err)
		return
	}
	l.Log.Info("exit request sent", event("exit-request"), "request", request.String())
}

// sendUntilAnswered sends a request repeatedly, because the receiver may not
// listen yet. It gives up after LeaveLimit, or earlier when the answer will not
// change.
func (l *loop) sendUntilAnswered(request spec.Request) error {
	limit, cancel := context.WithTimeout(l.ctx, lifecycle.LeaveLimit)
	defer cancel()
	for pause := exitPause; ; pause = min(2*pause, exitPauseAtEnd) {
		err := l.sendOnce(limit, request)
		if err == nil || probe.Final(err) {
			return err
		}
		if pause == exitPause {
			l.call(func() { l.Log.Info("exit request not answered, sent again", "request", request.String(), "error", err) })
		}
		select {
		case <-time.After(pause):
		case <-limit.Done():
			return errors.Join(fmt.Errorf("not answered within %s", lifecycle.LeaveLimit), err)
		}
	}
}

func (l *loop) sendOnce(ctx context.Context, request spec.Request) error {
	ctx, cancel := context.WithTimeout(ctx, exitTry)
	defer cancel()
	return l.Handlers.Send(ctx, request, l.runner())
}
