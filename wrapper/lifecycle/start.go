package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

func (m *Machine) begin(f Facts) []Action {
	if m.state != Waiting {
		return nil
	}
	m.facts = f
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
	m.confirm()
	acts := m.complain()
	return append(acts, m.reconsider()...)
}

// reconsider decides by the facts there are.
func (m *Machine) reconsider() []Action {
	switch m.state {
	case Waiting:
		return m.evaluate()
	case Running, Delaying, Stopping:
		return m.evaluateStop()
	case Holding:
		return m.evaluateHold()
	default: // stale
		return nil
	}
}

// note takes the beginning of the container's stop: from here on nothing is
// started, and only the signal that follows ends the wait. Where none follows
// within the grace period, the hook was run by somebody else.
func (m *Machine) note() []Action {
	if m.state > Running || m.noted {
		return nil
	}
	m.noted = true
	if m.state == Starting {
		m.state = Waiting
	}
	return []Action{SetTimer{NoteTimer, cmp.Or(m.spec.GracePeriod, m.spec.StopTimeout)}}
}

// forget takes the note for a mistake.
func (m *Machine) forget() []Action {
	m.noted = false
	if m.late && m.state == Waiting {
		return m.startTimeout()
	}
	return m.reconsider()
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
	if m.noted {
		return nil
	}
	why, doubts := m.stopHolds()
	if why != "" && !doubts {
		m.cause = byDependency
		m.exit = Exit{m.spec.StoppedExitCode.Or(spec.ExitStopped), spec.NotStarted + why + " before the command was started", true}
		return m.leave()
	}
	var acts []Action
	unmet := m.unheard()
	if len(unmet) > 0 && !m.hearing {
		m.hearing = true
		acts = append(acts, SetTimer{UnheardTimer, UnheardMoment})
	}
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
	if doubts {
		acts = append(acts, m.doubt()...)
	}
	if len(unmet) > 0 || doubts {
		if len(unmet) > 0 && !slices.Equal(unmet, m.waiting) {
			acts = append(acts, Wait{unmet})
		}
		m.waiting = unmet
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

// doubt waits for a moment before anything is concluded from such an exit.
func (m *Machine) doubt() []Action {
	if m.doubts {
		return nil
	}
	m.doubts = true
	return []Action{SetTimer{DoubtTimer, DoubtMoment}}
}

// believe ends the doubts there are.
func (m *Machine) believe() []Action {
	m.doubts = false
	for _, d := range slices.Concat(m.open(), m.spec.StopDeps) {
		if m.doubted(d) {
			m.certain = append(m.certain, d.Container)
		}
	}
	return m.reconsider()
}

// unheard names the stop dependencies that may hold already, as only the pod's
// status can report.
func (m *Machine) unheard() []string {
	var names []string
	for _, d := range m.spec.StopDeps {
		if m.facts[d.Container].Unheard && !m.deaf {
			names = append(names, "the status of "+d.Container)
		}
	}
	return names
}

// giveUpHearing starts without the first answer of the pod's status.
func (m *Machine) giveUpHearing() []Action {
	m.deaf = true
	return m.reconsider()
}

// never says why a start dependency can no longer come true.
func (m *Machine) never(d spec.Dependency) string {
	f := m.facts[d.Container]
	if f.Missing != "" {
		return f.Missing
	}
	_, what, _ := strings.Cut(phrase(d), " to ")
	how := fmt.Sprintf("it exited with code %d", f.Code)
	if f.Stopped && f.Code == 0 {
		how = "it was stopped (code 0)"
	}
	s := fmt.Sprintf("%s will never %s: %s", d.Container, what, how)
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
	m.exit = Exit{Code: code, Message: spec.NotStarted + why}
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
	if m.noted { // the stop request follows, or the note is forgotten
		m.late = true
		return nil
	}
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
		is = f.succeeded()
	case spec.Failed:
		is = f.Exited && !f.succeeded()
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

// succeeded tells whether the command ran and itself ended for good with code 0.
func (f Fact) succeeded() bool { return f.Exited && f.Code == 0 && !f.Stopped }

// open are the start dependencies that the command still waits for.
func (m *Machine) open() []spec.Dependency {
	if m.state != Waiting {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.spec.StartDeps), func(d spec.Dependency) bool { return slices.Contains(m.dropped, d.Container) })
}

// Needs names the containers whose facts can still change what the machine
// does.
func (m *Machine) Needs() []string {
	var names []string
	for _, d := range m.open() {
		names = append(names, d.Container)
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
