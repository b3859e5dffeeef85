package record

import (
	"os"
	"path/filepath"
)

// Noted reports whether the preStop hook of this incarnation runs, or has run.
// The kubelet's stop request follows it.
func (r *Record) Noted() bool {
	_, err := os.Lstat(filepath.Join(r.dir, stopping+r.last.incarnation()))
	return err == nil
}

// Waits reports whether the command has not started. It must be called in the
// same container. It returns true for the record of an earlier incarnation,
// because the present wrapper has only just begun.
func (p Peer) Waits() bool { return p.Exit == nil && !p.Started || !p.lives() }

// Ends reports whether the wrapper ends the container: it stops the command, or
// the command has exited and the container is about to exit.
func (p Peer) Ends() bool { return p.Ending || p.Exit != nil }
