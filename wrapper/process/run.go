package process

import (
	"context"
	"runtime"
	"syscall"
)

// Run runs a command to its end, or kills its process group when ctx ends, and
// returns its exit code. It is for programs that have no reaper: beside Reap it
// would lose the exit. Any error is a *StartError.
func Run(ctx context.Context, c Command) (int, error) {
	runtime.LockOSThread() // see Start
	defer runtime.UnlockOSThread()
	child, err := Start(c)
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = child.SignalGroup(syscall.SIGKILL) })() // at worst it has ended
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(child.PID, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		return exitCode(status), nil
	}
}
