package record

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Noted reports whether the preStop hook of this incarnation runs, or has run.
// The kubelet's stop request follows it.
func (r *Record) Noted() bool {
	_, err := os.Lstat(r.note())
	return err == nil
}

// SinceNoted returns how long ago this hook began, or 0 if that is not known, for
// example because the volume is full.
func (r *Record) SinceNoted() time.Duration {
	f, err := open(r.note())
	if err != nil {
		return 0
	}
	defer f.Close()
	data, _ := io.ReadAll(io.NewSectionReader(f, 0, maxSize))
	boot, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, Moment{Boot: time.Duration(boot)}.Age())
}

// note returns the path of the note that Stopping writes.
func (r *Record) note() string { return filepath.Join(r.dir, stopping+r.last.incarnation()) }

// Waits reports whether the command has not started. It must be called in the
// same container. It returns true for the record of an earlier incarnation,
// because the present wrapper has only just begun.
func (p Peer) Waits() bool { return p.Exit == nil && !p.Started || !p.lives() }

// Ends reports whether the wrapper ends the container: it stops the command, or
// the command has exited and the container is about to exit.
func (p Peer) Ends() bool { return p.Ending || p.Exit != nil }
