// Package lock keeps two commands from working on the same thing at the same time.
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

// Acquire locks the file at path, which it creates if needed. While another process holds
// the lock, Acquire waits, and reports on progress that it waits for holder. The returned
// function, or the end of the process, releases the lock.
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

// wait locks file. It tries every 100 ms instead of blocking, so that ctx can stop it, and
// reports every 10 seconds that it waits.
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
