package spec

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// NetworkName is the file name of the second program. It contains the parts
// that the wrapper lacks: TLS, and the watch of the pod through the API server.
// It is in the same directory as the wrapper, which runs it as a child process
// while it is needed.
const NetworkName = "koordinator-net"

// WithoutNetwork is the first argument of "koordinator install" if the network
// program must not be copied.
const WithoutNetwork = "--without-network"

// The tasks of the network program, which are its only argument. Each task
// reads its input, a JSON document, from standard input and prints lines of
// JSON.
const (
	WatchTask   = "watch"   // input: a podstatus.Config; output: a podstatus.Snapshot after each change, until the program is killed
	RequestTask = "request" // input: a probe.Request; output: one reply
)

// Network runs the network program for one task, until the program or ctx ends,
// and calls line for each line that the program prints. An error from line ends
// the program. Network blocks until the process has exited. Its error is the
// reason why the program could not be started, the error of line or of ctx, or
// a nonzero exit code.
type Network func(ctx context.Context, task string, input []byte, line func([]byte) error) error

// NetworkFailure returns why a run of the network program failed, or nil if it
// did not: ctx has ended, a line was wrong, or the exit code is not 0, in this
// order.
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

// MayNeedNetwork reports whether a run with this spec may need the network
// program: for the pod's status, which is the last resort for every dependency
// unless the source is local, or for a request, because a plain HTTP request
// may be redirected to HTTPS.
func (s Spec) MayNeedNetwork() bool {
	if s.Source != SourceLocal && len(s.StartDeps)+len(s.StopDeps)+len(s.RestartWith)+len(s.HoldFor) > 0 {
		return true
	}
	if len(s.Delegated) > 0 || s.asksHTTP() {
		return true
	}
	hook := func(h *Handler) bool { return h != nil && h.HTTP != nil }
	probe := func(p *Probe) bool { return p != nil && p.HTTP != nil }
	return s.StopHTTP != nil || len(s.ExitHTTP) > 0 || hook(s.PostStart) || hook(s.PreStop) ||
		probe(s.StartupProbe) || probe(s.Liveness) || probe(s.Readiness) ||
		slices.ContainsFunc(s.ReadyProbes, func(p Probe) bool { return p.HTTP != nil })
}

// asksHTTP reports whether an endpoint uses HTTP or HTTPS. A plain one may
// redirect to HTTPS.
func (s Spec) asksHTTP() bool {
	isHTTP := func(address string) bool { return strings.HasPrefix(address, "http") }
	for _, address := range s.ReadyEndpoints {
		if isHTTP(address) {
			return true
		}
	}
	return slices.ContainsFunc(s.StartEndpoints, func(e Endpoint) bool { return isHTTP(e.URL) })
}
