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

// Bounds of the log: how many lines wait for a reader, how long the end of the
// wrapper waits for them to be written, and how long a refusal does, which has
// nothing else to tell.
const (
	logLines     = 256
	logFlush     = 100 * time.Millisecond
	refusalFlush = 10 * time.Second
)

// logWriter writes lines from a goroutine of its own. Standard error may block
// for ever, when its reader is stuck or a terminal is held, and the wrapper has
// a command to look after: lines that find no room are dropped, and counted.
type logWriter struct {
	to      io.Writer
	begin   sync.Once // of the goroutine, with the first line
	begun   atomic.Bool
	lines   chan logLine
	dropped int
}

// logLine is a line to write, or a mark to close when all before it are.
type logLine struct {
	text []byte
	mark chan<- struct{}
}

func newLogWriter(to io.Writer) *logWriter {
	return &logWriter{to: to, lines: make(chan logLine, logLines)}
}

// run writes what is queued.
func (w *logWriter) run() {
	for line := range w.lines {
		if line.mark != nil {
			close(line.mark)
			continue
		}
		_, _ = w.to.Write(line.text) // there is nobody to tell
	}
}

// Write queues one line. Never blocks; slog calls it for one line at a time.
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

// flush gives the lines so far a moment to be written. Others may come: what
// runs beside the wrapper's loop ends with the process.
func (w *logWriter) flush() { w.flushUntil(time.After(logFlush), nil) }

// flushUntil gives them time until over, or until a signal comes.
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

// logger logs to w, which is stderr in the end: stdout belongs to the command.
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

// inUTC spares the wrapper the image's time zone, which may not be there, and
// the reading of it at every start.
func inUTC(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
