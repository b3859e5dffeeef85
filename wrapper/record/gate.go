package record

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// retry is how long the gate sleeps when there is no living record, which
// lasts from a container's start until its wrapper has made one.
const retry = 20 * time.Millisecond

// Gate blocks until the command of the container whose record is in dir has
// been started, and returns when that was. It blocks at most for the time
// given, and at most for first where the wrapper is younger than that; a most
// of 0 is for ever. The error is then the sentence to show: what the container
// waits for, and for how long it has.
func Gate(dir string, first, most time.Duration) (time.Time, error) {
	path := filepath.Join(dir, name)
	if p, err := Read(dir); most > 0 && (err != nil || !p.lives() || p.Since.Age() < first) {
		most = first
	}
	var over <-chan time.Time
	if most > 0 {
		over = time.After(most)
	}
	for {
		select {
		case at := <-attempt(path):
			if !at.IsZero() {
				return at, nil
			}
		case <-over:
			return time.Time{}, sentence(dir)
		}
		select {
		case <-time.After(retry):
		case <-over:
			return time.Time{}, sentence(dir)
		}
	}
}

// attempt sleeps in the kernel until the present record's waiting lock is free,
// and tells when the command was started if it was. If not, the record was
// replaced or is a dead one. Its goroutine ends with the process when neither
// ever happens.
func attempt(path string) <-chan time.Time {
	result := make(chan time.Time, 1)
	go func() { result <- passed(path) }()
	return result
}

// passed is attempt without an end.
func passed(path string) time.Time {
	for {
		p, f, err := read(path)
		if err != nil {
			return time.Time{}
		}
		if p.Started || !p.lives() {
			f.Close()
			return p.startedAt()
		}
		released(f, waiting)
		over, next := !held(f, alive), replaced(path, f)
		f.Close()
		switch {
		case next: // by the record of the start, or of what has come instead
		case over:
			return time.Time{}
		default: // the record is yet to say so, and never will where the volume is full
			return time.Now()
		}
	}
}

// startedAt is when the living incarnation's command was started, zero where
// there is none or it was not.
func (p Peer) startedAt() time.Time {
	if !p.Started || !p.lives() {
		return time.Time{}
	}
	return p.StartedAt.Local()
}

// lives tells whether the incarnation is the present one, to a reader in the
// same container.
func (p Peer) lives() bool { return p.Alive || p.Process.lives() }

// sentence says why the gate is still shut.
func sentence(dir string) error {
	p, err := Read(dir)
	if err != nil {
		return fmt.Errorf("koordinator is not running in this container yet: %w", err)
	}
	if !p.lives() {
		return fmt.Errorf("koordinator is not running in this container yet: its record is that of an earlier run")
	}
	waited := p.Since.Age().Round(time.Second)
	if len(p.For) == 0 {
		return fmt.Errorf("not started yet, %s", waited)
	}
	return fmt.Errorf("waiting for %s, %s", strings.Join(p.For, ", "), waited)
}
