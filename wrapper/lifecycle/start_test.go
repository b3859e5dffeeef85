package lifecycle

import (
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestStart(t *testing.T) {
	started := on(Started{})
	tell(t, []story{
		{"nothing to wait for: the command runs and its exit code is reported", `{}`, ending(running(), 7, Exit{Code: 7})},
		{"ready: starts when the container is ready, not before, and never stops for it", `{"startDeps":["a"]}`, ending([]step{
			waitFor("a to be ready"), on(a(Fact{})), on(a(up)), on(a(ready), Start{}), started, on(a(up)), on(a(failed)),
		}, 0, Exit{})},
		{"several: all must hold at the same moment", `{"startDeps":["a","b=succeeded"]}`, []step{
			waitFor("a to be ready", "b to succeed"),
			on(Facts{"a": ready, "b": up}, Wait{[]string{"b to succeed"}}),
			on(Facts{"a": crashed, "b": succeeded}, Wait{[]string{"a to be ready"}}),
			on(Facts{"a": ready, "b": succeeded}, Start{}),
		}},
		{"ecsu-04 started: created is not enough, running is", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"), on(a(Fact{})), on(a(up), Start{}),
		}},
		{"comp-02 started: no wait beyond the start, readiness does not matter", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"), on(a(up), Start{}),
		}},
		{"ecsu-05 started: holds for a container that has exited since", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"), on(a(failed), Start{}),
		}},
		{"started: holds for a container that is about to be restarted", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"), on(a(crashed), Start{}),
		}},
		{"ecsu-06 succeeded: exit 0 resolves it", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"), on(a(up)), on(a(succeeded), Start{}),
		}},
		{"ecsu-06 succeeded: exit 1 never resolves it, and ends the wait", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"), on(a(failed), never(69, "a will never succeed: it exited with code 3")),
		}},
		{"ecsu-07 exited: running is not enough, exit 0 is", `{"startDeps":["a=exited"]}`, []step{
			waitFor("a to exit"), on(a(ready)), on(a(succeeded), Start{}),
		}},
		{"ecsu-07 exited: exit 1 is as good", `{"startDeps":["a=exited"]}`, []step{waitFor("a to exit"), on(a(failed), Start{})}},
		{"ecsi-01 the parent runs once the healthy container is healthy", `{"startDeps":["a=ready"]}`, ending([]step{
			waitFor("a to be ready"), on(a(up)), on(a(ready), Start{}), started,
		}, 0, Exit{})},
		{
			"ecsi-01 the container is stopped when its essential parent has exited", `{"stopDeps":["a"]}`,
			ending(running(on(a(ready)), on(a(succeeded), askedBy("a exited with code 0")...)), 143, stopped(0, "a exited with code 0")),
		},
		{"ecsi-03 the parent runs only after the container was started", `{"startDeps":["a=started"]}`, ending([]step{
			waitFor("a to be started"), on(a(up), Start{}), started,
		}, 0, Exit{})},
		{
			"ecsi-03 the parent's exit stops the container, which was not essential", `{"stopDeps":["a"]}`,
			ending(running(on(a(up)), on(a(failed), askedBy("a exited with code 3")...)), 143, stopped(0, "a exited with code 3")),
		},
		{"ecsi-04 the parent runs after the container has ended", `{"startDeps":["a=succeeded"]}`, ending([]step{
			waitFor("a to succeed"), on(a(up)), on(a(succeeded), Start{}), started,
		}, 0, Exit{})},
		{"comp-09 completed successfully: exit 0 is done", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"), on(a(succeeded), Start{}),
		}},
		{"comp-09 completed successfully: exit N is an error", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"), on(a(failed), never(69, "a will never succeed: it exited with code 3")),
		}},
		{"comp-09 completed successfully: exit N is a warning where it is optional", `{"startDeps":["a=succeeded?"]}`, []step{
			waitFor("a to succeed"), on(a(failed), Drop{"a will never succeed: it exited with code 3"}, Start{}),
		}},
		{"own-09 exited: an earlier incarnation's exit is none while the container runs again", `{"startDeps":["a=exited"]}`, []step{
			waitFor("a to exit"), on(a(crashed)), on(a(up)), on(a(succeeded), Start{}),
		}},
		{"mode exec: the command takes the wrapper's place", `{"startDeps":["a=exited"],"mode":"exec"}`, []step{
			waitFor("a to exit"), on(a(failed), Start{InPlace: true}),
		}},
		{"mode exec: a command that cannot be run", `{"mode":"exec"}`, []step{
			on(Begin{}, Start{InPlace: true}), on(StartFailed{126, "no permission"}, never(126, "no permission")),
		}},
		{"tini-12 not found: its code and reason", `{}`, []step{
			on(Begin{}, Start{}), on(StartFailed{127, "no such file"}, never(127, "no such file")),
		}},
		{"what comes twice is nothing", `{}`, running(on(Begin{}), on(Started{}), on(StartFailed{127, "late"}), on(Swept{}), on(ExitSent{}))},
	})
}

func TestStartFailure(t *testing.T) {
	unready := `{"startDeps":["a"]}`
	tell(t, []story{
		{"comp-06 ready: the container has exited, an error at once", unready, []step{
			waitFor("a to be ready"), on(a(up)), on(a(failed), never(69, "a will never be ready: it exited with code 3")), on(Signal{term}),
		}},
		{"pc-09 the container exits without having become ready: no hang", unready, []step{
			waitFor("a to be ready"), on(a(failed), never(69, "a will never be ready: it exited with code 3")),
		}},
		{"ready can no longer come true after a success either", unready, []step{
			waitFor("a to be ready"), on(a(succeeded), never(69, "a will never be ready: it exited with code 0")),
		}},
		{"pc-25 a container that is not there: never started", unready, []step{
			waitFor("a to be ready"), on(a(absent), never(69, `no container "a" in this pod`)),
		}},
		{"argo-04 a code that is not zero: named with its container", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"), on(a(failed), never(69, "a will never succeed: it exited with code 3")),
		}},
		{"argo-09 a container killed with its wrapper is presumed dead at once", unready, []step{
			waitFor("a to be ready"), on(a(killed), never(69, "a will never be ready: it exited with code 137")),
		}},
		{"argo-08 the reason is carried on", `{"startDeps":["a=succeeded"]}`, []step{
			waitFor("a to succeed"),
			on(a(Fact{Started: true, Exited: true, Code: 1, Reason: "disk full"}), never(69, "a will never succeed: it exited with code 1 (disk full)")),
		}},
		{"tek-03 one that was never started itself: its reason, and ours for the next", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"),
			on(a(Fact{Exited: true, Code: 69, Reason: spec.NotStarted + "z will never be ready: it exited with code 1"}),
				never(69, "a will never be started: it exited with code 69 (z will never be ready: it exited with code 1)")),
		}},
		{"ecsi-09 A, after a container that failed", `{"startDeps":["exit=succeeded"]}`, []step{
			waitFor("exit to succeed"), on(Facts{"exit": failed}, never(69, "exit will never succeed: it exited with code 3")),
		}},
		{"ecsi-09 B, after A and the container that failed", `{"startDeps":["a=started","exit=succeeded"]}`, []step{
			waitFor("a to be started", "exit to succeed"),
			on(Facts{"exit": failed, "a": {}}, never(69, "exit will never succeed: it exited with code 3")),
		}},
	})
}

func TestOptional(t *testing.T) {
	limited := `{"startDeps":["a?"],"startTimeout":"5s"}`
	armed := on(Begin{}, SetTimer{StartTimeout, 5 * time.Second}, Wait{[]string{"a to be ready"}})
	tell(t, []story{
		{"own-28 failed: a warning, and it starts", `{"startDeps":["a?"]}`, []step{
			waitFor("a to be ready"), on(a(failed), Drop{"a will never be ready: it exited with code 3"}, Start{}),
		}},
		{"own-28 missing: a warning, and it starts", `{"startDeps":["a?"]}`, []step{
			waitFor("a to be ready"), on(a(absent), Drop{`no container "a" in this pod`}, Start{}),
		}},
		{"own-28 timed out: a warning, and it starts", limited, []step{armed, on(Fired{StartTimeout}, Drop{"waited 5s for a to be ready"}, Start{})}},
		{"comp-01 a container that does not exist is left out", `{"startDeps":["a=started?"]}`, []step{
			waitFor("a to be started"), on(a(absent), Drop{`no container "a" in this pod`}, Start{}),
		}},
		{"comp-05 healthy, and it exited with 1: a warning, and it starts", `{"startDeps":["a=ready?"]}`, []step{
			waitFor("a to be ready"), on(a(failed), Drop{"a will never be ready: it exited with code 3"}, Start{}),
		}},
		{"sysd-06 a wanted container fails to start: it starts anyway", `{"startDeps":["a=started?"]}`, []step{
			waitFor("a to be started"),
			on(a(Fact{Exited: true, Code: 127}), Drop{"a will never be started: it exited with code 127"}, Start{}),
		}},
		{"it is waited for while it can come true", limited, []step{armed, on(a(up)), on(a(ready), Start{}), on(Fired{StartTimeout})}},
		{"it is dropped once, and the others are waited for", `{"startDeps":["a?","b"]}`, []step{
			waitFor("a to be ready", "b to be ready"),
			on(Facts{"a": failed, "b": up}, Drop{"a will never be ready: it exited with code 3"}, Wait{[]string{"b to be ready"}}),
			on(Facts{"a": failed, "b": crashed}),
			on(Facts{"a": failed, "b": ready}, Start{}),
		}},
	})
}

func TestStartTimeout(t *testing.T) {
	armed := func(what ...string) step { return on(Begin{}, SetTimer{StartTimeout, 5 * time.Second}, Wait{what}) }
	tell(t, []story{
		{"own-27 fails, naming what was waited for", `{"startDeps":["a","b=exited"],"startTimeout":"5s"}`, []step{
			armed("a to be ready", "b to exit"),
			on(Facts{"a": ready, "b": up}, Wait{[]string{"b to exit"}}),
			on(Fired{StartTimeout}, never(124, "waited 5s for b to exit")),
		}},
		{"own-27 who waits for it fails fast", `{"startDeps":["a=started"]}`, []step{
			waitFor("a to be started"),
			on(a(Fact{Exited: true, Code: 124, Reason: spec.NotStarted + "waited 5s for b to exit"}),
				never(69, "a will never be started: it exited with code 124 (waited 5s for b to exit)")),
		}},
		{"ecsi-06 succeeded does not come in time: the parent never runs", `{"startDeps":["a=succeeded"],"startTimeout":"5s"}`, []step{
			armed("a to succeed"), on(a(up)), on(Fired{StartTimeout}, never(124, "waited 5s for a to succeed")), on(a(succeeded)),
		}},
		{
			"ecsi-06 and the container is stopped", `{"stopDeps":["a"]}`,
			running(on(a(Fact{Exited: true, Code: 124}), askedBy("a exited with code 124")...)),
		},
		{"ecsi-07 healthy does not come in time: the parent never runs", `{"startDeps":["a"],"startTimeout":"5s"}`, []step{
			armed("a to be ready"), on(a(up)), on(Fired{StartTimeout}, never(124, "waited 5s for a to be ready")), on(a(ready)),
		}},
		{
			"ecsi-07 and the container is stopped", `{"stopDeps":["a=failed"]}`,
			running(on(a(Fact{Exited: true, Code: 124}), askedBy("a exited with code 124")...)),
		},
		{"scut-04 or it starts all the same, where that is asked for", `{"startDeps":["a","b=exited"],"startTimeout":"5s","onStartTimeout":"start"}`, []step{
			armed("a to be ready", "b to exit"),
			on(Fired{StartTimeout}, Drop{"waited 5s for a to be ready"}, Drop{"waited 5s for b to exit"}, Start{}),
		}},
		{"a dependency that can no longer come true fails before the timeout", `{"startDeps":["a"],"startTimeout":"5s","onStartTimeout":"start"}`, []step{
			armed("a to be ready"), on(a(failed), never(69, "a will never be ready: it exited with code 3")),
		}},
		{"ecsu-13 what came true before the timeout wins over it", `{"startDeps":["a=exited"],"startTimeout":"5s"}`, []step{
			armed("a to exit"), on(a(succeeded), Start{}), on(Fired{StartTimeout}), on(Started{}), on(Fired{StartTimeout}),
		}},
		{"an optional one is dropped, a required one is named", `{"startDeps":["a?","b"],"startTimeout":"5s"}`, []step{
			armed("a to be ready", "b to be ready"),
			on(Fired{StartTimeout}, Drop{"waited 5s for a to be ready"}, never(124, "waited 5s for b to be ready")),
		}},
		{"nothing to wait for: no timer", `{"startTimeout":"5s"}`, []step{on(Begin{}, Start{})}},
	})
}
