package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// TestStartConditions uses a main container and the one that it waits for.
func TestStartConditions(t *testing.T) {
	tests := []struct {
		name string
		peer string // shell script of the peer
		dep  string
		more func(*spec.Spec) // change of main's spec; may be nil
		code int              // exit code of main
		want string           // the events
		says string           // text in main's termination message
	}{
		{"ecsi-03 ecsu-04 comp-02 started: while the peer runs", "exec sleep 3600", "peer=started", nil, 0, "main", ""},
		{"ecsi-01 ready: while the peer runs", "exec sleep 3600", "peer", nil, 0, "main", ""},
		{"ecsu-05 started stays true", "exit 1", "peer=started", nil, 0, "main", ""},
		{"ecsi-04 ecsu-06 comp-09 succeeded: after code 0", "sleep 0.2; echo peer >>$LOG", "peer=succeeded", nil, 0, "peer main", ""},
		{"ecsu-07 exited: after code 0", "sleep 0.2; echo peer >>$LOG", "peer=exited", nil, 0, "peer main", ""},
		{"ecsu-07 exited: after another code", "sleep 0.2; echo peer >>$LOG; exit 1", "peer=exited", nil, 0, "peer main", ""},
		{"ecsu-06 comp-09 argo-04 pc-09 succeeded can no longer come true", "echo peer >>$LOG; exit 3", "peer=succeeded", nil, spec.ExitUnsatisfiable, "peer", "exited with code 3"},
		{"comp-06 ready can no longer come true", "echo peer >>$LOG; sleep 0.2", "peer", nil, spec.ExitUnsatisfiable, "peer", "peer"},
		{"argo-08 a peer that could not be started, and why", "exec /no/such", "peer=succeeded", nil, spec.ExitUnsatisfiable, "", "127"},
		{"comp-05 sysd-06 own-28 an optional dependency that failed", "echo peer >>$LOG; exit 1", "peer=succeeded?", nil, 0, "peer main", ""},
		{"own-28 an optional dependency that timed out", "exec sleep 3600", "peer=exited?", startTimeout(300 * time.Millisecond), 0, "main", ""},
		{"ecsi-06 own-27 ecsu-11 exited times out", "exec sleep 3600", "peer=exited", startTimeout(300 * time.Millisecond), spec.ExitStartTimeout, "", "peer"},
		{"ecsu-13 what came true before the deadline counts", "echo peer >>$LOG", "peer=exited", startTimeout(time.Hour), 0, "peer main", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(t)
			dep := func(sp *spec.Spec) { startAfter(test.dep)(sp) }
			changes := []func(*spec.Spec){dep}
			if test.more != nil {
				changes = append(changes, test.more)
			}
			main := s.container("main", "echo main >>$LOG", changes...)
			ready := func(*spec.Spec) {}
			if strings.HasPrefix(test.name, "comp-06") {
				ready = neverReady
			}
			s.container("peer", test.peer, ready)
			exits(t, main, test.code)
			s.want(test.want)
			if test.code != 0 && !strings.HasPrefix(main.Message(), spec.NotStarted) || !strings.Contains(main.Message(), test.says) {
				t.Errorf("message %q, want %q in it", main.Message(), test.says)
			}
		})
	}
}

func TestStartWaits(t *testing.T) {
	t.Run("tek-01 nothing runs before the peer's record is there", func(t *testing.T) {
		s := newStory(t)
		main := s.container("main", "echo main >>$LOG", startAfter("peer=started"))
		s.waits(main)
		time.Sleep(200 * time.Millisecond) // proves absence
		s.want("")
		s.container("peer", "exec sleep 3600")
		exits(t, main, 0)
		s.want("main")
	})
	t.Run("ecsi-07 own-27 ready times out, and the next in the chain fails fast", func(t *testing.T) {
		s := newStory(t)
		s.container("peer", "exec sleep 3600", neverReady)
		main := s.container("main", "echo main >>$LOG", startAfter("peer"), startTimeout(300*time.Millisecond))
		next := s.container("next", "echo next >>$LOG", startAfter("main=succeeded"))
		exits(t, main, spec.ExitStartTimeout)
		exits(t, next, spec.ExitUnsatisfiable)
		s.want("")
	})
	t.Run("pc-03 pc-04 ecsi-09 the last of a chain fails, and no other runs", func(t *testing.T) {
		s := newStory(t)
		var chain []*Running
		for i := range 7 {
			chain = append(chain, s.container(fmt.Sprintf("c%d", i), "echo ran >>$LOG", startAfter(fmt.Sprintf("c%d=succeeded", i+1))))
		}
		exits(t, s.container("c7", "exit 42"), 42)
		for _, r := range chain {
			exits(t, r, spec.ExitUnsatisfiable)
		}
		if !strings.Contains(chain[0].Message(), "c1") {
			t.Errorf("message %q", chain[0].Message())
		}
		s.want("")
	})
	t.Run("ecsi-09 all dependencies have to hold", func(t *testing.T) {
		s := newStory(t)
		b := s.container("b", "echo b >>$LOG", startAfter("a=started", "x=succeeded"))
		a := s.container("a", "echo a >>$LOG", startAfter("x=succeeded"))
		exits(t, s.container("x", "exit 1"), 1)
		exits(t, a, spec.ExitUnsatisfiable)
		exits(t, b, spec.ExitUnsatisfiable)
		s.want("")
	})
}

// TestWithoutInotify simulates a node on which a user has no inotify instance left.
func TestWithoutInotify(t *testing.T) {
	t.Run("argo-12 changes are seen all the same", func(t *testing.T) {
		const user = 54321 // used by no other process, which would be disturbed
		s := newStory(t)
		taker := part("exhaust")
		taker.Name, taker.UID = "taker", user
		says(t, start(t, s.Pod, taker), "up")
		sp := spec.Default()
		sp.Container, sp.Source, sp.Wrapped = "main", spec.SourceLocal, []string{"peer"}
		startAfter("peer=exited")(&sp)
		main := start(t, s.Pod, Container{Name: "main", UID: user, Command: sh("echo main"), Spec: sp.Encode()})
		s.waits(main)
		if files := descriptors(main.PID); strings.Contains(files, "inotify") {
			t.Fatalf("there was an instance left: %s", files)
		}
		s.container("peer", "sleep 0.2")
		exits(t, main, 0)
	})
}

// descriptors returns the open files of a process.
func descriptors(pid int) string {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, link := range links {
		name, err := os.Readlink(link)
		if err == nil {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// TestStoppedWhileWaiting covers the pod's stop, or a container's restart, before the start
// of the command.
func TestStoppedWhileWaiting(t *testing.T) {
	for _, dep := range []string{"peer=started", "peer=ready", "peer=exited", "peer=succeeded"} {
		t.Run("pc-12 argo-05 argo-11 scut-02 tek-11 kube-term-09 ecsu-14 waiting for "+dep, func(t *testing.T) {
			s := newStory(t)
			main := s.container("main", "echo main >>$LOG", startAfter(dep))
			s.waits(main)
			main.Signal(syscall.SIGTERM)
			exits(t, main, spec.ExitStopped)
			s.want("")
			again := s.container("main", "echo again >>$LOG", startAfter("peer=started"))
			s.container("peer", "sleep 3600")
			exits(t, again, 0)
			s.want("again")
		})
	}
	t.Run("scut-01 SIGURG and others do not end the wait", func(t *testing.T) {
		s := newStory(t)
		main := s.container("main", "echo main >>$LOG", startAfter("peer=started"))
		s.waits(main)
		for _, sig := range []syscall.Signal{syscall.SIGURG, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCHLD, 40} {
			main.Signal(sig)
		}
		s.container("peer", "sleep 3600")
		exits(t, main, 0)
		s.want("main")
	})
	t.Run("scut-03 tek-03 others are told", func(t *testing.T) {
		s := newStory(t)
		main := s.container("main", "echo main >>$LOG", startAfter("peer=started"))
		next := s.container("next", "echo next >>$LOG", startAfter("main=started"))
		sidecar := s.container("sidecar", "echo up >>$LOG; trap 'exit 0' TERM; while :; do sleep 0.01; done", stopAfter("main"))
		s.until("up")
		s.waits(main)
		main.Signal(syscall.SIGTERM)
		exits(t, main, spec.ExitStopped)
		exits(t, next, spec.ExitUnsatisfiable)
		exits(t, sidecar, 0)
		s.want("up")
	})
	t.Run("pc-16 a whole pod is stopped while it starts", func(t *testing.T) {
		s := newStory(t)
		c4 := s.container("c4", "echo c4 >>$LOG; exec sleep 3600")
		c3 := s.container("c3", "echo c3 >>$LOG", startAfter("c4=exited"))
		c1 := s.container("c1", "echo c1 >>$LOG", startAfter("c3=started"))
		c2 := s.container("c2", "echo c2 >>$LOG", startAfter("c3=started"))
		s.until("c4")
		settle(t, c4)
		for _, r := range []*Running{c1, c2, c3, c4} {
			s.waitsOrRuns(r)
			r.Signal(syscall.SIGTERM)
		}
		for _, r := range []*Running{c1, c2, c3, c4} {
			if e := ends(t, r); e.Code != 0 && e.Code != spec.ExitStopped { // 0: the wrapper detected the other container's end before the request
				t.Errorf("exit code %d; stderr %q", e.Code, r.Stderr())
			}
		}
	})
	t.Run("pc-13 restarted while it waits, it starts once", func(t *testing.T) {
		s := newStory(t)
		file := filepath.Join(t.TempDir(), "ready")
		s.container("peer", "echo peer >>$LOG; exec sleep 3600", readyWhen(file))
		main := s.container("main", "echo main >>$LOG", startAfter("peer"))
		s.waits(main)
		main.Kill()
		ends(t, main)
		main = s.container("main", "echo main >>$LOG", startAfter("peer"))
		s.waits(main)
		if err := writeFile(file); err != nil {
			t.Fatal(err)
		}
		exits(t, main, 0)
		s.want("peer main")
	})
}

// waitsOrRuns waits until a wrapper waits or has started its command.
func (s story) waitsOrRuns(r *Running) {
	s.Helper()
	eventually(s.T, func() bool { return strings.Contains(r.Stderr(), "waiting") || strings.Contains(r.Stderr(), "started") }, r.Stderr)
}
