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
