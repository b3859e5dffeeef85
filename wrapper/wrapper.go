// Package wrapper runs one container's command: it waits for what the command
// must wait for, supervises it, and stops it when it should stop. What to do
// is decided in lifecycle; this package feeds it events and performs its
// actions, in one loop that owns all state.
package wrapper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podwatch"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// Kernel starts the command and collects what has ended: package process, or
// a script of one in tests.
type Kernel interface {
	Start() (Child, error) // the error is a *process.StartError
	Reap() []process.Exit  // every process that ended since; never blocks
}

// Child is the started command. Every result of Reap is shown to Ended, which
// picks the command's own exit.
type Child interface {
	Ended([]process.Exit) (process.Exit, bool)
	Signal(syscall.Signal) error
	SignalGroup(syscall.Signal) error
	GroupGone() bool
}

// Config is what a run needs. Spec has been parsed, so it is valid.
type Config struct {
	Spec     spec.Spec
	Terminal bool // the command has a terminal

	Kernel   Kernel
	Signals  <-chan os.Signal // sent to the wrapper
	Children <-chan os.Signal // SIGCHLD; one pending is enough

	// Watch sends what is known of the pod's containers until its context ends.
	// Called only when the spec has dependencies.
	Watch func(context.Context, chan<- podwatch.Snapshot)

	Record *record.Record // nil where there is none
	Log    *slog.Logger
}

// Run runs the command to its end and returns the exit code to report and, when
// the wrapper and not the command decided it, why. Its goroutine must be locked
// to a thread that lives as long as the program: the command dies with it.
func Run(c Config) (code int, message string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &loop{
		Config:  c,
		machine: lifecycle.New(c.Spec, c.Terminal),
		timers:  make(chan lifecycle.Timer),
		facts:   make(chan podwatch.Snapshot),
		unwatch: cancel,
	}
	if len(c.Spec.StartDeps)+len(c.Spec.StopDeps) > 0 {
		go c.Watch(ctx, l.facts)
	}
	l.handle(lifecycle.Begin{})
	for l.machine.State() != lifecycle.Done {
		l.next()
	}
	return l.exit.Code, l.exit.Message
}

// loop is the state of one run.
type loop struct {
	Config
	machine *lifecycle.Machine
	child   Child
	timers  chan lifecycle.Timer
	facts   chan podwatch.Snapshot
	unwatch context.CancelFunc
	exit    lifecycle.Exit
}

// next takes one event. A signal that has come goes before what came with it:
// the command is not started when it need not be any more.
func (l *loop) next() {
	select {
	case s := <-l.Signals:
		l.signal(s)
		return
	default:
	}
	select {
	case <-l.Children:
		l.reap()
	case s := <-l.Signals:
		l.signal(s)
	case s := <-l.facts:
		l.handle(facts(s))
	case t := <-l.timers:
		l.handle(lifecycle.Fired{Timer: t})
	}
}

func (l *loop) signal(s os.Signal) {
	if n, ok := s.(syscall.Signal); ok {
		l.handle(lifecycle.Signal{Number: n})
	}
}

func facts(s podwatch.Snapshot) lifecycle.Facts {
	f := make(lifecycle.Facts, len(s))
	for name, c := range s {
		f[name] = lifecycle.Fact(c)
	}
	return f
}

// handle lets the machine decide and does what it says.
func (l *loop) handle(e lifecycle.Event) {
	for _, a := range l.machine.Handle(e) {
		l.perform(a)
	}
}

// reap collects every process that ended: the command, and orphans it left.
func (l *loop) reap() {
	exits := l.Kernel.Reap()
	if l.child == nil {
		return
	}
	if e, ok := l.child.Ended(exits); ok {
		l.Log.Info("command exited", "code", e.Code)
		l.handle(lifecycle.Exited{Code: e.Code})
	}
	l.checkSwept()
}

func (l *loop) checkSwept() {
	if l.machine.State() == lifecycle.Sweeping && l.child.GroupGone() {
		l.handle(lifecycle.Swept{})
	}
}

func (l *loop) perform(a lifecycle.Action) {
	switch a := a.(type) {
	case lifecycle.Wait:
		l.Log.Info("waiting", "for", strings.Join(a.For, ", "))
		l.recorded(func(r *record.Record) error { return r.Waiting(a.For) })
	case lifecycle.Complain:
		l.Log.Error(a.Reason)
	case lifecycle.Drop:
		l.Log.Info("optional dependency dropped", "reason", a.Reason)
	case lifecycle.Start:
		l.start()
	case lifecycle.SetTimer:
		time.AfterFunc(a.After, func() { l.timers <- a.Timer })
	case lifecycle.Forward:
		l.Log.Debug("signal passed on", "signal", spec.SignalName(a.Signal))
		l.send(l.child.Signal, a.Signal)
	case lifecycle.Delay:
		l.Log.Info("stop request kept back", "for", a.For)
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
	case lifecycle.Exit:
		l.exit = a
	}
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

func (l *loop) start() {
	child, err := l.Kernel.Start()
	if err != nil {
		code := spec.ExitNotExecutable
		if se, ok := errors.AsType[*process.StartError](err); ok {
			code = se.Code
		}
		l.handle(lifecycle.StartFailed{Code: code, Reason: err.Error()})
		return
	}
	l.child = child
	l.Log.Info("command started")
	l.recorded((*record.Record).Started)
	if len(l.Spec.StopDeps) == 0 {
		l.unwatch()
	}
	l.handle(lifecycle.Started{})
}

// recorded updates the record. A record that cannot be written costs only what
// it would have said: the container runs in order, and the gate opens.
func (l *loop) recorded(update func(*record.Record) error) {
	if l.Record == nil {
		return
	}
	if err := update(l.Record); err != nil {
		l.Log.Error("record not written", "error", err)
	}
}
