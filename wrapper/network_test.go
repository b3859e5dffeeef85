package wrapper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// program is one run of the network program in a rig.
type program struct {
	*rig

	pid    int
	task   string
	input  []byte
	prints chan []byte // closed when it ends
	over   bool        // it has ended
}

func (r *rig) Network(task string, input []byte) (Program, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noProgram != nil {
		return nil, r.noProgram
	}
	p := &program{rig: r, pid: 2000 + len(r.programs), task: task, input: input, prints: make(chan []byte)}
	r.programs = append(r.programs, p)
	return p, nil
}

// program returns the nth run of the network program, or nil if it has not
// started.
func (r *rig) program(n int) *program {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n >= len(r.programs) {
		return nil
	}
	return r.programs[n]
}

// mend makes the network program start from now on.
func (r *rig) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noProgram = nil
}

func (p *program) Lines(line func([]byte) error) error {
	for text := range p.prints {
		if err := line(text); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) Ended(exits []process.Exit) (process.Exit, bool) { return pick(exits, p.pid) }

// SignalGroup ends it.
func (p *program) SignalGroup(s syscall.Signal) error {
	p.exit(128 + int(s))
	return nil
}

// exit ends it with a code, once.
func (p *program) exit(code int) {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	p.over = true
	p.exits = append(p.exits, process.Exit{PID: p.pid, Code: code})
	p.mu.Unlock()
	close(p.prints)
	select {
	case p.children <- syscall.SIGCHLD:
	default:
	}
}

// report prints a snapshot on the program's behalf.
func (p *program) report(s podstatus.Snapshot) {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	p.prints <- text
}

// alive returns the number of network programs that run.
func (r *rig) alive() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.programs {
		if !p.over {
			n++
		}
	}
	return n
}

// byProgram returns a Status that reads through the network program.
func byProgram(log *slog.Logger) Status {
	return func(ctx context.Context, network spec.Network, out chan<- podstatus.Snapshot) error {
		podstatus.Config{Pod: "web-0"}.Watch(ctx, network, log, out)
		return nil
	}
}

func TestTheNetworkProgramRunsWhileTheStatusIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}, status: byProgram(slog.New(slog.DiscardHandler))}
		got := r.run(t, `{"startDeps":["proxy"]}`, func() {
			time.Sleep(time.Second)
			if p := r.program(0); p == nil || p.task != spec.WatchTask || !strings.Contains(string(p.input), `"web-0"`) {
				t.Errorf("program %+v", p)
			}
			r.program(0).report(podstatus.Snapshot{"proxy": running})
			time.Sleep(time.Second)
			r.program(0).report(podstatus.Snapshot{"proxy": ready})
			time.Sleep(time.Second)
			if n := r.alive(); n != 0 {
				t.Errorf("%d network programs run after the start", n)
			}
			r.signals <- syscall.SIGTERM
		})
		if want := (outcome{0, "", 3 * time.Second}); got != want || r.startedAfter != 2*time.Second {
			t.Errorf("have %+v, started after %s", got, r.startedAfter)
		}
		if len(r.programs) != 1 {
			t.Errorf("started %d times", len(r.programs))
		}
	})
}

func TestTheNetworkProgramIsGoneBeforeTheCommandTakesTheWrappersPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{status: byProgram(slog.New(slog.DiscardHandler)), startError: &process.StartError{Code: 127}}
		got := r.run(t, `{"startDeps":["proxy"],"mode":"exec"}`, func() {
			time.Sleep(time.Second)
			r.program(0).report(podstatus.Snapshot{"proxy": ready})
		})
		if got.code != 127 || !r.replaced || r.beside != 0 || len(r.programs) != 1 {
			t.Errorf("have %+v, replaced %t beside %d programs of %d", got, r.replaced, r.beside, len(r.programs))
		}
	})
}

func TestANetworkProgramThatDiesIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logs, nil))
		r := &rig{log: log, status: byProgram(log), noProgram: errors.New("resource temporarily unavailable"), onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
		got := r.run(t, `{"startDeps":["proxy"]}`, func() {
			time.Sleep(time.Minute)
			r.mend()
			time.Sleep(time.Minute)
			r.program(0).exit(2) // like a Go program that runs out of memory
			time.Sleep(time.Minute)
			r.program(1).report(podstatus.Snapshot{"proxy": ready})
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
		})
		if got.code != 0 || r.startedAfter != 3*time.Minute || len(r.programs) != 2 {
			t.Errorf("have %+v, started after %s, %d programs", got, r.startedAfter, len(r.programs))
		}
		if n := strings.Count(logs.String(), "pod watch not running"); n != 1 || !strings.Contains(logs.String(), "temporarily unavailable") {
			t.Errorf("said %d times: %s", n, &logs)
		}
	})
}

func TestTheEndOfTheRunEndsTheNetworkProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{status: byProgram(slog.New(slog.DiscardHandler))}
		got := r.run(t, `{"startDeps":["proxy"]}`, func() {
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
		})
		if got.code != 143 || len(r.programs) != 1 || r.alive() != 0 {
			t.Errorf("have %+v, %d of %d network programs run", got, r.alive(), len(r.programs))
		}
	})
}

// TestARunOfTheNetworkProgram covers one run from the caller's side.
func TestARunOfTheNetworkProgram(t *testing.T) {
	errNo := errors.New("no")
	for name, tt := range map[string]struct {
		act  func(*program, context.CancelFunc)
		line error
		want string
	}{
		"a success":      {act: func(p *program, _ context.CancelFunc) { p.prints <- nil; p.exit(0) }},
		"a failure":      {act: func(p *program, _ context.CancelFunc) { p.exit(2) }, want: "koordinator-net: exit code 2"},
		"a wrong line":   {act: func(p *program, _ context.CancelFunc) { p.prints <- nil }, line: errNo, want: "no"},
		"nobody asks it": {act: func(_ *program, cancel context.CancelFunc) { cancel() }, want: "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result := make(chan error, 1)
				r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
				r.status = func(ctx context.Context, network spec.Network, _ chan<- podstatus.Snapshot) error {
					ctx, cancel := context.WithCancel(ctx)
					defer cancel()
					go func() { time.Sleep(time.Second); tt.act(r.program(0), cancel) }()
					result <- network(ctx, "task", nil, func([]byte) error { return tt.line })
					<-ctx.Done()
					return nil
				}
				r.run(t, `{"startDeps":["proxy"]}`, func() {
					time.Sleep(time.Minute)
					have := ""
					if err := <-result; err != nil {
						have = err.Error()
					}
					if have != tt.want || r.alive() != 0 {
						t.Errorf("error %q, want %q; %d network programs run", have, tt.want, r.alive())
					}
					r.signals <- syscall.SIGTERM
				})
			})
		})
	}
}
