package wrapper

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
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
	check := func(ctx context.Context, h spec.Handler) error { return l.Handlers.Check(ctx, h, l.exec) }
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
		if err := l.Handlers.Hook(l.ctx, *handler, l.exec); err != nil {
			done.Err = err.Error()
		}
		l.call(func() { l.handle(done) })
	}()
}

// helper is a hook or probe that runs as a process.
type helper struct {
	Helper

	ended chan<- process.Exit
}

// exec runs a command beside the container's own and returns its failure, with
// the end of its output. It is killed when ctx ends.
func (l *loop) exec(ctx context.Context, argv []string) error {
	began := make(chan Helper, 1)
	ended := make(chan process.Exit, 1)
	failed := make(chan error, 1)
	l.call(func() {
		h, err := l.Kernel.Run(argv)
		if err != nil {
			failed <- err
			return
		}
		began <- h
		l.helpers = append(l.helpers, helper{h, ended})
	})
	select {
	case err := <-failed:
		return err
	case e := <-ended:
		return result(argv, e.Code, (<-began).LastLine())
	case <-ctx.Done():
		select {
		case h := <-began:
			l.call(func() { l.send(h.SignalGroup, syscall.SIGKILL) })
			h.LastLine()
		default: // it was not started, or the run is over
		}
		return fmt.Errorf("%q: %w", argv[0], context.Cause(ctx))
	}
}

// result is the failure of a command that has ended, nil for a success.
func result(argv []string, code int, lastLine string) error {
	switch {
	case code == 0:
		return nil
	case lastLine == "":
		return fmt.Errorf("%q: exit code %d", argv[0], code)
	default:
		return fmt.Errorf("%q: exit code %d: %s", argv[0], code, lastLine)
	}
}

// reapHelpers hands on the ends of hooks and probes.
func (l *loop) reapHelpers(exits []process.Exit) {
	running := l.helpers[:0]
	for _, h := range l.helpers {
		if e, ok := h.Ended(exits); ok {
			h.ended <- e
			continue
		}
		running = append(running, h)
	}
	l.helpers = running
}

// sendStop sends stopHTTP.
func (l *loop) sendStop() {
	request := *l.Spec.StopHTTP
	go func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.Spec.StopTimeout)
		defer cancel()
		var answer lifecycle.StopSent
		if err := l.Handlers.Send(ctx, request); err != nil {
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
	return l.Handlers.Send(ctx, request)
}
