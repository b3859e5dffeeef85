package inject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// instructed is a member with its spec.
type instructed struct {
	*member

	spec  spec.Spec // as it is written into the pod
	text  string    // the spec as JSON
	words []string  // of the command that was looked up
	image string    // digest of the image in which a registry was asked for them
}

// defaultGrace is the API server's default of terminationGracePeriodSeconds.
const defaultGrace = 30 * time.Second

// instruct determines the spec of each member. It notes problems by subject, and
// for each subject in the order of the containers.
func (in *input) instruct(all members, n *messages.Notes) []*instructed {
	done := make([]*instructed, len(all))
	for i, m := range all {
		done[i] = &instructed{member: m, spec: in.own(m, n)}
	}
	handlers := make([]taken, len(all))
	for i, m := range all {
		handlers[i] = takeOver(m, all.holdFor(m.Name), n)
		done[i].spec = handlers[i].within(done[i].spec)
	}
	for i, m := range all {
		done[i].spec.ReadyEndpoints = in.readyEndpoints(m, all)
		done[i].spec.Wrapped, done[i].spec.ReadyProbes = m.wrappedPeers(all), readyProbes(m, all, handlers[i], n)
	}
	for i, m := range all {
		done[i].spec.Mode = in.mode(m, all, handlers[i], done[i].spec.ReadyProbes, n)
	}
	for i, m := range all {
		in.checkLocal(m, all, n)
		done[i].text = done[i].spec.Encode()
	}
	return done
}

// own returns the part of the spec that follows from a member's annotations, its
// own manifest and the order of the containers.
func (in *input) own(m *member, n *messages.Notes) spec.Spec {
	s := m.wish.Spec
	s.Container, s.StartDeps, s.StopDeps, s.HoldFor = m.Name, m.startDeps, m.stopDeps, m.holdFor
	s.Restart, s.Source = m.restart, m.source
	s.Delegated = m.delegated
	s.GracePeriod, s.ProbeGrace = GracePeriod(in.pod), m.probeGrace()
	s.MessagePath = cmp.Or(m.TerminationMessagePath, spec.Message)
	s.Environ = keptEnviron(m, n)
	if m.wrapped() {
		s.Commands, s.RequestSignal = m.before.Commands, m.before.RequestSignal
	}
	if signal, given := podSignal(m, n); given {
		s.RequestSignal = signal
	}
	return s
}

// GracePeriod returns the time that a pod has to stop. The API server treats a
// negative value as 1 s.
func GracePeriod(pod *corev1.Pod) time.Duration {
	switch seconds := pod.Spec.TerminationGracePeriodSeconds; {
	case seconds == nil:
		return defaultGrace
	case *seconds < 0:
		return time.Second
	default:
		return time.Duration(*seconds) * time.Second
	}
}

// podSignal returns the stop signal that the pod sets for the container, if any.
func podSignal(m *member, n *messages.Notes) (signal syscall.Signal, given bool) {
	if m.Lifecycle == nil || m.Lifecycle.StopSignal == nil {
		return 0, false
	}
	signal, err := spec.ParseSignal(string(*m.Lifecycle.StopSignal))
	if problems, bad := errors.AsType[spec.Problems](err); bad { // SIGKILL, after which the wrapper cannot wait for anything
		n.Refuse(m.place().Field("lifecycle.stopSignal"), messages.PodStopSignal, string(*m.Lifecycle.StopSignal),
			"koordinator cannot use this stop signal: "+problems[0].Text, problems[0].Remedy)
	}
	return signal, true
}

// mode selects exec mode, in which the command replaces the wrapper, if the
// wrapper would have nothing left to do. It rejects exec mode if the wrapper is
// still needed.
func (in *input) mode(m *member, all members, t taken, ready []spec.Probe, n *messages.Notes) spec.Mode {
	place := in.asked.placeOf(m.Name, "mode")
	reasons := againstExec(m, all, t)
	asked := m.wish.Spec.Mode
	switch {
	case asked == spec.ExecMode && len(reasons) > 0:
		n.Refuse(place, messages.ExecModeImpossible, string(asked), fmt.Sprintf("%q cannot run in mode exec, because %s", m.Name, numbered(reasons)), "Remove the mode, or these settings")
	case place.None() && len(reasons) == 0 && len(ready) == 0 && !isNeeded(m, all):
		return spec.ExecMode
	}
	return asked
}

// numbered joins reasons to a sentence and numbers them if there are several.
func numbered(reasons []string) string {
	if len(reasons) == 1 {
		return reasons[0]
	}
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = fmt.Sprintf("(%d) %s", i+1, r)
	}
	return strings.Join(texts, ", ")
}

// againstExec returns the reasons why a command cannot run without the wrapper.
func againstExec(m *member, all members, t taken) []string {
	var reasons []string
	for _, r := range []struct {
		holds bool
		text  string
	}{
		{len(m.stopDeps) > 0, "it has stop dependencies"},
		{len(m.restartWith()) > 0, "it restarts with " + strings.Join(m.restartWith(), ", ")},
		{m.notifies(), "its command reports its readiness to koordinator"},
		{m.wish.Spec.StopDelay > 0, "it has a stop-delay"},
		{m.wish.Spec.StopSignal != 0, "it has a stop-signal"},
		{len(m.wish.Spec.ExitHTTP) > 0, "it has an exit-http"},
		{len(m.delegated) > 0, "it stops " + m.carries() + " when it exits"},
		{t.postStart != nil, "it has a postStart hook, which must wait until the command starts"},
		{t.preStop != nil && !m.wish.NoGate && all.holdFor(m.Name), "it has a preStop hook, and containers that stop after it must be notified before the hook runs"},
		{len(m.holdFor) > 0, "it stops after " + strings.Join(m.holdFor, ", ") + " when the pod is deleted"},
	} {
		if r.holds {
			reasons = append(reasons, r.text)
		}
	}
	for _, o := range all {
		for _, deps := range [][]spec.Dependency{o.startDeps, o.stopDeps} {
			for _, d := range deps {
				if d.Container == m.Name && asksExit(m, d.Condition) {
					reasons = append(reasons, fmt.Sprintf("%q depends on its exit (%s)", o.Name, d))
				}
			}
		}
	}
	return reasons
}

// asksExit reports whether a condition requires an exit code: because the
// condition names it, or because the code decides whether the exit is permanent.
// Exit codes are not reported in exec mode. The record shows only that the
// command has exited.
func asksExit(on *member, c spec.Condition) bool {
	some, all := false, true
	for code := range on.restart.Codes() {
		good := on.restart.ForGood(code)
		some, all = some || good, all && good
	}
	return c == spec.Succeeded || c == spec.Failed || c == spec.Exited && some && !all
}

// isNeeded reports whether a wrapper is useful after the wait if no mode is set.
func isNeeded(m *member, all members) bool {
	alive := slices.ContainsFunc(m.startDeps, func(d spec.Dependency) bool {
		return d.Condition == spec.Started || d.Condition == spec.Ready
	})
	named := slices.ContainsFunc(all, func(o *member) bool { return o.needs(m.Name) })
	return alive || named || m.wish.Spec.StopHTTP != nil
}
