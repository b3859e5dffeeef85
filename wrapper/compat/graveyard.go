package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Grave is where one incarnation's tombstone stands. Its methods are for one
// goroutine.
type Grave struct {
	path  string
	born  time.Time
	since time.Time
}

// OpenGrave puts an empty tombstone in the place of an earlier incarnation's,
// before anything else is done: readers are told that the container lives again,
// and a graveyard that cannot be written to shows at once and not when the
// others wait for a death. It makes the directory where there is none.
func OpenGrave(dir, name string) (*Grave, error) {
	g := &Grave{path: filepath.Join(dir, name)}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make graveyard: %w (mount a volume there that the containers share, and set %s to its path)", err, envGraveyard)
	}
	if before, err := ReadTombstone(g.path); err == nil {
		g.since = before.latest()
	}
	if err := g.write(Tombstone{}); err != nil {
		return nil, err
	}
	return g, nil
}

// Since is when an earlier incarnation was last known to run, zero when this is
// the first. What Tombstone.Dead asks for.
func (g *Grave) Since() time.Time { return g.since }

// Born records that the command was started.
func (g *Grave) Born(now time.Time) error {
	g.born = now
	return g.write(Tombstone{Born: now})
}

// Died records that the container ends, with the exit code it reports: that of
// the command, or ours where the command never ran. Those that wait for the
// death are told in either case.
func (g *Grave) Died(now time.Time, code int) error {
	return g.write(Tombstone{Born: g.born, Died: now, ExitCode: &code})
}

// write replaces the tombstone as a whole: kubexit reads a file as soon as it is
// created, and takes a rename for that. It looks at files by their exact name,
// so that it does not care for ours before they are renamed.
func (g *Grave) write(t Tombstone) error {
	text := t.Encode()
	err := replace(g.path, text)
	if err == nil {
		return nil
	}
	if overwrite(g.path, text) == nil {
		return nil
	}
	return fmt.Errorf("write tombstone: %w (make %s a directory that the container's user can write to)", err, filepath.Dir(g.path))
}

// replace writes a new file and renames it into place, readable for other
// users, as the other containers may be.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".koordinator-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left there once it was renamed
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// overwrite writes in place, as kubexit does: for a full volume, and for a
// directory in which only the file may be written.
func overwrite(path string, data []byte) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Open(path, flags, 0o644)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(data)))
}
