package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"koordinator.io/koordinator/wrapper/probe"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// probe answers the kubelet's liveness or readiness probe in place of the
// container's own, because the wrapper knows more about the container's state.
// While the container waits, liveness passes and readiness fails. While the
// wrapper ends the container, liveness passes. Readiness fails until the
// command has sent its notification, if the spec requires one. In all other
// cases the container's own probe runs, if it has one, with its own timeout.
func (c command) probe(args []string) int {
	if len(args) != 1 || args[0] != spec.LivenessProbe && args[0] != spec.ReadinessProbe {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("probe wants liveness or readiness, have %q", args))
	}
	if err := c.answerProbe(args[0]); err != nil {
		fmt.Fprintln(c.stdout, err) // the kubelet shows it in the pod's events
		return 1
	}
	return 0
}

func (c command) answerProbe(kind string) error {
	s, err := c.spec()
	if err != nil {
		return err
	}
	own, notice := s.Liveness, error(nil)
	if kind == spec.ReadinessProbe {
		own, notice = s.Readiness, c.noticed(s)
	}
	p, err := record.Read(c.recordDir)
	waits := errors.Is(err, os.ErrNotExist) || err == nil && p.Waits() // without a record the wrapper has not begun
	switch {
	case waits && kind == spec.ReadinessProbe:
		return errors.New(strings.TrimSpace("waiting for " + strings.Join(p.For, ", ")))
	case notice != nil:
		return notice
	case waits, err == nil && p.Ends() && kind == spec.LivenessProbe, own == nil:
		return nil
	}
	check := func(ctx context.Context, h spec.Handler) error { return c.handlers().Check(ctx, h, c.runner()) }
	return probe.Try(context.Background(), *own, check)
}
