package wrapper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// helper is a process that runs alongside the command: a hook, a probe, or the
// network program.
type helper struct {
	Child

	network bool
	ended   chan<- process.Exit // capacity 1
}

// runner runs helpers.
func (l *loop) runner() probe.Runner { return probe.Runner{Command: l.exec, Network: l.network} }

// errOver is the error of a helper that does not start because the run has
// ended.
var errOver = errors.New("the run is over")

// begin starts a helper in the loop and returns the channel that reports its
// end.
func (l *loop) begin(network bool, start func() (Child, error)) (<-chan process.Exit, error) {
	ended := make(chan process.Exit, 1)
	began := make(chan error, 1)
	taken := l.call(func() {
		child, err := start()
		if err == nil {
			l.helpers = append(l.helpers, helper{child, network, ended})
		}
		began <- err
	})
	if !taken {
		return nil, errOver
	}
	return ended, <-began
}

// exec runs a command alongside the container's own and returns its failure
// with the last line of its output. The command is killed when ctx ends.
func (l *loop) exec(ctx context.Context, argv []string) error {
	var h Helper
	ended, err := l.begin(false, func() (_ Child, err error) {
		h, err = l.Kernel.Run(argv)
		return h, err
	})
	if err != nil {
		return err
	}
	select {
	case e := <-ended:
		return result(argv, e.Code, h.LastLine())
	case <-ctx.Done():
		l.call(func() { l.send(h.SignalGroup, syscall.SIGKILL) })
		h.LastLine()
		return fmt.Errorf("%q: %w", argv[0], context.Cause(ctx))
	}
}

// result returns the failure of a command that has ended, or nil if it
// succeeded.
func result(argv []string, code int, lastLine string) error {
	switch {
	case code == 0:
		return nil
	case lastLine == "":
		return fmt.Errorf("%q: exit code %d", argv[0], code)
	default:
		return fmt.Errorf("%q: exit code %d: %s", argv[0], code, lastLine)
	}
}

// network implements spec.Network: it runs the network program alongside the
// command. When the run ends, it returns before the program has exited.
func (l *loop) network(ctx context.Context, task string, input []byte, line func([]byte) error) error {
	var p Program
	ended, err := l.begin(true, func() (_ Child, err error) {
		p, err = l.Kernel.Network(task, input)
		return p, err
	})
	if err != nil {
		return err
	}
	kill := func() { l.call(func() { l.send(p.SignalGroup, syscall.SIGKILL) }) }
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	if err = p.Lines(line); err != nil {
		kill()
	}
	select {
	case e := <-ended:
		return spec.NetworkFailure(ctx, err, e.Code)
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

// reapHelpers passes on the exits of helpers.
func (l *loop) reapHelpers(exits []process.Exit) {
	running := l.helpers[:0]
	for _, h := range l.helpers {
		if e, ok := h.Ended(exits); ok {
			h.ended <- e
			continue
		}
		running = append(running, h)
	}
	l.helpers = running
}

// killPrograms kills all running network programs.
func (l *loop) killPrograms() {
	for _, h := range l.helpers {
		if h.network {
			l.send(h.SignalGroup, syscall.SIGKILL)
		}
	}
}

// endPrograms kills all running network programs and waits until they are gone.
// The command that is about to replace the wrapper must not inherit children
// that it does not know.
func (l *loop) endPrograms() {
	l.sources.watchStatus(false)
	l.killPrograms()
	for l.reapHelpers(l.Kernel.Reap()); slices.ContainsFunc(l.helpers, func(h helper) bool { return h.network }); {
		<-l.Children
		l.reapHelpers(l.Kernel.Reap())
	}
}
