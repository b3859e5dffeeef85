package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// signal decides about a signal sent to the wrapper.
func (m *Machine) signal(s syscall.Signal) []Action {
	if !forwardable(s) {
		return nil
	}
	request, guess := m.isRequest(s), m.isGuess(s)
	switch m.state {
	case Waiting:
		if request || guess {
			return m.finish(spec.ExitStopped, fmt.Sprintf("stopped by %s while waiting for %s", spec.SignalName(s), strings.Join(m.waiting, ", ")))
		}
		return nil // no command that could take it; the one to come starts afresh
	case Running:
		if request || guess && m.spec.StopDelay > 0 {
			return m.request(s, guess)
		}
		return []Action{Forward{s}}
	case Delaying:
		if request && m.guessed { // now we know
			m.asked, m.guessed = s, false
			return nil
		}
		if request || guess {
			return nil // the first one is on its way
		}
		return []Action{Forward{s}}
	case Stopping, Killing:
		if request && m.asked == 0 { // a stop dependency made us ask already
			m.asked = s
			return nil
		}
		return []Action{Forward{s}}
	default: // stale
		return nil
	}
}

// forwardable tells the signals of others from those the kernel and the Go
// runtime send us for reasons of their own.
func forwardable(s syscall.Signal) bool {
	return s != syscall.SIGCHLD && s != syscall.SIGURG && s != syscall.SIGPIPE
}

// isRequest tells whether the runtime is asking the container to stop.
func (m *Machine) isRequest(s syscall.Signal) bool {
	return s == syscall.SIGTERM || s == m.spec.RequestSignal
}

// isGuess tells whether the runtime may be asking the container to stop. Its
// stop signal may come from the image, which we cannot see: these are the ones
// that images use. It may as well be somebody asking for a thread dump, so the
// command gets it as it is.
func (m *Machine) isGuess(s syscall.Signal) bool {
	if m.spec.RequestSignal != 0 {
		return false
	}
	return s == syscall.SIGQUIT || s == syscall.SIGINT || s == syscall.SIGWINCH && !m.terminal
}

// request takes the pod's stop request, or what may be one, while the command
// runs.
func (m *Machine) request(s syscall.Signal, guess bool) []Action {
	m.asked, m.guessed = s, guess
	if m.spec.StopDelay > 0 {
		m.state = Delaying
		return []Action{Delay{m.spec.StopDelay}, SetTimer{StopDelay, m.spec.StopDelay}}
	}
	return m.passOn()
}

// passOn hands the stop request to the command. From here the kubelet's grace
// period bounds it, not ours. What may have been none leaves all as it was.
func (m *Machine) passOn() []Action {
	if m.guessed {
		s := m.asked
		m.state, m.asked, m.guessed = Running, 0, false
		return []Action{Forward{s}}
	}
	m.state = Stopping
	return []Action{Stop{m.stopSignal(), "the container was asked to by " + spec.SignalName(m.asked)}}
}

// stopSignal is the one the user named, else the one we were asked by.
func (m *Machine) stopSignal() syscall.Signal {
	switch {
	case m.spec.StopSignal != 0:
		return m.spec.StopSignal
	case m.asked != 0:
		return m.asked
	case m.spec.RequestSignal != 0:
		return m.spec.RequestSignal
	default:
		return syscall.SIGTERM
	}
}

// stopHolds says which stop dependency holds, "" when none does.
func (m *Machine) stopHolds() string {
	for _, d := range m.spec.StopDeps {
		if m.judge(d) == holds {
			return fmt.Sprintf("%s exited with code %d", d.Container, m.facts[d.Container].Code)
		}
	}
	return ""
}

// evaluateStop decides what a running container does with the present facts.
func (m *Machine) evaluateStop() []Action {
	why := m.stopHolds()
	if why == "" || m.policy {
		return nil
	}
	m.policy = true
	if m.guessed { // it is not passed on any more
		m.asked, m.guessed = 0, false
	}
	timer := SetTimer{StopTimeout, m.spec.StopTimeout}
	if m.state == Stopping { // asked already, and to many commands a second signal means "at once"
		return []Action{timer}
	}
	m.state = Stopping
	signal := m.stopSignal()
	if m.spec.DependencySignal != 0 {
		signal = m.spec.DependencySignal
	}
	return []Action{Stop{signal, why}, timer}
}

func (m *Machine) fired(t Timer) []Action {
	switch {
	case t == StartTimeout && m.state == Waiting:
		return m.startTimeout()
	case t == StopDelay && m.state == Delaying:
		return m.passOn()
	case t == StopTimeout && m.state == Stopping:
		m.state, m.killed = Killing, true
		return []Action{Kill{fmt.Sprintf("it did not end within %s", m.spec.StopTimeout)}}
	case t == SweepTimer && m.state == Sweeping:
		m.state = Done
		return []Action{Sweep{syscall.SIGKILL}, m.exit}
	default: // stale
		return nil
	}
}

// unkillable ends the wrapper where the command cannot be ended. As PID 1 its
// end is the command's, too; elsewhere the runtime ends the container's rest.
func (m *Machine) unkillable(why string) []Action {
	if m.state != Killing {
		return nil
	}
	m.state = Done
	code := m.spec.KilledExitCode.Or(128 + int(syscall.SIGKILL))
	return []Action{Exit{code, "koordinator: killed: " + why}}
}

// startTimeout gives up waiting, or only the optional dependencies where no
// other is left.
func (m *Machine) startTimeout() []Action {
	var acts []Action
	var unmet []string
	for _, d := range m.spec.StartDeps {
		if m.judge(d) == holds || slices.Contains(m.dropped, d.Container) {
			continue
		}
		if d.Optional {
			m.dropped = append(m.dropped, d.Container)
			acts = append(acts, Drop{fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, phrase(d))})
			continue
		}
		unmet = append(unmet, phrase(d))
	}
	if len(unmet) > 0 {
		return append(acts, m.finish(spec.ExitStartTimeout, fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, strings.Join(unmet, ", ")))...)
	}
	return append(acts, m.evaluate()...)
}

// exited takes the command's end and lets what it left behind end too.
func (m *Machine) exited(code int) []Action {
	switch m.state {
	case Running, Delaying, Stopping, Killing:
	default: // stale
		return nil
	}
	m.exit = Exit{Code: code}
	switch {
	case m.policy && m.killed:
		m.exit.Code = m.spec.KilledExitCode.Or(code)
		m.exit.Message = fmt.Sprintf("koordinator: killed: the command did not end within %s of being asked to", m.spec.StopTimeout)
	case m.policy:
		m.exit.Code = m.spec.StoppedExitCode.Or(code)
	}
	m.state = Sweeping
	return []Action{SetTimer{SweepTimer, SweepTimeout}, Sweep{syscall.SIGTERM}}
}

func (m *Machine) swept() []Action {
	if m.state != Sweeping {
		return nil
	}
	m.state = Done
	return []Action{m.exit}
}

// verdict is how a dependency stands.
type verdict int

const (
	pending verdict = iota
	holds
	impossible // it can no longer come true
)

// judge compares a dependency with what is known of its container. A pod's
// containers are fixed when it is created: one that is missing never comes.
func (m *Machine) judge(d spec.Dependency) verdict {
	f, there := m.facts[d.Container]
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
	case f.Exited, !there && m.facts != nil:
		return impossible
	default:
		return pending
	}
}
