package wrapper

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestFactsComeFromRecordsAndElseFromTheStatus(t *testing.T) {
	lives := func(change func(*record.State)) record.Peer {
		s := record.State{Phase: "running", Started: true}
		change(&s)
		return record.Peer{State: s, Alive: true}
	}
	dead := func(change func(*record.State)) record.Peer {
		p := lives(change)
		p.Alive = false
		return p
	}
	nothing := func(*record.State) {}
	exit := func(code int, forGood bool) func(*record.State) {
		return func(s *record.State) { s.Exit = &record.Exit{Code: code, ForGood: forGood, Reason: "so"} }
	}
	oom := podstatus.Container{Started: true, Exited: true, Code: 139, Reason: "out of memory"}
	for name, tc := range map[string]struct {
		record    *record.Peer
		unwrapped bool
		late      bool
		status    podstatus.Snapshot
		want      lifecycle.Fact
		asks      bool // the status is needed
	}{
		"a wrapped container without a record is waited for":         {want: lifecycle.Fact{}},
		"after a while the status is asked for one without a record": {late: true, want: lifecycle.Fact{Unseen: true, Unheard: true}, asks: true},
		"and tells": {late: true, status: podstatus.Snapshot{"a": ready}, want: lifecycle.Fact{Started: true, Ready: true, Unseen: true}, asks: true},
		"an unwrapped one is known by its status":                      {unwrapped: true, status: podstatus.Snapshot{"a": ready}, want: lifecycle.Fact{Started: true, Ready: true, Unseen: true}, asks: true},
		"comp-03, pc-25 one the pod does not have will never be there": {unwrapped: true, status: podstatus.Snapshot{"b": ready}, want: lifecycle.Fact{Missing: `no container "a" in this pod (has: b)`}, asks: true},
		"kube-probe-02 a waiting one is not ready":                     {record: new(lives(func(s *record.State) { s.Phase, s.Started = "waiting", false })), want: lifecycle.Fact{}},
		"a running one":                   {record: new(lives(nothing)), want: lifecycle.Fact{Started: true, Runs: true}},
		"a ready one":                     {record: new(lives(func(s *record.State) { s.Ready = true })), want: lifecycle.Fact{Started: true, Runs: true, Ready: true}},
		"a record goes before the status": {record: new(lives(nothing)), status: podstatus.Snapshot{"a": ready}, late: true, want: lifecycle.Fact{Started: true, Runs: true}},
		"a stopping one":                  {record: new(lives(func(s *record.State) { s.Stopping = true })), want: lifecycle.Fact{Started: true, Runs: true, Stopping: true}},
		"a command in the wrapper's place may be stopping":                         {record: new(lives(func(s *record.State) { s.Process = &record.Process{} })), want: lifecycle.Fact{Started: true, Runs: true, Stopping: true}},
		"a command in the wrapper's place that closed the record, or is gone":      {record: new(dead(func(s *record.State) { s.Process, s.Ready = &record.Process{}, true })), want: lifecycle.Fact{Started: true, Unseen: true, Unheard: true}, asks: true},
		"and which of them the status tells":                                       {record: new(dead(func(s *record.State) { s.Process, s.Ready = &record.Process{}, true })), status: podstatus.Snapshot{"a": oom}, want: lifecycle.Fact{Started: true, Exited: true, Code: 139, Reason: "out of memory", Unseen: true}},
		"one that exited for good":                                                 {record: new(lives(exit(3, true))), want: lifecycle.Fact{Started: true, Exited: true, Code: 3, Reason: "so"}},
		"and its wrapper, too":                                                     {record: new(dead(exit(3, true))), want: lifecycle.Fact{Started: true, Exited: true, Code: 3, Reason: "so", Left: true}},
		"one that will be started again has not exited":                            {record: new(dead(exit(3, false))), want: lifecycle.Fact{Started: true, Code: 3, Reason: "so", Left: true}},
		"ecsu-05 started stays true in the next incarnation":                       {record: new(lives(func(s *record.State) { s.Phase, s.Started, s.Before = "waiting", false, true })), want: lifecycle.Fact{Started: true}},
		"argo-09 a killed one that is started again":                               {record: new(dead(nothing)), want: lifecycle.Fact{Started: true, Code: 137, Reason: "killed together with its wrapper"}},
		"argo-09 a killed one that is not, before the status tells":                {record: new(dead(func(s *record.State) { s.KilledForGood = true })), want: lifecycle.Fact{Started: true, Exited: true, Code: 137, Reason: "killed together with its wrapper"}, asks: true},
		"argo-09 a killed one that is not, with the code the status knows":         {record: new(dead(func(s *record.State) { s.KilledForGood = true })), status: podstatus.Snapshot{"a": oom}, want: lifecycle.Fact{Started: true, Exited: true, Code: 139, Reason: "out of memory", Unseen: true}},
		"own-09 a record of the incarnation that waits replaces its predecessor's": {record: new(lives(func(s *record.State) { s.Phase, s.Started = "waiting", false })), status: podstatus.Snapshot{"a": done}, want: lifecycle.Fact{}},
	} {
		t.Run(name, func(t *testing.T) {
			k := knowledge{spec: spec.Spec{StartDeps: []spec.Dependency{{Container: "a", Condition: spec.Ready}}}, late: tc.late, status: tc.status}
			if !tc.unwrapped {
				k.spec.Wrapped = []string{"a"}
			}
			if tc.record != nil {
				k.records = record.Snapshot{"a": *tc.record}
			}
			if diff := cmp.Diff(lifecycle.Facts{"a": tc.want}, k.facts()); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			if got := k.needsStatus([]string{"a"}); got != tc.asks {
				t.Errorf("needs the status: %v, want %v", got, tc.asks)
			}
			k.spec.Source = spec.SourceLocal
			if k.needsStatus([]string{"a"}) {
				t.Error("needs the status with source local")
			}
		})
	}
}

func TestRecordsCorrectTheStatus(t *testing.T) {
	runs := podstatus.Container{Started: true, Ready: true, Runs: true, Stopping: true}
	exited := func(e record.Exit, started bool) record.Peer {
		return record.Peer{State: record.State{Phase: "exited", Started: started, Exit: &e}}
	}
	for name, tc := range map[string]struct {
		record record.Peer
		status podstatus.Container
		want   lifecycle.Fact
	}{
		"a waiting container":           {record.Peer{Alive: true}, runs, lifecycle.Fact{}},
		"an exit that the status lacks": {exited(record.Exit{ForGood: true}, true), runs, lifecycle.Fact{Started: true}},
		"a wrapper that was killed":     {record.Peer{State: record.State{Started: true}}, runs, lifecycle.Fact{Started: true}},
		"a command in the wrapper's place, which may have closed the record": {
			record.Peer{State: record.State{Started: true, Process: &record.Process{}}}, runs, lifecycle.Fact{Started: true, Ready: true, Runs: true, Stopping: true, Unseen: true},
		},
		"a command that never ran, without a termination message": {
			exited(record.Exit{Code: 124}, false), podstatus.Container{Started: true}, lifecycle.Fact{},
		},
		"a command that was stopped, without a termination message": {
			exited(record.Exit{Stopped: true, ForGood: true}, true), podstatus.Container{Started: true, Exited: true}, lifecycle.Fact{Started: true, Exited: true, Stopped: true},
		},
		"an exit whose permanence the status knows": {
			exited(record.Exit{Code: 3}, true), podstatus.Container{Started: true, Exited: true, Code: 3}, lifecycle.Fact{Started: true, Exited: true, Code: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := knowledge{
				spec:    spec.Spec{Source: spec.SourcePod, HoldFor: []string{"a"}, Wrapped: []string{"a"}},
				records: record.Snapshot{"a": tc.record}, status: podstatus.Snapshot{"a": tc.status},
			}
			if diff := cmp.Diff(lifecycle.Facts{"a": tc.want}, k.facts()); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheEndOfACommandInTheWrappersPlaceMayBeThePodsEnd checks this where the
// status cannot be read.
func TestTheEndOfACommandInTheWrappersPlaceMayBeThePodsEnd(t *testing.T) {
	gone := record.Peer{State: record.State{Phase: "running", Started: true, Process: &record.Process{}}}
	k := knowledge{spec: spec.Spec{Source: spec.SourceLocal, RestartWith: []string{"a"}, Wrapped: []string{"a"}}, records: record.Snapshot{"a": gone}}
	if f := k.facts()["a"]; !f.Mute || f.Stopping {
		t.Errorf("mute %t, stopping %t, want true, false", f.Mute, f.Stopping)
	}
}
