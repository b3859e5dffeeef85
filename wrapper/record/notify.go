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

// The events that make a look at a directory worthwhile: a record was renamed
// into it, made, removed or overwritten in place, or its holder closed it. The
// kernel closes the files of a process that was killed.
const (
	ofRecords = unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE
	ofDirs    = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// change is what has changed below a directory.
type change struct {
	names map[string]bool // the directories in it; true: somebody who could write has closed a file there
	all   bool            // it is not known where
}

// notify reports changes in the named directories below dir, also of those that
// are not there yet, until ctx ends. A pending message takes in later changes. A
// change before notify returned is not reported.
func notify(ctx context.Context, dir string, names []string) (<-chan change, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch records: %w", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	n := notifier{fd: fd, dir: dir, names: names, watched: map[int]string{}}
	if _, err := unix.InotifyAddWatch(fd, dir, ofDirs); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch records: %w", err)
	}
	if err := n.watchAll(); err != nil {
		f.Close()
		return nil, err
	}
	out := make(chan change, 1)
	go n.read(ctx, f, out)
	context.AfterFunc(ctx, func() { f.Close() }) // ends the read
	return out, nil
}

// notifier is one inotify instance. Only the goroutine of read uses it once
// that runs.
type notifier struct {
	fd      int
	dir     string
	names   []string
	watched map[int]string // watch descriptor → directory
}

// watchAll watches each directory that is there. To watch one again changes
// nothing.
func (n notifier) watchAll() error {
	for _, name := range n.names {
		wd, err := unix.InotifyAddWatch(n.fd, filepath.Join(n.dir, name), ofRecords|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW)
		switch {
		case err == nil:
			n.watched[wd] = name
		case !errors.Is(err, unix.ENOENT):
			return fmt.Errorf("watch the records of %s: %w", name, err)
		}
	}
	return nil
}

// read reports changes until f is closed.
func (n notifier) read(ctx context.Context, f *os.File, out chan change) {
	events := make([]byte, 4096)
	var pace pace
	for {
		size, err := f.Read(events)
		if err != nil {
			return
		}
		pace.wait(ctx, 0)
		c := n.changed(events[:size])
		if c.all {
			_ = n.watchAll() // the slow rescan sees what this may miss
		}
		if c.all || len(c.names) > 0 {
			send(out, c)
		}
	}
}

// changed is what events (inotify(7)) are about. Those of a draft count for
// nothing: it is not in its place yet.
func (n notifier) changed(events []byte) change {
	c := change{names: map[string]bool{}}
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(events)))
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:])) // of the name, padded
		end := min(unix.SizeofInotifyEvent+length, len(events))
		file := events[unix.SizeofInotifyEvent:end]
		events = events[end:]
		name, known := n.watched[wd]
		switch {
		case !known || mask&unix.IN_IGNORED != 0: // dir itself, one that was removed, or an overflow
			c.all = true
		case !bytes.HasPrefix(file, []byte(draft)):
			c.names[name] = c.names[name] || mask&unix.IN_CLOSE_WRITE != 0
		}
	}
	return c
}

// send sends a change together with one that is still pending. Nobody else sends
// to out, so there is room.
func send(out chan change, c change) {
	select {
	case before := <-out:
		c.all = c.all || before.all
		for name, closed := range before.names {
			c.names[name] = c.names[name] || closed
		}
	default:
	}
	out <- c
}
