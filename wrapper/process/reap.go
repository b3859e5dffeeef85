package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is the end of one process.
type Exit struct {
	PID  int
	Code int // 0–255 as it exited, or 128+n when signal n ended it
}

// Reap collects every process that has ended, including adopted orphans,
// without blocking. It is called for each SIGCHLD and loops until nothing is
// left, because one SIGCHLD may stand for many exits. It does not report stops
// and continuations. Nil means that no process had ended.
func Reap() []Exit {
	var exits []Exit
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == 0 { // ECHILD, or all others still run
			return exits
		}
		exits = append(exits, Exit{PID: pid, Code: exitCode(status)})
	}
}

// exitCode returns the exit code of a wait status as shells report it. The
// core-dump bit is lost.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// Subreaper makes this process the reaper of its orphaned descendants. PID 1 is
// their reaper anyway, so there it does nothing. It needs no privilege. It is
// needed in a pod with a shared PID namespace, where the pause container is PID
// 1.
func Subreaper() error { return subreaper(true) }

func subreaper(yes bool) error {
	if os.Getpid() == 1 {
		return nil
	}
	on := uintptr(0)
	if yes {
		on = 1
	}
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)
	return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", err)
}
