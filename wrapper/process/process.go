// Package process is the wrapper's adapter to the kernel: it hears signals,
// starts commands, signals them and reaps whatever ends.
//
// It has no state of its own, and no goroutine but those of an Output or a
// Dialog. One goroutine, the wrapper's
// event loop, makes every call. That goroutine must be locked to its thread
// (runtime.LockOSThread) until the program ends, see Start.
//
// Nothing else in the program may wait for a process: Reap takes every exit
// there is, so os/exec and os.Process beside it would lose theirs.
package process

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// Command is what to run. It is given this process's descriptors as they are:
// 0, 1 and 2, and of the others those that were inherited (Go opens its own
// close-on-exec). A descriptor below 3 that was closed is /dev/null, as the Go
// runtime opens it.
type Command struct {
	Argv     []string // Argv[0] with a slash is a path, else it is looked up in Env's PATH
	Path     string   // the program, where Argv[0] is only its name; "": as Argv[0] says
	Env      []string // the whole environment, passed on byte for byte
	Dir      string   // the working directory; "": the present one
	Output   *Output  // takes descriptors 1 and 2, and 0 is /dev/null; nil: all three are this process's
	Dialog   *Dialog  // takes descriptors 0 and 1; nil: no Dialog
	Terminal bool     // take fd 0 as the controlling terminal: true only after Terminal said so
}

// Child is a started command. It leads a process group of its own, which
// keeps its number.
type Child struct {
	PID int

	ended bool // Ended has seen its exit: the number may be another process's now
	gone  bool // GroupGone was true: likewise the group's number
}

// busyLimit bounds how long Start keeps retrying a file that somebody still
// writes to: waits of 1, 2, 4 … 64 ms, 127 ms together.
const busyLimit = 64 * time.Millisecond

// Start runs a command in a process group of its own, with a terminal as its
// foreground group. The command gets default signal dispositions, this
// process's umask, and its RLIMIT_NOFILE as it was before Go raised it. Any
// error is a *StartError.
//
// It blocks until the command's exec, up to busyLimit longer where the file is
// being written (ETXTBSY, https://go.dev/issue/22315).
//
// The kernel kills the command with SIGKILL when the thread that called Start
// ends, even if the process lives on (PR_SET_PDEATHSIG,
// https://go.dev/issue/27505). Go ends a thread when a goroutine locked to it
// ends. A caller that is itself locked to its thread, and lives as long as
// the program, keeps this to the one case that is meant: the wrapper's death
// where its PID namespace survives it.
func Start(c Command) (*Child, error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return nil, emptyCommand()
	}
	path, err := c.Path, error(nil)
	if path == "" {
		path, err = Find(c.Argv[0], c.Env, c.Dir)
	}
	if err != nil {
		return nil, startError(c, path, err)
	}
	attr := attributes(c)
	if c.Output != nil {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, startError(c, os.DevNull, err)
		}
		defer null.Close()
		out := c.Output.write.Fd()
		attr.Files = []uintptr{null.Fd(), out, out}
	}
	var pid int
	err = unlessBusy(func() (err error) { pid, err = syscall.ForkExec(path, c.Argv, attr); return })
	if err != nil {
		return nil, startError(c, path, err)
	}
	return &Child{PID: pid}, nil
}

// unlessBusy does something with an executable file, again and again while that
// is being written.
func unlessBusy(do func() error) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := do()
		if !errors.Is(err, syscall.ETXTBSY) || wait > busyLimit {
			return err
		}
		time.Sleep(wait)
	}
}

// Replace runs a command in this process's place: same number, same parent,
// same descriptors but those that Go opened. Right before each try it asks goOn,
// and returns nil if that says no. Otherwise it returns only when it is not
// possible; any error is a *StartError. Signal dispositions and RLIMIT_NOFILE
// are as for Start. The command's orphans are the kernel's business again.
func Replace(c Command, goOn func() bool) error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return emptyCommand()
	}
	path, err := Find(c.Argv[0], c.Env, c.Dir)
	if err != nil {
		return startError(c, path, err)
	}
	if c.Dir != "" {
		if err := syscall.Chdir(c.Dir); err != nil {
			return startError(c, c.Dir, err)
		}
	}
	unwanted := false
	err = unlessBusy(func() error {
		if unwanted = !goOn(); unwanted {
			return nil
		}
		if err := subreaper(false); err != nil {
			return err
		}
		return syscall.Exec(path, c.Argv, c.Env)
	})
	if unwanted {
		return nil
	}
	return startError(c, path, err)
}

func emptyCommand() *StartError {
	return &StartError{Err: syscall.ENOENT, Code: codeOf(syscall.ENOENT), Hint: "the command is empty"}
}

// attributes are how a command is started.
func attributes(c Command) *syscall.ProcAttr {
	files := []uintptr{0, 1, 2}
	if c.Dialog != nil {
		files = []uintptr{c.Dialog.fd(0), c.Dialog.fd(1), 2}
	}
	return &syscall.ProcAttr{
		Env:   c.Env,
		Dir:   c.Dir,
		Files: files,
		Sys: &syscall.SysProcAttr{
			Setpgid:    true,
			Foreground: c.Terminal, // of the terminal on Ctty, which is fd 0
			Pdeathsig:  syscall.SIGKILL,
		},
	}
}

// Ended picks the child's exit out of what Reap returned. Every result of Reap
// must be shown to it: after the exit Signal does nothing, since the kernel may
// give the number to another process.
func (c *Child) Ended(exits []Exit) (Exit, bool) {
	for _, e := range exits {
		if e.PID == c.PID && !c.ended {
			c.ended = true
			return e, true
		}
	}
	return Exit{}, false
}

// Signal sends a signal to the child alone. A child that has exited is no
// error. EPERM is possible where the command changed its user.
func (c *Child) Signal(s syscall.Signal) error {
	if c.ended {
		return nil
	}
	return kill(c.PID, s)
}

// SignalGroup sends a signal to every process in the child's group, also after
// the child itself has exited. An empty group is no error.
func (c *Child) SignalGroup(s syscall.Signal) error {
	if c.GroupGone() {
		return nil
	}
	return kill(-c.PID, s)
}

// GroupGone says whether the child and everything it left in its process group
// have ended. Zombies count until they are reaped, and what moved to another
// group or session does not. Once true it stays true.
func (c *Child) GroupGone() bool {
	if !c.gone {
		c.gone = syscall.Kill(-c.PID, 0) == syscall.ESRCH
	}
	return c.gone
}

// kill is kill(2), without an error where nobody is left.
func kill(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

// LeaveDir moves this process to the root directory, so that it does not keep a
// volume busy that only the command works in, and returns the directory it left,
// for Command.Dir. A directory that it could not come back to is not left: then
// LeaveDir returns "".
func LeaveDir() string {
	here, err := os.Open(".")
	if err != nil {
		return ""
	}
	defer here.Close()
	dir, err := os.Getwd()
	if err != nil || os.Chdir("/") != nil {
		return ""
	}
	if os.Chdir(dir) != nil {
		_ = here.Chdir()
		return ""
	}
	_ = os.Chdir("/")
	return dir
}
