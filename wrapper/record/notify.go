package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What of a directory is worth a look: a record renamed into it, made, removed,
// or overwritten in place.
const (
	ofRecords = unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY
	ofDirs    = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// notify tells of changes in the named directories below dir, also of those
// that are not there yet, until ctx ends. One pending message stands for many
// changes. What has happened before it returned is not told of.
func notify(ctx context.Context, dir string, names []string) (<-chan struct{}, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch records: %w", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	n := notifier{fd: fd, dir: dir, names: names}
	if _, err := unix.InotifyAddWatch(fd, dir, ofDirs); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch records: %w", err)
	}
	if err := n.watchAll(); err != nil {
		f.Close()
		return nil, err
	}
	out := make(chan struct{}, 1)
	go n.read(ctx, f, out)
	context.AfterFunc(ctx, func() { f.Close() }) // ends the read
	return out, nil
}

// notifier is one inotify instance. Only the goroutine of read uses it once
// that runs.
type notifier struct {
	fd    int
	dir   string
	names []string
}

// watchAll watches each directory that is there. To watch one again changes
// nothing.
func (n notifier) watchAll() error {
	for _, name := range n.names {
		_, err := unix.InotifyAddWatch(n.fd, filepath.Join(n.dir, name), ofRecords|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("watch the records of %s: %w", name, err)
		}
	}
	return nil
}

// read tells of whatever comes until f is closed. What exactly has changed is
// of no interest, if it is more than a draft; a directory may be among it.
func (n notifier) read(ctx context.Context, f *os.File, out chan<- struct{}) {
	events := make([]byte, 4096)
	var pace pace
	for {
		size, err := f.Read(events)
		if err != nil {
			return
		}
		pace.wait(ctx, 0)
		if onlyDrafts(events[:size]) {
			continue
		}
		_ = n.watchAll() // the slow rescan sees what this may miss
		select {
		case out <- struct{}{}:
		default:
		}
	}
}

// onlyDrafts tells whether all events (inotify(7)) are about records that are
// not in their place yet.
func onlyDrafts(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		length := int(binary.NativeEndian.Uint32(events[12:])) // of the name, padded
		end := min(unix.SizeofInotifyEvent+length, len(events))
		if !bytes.HasPrefix(events[unix.SizeofInotifyEvent:end], []byte(draft)) {
			return false
		}
		events = events[end:]
	}
	return true
}
