package wrapper

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/envfile"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// rig is a run with a scripted kernel and a scripted pod, on a clock that
// advances only when every goroutine waits.
type rig struct {
	began    time.Time
	signals  chan os.Signal
	children chan os.Signal
	pod      chan podstatus.Snapshot
	peers    chan record.Snapshot
	look     record.Snapshot // the last of them
	changed  chan struct{}   // closed when the next one comes
	mu       sync.Mutex      // of look, changed, urgency, exits, asked, answers, endpoints, programs and noProgram
	watches  []time.Duration // when watches of the pod's status began
	closed   []time.Duration // when they ended

	startedAfter time.Duration // -1: not started
	startError   error
	sent         []signalled
	onSignal     map[syscall.Signal]int // exit code with which the command ends when it receives the signal
	exits        []process.Exit
	leftovers    bool      // the command leaves a process that only SIGKILL ends
	signalError  error     // of every signal to the command
	atStart      os.Signal // arrives while the command is being started

	ran       []string          // hooks and probes, by the name of their program
	helperEnd map[string]int    // exit codes of those that end immediately
	printed   map[string]string // their last lines
	asked     []string          // requests sent over the network
	answers   map[string]error  // by request, "" or nil: success
	endpoints []time.Duration   // when endpoints were checked
	replaced  bool
	beside    int // network programs that ran at that time

	files     func() ([]envfile.Variable, error) // returns the variables from files; nil: none
	variables []envfile.Variable                 // what the command was started with

	noticed chan struct{} // closed when the command has sent READY=1

	programs  []*program // runs of the network program
	noProgram error      // why it cannot be started
	status    Status     // nil: sends first and pod

	log         *slog.Logger
	first       podstatus.Snapshot // what the pod's status reports at first; nil: nothing
	statusError error              // the status cannot be read
	silent      bool               // requests get no answer
	record      *record.Record     // nil: there is none
	urgency     []bool             // the urgency of each watch of the records
}

// helperChild is a hook or probe of a rig.
type helperChild struct {
	*rig

	pid     int
	program string
}

func (h helperChild) Ended(exits []process.Exit) (process.Exit, bool) { return pick(exits, h.pid) }

// LastLine returns the line it prints.
func (h helperChild) LastLine() string { return h.printed[h.program] }

func (r *rig) Run(argv []string) (Helper, error) {
	r.ran = append(r.ran, argv[0])
	h := helperChild{r, 1000 + len(r.ran), argv[0]}
	if code, ends := r.helperEnd[argv[0]]; ends {
		r.mu.Lock()
		r.exits = append(r.exits, process.Exit{PID: h.pid, Code: code})
		r.mu.Unlock()
		go func() { r.children <- syscall.SIGCHLD }()
	}
	return h, nil
}

func (r *rig) Replace(variables []envfile.Variable, goOn func() bool) error {
	r.variables = variables
	if !goOn() {
		return nil
	}
	r.replaced = true
	r.beside = r.alive()
	return r.startError
}

func (r *rig) Check(ctx context.Context, h spec.Handler, run probe.Runner) error {
	if h.Exec != nil {
		return probe.Check(ctx, h, "", run)
	}
	return r.answer("check")
}

func (r *rig) Hook(ctx context.Context, h spec.Handler, run probe.Runner) error {
	if h.HTTP == nil {
		return probe.Hook(ctx, h, "", run)
	}
	return r.answer("hook " + h.HTTP.Path)
}

func (r *rig) Send(ctx context.Context, req spec.Request, _ probe.Runner) error {
	err := r.answer(req.String())
	if r.silent {
		<-ctx.Done()
		return errSilent
	}
	return err
}

func (r *rig) Ask(ctx context.Context, endpoint string, _ probe.Runner) error {
	if r.silent {
		<-ctx.Done()
		return errSilent
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endpoints = append(r.endpoints, time.Since(r.began))
	return r.answers[endpoint]
}

func (r *rig) answer(request string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, request)
	return r.answers[request]
}

// signalled is a signal that the command or its group received, and when.
type signalled struct {
	signal syscall.Signal
	after  time.Duration
	group  bool
}

const pid = 42

func (r *rig) Start(variables []envfile.Variable) (Child, error) {
	r.variables = variables
	if r.startError != nil {
		return nil, r.startError
	}
	r.startedAfter = time.Since(r.began)
	if r.atStart != nil {
		r.signals <- r.atStart
	}
	return r, nil
}

func (r *rig) Reap() []process.Exit {
	r.mu.Lock()
	defer r.mu.Unlock()
	exits := r.exits
	r.exits = nil
	return exits
}

func (r *rig) Ended(exits []process.Exit) (process.Exit, bool) {
	return pick(exits, pid)
}

func pick(exits []process.Exit, pid int) (process.Exit, bool) {
	i := slices.IndexFunc(exits, func(e process.Exit) bool { return e.PID == pid })
	if i < 0 {
		return process.Exit{}, false
	}
	return exits[i], true
}

func (r *rig) Signal(s syscall.Signal) error {
	r.sent = append(r.sent, signalled{s, time.Since(r.began), false})
	if code, ok := r.onSignal[s]; ok {
		r.end(code)
	}
	return r.signalError
}

func (r *rig) SignalGroup(s syscall.Signal) error {
	r.sent = append(r.sent, signalled{s, time.Since(r.began), true})
	if s == syscall.SIGKILL {
		r.leftovers = false
	}
	return nil
}

func (r *rig) GroupGone() bool { return !r.leftovers }

// end makes the command exit.
func (r *rig) end(code int) {
	r.mu.Lock()
	r.exits = append(r.exits, process.Exit{PID: pid, Code: code})
	r.mu.Unlock()
	select {
	case r.children <- syscall.SIGCHLD:
	default:
	}
}

// outcome is the result of a run.
type outcome struct {
	code    int
	message string
	after   time.Duration
}

// run runs the spec in text while script acts, and returns when the run has
// ended.
func (r *rig) run(t *testing.T, text string, script func()) outcome {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r.began, r.startedAfter = time.Now(), -1
	r.signals, r.children = make(chan os.Signal, 8), make(chan os.Signal, 1)
	r.pod, r.peers = make(chan podstatus.Snapshot), make(chan record.Snapshot)
	status := r.status
	if status == nil {
		status = func(ctx context.Context, _ spec.Network, out chan<- podstatus.Snapshot) error {
			r.watches = append(r.watches, time.Since(r.began))
			if r.statusError != nil {
				return r.statusError
			}
			if r.first != nil {
				out <- r.first
			}
			relay(ctx, r.pod, out)
			r.closed = append(r.closed, time.Since(r.began))
			return nil
		}
	}
	over := make(chan struct{})
	r.changed = make(chan struct{})
	go r.keep(over)
	go script()
	code, message := Run(Config{
		Spec: s, Kernel: r, Signals: r.signals, Children: r.children,
		Handlers: r, Status: status,
		Records: r, Record: r.record,
		Files:   r.files,
		Noticed: r.noticed,
		Log:     r.logger(),
	})
	got := outcome{code, message, time.Since(r.began)}
	time.Sleep(time.Minute) // lets the script end, too
	close(over)
	return got
}

func (r *rig) logger() *slog.Logger {
	if r.log != nil {
		return r.log
	}
	return slog.New(slog.DiscardHandler)
}

// Now returns the records that were sent last.
func (r *rig) Now() record.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.look
}

// Watch sends the current records, and then each change.
func (r *rig) Watch(ctx context.Context, urgent bool, out chan<- record.Snapshot) {
	r.mu.Lock()
	r.urgency = append(r.urgency, urgent)
	r.mu.Unlock()
	for {
		r.mu.Lock()
		now, changed := r.look, r.changed
		r.mu.Unlock()
		if now != nil {
			select {
			case out <- now:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// keep stores the records as they arrive, until the run is over.
func (r *rig) keep(over <-chan struct{}) {
	for {
		select {
		case s := <-r.peers:
			r.mu.Lock()
			r.look = s
			close(r.changed)
			r.changed = make(chan struct{})
			r.mu.Unlock()
		case <-over:
			return
		}
	}
}

// relay forwards values until ctx ends.
func relay[T any](ctx context.Context, in <-chan T, out chan<- T) {
	for {
		select {
		case v := <-in:
			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

var (
	running = podstatus.Container{Started: true}
	ready   = podstatus.Container{Started: true, Ready: true}
	done    = podstatus.Container{Started: true, Exited: true}
)

// mainRuns is a pod's status in which main runs.
var mainRuns = podstatus.Snapshot{"main": running}

// mainExited is the message of a container that was stopped because main
// exited.
const mainExited = "koordinator: stopped: main exited with code 0"

func TestTheCommandStartsWhenItsDependencyIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		got := r.run(t, `{"startDeps":["proxy"]}`, func() {
			time.Sleep(2 * time.Second)
			r.pod <- podstatus.Snapshot{"proxy": running}
			time.Sleep(time.Second)
			r.pod <- podstatus.Snapshot{"proxy": ready}
			time.Sleep(time.Second)
			r.end(3)
		})
		if want := (outcome{3, "", 4 * time.Second}); got != want || r.startedAfter != 3*time.Second {
			t.Fatalf("have %+v, started after %s, want %+v, started after 3s", got, r.startedAfter, want)
		}
	})
}

func TestAStopDependencyStopsTheCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		spec     string
		onSignal map[syscall.Signal]int
		want     outcome
	}{
		"that ends in time":      {`{"stopDeps":["main"]}`, map[syscall.Signal]int{syscall.SIGTERM: 143}, outcome{0, mainExited, time.Second}},
		"that takes another one": {`{"stopDeps":["main"],"stopSignal":"INT"}`, map[syscall.Signal]int{syscall.SIGINT: 0}, outcome{0, mainExited, time.Second}},
		"that does not end": {
			`{"stopDeps":["main"],"stopTimeout":"7s"}`,
			map[syscall.Signal]int{syscall.SIGKILL: 137},
			outcome{137, "koordinator: killed: the command did not end within 7s of the stop request", 8 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{onSignal: tc.onSignal, first: mainRuns}
				got := r.run(t, tc.spec, func() {
					time.Sleep(time.Second)
					r.pod <- podstatus.Snapshot{"main": done}
				})
				if got != tc.want {
					t.Fatalf("have %+v, want %+v", got, tc.want)
				}
			})
		})
	}
}

func TestAStopRequestWaitsForTheStopDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
		got := r.run(t, `{"stopDelay":"10s"}`, func() {
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
			time.Sleep(time.Second)
			r.signals <- syscall.SIGUSR1
		})
		if want := (outcome{0, "", 11 * time.Second}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
		want := []signalled{{syscall.SIGUSR1, 2 * time.Second, false}, {syscall.SIGTERM, 11 * time.Second, false}}
		if !slices.Equal(r.sent[:2], want) {
			t.Fatalf("sent %v, want %v first", r.sent, want)
		}
	})
}

func TestStoppedWhileWaitingNothingIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		got := r.run(t, `{"startDeps":["proxy"]}`, func() {
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
		})
		want := outcome{143, "koordinator: command not started: stopped by SIGTERM while waiting for proxy to be ready", time.Second}
		if got != want || r.startedAfter != -1 {
			t.Fatalf("have %+v, started after %s, want %+v and no start", got, r.startedAfter, want)
		}
	})
}

func TestTheStartTimeoutEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{}
		got := r.run(t, `{"startDeps":["proxy"],"startTimeout":"5s"}`, func() {})
		want := outcome{124, "koordinator: command not started: waited 5s for proxy to be ready", 5 * time.Second}
		if got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
	})
}

func TestWhatTheCommandLeavesIsSweptAndNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{leftovers: true}
		got := r.run(t, `{}`, func() {
			time.Sleep(time.Second)
			r.end(5)
		})
		if want := (outcome{5, "", 3 * time.Second}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
		want := []signalled{{syscall.SIGTERM, time.Second, true}, {syscall.SIGCONT, time.Second, true}, {syscall.SIGKILL, 3 * time.Second, true}}
		if !slices.Equal(r.sent[:3], want) {
			t.Fatalf("sent %v, want %v", r.sent, want)
		}
	})
}

func TestACommandThatCannotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{startError: &process.StartError{Argv0: "app", Err: syscall.ENOENT, Code: 127}}
		got := r.run(t, `{}`, func() {})
		if want := (outcome{127, `koordinator: command not started: start "app": no such file or directory`, 0}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
	})
}

func TestASignalDuringTheStartReachesTheCommandOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{atStart: syscall.SIGTERM, onSignal: map[syscall.Signal]int{syscall.SIGTERM: 143}}
		got := r.run(t, `{}`, func() {})
		if want := (outcome{143, "", 0}); got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
		if n := len(slices.DeleteFunc(slices.Clone(r.sent), func(s signalled) bool { return s.signal != syscall.SIGTERM || s.group })); n != 1 {
			t.Fatalf("SIGTERM was sent %d times, want once: %v", n, r.sent)
		}
	})
}

func TestAStopRequestGoesBeforeWhatCameWithIt(t *testing.T) {
	s, err := spec.Parse(`{"startDeps":["proxy"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 { // a select among pending events would be random
		r := &rig{startedAfter: -1}
		signals, known := make(chan os.Signal, 1), make(chan podstatus.Snapshot, 1)
		l := &loop{
			Config:  Config{Spec: s, Kernel: r, Signals: signals, Log: slog.New(slog.DiscardHandler)},
			machine: lifecycle.New(s, false), sources: &sources{know: knowledge{spec: s}, reported: known},
		}
		l.handle(lifecycle.Begin{})
		signals <- syscall.SIGTERM
		known <- podstatus.Snapshot{"proxy": ready}
		if l.next(); l.exit.Code != 143 || r.startedAfter != -1 {
			t.Fatalf("exit %+v, started after %s, want 143 and no start", l.exit, r.startedAfter)
		}
	}
}

func TestACommandThatCannotBeKilledDoesNotKeepTheContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{first: mainRuns, signalError: os.NewSyscallError("kill", syscall.EPERM)}
		got := r.run(t, `{"stopDeps":["main"],"stopTimeout":"3s"}`, func() {
			time.Sleep(time.Second)
			r.pod <- podstatus.Snapshot{"main": done}
		})
		want := outcome{137, "koordinator: killed: send SIGKILL: kill: operation not permitted: the command runs as another user: add KILL to the container's securityContext.capabilities", 4 * time.Second}
		if got != want {
			t.Fatalf("have %+v, want %+v", got, want)
		}
	})
}
