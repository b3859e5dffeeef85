package process

import (
	"bufio"
	"os"

	"golang.org/x/sys/unix"
)

// maxLine is the longest line of a Dialog in bytes: a report on the largest pod
// there can be has less.
const maxLine = 4 << 20

// Dialog is the pipes of a program that reads its input to the end and prints
// lines. It takes no thread.
type Dialog struct {
	input       []byte
	feed, lines *os.File    // this process's ends
	theirs      [2]*os.File // the program's descriptors 0 and 1
}

// NewDialog is a Dialog for Command.Dialog.
func NewDialog(input []byte) (*Dialog, error) {
	in, feed, err := newPipe(1)
	if err != nil {
		return nil, err
	}
	lines, out, err := newPipe(0)
	if err != nil {
		in.Close()
		feed.Close()
		return nil, err
	}
	return &Dialog{input, feed, lines, [2]*os.File{in, out}}, nil
}

// newPipe is a pipe that no other program is given. Waiting for the end of it that
// is ours (0: to read) takes no thread; the other one blocks, as programs expect.
func newPipe(ours int) (read, write *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	_ = unix.SetNonblock(fds[ours], true)
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// fd is the program's descriptor n as this process has it.
func (d *Dialog) fd(n int) uintptr { return d.theirs[n].Fd() }

// Started closes this process's copies of the program's ends, and gives it its
// input.
func (d *Dialog) Started() {
	for _, f := range d.theirs {
		f.Close()
	}
	go func() {
		_, _ = d.feed.Write(d.input) // a program that does not read it says why
		d.feed.Close()
	}()
}

// Lines gives each line the program prints to line, until its output ends or
// line returns an error, which Lines returns. It ends the Dialog.
func (d *Dialog) Lines(line func([]byte) error) error {
	defer d.Close()
	scanner := bufio.NewScanner(d.lines)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if err := line(scanner.Bytes()); err != nil {
			return err
		}
	}
	return scanner.Err()
}

// Close ends the Dialog, also one of a program that did not start.
func (d *Dialog) Close() {
	for _, f := range []*os.File{d.theirs[0], d.theirs[1], d.feed, d.lines} {
		f.Close()
	}
}
