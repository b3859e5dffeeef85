package wrapper

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestAContainerRestartsWithAnother(t *testing.T) {
	first := record.Peer{State: record.State{Phase: "running", Started: true, Ready: true, Starts: 1}, Alive: true}
	second := first
	second.Starts = 2
	killed := first
	killed.Alive = false
	over := outcome{75, "koordinator: stopped: proxy ended, and this container restarts with it", 2 * time.Second}
	for name, tc := range map[string]struct {
		spec   string
		script func(r *rig)
		want   outcome
	}{
		"by its record, also when its end was missed": {`,"wrapped":["proxy"]`, func(r *rig) {
			r.peers <- record.Snapshot{"proxy": first}
			time.Sleep(2 * time.Second)
			r.peers <- record.Snapshot{"proxy": second}
		}, over},
		"killed together with its wrapper": {`,"wrapped":["proxy"]`, func(r *rig) {
			r.peers <- record.Snapshot{"proxy": first}
			time.Sleep(2 * time.Second)
			r.peers <- record.Snapshot{"proxy": killed}
		}, over},
		"started late, it has not ended": {`,"wrapped":["proxy"]`, func(r *rig) {
			time.Sleep(2 * time.Second)
			r.peers <- record.Snapshot{"proxy": first}
			time.Sleep(2 * time.Second)
			r.end(4)
		}, outcome{4, "", 4 * time.Second}},
		"by the pod's status": {``, func(r *rig) {
			r.pod <- podstatus.Snapshot{"proxy": {Started: true, Ready: true, Runs: true, Ends: 3}}
			time.Sleep(2 * time.Second)
			r.pod <- podstatus.Snapshot{"proxy": {Started: true, Ready: true, Runs: true, Ends: 4}}
		}, over},
		"which tells of the pod's end": {``, func(r *rig) {
			r.pod <- podstatus.Snapshot{"proxy": {Started: true, Ready: true, Runs: true, Ends: 3}}
			time.Sleep(2 * time.Second)
			r.pod <- podstatus.Snapshot{"proxy": {Started: true, Stopping: true, Ends: 4}}
			time.Sleep(8 * time.Second)
			r.end(4)
		}, outcome{4, "", 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
				got := r.run(t, `{"restartWith":"proxy","restart":{"policy":"Always"}`+tc.spec+`}`, func() { tc.script(r) })
				if got != tc.want {
					t.Fatalf("have %+v, want %+v", got, tc.want)
				}
			})
		})
	}
}

func TestEndsComeFromRecordsAndElseFromTheStatus(t *testing.T) {
	running := record.Peer{State: record.State{Started: true, Starts: 3}, Alive: true}
	gone := record.Peer{State: record.State{Started: true, Starts: 3, Process: &record.Process{}}}
	ended := podstatus.Snapshot{"a": {Exited: true, Ends: 7}}
	for name, tc := range map[string]struct {
		know knowledge
		want lifecycle.Ends
	}{
		"a record":                            {knowledge{records: record.Snapshot{"a": running}, status: ended}, lifecycle.Ends{Counter: lifecycle.ByRecord, Number: 2}},
		"a wrapped container without one":     {knowledge{}, lifecycle.Ends{Counter: lifecycle.ByRecord}},
		"which will have none":                {knowledge{late: true, status: ended}, lifecycle.Ends{Counter: lifecycle.ByStatus, Number: 7}},
		"and nothing is heard":                {knowledge{late: true}, lifecycle.Ends{}},
		"nor can be":                          {knowledge{late: true, mute: true, status: ended}, lifecycle.Ends{}},
		"another container's status":          {knowledge{late: true, status: podstatus.Snapshot{"b": {}}}, lifecycle.Ends{}},
		"in the wrapper's place, it may run":  {knowledge{records: record.Snapshot{"a": gone}}, lifecycle.Ends{Counter: lifecycle.ByRecord, Number: 2}},
		"unless the status says otherwise":    {knowledge{records: record.Snapshot{"a": gone}, status: ended}, lifecycle.Ends{Counter: lifecycle.ByRecord, Number: 3}},
		"also if it is to be started again":   {knowledge{records: record.Snapshot{"a": gone}, status: podstatus.Snapshot{"a": {Started: true, Ends: 1}}}, lifecycle.Ends{Counter: lifecycle.ByRecord, Number: 3}},
		"and if the status says that it runs": {knowledge{records: record.Snapshot{"a": gone}, status: podstatus.Snapshot{"a": {Started: true, Runs: true}}}, lifecycle.Ends{Counter: lifecycle.ByRecord, Number: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.know.spec = spec.Spec{RestartWith: []string{"a"}, Wrapped: []string{"a"}}
			if have := tc.know.facts()["a"].Ends; have != tc.want {
				t.Errorf("have %+v, want %+v", have, tc.want)
			}
		})
	}
}
