// Package record publishes the state of a container's wrapper in a file that
// the other containers of the pod, and programs in the same container, can
// read.
//
// A running wrapper holds an OFD write lock on the file's first byte, and one
// on its second byte until its command has started (fcntl(2), "Open file
// description locks"). A reader can block until either lock is released.
// Because it can open the file only for reading, it cannot take such a lock
// itself and therefore cannot forge a running wrapper. Readers recognize the
// record of an earlier incarnation, and ignore one from an earlier sandbox of
// the pod.
//
// A container can read all directories but write only to its own:
//
//	RECORDS/NAME/record           the record; every change replaces it by a rename
//	RECORDS/NAME/spare            room for a record when the volume is full; created by Prepare
//	RECORDS/NAME/stopping-NUMBER  the preStop hook of that incarnation runs
package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
	stopping = "stopping-" // followed by the incarnation
	draft    = ".record"
)

// room is how much space a record has for certain once its file exists: one
// page, the smallest unit that a file system allocates.
const room = 4096

// The bytes that carry locks.
const (
	alive   = 0 // while the wrapper lives
	waiting = 1 // until the command has started; see Record.Update for Process
)

// State is the content of a record.
type State struct {
	Phase      string   `json:"phase"`                   // a lifecycle.State
	For        []string `json:"for,omitempty"`           // what a waiting container waits for, or which exits a holding one
	StateSince Moment   `json:"stateSince,omitzero"`     // when the phase began
	Since      Moment   `json:"since"`                   // when this incarnation began; identifies the incarnation
	Run        int      `json:"run,omitempty"`           // how often all containers of the pod were restarted together in this sandbox
	Sandbox    uint64   `json:"sandbox,omitempty"`       // the pod's sandbox in which it began; 0: not known
	Started    bool     `json:"started,omitempty"`       // the command has been started in this incarnation
	Before     bool     `json:"startedBefore,omitempty"` // the command has been started in an earlier incarnation
	Starts     int      `json:"starts,omitempty"`        // how often the command has been started in this run, in all incarnations
	StartedAt  Moment   `json:"startedAt,omitzero"`      // when the command was started
	Ready      bool     `json:"ready,omitempty"`         // its probes have passed, or its command has reported that it is ready
	ReadyAt    Moment   `json:"readyAt,omitzero"`        // when it first became ready
	Trouble    string   `json:"trouble,omitempty"`       // why it is not ready
	Stopping   bool     `json:"stopping,omitempty"`      // it has received a stop request
	StoppingAt Moment   `json:"stoppingAt,omitzero"`     // when its stop began, by a stop request or by its wrapper
	StoppedBy  string   `json:"stoppedBy,omitempty"`     // what caused the stop: containers, separated by commas, a signal, or a hook
	Ending     bool     `json:"ending,omitempty"`        // its wrapper stops the command, or the command has exited
	Exit       *Exit    `json:"exit,omitempty"`          // how it ended; nil: it has not ended, or was killed
	ExitedAt   Moment   `json:"exitedAt,omitzero"`       // when it exited

	// KilledForGood reports whether the container permanently exits if it is
	// killed together with its wrapper.
	KilledForGood bool `json:"killedForGood,omitempty"`
	// RestartsAll reports whether the exit restarts all containers of the pod.
	// Without an Exit it refers to being killed.
	RestartsAll bool `json:"restartsAll,omitempty"`
	// Process is set if the command has replaced the wrapper. The command may
	// close the record and still live. Readers see Process, and the other fields
	// about the start in the same record, only after the kernel has executed the
	// command.
	Process *Process `json:"process,omitempty"`
}

// code returns the exit code, or the exit code if the container were killed
// now.
func (s State) code() int {
	if s.Exit == nil {
		return killed
	}
	return s.Exit.Code
}

// Exit is how an incarnation ended.
type Exit struct {
	Code    int    `json:"code"` // as the kubelet sees it
	ForGood bool   `json:"forGood"`
	Stopped bool   `json:"stopped,omitempty"` // the wrapper stopped the command or kept it from running: no success
	Reason  string `json:"reason,omitempty"`  // if the wrapper decided the exit
}

// incarnation returns the number that identifies an incarnation.
func (s State) incarnation() string { return strconv.FormatInt(int64(s.Since.Boot), 10) }

// Record is the record of one incarnation. Its wrapper holds it.
type Record struct {
	dir     string
	restart spec.Restart
	last    State
	file    *os.File // the present file
	shut    *os.File // the present file, opened again, if the command is about to replace the wrapper
	gate    *os.File // the file before the start: a reader that waits for its lock then checks whether the wrapper lives
}

// Create replaces an earlier incarnation's record in dir with one of a waiting
// container, and removes other leftovers. peers contains the directories of all
// containers' records. restart decides what the kubelet does when this
// container ends.
func Create(dir, peers string, restart spec.Restart) (*Record, error) {
	r := &Record{dir: dir, restart: restart}
	r.last = State{Since: Now(), Sandbox: sandbox(), Run: nextRun(dir, peers), KilledForGood: restart.ForGood(killed)}
	if p, err := Read(dir); err == nil && p.Run == r.last.Run {
		r.last.Before, r.last.Starts = p.Started || p.Before, p.Starts
	}
	r.clear()
	if err := r.Update(State{Phase: "waiting"}); err != nil {
		return nil, err
	}
	return r, nil
}

// clear removes files that killed wrappers and hooks have left.
func (r *Record) clear() {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return // creating the record reports the reason
	}
	for _, e := range entries {
		if e.Name() == draft || strings.HasPrefix(e.Name(), stopping) {
			_ = os.Remove(filepath.Join(r.dir, e.Name())) // harmless if it remains
		}
	}
}

// Update records a new state. It fills in the fields that stay the same for the
// whole incarnation. The gate opens with the first state that is Started, even
// if the rest cannot be written.
//
// A state with a Process describes a command that is about to replace the
// wrapper, which may fail. Its waiting lock is held through a descriptor that
// the exec of the command closes, which opens the gate. Until then, and if
// another state follows, the command has not started.
func (r *Record) Update(s State) error {
	s.Since, s.Sandbox = r.last.Since, r.last.Sandbox
	s.Before, s.KilledForGood, s.Run, s.Starts = r.last.Before, r.last.KilledForGood, r.last.Run, r.last.Starts
	s.RestartsAll = r.restart.Rule(s.code()) == restartAll
	starts := s.Started && !r.last.Started
	if starts {
		s.Starts++
	}
	s.stamp(r.last)
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

// stamp sets the times at which the conditions in s became true. last is the
// previous state of the incarnation.
func (s *State) stamp(last State) {
	now := Now()
	first := func(is bool, before Moment) Moment {
		if is && before.IsZero() {
			return now
		}
		return before
	}
	s.StateSince = first(true, last.StateSince)
	if s.Phase != last.Phase {
		s.StateSince = now
	}
	s.StartedAt = first(s.Started, last.StartedAt)
	s.ReadyAt = first(s.Ready, last.ReadyAt)
	s.StoppingAt = first(s.Stopping || s.Ending && s.StoppedBy != "", last.StoppingAt)
	s.ExitedAt = first(s.Exit != nil, last.ExitedAt)
}

// adopt keeps the files of the present record. It also keeps the previous file
// if a waiting gate may have to see from it that the wrapper lives.
func (r *Record) adopt(f, shut *os.File, starts bool) {
	switch {
	case f == r.file || r.file == nil:
	case starts && r.gate == nil:
		r.gate = r.file
	default:
		r.file.Close() // readers that wait for its lock wake and look for the new file
	}
	if r.shut != nil {
		r.shut.Close()
	}
	r.file, r.shut = f, shut
}

// encode encodes a state, in at most room bytes.
func encode(s State) []byte {
	if s.Exit != nil {
		short := *s.Exit
		short.Reason = oneLine(short.Reason)
		s.Exit = &short
	}
	s.Trouble, s.StoppedBy = oneLine(s.Trouble), oneLine(s.StoppedBy)
	s.For = shortened(s.For)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("encode texts and numbers: " + err.Error()) // cannot happen
	}
	return b.Bytes()
}

// Limits of the list of what a container waits for: names of at most 63 bytes
// with a condition, and endpoints with a reason.
const (
	maxFor      = 30   // items
	maxForBytes = 2200 // in total
	maxForItem  = 200  // per item
)

// shortened returns the list within these limits.
func shortened(all []string) []string {
	var list []string
	bytes := 0
	for i, item := range all {
		item = cut(item, maxForItem)
		if bytes += len(item); i == maxFor || bytes > maxForBytes {
			return append(list, "others")
		}
		list = append(list, item)
	}
	return list
}

// oneLine returns the first line of text, at most 300 bytes, without control
// characters, which a terminal would interpret: a container's texts appear in
// the records and logs of others.
func oneLine(text string) string { return cut(text, 300) }

// cut is oneLine with another maximum.
func cut(text string, most int) string {
	line, _, _ := strings.Cut(text, "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return strings.ToValidUTF8(line, "?")
}

// Inherit with true keeps the record's lock when the command replaces the
// wrapper. With false it reverts that.
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

// Stopping records that the preStop hook begins now in the container whose record
// is in dir. The wrapper does not know this yet.
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
	_, _ = fmt.Fprint(note, int64(Now().Boot)) // the note also counts without its time, on a full volume
	return note.Close()
}

// Prepare empties dir, which contains the records of a whole pod, and creates a
// directory with a spare file for each name. Any user may write to these
// directories, but each container has only its own one mounted writable.
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
	if err := os.Chmod(dir, 0o777); err != nil { // regardless of the umask
		return err
	}
	path := filepath.Join(dir, spare)
	if err := os.WriteFile(path, bytes.Repeat([]byte(" "), room), 0o666); err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}
