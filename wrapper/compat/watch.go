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

// How long the watch sleeps without a notification.
const (
	pollEvery   = 100 * time.Millisecond // without an inotify instance, or without the directory
	rescanEvery = 5 * time.Second        // in addition to inotify, in case that misses a change
)

// noticed contains the inotify events of a change. Other containers write in
// place (CLOSE_WRITE) or by a rename (MOVED_TO).
const noticed = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_MOVED_TO |
	unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// ended contains the events after which an inotify watch reports nothing more.
const ended = unix.IN_IGNORED | unix.IN_UNMOUNT | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF

// Watch sends the tombstones of these names in a graveyard to out: immediately
// those that exist, even if the map is empty, and again after each change. The
// map omits tombstones that cannot be read or are being written. A map belongs
// to its reader.
//
// It blocks until ctx ends, and no error ends it earlier: without the
// directory, or without an inotify instance (inotify(7): by default 128 for
// each user of a node), it reads the tombstones ten times per second.
func Watch(ctx context.Context, dir string, names []string, out chan<- map[string]Tombstone) {
	var watch *os.File
	var sent map[string]Tombstone
	for ctx.Err() == nil {
		if watch == nil {
			watch = inotify(dir)
		}
		// Reading must follow the start of the watch, so that no change is missed in
		// between.
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

// Read returns the tombstones of these names that can be read now.
func Read(dir string, names []string) map[string]Tombstone {
	found := map[string]Tombstone{}
	for _, name := range names {
		if t, err := ReadTombstone(filepath.Join(dir, name)); err == nil {
			found[name] = t
		}
	}
	return found
}

// inotify watches a directory. It returns nil if that is not possible.
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

// sleep waits for a change, the next read or the end of ctx. It returns the
// watch to continue with, or nil if the watch can no longer be used.
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
	stop := context.AfterFunc(ctx, func() { _ = watch.SetReadDeadline(time.Unix(1, 0)) }) // in the worst case, the next rescan ends it
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

// over reports whether inotify events include one after which no more will
// come. An event is a struct of 16 bytes, with the mask at offset 4 and the
// length of the name that follows it at offset 12.
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
