package pod

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// setting is an environment of a wrapper.
type setting struct {
	name string
	pod  func(*testing.T) *Pod
}

// settings returns both environments: as PID 1, and below a pause process, where the
// wrapper is a subreaper.
func settings() []setting {
	return []setting{
		{"as PID 1", newPod},
		{"in a shared PID namespace", func(t *testing.T) *Pod {
			p := newPod(t)
			if err := p.Share(); err != nil {
				t.Fatal(err)
			}
			return p
		}},
	}
}

// TestInitRuns runs commands to their end, and checks the requirements for an init.
func TestInitRuns(t *testing.T) {
	tests := []struct {
		name   string
		script string
		code   int
		stdout string
	}{
		{"gort-05 kx-09 own-19 orphans are reaped", `
			n() { set -- /proc/[0-9]*; n=$#; }
			n; before=$n; i=0
			while [ $i -lt 50 ]; do (sleep 0.1 &); i=$((i + 1)); done
			n; [ $n -gt $before ] || exit 2
			i=0
			while n; [ $n -gt $before ]; do i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.02; done`, 0, ""},
		{"dinit-03 tini-18 kx-09 what the command leaves in its group is asked to end", `
			(trap 'echo asked; exit' TERM; echo up; touch /up; while :; do sleep 0.01; done) &
			until test -e /up; do sleep 0.01; done; exit 3`, 3, "up\nasked\n"},
		{"argo-02 pc-20 nothing waits for what escaped and holds stdout", `setsid sleep 3600 & exit 4`, 4, ""},
		{"argo-13 own-15 the code is right where hundreds of orphans end at the same time", `
			i=0; while [ $i -lt 300 ]; do (sleep 0.4 &); i=$((i + 1)); done; sleep 0.3; exit 7`, 7, ""},
		{"kx-02 hbt-02 a crash is 139", `kill -SEGV $$`, 139, ""},
		{"own-14 an abort is 134, and limits of core dumps are the runtime's", `ulimit -c; kill -ABRT $$`, 134, ulimit(t)},
		{"dinit-12 0", `exit 0`, 0, ""},
		{"dinit-12 tini-02 1", `exit 1`, 1, ""},
		{"dinit-12 127", `exit 127`, 127, ""},
		{"dinit-12 255", `exit 255`, 255, ""},
		{"dinit-13 SIGKILL", `kill -KILL $$`, 137, ""},
		{"dinit-13 SIGHUP", `kill -HUP $$`, 129, ""},
		{"dinit-13 SIGQUIT", `kill -QUIT $$`, 131, ""},
	}
	for _, in := range settings() {
		for _, test := range tests {
			t.Run(test.name+" "+in.name, func(t *testing.T) {
				r := start(t, in.pod(t), Container{Command: sh(test.script)})
				exits(t, r, test.code)
				if r.Stdout() != test.stdout {
					t.Errorf("stdout %q, want %q; stderr %q", r.Stdout(), test.stdout, r.Stderr())
				}
			})
		}
	}
}

// ulimit returns the limit of this process for core dumps as the shell prints it.
func ulimit(t *testing.T) string {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Cur == ^uint64(0) {
		return "unlimited\n"
	}
	return fmt.Sprintln(l.Cur / 512)
}

// TestInitSignals sends signals from outside, as the runtime does.
func TestInitSignals(t *testing.T) {
	for _, in := range settings() {
		t.Run("dinit-14 hbt-09 gort-02 cata-06 every signal reaches the command as it is "+in.name, func(t *testing.T) {
			r := start(t, in.pod(t), part("hear"))
			says(t, r, "up\n")
			want := "up\n"
			for _, s := range passedOn() {
				if err := r.Signal(s); err != nil {
					t.Fatal(err)
				}
				want += fmt.Sprintln(int(s))
				says(t, r, want)
			}
			r.Signal(syscall.SIGTERM)
			exits(t, r, 0)
			if !strings.HasPrefix(r.Stdout(), want) { // SIGTERM follows, with SIGCONT for a stopped process
				t.Errorf("heard %q, want %q", r.Stdout(), want)
			}
		})
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2} {
			t.Run(fmt.Sprintf("tini-05 tini-10 the command dies of signal %d %s", s, in.name), func(t *testing.T) {
				r := start(t, in.pod(t), Container{Command: sh("echo up; exec sleep 3600")})
				says(t, r, "up")
				settle(t, r)
				r.Signal(s)
				exits(t, r, 128+int(s))
			})
		}
	}
}

// settle waits until wrappers catch all signals. They start their command a moment earlier,
// and catch the last signal last.
func settle(t *testing.T, all ...*Running) {
	t.Helper()
	for _, r := range all {
		eventually(t, func() bool { return catches(r.PID, 64) }, r.Stderr)
	}
}

// passedOn returns the signals that a container's command must receive, without SIGTERM.
func passedOn() []syscall.Signal {
	never := []syscall.Signal{
		syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGPROF, syscall.SIGTERM,
		32, 33, 34, // used by the C library, and one that Go cannot catch
	}
	var list []syscall.Signal
	for s := syscall.Signal(1); s <= 64; s++ {
		if !slices.Contains(never, s) {
			list = append(list, s)
		}
	}
	return list
}

func TestInitSignalsFromInside(t *testing.T) {
	r := start(t, newPod(t), Container{Command: sh("trap 'exit 9' HUP; echo up; while :; do sleep 0.01; done")})
	t.Run("own-22 kill -HUP 1 is the command's", func(t *testing.T) {
		says(t, r, "up")
		inside(t, r, "kill", "-HUP", "1")
		exits(t, r, 9)
	})
	t.Run("own-03 a SIGTERM at the very start reaches the command once", func(t *testing.T) {
		r := run(t, `n=0; trap 'n=$((n + 1))' TERM; kill -TERM 1; while [ $n = 0 ]; do sleep 0.01; done; sleep 0.2; exit $n`)
		exits(t, r, 1)
	})
}

// TestSignalsWhileItStarts sends a signal as early as possible. The signal must end the
// container, or reach the command. Before the Go runtime catches the signal, the kernel
// drops it, as for every PID 1. Until the wrapper subscribes to it, the runtime ends a PID
// 1 with code 2. Together, this takes less than a millisecond.
func TestSignalsWhileItStarts(t *testing.T) {
	t.Run("tek-05 own-03 a SIGINT is never lost", func(t *testing.T) {
		p := newPod(t)
		for i := range 30 {
			r := start(t, p, Container{Command: sh("trap 'echo int; exit 9' INT; while :; do sleep 0.01; done")})
			eventually(t, func() bool {
				return strings.HasSuffix(executable(r.PID), "/koordinator") && catches(r.PID, syscall.SIGINT)
			}, r.Stderr)
			time.Sleep(time.Duration(i) * 200 * time.Microsecond)
			r.Signal(syscall.SIGINT)
			e := ends(t, r)
			if !slices.Contains([]int{2, 9, 130, spec.ExitStopped}, e.Code) || e.Code == 9 && r.Stdout() != "int\n" {
				t.Errorf("exit code %d, stdout %q, stderr %q", e.Code, r.Stdout(), r.Stderr())
			}
		}
	})
}

func TestInitCommandLine(t *testing.T) {
	for _, arg := range []string{"--help", "--version"} {
		t.Run("dinit-08 "+arg, func(t *testing.T) {
			r := start(t, newPod(t), Container{Unwrapped: true, Command: []string{spec.Binary, arg}})
			exits(t, r, 0)
			if !strings.Contains(r.Stdout(), "koordinator") || r.Stderr() != "" {
				t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
			}
		})
	}
	t.Run("dinit-09 kx-08 stdout is the command's alone", func(t *testing.T) {
		r := start(t, newPod(t), Container{Command: sh("echo out; echo err >&2"), Spec: `{"logLevel":"debug"}`})
		exits(t, r, 0)
		if r.Stdout() != "out\n" || !strings.Contains(r.Stderr(), "err\n") || !strings.Contains(r.Stderr(), "koordinator") {
			t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
		}
	})
	t.Run("tini-12 dinit-05 a command that is not there", func(t *testing.T) {
		r := start(t, newPod(t), Container{Command: []string{"/no/such"}})
		exits(t, r, spec.ExitNotFound)
		for _, text := range []string{r.Stderr(), r.Message()} {
			if !strings.Contains(text, "/no/such") || !strings.Contains(text, "no such file or directory") {
				t.Errorf("said %q", text)
			}
		}
	})
	t.Run("tini-14 a command that is no program", func(t *testing.T) {
		r := start(t, newPod(t), Container{Command: []string{"/etc/passwd"}})
		exits(t, r, spec.ExitNotExecutable)
	})
}

// TestInitImages runs wrappers in various images and under various security contexts.
func TestInitImages(t *testing.T) {
	t.Run("own-16 any user, no capability, a read-only root", func(t *testing.T) {
		c := Container{UID: 65534, DropCaps: true, ReadOnly: true, Command: sh("id -u; cat " + spec.PeersDir + "/app/record >/dev/null && echo recorded")}
		r := start(t, newPod(t), c)
		exits(t, r, 0)
		if r.Stdout() != "65534\nrecorded\n" {
			t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
		}
	})
	t.Run("own-17 an image with nothing in it", func(t *testing.T) {
		r := start(t, newPod(t), Container{Scratch: true, Command: []string{spec.Binary, "version"}})
		exits(t, r, 0)
		if !strings.HasPrefix(r.Stdout(), "koordinator ") {
			t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
		}
	})
	t.Run("argo-14 the copied binary is executable for every user", func(t *testing.T) {
		script := "umask 077; mkdir /run/bin && chmod 755 /run/bin && " + spec.Binary + " install /run/bin && stat -c %a /run/bin/koordinator"
		r := start(t, newPod(t), Container{Unwrapped: true, Command: []string{"/bin/sh", "-c", script}})
		exits(t, r, 0)
		if r.Stdout() != "555\n" {
			t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
		}
	})
	for _, uid := range []int{0, 1000} {
		t.Run(fmt.Sprintf("own-21 the command can write to the output of PID 1 as user %d", uid), func(t *testing.T) {
			r := start(t, newPod(t), Container{UID: uid, Command: sh("echo cron >/proc/1/fd/1")})
			exits(t, r, 0)
			if r.Stdout() != "cron\n" {
				t.Errorf("stdout %q, stderr %q", r.Stdout(), r.Stderr())
			}
		})
	}
}

func TestInitEnvironment(t *testing.T) {
	tests := []struct {
		name      string
		env, want []string
	}{
		{"own-25 settings of the Go runtime are the command's", []string{"GOMEMLIMIT=64MiB", "GOGC=7", "GODEBUG=x=1", "GOTRACEBACK=crash", "GOMAXPROCS=3"}, nil},
		{"gort-08 the first of two of a name, and what is odd", []string{"A=1", "A=2", "NOEQ", "=weird"}, []string{"A=1", "NOEQ", "=weird"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := part("environ")
			c.Env = test.env
			c.Spec = "{}"
			r := start(t, newPod(t), c)
			exits(t, r, 0)
			if test.want == nil {
				test.want = test.env
			}
			if want := path + "|" + strings.Join(test.want, "|") + "|\n"; r.Stdout() != want {
				t.Errorf("environment %q, want %q", r.Stdout(), want)
			}
		})
	}
}

func TestOthersInASharedNamespaceLiveOn(t *testing.T) {
	t.Run("own-19 nobody is killed but the command's own", func(t *testing.T) {
		p := settings()[1].pod(t)
		a := start(t, p, Container{Name: "a", Command: sh("trap 'exit 6' TERM; echo up; while :; do sleep 0.01; done")})
		says(t, a, "up")
		b := start(t, p, Container{Name: "b", Command: sh("sleep 3600 & exit 1")})
		exits(t, b, 1)
		a.Signal(syscall.SIGTERM)
		exits(t, a, 6)
	})
}
