package explore

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// one returns the spec of a container with a restart policy.
func one(name, policy string, start, stop []spec.Dependency) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy, s.StartDeps, s.StopDeps, s.KilledExitCode = name, policy, start, stop, 0
	return s
}

// on returns a list of one dependency.
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

func TestAContainerThatRestartsWithAnotherStartsAgain(t *testing.T) {
	main := one("main", spec.RestartOnFailure, on("proxy", spec.Ready), nil)
	main.RestartWith = []string{"proxy"}
	worker := one("worker", spec.RestartOnFailure, on("main", spec.Started), nil)
	worker.RestartWith = []string{"main"}
	proxy := one("proxy", spec.RestartOnFailure, nil, on("main", spec.Exited))
	m := newModel([]spec.Spec{main, worker, proxy})
	s := state(0).with(0, running).with(1, running).with(2, ready)
	for _, next := range m.steps(s, nobody, false, nil) {
		if next.exit.Container != "proxy" {
			continue
		}
		if next.to.of(0) != again || next.to.of(1) != again {
			t.Errorf("after proxy's end main and worker are %d and %d, want %d", next.to.of(0), next.to.of(1), again)
		}
	}
	all := map[string]bool{"main": true, "worker": true, "proxy": true}
	have, ok := Pod([]spec.Spec{main, worker, proxy})
	if diff := cmp.Diff(Result{Starts: all, Promptly: all, Ends: all}, have); diff != "" || !ok {
		t.Errorf("ok %t (-want +have):\n%s", ok, diff)
	}
}

func TestNothingIsSaidOfLargePods(t *testing.T) {
	for _, n := range []int{8, mostContainers + 1} {
		if _, ok := Pod(web(n)); ok {
			t.Errorf("%d containers are explored", n)
		}
	}
}

// web returns a pod in which each container starts after the previous one is
// ready and stops when any of the previous ones fails.
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
	for _, n := range []int{2, 3, 4, 8} { // the last one is given up
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

// TestAnEndpointMayNeverAnswer checks that a container with a start timeout
// that waits for an endpoint may fail, and that its dependents then fail, too.
// Without a start timeout the pod is not rejected, since the endpoint may
// answer.
func TestAnEndpointMayNeverAnswer(t *testing.T) {
	waiter := one("a", spec.RestartNever, nil, nil)
	waiter.StartEndpoints = []spec.Endpoint{{URL: "tcp://db:5432"}}
	cleaner := one("b", spec.RestartNever, on("a", spec.Succeeded), nil)
	have, _ := Pod([]spec.Spec{waiter, cleaner})
	if !have.Starts["a"] || !have.Starts["b"] || len(have.Hangs) > 0 {
		t.Errorf("without a limit: %+v", have)
	}
	m := newModel([]spec.Spec{waiter})
	if steps := m.steps(0, -1, false, nil); len(steps) != 2 {
		t.Errorf("without a limit it starts or cannot be started: %+v", steps)
	}
	waiter.StartTimeout = 1
	m = newModel([]spec.Spec{waiter})
	if steps := m.steps(0, -1, false, nil); len(steps) != 3 {
		t.Errorf("with a limit it may also run out: %+v", steps)
	}
	waiter.StartEndpoints[0].Optional = true
	m = newModel([]spec.Spec{waiter})
	if steps := m.steps(0, -1, false, nil); len(steps) != 2 {
		t.Errorf("an optional one is dropped: %+v", steps)
	}
}
