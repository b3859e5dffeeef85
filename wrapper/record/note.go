package record

import (
	"os"
	"path/filepath"
)

// Noted reports whether the preStop hook of this incarnation runs, or has run:
// the kubelet's stop request follows it.
func (r *Record) Noted() bool {
	_, err := os.Lstat(filepath.Join(r.dir, stopping+r.last.incarnation()))
	return err == nil
}

// Waits reports whether the command has not been started, to a reader in the
// same container: also where the record is that of an earlier incarnation, since
// this one's wrapper has only just begun.
func (p Peer) Waits() bool { return p.Exit == nil && !p.Started || !p.lives() }

// Ends reports whether the wrapper itself ends the container: it stops the
// command, or the command has exited and the rest is being done.
func (p Peer) Ends() bool { return p.Ending || p.Exit != nil }
