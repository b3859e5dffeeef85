package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

func (m *Machine) begin() []Action {
	if m.state != Waiting {
		return nil
	}
	var acts []Action
	if m.spec.StartTimeout > 0 && len(m.spec.StartDeps) > 0 {
		acts = append(acts, SetTimer{StartTimeout, m.spec.StartTimeout})
	}
	return append(acts, m.evaluate()...)
}

func (m *Machine) learn(f Facts) []Action {
	m.facts = f
	if m.state >= Sweeping {
		return nil // stale
	}
	acts := m.complain()
	switch m.state {
	case Waiting:
		return append(acts, m.evaluate()...)
	case Running, Delaying, Stopping:
		return append(acts, m.evaluateStop()...)
	case Holding:
		return append(acts, m.evaluateHold()...)
	default: // stale
		return acts
	}
}

// complain tells once of each stop dependency that can never hold. The command
// may run by now, and goes on.
func (m *Machine) complain() []Action {
	var acts []Action
	for _, d := range m.spec.StopDeps {
		why := m.facts[d.Container].Missing
		if why != "" && !slices.Contains(m.complained, d.Container) {
			m.complained = append(m.complained, d.Container)
			acts = append(acts, Complain{"the stop dependency never holds: " + why})
		}
	}
	return acts
}

// evaluate decides what a waiting container does with the present facts.
func (m *Machine) evaluate() []Action {
	if why := m.stopHolds(); why != "" {
		m.cause = byDependency
		return m.finish(m.spec.StoppedExitCode.Or(spec.ExitStopped), why+" before the command was started")
	}
	var acts []Action
	var unmet []string
	doubts := false
	for _, d := range m.spec.StartDeps {
		switch v := m.judge(d); {
		case slices.Contains(m.dropped, d.Container):
		case m.doubted(d):
			doubts = true
			unmet = append(unmet, phrase(d))
		case v == holds:
		case v == pending:
			unmet = append(unmet, phrase(d))
		case d.Optional:
			m.dropped = append(m.dropped, d.Container)
			acts = append(acts, Drop{m.never(d)})
		default:
			return append(acts, m.finish(spec.ExitUnsatisfiable, m.never(d))...)
		}
	}
	if doubts && !m.doubts {
		m.doubts = true
		acts = append(acts, SetTimer{DoubtTimer, DoubtMoment})
	}
	if len(unmet) > 0 {
		if !slices.Equal(unmet, m.waiting) {
			m.waiting = unmet
			acts = append(acts, Wait{unmet})
		}
		return acts
	}
	m.state = Starting
	return append(acts, Start{InPlace: m.spec.Mode == spec.ExecMode})
}

// doubted tells whether a container has exited because it had been asked to. If
// the whole pod is stopped, it neither did its work nor is it to blame, and our
// own request comes in a moment.
func (m *Machine) doubted(d spec.Dependency) bool {
	f := m.facts[d.Container]
	return f.Exited && f.Stopping && !slices.Contains(m.certain, d.Container)
}

// believe ends the doubts there are.
func (m *Machine) believe() []Action {
	m.doubts = false
	for _, d := range m.spec.StartDeps {
		if m.doubted(d) {
			m.certain = append(m.certain, d.Container)
		}
	}
	return m.evaluate()
}

// never says why a start dependency can no longer come true.
func (m *Machine) never(d spec.Dependency) string {
	f := m.facts[d.Container]
	if f.Missing != "" {
		return f.Missing
	}
	_, what, _ := strings.Cut(phrase(d), " to ")
	s := fmt.Sprintf("%s will never %s: it exited with code %d", d.Container, what, f.Code)
	if reason := strings.TrimSpace(strings.TrimPrefix(f.Reason, spec.NotStarted)); reason != "" {
		s += " (" + reason + ")"
	}
	return s
}

// phrase is a dependency as "waiting for …" goes on.
func phrase(d spec.Dependency) string {
	switch d.Condition {
	case spec.Ready:
		return d.Container + " to be ready"
	case spec.Started:
		return d.Container + " to be started"
	case spec.Succeeded:
		return d.Container + " to succeed"
	default:
		return d.Container + " to exit"
	}
}

// finish ends a container whose command never ran.
func (m *Machine) finish(code int, why string) []Action {
	m.exit = Exit{code, spec.NotStarted + why}
	return m.leave()
}

// ran takes the start of the command.
func (m *Machine) ran() []Action {
	if m.state != Starting {
		return nil
	}
	m.state, m.started = Running, true
	var acts []Action
	if m.spec.PostStart != nil {
		acts = append(acts, RunHook{PostStart})
	}
	return append(acts, m.evaluateStop()...)
}

func (m *Machine) startFailed(e StartFailed) []Action {
	if m.state != Starting {
		return nil
	}
	return m.finish(e.Code, e.Reason)
}

// startTimeout gives up waiting, or only the dependencies that may be given up.
func (m *Machine) startTimeout() []Action {
	var acts []Action
	var unmet []string
	for _, d := range m.spec.StartDeps {
		switch {
		case m.judge(d) == holds || slices.Contains(m.dropped, d.Container):
		case d.Optional || m.spec.OnStartTimeout == spec.TimeoutStart:
			m.dropped = append(m.dropped, d.Container)
			acts = append(acts, Drop{fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, phrase(d))})
		default:
			unmet = append(unmet, phrase(d))
		}
	}
	if len(unmet) > 0 {
		return append(acts, m.finish(spec.ExitStartTimeout, fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, strings.Join(unmet, ", ")))...)
	}
	return append(acts, m.evaluate()...)
}

// verdict is how a dependency stands.
type verdict int

const (
	pending verdict = iota
	holds
	impossible // it can no longer come true
)

// judge compares a dependency with what is known of its container.
func (m *Machine) judge(d spec.Dependency) verdict {
	f := m.facts[d.Container]
	is := false
	switch d.Condition {
	case spec.Started:
		is = f.Started
	case spec.Ready:
		is = f.Ready && !f.Exited
	case spec.Exited:
		is = f.Exited
	case spec.Succeeded:
		is = f.Exited && f.Code == 0
	case spec.Failed:
		is = f.Exited && f.Code != 0
	}
	switch {
	case is:
		return holds
	case f.Exited, f.Missing != "":
		return impossible
	default:
		return pending
	}
}

// Needs names the containers whose facts can still change what the machine
// does.
func (m *Machine) Needs() []string {
	var names []string
	if m.state == Waiting {
		for _, d := range m.spec.StartDeps {
			if !slices.Contains(m.dropped, d.Container) {
				names = append(names, d.Container)
			}
		}
	}
	if m.state <= Stopping && m.cause == nobody {
		for _, d := range m.spec.StopDeps {
			names = append(names, d.Container)
		}
	}
	if m.state <= Delaying { // what Delaying keeps back may be no stop request
		names = append(names, m.spec.HoldFor...)
	}
	return names
}

// Urgent tells whether those facts should come as soon as they can. While the
// command of a container runs that is restarted for ever, nothing hangs on them
// but what is looked up when it is asked to stop.
func (m *Machine) Urgent() bool {
	switch m.state {
	case Waiting, Holding, Delaying:
		return true
	default:
		return len(m.spec.StopDeps) > 0 && m.spec.Restart.Policy != spec.RestartAlways
	}
}
