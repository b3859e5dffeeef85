package lifecycle

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"koordinator.io/koordinator/wrapper/spec"
)

const (
	term = syscall.SIGTERM
	kill = syscall.SIGKILL
)

// step is one event and what the machine must answer.
type step struct {
	event Event
	want  []Action
}

// story runs steps against a machine and compares every answer.
func story(t *testing.T, m *Machine, steps []step) {
	t.Helper()
	for i, s := range steps {
		got := m.Handle(s.event)
		if diff := cmp.Diff(s.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("step %d, %T%+v: actions (-want +got):\n%s", i, s.event, s.event, diff)
		}
	}
}

// parsed is a spec from its JSON.
func parsed(t *testing.T, text string) spec.Spec {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	up        = Fact{Started: true}
	ready     = Fact{Started: true, Ready: true}
	succeeded = Fact{Started: true, Exited: true}
	failed    = Fact{Started: true, Exited: true, Code: 3}
)

// a is what is known when only container a is.
func a(f Fact) Facts { return Facts{"a": f} }

// ended are the steps of a command that exits leaving nothing behind.
func ended(code int, want Exit) []step {
	return []step{
		{Exited{code}, []Action{SetTimer{SweepTimer, SweepTimeout}, Sweep{term}}},
		{Swept{}, []Action{want}},
	}
}

func TestStories(t *testing.T) {
	start := []step{{Begin{}, []Action{Start{}}}, {Started{}, nil}}
	for name, tc := range map[string]struct {
		spec  string
		steps []step
	}{
		"nothing to wait for: the command runs and its exit code is reported": {
			`{}`, append(start, ended(7, Exit{Code: 7})...),
		},
		"ready: starts when the container is ready and not before": {
			`{"startDeps":["a"]}`,
			append([]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready"}}}},
				{a(Fact{}), nil},
				{a(up), nil},
				{a(ready), []Action{Start{}}},
				{Started{}, nil},
				{a(up), nil}, // no longer looked at
			}, ended(0, Exit{})...),
		},
		"several: all must hold at the same moment": {
			`{"startDeps":["a","b=succeeded"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready", "b to succeed"}}}},
				{Facts{"a": ready, "b": up}, []Action{Wait{[]string{"b to succeed"}}}},
				{Facts{"a": up, "b": succeeded}, []Action{Wait{[]string{"a to be ready"}}}},
				{Facts{"a": ready, "b": succeeded}, []Action{Start{}}},
			},
		},
		"started: holds for a container that has exited since": {
			`{"startDeps":["a=started"]}`,
			[]step{{Begin{}, []Action{Wait{[]string{"a to be started"}}}}, {a(failed), []Action{Start{}}}},
		},
		"exited: holds for any code": {
			`{"startDeps":["a=exited"]}`,
			[]step{{Begin{}, []Action{Wait{[]string{"a to exit"}}}}, {a(failed), []Action{Start{}}}},
		},
		"succeeded can no longer come true: 69 and why": {
			`{"startDeps":["a=succeeded"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to succeed"}}}},
				{a(failed), []Action{Exit{69, "koordinator: command not started: a will never succeed: it exited with code 3"}}},
				{Signal{term}, nil},
			},
		},
		"a container that the pod does not have never comes": {
			`{"startDeps":["sql-proxy"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"sql-proxy to be ready"}}}},
				{Facts{"main": up, "cloud-sql-proxy": ready}, []Action{Exit{69, `koordinator: command not started: no container "sql-proxy" in this pod (has: cloud-sql-proxy, main)`}}},
			},
		},
		"ready can no longer come true after a success either": {
			`{"startDeps":["a"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready"}}}},
				{a(succeeded), []Action{Exit{69, "koordinator: command not started: a will never be ready: it exited with code 0"}}},
			},
		},
		"the reason is passed on along a chain": {
			`{"startDeps":["a=started"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be started"}}}},
				{
					a(Fact{Exited: true, Code: 69, Reason: spec.NotStarted + "z will never be ready: it exited with code 1"}),
					[]Action{Exit{69, "koordinator: command not started: a will never be started: it exited with code 69 (z will never be ready: it exited with code 1)"}},
				},
			},
		},
		"own-28 optional: dropped when it can no longer come true": {
			`{"startDeps":["a?"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready"}}}},
				{a(failed), []Action{Drop{"a will never be ready: it exited with code 3"}, Start{}}},
			},
		},
		"own-28 optional: dropped when the start timeout passes": {
			`{"startDeps":["a?"],"startTimeout":"5s"}`,
			[]step{
				{Begin{}, []Action{SetTimer{StartTimeout, 5 * time.Second}, Wait{[]string{"a to be ready"}}}},
				{Fired{StartTimeout}, []Action{Drop{"waited 5s for a to be ready"}, Start{}}},
			},
		},
		"own-27 start timeout: 124 and what was waited for": {
			`{"startDeps":["a","b=exited"],"startTimeout":"5s"}`,
			[]step{
				{Begin{}, []Action{SetTimer{StartTimeout, 5 * time.Second}, Wait{[]string{"a to be ready", "b to exit"}}}},
				{Facts{"a": ready, "b": up}, []Action{Wait{[]string{"b to exit"}}}},
				{Fired{StartTimeout}, []Action{Exit{124, "koordinator: command not started: waited 5s for b to exit"}}},
			},
		},
		"a start timeout that fires late is nothing": {
			`{"startDeps":["a"],"startTimeout":"5s"}`,
			[]step{
				{Begin{}, []Action{SetTimer{StartTimeout, 5 * time.Second}, Wait{[]string{"a to be ready"}}}},
				{a(ready), []Action{Start{}}},
				{Fired{StartTimeout}, nil},
				{Started{}, nil},
				{Fired{StartTimeout}, nil},
			},
		},
		"scut-02 stopped while waiting: 143 at once, nothing started": {
			`{"startDeps":["a"],"stopDelay":"10s"}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready"}}}},
				{Signal{term}, []Action{Exit{143, "koordinator: command not started: stopped by SIGTERM while waiting for a to be ready"}}},
				{a(ready), nil},
			},
		},
		"scut-01 other signals while waiting end nothing": {
			`{"startDeps":["a"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"a to be ready"}}}},
				{Signal{syscall.SIGURG}, nil},
				{Signal{syscall.SIGUSR1}, nil},
				{Signal{syscall.SIGHUP}, nil},
				{a(ready), []Action{Start{}}},
			},
		},
		"hbt-06 a stop dependency that held before the start: the command never runs": {
			`{"startDeps":["b"],"stopDeps":["a"]}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"b to be ready"}}}},
				{Facts{"a": failed, "b": ready}, []Action{Exit{0, "koordinator: command not started: a exited with code 3 before the command was started"}}},
			},
		},
		"a stop dependency before the start with the child's own code asked for": {
			`{"stopDeps":["a"],"startDeps":["b"],"stoppedExitCode":"child"}`,
			[]step{
				{Begin{}, []Action{Wait{[]string{"b to be ready"}}}},
				{Facts{"a": succeeded, "b": up}, []Action{Exit{143, "koordinator: command not started: a exited with code 0 before the command was started"}}},
			},
		},
		"not found: its code and reason": {
			`{}`,
			[]step{{Begin{}, []Action{Start{}}}, {StartFailed{127, "no such file"}, []Action{Exit{127, "koordinator: command not started: no such file"}}}},
		},
		"own-06 a stop dependency holds: stop signal, and our code when it ends in time": {
			`{"stopDeps":["a"]}`,
			append(append(start, step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}}),
				ended(143, Exit{Code: 0})...),
		},
		"the child's own code when asked for": {
			`{"stopDeps":["a"],"stoppedExitCode":"child"}`,
			append(append(start, step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}}),
				ended(143, Exit{Code: 143})...),
		},
		"killed after the stop timeout": {
			`{"stopDeps":["a"],"stopTimeout":"2s","stopSignal":"INT"}`,
			append(append(start,
				step{a(failed), []Action{Stop{syscall.SIGINT, "a exited with code 3"}, SetTimer{StopTimeout, 2 * time.Second}}},
				step{Fired{StopTimeout}, []Action{Kill{"it did not end within 2s"}}}),
				ended(137, Exit{137, "koordinator: killed: the command did not end within 2s of being asked to"})...),
		},
		"stop conditions: failed does not hold for a success": {
			`{"stopDeps":["a=failed"]}`,
			append(append(start, step{a(succeeded), nil}), ended(0, Exit{})...),
		},
		"stop conditions: succeeded does not hold for a failure": {
			`{"stopDeps":["a=succeeded","b=failed"]}`,
			append(start, step{Facts{"a": failed, "b": up}, nil}, step{Facts{"a": failed, "b": failed}, []Action{Stop{term, "b exited with code 3"}, SetTimer{StopTimeout, 30 * time.Second}}}),
		},
		"the pod is stopped: passed on at once, the child's own code": {
			`{}`,
			append(append(start, step{Signal{term}, []Action{Stop{term, "the container was asked to by SIGTERM"}}}), ended(143, Exit{Code: 143})...),
		},
		"what may be the image's stop signal, or a wish for a thread dump: that very signal, and no more": {
			`{"stopSignal":"INT"}`, append(start,
				step{Signal{syscall.SIGQUIT}, []Action{Forward{syscall.SIGQUIT}}},
				step{Signal{term}, []Action{Stop{syscall.SIGINT, "the container was asked to by SIGTERM"}}}),
		},
		"the same with a stop delay: kept back, and the next request gets a delay of its own": {
			`{"stopDelay":"1s"}`, append(start,
				step{Signal{syscall.SIGQUIT}, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}},
				step{Signal{syscall.SIGQUIT}, nil},
				step{Fired{StopDelay}, []Action{Forward{syscall.SIGQUIT}}},
				step{Signal{term}, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}},
				step{Fired{StopDelay}, []Action{Stop{term, "the container was asked to by SIGTERM"}}}),
		},
		"the same with a request while it is kept back: the request": {
			`{"stopDelay":"1s"}`, append(start,
				step{Signal{syscall.SIGQUIT}, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}},
				step{Signal{term}, nil},
				step{Fired{StopDelay}, []Action{Stop{term, "the container was asked to by SIGTERM"}}}),
		},
		"the same with a stop dependency while it is kept back: the stop signal": {
			`{"stopDelay":"1s","stopDeps":["a"]}`, append(start,
				step{Signal{syscall.SIGQUIT}, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}},
				step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}},
				step{Fired{StopDelay}, nil}),
		},
		"hbt-14 a signal for stop dependencies alone": {
			`{"stopDeps":["a"],"termSignal":"SIGUSR1","whenStopDepExited":{"signal":9}}`,
			append(start, step{a(succeeded), []Action{Stop{kill, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}}),
		},
		"one that cannot be killed: our end is its end": {
			`{"stopDeps":["a"],"stopTimeout":"2s"}`,
			append(start,
				step{Unkillable{"late"}, nil},
				step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 2 * time.Second}}},
				step{Fired{StopTimeout}, []Action{Kill{"it did not end within 2s"}}},
				step{Unkillable{"no permission"}, []Action{Exit{137, "koordinator: killed: no permission"}}}),
		},
		"a stop dependency that the pod does not have: told once": {
			`{"stopDeps":["b"]}`,
			append(start,
				step{a(up), []Action{Complain{`the stop dependency never holds: no container "b" in this pod (has: a)`}}},
				step{a(ready), nil}),
		},
		"the pod is stopped: the signal the user named": {
			`{"stopSignal":"SIGRTMIN+3"}`, append(start, step{Signal{term}, []Action{Stop{37, "the container was asked to by SIGTERM"}}}),
		},
		"where the runtime's signal is known, others are just passed on": {
			`{"requestSignal":"SIGUSR1","stopDelay":"1s"}`,
			append(start,
				step{Signal{syscall.SIGQUIT}, []Action{Forward{syscall.SIGQUIT}}},
				step{Signal{syscall.SIGUSR1}, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}},
				step{Fired{StopDelay}, []Action{Stop{syscall.SIGUSR1, "the container was asked to by SIGUSR1"}}}),
		},
		"hbt-13 stop delay: kept back, then passed on once": {
			`{"stopDelay":"10s"}`,
			append(append(start,
				step{Signal{term}, []Action{Delay{10 * time.Second}, SetTimer{StopDelay, 10 * time.Second}}},
				step{Signal{syscall.SIGUSR1}, []Action{Forward{syscall.SIGUSR1}}},
				step{Signal{term}, nil},
				step{Fired{StopDelay}, []Action{Stop{term, "the container was asked to by SIGTERM"}}},
				step{Signal{term}, []Action{Forward{term}}}),
				ended(0, Exit{})...),
		},
		"hbt-05 the command ends by itself during the stop delay": {
			`{"stopDelay":"10s"}`,
			append(append(start, step{Signal{term}, []Action{Delay{10 * time.Second}, SetTimer{StopDelay, 10 * time.Second}}}),
				append(ended(5, Exit{Code: 5}), step{Fired{StopDelay}, nil})...),
		},
		"a stop dependency ends the stop delay": {
			`{"stopDelay":"10s","stopDeps":["a"]}`,
			append(append(start,
				step{Signal{term}, []Action{Delay{10 * time.Second}, SetTimer{StopDelay, 10 * time.Second}}},
				step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}},
				step{Fired{StopDelay}, nil}),
				ended(0, Exit{})...),
		},
		"asked to stop twice by different causes: one signal, and the timeout counts": {
			`{"stopDeps":["a"]}`,
			append(append(start,
				step{Signal{term}, []Action{Stop{term, "the container was asked to by SIGTERM"}}},
				step{a(succeeded), []Action{SetTimer{StopTimeout, 30 * time.Second}}},
				step{a(succeeded), nil},
				step{Fired{StopTimeout}, []Action{Kill{"it did not end within 30s"}}}),
				ended(137, Exit{137, "koordinator: killed: the command did not end within 30s of being asked to"})...),
		},
		"the pod's request after a stop dependency made us ask: no second signal": {
			`{"stopDeps":["a"]}`,
			append(start,
				step{a(succeeded), []Action{Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}}},
				step{Signal{term}, nil},
				step{Signal{syscall.SIGUSR1}, []Action{Forward{syscall.SIGUSR1}}},
				step{Signal{term}, []Action{Forward{term}}}),
		},
		"gort-02 signals of the kernel and the Go runtime are never passed on": {
			`{}`, append(start,
				step{Signal{syscall.SIGCHLD}, nil}, step{Signal{syscall.SIGURG}, nil}, step{Signal{syscall.SIGPIPE}, nil},
				step{Signal{syscall.SIGHUP}, []Action{Forward{syscall.SIGHUP}}}),
		},
		"dinit-03 what is left of the group is killed after a short moment": {
			`{}`,
			append(start,
				step{Exited{0}, []Action{SetTimer{SweepTimer, SweepTimeout}, Sweep{term}}},
				step{Signal{term}, nil},
				step{Fired{SweepTimer}, []Action{Sweep{kill}, Exit{}}},
				step{Swept{}, nil}),
		},
	} {
		t.Run(name, func(t *testing.T) { story(t, New(parsed(t, tc.spec), false), tc.steps) })
	}
}

func TestResizeOfATerminalIsNoStopRequest(t *testing.T) {
	winch := Signal{syscall.SIGWINCH}
	s := parsed(t, `{"stopDelay":"1s"}`)
	story(t, New(s, true), []step{{Begin{}, []Action{Start{}}}, {Started{}, nil}, {winch, []Action{Forward{syscall.SIGWINCH}}}})
	story(t, New(s, false), []step{{Begin{}, []Action{Start{}}}, {Started{}, nil}, {winch, []Action{Delay{time.Second}, SetTimer{StopDelay, time.Second}}}})
}
