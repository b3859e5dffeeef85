package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The inotify events after which a directory has to be read: a record in it was
// renamed, created, removed or overwritten in place, or its holder closed it.
// The kernel closes the files of a killed process.
const (
	ofRecords = unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE
	ofDirs    = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

// change describes the changes below a directory.
type change struct {
	names map[string]bool // the changed subdirectories; true: a process with write access has closed a file there
	all   bool            // the changed subdirectories are not known

	failed error // why no more changes are reported
}

// notify reports changes in the named directories below dir, including those
// that do not exist yet, until ctx ends. It merges later changes into a pending
// message. Changes before notify returns are not reported.
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
	release := context.AfterFunc(ctx, func() { f.Close() }) // ends the read
	go func() {
		defer release() // if the read ends before ctx
		n.read(ctx, f, out)
	}()
	return out, nil
}

// notifier is one inotify instance. Once read runs, only its goroutine uses the
// notifier.
type notifier struct {
	fd      int
	dir     string
	names   []string
	watched map[int]string // watch descriptor → directory
}

// watchAll watches each directory that exists. It has no effect on directories
// that are already watched.
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

// read reports changes until f is closed or a directory cannot be watched.
func (n notifier) read(ctx context.Context, f *os.File, out chan change) {
	events := make([]byte, 4096)
	var pace pace
	defer f.Close()
	for {
		size, err := f.Read(events)
		if err != nil {
			return
		}
		pace.wait(ctx, 0)
		c := n.changed(events[:size])
		if c.all {
			c.failed = n.watchAll()
		}
		if c.all || len(c.names) > 0 {
			send(out, c)
		}
		if c.failed != nil {
			return
		}
	}
}

// changed returns the change that events (inotify(7)) describe. It ignores files
// that are not in their place yet: a reader would find the previous record.
func (n notifier) changed(events []byte) change {
	c := change{names: map[string]bool{}}
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(events)))
		mask := binary.NativeEndian.Uint32(events[4:])
		length := int(binary.NativeEndian.Uint32(events[12:])) // of the name, padded
		end := min(unix.SizeofInotifyEvent+length, len(events))
		file := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		events = events[end:]
		dir, known := n.watched[wd]
		switch {
		case !known || mask&unix.IN_IGNORED != 0: // dir itself, a removed directory, or an overflow
			c.all = true
		case mask&unix.IN_CLOSE_WRITE != 0 && file != draft: // perhaps of a record that has been replaced
			c.names[dir] = true
		case file == name || strings.HasPrefix(file, stopping):
			if _, found := c.names[dir]; !found {
				c.names[dir] = false
			}
		}
	}
	return c
}

// send sends a change, merged with one that is still pending. out has room,
// because this is the only sender.
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
