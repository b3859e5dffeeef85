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
	return run(ctx, c, func(*Child) {})
}

// Converse is Run for a program with a Dialog, whose lines it gives to line. An
// error of line ends the program, and is returned.
func Converse(ctx context.Context, c Command, line func([]byte) error) (int, error) {
	var failed error
	code, err := run(ctx, c, func(child *Child) {
		c.Dialog.Started()
		if failed = c.Dialog.Lines(line); failed != nil {
			_ = child.SignalGroup(syscall.SIGKILL) // at worst it has ended
		}
	})
	if err != nil {
		c.Dialog.Close()
		return 0, err
	}
	return code, failed
}

// run starts a command, attends to it, and waits for its end.
func run(ctx context.Context, c Command, attend func(*Child)) (int, error) {
	runtime.LockOSThread() // see Start
	defer runtime.UnlockOSThread()
	child, err := Start(c)
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = child.SignalGroup(syscall.SIGKILL) })() // at worst it has ended
	attend(child)
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(child.PID, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		return exitCode(status), nil
	}
}
