package wrapper

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// perform performs an action of the machine.
func (l *loop) perform(a lifecycle.Action) {
	switch a := a.(type) {
	case lifecycle.Wait:
		l.waited = strings.Join(a.For, ", ")
		l.Log.Info("waiting", event("waiting"), "for", l.waited)
	case lifecycle.Complain:
		l.Log.Error(a.Reason)
	case lifecycle.Drop:
		l.Log.Info("dependency dropped", event("dropped"), "reason", a.Reason)
	case lifecycle.ReadFiles:
		l.readFiles()
	case lifecycle.Start:
		l.start(a.InPlace)
	case lifecycle.SetTimer:
		l.setTimer(a)
	case lifecycle.Forward:
		l.Log.Debug("signal passed on", "signal", spec.SignalName(a.Signal))
		l.send(l.child.Signal, a.Signal)
	case lifecycle.Hold:
		l.Log.Info("stop request held", event("held"), "for", strings.Join(a.For, ","), "atMost", a.Most, l.stoppedBy())
	case lifecycle.Delay:
		l.Log.Info("stop request delayed", event("delayed"), "delay", a.For, "reason", a.Reason, l.stoppedBy())
	case lifecycle.RunHook:
		l.runHook(a.Hook)
	case lifecycle.SendStop:
		l.Log.Info("stopping command", event("stopping"), "request", l.Spec.StopHTTP.String(), "reason", a.Reason, l.stoppedBy())
		l.sendStop()
	case lifecycle.Stop:
		l.Log.Info("stopping command", event("stopping"), "signal", spec.SignalName(a.Signal), "reason", a.Reason, l.stoppedBy())
		l.send(l.child.Signal, a.Signal)
		l.send(l.child.Signal, syscall.SIGCONT) // a stopped command cannot exit
	case lifecycle.Kill:
		l.Log.Info("killing command", event("killing"), "reason", a.Reason)
		if err := sent(l.child.Signal(syscall.SIGKILL), syscall.SIGKILL); err != nil {
			l.handle(lifecycle.Unkillable{Reason: err.Error()})
		}
	case lifecycle.Sweep:
		l.send(l.child.SignalGroup, a.Signal)
		l.send(l.child.SignalGroup, syscall.SIGCONT) // a stopped process cannot exit
		l.checkSwept()
	case lifecycle.Look:
		l.look()
	case lifecycle.SendExit:
		l.sendExit(a.Requests)
	case lifecycle.Exit:
		l.exit = a
	}
}

// stoppedBy returns the attribute that names the cause of the stop.
func (l *loop) stoppedBy() slog.Attr {
	return slog.String("stoppedBy", l.machine.Report().StoppedBy)
}

// setTimer sets a timer and replaces a pending one of the same name.
func (l *loop) setTimer(a lifecycle.SetTimer) {
	if before := l.timers[a.Timer]; before != nil {
		before.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(a.After, func() {
		l.call(func() {
			if l.timers[a.Timer] == t { // otherwise it fired while it was being replaced
				l.handle(lifecycle.Fired{Timer: a.Timer})
			}
		})
	})
	l.timers[a.Timer] = t
}

// send sends a signal and logs a failure. The kubelet, or one of the machine's
// timers, ends a process that does not receive the signal.
func (l *loop) send(to func(syscall.Signal) error, s syscall.Signal) {
	if err := sent(to(s), s); err != nil {
		l.Log.Error("signal not sent", "error", err)
	}
}

// sent explains why a signal was not sent, and what to do. A command that has
// changed its user receives no signals if the container lacks the capability
// KILL.
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
	child, err := l.Kernel.Start(l.variables)
	l.variables = nil
	if err != nil {
		l.startFailed(err)
		return
	}
	l.child = child
	l.Log.Info("command started", event("started"), "waitedFor", l.waited)
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

// replace replaces the wrapper with the command. It returns only if that is
// impossible or no longer wanted. A signal after the last check is lost, like a
// signal that arrives before a command without a wrapper can handle it.
func (l *loop) replace() {
	if l.Spec.Waits() {
		l.Log.Info("command takes the wrapper's place", event("started"), "waitedFor", l.waited)
	}
	l.endPrograms()
	told := false
	err := l.Kernel.Replace(l.variables, func() bool {
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

// stillWanted handles the pending signals and reports whether the command is
// still to be started.
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

// tellReplaced with yes writes the record for a command that replaces the
// wrapper and keeps the record open across the exec. Without yes, it reverts
// the latter.
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
