package lifecycle

import (
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestPostStart(t *testing.T) {
	hook := `"postStart":{"exec":{"command":["warm-up"]}}`
	began := func(more ...step) []step {
		return append([]step{on(Begin{}, Start{}), on(Started{}, RunHook{PostStart})}, more...)
	}
	wrong := HookDone{PostStart, "exit code 1"}
	hookFailed := stopped(143, "postStart hook: exit code 1")
	tell(t, []story{
		{"run right after the start; its success changes nothing", `{` + hook + `}`, ending(began(on(HookDone{Hook: PostStart})), 0, Exit{})},
		{
			"its failure stops the command, within the grace period, with the command's code", `{` + hook + `,"gracePeriod":"40s"}`,
			ending(began(on(wrong, Stop{term, "postStart hook: exit code 1"}, SetTimer{StopTimeout, 40 * time.Second})), 143, hookFailed),
		},
		{
			"where the grace period is not known, within stopTimeout", `{` + hook + `,"stopTimeout":"3s"}`,
			began(on(wrong, Stop{term, "postStart hook: exit code 1"}, SetTimer{StopTimeout, 3 * time.Second})),
		},
		{"its failure while a stop request is kept back: asked at once", `{` + hook + `,"stopDelay":"1s"}`, ending(began(
			on(Signal{term}, Delay{For: time.Second}, SetTimer{StopDelay, time.Second}),
			on(wrong, Stop{term, "postStart hook: exit code 1"}, SetTimer{StopTimeout, half}),
			on(Fired{StopDelay}),
		), 143, hookFailed)},
		{"its failure after a stop dependency held: nothing more", `{` + hook + `,"stopDeps":["a"]}`, ending(began(
			on(a(failed), askedBy("a exited with code 3")...), on(wrong),
		), 143, stopped(0, "a exited with code 3"))},
		{"its failure after the command's end is late", `{` + hook + `}`, append(ending(began(), 0, Exit{}), on(wrong))},
		{
			"no stop request by HTTP then, as the kubelet knows none", `{` + hook + `,"stopHTTP":"POST http://127.0.0.1:1/quit"}`,
			began(on(wrong, Stop{term, "postStart hook: exit code 1"}, SetTimer{StopTimeout, half})),
		},
	})
}

func TestPreStop(t *testing.T) {
	text := `{"stopDeps":["a"],"preStop":{"exec":{"command":["drain"]}}}`
	hooked := on(a(succeeded), RunHook{PreStop}, SetTimer{PreStopTimeout, half})
	tell(t, []story{
		{"run before the command is asked to stop for a stop dependency", text, ending(running(
			hooked, on(HookDone{Hook: PreStop}, askedBy("a exited with code 0")...), on(Fired{PreStopTimeout}),
		), 143, stopped(0, "a exited with code 0"))},
		{"its failure is told of, and the command asked all the same", text, running(
			hooked, on(HookDone{PreStop, "exit code 1"}, append([]Action{Complain{"preStop hook: exit code 1"}}, askedBy("a exited with code 0")...)...),
		)},
		{"one that takes too long is not waited for", text, running(
			hooked, on(Fired{PreStopTimeout}, append([]Action{Complain{"preStop hook: not done within 30s"}}, askedBy("a exited with code 0")...)...),
			on(HookDone{Hook: PreStop}),
		)},
		{"the pod's request meanwhile: the kubelet has run the hook itself", text, running(
			hooked, on(Signal{term}, askedBy("a exited with code 0")...), on(HookDone{Hook: PreStop}),
		)},
		{"other signals meanwhile are the command's", text, running(hooked, on(Signal{quit}, Forward{quit}))},
		{"the command ends meanwhile", text, append(ending(running(hooked), 0, stopped(0, "a exited with code 0")), on(HookDone{Hook: PreStop}), on(Fired{PreStopTimeout}))},
		{"not run for the pod's request", text, running(on(Signal{term}, podStop(term, term)), on(a(succeeded), overdue))},
	})
}

func TestStopHTTP(t *testing.T) {
	text := `{"stopDeps":["a"],"stopHTTP":"POST http://127.0.0.1:15020/quitquitquit"}`
	posted := on(a(succeeded), SendStop{"a exited with code 0"}, SetTimer{StopSignalTimer, half / 2}, SetTimer{StopTimeout, half})
	tell(t, []story{
		{"sent instead of the signal", text, ending(running(posted, on(StopSent{})), 0, stopped(0, "a exited with code 0"))},
		{"it does not get through: the signal at once", text, running(
			posted, on(StopSent{"connection refused"}, Stop{term, "the stop request did not get through: connection refused"}), on(Fired{StopSignalTimer}),
		)},
		{"nothing ends: the signal after half of stopTimeout, and then the end", text, running(
			posted, on(StopSent{}), on(Fired{StopSignalTimer}, Stop{term, "it did not end within 15s of the stop request"}),
			on(Fired{StopTimeout}, Kill{"it did not end within 30s"}),
		)},
		{"the pod's request meanwhile: the signal, once", text, running(
			posted, on(Signal{term}, podStop(term, term)), on(StopSent{"late"}), on(Fired{StopSignalTimer}), on(Signal{term}, Forward{term}),
		)},
		{"not sent when the pod's request was there first", `{"stopDeps":["a"],"stopHTTP":"POST http://127.0.0.1:1/quit","stopDelay":"1s"}`, running(
			on(Signal{term}, Delay{For: time.Second}, SetTimer{StopDelay, time.Second}), on(a(succeeded)), on(Fired{StopDelay}, podStop(term, term), overdue),
		)},
		{"not sent for the pod's request", text, running(on(Signal{term}, podStop(term, term)))},
		{"after the preStop hook", `{"stopDeps":["a"],"stopHTTP":"GET http://127.0.0.1:1/quit","preStop":{"sleep":{"seconds":1}}}`, running(
			on(a(succeeded), RunHook{PreStop}, SetTimer{PreStopTimeout, half}),
			on(HookDone{Hook: PreStop}, posted.want...),
		)},
	})
}

func TestExitHTTP(t *testing.T) {
	const requests = `"exitHTTP":["POST http://127.0.0.1:1/quit","POST http://127.0.0.1:2/quit"]`
	exits := func(code int) step { return on(Exited{code}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}) }
	both := []spec.Request{{Method: "POST", URL: "http://127.0.0.1:1/quit"}, {Method: "POST", URL: "http://127.0.0.1:2/quit"}}
	send := []Action{SetTimer{LeaveTimer, 2*LeaveLimit + leaveMargin}, SendExit{both}}
	tell(t, []story{
		{
			"sent after the command has exited for good, and before our end", `{` + requests + `,"restart":{"policy":"Never"}}`,
			running(exits(3), on(Swept{}, send...), on(ExitSent{}, Exit{Code: 3}), on(Fired{LeaveTimer})),
		},
		{
			"no answer: the end all the same", `{` + requests + `}`,
			running(exits(0), on(Swept{}, send...), on(Fired{LeaveTimer}, Exit{}), on(ExitSent{})),
		},
		{"not sent where the container is restarted", `{` + requests + `,"restart":{"policy":"OnFailure"}}`, running(exits(3), on(Swept{}, Exit{Code: 3}))},
		{
			"not sent where a rule restarts it", `{` + requests + `,"restart":{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":[42]}}]}}`,
			running(exits(42), on(Swept{}, Exit{Code: 42})),
		},
		{"sent where the command was never started", `{` + requests + `,"startDeps":["a"],"restart":{"policy":"Never"}}`, []step{
			waitFor("a to be ready"), on(a(failed), send...),
			on(ExitSent{}, never(69, "a will never be ready: it exited with code 3")),
		}},
		{"A15 a stop request cuts the requests off", `{` + requests + `,"restart":{"policy":"Never"},"gracePeriod":"30s"}`, running(
			exits(0), on(Swept{}, send...), on(Signal{term}, SetTimer{LeaveTimer, 7500 * time.Millisecond}), on(Signal{term}), on(Signal{syscall.SIGHUP}),
			on(Fired{LeaveTimer}, Exit{}),
		)},
		{"A15 a stop request while the rest of the group ends, too", `{` + requests + `,"restart":{"policy":"Never"},"gracePeriod":"30s"}`, running(
			exits(0), on(Signal{term}), on(Signal{term}), on(Swept{}, SetTimer{LeaveTimer, 7500 * time.Millisecond}, SendExit{both}),
		)},
		{"A15 of a short grace period they get half", `{` + requests + `,"restart":{"policy":"Never"},"gracePeriod":"3s"}`, running(
			exits(0), on(Swept{}, send...), on(Signal{term}, SetTimer{LeaveTimer, 1500 * time.Millisecond}),
		)},
		{"A15 a stop request that came before the exit, too", `{` + requests + `,"restart":{"policy":"Never"},"gracePeriod":"30s"}`, running(
			on(Signal{term}, podStop(term, term)), exits(0), on(Swept{}, SetTimer{LeaveTimer, 7500 * time.Millisecond}, SendExit{both}),
		)},
		{"not sent where it was stopped before it was started", `{` + requests + `,"startDeps":["a"],"restart":{"policy":"Never"}}`, []step{
			waitFor("a to be ready"), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for a to be ready")),
		}},
		{"sent where it was killed for a stop dependency", `{` + requests + `,"stopDeps":["a"],"restart":{"policy":"OnFailure"},"killedExitCode":0}`, running(
			on(a(failed), askedBy("a exited with code 3")...), on(Fired{StopTimeout}, Kill{"it did not end within 30s"}), exits(137),
			on(Swept{}, send...), on(ExitSent{}, Exit{Code: 0, Message: "koordinator: killed: the command did not end within 30s of the stop request", Stopped: true}),
		)},
	})
}

func TestSweep(t *testing.T) {
	tell(t, []story{
		{"dinit-03 what is left of the group is asked to end before we do, and killed after a short moment", `{}`, running(
			on(Exited{0}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}), on(Signal{term}),
			on(Fired{SweepTimer}, Sweep{kill}, Exit{}), on(Swept{}),
		)},
	})
	t.Run("tini-02 every code of the command is reported as it is", func(t *testing.T) {
		for code := range 256 {
			play(t, New(parsed(t, `{}`), false), ending(running(), code, Exit{Code: code}))
		}
	})
}
