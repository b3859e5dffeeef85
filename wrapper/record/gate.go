package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxSize bounds what is read of a record.
const maxSize = 64 << 10

// retry is how long the gate sleeps when there is no living record, which
// lasts from a container's start until its wrapper has made one.
const retry = 20 * time.Millisecond

// Gate blocks until the command of the container whose record is in dir has
// been started, at most for the time given, and at most for first where the
// wrapper is younger than that. The error is the sentence to show: what the
// container waits for, and for how long it has.
func Gate(dir string, first, most time.Duration) error {
	path := filepath.Join(dir, name)
	if s, err := read(path); err != nil || time.Since(s.Since) < first {
		most = first
	}
	over := time.After(most)
	for {
		select {
		case started := <-attempt(path):
			if started {
				return nil
			}
		case <-over:
			return sentence(path)
		}
		select {
		case <-time.After(retry):
		case <-over:
			return sentence(path)
		}
	}
}

// attempt sleeps in the kernel until the present record's waiting lock is free,
// and tells whether its wrapper still holds it then: if so the command was
// started, else the record was replaced or is a dead one. Its goroutine ends
// with the process when neither ever happens.
func attempt(path string) <-chan bool {
	result := make(chan bool, 1)
	go func() {
		f, err := open(path)
		if err != nil {
			result <- false
			return
		}
		defer f.Close()
		result <- living(f) && released(f) && living(f)
	}()
	return result
}

// released blocks until the waiting lock is free.
func released(f *os.File) bool {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: waiting, Len: 1}
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &l)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// open opens a record for reading, whatever stands under its name.
func open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// living tells whether a wrapper holds this record.
func living(f *os.File) bool {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: alive, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l)
	return err == nil && l.Type == unix.F_WRLCK
}

// sentence says why the gate is still shut.
func sentence(path string) error {
	s, err := read(path)
	if err != nil {
		return fmt.Errorf("koordinator is not running in this container yet: %w", err)
	}
	waited := time.Since(s.Since).Round(time.Second)
	if len(s.For) == 0 {
		return fmt.Errorf("not started yet, %s", waited)
	}
	return fmt.Errorf("waiting for %s, %s", strings.Join(s.For, ", "), waited)
}

// read reads a record.
func read(path string) (State, error) {
	f, err := open(path)
	if err != nil {
		return State{}, err
	}
	defer f.Close()
	if !living(f) {
		return State{}, errors.New("the record is that of an earlier run")
	}
	var s State
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = errors.New("larger than 64 KiB")
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return State{}, fmt.Errorf("read record: %w", err)
	}
	return s, nil
}
