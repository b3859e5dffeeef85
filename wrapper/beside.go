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

// becomeReady tells others that the container is ready as soon as its own
// probes have passed, at once where it has none.
func (l *loop) becomeReady() {
	if len(l.Spec.ReadyProbes) == 0 {
		l.ready = true
		return
	}
	started := time.Now()
	go func() {
		if probe.Passed(l.ctx, l.Spec.ReadyProbes, started, l.ask) != nil {
			return // the run is over
		}
		l.call(func() {
			l.Log.Info("command ready", "after", time.Since(started).Round(time.Millisecond))
			l.ready = true
		})
	}()
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
		if err := l.hook(l.ctx, *handler); err != nil {
			done.Err = err.Error()
		}
		l.call(func() { l.handle(done) })
	}()
}

// ask asks a probe once.
func (l *loop) ask(ctx context.Context, h spec.Handler) error {
	if h.Exec != nil {
		return l.exec(ctx, h.Exec.Command)
	}
	return l.Network.Check(ctx, h)
}

// hook does what a hook says. A tcpSocket hook does nothing, as in the kubelet.
func (l *loop) hook(ctx context.Context, h spec.Handler) error {
	switch {
	case h.Exec != nil:
		return l.exec(ctx, h.Exec.Command)
	case h.HTTP != nil:
		return l.Network.Hook(ctx, *h.HTTP)
	case h.Sleep != nil:
		select {
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// helper is a hook or probe that runs as a process.
type helper struct {
	child Child
	ended chan<- process.Exit
}

// exec runs a command beside the container's own and returns its failure. It is
// killed when ctx ends.
func (l *loop) exec(ctx context.Context, argv []string) error {
	ended := make(chan process.Exit, 1)
	failed := make(chan error, 1)
	var child Child // the loop's
	l.call(func() {
		var err error
		if child, err = l.Kernel.Run(argv); err != nil {
			failed <- err
			return
		}
		l.helpers = append(l.helpers, helper{child, ended})
	})
	select {
	case err := <-failed:
		return err
	case e := <-ended:
		if e.Code != 0 {
			return fmt.Errorf("%q: exit code %d", argv[0], e.Code)
		}
		return nil
	case <-ctx.Done():
		l.call(func() {
			if child != nil {
				l.send(child.SignalGroup, syscall.SIGKILL)
			}
		})
		return fmt.Errorf("%q: %w", argv[0], context.Cause(ctx))
	}
}

// reapHelpers hands on the ends of hooks and probes.
func (l *loop) reapHelpers(exits []process.Exit) {
	running := l.helpers[:0]
	for _, h := range l.helpers {
		if e, ok := h.child.Ended(exits); ok {
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
		if err := l.Network.Send(ctx, request); err != nil {
			answer.Err = err.Error()
		}
		l.call(func() { l.handle(answer) })
	}()
}

// sendExit sends every request of exitHTTP, one after another.
func (l *loop) sendExit() {
	go func() {
		for _, request := range l.Spec.ExitHTTP {
			err := l.sendOne(request)
			if errors.Is(err, context.Canceled) {
				return
			}
			l.call(func() { l.Log.Info("exit request sent", "request", request.String(), "error", err) })
		}
		l.call(func() { l.handle(lifecycle.ExitSent{}) })
	}()
}

func (l *loop) sendOne(request spec.Request) error {
	ctx, cancel := context.WithTimeout(l.ctx, lifecycle.LeaveTimeout)
	defer cancel()
	return l.Network.Send(ctx, request)
}
