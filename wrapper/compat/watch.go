package compat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// How long the watch sleeps when nobody tells it of a change.
const (
	pollEvery   = 100 * time.Millisecond // no inotify instance, or no directory yet
	rescanEvery = 5 * time.Second        // the safety net beside inotify
)

// noticed are the changes inotify tells of. Others write in place (CLOSE_WRITE)
// or by rename (MOVED_TO).
const noticed = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_MOVED_TO |
	unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// ended are the events after which an inotify watch tells of nothing more.
const ended = unix.IN_IGNORED | unix.IN_UNMOUNT | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF

// Watch sends the tombstones of these names in a graveyard on out: at once those
// that are there, an empty map too, and whenever one of them has changed. What
// cannot be read, or is being written, is not in the map. A map belongs to its
// reader.
//
// It blocks until ctx ends, and no error ends it before: where there is no
// directory, or no inotify instance to be had (inotify(7): 128 for each user of
// a node by default), it looks ten times a second.
func Watch(ctx context.Context, dir string, names []string, out chan<- map[string]Tombstone) {
	var watch *os.File
	var sent map[string]Tombstone
	for ctx.Err() == nil {
		if watch == nil {
			watch = inotify(dir)
		}
		// Only now is it read: nothing can change between the two unnoticed.
		if now := Read(dir, names); sent == nil || !same(sent, now) {
			select {
			case out <- now:
				sent = maps.Clone(now)
			case <-ctx.Done():
			}
		}
		watch = sleep(ctx, watch)
	}
	if watch != nil {
		watch.Close()
	}
}

// Read is the tombstones of these names that can be read now.
func Read(dir string, names []string) map[string]Tombstone {
	found := map[string]Tombstone{}
	for _, name := range names {
		if t, err := ReadTombstone(filepath.Join(dir, name)); err == nil {
			found[name] = t
		}
	}
	return found
}

// inotify watches a directory, nil where that cannot be.
func inotify(dir string) *os.File {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, noticed); err != nil {
		watch.Close()
		return nil
	}
	return watch
}

// sleep waits for a change, the next look or the end of ctx. It returns the
// watch to go on with, nil when it is of no use any more.
func sleep(ctx context.Context, watch *os.File) *os.File {
	if watch == nil {
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
		}
		return nil
	}
	if err := watch.SetReadDeadline(time.Now().Add(rescanEvery)); err != nil {
		watch.Close()
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = watch.SetReadDeadline(time.Unix(1, 0)) }) // at worst the next look ends it
	defer stop()
	var buffer [64 * (unix.SizeofInotifyEvent + unix.NAME_MAX + 1)]byte
	n, err := watch.Read(buffer[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return watch
	}
	if err != nil || over(buffer[:n]) {
		watch.Close()
		return nil
	}
	return watch
}

// over tells whether a read of inotify events says that no more will come. An
// event is a struct of 16 bytes, with the mask at 4 and at 12 the length of the
// name that follows it.
func over(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask, length := binary.NativeEndian.Uint32(events[4:]), binary.NativeEndian.Uint32(events[12:])
		if mask&ended != 0 {
			return true
		}
		events = events[min(len(events), unix.SizeofInotifyEvent+int(length)):]
	}
	return false
}

func same(a, b map[string]Tombstone) bool {
	return maps.EqualFunc(a, b, func(s, t Tombstone) bool { return bytes.Equal(s.Encode(), t.Encode()) })
}
