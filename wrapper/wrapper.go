// Package wrapper runs one container's command: it waits until the command's
// dependencies are met, supervises the command, and stops it when its stop
// conditions are met. Package lifecycle makes the decisions. This package sends
// it events and performs its actions, in one loop that owns all state.
package wrapper

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// Kernel starts processes and collects their exits. Package process implements
// it; tests use a script.
type Kernel interface {
	// Start starts the command with variables added to its environment. The error
	// is a *process.StartError.
	Start(variables []envfile.Variable) (Child, error)
	// Replace replaces the wrapper with the command. It calls goOn right before
	// each try and returns nil if goOn returns false. Otherwise it returns only if
	// the replacement is impossible.
	Replace(variables []envfile.Variable, goOn func() bool) error
	Run(argv []string) (Helper, error) // a hook or probe
	// Network starts the network program for one task with the given input.
	Network(task string, input []byte) (Program, error)
	Reap() []process.Exit // every process that has ended since the last call; never blocks
}

// Child is a started process. Each result of Reap is passed to Ended, which
// picks the child's own exit.
type Child interface {
	Ended([]process.Exit) (process.Exit, bool)
	Signal(syscall.Signal) error
	SignalGroup(syscall.Signal) error
	GroupGone() bool
}

// Helper is a hook or probe that runs as a process.
type Helper interface {
	Child
	LastLine() string // the last line it printed; called once, after it has ended or has been given up
}

// Program is the network program while it performs a task.
type Program interface {
	Child
	// Lines calls line with each line the program prints, until its output ends or
	// line returns an error. Called once.
	Lines(line func([]byte) error) error
}

// Handlers runs a container's probes and hooks, sends its requests and checks
// endpoints. It runs other programs with run. Package probe implements it;
// tests use a script.
type Handlers interface {
	Check(ctx context.Context, h spec.Handler, run probe.Runner) error // a probe, once
	Hook(ctx context.Context, h spec.Handler, run probe.Runner) error
	Send(ctx context.Context, r spec.Request, run probe.Runner) error
	Ask(ctx context.Context, endpoint string, run probe.Runner) error // once; the error is only the reason
}

// Config is the input of a run. Spec has been parsed, so it is valid.
type Config struct {
	Spec     spec.Spec
	Terminal bool // the command has a terminal

	Kernel   Kernel
	Signals  <-chan os.Signal // sent to the wrapper
	CatchAll func()           // called when the command runs or the container waits: catches the signals that Signals lacks until then; may be nil
	Children <-chan os.Signal // SIGCHLD; one pending is enough
	Handlers Handlers

	Records    Records
	Status     Status
	Tombstones Tombstones // nil: there is no other system

	Files   func() ([]envfile.Variable, error) // reads Spec.EnvFiles; may block
	Noticed <-chan struct{}                    // closed when the command has sent READY=1; for Spec.ReadyWhen
	OnStart func() error                       // called right after the command's start; may be nil
	Record  *record.Record                     // nil: there is no record
	Log     *slog.Logger
}

// settled is how long after the last change of its container, of the facts, or of
// what it watches, the wrapper frees memory.
const settled = time.Second

// Run runs the command until it ends. It returns the exit code to report and,
// if the wrapper rather than the command decided the exit, the reason.
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
	l.rest = time.AfterFunc(settled, process.FreeMemory)
	defer l.rest.Stop()
	l.sources = newSources(ctx, c, l.network)
	l.sources.ask = func(ctx context.Context, endpoint string) error { return l.Handlers.Ask(ctx, endpoint, l.runner()) }
	l.handle(lifecycle.Begin{Facts: l.sources.now()})
	l.settle()
	if c.CatchAll != nil {
		go c.CatchAll()
	}
	for l.machine.State() != lifecycle.Done {
		l.next()
		l.settle()
	}
	l.killPrograms()
	l.logEnd()
	return l.exit.Code, l.exit.Message
}

// logEnd logs the reason if the wrapper rather than the command decided the
// exit.
func (l *loop) logEnd() {
	log := func(level slog.Level, message, prefix string) {
		l.Log.Log(l.ctx, level, message, event("ended"), "exitCode", l.exit.Code, "reason", strings.TrimPrefix(l.exit.Message, prefix))
	}
	switch {
	case l.exit.Message == "", l.exit.Message == spec.HeldTooLong: // the command decided
	case strings.HasPrefix(l.exit.Message, spec.StoppedBy):
		log(slog.LevelInfo, "command stopped", spec.StoppedBy)
	case strings.HasPrefix(l.exit.Message, spec.NotStarted):
		log(slog.LevelError, "command not started", spec.NotStarted)
	default:
		log(slog.LevelError, "command killed", spec.KilledBy)
	}
}

// event returns the attribute by which programs distinguish log lines. Its
// values and the attributes that follow it are part of the interface:
// docs/reference/wrapper.md lists them.
func event(name string) slog.Attr { return slog.String("event", name) }

// loop is the state of one run.
type loop struct {
	Config
	ctx     context.Context // ends with the run
	machine *lifecycle.Machine
	sources *sources
	child   Child
	helpers []helper // hooks, probes and the network program, while they run
	waited  string   // the dependencies of the last wait, as logged
	ready   bool     // the command counts as ready
	trouble string   // why the command is not ready
	noted   bool     // the container's preStop hook has been seen to run
	exit    lifecycle.Exit

	variables []envfile.Variable // read from files; kept until the command's start

	timers map[lifecycle.Timer]*time.Timer
	rest   *time.Timer // frees memory
	calls  chan func() // functions that other goroutines want the loop to run

	written   record.State // by the last update of the record
	unwritten bool         // the update failed and will be repeated
}

// next handles one event. A pending signal takes precedence over other pending
// events, so that a command that is no longer needed is not started.
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
		l.learn()
	case know.status = <-l.sources.reported:
		l.learnStopSignal()
		l.learn()
	case know.other = <-l.sources.carved:
		l.learn()
	case apply := <-l.sources.learned:
		apply(know)
		l.learn()
	case call := <-l.calls:
		call()
	}
}

// learn passes the facts to the machine after a source has changed them.
func (l *loop) learn() {
	l.handle(l.sources.know.facts())
	l.rest.Reset(settled)
}

// learnStopSignal takes the stop signal of this container from the pod's status
// (Kubernetes 1.33 and later), if the spec does not set one.
func (l *loop) learnStopSignal() {
	own, there := l.sources.know.status[l.Spec.Container]
	if !there || own.StopSignal == "" || l.Spec.RequestSignal != 0 {
		return
	}
	if n, err := spec.ParseSignal(own.StopSignal); err == nil {
		l.act(lifecycle.StopSignal{Number: n})
	}
}

// call makes the loop run a function. It is called from other goroutines. It
// returns false if the run is over and the function does not run.
func (l *loop) call(do func()) bool {
	select {
	case l.calls <- do:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// signal handles a signal. Its effect may depend on the other containers, so
// their records are read first if they may be out of date.
func (l *loop) signal(s os.Signal) {
	n, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	if l.sources.stale() {
		l.handle(l.sources.now())
	}
	l.note()
	if l.noted {
		l.act(lifecycle.Spent{Time: l.Record.SinceNoted()})
	}
	l.act(lifecycle.Signal{Number: n})
}

// handle passes an event to the machine and performs the resulting actions. It
// first notifies the machine if the kubelet has begun to stop the container.
func (l *loop) handle(e lifecycle.Event) {
	l.note()
	l.act(e)
}

// note notifies the machine, once, that the container's preStop hook runs.
func (l *loop) note() {
	if !l.noted && l.Record != nil && l.Record.Noted() {
		l.noted = true
		l.Log.Info("preStop hook runs: the container is being stopped", event("stop-requested"))
		l.act(lifecycle.Noted{})
	}
}

// act passes an event to the machine and performs the resulting actions.
func (l *loop) act(e lifecycle.Event) {
	for _, a := range l.machine.Handle(e) {
		l.perform(a)
	}
}

// settle follows up on changes: it updates the record and ends watches that are
// no longer needed.
func (l *loop) settle() {
	l.tell()
	if l.sources.need(l.machine.Needs(), l.machine.Urgent(), l.machine.State() == lifecycle.Waiting) {
		l.rest.Reset(settled)
	}
}

// rewrite is how long after a failure the wrapper writes the record again.
const rewrite = time.Second

// tell writes the record when its content has changed. A record that cannot be
// written costs only its information: the container still runs in order, and
// the gate opens.
func (l *loop) tell() {
	s := l.state()
	if l.unwritten || reflect.DeepEqual(s, l.written) {
		return
	}
	l.rest.Reset(settled)
	if l.Record != nil {
		if err := l.Record.Update(s); err != nil {
			l.Log.Error("record not written", "error", err)
			l.unwritten = true
			time.AfterFunc(rewrite, func() { l.call(func() { l.unwritten = false }) })
			return
		}
	}
	l.written = s
}

// state returns the content of the record.
func (l *loop) state() record.State {
	r := l.machine.Report()
	s := record.State{
		Phase: r.State.String(), For: r.For, Started: r.Started, Stopping: r.Stopping, Ending: r.Ending, StoppedBy: r.StoppedBy,
	}
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

// reap collects every process that has ended: the command, its helpers, and
// orphans.
func (l *loop) reap() {
	exits := l.Kernel.Reap()
	l.reapHelpers(exits)
	if l.child == nil {
		return
	}
	if e, ok := l.child.Ended(exits); ok {
		l.Log.Info("command exited", event("exited"), "exitCode", e.Code)
		l.handle(lifecycle.Exited{Code: e.Code})
	}
	l.checkSwept()
}

func (l *loop) checkSwept() {
	if l.machine.State() == lifecycle.Sweeping && l.child.GroupGone() {
		l.handle(lifecycle.Swept{})
	}
}
