package pod

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

func writeFile(path string) error { return os.WriteFile(path, nil, 0o644) }

// ending returns a command that ends a moment after its stop request, and logs this.
func ending(name string) string {
	return "trap 'sleep 0.1; echo " + name + " >>$LOG; exit 0' TERM; echo up >&2; while :; do sleep 0.01; done"
}

// deaf is a command that ignores SIGTERM.
const deaf = "trap '' TERM; echo up >>$LOG; while :; do sleep 0.01; done"

// TestStopDependency uses a Job's main container and its sidecar.
func TestStopDependency(t *testing.T) {
	for _, script := range []string{"exit 0", "exit 5", "kill -SEGV $$"} {
		t.Run("own-06 pc-19 the sidecar is stopped after "+script, func(t *testing.T) {
			s := newStory(t)
			sidecar := s.container("sidecar", "trap 'echo asked >>$LOG; exit 3' TERM; echo up >>$LOG; while :; do sleep 0.01; done", stopAfter("main"))
			s.until("up")
			s.container("main", script)
			exits(t, sidecar, 0)
			s.want("up asked")
		})
	}
	t.Run("own-06 pc-18 sysd-11 one that does not hear is killed", func(t *testing.T) {
		s := newStory(t)
		sidecar := s.container("sidecar", deaf, stopAfter("main"), stopTimeout(300*time.Millisecond), func(sp *spec.Spec) { sp.KilledExitCode = 137 })
		s.until("up")
		s.container("main", "exit 0")
		exits(t, sidecar, 137)
	})
	t.Run("sysd-10 one that was stopped by SIGSTOP can end", func(t *testing.T) {
		s := newStory(t)
		sidecar := s.container("sidecar", "trap 'echo asked >>$LOG; exit 0' TERM; echo up >>$LOG; kill -STOP $$; while :; do sleep 0.01; done", stopAfter("main"))
		s.until("up")
		settle(t, sidecar)
		s.container("main", "exit 0")
		exits(t, sidecar, 0)
		s.want("up asked")
	})
	t.Run("argo-09 own-06 main is killed with its wrapper", func(t *testing.T) {
		s := newStory(t)
		sidecar := s.container("sidecar", "trap 'exit 0' TERM; echo up >>$LOG; while :; do sleep 0.01; done", stopAfter("main=failed"))
		waiter := s.container("waiter", "echo waiter >>$LOG", startAfter("main=succeeded"))
		main := s.container("main", "echo main >>$LOG; exec sleep 3600")
		s.until("main")
		s.until("up")
		s.waits(waiter)
		main.Kill()
		exits(t, waiter, spec.ExitUnsatisfiable)
		exits(t, sidecar, 0)
	})
	t.Run("hbt-06 the stop dependency ended before the start", func(t *testing.T) {
		s := newStory(t)
		exits(t, s.container("main", "exit 0"), 0)
		sidecar := s.container("sidecar", "echo sidecar >>$LOG; exec sleep 3600", stopAfter("main"), startAfter("never=started"))
		ends(t, sidecar)
		s.want("")
	})
}

func TestStopDelay(t *testing.T) {
	t.Run("hbt-05 an exit during the delay counts at once, and signals pass", func(t *testing.T) {
		s := newStory(t)
		r := s.container("app", "trap 'exit 4' USR1; trap 'exit 5' TERM; echo up >>$LOG; while :; do sleep 0.01; done",
			func(sp *spec.Spec) { sp.StopDelay = time.Hour })
		s.until("up")
		settle(t, r)
		r.Signal(syscall.SIGTERM)
		r.Signal(syscall.SIGUSR1)
		exits(t, r, 4)
	})
}

// TestStopOrder stops whole pods: every container receives the stop request at the same time.
func TestStopOrder(t *testing.T) {
	const grace = time.Hour
	tests := []struct {
		name string
		hold map[string][]string // the containers for which each one holds
		want []string            // any of these orders is right
	}{
		{
			"ecsi-08 sysd-08 kube-term-01 a chain stops in reverse",
			map[string][]string{"parent": nil, "a": {"parent"}, "b": {"a"}, "c": {"b"}},
			[]string{"parent a b c"},
		},
		{
			"pc-17 ecsu-12 a diamond stops from its end",
			map[string][]string{"b": nil, "c": {"b"}, "d": {"b"}, "a": {"c", "d"}},
			[]string{"b c d a", "b d c a"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(t)
			var all []*Running
			for name, others := range test.hold {
				all = append(all, s.container(name, ending(name), holdFor(grace, others...)))
			}
			for _, r := range all {
				eventually(t, func() bool { return strings.Contains(r.Stderr(), "up\n") }, r.Stderr)
			}
			settle(t, all...)
			s.recorded(slices.Collect(maps.Keys(test.hold))...)
			for _, r := range all {
				r.Signal(syscall.SIGTERM)
			}
			for _, r := range all {
				exits(t, r, 0)
			}
			for _, want := range test.want {
				if s.happened() == want {
					return
				}
			}
			t.Errorf("happened: %q, want one of %q", s.happened(), test.want)
		})
	}
	t.Run("own-05 kube-term-03 a dependent that does not end holds up nobody for ever", func(t *testing.T) {
		s := newStory(t)
		stubborn := s.container("stubborn", deaf)
		proxy := s.container("proxy", ending("proxy"), holdFor(3*time.Second, "stubborn"))
		s.until("up")
		eventually(t, func() bool { return strings.Contains(proxy.Stderr(), "up\n") }, proxy.Stderr)
		settle(t, stubborn, proxy)
		s.recorded("stubborn", "proxy")
		stubborn.Signal(syscall.SIGTERM)
		proxy.Signal(syscall.SIGTERM)
		exits(t, proxy, 0)
		s.want("up proxy")
		select {
		case <-stubborn.Done():
			t.Error("the stubborn one ended by itself")
		default:
		}
	})
	t.Run("own-04 other signals are not held", func(t *testing.T) {
		s := newStory(t)
		app := s.container("app", "trap '' TERM; trap 'echo app >>$LOG; exit 0' USR1; echo up >>$LOG; while :; do sleep 0.01; done")
		proxy := s.container("proxy", "trap 'echo usr1 >>$LOG' USR1; trap 'echo proxy >>$LOG; exit 0' TERM; echo up >&2; while :; do sleep 0.01; done", holdFor(grace, "app"))
		s.until("up")
		eventually(t, func() bool { return strings.Contains(proxy.Stderr(), "up\n") }, proxy.Stderr)
		settle(t, app, proxy)
		s.recorded("app", "proxy")
		app.Signal(syscall.SIGTERM)
		proxy.Signal(syscall.SIGTERM)
		proxy.Signal(syscall.SIGTERM)
		proxy.Signal(syscall.SIGUSR1)
		s.until("usr1")
		app.Signal(syscall.SIGUSR1)
		exits(t, app, 0)
		exits(t, proxy, 0)
		s.want("up usr1 app proxy")
	})
}

// TestRestarts restarts containers of a pod that continues to run.
func TestRestarts(t *testing.T) {
	t.Run("kube-term-12 own-08 a restarted container finds the volumes as they were", func(t *testing.T) {
		s := newStory(t)
		for i := range 3 {
			exits(t, s.container("app", fmt.Sprintf("echo %d >>$LOG", i)), 0)
		}
		s.want("0 1 2")
	})
	t.Run("own-09 what an earlier incarnation was does not count", func(t *testing.T) {
		s := newStory(t)
		always := func(sp *spec.Spec) { sp.Restart.Policy = spec.RestartOnFailure }
		exits(t, s.container("peer", "exit 1", always), 1)
		main := s.container("main", "echo main >>$LOG", startAfter("peer=succeeded"))
		s.waits(main)
		time.Sleep(200 * time.Millisecond) // proves absence
		s.want("")
		exits(t, s.container("peer", "echo peer >>$LOG", always), 0)
		exits(t, main, 0)
		s.want("peer main")
	})
}
