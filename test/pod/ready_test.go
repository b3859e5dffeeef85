package pod

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// probes adds readiness checks by command, which run one after another.
func probes(commands ...string) func(*spec.Spec) {
	return func(s *spec.Spec) {
		for _, c := range commands {
			s.ReadyProbes = append(s.ReadyProbes, spec.Probe{Handler: spec.Handler{Exec: &spec.Exec{Command: strings.Fields(c)}}})
		}
	}
}

// TestReady uses a container that waits for another one's probes.
func TestReady(t *testing.T) {
	tests := []struct {
		name   string
		probes []string
		want   bool // it becomes ready eventually
	}{
		{"kube-probe-27 a command that exits with 0", []string{"true"}, true},
		{"kube-probe-27 kube-probe-03 another code", []string{"false"}, false},
		{"kube-probe-27 a command that takes too long", []string{"sleep 3600"}, false},
		{"kube-probe-27 a command that cannot be run", []string{"/no/such"}, false},
		{"kube-probe-04 the startup probe has not passed", []string{"false", "true"}, false},
		{"both have passed", []string{"true", "true"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(t)
			s.container("peer", "echo peer >>$LOG; exec sleep 3600", probes(test.probes...))
			s.until("peer")
			timeout := time.Hour
			if !test.want {
				timeout = 1500 * time.Millisecond // longer than one try may take
			}
			main := s.container("main", "echo main >>$LOG", startAfter("peer"), startTimeout(timeout))
			if test.want {
				exits(t, main, 0)
				return
			}
			exits(t, main, spec.ExitStartTimeout)
			s.want("peer")
		})
	}
	t.Run("kube-probe-05 one that was ready and has exited is not", func(t *testing.T) {
		s := newStory(t)
		peer := s.container("peer", "trap 'exit 0' TERM; while :; do sleep 0.01; done")
		first := s.container("first", "echo first >>$LOG", startAfter("peer"))
		exits(t, first, 0)
		peer.Signal(syscall.SIGTERM)
		exits(t, peer, 0)
		exits(t, s.container("second", "echo second >>$LOG", startAfter("peer")), spec.ExitUnsatisfiable)
		s.want("first")
	})
	t.Run("comp-08 a check that fails now may pass later", func(t *testing.T) {
		s := newStory(t)
		file := filepath.Join(t.TempDir(), "ready")
		s.container("peer", "echo peer >>$LOG; exec sleep 3600", readyWhen(file))
		main := s.container("main", "echo main >>$LOG", startAfter("peer"))
		s.waits(main)
		time.Sleep(600 * time.Millisecond) // proves absence, over several tries
		s.want("peer")
		if err := writeFile(file); err != nil {
			t.Fatal(err)
		}
		exits(t, main, 0)
	})
}

// TestChoices covers behaviors on which other projects differ.
func TestChoices(t *testing.T) {
	t.Run("sysd-03 once started, a start dependency may end", func(t *testing.T) {
		s := newStory(t)
		peer := s.container("peer", "trap 'exit 1' TERM; echo peer >>$LOG; while :; do sleep 0.01; done")
		main := s.container("main", "trap 'exit 6' TERM; echo main >>$LOG; while :; do sleep 0.01; done", startAfter("peer"))
		s.until("main")
		settle(t, peer, main)
		peer.Signal(syscall.SIGTERM)
		exits(t, peer, 1)
		time.Sleep(200 * time.Millisecond) // proves absence
		main.Signal(syscall.SIGTERM)
		exits(t, main, 6)
	})
	t.Run("own-07 a stop dependency that will be restarted does not stop", func(t *testing.T) {
		s := newStory(t)
		onFailure := func(sp *spec.Spec) { sp.Restart.Policy = spec.RestartOnFailure }
		sidecar := s.container("sidecar", "trap 'echo asked >>$LOG; exit 0' TERM; echo up >>$LOG; while :; do sleep 0.01; done", stopAfter("main"), onFailure)
		s.until("up")
		exits(t, s.container("main", "exit 1", onFailure), 1)
		time.Sleep(200 * time.Millisecond) // proves absence
		s.want("up")
		exits(t, s.container("main", "exit 0", onFailure), 0)
		exits(t, sidecar, 0)
	})
	t.Run("scut-04 a start timeout may start", func(t *testing.T) {
		s := newStory(t)
		main := s.container("main", "echo main >>$LOG", startAfter("peer"), startTimeout(200*time.Millisecond),
			func(sp *spec.Spec) { sp.OnStartTimeout = spec.TimeoutStart })
		exits(t, main, 0)
		s.want("main")
	})
	t.Run("hbt-13 a stop request is passed on after the delay", func(t *testing.T) {
		s := newStory(t)
		r := s.container("app", "trap 'echo asked >>$LOG; exit 0' TERM; trap 'echo usr1 >>$LOG' USR1; echo up >>$LOG; while :; do sleep 0.01; done",
			func(sp *spec.Spec) { sp.StopDelay = time.Second })
		s.until("up")
		settle(t, r)
		r.Signal(syscall.SIGTERM)
		r.Signal(syscall.SIGUSR1)
		exits(t, r, 0)
		s.want("up usr1 asked")
	})
	t.Run("dinit-11 cata-05 the wrapper keeps no directory busy", func(t *testing.T) {
		r := start(t, newPod(t), Container{Dir: "/usr", Command: sh("pwd; readlink /proc/1/cwd; sleep 0.2; readlink /proc/1/cwd")})
		exits(t, r, 0)
		if !strings.HasPrefix(r.Stdout(), "/usr\n") || !strings.HasSuffix(r.Stdout(), "\n/\n") {
			t.Errorf("stdout %q", r.Stdout())
		}
	})
	for _, sig := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		t.Run("dinit-18 dinit-19 the wrapper is never stopped by "+spec.SignalName(sig), func(t *testing.T) {
			p := settings()[1].pod(t) // a PID 1 cannot be stopped by these signals
			r := start(t, p, Container{Command: sh("trap 'exit 5' TERM; trap : TSTP TTIN TTOU; echo up; while :; do sleep 0.01; done")})
			says(t, r, "up")
			settle(t, r)
			r.Signal(sig)
			r.Signal(syscall.SIGTERM)
			exits(t, r, 5)
		})
	}
}
