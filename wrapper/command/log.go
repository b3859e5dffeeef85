package command

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// Limits of the log: how many lines wait for a reader, how long the wrapper
// waits at its end for them to be written, and how long it waits after a
// refusal, which has no other output.
const (
	logLines     = 256
	logFlush     = 100 * time.Millisecond
	refusalFlush = 10 * time.Second
)

// logWriter writes lines in a separate goroutine. Standard error may block
// indefinitely, for example if its reader is stuck or a terminal is stopped,
// and the wrapper must still supervise its command. Lines that do not fit are
// dropped and counted.
type logWriter struct {
	to      io.Writer
	begin   sync.Once // starts the goroutine, with the first line
	begun   atomic.Bool
	lines   chan logLine
	dropped int
}

// logLine is a line to write, or a mark to close after all lines before it have
// been written.
type logLine struct {
	text []byte
	mark chan<- struct{}
}

func newLogWriter(to io.Writer) *logWriter {
	return &logWriter{to: to, lines: make(chan logLine, logLines)}
}

// run writes the queued lines.
func (w *logWriter) run() {
	for line := range w.lines {
		if line.mark != nil {
			close(line.mark)
			continue
		}
		_, _ = w.to.Write(line.text) // an error cannot be reported anywhere
	}
}

// Write queues one line. It never blocks. slog calls it for one line at a time.
func (w *logWriter) Write(line []byte) (int, error) {
	w.begin.Do(func() {
		w.begun.Store(true)
		go w.run()
	})
	text := append([]byte(nil), line...)
	if w.dropped > 0 {
		text = append(fmt.Appendf(nil, "koordinator: %d log lines dropped\n", w.dropped), text...)
	}
	select {
	case w.lines <- logLine{text: text}:
		w.dropped = 0
	default:
		w.dropped++
	}
	return len(line), nil
}

// flush waits a moment for the lines so far to be written. More lines may
// follow: goroutines outside the wrapper's loop end only with the process.
func (w *logWriter) flush() { w.flushUntil(time.After(logFlush), nil) }

// flushUntil waits for them until over, or until a signal arrives.
func (w *logWriter) flushUntil(over <-chan time.Time, signals <-chan os.Signal) {
	if !w.begun.Load() {
		return
	}
	mark := make(chan struct{})
	select {
	case w.lines <- logLine{mark: mark}:
	case <-over:
		return
	case <-signals:
		return
	}
	select {
	case <-mark:
	case <-over:
	case <-signals:
	}
}

// logger returns a logger to w, which writes to stderr: stdout belongs to the
// command.
func logger(w io.Writer, s spec.Spec) *slog.Logger {
	level := slog.LevelInfo
	switch s.LogLevel {
	case "error":
		level = slog.LevelError
	case "debug":
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: inUTC}))
	if s.Container != "" {
		log = log.With("container", s.Container)
	}
	return log.With("from", "koordinator")
}

// logTime is RFC 3339 with nanoseconds and a fixed number of digits, so that
// events within one millisecond of a pod can still be ordered.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"

// inUTC formats times in UTC. The wrapper therefore does not depend on the
// image's time zone, which may be missing, and does not have to read it at
// every start.
func inUTC(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.StringValue(a.Value.Time().UTC().Format(logTime))
	}
	return a
}
