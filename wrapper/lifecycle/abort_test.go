package lifecycle

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestStopWhileWaiting(t *testing.T) {
	const text = `{"startDeps":["a"],"stopDelay":"10s","holdFor":["b"],"gracePeriod":"30s"}`
	end := never(143, "stopped by SIGTERM while waiting for a to be ready")
	stopped := []step{waitFor("a to be ready"), on(Facts{"b": ready}), on(Signal{term}, end)}
	tell(t, []story{
		{"scut-02 SIGTERM ends it at once", text, stopped},
		{"argo-05 it exits with 143, and the command is never started", text, append(stopped, on(a(ready)), on(Started{}))},
		{"argo-11 stopped first is never ready", text, append(stopped, on(a(ready)))},
		{"comp-11 cancelled is not ready", text, append(stopped, on(a(ready)))},
		{"kube-term-09 a pod that is deleted while something waits ends promptly: no delay, no hold", text, stopped},
		{"ecsu-14 unresolved start dependencies do not block stopping", text, stopped},
		{"what may be the image's stop signal ends it, too", text, []step{
			waitFor("a to be ready"), on(Signal{quit}, never(143, "stopped by SIGQUIT while waiting for a to be ready")),
		}},
		{"scut-01 a signal of the Go runtime ends nothing", text, []step{
			waitFor("a to be ready"), on(Signal{syscall.SIGURG}), on(Signal{syscall.SIGCHLD}), on(Signal{syscall.SIGPIPE}), on(a(ready), Start{}),
		}},
		{"signals that mean nothing to a container that waits", text, []step{
			waitFor("a to be ready"), on(Signal{syscall.SIGHUP}), on(Signal{syscall.SIGUSR1}), on(a(ready), Start{}),
		}},
	})
}

func TestA5NothingStartsOnceThePreStopHookRuns(t *testing.T) {
	note := func(after time.Duration) step { return on(Noted{}, SetTimer{NoteTimer, after + lateRequest}) }
	const text = `{"startDeps":["a"],"stopDeps":["b"],"gracePeriod":"40s"}`
	tell(t, []story{
		{"a waiting container waits for the signal that follows", text, []step{
			waitFor("a to be ready"), note(40 * time.Second), on(Noted{}), on(a(ready)), on(Facts{"a": ready, "b": failed}),
			on(Signal{term}, never(143, "stopped by SIGTERM while waiting for a to be ready")),
		}},
		{"one that is about to start does not", text, []step{
			waitFor("a to be ready"), on(a(ready), Start{}), note(40 * time.Second), on(a(ready)), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for a to be ready")),
		}},
		{"the start timeout does not end the hook's container", `{"startDeps":["a"],"startTimeout":"5s"}`, []step{
			on(Begin{}, SetTimer{StartTimeout, 5 * time.Second}, Wait{[]string{"a to be ready"}}), note(half),
			on(Fired{StartTimeout}), on(Fired{NoteTimer}, never(124, "waited 5s for a to be ready")),
		}},
		{"a hook that was run by hand is forgotten after the grace period", text, []step{
			waitFor("a to be ready"), note(40 * time.Second), on(a(ready)), on(Fired{NoteTimer}, Start{}),
		}},
		{"a stop dependency does not stop the command while the hook runs", text, []step{
			on(Begin{a(ready)}, Start{}), on(Started{}), note(40 * time.Second), on(Facts{"b": failed}),
			on(Signal{term}, podStop(term, term), SetTimer{OverdueTimer, 40 * time.Second}),
		}},
	})
}

func TestA7ACommandWhoseStopDependencyHoldsIsNeverStarted(t *testing.T) {
	tell(t, []story{
		{"it holds at the begin", `{"stopDeps":["a"]}`, []step{on(Begin{a(failed)}, kept(0, "a exited with code 3")), on(Started{})}},
		{"with the start dependency", `{"startDeps":["b"],"stopDeps":["a"]}`, []step{
			on(Begin{Facts{"a": failed, "b": ready}}, kept(0, "a exited with code 3")),
		}},
		{"only the status can report it: its first answer is waited for", `{"stopDeps":["a"]}`, []step{
			on(Begin{a(Fact{Unheard: true, Unseen: true})}, SetTimer{UnheardTimer, UnheardMoment}, Wait{[]string{"the status of a"}}),
			on(a(failed), kept(0, "a exited with code 3")),
		}},
		{"not for ever", `{"stopDeps":["a"]}`, []step{
			on(Begin{a(Fact{Unheard: true})}, SetTimer{UnheardTimer, UnheardMoment}, Wait{[]string{"the status of a"}}),
			on(Fired{UnheardTimer}, Start{}), on(Started{}), on(a(failed), askedBy("a exited with code 3")...),
		}},
		{"and its answer that the other runs lets it start", `{"stopDeps":["a"]}`, []step{
			on(Begin{a(Fact{Unheard: true})}, SetTimer{UnheardTimer, UnheardMoment}, Wait{[]string{"the status of a"}}), on(a(up), Start{}),
		}},
	})
}

func TestA8AStoppedContainerHasNotSucceeded(t *testing.T) {
	stopped := Fact{Started: true, Exited: true, Stopped: true}
	tell(t, []story{
		{"a start dependency on its success fails", `{"startDeps":["a=succeeded"]}`, []step{
			on(Begin{a(stopped)}, never(69, "a will never succeed: it was stopped (code 0)")),
		}},
		{"one on its exit holds", `{"startDeps":["a=exited"]}`, []step{on(Begin{a(stopped)}, Start{})}},
		{"a stop dependency on its failure holds", `{"stopDeps":["a=failed"]}`, running(on(a(stopped), askedBy("a exited with code 0")...))},
		{"one on its success does not", `{"stopDeps":["a=succeeded"]}`, running(on(a(stopped)))},
	})
}

func TestStoppedWaitIsPublished(t *testing.T) {
	for _, id := range []string{"tek-11", "scut-03"} {
		t.Run(id+" the others hear of the end, and do not wait for ever", func(t *testing.T) {
			first := New(parsed(t, `{"startDeps":["z"]}`), false)
			first.Handle(Begin{})
			first.Handle(Signal{term})
			report := first.Report()
			if diff := cmp.Diff(Report{State: Done, Stopping: true, Ending: true, StoppedBy: "SIGTERM", Exit: never(143, "stopped by SIGTERM while waiting for z to be ready")}, report); diff != "" {
				t.Fatalf("report (-want +have):\n%s", diff)
			}
			play(t, New(parsed(t, `{"startDeps":["a=started"]}`), false), []step{
				waitFor("a to be started"),
				on(a(Fact{Started: report.Started, Exited: true, Code: report.Exit.Code, Reason: report.Exit.Message}),
					never(69, "a will never be started: it exited with code 143 (stopped by SIGTERM while waiting for z to be ready)")),
			})
		})
	}
}

func TestWaitCanBeStoppedAndBegunAgain(t *testing.T) {
	for _, d := range []struct{ dep, phrase string }{
		{"a=exited", "a to exit"},
		{"a=succeeded", "a to succeed"},
		{"a=ready", "a to be ready"},
	} {
		t.Run("pc-12 "+d.dep, func(t *testing.T) {
			text := fmt.Sprintf(`{"startDeps":[%q]}`, d.dep)
			stopped := never(143, "stopped by SIGTERM while waiting for "+d.phrase)
			play(t, New(parsed(t, text), false), []step{waitFor(d.phrase), on(Signal{term}, stopped), on(a(succeeded)), on(a(ready))})
			fact := succeeded
			if d.dep == "a=ready" {
				fact = ready
			}
			play(t, New(parsed(t, text), false), []step{waitFor(d.phrase), on(a(fact), Start{})})
		})
	}
	t.Run("pc-13 restarted while it waits: one instance starts", func(t *testing.T) {
		text := `{"startDeps":["a"]}`
		first, second := New(parsed(t, text), false), New(parsed(t, text), false)
		play(t, first, []step{waitFor("a to be ready"), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for a to be ready"))})
		play(t, second, []step{waitFor("a to be ready"), on(a(ready), Start{}), on(Started{}), on(a(ready))})
		play(t, first, []step{on(a(ready))})
	})
}

func TestShutdownWhileWaiting(t *testing.T) {
	t.Run("pc-16 1 and 2 wait for 3, which waits for 4: all end", func(t *testing.T) {
		for _, wait := range []struct{ dep, phrase string }{{"c=started", "c to be started"}, {"c=started", "c to be started"}, {"d=exited", "d to exit"}} {
			play(t, New(parsed(t, fmt.Sprintf(`{"startDeps":[%q]}`, wait.dep)), false), []step{
				waitFor(wait.phrase), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for "+wait.phrase)),
			})
		}
		play(t, New(parsed(t, `{}`), false), ending(running(on(Signal{term}, podStop(term, term))), 143, Exit{Code: 143}))
	})
}

// chain passes each container's exit to the next one, which waits for the
// previous one to succeed, and returns all exits.
func chain(t *testing.T, n int, first Exit) []Exit {
	t.Helper()
	exits := []Exit{first}
	fact := Fact{Started: true, Exited: true, Code: first.Code}
	for range n - 1 {
		m := New(parsed(t, `{"startDeps":["a=succeeded"]}`), false)
		m.Handle(Begin{})
		for _, act := range m.Handle(a(fact)) {
			if exit, is := act.(Exit); is {
				exits = append(exits, exit)
			}
		}
		r := m.Report()
		fact = Fact{Started: r.Started, Exited: r.State == Done, Code: r.Exit.Code, Reason: r.Exit.Message}
	}
	return exits
}

func TestFailureGoesThroughAChain(t *testing.T) {
	t.Run("pc-04 A exits with 1: B and C never run, and say why", func(t *testing.T) {
		want := []Exit{
			{Code: 1},
			never(spec.ExitUnsatisfiable, "a will never succeed: it exited with code 1"),
			never(spec.ExitUnsatisfiable, "a will never succeed: it exited with code 69 (a will never succeed: it exited with code 1)"),
		}
		if diff := cmp.Diff(want, chain(t, 3, Exit{Code: 1})); diff != "" {
			t.Errorf("exits (-want +have):\n%s", diff)
		}
	})
	t.Run("pc-03 the last of a chain of 8 exits with 42: no other runs", func(t *testing.T) {
		exits := chain(t, 8, Exit{Code: 42})
		if len(exits) != 8 {
			t.Fatalf("%d have ended, want 8: %+v", len(exits), exits)
		}
		for _, exit := range exits[1:] {
			if exit.Code != spec.ExitUnsatisfiable {
				t.Errorf("exit %+v, want code %d", exit, spec.ExitUnsatisfiable)
			}
		}
	})
}

func TestReport(t *testing.T) {
	m := New(parsed(t, `{"startDeps":["b"],"holdFor":["a"],"gracePeriod":"30s"}`), false)
	for _, s := range []struct {
		event Event
		want  Report
	}{
		{Begin{}, Report{State: Waiting, For: []string{"b to be ready"}}},
		{Facts{"a": ready, "b": ready}, Report{State: Starting}},
		{Started{}, Report{State: Running, Started: true}},
		{Signal{term}, Report{State: Holding, Started: true, Stopping: true, StoppedBy: "SIGTERM", For: []string{"a to exit"}}},
		{Facts{"a": failed, "b": ready}, Report{State: Stopping, Started: true, Stopping: true, StoppedBy: "SIGTERM"}},
		{Exited{5}, Report{State: Sweeping, Started: true, Stopping: true, Ending: true, StoppedBy: "SIGTERM"}},
		{Swept{}, Report{State: Done, Started: true, Stopping: true, Ending: true, StoppedBy: "SIGTERM", Exit: Exit{Code: 5}}},
	} {
		m.Handle(s.event)
		if diff := cmp.Diff(s.want, m.Report()); diff != "" {
			t.Errorf("after %T%+v (-want +have):\n%s", s.event, s.event, diff)
		}
	}
	if have := []string{Waiting.String(), Done.String(), State(99).String()}; !cmp.Equal(have, []string{"waiting", "exited", "State(99)"}) {
		t.Errorf("names of states: %q", have)
	}
}

func TestDoubt(t *testing.T) {
	asked := func(f Fact) Fact { f.Stopping = true; return f }
	doubt := SetTimer{DoubtTimer, DoubtMoment}
	stopped := asked(Fact{Exited: true, Code: 143})
	tell(t, []story{
		{"an exit after a stop request counts only after a moment: here, the pod is stopped", `{"startDeps":["a=exited"]}`, []step{
			waitFor("a to exit"), on(a(asked(up))), on(a(asked(succeeded)), doubt), on(a(asked(succeeded))),
			on(Signal{term}, never(143, "stopped by SIGTERM while waiting for a to exit")), on(Fired{DoubtTimer}),
		}},
		{"here, it was stopped alone, and had done its work", `{"startDeps":["a=exited"]}`, []step{
			waitFor("a to exit"), on(a(asked(succeeded)), doubt), on(Fired{DoubtTimer}, Start{}), on(Started{}), on(Fired{DoubtTimer}),
		}},
		{"here, it was stopped alone, and had not begun", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"), on(a(stopped), doubt),
			on(Fired{DoubtTimer}, never(69, "a will never be started: it exited with code 143")),
		}},
		{"an optional one is not dropped before", `{"startDeps":["a=started?"]}`, []step{
			waitFor("a to be started"), on(a(stopped), doubt),
			on(Fired{DoubtTimer}, Drop{"a will never be started: it exited with code 143"}, Start{}),
		}},
		{"a moment for each", `{"startDeps":["a=exited","b=exited"]}`, []step{
			waitFor("a to exit", "b to exit"), on(Facts{"a": asked(succeeded)}, doubt), on(Fired{DoubtTimer}, Wait{[]string{"b to exit"}}),
			on(Facts{"a": asked(succeeded), "b": asked(failed)}, doubt), on(Fired{DoubtTimer}, Start{}),
		}},
		{"a stop dependency, too, and the command is not started meanwhile", `{"startDeps":["b"],"stopDeps":["a"]}`, []step{
			waitFor("b to be ready"), on(a(asked(failed)), doubt), on(Facts{"a": asked(failed), "b": ready}),
			on(Fired{DoubtTimer}, kept(0, "a exited with code 3")),
		}},
	})
}

func TestTheReportNamesWhatStopsTheContainer(t *testing.T) {
	const two = `"stopDeps":["a","b"]`
	hook := `"postStart":{"exec":{"command":["x"]}}`
	for _, test := range []struct {
		name, spec string
		events     []Event
		want       string
	}{
		{"nothing", `{` + two + `}`, []Event{Begin{}, Started{}}, ""},
		{"any of two", `{` + two + `}`, []Event{Begin{}, Started{}, Facts{"b": failed}}, "b"},
		{"the first of two", `{` + two + `}`, []Event{Begin{}, Started{}, Facts{"a": failed, "b": failed}}, "a"},
		{"both of two", `{` + two + `,"stopWhen":"all"}`, []Event{Begin{}, Started{}, Facts{"a": failed, "b": failed}}, "a,b"},
		{"before the start", `{"startDeps":["c"],` + two + `}`, []Event{Begin{}, Facts{"b": failed}}, "b"},
		{"a signal", `{` + two + `}`, []Event{Begin{}, Started{}, Signal{term}}, "SIGTERM"},
		{"a hook", `{` + hook + `}`, []Event{Begin{}, Started{}, HookDone{PostStart, "no"}}, "postStart"},
	} {
		m := New(parsed(t, test.spec), false)
		for _, e := range test.events {
			m.Handle(e)
		}
		if have := m.Report().StoppedBy; have != test.want {
			t.Errorf("%s: stopped by %q, want %q", test.name, have, test.want)
		}
	}
}
