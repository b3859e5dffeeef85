// Package process is the wrapper's adapter to the kernel: it receives signals,
// starts commands, signals them and reaps all processes that end.
//
// It has no goroutines other than those of an Output or a Dialog, and the one
// that starts processes. A single goroutine, the wrapper's event loop, makes
// every call.
//
// Nothing else in the program may wait for a process: Reap takes every exit, so
// os/exec and os.Process would lose theirs.
package process

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Command is a command to run. It inherits this process's descriptors
// unchanged: 0, 1 and 2, and those of the others that this process inherited
// itself (Go opens its own with close-on-exec). A descriptor below 3 that was
// closed is /dev/null, because the Go runtime opens that in its place.
type Command struct {
	Argv     []string // Argv[0] with a slash is a path; otherwise it is searched for in Env's PATH
	Path     string   // the program, if Argv[0] is only its name; "": according to Argv[0]
	Env      []string // the complete environment, passed on byte for byte
	Dir      string   // the working directory; "": the present one
	Output   *Output  // receives descriptors 1 and 2, and 0 is /dev/null; nil: all three are this process's
	Dialog   *Dialog  // connects descriptors 0 and 1; nil: no Dialog
	Terminal bool     // take fd 0 as the controlling terminal; set it only if Terminal returned true
}

// Child is a started command. It leads a process group of its own, whose ID is
// its PID.
type Child struct {
	PID int

	ended bool // Ended has seen its exit: the PID may belong to another process now
	gone  bool // GroupGone has returned true: likewise the group's ID
}

// busyLimit is the longest pause between tries to start a file that is still
// open for writing: the pauses are 1, 2, 4 … 64 ms, 127 ms in total.
const busyLimit = 64 * time.Millisecond

// Start runs a command in a process group of its own. If the command has a
// terminal, its group is the foreground group. The command gets default signal
// dispositions, this process's umask, and RLIMIT_NOFILE as it was before Go
// raised it. Any error is a *StartError.
//
// It blocks until the command's exec, and up to 127 ms longer if the file is
// open for writing (ETXTBSY, https://go.dev/issue/22315).
//
// The kernel kills the command with SIGKILL when this process ends, even if its
// PID namespace survives it.
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
	err = unlessBusy(func() (err error) {
		onParent(func() { pid, err = syscall.ForkExec(path, c.Argv, attr) })
		return err
	})
	if err != nil {
		return nil, startError(c, path, err)
	}
	return &Child{PID: pid}, nil
}

// parent returns the channel to the goroutine that starts all processes. The
// kernel kills a process when the thread that started it ends, even if the other
// threads live on (PR_SET_PDEATHSIG, https://go.dev/issue/27505), and Go may end
// any thread. This goroutine is locked to its thread, and neither ever ends.
var parent = sync.OnceValue(func() chan<- func() {
	requests := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range requests {
			do()
		}
	}()
	return requests
})

// onParent calls do on the thread that starts all processes.
func onParent(do func()) {
	done := make(chan struct{})
	parent() <- func() {
		do()
		close(done)
	}
	<-done
}

// unlessBusy performs an action on an executable file, and repeats it while the
// file is open for writing.
func unlessBusy(do func() error) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := do()
		if !errors.Is(err, syscall.ETXTBSY) || wait > busyLimit {
			return err
		}
		time.Sleep(wait)
	}
}

// Replace replaces this process with a command: same PID, same parent, same
// descriptors except those that Go opened. It calls goOn right before each try
// and returns nil if goOn returns false. Otherwise it returns only if the
// replacement is impossible; any error is a *StartError. Signal dispositions
// and RLIMIT_NOFILE are as for Start. The kernel handles the command's orphans
// as usual.
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

// attributes returns the attributes with which a command is started.
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
			Foreground: c.Terminal, // the terminal is that on Ctty, which is fd 0
			Pdeathsig:  syscall.SIGKILL,
		},
	}
}

// Ended picks the child's exit from a result of Reap. Every result of Reap must
// be passed to it: after the exit, Signal does nothing, because the kernel may
// have reused the PID.
func (c *Child) Ended(exits []Exit) (Exit, bool) {
	for _, e := range exits {
		if e.PID == c.PID && !c.ended {
			c.ended = true
			return e, true
		}
	}
	return Exit{}, false
}

// Signal sends a signal to the child only. It is no error if the child has
// exited. EPERM is possible if the command has changed its user.
func (c *Child) Signal(s syscall.Signal) error {
	if c.ended {
		return nil
	}
	return kill(c.PID, s)
}

// SignalGroup sends a signal to every process in the child's group, even after
// the child itself has exited. An empty group is no error.
func (c *Child) SignalGroup(s syscall.Signal) error {
	if c.GroupGone() {
		return nil
	}
	return kill(-c.PID, s)
}

// GroupGone reports whether the child and all remaining processes of its
// process group have ended. Zombies count until they are reaped; processes that
// moved to another group or session do not count. Once it has returned true, it
// always does.
func (c *Child) GroupGone() bool {
	if !c.gone {
		c.gone = syscall.Kill(-c.PID, 0) == syscall.ESRCH
	}
	return c.gone
}

// kill calls kill(2). It is no error if there is no such process.
func kill(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

// LeaveDir moves this process to the root directory, so that it does not keep a
// volume busy that only the command uses. It returns the previous directory,
// for Command.Dir. It does not leave a directory to which it could not return,
// and then returns "".
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
