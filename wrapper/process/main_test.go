package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// roleEnv makes the test binary play a role instead of running the tests.
const roleEnv = "PROCESS_TEST_ROLE"

// patience is how long a test waits for anything before it gives up. Nothing
// takes this long, but the machine may be busy.
const patience = 2 * time.Minute

// TestMain runs the tests, or the role in the environment (roles_test.go).
func TestMain(m *testing.M) {
	if name := os.Getenv(roleEnv); name != "" {
		os.Exit(play(name, os.Args[1:]))
	}
	defaultReserved()
	os.Exit(m.Run())
}

// defaultReserved reverts a side effect of glibc's posix_spawn, and therefore
// of make: its children ignore the two signals that the C library reserves for
// itself.
func defaultReserved() {
	var byDefault [4]uintptr // a struct sigaction of the kernel: SIG_DFL
	for _, s := range []uintptr{32, 33} {
		_, _, err := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
		if err != 0 {
			panic("rt_sigaction: " + err.Error())
		}
	}
}

// actor is the test binary in a role, in a separate process.
type actor struct {
	*exec.Cmd
	out    *bufio.Scanner // its standard output, line by line
	stderr bytes.Buffer
}

// newActor prepares the test binary for a role, with additional environment
// variables.
func newActor(t *testing.T, role string, args []string, env ...string) *actor {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	a := &actor{Cmd: exec.CommandContext(ctx, self(t), args...)}
	a.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0") // otherwise a race build exits one second later
	a.Env = append(a.Env, env...)
	a.Stderr = &a.stderr
	a.WaitDelay = time.Second // processes that a killed actor left may hold its output open
	return a
}

// supervisor prepares the smallest possible wrapper for a command.
func supervisor(t *testing.T, argv ...string) *actor {
	t.Helper()
	return newActor(t, "supervise", argv)
}

// start starts the actor with its output on a pipe, and ends it with the test.
func (a *actor) start(t *testing.T) *actor {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a.Stdout = w
	err = a.Start()
	w.Close()
	if err != nil {
		t.Fatalf("start an actor (new namespaces need CAP_SYS_ADMIN): %v", err)
	}
	a.follow(t, r)
	return a
}

// follow reads the actor's output from r and ends the actor with the test.
func (a *actor) follow(t *testing.T, r *os.File) {
	t.Helper()
	t.Cleanup(func() {
		a.Process.Kill()
		a.Wait()
		r.Close()
		if t.Failed() && a.stderr.Len() > 0 {
			t.Logf("stderr of %q:\n%s", a.Args, &a.stderr)
		}
	})
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	a.out = bufio.NewScanner(r)
}

// line returns the next line of output.
func (a *actor) line(t *testing.T) string {
	t.Helper()
	if !a.out.Scan() {
		t.Fatalf("output ended: %v", a.out.Err())
	}
	return strings.TrimRight(a.out.Text(), "\r")
}

// expect fails unless the next line of output is want.
func (a *actor) expect(t *testing.T, want string) {
	t.Helper()
	if got := a.line(t); got != want {
		t.Fatalf("next line of output is %q, want %q", got, want)
	}
}

// code waits for the actor's end and returns its exit code, or 128+n after
// signal n.
func (a *actor) code(t *testing.T) int {
	t.Helper()
	return codeOfWait(t, a.Wait())
}

// run runs the actor until it ends.
func (a *actor) run(t *testing.T) (stdout string, code int) {
	t.Helper()
	var out bytes.Buffer
	a.Stdout = &out
	code = codeOfWait(t, a.Cmd.Run())
	if a.stderr.Len() > 0 {
		t.Logf("stderr of %q: %s", a.Args, &a.stderr)
	}
	return out.String(), code
}

// codeOfWait returns the exit code for the result of exec.Cmd.Wait.
func codeOfWait(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exitCode(exit.Sys().(syscall.WaitStatus))
	}
	t.Fatalf("actor: %v", err)
	return -1
}

// begin starts a command from the test's own process, and ends it with the
// test. A test that uses it must not have an actor at the same time, because
// await reaps every process.
func begin(t *testing.T, argv ...string) *Child {
	t.Helper()
	c, err := Start(Command{Argv: argv, Env: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.SignalGroup(syscall.SIGKILL)
		eventually(t, "the child's group has ended", func() bool {
			c.Ended(Reap())
			return c.GroupGone()
		})
	})
	return c
}

// await reaps until the child has ended.
func await(t *testing.T, c *Child) int {
	t.Helper()
	var end Exit
	eventually(t, "the child ends", func() (ok bool) {
		end, ok = c.Ended(Reap())
		return ok
	})
	return end.Code
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// self returns the path of the test binary.
func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// part returns a command line that makes the test binary play a role as a
// command.
func part(t *testing.T, role string) []string {
	t.Helper()
	return []string{"env", roleEnv + "=" + role, self(t)}
}

// write creates an executable file and closes it.
func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// stat returns the state and the parent of a process according to /proc. ok is
// false if there is no such process.
func stat(pid int) (state byte, parent int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), " ")
	if _, err := fmt.Sscanf(rest, "%c %d", &state, &parent); err != nil {
		return 0, 0, false
	}
	return state, parent, true
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	state, _, ok := stat(pid)
	return ok && state != 'Z' && state != 'X'
}

// childrenOf counts a process's children, and the zombies among them.
func childrenOf(t *testing.T, pid int) (all, zombies int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		var child int
		fmt.Sscanf(dir, "/proc/%d", &child)
		if state, parent, ok := stat(child); ok && parent == pid {
			all++
			if state == 'Z' {
				zombies++
			}
		}
	}
	return all, zombies
}
