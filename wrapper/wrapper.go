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
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/probe"
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
	Run(argv []string) (Helper, error) // a hook or probe
	// Network starts the network program for one task with its input.
	Network(task string, input []byte) (Program, error)
	Reap() []process.Exit // every process that ended since; never blocks
}

// Child is a started process. Every result of Reap is shown to Ended, which
// picks its own exit.
type Child interface {
	Ended([]process.Exit) (process.Exit, bool)
	Signal(syscall.Signal) error
	SignalGroup(syscall.Signal) error
	GroupGone() bool
}

// Helper is a hook or probe that runs as a process.
type Helper interface {
	Child
	LastLine() string // the last line it printed; called once, when it has ended or is given up
}

// Program is the network program while it performs a task.
type Program interface {
	Child
	// Lines gives each line it prints to line, until its output ends or line returns
	// an error. Called once.
	Lines(line func([]byte) error) error
}

// Handlers run a container's probes and hooks and send its requests: package
// probe, or a script of it in tests. run runs other programs for them.
type Handlers interface {
	Check(ctx context.Context, h spec.Handler, run probe.Runner) error // a probe, once
	Hook(ctx context.Context, h spec.Handler, run probe.Runner) error
	Send(ctx context.Context, r spec.Request, run probe.Runner) error
}

// Config is what a run needs. Spec has been parsed, so it is valid.
type Config struct {
	Spec     spec.Spec
	Terminal bool // the command has a terminal

	Kernel   Kernel
	Signals  <-chan os.Signal // sent to the wrapper
	Children <-chan os.Signal // SIGCHLD; one pending is enough
	Handlers Handlers

	Records    Records
	Status     Status
	Tombstones Tombstones // nil: there is no other system

	OnStart func() error   // called right after the command's start; may be nil
	Record  *record.Record // nil where there is none
	Log     *slog.Logger
}

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
		timers:  map[lifecycle.Timer]*time.Timer{},
		calls:   make(chan func()),
	}
	l.sources = newSources(ctx, c, l.network)
	l.handle(lifecycle.Begin{Facts: l.sources.now()})
	l.settle()
	l.freeMemory()
	for l.machine.State() != lifecycle.Done {
		l.next()
		l.settle()
	}
	l.killPrograms()
	l.logEnd()
	return l.exit.Code, l.exit.Message
}

// logEnd logs why the wrapper and not the command decided the end.
func (l *loop) logEnd() {
	switch {
	case l.exit.Message == "":
	case strings.HasPrefix(l.exit.Message, spec.StoppedBy):
		l.Log.Info("command stopped", "code", l.exit.Code, "reason", l.exit.Message)
	default:
		l.Log.Error("ended by koordinator", "code", l.exit.Code, "reason", l.exit.Message)
	}
}

// loop is the state of one run.
type loop struct {
	Config
	ctx     context.Context // ends with the run
	machine *lifecycle.Machine
	sources *sources
	child   Child
	helpers []helper // hooks, probes and the network program, while they run
	ready   bool     // the probes have passed
	trouble string   // why they have not
	noted   bool     // the container's preStop hook was seen to run
	exit    lifecycle.Exit

	timers map[lifecycle.Timer]*time.Timer
	calls  chan func() // what goroutines beside the loop have for it

	written   record.State // by the record's last update
	unwritten bool         // it failed, and is tried again
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
	know := &l.sources.know
	select {
	case <-l.Children:
		l.reap()
	case s := <-l.Signals:
		l.signal(s)
	case know.records = <-l.sources.recorded:
		l.handle(know.facts())
	case know.status = <-l.sources.reported:
		l.learnStopSignal()
		l.handle(know.facts())
	case know.other = <-l.sources.carved:
		l.handle(know.facts())
	case apply := <-l.sources.learned:
		apply(know)
		l.handle(know.facts())
	case call := <-l.calls:
		call()
	}
}

// learnStopSignal takes the stop signal of this container that the kubelet reports
// (Kubernetes 1.33 and later), where there was no other way to know it.
func (l *loop) learnStopSignal() {
	own, there := l.sources.know.status[l.Spec.Container]
	if !there || own.StopSignal == "" || l.Spec.RequestSignal != 0 {
		return
	}
	if n, err := spec.ParseSignal(own.StopSignal); err == nil {
		l.act(lifecycle.StopSignal{Number: n})
	}
}

// call has the loop do something, from another goroutine. It reports whether
// the loop does: not when the run is over.
func (l *loop) call(do func()) bool {
	select {
	case l.calls <- do:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// signal takes a signal. What it means may depend on the other containers, so
// their records are read first where they may be seconds behind.
func (l *loop) signal(s os.Signal) {
	n, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	if l.sources.stale() {
		l.handle(l.sources.now())
	}
	l.handle(lifecycle.Signal{Number: n})
}

// handle lets the machine decide and does what it says. Before it decides
// anything, it is told whether the kubelet has begun to stop the container.
func (l *loop) handle(e lifecycle.Event) {
	l.note()
	l.act(e)
}

// note tells the machine once that the container's preStop hook runs.
func (l *loop) note() {
	if !l.noted && l.Record != nil && l.Record.Noted() {
		l.noted = true
		l.Log.Info("preStop hook runs: the container is being stopped")
		l.act(lifecycle.Noted{})
	}
}

// act hands an event to the machine and does what it says.
func (l *loop) act(e lifecycle.Event) {
	for _, a := range l.machine.Handle(e) {
		l.perform(a)
	}
}

// settle follows what has changed: the record is updated, and what is no longer
// needed is no longer watched.
func (l *loop) settle() {
	l.tell()
	if l.sources.need(l.machine.Needs(), l.machine.Urgent()) {
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
	s := record.State{Phase: r.State.String(), For: r.For, Started: r.Started, Stopping: r.Stopping, Ending: r.Ending}
	s.Ready = l.ready && r.State >= lifecycle.Running && r.State < lifecycle.Sweeping
	if r.State >= lifecycle.Leaving {
		s.Exit = &record.Exit{
			Code: r.Exit.Code, ForGood: l.Spec.Restart.ForGood(r.Exit.Code), Stopped: r.Exit.Stopped, Reason: r.Exit.Message,
		}
	}
	if !s.Ready && s.Started && s.Exit == nil {
		s.Trouble = l.trouble
	}
	return s
}

// reap collects every process that ended: the command, its helpers, and
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
