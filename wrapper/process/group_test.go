package process

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// family starts a shell with a background process in the same group, and
// returns the shell and the PID of that process. The test's process adopts
// orphans until the test ends.
func family(t *testing.T, script string) (parent *Child, other int) {
	t.Helper()
	if err := Subreaper(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
	file := t.TempDir() + "/pid"
	parent = begin(t, "/bin/sh", "-c", `sleep 1000 & echo $! >"$1.tmp"; mv "$1.tmp" "$1"; `+script, "sh", file)
	eventually(t, "the other's PID is known", func() bool {
		text, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		other, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	return parent, other
}

func TestSignal(t *testing.T) {
	t.Run("dinit-02 a signal to the child alone leaves grandchildren", func(t *testing.T) {
		c, other := family(t, "wait")
		if err := c.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := await(t, c); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
		if !alive(other) || c.GroupGone() {
			t.Errorf("the grandchild is gone: alive %v, GroupGone %v", alive(other), c.GroupGone())
		}
	})
	t.Run("a signal to the group reaches grandchildren", func(t *testing.T) {
		c, other := family(t, "wait")
		if err := c.SignalGroup(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := await(t, c); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
		eventually(t, "the group is gone", func() bool { Reap(); return c.GroupGone() })
		if alive(other) {
			t.Error("the grandchild is alive")
		}
	})
	t.Run("dinit-03 a group outlives its leader", func(t *testing.T) {
		c, other := family(t, "exit 7")
		if code := await(t, c); code != 7 {
			t.Errorf("exit code %d, want 7", code)
		}
		if c.GroupGone() || !alive(other) {
			t.Fatalf("GroupGone %v, grandchild alive %v", c.GroupGone(), alive(other))
		}
		if err := c.SignalGroup(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the group is gone", func() bool { Reap(); return c.GroupGone() })
	})
	t.Run("a zombie is part of its group until it is reaped", func(t *testing.T) {
		c := begin(t, "true")
		eventually(t, "it has ended", func() bool { return !alive(c.PID) })
		if c.GroupGone() {
			t.Error("GroupGone before Reap")
		}
		await(t, c)
		if !c.GroupGone() {
			t.Error("GroupGone is false after Reap")
		}
	})
}

func TestSignalAfterTheEnd(t *testing.T) {
	c := begin(t, "true")
	eventually(t, "it has ended", func() bool { return !alive(c.PID) })
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("Signal to a zombie: %v", err)
	}
	await(t, c)
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("Signal after the end: %v", err)
	}
	if err := c.SignalGroup(syscall.SIGTERM); err != nil {
		t.Errorf("SignalGroup after the end: %v", err)
	}
	if _, again := c.Ended([]Exit{{PID: c.PID}}); again {
		t.Error("a second exit with the child's number is taken for the child's")
	}

	stranger := begin(t, "sleep", "1000")
	c.PID = stranger.PID // as if the kernel had reused the PID
	c.Signal(syscall.SIGKILL)
	c.SignalGroup(syscall.SIGKILL)
	stranger.Signal(syscall.SIGTERM)
	if code := await(t, stranger); code != 143 {
		t.Errorf("exit code %d: a signal for a child that has ended hit another process", code)
	}
}

func TestOwnProcessGroup(t *testing.T) {
	c := begin(t, "sleep", "1000")
	group, err := syscall.Getpgid(c.PID)
	if err != nil || group != c.PID {
		t.Errorf("process group %d, %v, want the child's own, %d", group, err, c.PID)
	}
}

func TestParentDeath(t *testing.T) {
	t.Run("the command is killed with the wrapper", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", "echo $$; exec sleep 1000").start(t)
		pid, err := strconv.Atoi(a.line(t))
		if err != nil || !alive(pid) {
			t.Fatalf("no command with PID %d: %v", pid, err)
		}
		a.Process.Kill()
		a.code(t)
		eventually(t, "the command is gone", func() bool { return !alive(pid) })
	})
	t.Run("but not with a thread of the wrapper", func(t *testing.T) {
		started := make(chan *Child)
		go onThread(func() {
			c, err := Start(Command{Argv: []string{"sleep", "1000"}, Env: os.Environ()})
			if err != nil {
				t.Error(err)
			}
			started <- c
		})
		c := <-started
		if c == nil {
			t.FailNow()
		}
		var threads sync.WaitGroup
		for range 20 {
			threads.Go(runtime.LockOSThread)
		}
		threads.Wait()
		if err := c.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := await(t, c); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
	})
}

// onThread runs f on a thread that ends afterwards. That must not be the main
// thread, which Go parks instead of ending it.
func onThread(f func()) {
	runtime.LockOSThread() // never unlocked
	if syscall.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onThread(f)
	}()
	<-done
}

// TestPID1CannotBeKilledFromWithin checks that a signal that PID 1 does not
// catch cannot end it from within its namespace.
func TestPID1CannotBeKilledFromWithin(t *testing.T) {
	for _, s := range settings()[1:] {
		for _, n := range []int{9, 19, 32, 34} {
			t.Run(fmt.Sprintf("signal %d", n), func(t *testing.T) {
				a := s.actor(t, "/bin/sh", "-c", fmt.Sprintf("kill -%d 1; exit 5", n))
				if _, code := a.run(t); code != 5 {
					t.Errorf("exit code %d, want 5", code)
				}
			})
		}
	}
}
