// Package wrapper runs one container's command: it waits for what the command
// must wait for, supervises it, and stops it when it should stop. What to do
// is decided in lifecycle; this package feeds it events and performs its
// actions, in one loop that owns all state.
package wrapper

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podwatch"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// Kernel starts processes and collects what has ended: package process, or a
// script of one in tests.
type Kernel interface {
	Start() (Child, error) // the command; the error is a *process.StartError
	// Replace puts the command in the wrapper's place. Right before each try it
	// asks goOn, and returns nil if that says no; else it returns only where it is
	// impossible.
	Replace(goOn func() bool) error
	Run(argv []string) (Child, error) // a hook or probe, its output discarded
	Reap() []process.Exit             // every process that ended since; never blocks
}

// Child is a started process. Every result of Reap is shown to Ended, which
// picks its own exit.
type Child interface {
	Ended([]process.Exit) (process.Exit, bool)
	Signal(syscall.Signal) error
	SignalGroup(syscall.Signal) error
	GroupGone() bool
}

// Network asks what can be asked over the network, once: package probe, or a
// script of one in tests.
type Network interface {
	Check(context.Context, spec.Handler) error // a probe
	Hook(context.Context, spec.HTTPGet) error  // a hook
	Send(context.Context, spec.Request) error
}

// Config is what a run needs. Spec has been parsed, so it is valid.
type Config struct {
	Spec     spec.Spec
	Terminal bool // the command has a terminal

	Kernel   Kernel
	Signals  <-chan os.Signal // sent to the wrapper
	Children <-chan os.Signal // SIGCHLD; one pending is enough

	// Status sends what the pod's status says of its containers until its context
	// ends. Called when something is needed that only the status can tell, and
	// again if that happens again.
	Status func(context.Context, chan<- podwatch.Snapshot)
	// Records sends the records of Spec.Wrapped until its context ends, within
	// seconds or, if urgent, at once. Look is what they are now.
	Records func(ctx context.Context, urgent bool, out chan<- record.Snapshot)
	Look    func() record.Snapshot
	Network Network

	// Known is what another system says of containers, before anything of ours;
	// Other sends it anew until its context ends. Nil where there is none.
	Known lifecycle.Facts
	Other func(context.Context, chan<- lifecycle.Facts)

	OnStart func()         // called right after the command's start; may be nil
	Record  *record.Record // nil where there is none
	Log     *slog.Logger
}

// recordGrace is how long a wrapped container may take to have a record: one
// that has none then never ran, or ran in an earlier sandbox.
const recordGrace = 10 * time.Second

// settled is how long after the start, or after the end of a watch, the wrapper
// has nothing to do.
const settled = time.Second

// Run runs the command to its end and returns the exit code to report and, when
// the wrapper and not the command decided it, why. Its goroutine must be locked
// to a thread that lives as long as the program: the command dies with it.
func Run(c Config) (code int, message string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &loop{
		Config:  c,
		ctx:     ctx,
		machine: lifecycle.New(c.Spec, c.Terminal),
		know:    knowledge{spec: c.Spec, other: c.Known},
		timers:  map[lifecycle.Timer]*time.Timer{},
		calls:   make(chan func()),
		status:  make(chan podwatch.Snapshot),
		records: make(chan record.Snapshot),
		others:  make(chan lifecycle.Facts),
	}
	if c.Other != nil {
		go c.Other(ctx, l.others)
	}
	if len(c.Spec.Wrapped) > 0 {
		time.AfterFunc(recordGrace, func() { l.call(l.lateRecords) })
	}
	l.handle(lifecycle.Begin{})
	l.settle()
	l.freeMemory()
	for l.machine.State() != lifecycle.Done {
		l.next()
		l.settle()
	}
	return l.exit.Code, l.exit.Message
}

// loop is the state of one run.
type loop struct {
	Config
	ctx     context.Context // ends with the run
	machine *lifecycle.Machine
	know    knowledge
	child   Child
	helpers []helper // hooks and probes that run
	ready   bool     // the probes have passed
	exit    lifecycle.Exit

	timers map[lifecycle.Timer]*time.Timer
	calls  chan func() // what goroutines beside the loop have for it

	status       chan podwatch.Snapshot
	closeStatus  context.CancelFunc // nil: it is not watched
	records      chan record.Snapshot
	closeRecords context.CancelFunc // nil: they are not watched
	urgent       bool               // how they are
	others       chan lifecycle.Facts
	written      record.State // by the record's last update
	unwritten    bool         // it failed, and is tried again
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
	case s := <-l.records:
		l.know.records = s
		l.handle(l.know.facts())
	case s := <-l.status:
		l.know.status = s
		l.handle(l.know.facts())
	case f := <-l.others:
		l.know.other = f
		l.handle(l.know.facts())
	case call := <-l.calls:
		call()
	}
}

// call has the loop do something, from another goroutine.
func (l *loop) call(do func()) {
	select {
	case l.calls <- do:
	case <-l.ctx.Done():
	}
}

// signal takes a signal. What it means may hang on what the others do, so that
// is looked up first where it is not known to the moment.
func (l *loop) signal(s os.Signal) {
	n, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	if l.closeRecords != nil && !l.urgent {
		l.know.records = l.Look()
		l.handle(l.know.facts())
	}
	l.handle(lifecycle.Signal{Number: n})
}

// handle lets the machine decide and does what it says.
func (l *loop) handle(e lifecycle.Event) {
	for _, a := range l.machine.Handle(e) {
		l.perform(a)
	}
}

// settle follows what has changed: others are told, and what is no longer
// needed is no longer watched.
func (l *loop) settle() {
	l.tell()
	needs := l.machine.Needs()
	l.watchRecords(len(needs) > 0 && len(l.Spec.Wrapped) > 0, l.machine.Urgent())
	l.watchStatus(l.know.needsStatus(needs))
}

func (l *loop) watchRecords(needed, urgent bool) {
	if l.closeRecords != nil && (!needed || urgent != l.urgent) {
		l.closeRecords()
		l.closeRecords = nil
	}
	if !needed || l.closeRecords != nil {
		return
	}
	ctx, cancel := context.WithCancel(l.ctx)
	l.closeRecords, l.urgent = cancel, urgent
	go l.Records(ctx, urgent, l.records)
}

// lateRecords gives up expecting records of those that have none.
func (l *loop) lateRecords() {
	l.know.late = true
	l.handle(l.know.facts())
}

func (l *loop) watchStatus(needed bool) {
	switch {
	case needed && l.closeStatus == nil:
		l.Log.Debug("watching the pod's status")
		ctx, cancel := context.WithCancel(l.ctx)
		l.closeStatus = cancel
		go l.Status(ctx, l.status)
	case !needed && l.closeStatus != nil:
		l.Log.Debug("watching the pod's status no more")
		l.closeStatus()
		l.closeStatus = nil
		l.freeMemory()
	}
}

// freeMemory gives back, in a moment, what is needed no longer.
func (l *loop) freeMemory() {
	time.AfterFunc(settled, process.FreeMemory)
}

// rewrite is how long after a failure the record is written again.
const rewrite = time.Second

// tell writes the record anew when something in it has changed. A record that
// cannot be written costs only what it would have said: the container runs in
// order, and the gate opens.
func (l *loop) tell() {
	s := l.state()
	if l.Record == nil || l.unwritten || reflect.DeepEqual(s, l.written) {
		return
	}
	if err := l.Record.Update(s); err != nil {
		l.Log.Error("record not written", "error", err)
		l.unwritten = true
		time.AfterFunc(rewrite, func() { l.call(func() { l.unwritten = false }) })
		return
	}
	l.written = s
}

// state is what the record is to say.
func (l *loop) state() record.State {
	r := l.machine.Report()
	s := record.State{Phase: r.State.String(), For: r.For, Started: r.Started, Stopping: r.Stopping}
	s.Ready = l.ready && r.State >= lifecycle.Running && r.State < lifecycle.Sweeping
	if r.State >= lifecycle.Leaving {
		s.Exit = &record.Exit{Code: r.Exit.Code, ForGood: l.Spec.Restart.ForGood(r.Exit.Code), Reason: r.Exit.Message}
	}
	return s
}

// reap collects every process that ended: the command, hooks and probes, and
// orphans.
func (l *loop) reap() {
	exits := l.Kernel.Reap()
	l.reapHelpers(exits)
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
