package explore

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// one is a container's spec under a restart policy.
func one(name, policy string, start, stop []spec.Dependency) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy, s.StartDeps, s.StopDeps, s.KilledExitCode = name, policy, start, stop, 0
	return s
}

// on is a list of one dependency.
func on(name string, c spec.Condition) []spec.Dependency {
	return []spec.Dependency{{Container: name, Condition: c}}
}

func TestAJobWithASidecarHangsNowhere(t *testing.T) {
	pod := []spec.Spec{
		one("main", spec.RestartOnFailure, on("proxy", spec.Ready), nil),
		one("proxy", spec.RestartOnFailure, nil, on("main", spec.Exited)),
	}
	have, ok := Pod(pod)
	all := map[string]bool{"main": true, "proxy": true}
	if diff := cmp.Diff(Result{Starts: all, Promptly: all, Ends: all}, have); diff != "" || !ok {
		t.Errorf("ok %v (-want +have):\n%s", ok, diff)
	}
}

func TestAHangNamesTheRun(t *testing.T) {
	side := one("side", spec.RestartOnFailure, nil, on("main", spec.Exited))
	side.StoppedExitCode = 5
	have, _ := Pod([]spec.Spec{one("main", spec.RestartOnFailure, nil, nil), side})
	want := []Hang{{Container: "side", Exits: []Exit{{Container: "main", Success: true}}}}
	if diff := cmp.Diff(want, have.Hangs); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	have, _ = Pod([]spec.Spec{one("a", spec.RestartNever, on("b", spec.Exited), nil), one("b", spec.RestartNever, nil, on("a", spec.Exited))})
	want = []Hang{{Container: "a", Waits: true, Forever: "b"}}
	if diff := cmp.Diff(want, have.Hangs); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestNothingIsSaidOfLargePods(t *testing.T) {
	for _, n := range []int{8, mostContainers + 1} {
		if _, ok := Pod(web(n)); ok {
			t.Errorf("%d containers are explored", n)
		}
	}
}

// web is a pod in which each container starts after the one before has started
// and stops with all of those before.
func web(n int) []spec.Spec {
	var pod []spec.Spec
	for i := range n {
		s := one(fmt.Sprintf("c%d", i), spec.RestartOnFailure, nil, nil)
		for j := range i {
			s.StopDeps = append(s.StopDeps, spec.Dependency{Container: fmt.Sprintf("c%d", j), Condition: spec.Failed})
		}
		if i > 0 {
			s.StartDeps = on(fmt.Sprintf("c%d", i-1), spec.Ready)
		}
		pod = append(pod, s)
	}
	return pod
}

func BenchmarkExplore(b *testing.B) {
	for _, n := range []int{2, 3, 4, 8} { // the last is given up
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			pod := web(n)
			if n == 2 { // a Job with a sidecar
				pod = []spec.Spec{one("main", spec.RestartNever, on("proxy", spec.Ready), nil), one("proxy", spec.RestartNever, nil, on("main", spec.Exited))}
			}
			for b.Loop() {
				Pod(pod)
			}
		})
	}
}
