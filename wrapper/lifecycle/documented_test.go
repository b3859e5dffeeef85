package lifecycle

import (
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// asks implements the documented list of stop requests, for a container without
// a terminal.
func asks(s *spec.Spec, sig syscall.Signal) asking {
	maybe := sig == syscall.SIGQUIT || sig == syscall.SIGINT || sig == syscall.SIGWINCH
	switch {
	case sig == syscall.SIGTERM, sig == s.RequestSignal, sig == s.StopSignal:
		return surely
	case s.RequestSignal == 0 && maybe:
		return perhaps
	default:
		return nothing
	}
}

// meets implements the documented table of conditions.
func meets(d spec.Dependency, f Fact) bool {
	switch d.Condition {
	case spec.Started:
		return f.Started
	case spec.Ready:
		return f.Ready && !f.Exited
	case spec.Exited:
		return f.Exited
	case spec.Succeeded:
		return f.Exited && f.Code == 0 && !f.Stopped
	case spec.Failed:
		return f.Exited && (f.Code != 0 || f.Stopped)
	}
	return false
}

// possible reports whether a condition holds or may still come true.
func possible(d spec.Dependency, f Fact) bool {
	return meets(d, f) || !f.Exited && f.Missing == ""
}

// stops reports whether the stop dependencies hold. believed reports whether an
// exit may be acted on.
func stops(s *spec.Spec, facts Facts, believed func(i int, f Fact) bool) bool {
	n := 0
	for i, d := range s.StopDeps {
		if f := facts[d.Container]; meets(d, f) {
			if believed(i, f) {
				n++
			}
		}
	}
	return n > 0 && (s.StopWhen != spec.StopAll || n == len(s.StopDeps))
}

// runningOf returns the containers to hold for whose commands run. With blind,
// it omits those whose exit cannot be observed.
func runningOf(s *spec.Spec, facts Facts, blind bool) []string {
	var names []string
	for _, name := range s.HoldFor {
		if f := facts[name]; f.Runs && (!blind || !f.Unseen) {
			names = append(names, name)
		}
	}
	return names
}

// budget returns how long a stop request may be held.
func budget(s *spec.Spec) time.Duration {
	own := min(s.StopTimeout, max(2*time.Second, s.GracePeriod/4))
	return s.GracePeriod - s.StopDelay - own
}
