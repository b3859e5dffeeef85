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
	if p, err := Read(dir); most > 0 && (err != nil || !p.lives() || time.Since(p.Since) < first) {
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
	go func() {
		p, f, err := read(path)
		if err != nil {
			result <- time.Time{}
			return
		}
		defer f.Close()
		if p.lives() && p.Process == nil && !p.Started {
			released(f, waiting)
			if !living(f) {
				result <- time.Time{}
				return
			}
			// The record says so a moment later, unless the volume is full.
			p.Started, p.StartedAt = true, time.Now()
		}
		if !p.lives() || !p.Started {
			p.StartedAt = time.Time{}
		}
		result <- p.StartedAt
	}()
	return result
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
	waited := time.Since(p.Since).Round(time.Second)
	if len(p.For) == 0 {
		return fmt.Errorf("not started yet, %s", waited)
	}
	return fmt.Errorf("waiting for %s, %s", strings.Join(p.For, ", "), waited)
}
