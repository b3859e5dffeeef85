package lifecycle

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

// each calls visit with every index below n, on all processors, and stops early
// if the test fails.
func each(t *testing.T, n int, visit func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				visit(i)
			}
		})
	}
	wg.Wait()
}

// TestExploreOneMachine explores everything that can happen to one incarnation,
// with every sequence of facts about two other containers.
func TestExploreOneMachine(t *testing.T) {
	for _, group := range []struct {
		name    string
		options []option
	}{{"supervised", supervised()}, {"restarting", restarting()}, {"in place", inPlace()}} {
		t.Run(group.name, func(t *testing.T) {
			rows := pairs(group.options, 1)
			var states, steps atomic.Int64
			each(t, len(rows), func(i int) {
				s, name := build(group.options, rows[i])
				first, err := newWorld(s)
				if err != nil {
					t.Errorf("%s: begin: %v", name, err)
					return
				}
				n, k, err := search(first, (*world).key, (*world).keep, (*world).expand)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				states.Add(int64(n))
				steps.Add(int64(k))
			})
			t.Logf("%s: %d specs with every pair of options, %d states, %d steps", group.name, len(rows), states.Load(), steps.Load())
		})
	}
}

// TestExploreTwoContainers explores everything that can happen to each pod of
// two containers.
func TestExploreTwoContainers(t *testing.T) { explorePods(t, twoContainers()) }

// TestExploreRestartingPods does the same for pods in which one container
// restarts with the other.
func TestExploreRestartingPods(t *testing.T) { explorePods(t, restartingPods()) }

func explorePods(t *testing.T, pods [][]spec.Spec) {
	t.Helper()
	var states, steps atomic.Int64
	each(t, len(pods), func(i int) {
		first, err := newPod(pods[i], 1, 1)
		if err != nil {
			t.Errorf("%s\nbegin: %v", describe(pods[i]), err)
			return
		}
		n, k, err := search(first, (*pod).key, (*pod).keep, (*pod).expand)
		if err != nil {
			t.Errorf("%s\n%v", describe(pods[i]), err)
		}
		states.Add(int64(n))
		steps.Add(int64(k))
	})
	t.Logf("%d pods, %d states, %d steps", len(pods), states.Load(), steps.Load())
}
