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

// What takes its time runs in goroutines beside the loop. They touch nothing of
// it but through call.

// becomeReady reports the container ready as soon as its own probes have
// passed, at once where it has none.
func (l *loop) becomeReady() {
	if len(l.Spec.ReadyProbes) == 0 {
		l.ready = true
		return
	}
	started := time.Now()
	check := func(ctx context.Context, h spec.Handler) error { return l.Handlers.Check(ctx, h, l.runner()) }
	failed := l.troubles(started)
	go func() {
		if probe.Passed(l.ctx, l.Spec.ReadyProbes, started, check, failed) != nil {
			return // the run is over
		}
		l.call(func() {
			l.Log.Info("command ready", "after", time.Since(started).Round(time.Millisecond))
			l.ready, l.trouble = true, ""
		})
	}()
}

// When a failing probe of its own is logged and reported: not before most
// commands have begun to listen, and then seldom.
const (
	troubleFirst = 2 * time.Second
	troubleAgain = time.Minute
)

// troubles takes the failures of the container's own probes.
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
				l.Log.Info("command not ready yet", "after", now.Sub(started).Round(time.Second), "error", err)
				l.trouble = err.Error()
			}
		})
	}
}

// runHook runs one of the container's hooks.
func (l *loop) runHook(hook lifecycle.Hook) {
	handler := l.Spec.PostStart
	if hook == lifecycle.PreStop {
		handler = l.Spec.PreStop
	}
	l.Log.Info("hook runs", "hook", string(hook))
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

// How a request of exitHTTP is tried: how long once, and the pauses between.
const (
	exitTry        = 5 * time.Second
	exitPause      = 100 * time.Millisecond
	exitPauseAtEnd = 5 * time.Second
)

// sendExit sends every request of exitHTTP, one after another.
func (l *loop) sendExit() {
	go func() {
		for _, request := range l.Spec.ExitHTTP {
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
		l.Log.Error("exit request failed: what it was to stop keeps running", "request", request.String(), "error", err)
		return
	}
	l.Log.Info("exit request sent", "request", request.String())
}

// sendUntilAnswered sends a request again and again: what is to answer it may
// not listen yet. It gives up on an answer that will not change, and after
// LeaveLimit.
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
