package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Grave is the place of one incarnation's tombstone. It must be used by a
// single goroutine.
type Grave struct {
	path  string
	born  time.Time
	since time.Time
}

// OpenGrave replaces an earlier incarnation's tombstone with an empty one, and
// must be called before anything else. Readers then see that the container
// lives again, and an unwritable graveyard shows immediately rather than when
// other containers wait for a death. OpenGrave creates the directory if it does
// not exist.
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

// Since returns when an earlier incarnation was last known to run, or the zero
// time if this is the first one. It is the argument of Tombstone.Dead.
func (g *Grave) Since() time.Time { return g.since }

// Born records that the command has started.
func (g *Grave) Born(now time.Time) error {
	g.born = now
	return g.write(Tombstone{Born: now})
}

// Died records that the container ends, with the exit code that it reports: the
// command's, or the wrapper's if the command never ran. Containers that wait
// for the death are notified in both cases.
func (g *Grave) Died(now time.Time, code int) error {
	return g.write(Tombstone{Born: g.born, Died: now, ExitCode: &code})
}

// write replaces the tombstone in one step: kubexit reads a file as soon as it
// is created, and a rename counts as a creation. kubexit compares the exact
// file name, so it ignores the temporary files.
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

// replace writes a new file and renames it. The file is readable for other
// users, because other containers may run as other users.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".koordinator-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// overwrite writes in place, like kubexit: for a full volume, and for a
// directory in which only this file is writable.
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
