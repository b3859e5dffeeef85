package command

import (
	"context"
	"errors"
	"fmt"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// prestop runs the container's preStop hook. Before that, it notifies the
// containers that hold for this one, because the kubelet sends the stop request
// only after the hook.
func (c command) prestop([]string) int {
	s, err := c.spec()
	if err != nil {
		return c.fail(spec.ExitBadConfig, err.Error())
	}
	if err := record.Stopping(c.recordDir); err != nil {
		fmt.Fprintln(c.stderr, "koordinator: other containers do not know that this one is stopping:", err)
	}
	if s.PreStop == nil {
		return 0
	}
	if err := c.handlers().Hook(context.Background(), *s.PreStop, c.runner()); err != nil {
		if exit, ok := errors.AsType[exitError](err); ok && exit.code > 0 {
			return exit.code
		}
		return c.fail(1, "preStop hook: "+err.Error())
	}
	return 0
}

// exitError is the error for a command that ended with a code other than 0.
type exitError struct {
	program string
	code    int
}

// Error names the program and the code.
func (e exitError) Error() string { return fmt.Sprintf("%q: exit code %d", e.program, e.code) }

// exec runs a hook or probe outside the wrapper. The kubelet shows its output.
func (c command) exec(ctx context.Context, argv []string) error {
	s, err := c.spec()
	if err != nil {
		return err
	}
	code, err := process.Run(ctx, process.Command{Argv: argv, Env: c.childEnviron(s)})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%q: %w", argv[0], ctx.Err())
	case code != 0:
		return exitError{argv[0], code}
	}
	return nil
}

// runner returns the Runner for invocations outside the wrapper, where nothing
// else reaps processes.
func (c command) runner() probe.Runner { return probe.Runner{Command: c.exec, Network: c.network} }

// handlers returns the functions that run a container's probes and hooks.
func (c command) handlers() handlers { return handlers{c.getenv(spec.EnvPodIP)} }

// handlers is package probe with the pod's address.
type handlers struct{ podIP string }

func (n handlers) Check(ctx context.Context, h spec.Handler, run probe.Runner) error {
	return probe.Check(ctx, h, n.podIP, run)
}

func (n handlers) Hook(ctx context.Context, h spec.Handler, run probe.Runner) error {
	return probe.Hook(ctx, h, n.podIP, run)
}

func (n handlers) Ask(ctx context.Context, endpoint string, run probe.Runner) error {
	return probe.Ask(ctx, endpoint, run)
}

func (n handlers) Send(ctx context.Context, r spec.Request, run probe.Runner) error {
	return probe.Send(ctx, r, run)
}
