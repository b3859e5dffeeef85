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

// maxSize bounds what is read of a record.
const maxSize = 64 << 10

// Peer is another container's record as it is found.
type Peer struct {
	State
	Alive bool // its wrapper lives, or the command that took its place and kept the record open
}

// Gone tells that the incarnation is over without a word: its wrapper was
// killed, or had left its place to the command.
func (p Peer) Gone() bool { return !p.Alive && p.Exit == nil }

// Read reads the record in dir, a container's directory. An error is
// os.ErrNotExist where there is none of this sandbox, else it says what is wrong
// with it.
// Whatever a container has put there, Read neither blocks nor reads more than
// 64 KiB.
func Read(dir string) (Peer, error) {
	p, err := readNoted(dir)
	if err != nil {
		return Peer{}, err
	}
	return p, nil
}

// readNoted is Read, whose Peer with an error says only whether somebody holds
// the record.
func readNoted(dir string) (Peer, error) {
	p, f, err := read(filepath.Join(dir, name))
	if err != nil {
		return p, err
	}
	f.Close()
	return p.noted(dir), nil
}

// noted adds what a hook has noted beside the record.
func (p Peer) noted(dir string) Peer {
	if _, err := os.Lstat(filepath.Join(dir, stopping+p.incarnation())); err == nil {
		p.Stopping = true
	}
	return p
}

// rounds bounds how often a record is opened that is replaced meanwhile.
const rounds = 100

// read reads a record and leaves its file open. A wrapper closes a record only
// once the next one is in its place: one that nobody holds and that was replaced
// says nothing of a death. With an error the Peer says only whether somebody
// holds the record.
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
			} else if replaced(path, f) { // let go of because the execution failed
				f.Close()
				continue
			}
		}
		return p, f, nil
	}
	return Peer{Alive: true}, nil, fmt.Errorf("read record: replaced %d times meanwhile", rounds)
}

// beforeStart is the state of a container whose command is about to take the
// wrapper's place.
func (s State) beforeStart() State {
	s.Phase, s.Started, s.Ready, s.StartedAt, s.Process = "starting", false, false, Moment{}, nil
	return s
}

// replaced tells whether another file has taken f's name.
func replaced(path string, f *os.File) bool {
	now, err := os.Lstat(path)
	if err != nil {
		return false
	}
	was, err := f.Stat()
	return err == nil && !os.SameFile(now, was)
}

// open opens a record for reading, whatever stands under its name.
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

// decode reads what a record says.
func decode(f *os.File) (State, error) {
	var s State
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = errors.New("larger than 64 KiB")
	}
	if err == nil {
		err = strict(data, &s)
	}
	if err == nil && s.Exit != nil && (s.Exit.Code < 0 || s.Exit.Code > 255) {
		err = fmt.Errorf("exit code %d is not between 0 and 255", s.Exit.Code)
	}
	if err != nil {
		return State{}, fmt.Errorf("read record: %w", err)
	}
	s.Phase, s.Trouble = oneLine(s.Phase), oneLine(s.Trouble)
	for i := range s.For {
		s.For[i] = oneLine(s.For[i])
	}
	if s.Exit != nil {
		s.Exit.Reason = oneLine(s.Exit.Reason)
	}
	return s, nil
}

// strict decodes one JSON value of which every field is known.
func strict(data []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the record")
	}
	return nil
}

// held tells whether somebody holds a write lock on a byte of f.
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
