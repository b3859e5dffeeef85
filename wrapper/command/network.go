package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// self is this process's own program, even after its file has been replaced.
const self = "/proc/self/exe"

// networkPath returns the file of the network program: this program if it has
// the network linked in, otherwise the file next to it.
func (c command) networkPath() string {
	if c.linked != nil {
		return self
	}
	own, err := os.Readlink(self)
	if err != nil {
		own = spec.Binary // the webhook's choice
	}
	return filepath.Join(filepath.Dir(own), spec.NetworkName)
}

// networkCommand returns the command that runs the network program. It does not
// inherit the container's environment, which may contain proxies, and values
// that the Go runtime does not accept. One processor is enough for one
// connection.
func networkCommand(path, task string, d *process.Dialog) process.Command {
	return process.Command{
		Argv: []string{spec.NetworkName, task}, Path: path, Dir: "/",
		Env: []string{"GOMAXPROCS=1"}, Dialog: d,
	}
}

// network implements spec.Network for an invocation without the wrapper's loop.
func (c command) network(ctx context.Context, task string, input []byte, line func([]byte) error) error {
	d, err := process.NewDialog(input)
	if err != nil {
		return err
	}
	code, err := process.Converse(ctx, networkCommand(c.networkPath(), task, d), line)
	return spec.NetworkFailure(ctx, err, code)
}

// program is a run of the network program alongside the wrapper's loop.
type program struct {
	*process.Child
	*process.Dialog
}

// task runs as the network program: it performs one task, whose input is on
// standard input.
func (c command) task() int {
	if c.linked == nil {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("%s: this program has no network support: use the file %s of koordinator's image", c.name, spec.NetworkName))
	}
	if len(c.args) != 1 {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("%s is started by koordinator with one task, got %q", spec.NetworkName, c.args))
	}
	out := newLogWriter(c.stderr)
	defer out.flush()
	log := func(container, level string) *slog.Logger {
		return logger(out, spec.Spec{Container: container, LogLevel: level})
	}
	return c.linked(c.args[0], os.Stdin, c.stdout, out, log)
}
