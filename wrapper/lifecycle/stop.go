package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// signal decides about a signal sent to the wrapper.
func (m *Machine) signal(s syscall.Signal) []Action {
	if !forwardable(s) {
		return nil
	}
	request, guess := m.isRequest(s), m.isGuess(s)
	switch m.state {
	case Waiting, Starting:
		if request || guess {
			m.asked = s
			return m.finish(spec.ExitStopped, m.interrupted(s))
		}
		return nil // no command that could take it; the one to come starts afresh
	case Running:
		if request || guess {
			return m.request(s, guess)
		}
		return []Action{Forward{s}}
	case Holding, Delaying:
		if request && m.guessed { // now we know
			return m.request(s, false)
		}
		if request || guess {
			return nil // the first one is on its way
		}
		return []Action{Forward{s}}
	case PreStopping:
		if request { // the kubelet has run the hook itself
			m.asked = s
			return m.ask()
		}
		return []Action{Forward{s}}
	case Stopping, Killing:
		if request && m.asked == 0 { // we have asked already
			m.asked = s
			return m.signalAfterRequest("the container was asked to by " + spec.SignalName(s))
		}
		return []Action{Forward{s}}
	case Leaving:
		if (request || guess) && m.asked == 0 {
			m.asked = s
			return []Action{SetTimer{LeaveTimer, m.leaveBudget()}}
		}
		return nil
	default: // stale
		return nil
	}
}

// interrupted says why a waiting container ended.
func (m *Machine) interrupted(s syscall.Signal) string {
	if len(m.waiting) == 0 {
		return "stopped by " + spec.SignalName(s)
	}
	return fmt.Sprintf("stopped by %s while waiting for %s", spec.SignalName(s), strings.Join(m.waiting, ", "))
}

// forwardable tells the signals of others from those the kernel and the Go
// runtime send us for reasons of their own.
func forwardable(s syscall.Signal) bool {
	return s != syscall.SIGCHLD && s != syscall.SIGURG && s != syscall.SIGPIPE
}

// isRequest tells whether the runtime is asking the container to stop. A signal
// that the user named to stop the command with is the image's, most likely.
func (m *Machine) isRequest(s syscall.Signal) bool {
	return s == syscall.SIGTERM || s == m.requestSignal || s == m.spec.StopSignal
}

// isGuess tells whether the runtime may be asking the container to stop. Its
// stop signal may come from the image, which we cannot see: these are the ones
// that images use. It may as well be somebody asking for a thread dump, so the
// command gets it as it is.
func (m *Machine) isGuess(s syscall.Signal) bool {
	if m.requestSignal != 0 {
		return false
	}
	return s == syscall.SIGQUIT || s == syscall.SIGINT || s == syscall.SIGWINCH && !m.terminal
}

// stopSignal is the one the user named, else the one we were asked by.
func (m *Machine) stopSignal() syscall.Signal {
	switch {
	case m.cause == byDependency && m.spec.DependencySignal != 0:
		return m.spec.DependencySignal
	case m.spec.StopSignal != 0:
		return m.spec.StopSignal
	case m.asked != 0:
		return m.asked
	case m.requestSignal != 0:
		return m.requestSignal
	default:
		return syscall.SIGTERM
	}
}

// stopHolds says which stop dependencies hold, "" when too few do, and whether
// it is too early to act on them.
func (m *Machine) stopHolds() (why string, doubted bool) {
	var held, doubts []string
	for _, d := range m.spec.StopDeps {
		if m.judge(d) != holds {
			continue
		}
		text := fmt.Sprintf("%s exited with code %d", d.Container, m.facts[d.Container].Code)
		if m.doubted(d) {
			doubts = append(doubts, text)
		} else {
			held = append(held, text)
		}
	}
	all := slices.Concat(held, doubts)
	switch {
	case m.spec.StopWhen == spec.StopAll && len(all) < len(m.spec.StopDeps), len(all) == 0:
		return "", false
	case m.spec.StopWhen == spec.StopAll:
		return strings.Join(all, ", "), len(doubts) > 0
	default:
		return all[0], len(held) == 0
	}
}

// beingStopped tells whether the kubelet is stopping the container, or may be:
// then the hold and the grace period count, and no stop dependency.
func (m *Machine) beingStopped() bool {
	return m.noted || m.hinted || m.asked != 0 && (!m.guessed || m.confirmed)
}

// evaluateStop decides what a running container does with the present facts.
func (m *Machine) evaluateStop() []Action {
	why, doubted := m.stopHolds()
	switch {
	case why == "" || m.cause != nobody:
		return nil
	case m.beingStopped():
		return m.watchOverdue()
	case doubted:
		return m.doubt()
	default:
		return m.end(byDependency, why)
	}
}

// watchOverdue sees to it that the command ends although whoever sent the stop
// request was not the kubelet, which would kill it after the grace period.
func (m *Machine) watchOverdue() []Action {
	if m.state != Stopping || m.overdue {
		return nil
	}
	m.overdue = true
	return []Action{SetTimer{OverdueTimer, m.killedAfter()}}
}

// killOverdue kills a command that has outlived its stop request by the whole
// grace period.
func (m *Machine) killOverdue() []Action {
	m.cause, m.state, m.killed = byDependency, Killing, true
	return []Action{Kill{"it did not end within its grace period, and a stop dependency holds"}}
}

// killedAfter is how long a command had that was killed for a stop dependency.
func (m *Machine) killedAfter() time.Duration {
	if m.overdue {
		return max(m.spec.GracePeriod, m.spec.StopTimeout)
	}
	return m.spec.StopTimeout
}

// end stops the command for a reason of ours.
func (m *Machine) end(c cause, why string) []Action {
	m.cause, m.why = c, why
	if m.guessed { // it is not passed on any more
		m.asked, m.guessed = 0, false
	}
	switch {
	case m.state == Stopping: // asked already, and to many commands a second signal means "at once"
		return []Action{SetTimer{StopTimeout, m.stopTimeout()}}
	case m.spec.PreStop != nil && m.asked == 0: // else the kubelet has run it
		m.state = PreStopping
		return []Action{RunHook{PreStop}, SetTimer{PreStopTimeout, m.stopTimeout()}}
	default:
		return m.ask()
	}
}

// stopTimeout is how long the command has from our asking to SIGKILL. After a
// failed hook it has what the kubelet would give it.
func (m *Machine) stopTimeout() time.Duration {
	if m.cause == byHook && m.spec.GracePeriod > 0 {
		return m.spec.GracePeriod
	}
	return m.spec.StopTimeout
}

// ask asks the command to end, by request where there is one.
func (m *Machine) ask() []Action {
	m.state = Stopping
	timer := SetTimer{StopTimeout, m.stopTimeout()}
	if m.spec.StopHTTP == nil || m.cause != byDependency || m.asked != 0 {
		return []Action{Stop{m.stopSignal(), m.why}, timer}
	}
	m.requested = true
	return []Action{SendStop{m.why}, SetTimer{StopSignalTimer, m.stopTimeout() / 2}, timer}
}

// signalAfterRequest sends the signal that stopHTTP stood for, if it did.
func (m *Machine) signalAfterRequest(why string) []Action {
	if m.state != Stopping || !m.requested {
		return nil
	}
	m.requested = false
	return []Action{Stop{m.stopSignal(), why}}
}

func (m *Machine) stopSent(err string) []Action {
	if err == "" {
		return nil // it has half of stopTimeout to show
	}
	return m.signalAfterRequest("the stop request did not get through: " + err)
}

// hookDone takes a hook's end. A postStart hook that failed ends the container,
// as the kubelet would.
func (m *Machine) hookDone(e HookDone) []Action {
	switch {
	case e.Hook == PreStop && m.state == PreStopping:
		var acts []Action
		if e.Err != "" {
			acts = append(acts, Complain{"preStop hook: " + e.Err})
		}
		return append(acts, m.ask()...)
	case e.Hook == PostStart && e.Err != "" && m.cause == nobody && m.state >= Running && m.state <= Stopping:
		return m.end(byHook, "postStart hook: "+e.Err)
	default: // stale, or as it should be
		return nil
	}
}

func (m *Machine) fired(t Timer) []Action {
	switch {
	case t == StartTimeout && m.state == Waiting:
		return m.startTimeout()
	case t == DoubtTimer && m.state <= Delaying:
		return m.believe()
	case t == UnheardTimer && m.state == Waiting:
		return m.giveUpHearing()
	case t == NoteTimer && m.noted && m.state <= Running:
		return m.forget()
	case t == HintTimer && m.hinted && m.state <= Delaying:
		m.hinted = false
		return m.reconsider()
	case t == UnseenTimer && m.state == Holding:
		return m.giveUpSeeing()
	case t == OverdueTimer && m.state == Stopping && m.cause == nobody:
		return m.killOverdue()
	case t == HoldMomentTimer && m.state == Holding && !m.confirmed:
		return m.delay("no dependent is being stopped: only this container is")
	case t == HoldBudget && m.state == Holding:
		return m.delay("the grace period leaves no more time to hold")
	case t == StopDelay && m.state == Delaying:
		return m.passOn()
	case t == PreStopTimeout && m.state == PreStopping:
		return append([]Action{Complain{fmt.Sprintf("preStop hook: not done within %s", m.stopTimeout())}}, m.ask()...)
	case t == StopSignalTimer && m.state == Stopping:
		return m.signalAfterRequest(fmt.Sprintf("it did not end within %s of the stop request", m.stopTimeout()/2))
	case t == StopTimeout && m.state == Stopping:
		m.state, m.killed = Killing, true
		return []Action{Kill{fmt.Sprintf("it did not end within %s", m.stopTimeout())}}
	case t == SweepTimer && m.state == Sweeping:
		return append([]Action{Sweep{syscall.SIGKILL}}, m.leave()...)
	case t == LeaveTimer && m.state == Leaving:
		return m.exitSent()
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
	code := 128 + int(syscall.SIGKILL)
	if m.cause == byDependency {
		code = m.spec.KilledExitCode.Or(code)
	}
	m.exit = Exit{code, "koordinator: killed: " + why, true}
	return m.leave()
}

// exited takes the command's end and lets what it left behind end too.
func (m *Machine) exited(code int) []Action {
	if m.state < Running || m.state > Killing {
		return nil // stale
	}
	m.exit = Exit{Code: code}
	switch {
	case m.cause == byHook:
		m.exit.Message, m.exit.Stopped = spec.StoppedBy+m.why, true
	case m.cause == byDependency && m.killed:
		m.exit.Code, m.exit.Stopped = m.spec.KilledExitCode.Or(code), true
		m.exit.Message = fmt.Sprintf("koordinator: killed: the command did not end within %s of being asked to", m.killedAfter())
	case m.cause == byDependency:
		m.exit = Exit{m.spec.StoppedExitCode.Or(code), spec.StoppedBy + m.why, true}
	}
	m.state = Sweeping
	return []Action{SetTimer{SweepTimer, SweepTimeout}, Sweep{syscall.SIGTERM}}
}

func (m *Machine) swept() []Action {
	if m.state != Sweeping {
		return nil
	}
	return m.leave()
}

// leave sends what has to be sent when the container has exited for good, and
// ends. Where the restart policy is not known, whoever wrote the requests down
// meant them.
func (m *Machine) leave() []Action {
	forGood := m.spec.Restart.Policy == "" || m.spec.Restart.ForGood(m.exit.Code)
	stopped := m.asked != 0 && !m.started // the runtime wants it gone at once, and the others too
	if len(m.spec.ExitHTTP) == 0 || !forGood || stopped {
		m.state = Done
		return []Action{m.exit}
	}
	m.state = Leaving
	most := time.Duration(len(m.spec.ExitHTTP))*LeaveLimit + leaveMargin // each request ends by itself, and says so
	if m.asked != 0 {
		most = m.leaveBudget()
	}
	return []Action{SetTimer{LeaveTimer, most}, SendExit{}}
}

// leaveBudget is how long the requests of exitHTTP may take once the kubelet is
// stopping the container: what a command has for its own end, and no more than
// half of the grace period.
func (m *Machine) leaveBudget() time.Duration {
	return min(max(2*time.Second, m.spec.GracePeriod/4), max(time.Second, m.spec.GracePeriod/2))
}

func (m *Machine) exitSent() []Action {
	if m.state != Leaving {
		return nil
	}
	m.state = Done
	return []Action{m.exit}
}
