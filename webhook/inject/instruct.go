package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// instructed is a member with its spec.
type instructed struct {
	*member

	spec  spec.Spec // what is written
	text  string    // the spec as JSON
	words []string  // of the command that was found out
	image string    // digest of the image that a registry was asked about for them
}

// defaultGrace is the API server's default of terminationGracePeriodSeconds.
const defaultGrace = 30 * time.Second

// instruct works out what is written for each member. What is wrong is noted by
// subject, and for each of them in the order of the containers.
func (in *input) instruct(all members, n *Notes) []*instructed {
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

// own is what a member's annotations, its own manifest and the order of the
// containers say.
func (in *input) own(m *member, n *Notes) spec.Spec {
	s := m.wish.Spec
	s.Container, s.StartDeps, s.StopDeps, s.HoldFor = m.Name, m.startDeps, m.stopDeps, m.holdFor
	s.Restart, s.Source = m.restart, m.source
	s.GracePeriod, s.ProbeGrace = in.grace(), m.probeGrace()
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

// grace is the pod's grace period.
func (in *input) grace() time.Duration {
	if seconds := in.pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return defaultGrace
}

// podSignal is the stop signal that the pod gives the container, if it gives one.
func podSignal(m *member, n *Notes) (signal syscall.Signal, given bool) {
	if m.Lifecycle == nil || m.Lifecycle.StopSignal == nil {
		return 0, false
	}
	signal, err := spec.ParseSignal(string(*m.Lifecycle.StopSignal))
	if err != nil { // SIGKILL, which nobody can wait for
		n.refuse(m.place(), fmt.Sprintf("lifecycle.stopSignal: %v", err))
	}
	return signal, true
}

// mode lets the command take the wrapper's place where nothing is left to do for
// it then, and refuses that where something is.
func (in *input) mode(m *member, all members, t taken, ready []spec.Probe, n *Notes) spec.Mode {
	place := in.asked.placeOf(m.Name, "mode")
	reasons := againstExec(m, all, t)
	asked := m.wish.Spec.Mode
	switch {
	case asked == spec.ExecMode && len(reasons) > 0:
		n.refuse(place, fmt.Sprintf("%q cannot run in mode exec, which leaves nothing of koordinator beside the command: %s: remove the mode, or that", m.Name, strings.Join(reasons, ", and ")))
	case place == "" && len(reasons) == 0 && len(ready) == 0 && !isNeeded(m, all):
		return spec.ExecMode
	}
	return asked
}

// againstExec are the reasons why a command cannot do without the wrapper.
func againstExec(m *member, all members, t taken) []string {
	var reasons []string
	for _, r := range []struct {
		holds bool
		text  string
	}{
		{len(m.stopDeps) > 0, "it has stop dependencies"},
		{m.wish.Spec.StopDelay > 0, "it has a stop-delay"},
		{m.wish.Spec.StopSignal != 0, "it has a stop-signal"},
		{len(m.wish.Spec.ExitHTTP) > 0, "it has an exit-http"},
		{t.postStart != nil, "its postStart hook has to wait for the start"},
		{t.preStop != nil && !m.wish.NoGate && all.holdFor(m.Name), "others hold for it, and have to hear of its stop before its preStop hook runs"},
		{len(m.holdFor) > 0, "it holds for " + strings.Join(m.holdFor, ", ") + " when the pod is stopped"},
	} {
		if r.holds {
			reasons = append(reasons, r.text)
		}
	}
	for _, o := range all {
		for _, deps := range [][]spec.Dependency{o.startDeps, o.stopDeps} {
			for _, d := range deps {
				if d.Container == m.Name && asksExit(m, d.Condition) {
					reasons = append(reasons, fmt.Sprintf("%q needs to know of its exit (%s)", o.Name, d))
				}
			}
		}
	}
	return reasons
}

// asksExit reports whether a condition is about an exit code, which nobody can
// report once the command has taken the wrapper's place: of itself, or because
// the code decides whether the exit is for good. That it exited at all shows by
// its record.
func asksExit(on *member, c spec.Condition) bool {
	some, all := false, true
	for code := range 256 {
		good := on.restart.ForGood(code)
		some, all = some || good, all && good
	}
	return c == spec.Succeeded || c == spec.Failed || c == spec.Exited && some && !all
}

// isNeeded reports whether a wrapper that nobody asked to go is of use for
// more than the wait.
func isNeeded(m *member, all members) bool {
	alive := slices.ContainsFunc(m.startDeps, func(d spec.Dependency) bool {
		return d.Condition == spec.Started || d.Condition == spec.Ready
	})
	named := slices.ContainsFunc(all, func(o *member) bool { return o.needs(m.Name) })
	return alive || named || m.wish.Spec.StopHTTP != nil
}
