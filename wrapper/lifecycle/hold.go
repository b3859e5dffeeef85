package lifecycle

import (
	"slices"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// request handles the pod's stop request, or a signal that may be one, while
// the command runs: first the dependents exit, then stopDelay passes.
func (m *Machine) request(s syscall.Signal, guess bool) []Action {
	m.asked, m.guessed, m.confirmed, m.blind = s, guess, false, false
	m.confirm()
	dependents, budget := m.dependents(), m.holdBudget()
	if len(dependents) == 0 || budget <= 0 {
		return m.delay("")
	}
	m.state = Holding
	acts := []Action{Hold{dependents, budget}, SetTimer{HoldBudget, budget}, SetTimer{HoldMomentTimer, m.holdMoment()}}
	if slices.ContainsFunc(dependents, func(name string) bool { return m.facts[name].Unseen }) {
		acts = append(acts, SetTimer{UnseenTimer, UnseenMoment})
	}
	return append(acts, m.evaluateHold()...)
}

// dependents returns the containers to hold for whose commands run.
func (m *Machine) dependents() []string {
	var names []string
	for _, name := range m.spec.HoldFor {
		if f := m.facts[name]; f.Runs && (!f.Unseen || !m.blind) {
			names = append(names, name)
		}
	}
	return names
}

// confirm records whether a dependent is being stopped, too.
func (m *Machine) confirm() {
	stopping := func(name string) bool { return m.facts[name].Runs && m.facts[name].Stopping }
	m.confirmed = m.confirmed || m.asked != 0 && slices.ContainsFunc(m.spec.HoldFor, stopping)
}

// holdMoment returns HoldMoment, or half of the grace period that the kubelet
// gives a container whose probe has failed if that is shorter, because the
// command needs the other half.
func (m *Machine) holdMoment() time.Duration {
	if m.spec.ProbeGrace > 0 {
		return min(HoldMoment, m.spec.ProbeGrace/2)
	}
	return HoldMoment
}

// holdBudget returns how long a stop request may be held: the part of the grace
// period that stopDelay and the command's own shutdown leave.
func (m *Machine) holdBudget() time.Duration {
	grace := m.spec.GracePeriod
	own := min(m.spec.StopTimeout, max(2*time.Second, grace/4))
	return grace - m.spec.StopDelay - own
}

// evaluateHold decides the next step of a holding container from the present
// facts.
func (m *Machine) evaluateHold() []Action {
	dependents := m.dependents()
	acts := m.evaluateStop()
	switch {
	case m.state != Holding:
		return acts
	case len(dependents) > 0:
		return acts
	case m.blind:
		return append(acts, m.delay("no exit of the other dependents can be seen while the pod is stopped")...)
	default:
		return append(acts, m.delay("the dependents have exited")...)
	}
}

// giveUpSeeing stops holding for containers whose exit cannot be observed.
func (m *Machine) giveUpSeeing() []Action {
	m.blind = true
	return m.evaluateHold()
}

// delay delays the stop request for stopDelay.
func (m *Machine) delay(why string) []Action {
	if m.spec.StopDelay == 0 {
		return m.passOn()
	}
	m.state = Delaying
	return []Action{Delay{m.spec.StopDelay, why}, SetTimer{StopDelay, m.spec.StopDelay}}
}

// passOn forwards the stop request to the command. From here on, only the
// kubelet's grace period limits the command. After a signal that may not have
// been a stop request, the container is back in Running.
func (m *Machine) passOn() []Action {
	if m.guessed {
		s := m.asked
		m.state, m.asked, m.guessed, m.hinted = Running, 0, false, true
		return []Action{Forward{s}, SetTimer{HintTimer, HintMoment}}
	}
	m.state = Stopping
	acts := []Action{Stop{m.stopSignal(), "the container received " + spec.SignalName(m.asked)}}
	return append(acts, m.evaluateStop()...)
}
