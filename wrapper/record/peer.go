package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSize limits how much of a record is read.
const maxSize = 64 << 10

// Peer is another container's record.
type Peer struct {
	State
	Alive bool // its wrapper lives, or the command that replaced it and kept the record open
}

// Gone reports whether the incarnation is over without a recorded exit: its
// wrapper was killed, or had been replaced by the command.
func (p Peer) Gone() bool { return !p.Alive && p.Exit == nil }

// Read reads the record in dir, a container's directory. The error is
// os.ErrNotExist if there is no record of this sandbox; other errors describe
// the problem. Regardless of what a container has put there, Read neither
// blocks nor reads more than 64 KiB.
func Read(dir string) (Peer, error) {
	p, err := readNoted(dir)
	if err != nil {
		return Peer{}, err
	}
	return p, nil
}

// readNoted is Read, except that a Peer with an error still reports whether the
// record is held.
func readNoted(dir string) (Peer, error) {
	p, f, err := read(filepath.Join(dir, name))
	if err != nil {
		return p, err
	}
	f.Close()
	return p.noted(dir), nil
}

// noted adds the note that a preStop hook may have left next to the record.
func (p Peer) noted(dir string) Peer {
	if _, err := os.Lstat(filepath.Join(dir, stopping+p.incarnation())); err == nil {
		p.Stopping = true
	}
	return p
}

// rounds limits how often read opens a record that is being replaced.
const rounds = 100

// read reads a record and leaves its file open. A wrapper closes a record only
// after the next one is in place, so a record that is not held and has been
// replaced does not indicate a death. With an error, the Peer reports only
// whether the record is held.
func read(path string) (Peer, *os.File, error) {
	for range rounds {
		f, err := open(path)
		if err != nil {
			return Peer{}, nil, err
		}
		p := Peer{Alive: held(f, alive)}
		if !p.Alive && replaced(path, f) {
			f.Close()
			continue
		}
		if p.State, err = decode(f); err == nil && p.stale() {
			err = fmt.Errorf("read record: of an earlier sandbox: %w", os.ErrNotExist)
		}
		if err != nil {
			f.Close()
			return Peer{Alive: p.Alive}, nil, err
		}
		if p.Process != nil {
			if held(f, waiting) {
				p.State = p.beforeStart()
			} else if replaced(path, f) { // released because the exec failed
				f.Close()
				continue
			}
		}
		return p, f, nil
	}
	return Peer{Alive: true}, nil, fmt.Errorf("read record: replaced %d times meanwhile", rounds)
}

// Ended returns how often the container's command has ended, according to the
// record. lives reports whether a command runs that has replaced the wrapper
// and no longer holds the record.
func (p Peer) Ended(lives bool) int {
	if p.Started && p.Exit == nil && (p.Alive || p.Process != nil && lives) {
		return max(0, p.Starts-1)
	}
	return p.Starts
}

// beforeStart returns the state of a container whose command is about to
// replace the wrapper.
func (s State) beforeStart() State {
	s.Phase, s.Started, s.Ready, s.StartedAt, s.ReadyAt, s.Process = "starting", false, false, Moment{}, Moment{}, nil
	s.Starts--
	return s
}

// replaced reports whether another file has taken f's name.
func replaced(path string, f *os.File) bool {
	now, err := os.Lstat(path)
	if err != nil {
		return false
	}
	was, err := f.Stat()
	return err == nil && !os.SameFile(now, was)
}

// open opens a record for reading, regardless of the kind of file under its
// name.
func open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, errors.New("open record: not a regular file")
	}
	return f, nil
}

// decode returns the content of a record.
func decode(f *os.File) (State, error) {
	var s State
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = errors.New("larger than 64 KiB")
	}
	if err == nil {
		err = one(data, &s)
	}
	if err == nil && s.Exit != nil && (s.Exit.Code < 0 || s.Exit.Code > 255) {
		err = fmt.Errorf("exit code %d is not between 0 and 255", s.Exit.Code)
	}
	if err != nil {
		return State{}, fmt.Errorf("read record: %w", err)
	}
	s.Phase, s.Trouble, s.StoppedBy = oneLine(s.Phase), oneLine(s.Trouble), oneLine(s.StoppedBy)
	for i := range s.For {
		s.For[i] = oneLine(s.For[i])
	}
	if s.Exit != nil {
		s.Exit.Reason = oneLine(s.Exit.Reason)
	}
	return s, nil
}

// one decodes one JSON value. It ignores unknown fields: a container that was
// restarted may run a later release of the wrapper than its peers, whose
// records have more fields.
func one(data []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(to); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the record")
	}
	return nil
}

// held reports whether any process holds a write lock on a byte of f.
func held(f *os.File, at int64) bool {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l)
	return err == nil && l.Type == unix.F_WRLCK
}

// released blocks until the lock on a byte of f is free.
func released(f *os.File, at int64) {
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1}
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &l)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
