package wrapper

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// perform does what the machine says.
func (l *loop) perform(a lifecycle.Action) {
	switch a := a.(type) {
	case lifecycle.Wait:
		l.Log.Info("waiting", "for", strings.Join(a.For, ", "))
	case lifecycle.Complain:
		l.Log.Error(a.Reason)
	case lifecycle.Drop:
		l.Log.Info("dependency dropped", "reason", a.Reason)
	case lifecycle.Start:
		l.start(a.InPlace)
	case lifecycle.SetTimer:
		l.setTimer(a)
	case lifecycle.Forward:
		l.Log.Debug("signal passed on", "signal", spec.SignalName(a.Signal))
		l.send(l.child.Signal, a.Signal)
	case lifecycle.Hold:
		l.Log.Info("stop request held", "for", strings.Join(a.For, ", "), "at most", a.Most)
	case lifecycle.Delay:
		l.Log.Info("stop request kept back", "for", a.For, "after", a.Reason)
	case lifecycle.RunHook:
		l.runHook(a.Hook)
	case lifecycle.SendStop:
		l.Log.Info("stopping command", "request", l.Spec.StopHTTP.String(), "reason", a.Reason)
		l.sendStop()
	case lifecycle.Stop:
		l.Log.Info("stopping command", "signal", spec.SignalName(a.Signal), "reason", a.Reason)
		l.send(l.child.Signal, a.Signal)
		l.send(l.child.Signal, syscall.SIGCONT) // a stopped command could not end
	case lifecycle.Kill:
		l.Log.Info("killing command", "reason", a.Reason)
		if err := sent(l.child.Signal(syscall.SIGKILL), syscall.SIGKILL); err != nil {
			l.handle(lifecycle.Unkillable{Reason: err.Error()})
		}
	case lifecycle.Sweep:
		l.send(l.child.SignalGroup, a.Signal)
		l.send(l.child.SignalGroup, syscall.SIGCONT) // a stopped process could not end
		l.checkSwept()
	case lifecycle.SendExit:
		l.sendExit()
	case lifecycle.Exit:
		l.exit = a
	}
}

// setTimer sets a timer, in place of one that was set for the same.
func (l *loop) setTimer(a lifecycle.SetTimer) {
	if before := l.timers[a.Timer]; before != nil {
		before.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(a.After, func() {
		l.call(func() {
			if l.timers[a.Timer] == t { // else it fired as it was replaced
				l.handle(lifecycle.Fired{Timer: a.Timer})
			}
		})
	})
	l.timers[a.Timer] = t
}

// send sends a signal. One that cannot be sent is told of: the kubelet, or a
// timer of ours, ends what does not hear it.
func (l *loop) send(to func(syscall.Signal) error, s syscall.Signal) {
	if err := sent(to(s), s); err != nil {
		l.Log.Error("signal not sent", "error", err)
	}
}

// sent says why a signal was not sent, and what to do. A command that has
// changed its user gets none where the container lacks the capability.
func sent(err error, s syscall.Signal) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("send %s: %w: the command runs as another user: add KILL to the container's securityContext.capabilities", spec.SignalName(s), err)
	}
	return err
}

func (l *loop) start(inPlace bool) {
	if inPlace {
		l.replace()
		return
	}
	child, err := l.Kernel.Start()
	if err != nil {
		l.startFailed(err)
		return
	}
	l.child = child
	l.Log.Info("command started")
	if l.OnStart != nil {
		if err := l.OnStart(); err != nil {
			l.Log.Error("start not noted", "error", err)
		}
	}
	l.becomeReady()
	l.handle(lifecycle.Started{})
}

func (l *loop) startFailed(err error) {
	code := spec.ExitNotExecutable
	if se, ok := errors.AsType[*process.StartError](err); ok {
		code = se.Code
	}
	l.handle(lifecycle.StartFailed{Code: code, Reason: err.Error()})
}

// replace puts the command in the wrapper's place, and comes back only where
// that is impossible, or no longer wanted. A signal after the last look is lost,
// as it would be if it came before a command without a wrapper is ready for it.
func (l *loop) replace() {
	if len(l.Spec.StartDeps) > 0 {
		l.Log.Info("command takes the wrapper's place")
	}
	l.endPrograms()
	told := false
	err := l.Kernel.Replace(func() bool {
		if !told {
			l.tellReplaced(true)
			told = true
		}
		return l.stillWanted()
	})
	if told {
		l.tellReplaced(false)
	}
	if err != nil {
		l.startFailed(err)
	}
}

// stillWanted takes the signals that have come, and reports whether the command
// is to start all the same.
func (l *loop) stillWanted() bool {
	l.note()
	for l.machine.State() == lifecycle.Starting {
		select {
		case s := <-l.Signals:
			l.signal(s)
		default:
			return true
		}
	}
	return false
}

// tellReplaced writes what the record is to say when the wrapper is gone, and
// keeps it open; or no longer keeps it so.
func (l *loop) tellReplaced(yes bool) {
	if l.Record == nil {
		return
	}
	err := l.Record.Inherit(false)
	if yes {
		err = l.updateReplaced()
	}
	if err != nil {
		l.Log.Error("record not written", "error", err)
	}
}

func (l *loop) updateReplaced() error {
	self, err := record.Self()
	if err != nil {
		return err
	}
	s := record.State{Phase: lifecycle.Running.String(), Started: true, Ready: true, Process: &self}
	if err := l.Record.Update(s); err != nil {
		return err
	}
	return l.Record.Inherit(true)
}
