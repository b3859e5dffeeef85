package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	heartbeat = 10 * time.Second // interval of the progress messages of a long step
	tailLines = 30               // lines of output shown for a failed step
	tailBytes = 16 << 10         // bytes of output kept for these lines
)

// console runs commands and reports long steps to the user.
type console struct {
	out   io.Writer
	dir   string   // working directory of every command
	env   []string // environment of every command
	start time.Time
}

// newConsole returns a console and starts its clock, which every line shows.
func newConsole(out io.Writer, dir string) *console {
	return &console{out: out, dir: dir, env: os.Environ(), start: time.Now()}
}

// say prints one line after the time since the start.
func (c *console) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, "%5.0fs  %s\n", time.Since(c.start).Seconds(), fmt.Sprintf(format, args...))
}

// run executes argv, silently unless it takes long. Its error ends with the last lines of
// the command's output. On an interrupt, the command receives SIGTERM.
func (c *console) run(ctx context.Context, label string, argv ...string) error {
	var output tail
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := c.during(label, cmd.Run)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", label, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w\n%s", label, argv[0], err, output.lines(tailLines))
	}
	return nil
}

// during calls f, and reports at each heartbeat that f still runs.
func (c *console) during(label string, f func() error) error {
	c.say("%s", label)
	done := make(chan error, 1)
	go func() { done <- f() }()
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for begin := time.Now(); ; {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			c.say("  … %s, %.0fs", label, time.Since(begin).Seconds())
		}
	}
}

// tail is a writer that keeps the end of the written data.
type tail struct{ kept []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-tailBytes):]
	return len(p), nil
}

// lines returns the last n lines, without the final line break.
func (t *tail) lines(n int) string {
	all := bytes.Split(bytes.TrimRight(t.kept, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-n):], []byte("\n")))
}
