package process

import (
	"bufio"
	"os"

	"golang.org/x/sys/unix"
)

// maxLine is the maximum length of a Dialog's line, in bytes. The report on the
// largest possible pod is shorter.
const maxLine = 4 << 20

// Dialog contains the pipes to a program that reads its input to the end and
// prints lines. It needs no thread.
type Dialog struct {
	input       []byte
	feed, lines *os.File    // this process's ends
	theirs      [2]*os.File // the program's descriptors 0 and 1
}

// NewDialog returns a Dialog for Command.Dialog.
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

// newPipe returns a pipe that other programs do not inherit. The end ours of
// this process (0 for reading) is nonblocking, so that waiting for it needs no
// thread; the other end blocks, as programs expect.
func newPipe(ours int) (read, write *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	_ = unix.SetNonblock(fds[ours], true)
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

// fd returns this process's descriptor for the program's descriptor n.
func (d *Dialog) fd(n int) uintptr { return d.theirs[n].Fd() }

// Started closes this process's copies of the program's ends, and sends the
// program its input.
func (d *Dialog) Started() {
	for _, f := range d.theirs {
		f.Close()
	}
	go func() {
		_, _ = d.feed.Write(d.input) // a program that does not read its input reports the reason itself
		d.feed.Close()
	}()
}

// Lines calls line with each line that the program prints, until its output
// ends or line returns an error, which Lines returns. It closes the Dialog.
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

// Close closes the Dialog, including one whose program did not start.
func (d *Dialog) Close() {
	for _, f := range []*os.File{d.theirs[0], d.theirs[1], d.feed, d.lines} {
		f.Close()
	}
}
