package record

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// retry is how long the gate sleeps if there is no living record, which is the
// case between a container's start and the creation of its record.
const retry = 20 * time.Millisecond

// Gate blocks until the command of the container whose record is in dir has
// started, and returns the time of the start. It blocks for a limited time, of
// which first and most are the bounds; with most = 0, it blocks indefinitely. The
// error is then the sentence to show: what the container waits for, and for how
// long.
func Gate(dir string, first, most time.Duration) (time.Time, error) {
	path := filepath.Join(dir, name)
	if most > 0 {
		most = min(most, max(first, 2*waited(dir)))
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

// waited returns how long the living incarnation has existed, or 0 if none
// lives. A call that blocks for twice that time fails soon after the container's
// start, whenever the kubelet calls first, and rarely later.
func waited(dir string) time.Duration {
	p, err := Read(dir)
	if err != nil || !p.lives() {
		return 0
	}
	return p.Since.Age()
}

// attempt blocks in the kernel until the present record's waiting lock is free,
// and sends the time of the command's start. A zero time means that the record
// was replaced or is dead. If neither happens, the goroutine ends with the
// process.
func attempt(path string) <-chan time.Time {
	result := make(chan time.Time, 1)
	go func() { result <- passed(path) }()
	return result
}

// passed is the blocking part of attempt.
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
		case next: // by the record of the start, or of a later state
		case over:
			return time.Time{}
		default: // the record does not show the start yet, and never will if the volume is full
			return time.Now()
		}
	}
}

// startedAt returns when the command of the living incarnation was started, or
// the zero time if it was not or no incarnation lives.
func (p Peer) startedAt() time.Time {
	if !p.Started || !p.lives() {
		return time.Time{}
	}
	return p.StartedAt.Local()
}

// lives reports whether the record is that of the present incarnation. It must
// be called in the same container.
func (p Peer) lives() bool { return p.Alive || p.Process.lives() }

// sentence returns the reason why the gate is still closed.
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
	return fmt.Errorf("waiting %s for: %s", waited, strings.Join(p.For, ", "))
}
