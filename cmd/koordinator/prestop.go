package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// prestop runs the container's preStop hook, and lets the containers that hold
// for this one know before: the kubelet asks it to stop only after the hook.
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
	if err := c.hook(context.Background(), *s.PreStop); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
			return exit.ExitCode()
		}
		return c.fail(1, "preStop hook: "+err.Error())
	}
	return 0
}

// hook does what a hook says; the kubelet bounds it by the grace period.
func (c command) hook(ctx context.Context, h spec.Handler) error {
	switch {
	case h.Exec != nil:
		return c.exec(ctx, h.Exec.Command)
	case h.HTTP != nil:
		return c.network().Hook(ctx, *h.HTTP)
	case h.Sleep != nil:
		time.Sleep(time.Duration(h.Sleep.Seconds) * time.Second)
	}
	return nil
}

// exec runs a hook or probe outside the wrapper, where no reaper is in the way.
// What it prints is the kubelet's to show.
func (c command) exec(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = c.childEnviron()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("%q: not done in time", argv[0])
	}
	if err != nil {
		return fmt.Errorf("%q: %w", argv[0], err)
	}
	return nil
}

// network asks what can be asked over the network.
func (c command) network() network { return network{c.getenv(spec.EnvPodIP)} }

// network is package probe with the pod's address.
type network struct{ podIP string }

func (n network) Check(ctx context.Context, h spec.Handler) error {
	return probe.Check(ctx, h, n.podIP)
}

func (n network) Hook(ctx context.Context, g spec.HTTPGet) error { return probe.Hook(ctx, g, n.podIP) }

func (n network) Send(ctx context.Context, r spec.Request) error { return probe.Send(ctx, r) }
