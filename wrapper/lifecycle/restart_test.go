package lifecycle

import (
	"testing"
	"time"
)

// ends returns a fact about a container that has ended n times according to its
// records.
func ends(f Fact, n int) Fact {
	f.Ends = Ends{ByRecord, n}
	return f
}

func TestRestartWith(t *testing.T) {
	const with = `"restartWith":"a","restart":{"policy":"Always"}`
	const why = "a ended, and this container restarts with it"
	byStatus := func(f Fact, n int) Fact {
		f.Ends, f.Unseen = Ends{ByStatus, n}, true
		return f
	}
	begun := func(first Fact, more ...step) []step {
		return append([]step{on(Begin{a(first)}, Start{}), on(Started{})}, more...)
	}
	restarts := stopped(75, why)
	tell(t, []story{
		{"the other's end stops the command, and the container is to be started again", `{` + with + `}`, ending(begun(ends(ready, 0),
			on(a(ends(crashed, 1)), askedBy(why)...),
		), 143, restarts)},
		{"for good, too", `{"restartWith":"a","restart":{"policy":"OnFailure"}}`, ending(begun(ends(ready, 0),
			on(a(ends(succeeded, 1)), askedBy(why)...),
		), 0, restarts)},
		{"an end that was missed", `{` + with + `}`, begun(ends(ready, 2), on(a(ends(ready, 3)), askedBy(why)...))},
		{"an end between the decision to start and the start", `{` + with + `}`, []step{
			on(Begin{a(ends(ready, 0))}, Start{}), on(a(ends(crashed, 1))), on(Started{}, askedBy(why)...),
		}},
		{"ends before the start do not count", `{` + with + `}`, begun(ends(up, 7), on(a(ends(ready, 7))), on(a(ends(stopping, 7))))},
		{"nor does the end of a container that waits", `{` + with + `}`, begun(ends(Fact{}, 0), on(a(ends(Fact{Exited: true, Code: 69}, 0))))},
		{"its own code, whatever the codes for stop dependencies", `{` + with + `,"stoppedExitCode":"child","killedExitCode":5}`, ending(begun(ends(ready, 0),
			on(a(ends(crashed, 1)), askedBy(why)...),
		), 7, restarts)},
		{"also when it had to be killed", `{` + with + `,"killedExitCode":5,"stopTimeout":"2s"}`, ending(begun(ends(ready, 0),
			on(a(ends(crashed, 1)), Stop{term, why}, SetTimer{StopTimeout, 2 * time.Second}),
			on(Fired{StopTimeout}, Kill{"it did not end within 2s"}),
		), 137, Exit{Code: 75, Message: "koordinator: killed: the command did not end within 2s of the stop request", Stopped: true})},
		{"preStop and stopHTTP come as for a stop dependency", `{` + with + `,"preStop":{"sleep":{"seconds":1}},"stopHTTP":"POST http://127.0.0.1:1/quit"}`, begun(ends(ready, 0),
			on(a(ends(crashed, 1)), RunHook{PreStop}, SetTimer{PreStopTimeout, half}),
			on(HookDone{Hook: PreStop}, SendStop{why}, SetTimer{StopSignalTimer, half / 2}, SetTimer{StopTimeout, half}),
		)},
		{"a container that was asked to stop: after a moment, as the pod may be stopped", `{` + with + `}`, begun(ends(ready, 0),
			on(a(ends(Fact{Started: true, Stopping: true}, 1)), SetTimer{DoubtTimer, DoubtMoment}), on(Fired{DoubtTimer}, askedBy(why)...),
		)},
		{"a command in the wrapper's place: likewise, as it could not say", `{` + with + `}`, begun(ends(ready, 0),
			on(a(ends(Fact{Started: true, Mute: true}, 1)), SetTimer{DoubtTimer, DoubtMoment}), on(Fired{DoubtTimer}, askedBy(why)...),
		)},
		{"and the pod is stopped: never", `{` + with + `}`, ending(begun(ends(ready, 0),
			on(a(ends(Fact{Started: true, Stopping: true}, 1)), SetTimer{DoubtTimer, DoubtMoment}),
			on(Signal{term}, podStop(term, term), overdue), on(Fired{DoubtTimer}),
		), 143, Exit{Code: 143})},
		{"but at once when it is started again meanwhile", `{` + with + `}`, begun(ends(ready, 0),
			on(a(ends(Fact{Started: true, Stopping: true}, 1)), SetTimer{DoubtTimer, DoubtMoment}), on(a(ends(Fact{Started: true}, 1)), askedBy(why)...),
		)},
		{"a stop request that nobody obeys does not leave it running", `{` + with + `}`, ending(begun(ends(ready, 0),
			on(Signal{term}, podStop(term, term)), on(a(ends(crashed, 1)), overdue),
			on(Fired{OverdueTimer}, Kill{"it did not end within its grace period, and " + why}),
		), 137, Exit{Code: 75, Message: "koordinator: killed: the command did not end within 30s of the stop request", Stopped: true})},
		{"a stop dependency on the same container goes first", `{"restartWith":"a","stopDeps":["a"],"restart":{"policy":"OnFailure"}}`, begun(ends(ready, 0),
			on(a(ends(succeeded, 1)), askedBy("a exited with code 0")...),
		)},
		{"by the status", `{` + with + `}`, begun(byStatus(ready, 4), on(a(byStatus(ready, 4))), on(a(byStatus(up, 5)), askedBy(why)...))},
		{"never when the status tells that the pod is being deleted", `{` + with + `}`, begun(byStatus(ready, 4), on(a(byStatus(Fact{Started: true, Stopping: true}, 5))))},
		{"another counter says nothing of what was before", `{` + with + `}`, begun(byStatus(ready, 4),
			on(a(ends(ready, 6))), on(a(ends(ready, 6))), on(a(ends(ready, 7)), askedBy(why)...),
		)},
		{"nor does one that was set back", `{` + with + `}`, begun(ends(ready, 4), on(a(ends(ready, 0))), on(a(ends(ready, 1)), askedBy(why)...))},
		{"it waits for the first answer of the status, which counts from there", `{` + with + `}`, []step{
			on(Begin{a(Fact{Unheard: true, Unseen: true})}, SetTimer{UnheardTimer, UnheardMoment}, Wait{[]string{"the status of a"}}),
			on(a(byStatus(ready, 4)), Start{}), on(Started{}), on(a(byStatus(ready, 5)), askedBy(why)...),
		}},
		{"one that is not there is reported once", `{` + with + `}`, begun(ends(up, 0),
			on(a(absent), Complain{`the container never restarts with another one: no container "a" in this pod`}), on(a(absent)),
		)},
	})
}

func TestRestartWithKeepsWatching(t *testing.T) {
	m := New(parsed(t, `{"restartWith":"a","restart":{"policy":"Always"}}`), false)
	play(t, m, running())
	if needs := m.Needs(); len(needs) != 1 || needs[0] != "a" || !m.Urgent() {
		t.Errorf("needs %v, urgently %t, want a, urgently", needs, m.Urgent())
	}
}
