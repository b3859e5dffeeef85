package process

import (
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of an Output: how much is kept, and how long LastLine waits for
// pending output.
const (
	outputKept = 1 << 10
	outputWait = 20 * time.Millisecond
)

// Output keeps the end of a command's output, at most 1 KiB. It never makes the
// command wait, and needs one goroutine and no thread.
type Output struct {
	read, write *os.File
	kept        chan []byte // receives one value, after everything has been read
}

// NewOutput returns an Output for Command.Output.
func NewOutput() (*Output, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_ = unix.SetNonblock(fds[0], true) // only the reader's end: the command's writes may block
	o := &Output{os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output"), make(chan []byte, 1)}
	go func() { o.kept <- tail(o.read) }()
	return o, nil
}

// Started closes this process's copy of the end that the command writes to.
func (o *Output) Started() { o.write.Close() }

// LastLine returns the last printed line, without surrounding white space, or
// "" if there was no output. It closes the Output. It does not wait for
// processes that the command left behind and that keep the pipe open.
func (o *Output) LastLine() string {
	o.write.Close()
	_ = o.read.SetReadDeadline(time.Now().Add(outputWait))
	text := strings.TrimSpace(string(<-o.kept))
	o.read.Close()
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// tail returns the end of what can be read from r until a read fails.
func tail(r io.Reader) []byte {
	var kept []byte
	buffer := make([]byte, outputKept)
	for {
		n, err := r.Read(buffer)
		kept = append(kept, buffer[:n]...)
		kept = kept[max(0, len(kept)-outputKept):]
		if err != nil {
			return kept
		}
	}
}
