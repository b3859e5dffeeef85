package process

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY opens a new pseudoterminal and returns the user's side and the
// command's.
func openPTY(t *testing.T) (user, command *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("open /dev/ptmx: %v", err)
	}
	user = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { user.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatalf("unlock the terminal: %v", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatalf("number of the terminal: %v", err)
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Close() })
	quiet(t, command)
	return user, command
}

// quiet turns off echo, so that the user's side reads only what is written.
func quiet(t *testing.T, tty *os.File) {
	t.Helper()
	mode, err := unix.IoctlGetTermios(raw(t, tty), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(raw(t, tty), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
}

// onTerminal starts an actor like a container runtime with tty: true, as the
// leader of a session on a new terminal. Its output is read from the terminal.
func onTerminal(t *testing.T, a *actor) (user *os.File) {
	t.Helper()
	user, tty := openPTY(t)
	a.Stdin, a.Stdout, a.Stderr = tty, tty, tty
	if a.SysProcAttr == nil {
		a.SysProcAttr = &syscall.SysProcAttr{}
	}
	a.SysProcAttr.Setsid, a.SysProcAttr.Setctty = true, true
	if err := a.Cmd.Start(); err != nil {
		t.Fatalf("start an actor (new namespaces need CAP_SYS_ADMIN): %v", err)
	}
	a.follow(t, user)
	return user
}

// typed writes text to the terminal as the user.
func typed(t *testing.T, user *os.File, text string) {
	t.Helper()
	if _, err := user.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestTerminal(t *testing.T) {
	for _, s := range settings() {
		t.Run("tini-15 gort-11 a command that reads is not stopped "+s.name, func(t *testing.T) {
			a := s.actor(t, "/bin/sh", "-c", "echo ready; read x; echo got $x; exit 3")
			user := onTerminal(t, a)
			a.expect(t, "ready")
			typed(t, user, "hello\n")
			a.expect(t, "got hello")
			if code := a.code(t); code != 3 {
				t.Errorf("exit code %d, want 3", code)
			}
		})
		t.Run("own-23 Ctrl-C, resize and the stop request arrive once "+s.name, func(t *testing.T) {
			a := s.actor(t, part(t, "hear")...)
			user := onTerminal(t, a)
			a.expect(t, "ready")
			typed(t, user, "\x03")
			a.expect(t, "2")
			if err := unix.IoctlSetWinsize(raw(t, user), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 20}); err != nil {
				t.Fatal(err)
			}
			a.expect(t, "28")
			a.Process.Signal(syscall.SIGWINCH) // a signal from outside is passed on, too
			a.expect(t, "28")
			a.Process.Signal(syscall.SIGTERM)
			a.expect(t, "15")
			if code := a.code(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
		t.Run("dinit-21 a shell has job control "+s.name, func(t *testing.T) {
			a := s.actor(t, "/bin/sh", "-m", "-c", `case $- in *m*) echo yes;; *) echo no;; esac; sleep 0 & fg`)
			onTerminal(t, a)
			a.expect(t, "yes")
			a.expect(t, "sleep 0")
			if code := a.code(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
	t.Run("gort-10 without the foreground it is stopped", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", "echo $$; read x")
		a.Env = append(a.Env, blindEnv+"=1")
		user := onTerminal(t, a)
		var pid int
		if _, err := fmt.Sscan(a.line(t), &pid); err != nil {
			t.Fatal(err)
		}
		typed(t, user, "hello\n")
		eventually(t, "the command is stopped", func() bool {
			state, _, _ := stat(pid)
			return state == 'T'
		})
		syscall.Kill(pid, syscall.SIGKILL)
		if code := a.code(t); code != 137 {
			t.Errorf("exit code %d, want 137", code)
		}
	})
	t.Run("a hangup reaches the command", func(t *testing.T) {
		a := supervisor(t, "/bin/sh", "-c", "echo ready; exec sleep 1000")
		user := onTerminal(t, a)
		a.expect(t, "ready")
		a.Stdin.(*os.File).Close()
		user.Close()
		if code := a.code(t); code != 129 {
			t.Errorf("exit code %d, want 129", code)
		}
	})
	t.Run("a failed start on a terminal says why", func(t *testing.T) {
		a := supervisor(t, "/no/such/command")
		onTerminal(t, a)
		if got := a.line(t); !strings.Contains(got, "/no/such/command") {
			t.Errorf("output %q", got)
		}
		if code := a.code(t); code != 127 {
			t.Errorf("exit code %d, want 127", code)
		}
	})
}

func TestTerminalIsOurs(t *testing.T) {
	t.Run("no terminal", func(t *testing.T) {
		if out, _ := newActor(t, "terminal", nil).run(t); out != "false\n" {
			t.Errorf("Terminal() = %q on %s", out, os.DevNull)
		}
	})
	t.Run("closed", func(t *testing.T) {
		a := newActor(t, "terminal", []string{"-c", `exec "$0" <&-`, self(t)})
		a.Path, a.Args[0] = "/bin/sh", "sh"
		if out, _ := a.run(t); out != "false\n" {
			t.Errorf("Terminal() = %q on a closed descriptor", out)
		}
	})
	t.Run("another session's terminal", func(t *testing.T) {
		_, tty := openPTY(t)
		a := newActor(t, "terminal", nil)
		a.Stdin = tty
		a.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if out, _ := a.run(t); out != "false\n" {
			t.Errorf("Terminal() = %q", out)
		}
	})
	t.Run("ours", func(t *testing.T) {
		a := newActor(t, "terminal", nil)
		onTerminal(t, a)
		a.expect(t, "true")
	})
	t.Run("in the background", func(t *testing.T) {
		a := supervisor(t, part(t, "terminal")...)
		a.Env = append(a.Env, blindEnv+"=1") // leaves the command in a background group
		onTerminal(t, a)
		a.expect(t, "false")
	})
}
