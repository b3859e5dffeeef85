package spec

import (
	"context"
	"fmt"
	"slices"
)

// NetworkName is the file name of the second program, which contains what the
// wrapper does not: TLS, and the watch of the pod at the API server. It is in the
// same directory as the wrapper, which runs it as a child process while it is
// needed.
const NetworkName = "koordinator-net"

// WithoutNetwork is the first argument of "koordinator install" where the network
// program is not to be copied.
const WithoutNetwork = "--without-network"

// The tasks of the network program, its only argument. Each reads its input, a
// JSON document, from standard input, and prints lines of JSON.
const (
	WatchTask   = "watch"   // input: a podstatus.Config; a podstatus.Snapshot after each change, until it is killed
	RequestTask = "request" // input: a probe.Request; one reply
)

// Network runs the network program for one task, until it ends or ctx does, and
// calls line for each line it prints; an error of line ends it. It blocks until
// the process is gone. An error is why it could not be started, that of line or
// of ctx, or its exit code where that is not 0.
type Network func(ctx context.Context, task string, input []byte, line func([]byte) error) error

// NetworkFailure is why a run of the network program failed, nil where it did not:
// ctx has ended, a line was wrong, or the exit code is not 0, in this order.
func NetworkFailure(ctx context.Context, line error, code int) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case line != nil:
		return line
	case code != 0:
		return fmt.Errorf("%s: exit code %d", NetworkName, code)
	}
	return nil
}

// MayNeedNetwork reports whether a run by this spec may come to need the network
// program: for the pod's status, which is the last resort for every dependency
// unless the source is local, or for a request, since one over plain HTTP may be
// redirected to HTTPS.
func (s Spec) MayNeedNetwork() bool {
	if s.Source != SourceLocal && len(s.StartDeps)+len(s.StopDeps)+len(s.HoldFor) > 0 {
		return true
	}
	handlers := []*Handler{s.PostStart, s.PreStop}
	probes := []*Probe{s.StartupProbe, s.Liveness, s.Readiness}
	for i := range s.ReadyProbes {
		probes = append(probes, &s.ReadyProbes[i])
	}
	for _, p := range probes {
		if p != nil {
			handlers = append(handlers, &p.Handler)
		}
	}
	asks := func(h *Handler) bool { return h != nil && h.HTTP != nil }
	return s.StopHTTP != nil || len(s.ExitHTTP) > 0 || slices.ContainsFunc(handlers, asks)
}
