package process

import (
	"context"
	"sync"
	"syscall"
)

// Run runs a command until it ends, and returns its exit code. It kills the
// command's process group when ctx ends. It is for programs that do not call
// Reap, which would take the exit. Any error is a *StartError.
func Run(ctx context.Context, c Command) (int, error) {
	return run(ctx, c, func(func()) {})
}

// Converse is Run for a program with a Dialog. It calls line with the program's
// lines. An error from line ends the program and is returned.
func Converse(ctx context.Context, c Command, line func([]byte) error) (int, error) {
	var failed error
	code, err := run(ctx, c, func(kill func()) {
		c.Dialog.Started()
		if failed = c.Dialog.Lines(line); failed != nil {
			kill()
		}
	})
	if err != nil {
		c.Dialog.Close()
		return 0, err
	}
	return code, failed
}

// run starts a command, calls attend, and waits for the command's end.
func run(ctx context.Context, c Command, attend func(kill func())) (int, error) {
	child, err := Start(c)
	if err != nil {
		return 0, err
	}
	kill := sync.OnceFunc(func() { _ = child.SignalGroup(syscall.SIGKILL) }) // the group may have ended
	defer context.AfterFunc(ctx, kill)()
	attend(kill)
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(child.PID, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		return exitCode(status), nil
	}
}
