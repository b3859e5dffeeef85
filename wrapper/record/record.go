// Package record keeps what a container's wrapper is doing in a file, where
// the other containers of the pod, and programs in the same container, read it.
//
// The kernel vouches for the file: the wrapper holds an OFD write lock on its
// first byte as long as it lives, and one on its second byte as long as its
// command has not been started (fcntl(2), "Open file description locks"). A
// reader can sleep until either is released; and since it has the file open
// for reading only, it cannot take such a lock itself and feign a life. A record
// left by an earlier incarnation is known for what it is, and one left in an
// earlier sandbox of the pod counts as none.
//
// A container can write in its own directory alone and read all of them:
//
//	RECORDS/NAME/record           the record, replaced by renaming at every change
//	RECORDS/NAME/spare            room for a record when the volume is full; only Prepare makes it
//	RECORDS/NAME/stopping-NUMBER  the preStop hook of that incarnation runs
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// Names of the files in a container's directory.
const (
	name     = "record"
	spare    = "spare"
	stopping = "stopping-" // and the incarnation
	draft    = ".record"
)

// room is how much space a record is sure to have once its file is there: a
// page, which no file system gives away in smaller parts.
const room = 4096

// The bytes that are locked.
const (
	alive   = 0 // while the wrapper lives
	waiting = 1 // while the command has not been started
)

// State is what a record says.
type State struct {
	Phase     string    `json:"phase"`                   // a lifecycle.State
	For       []string  `json:"for,omitempty"`           // what a waiting or holding container waits for
	Since     time.Time `json:"since"`                   // when this incarnation began; tells it from others
	Sandbox   uint64    `json:"sandbox,omitempty"`       // of the pod that it began in; 0: not known
	Started   bool      `json:"started,omitempty"`       // the command was started in this incarnation
	Before    bool      `json:"startedBefore,omitempty"` // or in an earlier one
	StartedAt time.Time `json:"startedAt,omitzero"`      // when it was
	Ready     bool      `json:"ready,omitempty"`         // its probes have passed
	Trouble   string    `json:"trouble,omitempty"`       // why they last have not
	Stopping  bool      `json:"stopping,omitempty"`      // it has been asked to stop
	Exit      *Exit     `json:"exit,omitempty"`          // how it ended; nil: it has not, or was killed

	// KilledForGood tells whether the container, when it is killed together with
	// its wrapper, is not started again.
	KilledForGood bool `json:"killedForGood,omitempty"`
	// Process is set where the command has taken the wrapper's place. It may
	// close the record and still live.
	Process *Process `json:"process,omitempty"`
}

// Exit is how an incarnation ended.
type Exit struct {
	Code    int    `json:"code"` // as reported to the kubelet
	ForGood bool   `json:"forGood"`
	Stopped bool   `json:"stopped,omitempty"` // the wrapper stopped the command or kept it from running: no success
	Reason  string `json:"reason,omitempty"`  // when the wrapper decided the end
}

// incarnation is the number that tells one incarnation from others.
func (s State) incarnation() string { return strconv.FormatInt(s.Since.UnixNano(), 10) }

// Record is the record of one incarnation, held by its wrapper.
type Record struct {
	dir  string
	last State
	file *os.File // the present one
	gate *os.File // the one before the start: whoever sleeps on its lock looks whether we live
}

// Create replaces an earlier incarnation's record in dir by one that waits,
// and clears what else was left. killedForGood goes into every state.
func Create(dir string, killedForGood bool) (*Record, error) {
	r := &Record{dir: dir}
	r.last = State{Since: time.Now(), Sandbox: sandbox(), KilledForGood: killedForGood, Before: startedBefore(dir)}
	r.clear()
	if err := r.Update(State{Phase: "waiting"}); err != nil {
		return nil, err
	}
	return r, nil
}

// startedBefore tells whether an incarnation before, in this sandbox, has
// started its command.
func startedBefore(dir string) bool {
	f, err := open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	s, err := decode(f)
	return err == nil && !s.stale() && (s.Started || s.Before)
}

// clear removes what killed wrappers and hooks have left.
func (r *Record) clear() {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return // making the record will say why
	}
	for _, e := range entries {
		if e.Name() == draft || strings.HasPrefix(e.Name(), stopping) {
			_ = os.Remove(filepath.Join(r.dir, e.Name())) // at worst it stays
		}
	}
}

// Update records a new state. What is the same in every state of the
// incarnation is filled in. The gate opens with the first one that is Started,
// also where the rest cannot be written.
func (r *Record) Update(s State) error {
	s.Since, s.Sandbox, s.StartedAt = r.last.Since, r.last.Sandbox, r.last.StartedAt
	s.Before, s.KilledForGood = r.last.Before, r.last.KilledForGood
	starts := s.Started && !r.last.Started
	if starts {
		s.StartedAt = time.Now()
	}
	if starts && r.file != nil {
		if err := setLock(r.file, waiting, unix.F_UNLCK); err != nil {
			return fmt.Errorf("open the gate: %w", err)
		}
	}
	f, err := r.replace(encode(s), !s.Started)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	r.last = s
	switch {
	case f == r.file || r.file == nil:
	case starts:
		r.gate = r.file
	default:
		r.file.Close() // whoever sleeps on its lock wakes, and looks for the new one
	}
	r.file = f
	return nil
}

// encode writes a state, in less than room.
func encode(s State) []byte {
	if s.Exit != nil {
		short := *s.Exit
		short.Reason = oneLine(short.Reason)
		s.Exit = &short
	}
	s.Trouble = oneLine(s.Trouble)
	if len(s.For) > maxFor {
		s.For = append(slices.Clone(s.For[:maxFor]), "others")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("encode texts and numbers: " + err.Error()) // cannot happen
	}
	return b.Bytes()
}

// maxFor bounds what a container tells it waits for: names of 63 bytes at most,
// with a condition.
const maxFor = 30

// oneLine is the first line of text, at most 300 bytes, without what a terminal
// would obey. A container's words go through others' records and logs.
func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return strings.ToValidUTF8(line, "?")
}

// replace writes a new file, locks it, and only then gives it a name, in the old
// one's place: nobody can open a record before its locks are held. On a full
// volume it makes do with the room there is.
func (r *Record) replace(data []byte, wait bool) (*os.File, error) {
	f, err := r.unnamed()
	if err == nil {
		if err = fill(f, data, wait); err == nil {
			err = r.name(f)
		}
		if err == nil {
			return f, nil
		}
		f.Close()
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return nil, err
	}
	if r.file != nil {
		return r.file, overwrite(r.file, data)
	}
	if f, err = r.reuse(spare, data, wait); err == nil {
		return f, nil
	}
	return r.reuse(name, data, wait) // an earlier incarnation's
}

// unnamed makes a file in the directory that has no name yet (O_TMPFILE), or a
// draft's where the file system knows no such files.
func (r *Record) unnamed() (*os.File, error) {
	fd, err := unix.Open(r.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return os.OpenFile(filepath.Join(r.dir, draft), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	}
	if err != nil {
		return nil, &os.PathError{Op: "make a file in", Path: r.dir, Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(r.dir, draft)), nil
}

// name gives a file the record's name. A link cannot replace another file, a
// renaming can.
func (r *Record) name(f *os.File) error {
	path := filepath.Join(r.dir, draft)
	if info, err := f.Stat(); err == nil && linked(info) {
		return os.Rename(path, filepath.Join(r.dir, name))
	}
	_ = os.Remove(path) // of a wrapper that was killed right here
	from := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: path, Err: err}
	}
	return os.Rename(path, filepath.Join(r.dir, name))
}

// linked tells whether a file has a name.
func linked(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 0
}

// reuse makes the first record of an incarnation on a full volume, of a file
// that is there.
func (r *Record) reuse(file string, data []byte, wait bool) (*os.File, error) {
	path := filepath.Join(r.dir, file)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the volume is full, and open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	err = lock(f, wait)
	if err == nil {
		err = overwrite(f, data)
	}
	if err == nil && file != name {
		err = os.Rename(path, filepath.Join(r.dir, name))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("the volume is full, and reuse %s: %w", path, err)
	}
	return f, nil
}

// overwrite writes a record in the place of another in the same file. A reader
// in between sees a broken one, and then this one.
func overwrite(f *os.File, data []byte) error {
	if len(data) > room {
		return fmt.Errorf("the volume is full, and the record has more than %d bytes", room)
	}
	padded := append(bytes.Clone(data), bytes.Repeat([]byte(" "), room-len(data))...)
	_, err := f.WriteAt(padded, 0)
	return err
}

// fill writes and locks a record that nobody can see yet.
func fill(f *os.File, data []byte, wait bool) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return lock(f, wait)
}

// lock takes the locks of a wrapper.
func lock(f *os.File, wait bool) error {
	if err := setLock(f, alive, unix.F_WRLCK); err != nil {
		return err
	}
	if wait {
		return setLock(f, waiting, unix.F_WRLCK)
	}
	return nil
}

func setLock(f *os.File, at int64, kind int16) error {
	l := unix.Flock_t{Type: kind, Start: at, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l)
}

// Inherit lets the record's lock outlive the wrapper in the command that takes
// its place. With false it does not any more.
func (r *Record) Inherit(yes bool) error {
	flags := unix.FD_CLOEXEC
	if yes {
		flags = 0
	}
	if _, err := unix.FcntlInt(r.file.Fd(), unix.F_SETFD, flags); err != nil {
		return fmt.Errorf("keep the record open: %w", err)
	}
	return nil
}

// Stopping notes that the preStop hook of the container whose record is in dir
// runs. Its wrapper has not heard of it yet.
func Stopping(dir string) error {
	f, err := open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := decode(f)
	if err != nil {
		return err
	}
	note, err := os.OpenFile(filepath.Join(dir, stopping+s.incarnation()), os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("note that the container is stopping: %w", err)
	}
	return note.Close()
}

// Prepare empties dir, the records of a whole pod, and makes a directory with
// a spare file for each name, which any user may write to: each container sees
// its own alone as one it can write.
func Prepare(dir string, names []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clear records: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clear records: %w", err)
		}
	}
	for _, n := range names {
		if err := prepare(filepath.Join(dir, n)); err != nil {
			return fmt.Errorf("make the place of %s's record: %w", n, err)
		}
	}
	return nil
}

func prepare(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
		return err
	}
	path := filepath.Join(dir, spare)
	if err := os.WriteFile(path, bytes.Repeat([]byte(" "), room), 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}
