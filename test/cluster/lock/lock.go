// Package lock keeps two commands from doing the same thing at the same time.
package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Acquire takes the lock on the file at path, which it creates, and waits while another process holds it; it then says on progress that it
// waits for holder. The lock is released by the returned function or by the end of the process.
func Acquire(ctx context.Context, path, holder string, progress io.Writer) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, file, holder, progress); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}

// wait takes the lock on file. It looks every 100 ms rather than block, to be stoppable, and speaks every 10 seconds.
func wait(ctx context.Context, file *os.File, holder string, progress io.Writer) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for tries := 0; ; tries++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if tries%100 == 0 {
			fmt.Fprintf(progress, "waiting for %s\n", holder)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
