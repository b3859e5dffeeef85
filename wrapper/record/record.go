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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
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
	waiting = 1 // while the command has not been started; see Record.Update for Process
)

// State is what a record says.
type State struct {
	Phase      string   `json:"phase"`                   // a lifecycle.State
	For        []string `json:"for,omitempty"`           // what a waiting or holding container waits for
	StateSince Moment   `json:"stateSince,omitzero"`     // when the phase began
	Since      Moment   `json:"since"`                   // when this incarnation began; tells it from others
	Run        int      `json:"run,omitempty"`           // of the pod in its sandbox: how often all its containers were restarted together
	Sandbox    uint64   `json:"sandbox,omitempty"`       // of the pod that it began in; 0: not known
	Started    bool     `json:"started,omitempty"`       // the command was started in this incarnation
	Before     bool     `json:"startedBefore,omitempty"` // or in an earlier one
	StartedAt  Moment   `json:"startedAt,omitzero"`      // when it was
	Ready      bool     `json:"ready,omitempty"`         // its probes have passed
	Trouble    string   `json:"trouble,omitempty"`       // why they last have not
	Stopping   bool     `json:"stopping,omitempty"`      // it has been asked to stop
	Ending     bool     `json:"ending,omitempty"`        // by its wrapper
	Exit       *Exit    `json:"exit,omitempty"`          // how it ended; nil: it has not, or was killed

	// KilledForGood tells whether the container, when it is killed together with
	// its wrapper, is not started again.
	KilledForGood bool `json:"killedForGood,omitempty"`
	// RestartsAll tells whether the exit, or without one being killed, restarts all
	// containers of the pod.
	RestartsAll bool `json:"restartsAll,omitempty"`
	// Process is set where the command has taken the wrapper's place. It may
	// close the record and still live. Readers see it, and what else the same
	// record says of the start, only once the kernel runs the command.
	Process *Process `json:"process,omitempty"`
}

// code is the exit code, or that of one that is killed as it is now.
func (s State) code() int {
	if s.Exit == nil {
		return killed
	}
	return s.Exit.Code
}

// Exit is how an incarnation ended.
type Exit struct {
	Code    int    `json:"code"` // as reported to the kubelet
	ForGood bool   `json:"forGood"`
	Stopped bool   `json:"stopped,omitempty"` // the wrapper stopped the command or kept it from running: no success
	Reason  string `json:"reason,omitempty"`  // when the wrapper decided the end
}

// incarnation is the number that tells one incarnation from others.
func (s State) incarnation() string { return strconv.FormatInt(int64(s.Since.Boot), 10) }

// Record is the record of one incarnation, held by its wrapper.
type Record struct {
	dir     string
	restart spec.Restart
	last    State
	file    *os.File // the present one
	shut    *os.File // the present one again, if the command is about to take the wrapper's place
	gate    *os.File // the one before the start: whoever sleeps on its lock looks whether we live
}

// Create replaces an earlier incarnation's record in dir by one that waits,
// and clears what else was left. All containers' records are in directories of
// peers; restart is what the kubelet does when this container ends.
func Create(dir, peers string, restart spec.Restart) (*Record, error) {
	r := &Record{dir: dir, restart: restart}
	r.last = State{Since: Now(), Sandbox: sandbox(), Run: nextRun(dir, peers), KilledForGood: restart.ForGood(killed)}
	if p, err := Read(dir); err == nil && p.Run == r.last.Run {
		r.last.Before = p.Started || p.Before
	}
	r.clear()
	if err := r.Update(State{Phase: "waiting"}); err != nil {
		return nil, err
	}
	return r, nil
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
//
// A state with a Process is about a command that is yet to take the wrapper's
// place, which may fail. Its waiting lock is held through a descriptor that is
// closed by the execution of the command: that opens the gate. Until then, and
// if another state follows, the command was not started.
func (r *Record) Update(s State) error {
	s.Since, s.Sandbox, s.StartedAt = r.last.Since, r.last.Sandbox, r.last.StartedAt
	s.Before, s.KilledForGood, s.Run = r.last.Before, r.last.KilledForGood, r.last.Run
	if s.StateSince = r.last.StateSince; s.Phase != r.last.Phase {
		s.StateSince = Now()
	}
	s.RestartsAll = r.restart.Rule(s.code()) == restartAll
	starts := s.Started && !r.last.Started
	if starts {
		s.StartedAt = Now()
	}
	if starts && s.Process == nil && r.file != nil {
		if err := setLock(r.file, waiting, unix.F_UNLCK); err != nil {
			return fmt.Errorf("open the gate: %w", err)
		}
	}
	f, shut, err := r.replace(s)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if s.Process == nil {
		r.last = s
	}
	r.adopt(f, shut, starts)
	return nil
}

// adopt keeps the files of the present record, and of the one before if the gate
// may have to be told by it that the wrapper lives.
func (r *Record) adopt(f, shut *os.File, starts bool) {
	switch {
	case f == r.file || r.file == nil:
	case starts && r.gate == nil:
		r.gate = r.file
	default:
		r.file.Close() // whoever sleeps on its lock wakes, and looks for the new one
	}
	if r.shut != nil {
		r.shut.Close()
	}
	r.file, r.shut = f, shut
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
