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
	m.asked, m.guessed, m.confirmed, m.unseen, m.blind = s, guess, false, false, false
	m.confirm()
	dependents, budget := m.dependents(), m.holdBudget()
	if len(dependents) == 0 || budget <= 0 {
		return m.delay("")
	}
	m.state = Holding
	acts := []Action{Hold{dependents, budget}, SetTimer{HoldBudget, budget}, SetTimer{HoldMomentTimer, m.holdMoment()}}
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
		return max(0, min(HoldMoment, (m.spec.ProbeGrace-m.spent)/2))
	}
	return HoldMoment
}

// holdBudget returns how long a stop request may be held: the part of the grace
// period that stopDelay leaves.
func (m *Machine) holdBudget() time.Duration { return m.left() - m.spec.StopDelay }

// left returns the part of the grace period that the preStop hook and the command's own
// shutdown leave.
func (m *Machine) left() time.Duration {
	grace := m.spec.GracePeriod
	own := min(m.spec.StopTimeout, max(2*time.Second, grace/4))
	return grace - m.spent - own
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
		return append(acts, m.watchUnseen(dependents)...)
	case m.blind:
		return append(acts, m.delay("no exit of the other dependents can be seen while the pod is stopped")...)
	default:
		return append(acts, m.delay("the dependents have exited")...)
	}
}

// watchUnseen limits the hold as soon as the exit of a dependent cannot be observed.
func (m *Machine) watchUnseen(dependents []string) []Action {
	if m.unseen || !slices.ContainsFunc(dependents, func(name string) bool { return m.facts[name].Unseen }) {
		return nil
	}
	m.unseen = true
	return []Action{SetTimer{UnseenTimer, UnseenMoment}}
}

// giveUpSeeing stops holding for containers whose exit cannot be observed.
func (m *Machine) giveUpSeeing() []Action {
	m.blind = true
	return m.evaluateHold()
}

// delay delays the stop request for stopDelay, or for what a preStop hook has left of it.
func (m *Machine) delay(why string) []Action {
	delay := m.spec.StopDelay
	if m.spent > 0 {
		delay = min(delay, m.left())
	}
	if delay <= 0 {
		return m.passOn()
	}
	m.state = Delaying
	return []Action{Delay{delay, why}, SetTimer{StopDelay, delay}}
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
