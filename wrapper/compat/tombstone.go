package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxTombstone limits how much of a tombstone is read, in bytes. kubexit's have
// about 100.
const maxTombstone = 64 << 10

// unknownCode is reported for a death without a usable code: for a command that
// a signal ended, kubexit writes -1, and itself exits with 255.
const unknownCode = 255

// Tombstone is the state of a container that kubexit publishes, in YAML:
//
//	Born: "2020-05-06T07:08:09.123456789Z"
//	Died: "2020-05-06T07:09:10.987654321Z"
//	ExitCode: 0
//
// Unknown fields are omitted; an empty tombstone is {}.
type Tombstone struct {
	Born     time.Time // when its command started; zero: not yet
	Died     time.Time // when its command exited, or when it became certain that it never starts; zero: not yet
	ExitCode *int      // nil: not known
}

// Dead reports whether the container has died, and with which exit code.
//
// The graveyard outlives a container's restart, so a tombstone may be from an
// incarnation whose death has already been acted upon. since is when an earlier
// incarnation of the reader was last known to run (Grave.Since), or zero if
// there was none. A failure before that time is stale: if it had been
// permanent, neither container would have been started again. A success still
// counts: under restartPolicy OnFailure it is permanent, and only the reader
// was started again.
func (t Tombstone) Dead(since time.Time) (code int, dead bool) {
	if t.Died.IsZero() {
		return 0, false
	}
	code = unknownCode
	if t.ExitCode != nil && *t.ExitCode >= 0 && *t.ExitCode <= 255 {
		code = *t.ExitCode
	}
	stale := code != 0 && !since.IsZero() && !t.Died.After(since)
	return code, !stale
}

// latest returns the latest time in the tombstone.
func (t Tombstone) latest() time.Time {
	if t.Died.After(t.Born) {
		return t.Died
	}
	return t.Born
}

// Encode returns the tombstone as kubexit writes it, byte for byte.
func (t Tombstone) Encode() []byte {
	var b bytes.Buffer
	if !t.Born.IsZero() {
		fmt.Fprintf(&b, "Born: %q\n", t.Born.Format(time.RFC3339Nano))
	}
	if !t.Died.IsZero() {
		fmt.Fprintf(&b, "Died: %q\n", t.Died.Format(time.RFC3339Nano))
	}
	if t.ExitCode != nil {
		fmt.Fprintf(&b, "ExitCode: %d\n", *t.ExitCode)
	}
	if b.Len() == 0 {
		return []byte("{}\n")
	}
	return b.Bytes()
}

// ReadTombstone reads the tombstone at path, regardless of the kind of file: it
// neither follows a link nor waits for a pipe, and reads at most 64 KiB.
func ReadTombstone(path string) (Tombstone, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return Tombstone{}, fmt.Errorf("open tombstone %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return Tombstone{}, fmt.Errorf("read tombstone %s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTombstone+1))
	if err != nil {
		return Tombstone{}, fmt.Errorf("read tombstone: %w", err)
	}
	t, err := ParseTombstone(data)
	if err != nil {
		return Tombstone{}, fmt.Errorf("read tombstone %s: %w", path, err)
	}
	return t, nil
}

// ParseTombstone parses a tombstone's text: flat YAML as kubexit writes it, or
// JSON. As in kubexit, keys are not case-sensitive, and unknown keys are
// ignored. An empty text is an error, because kubexit truncates the file before
// it writes.
func ParseTombstone(text []byte) (Tombstone, error) {
	switch {
	case len(text) > maxTombstone:
		return Tombstone{}, fmt.Errorf("larger than %d bytes", maxTombstone)
	case bytes.IndexByte(text, 0) >= 0:
		return Tombstone{}, errors.New("not a text")
	case strings.HasPrefix(strings.TrimSpace(string(text)), "{"):
		return parseJSON(text)
	}
	fields, err := parseFlat(string(text))
	if err != nil {
		return Tombstone{}, err
	}
	var t Tombstone
	if err := fields.time("born", &t.Born); err != nil {
		return Tombstone{}, err
	}
	if err := fields.time("died", &t.Died); err != nil {
		return Tombstone{}, err
	}
	if err := fields.int("exitcode", &t.ExitCode); err != nil {
		return Tombstone{}, err
	}
	return t, nil
}

func parseJSON(text []byte) (Tombstone, error) {
	var fields struct {
		Born, Died *time.Time
		ExitCode   *int
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return Tombstone{}, err
	}
	t := Tombstone{ExitCode: fields.ExitCode}
	if fields.Born != nil {
		t.Born = *fields.Born
	}
	if fields.Died != nil {
		t.Died = *fields.Died
	}
	return t, nil
}

// time parses a time like encoding/json, which kubexit uses. Year 1 means no
// time.
func (f flat) time(key string, to *time.Time) error {
	v, ok := f[key]
	if !ok {
		return nil
	}
	if err := to.UnmarshalText([]byte(v.text)); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (f flat) int(key string, to **int) error {
	v, ok := f[key]
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || v.quoted {
		return fmt.Errorf("%s: %q is no number", key, v.text)
	}
	*to = &n
	return nil
}
