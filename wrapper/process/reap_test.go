package process

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestExitCodes covers the scenarios tini-02, tini-05, dinit-12, dinit-13,
// own-14.
func TestExitCodes(t *testing.T) {
	t.Run("dinit-12 every exit code passes through", func(t *testing.T) {
		for want := range 256 {
			c := begin(t, "/bin/sh", "-c", fmt.Sprintf("exit %d", want))
			if got := await(t, c); got != want {
				t.Errorf("exit %d is reported as %d", want, got)
			}
		}
	})
	for _, s := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGABRT,
		syscall.SIGUSR1, syscall.SIGUSR2, 37, 64,
	} {
		t.Run(fmt.Sprintf("dinit-13 own-14 killed by signal %d (%v)", s, s), func(t *testing.T) {
			t.Chdir(t.TempDir()) // for a core file
			caught := make(chan os.Signal, 1)
			signal.Notify(caught, s) // the child gets the default action, even if the test ignores the signal (nohup)
			defer signal.Stop(caught)
			c := begin(t, "/bin/sh", "-c", fmt.Sprintf("kill -%d $$", s))
			if got, want := await(t, c), 128+int(s); got != want {
				t.Errorf("reported as %d, want %d", got, want)
			}
		})
	}
}

func TestReapLosesNoResult(t *testing.T) {
	t.Run("gort-04 of many children that end together", func(t *testing.T) {
		const many = 200
		var running []*Child
		for i := range many {
			running = append(running, begin(t, "/bin/sh", "-c", fmt.Sprintf("exit %d", i)))
		}
		left := many
		eventually(t, "all have been reaped", func() bool {
			exits := Reap()
			for want, c := range running {
				if e, ok := c.Ended(exits); ok {
					left--
					if e.Code != want {
						t.Errorf("exit %d is reported as %d", want, e.Code)
					}
				}
			}
			return left == 0
		})
		if exits := Reap(); exits != nil {
			t.Errorf("Reap with nothing left = %v", exits)
		}
	})
}

// setting is an environment in which a wrapper can run.
type setting struct {
	name  string
	actor func(t *testing.T, argv ...string) *actor
}

// settings returns the two settings: below another PID 1, and as PID 1 of new
// PID and mount namespaces, which requires CAP_SYS_ADMIN.
func settings() []setting {
	return []setting{
		{"as subreaper", supervisor},
		{"as PID 1", func(t *testing.T, argv ...string) *actor {
			t.Helper()
			a := newActor(t, "init", argv)
			a.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
			return a
		}},
	}
}

// orphans is a shell function that leaves behind $1 processes that nothing
// waits for.
const orphans = `orphans() { i=0; while [ $i -lt $1 ]; do (true &); i=$((i+1)); done; }; `

func TestOrphansAreReaped(t *testing.T) {
	for _, s := range settings() {
		t.Run("gort-05 own-19 100 orphans leave no zombie "+s.name, func(t *testing.T) {
			a := s.actor(t, "/bin/sh", "-c", orphans+`orphans 100; echo ready; read x; exit 9`)
			a.Env = append(a.Env, sweepEnv+"=1", countEnv+"=1")
			stdin, err := a.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			a.start(t)
			a.expect(t, "ready")
			eventually(t, "only the shell is left", func() bool {
				all, _ := childrenOf(t, a.Process.Pid)
				return all == 1
			})
			stdin.Close()
			if code := a.code(t); code != 9 {
				t.Errorf("exit code %d, want 9", code)
			}
			if got, want := a.stderr.String(), "reaped 101\n"; got != want {
				t.Errorf("stderr %q, want %q", got, want)
			}
		})
	}
	t.Run("tini-07 orphans go elsewhere without Subreaper", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", orphans+`orphans 10; exit 9`)
		a.Env = append(a.Env, countEnv+"=1", bareEnv+"=1")
		if _, code := a.run(t); code != 9 {
			t.Errorf("exit code %d, want 9", code)
		}
		if got, want := a.stderr.String(), "reaped 1\n"; got != want {
			t.Errorf("stderr %q, want %q", got, want)
		}
	})
}

// storm is a command that ends with code 42 at the moment when 1000 orphans in
// its group die of the same SIGTERM. They wait in read, and inherit no trap.
const storm = `
mkfifo "$1"; exec 3<>"$1"
i=0; while [ $i -lt 1000 ]; do (read x <&3 &); i=$((i+1)); done
trap 'exit 42' TERM
kill -TERM 0`

func TestStatusSurvivesAStorm(t *testing.T) {
	for _, s := range settings() {
		t.Run("own-15 1000 orphans end with the command "+s.name, func(t *testing.T) {
			a := s.actor(t, "/bin/sh", "-c", storm, "storm", t.TempDir()+"/fifo")
			a.Env = append(a.Env, sweepEnv+"=1", countEnv+"=1")
			if _, code := a.run(t); code != 42 {
				t.Errorf("exit code %d, want 42", code)
			}
			if got, want := a.stderr.String(), "reaped 1001\n"; got != want {
				t.Errorf("stderr %q, want %q", got, want)
			}
		})
	}
}

func TestSweepAsksTheRestToEnd(t *testing.T) {
	a := supervisor(t, "/bin/sh", "-c", `(trap 'echo told; exit' TERM; echo ready; while :; do sleep 0.01; done) & read x <&3`)
	a.Env = append(a.Env, sweepEnv+"=1", termEnv+"=1")
	hold, release := pipe(t)
	a.ExtraFiles = append(a.ExtraFiles, hold)
	a.start(t)
	a.expect(t, "ready")
	release.Close()
	a.expect(t, "told") // dinit-03: a process that the command left behind receives SIGTERM
	if code := a.code(t); code != 1 {
		t.Errorf("exit code %d, want the 1 of read at the end of its input", code)
	}
}
