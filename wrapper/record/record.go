// Package record keeps what a container's wrapper is doing in a file of its
// own, where "koordinator gate" in the same container reads it.
//
// The kernel vouches for the file: the wrapper holds an OFD write lock on its
// first byte as long as it lives, and one on its second byte as long as its
// command has not been started (fcntl(2), "Open file description locks"). So a
// reader can sleep until the start without polling, and a record left by an
// earlier incarnation is known for what it is.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// name is the record's file name in its directory.
const name = "record"

// The bytes that are locked.
const (
	alive   = 0 // while the wrapper lives
	waiting = 1 // while the command has not been started
)

// State is what a record says.
type State struct {
	Phase string    `json:"phase"`         // a lifecycle state: waiting, running, …
	For   []string  `json:"for,omitempty"` // what a waiting container waits for
	Since time.Time `json:"since"`         // when this incarnation began
}

// Record is the record of one incarnation, held by its wrapper.
type Record struct {
	path  string
	file  *os.File // the last written; the one before it stays open once the command runs
	since time.Time
}

// Create replaces an earlier incarnation's record in dir by a waiting one.
func Create(dir string) (*Record, error) {
	r := &Record{path: filepath.Join(dir, name), since: time.Now()}
	if err := r.write(State{Phase: "waiting"}, true); err != nil {
		return nil, err
	}
	return r, nil
}

// Waiting records what the container waits for.
func (r *Record) Waiting(reasons []string) error {
	return r.write(State{Phase: "waiting", For: reasons}, true)
}

// Started records that the command has been started. The gate passes at once,
// also where the volume is full and the rest cannot be written.
func (r *Record) Started() error {
	if err := setLock(r.file, waiting, unix.F_UNLCK); err != nil {
		return fmt.Errorf("open the gate: %w", err)
	}
	return r.write(State{Phase: "running"}, false)
}

// write makes a new file, locks it, and only then puts it in the old one's
// place: a reader never sees a record without its locks.
func (r *Record) write(s State, wait bool) error {
	s.Since = r.since
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), ".record-*")
	if err != nil {
		return fmt.Errorf("make record: %w", err)
	}
	if err := fill(f, data, wait); err != nil {
		return discard(f, err)
	}
	if err := os.Rename(f.Name(), r.path); err != nil {
		return discard(f, err)
	}
	if r.file != nil && wait {
		r.file.Close() // whoever sleeps on its lock wakes, and looks for this one
	}
	r.file = f
	return nil
}

func discard(f *os.File, err error) error {
	f.Close()
	os.Remove(f.Name())
	return fmt.Errorf("write record: %w", err)
}

// fill writes and locks a record that nobody can see yet.
func fill(f *os.File, data []byte, wait bool) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := setLock(f, alive, unix.F_WRLCK); err != nil {
		return err
	}
	if wait {
		return setLock(f, waiting, unix.F_WRLCK)
	}
	return nil
}

func setLock(f *os.File, at int64, kind int16) error {
	l := unix.Flock_t{Type: kind, Start: at, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l)
}
