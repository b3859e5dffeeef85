package lifecycle

import (
	"syscall"
	"testing"
	"time"
)

func TestStopDependency(t *testing.T) {
	const timely, late = "a exited with code 0", "koordinator: killed: the command did not end within 2s of the stop request"
	toKill := func(end func([]step) []step) []step {
		return end(running(
			on(a(failed), Stop{term, "a exited with code 3"}, SetTimer{StopTimeout, 2 * time.Second}),
			on(Fired{StopTimeout}, Kill{"it did not end within 2s"}),
		))
	}
	tell(t, []story{
		{
			"own-06 it exits with 0: the stop signal, and our code when the command ends in time", `{"stopDeps":["a"]}`,
			ending(running(on(a(succeeded), askedBy(timely)...)), 143, stopped(0, timely)),
		},
		{
			"own-06 it exits with another code: the same", `{"stopDeps":["a"]}`,
			ending(running(on(a(failed), askedBy("a exited with code 3")...)), 1, stopped(0, "a exited with code 3")),
		},
		{
			"own-06 it is ended by a signal: the same", `{"stopDeps":["a"]}`,
			ending(running(on(a(killed), askedBy("a exited with code 137")...)), 143, stopped(0, "a exited with code 137")),
		},
		{
			"own-06 the command does not end: killed, and the code for that", `{"stopDeps":["a"],"stopTimeout":"2s"}`,
			toKill(func(s []step) []step { return ending(s, 137, Exit{Code: 137, Message: late, Stopped: true}) }),
		},
		{
			"hbt-12 the child's own code when asked for", `{"stopDeps":["a"],"terminatedByStopDepExitCode":-1}`,
			ending(running(on(a(succeeded), askedBy(timely)...)), 143, stopped(143, timely)),
		},
		{
			"hbt-12 the code of a kill as configured", `{"stopDeps":["a"],"stopTimeout":"2s","killedByStopDepExitCode":5}`,
			toKill(func(s []step) []step { return ending(s, 137, Exit{Code: 5, Message: late, Stopped: true}) }),
		},
		{
			"hbt-14 a signal for stop dependencies alone", `{"stopDeps":["a"],"termSignal":"SIGUSR1","whenStopDepExited":{"signal":9}}`,
			running(on(a(succeeded), Stop{kill, timely}, SetTimer{StopTimeout, half})),
		},
		{
			"the signal the user named", `{"stopDeps":["a"],"stopSignal":"INT","requestSignal":"USR1"}`,
			running(on(a(succeeded), Stop{syscall.SIGINT, timely}, SetTimer{StopTimeout, half})),
		},
		{
			"else the one the runtime would send", `{"stopDeps":["a"],"requestSignal":"USR1"}`,
			running(on(a(succeeded), Stop{syscall.SIGUSR1, timely}, SetTimer{StopTimeout, half})),
		},
		{"failed does not hold for a success", `{"stopDeps":["a=failed"]}`, ending(running(on(a(succeeded))), 0, Exit{})},
		{"failed holds for a kill", `{"stopDeps":["a=failed"]}`, running(on(a(killed), askedBy("a exited with code 137")...))},
		{"succeeded does not hold for a failure; any of several is enough", `{"stopDeps":["a=succeeded","b=failed"]}`, running(
			on(Facts{"a": failed, "b": up}), on(Facts{"a": failed, "b": failed}, askedBy("b exited with code 3")...),
		)},
		{"all: each has to hold", `{"stopDeps":["a","b=failed"],"stopWhen":"all"}`, running(
			on(Facts{"a": succeeded, "b": up}),
			on(Facts{"a": succeeded, "b": failed}, askedBy("a exited with code 0, b exited with code 3")...),
		)},
		{"own-07 an exit that is not for good is none", `{"stopDeps":["a"]}`, running(on(a(up)), on(a(crashed)), on(a(up)))},
		{"hbt-07 a crash and restart is not taken as final, and the end is not missed", `{"stopDeps":["a"]}`, running(
			on(a(up)), on(a(crashed)), on(a(up)), on(a(succeeded), askedBy(timely)...),
		)},
		{"hbt-06 it held before the start dependencies did: the command never runs", `{"startDeps":["b"],"stopDeps":["a"]}`, []step{
			waitFor("b to be ready"), on(Facts{"a": failed, "b": up}, kept(0, "a exited with code 3")),
		}},
		{"kx-04 it dies during the wait: nothing is started later", `{"startDeps":["b"],"stopDeps":["a"]}`, []step{
			waitFor("b to be ready"),
			on(Facts{"a": succeeded, "b": {}}, kept(0, "a exited with code 0")),
			on(Facts{"a": succeeded, "b": ready}),
		}},
		{"before the start with the child's own code asked for", `{"startDeps":["b"],"stopDeps":["a"],"stoppedExitCode":"child"}`, []step{
			waitFor("b to be ready"), on(Facts{"a": succeeded, "b": up}, kept(143, "a exited with code 0")),
		}},
		{"one that the pod does not have: told once, and the command goes on", `{"stopDeps":["a"]}`, running(
			on(a(absent), Complain{`the stop dependency never holds: no container "a" in this pod`}), on(a(absent)),
		)},
		{"it holds while the command ends: nothing more", `{"stopDeps":["a"]}`, running(
			on(Exited{4}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}), on(a(succeeded)), on(Swept{}, Exit{Code: 4}), on(a(absent)),
		)},
	})
}

func TestStopTimeout(t *testing.T) {
	tell(t, []story{
		{"pc-18 a command that ignores the signal is killed after its timeout, and not before", `{"stopDeps":["a"],"stopTimeout":"7s"}`, running(
			on(a(succeeded), Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 7 * time.Second}),
			on(Fired{StopTimeout}, Kill{"it did not end within 7s"}), on(Fired{StopTimeout}),
		)},
		{"pc-19 a command that ends by the signal is done at once", `{"stopDeps":["a"],"stopTimeout":"7s"}`, append(ending(running(
			on(a(succeeded), Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 7 * time.Second}),
		), 143, stopped(0, "a exited with code 0")), on(Fired{StopTimeout}))},
		{"pc-26 where no timeout is given there is one", `{"stopDeps":["a"]}`, running(
			on(a(succeeded), Stop{term, "a exited with code 0"}, SetTimer{StopTimeout, 30 * time.Second}),
			on(Fired{StopTimeout}, Kill{"it did not end within 30s"}),
		)},
		{"one that cannot be killed: our end is its end", `{"stopDeps":["a"]}`, running(
			on(Unkillable{"early"}), on(a(succeeded), askedBy("a exited with code 0")...),
			on(Fired{StopTimeout}, Kill{"it did not end within 30s"}),
			on(Unkillable{"no permission"}, Exit{Code: 137, Message: "koordinator: killed: no permission", Stopped: true}),
		)},
		{"A23 the pod's request, and then a stop dependency: the grace period counts, and not stopTimeout", `{"stopDeps":["a"],"stopTimeout":"2s","gracePeriod":"30s"}`, ending(running(
			on(Signal{term}, podStop(term, term)),
			on(a(endedAsked), overdue), on(a(endedAsked)),
		), 6, Exit{Code: 6})},
		{"A23 a request that was not the kubelet's, which would have killed by then", `{"stopDeps":["a"],"stopTimeout":"2s","gracePeriod":"30s"}`, ending(running(
			on(Signal{term}, podStop(term, term)),
			on(a(succeeded), overdue), on(Fired{OverdueTimer}, Kill{"it did not end within its grace period, and a exited with code 0"}),
		), 137, Exit{Code: 137, Message: "koordinator: killed: the command did not end within 30s of the stop request", Stopped: true})},
		{"a stop dependency, and then the pod's request: no second signal", `{"stopDeps":["a"]}`, running(
			on(a(succeeded), askedBy("a exited with code 0")...), on(Signal{term}),
			on(Signal{syscall.SIGUSR1}, Forward{syscall.SIGUSR1}), on(Signal{term}, Forward{term}),
		)},
	})
}

func TestStopRequest(t *testing.T) {
	second := []Action{Delay{For: time.Second}, SetTimer{StopDelay, time.Second}}
	tell(t, []story{
		{"passed on at once, and the child's own code", `{}`, ending(running(on(Signal{term}, podStop(term, term))), 143, Exit{Code: 143})},
		{"a second one is passed on, too", `{}`, running(on(Signal{term}, podStop(term, term)), on(Signal{term}, Forward{term}))},
		{"the signal the user named", `{"stopSignal":"SIGRTMIN+3"}`, running(on(Signal{term}, podStop(37, term)))},
		{"hbt-13 stopDelay: kept back, then passed on once", `{"stopDelay":"1s"}`, ending(running(
			on(Signal{term}, second...), on(Signal{term}), on(Fired{StopDelay}, podStop(term, term)), on(Signal{term}, Forward{term}),
		), 0, Exit{})},
		{
			"hbt-05 the command ends by itself during stopDelay: noticed at once", `{"stopDelay":"1s"}`,
			append(ending(running(on(Signal{term}, second...)), 5, Exit{Code: 5}), on(Fired{StopDelay})),
		},
		{"hbt-05 other signals are passed on during stopDelay", `{"stopDelay":"1s"}`, running(
			on(Signal{term}, second...), on(Signal{syscall.SIGHUP}, Forward{syscall.SIGHUP}),
		)},
		{"A23 a stop dependency does not end stopDelay", `{"stopDelay":"1s","stopDeps":["a"]}`, ending(running(
			on(Signal{term}, second...), on(a(succeeded)), on(Fired{StopDelay}, podStop(term, term), overdue),
		), 0, Exit{})},
		{"A4 what may have been a request is forgotten after a moment", `{"stopDeps":["a"]}`, running(
			on(Signal{quit}, hinted...), on(a(succeeded)), on(Fired{HintTimer}, askedBy("a exited with code 0")...),
		)},
		{"what may be one: that very signal, and no more", `{"stopSignal":"INT"}`, running(
			on(Signal{quit}, hinted...), on(Signal{quit}, hinted...), on(Signal{term}, podStop(syscall.SIGINT, term)),
		)},
		{"what may be one: kept back, and the next request gets a delay of its own", `{"stopDelay":"1s"}`, running(
			on(Signal{quit}, second...), on(Signal{quit}), on(Fired{StopDelay}, hinted...),
			on(Signal{term}, second...), on(Fired{StopDelay}, podStop(term, term)),
		)},
		{"what may be one, and a request while it is kept back: the request", `{"stopDelay":"1s"}`, running(
			on(Signal{quit}, second...), on(Signal{term}, second...), on(Fired{StopDelay}, podStop(term, term)),
		)},
		{"what may be one, and a stop dependency while it is kept back: the stop signal", `{"stopDelay":"1s","stopDeps":["a"]}`, running(
			on(Signal{quit}, second...), on(a(succeeded), askedBy("a exited with code 0")...), on(Fired{StopDelay}),
		)},
		{"where the runtime's signal is known, others are just passed on", `{"requestSignal":"SIGUSR1","stopDelay":"1s"}`, running(
			on(Signal{quit}, Forward{quit}), on(Signal{syscall.SIGUSR1}, second...),
			on(Fired{StopDelay}, podStop(syscall.SIGUSR1, syscall.SIGUSR1)),
		)},
		{"hbt-09 USR2, WINCH and real-time signals are passed on", `{"requestSignal":"TERM"}`, running(
			on(Signal{syscall.SIGUSR2}, Forward{syscall.SIGUSR2}), on(Signal{syscall.SIGWINCH}, Forward{syscall.SIGWINCH}), on(Signal{37}, Forward{37}),
		)},
		{"gort-02 those of the kernel and the Go runtime are never passed on", `{}`, running(
			on(Signal{syscall.SIGCHLD}), on(Signal{syscall.SIGURG}), on(Signal{syscall.SIGPIPE}), on(Signal{syscall.SIGHUP}, Forward{syscall.SIGHUP}),
		)},
	})
}

func TestResizeOfATerminalIsNoStopRequest(t *testing.T) {
	winch := syscall.SIGWINCH
	s := parsed(t, `{"stopDelay":"1s"}`)
	play(t, New(s, true), running(on(Signal{winch}, Forward{winch})))
	play(t, New(s, false), running(on(Signal{winch}, Delay{For: time.Second}, SetTimer{StopDelay, time.Second})))
}
