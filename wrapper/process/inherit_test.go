package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pipe returns a pipe that is closed at the end of the test.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// through prepares a supervisor that a shell starts after a preamble.
func through(t *testing.T, preamble string, argv ...string) *actor {
	t.Helper()
	a := supervisor(t, append([]string{"-c", preamble + `; exec "$0" "$@"`, self(t)}, argv...)...)
	a.Path, a.Args[0] = "/bin/sh", "sh"
	return a
}

func TestDescriptorsAreHandedThrough(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprint(file, "0123456") // the command must find this offset
	in, _ := pipe(t)
	extra, extraW := pipe(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()

	// The shell delays the supervisor until the modes are set, because os/exec
	// makes every descriptor blocking.
	a := through(t, "read go <&3", part(t, "fds")...)
	a.Stdin, a.Stderr, a.ExtraFiles = in, null, []*os.File{extra, extraW, file}
	a.start(t)
	unix.SetNonblock(raw(t, in), true)
	modes := describe(raw(t, in)) + describe(raw(t, extra))
	fmt.Fprintln(extraW, "go")

	want := inherited(6)
	for n, f := range []*os.File{in, nil, null, extra, extraW, file} {
		if f != nil { // nil stands for the pipe that is read here
			want[n] = describe(raw(t, f))
		}
	}
	for a.out.Scan() {
		number, got, _ := strings.Cut(a.out.Text(), ": ")
		n, _ := strconv.Atoi(number)
		if n != 1 && got != want[n] {
			t.Errorf("the command has %d: %s, want %q", n, got, want[n])
		}
		delete(want, n)
	}
	if len(want) > 0 {
		t.Errorf("the command does not have %v", want)
	}
	if code := a.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if now := describe(raw(t, in)) + describe(raw(t, extra)); now != modes {
		t.Errorf("modes were changed from %s to %s", modes, now)
	}
}

// raw returns a file's descriptor without changing its mode, unlike File.Fd.
func raw(t *testing.T, f *os.File) (fd int) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestEnvironmentIsExact(t *testing.T) {
	for _, env := range [][]string{
		{"B=2", "A=1", "EMPTY=", "SPACE= a  b ", "LINE=1\n2", "GOMEMLIMIT=1GiB", "GODEBUG=x=y", "UTF=ü\xff"},
		{"A=1", "A=2", "NOEQ", "=weird"}, // gort-08: the wrapper loses these when it starts, not here
	} {
		t.Run("own-25 "+env[0], func(t *testing.T) {
			out, code := newActor(t, "environ", env).run(t)
			if want := strings.Join(env, "\x00") + "\x00"; out != want || code != 0 {
				t.Errorf("the command has %q, want %q (exit code %d)", out, want, code)
			}
		})
	}
	t.Run("none at all", func(t *testing.T) {
		if out, code := newActor(t, "environ", nil).run(t); out != "" || code != 0 {
			t.Errorf("the command has %q, want nothing (exit code %d)", out, code)
		}
	})
}

func TestWorkingDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := supervisor(t, "/bin/sh", "-c", "pwd -P; read x")
	a.Dir = dir
	stdin, err := a.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.start(t)
	a.expect(t, dir)
	eventually(t, "dinit-11 the wrapper is in /", func() bool {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", a.Process.Pid))
		return err == nil && cwd == "/"
	})
	stdin.Close()
	a.code(t)
}

func TestLimitsAndMask(t *testing.T) {
	t.Run("gort-06 RLIMIT_NOFILE is the original one", func(t *testing.T) {
		out, _ := through(t, "ulimit -Sn 1024; ulimit -Hn 4096", "/bin/sh", "-c", "ulimit -Sn; ulimit -Hn").run(t)
		if out != "1024\n4096\n" {
			t.Errorf("soft and hard limit are %q, want 1024 and 4096", out)
		}
	})
	t.Run("own-14 RLIMIT_CORE is untouched", func(t *testing.T) {
		out, _ := through(t, "ulimit -Sc 7", "/bin/sh", "-c", "ulimit -Sc").run(t)
		if out != "7\n" {
			t.Errorf("limit is %q, want 7", out)
		}
	})
	t.Run("the umask is untouched", func(t *testing.T) {
		out, _ := through(t, "umask 0137", "/bin/sh", "-c", "umask").run(t)
		if out != "0137\n" {
			t.Errorf("umask is %q, want 0137", out)
		}
	})
}

func TestDispositions(t *testing.T) {
	for _, test := range []struct{ name, preamble string }{
		{"gort-07 nothing is ignored, caught or blocked", "true"},
		{"tini-08 nor what the wrapper found ignored", "trap '' HUP INT QUIT PIPE TTOU CHLD USR1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, code := through(t, test.preamble, "/bin/cat", "/proc/self/status").run(t)
			if code != 0 {
				t.Fatalf("exit code %d", code)
			}
			for _, set := range []string{"SigBlk", "SigIgn", "SigCgt"} {
				if line := set + ":\t0000000000000000\n"; !strings.Contains(out, line) {
					t.Errorf("no line %q in the command's status:\n%s", line, out)
				}
			}
		})
	}
	t.Run("SIGPIPE ends the command", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", "read x; echo into the void; exit 3")
		stdin, err := a.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		r, w := pipe(t)
		a.Stdout = w
		if err := a.Cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		r.Close()
		stdin.Close()
		if code, want := a.code(t), 128+int(syscall.SIGPIPE); code != want {
			t.Errorf("exit code %d, want %d", code, want)
		}
	})
	t.Run("the wrapper survives its own SIGPIPE", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", "read x; exit 3")
		a.Env = append(a.Env, countEnv+"=1") // makes it write to standard error
		stdin, err := a.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		r, w := pipe(t)
		a.Stderr = w
		if err := a.Cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		r.Close()
		stdin.Close()
		if code := a.code(t); code != 3 {
			t.Errorf("exit code %d, want 3", code)
		}
	})
}

// TestWrapperKeepsItsOutput checks own-21: the text that a command writes to
// its parent's standard output arrives.
func TestWrapperKeepsItsOutput(t *testing.T) {
	a := settings()[1].actor(t, "/bin/sh", "-c", "echo by the back door >/proc/1/fd/1")
	if out, code := a.run(t); out != "by the back door\n" || code != 0 {
		t.Errorf("output %q, exit code %d", out, code)
	}
}
