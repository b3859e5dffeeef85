package lifecycle

import (
	"testing"
	"time"
)

func TestFiles(t *testing.T) {
	const file = `"envFiles":"/env"`
	wrong := FilesRead{"env file /env: no such file or directory"}
	timer := SetTimer{StartTimeout, time.Second}
	tell(t, []story{
		{"they are read right before the start", `{` + file + `}`, ending([]step{
			on(Begin{}, ReadFiles{}), on(FilesRead{}, Start{}), on(Started{}),
		}, 0, Exit{})},
		{"after the start dependencies hold", `{"startDeps":["a"],` + file + `}`, []step{
			waitFor("a to be ready"), on(a(up)), on(a(ready), ReadFiles{}), on(FilesRead{}, Start{}),
		}},
		{"in exec mode, too", `{"mode":"exec",` + file + `}`, []step{on(Begin{}, ReadFiles{}), on(FilesRead{}, Start{InPlace: true})}},
		{"one that cannot be used ends the container", `{` + file + `}`, []step{
			on(Begin{}, ReadFiles{}), on(wrong, never(78, "env file /env: no such file or directory")),
		}},
		{"a stop request while they are read ends the wait", `{` + file + `}`, []step{
			on(Begin{}, ReadFiles{}), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for its env files to be read")), on(FilesRead{}), on(wrong),
		}},
		{"a stop dependency that holds meanwhile keeps the command from running", `{"stopDeps":["a"],` + file + `}`, []step{
			on(Begin{}, ReadFiles{}), on(a(succeeded), kept(0, "a exited with code 0")), on(FilesRead{}),
		}},
		{"a start dependency that no longer holds is waited for, and they are read again", `{"startDeps":["a"],` + file + `}`, []step{
			on(Begin{a(ready)}, ReadFiles{}), on(a(up), Wait{[]string{"a to be ready"}}), on(FilesRead{}),
			on(a(ready), ReadFiles{}), on(FilesRead{}, Start{}),
		}},
		{"they are not read twice at a time", `{"startDeps":["a"],` + file + `}`, []step{
			on(Begin{a(ready)}, ReadFiles{}), on(a(up), Wait{[]string{"a to be ready"}}), on(a(ready)), on(FilesRead{}, Start{}),
		}},
		{"a start dependency that can no longer come true meanwhile", `{"startDeps":["a"],` + file + `}`, []step{
			on(Begin{a(ready)}, ReadFiles{}), on(a(failed), never(69, "a will never be ready: it exited with code 3")), on(FilesRead{}),
		}},
		{"the start timeout counts", `{"startTimeout":"1s",` + file + `}`, []step{
			on(Begin{}, timer, ReadFiles{}), on(Fired{StartTimeout}, never(124, "waited 1s for its env files to be read")),
		}},
		{"but starts no command without them", `{"startTimeout":"1s","onStartTimeout":"start",` + file + `}`, []step{
			on(Begin{}, timer, ReadFiles{}), on(Fired{StartTimeout}), on(wrong, never(78, "env file /env: no such file or directory")),
		}},
		{"while the preStop hook runs nothing follows from them", `{` + file + `,"gracePeriod":"9s"}`, []step{
			on(Begin{}, ReadFiles{}), on(Noted{}, SetTimer{NoteTimer, 9*time.Second + lateRequest}), on(wrong), on(Fired{NoteTimer}, ReadFiles{}), on(FilesRead{}, Start{}),
		}},
	})
}
