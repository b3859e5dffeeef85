package lifecycle

import (
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// swept handles the end of the command's process group.
func (m *Machine) swept() []Action {
	if m.state != Sweeping {
		return nil
	}
	return m.leave()
}

// leave ends the container. If the container permanently exits, it first sends
// the exit requests. They are also sent if the restart policy is not known.
func (m *Machine) leave() []Action {
	forGood := m.spec.Restart.Policy == "" || m.spec.Restart.ForGood(m.exit.Code)
	stopped := m.asked != 0 && !m.started // the runtime stops this container immediately, and the others too
	if len(m.spec.ExitHTTP)+len(m.spec.Delegated) == 0 || !forGood || stopped {
		m.state = Done
		return []Action{m.exit}
	}
	m.state = Leaving
	if len(m.spec.Delegated) == 0 {
		return m.sendExit(m.spec.ExitHTTP)
	}
	m.deciding = true
	most := UnheardMoment
	if m.asked != 0 {
		most = min(most, m.leaveBudget())
	}
	return []Action{SetTimer{LookTimer, most}, Look{}}
}

// leaveBudget returns how long the exit requests may take while the kubelet
// stops the container: the time that a command has for its own shutdown, but at
// most half of the grace period, and at least 1 s.
func (m *Machine) leaveBudget() time.Duration {
	return min(max(2*time.Second, m.spec.GracePeriod/4), max(time.Second, m.spec.GracePeriod/2))
}

// sendExit sends requests before the container ends.
func (m *Machine) sendExit(requests []spec.Request) []Action {
	m.deciding = false
	if len(requests) == 0 {
		m.state = Done
		return []Action{m.exit}
	}
	limit := time.Duration(len(requests))*LeaveLimit + leaveMargin // each request gives up by itself and reports that
	if m.asked != 0 {
		limit = m.leaveBudget()
	}
	return []Action{SetTimer{LeaveTimer, limit}, SendExit{requests}}
}

// exitSent handles the end of SendExit.
func (m *Machine) exitSent() []Action {
	if m.state != Leaving {
		return nil
	}
	m.state, m.deciding = Done, false
	return []Action{m.exit}
}
