package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// signal decides what to do about a signal sent to the wrapper.
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
		return nil // no command could receive it; the next one starts without it
	case Running:
		if request || guess {
			return m.request(s, guess)
		}
		return []Action{Forward{s}}
	case Holding, Delaying:
		if request && m.guessed { // now it is certain
			return m.request(s, false)
		}
		if request || guess {
			return nil // the first request is being handled
		}
		return []Action{Forward{s}}
	case PreStopping:
		if request { // the kubelet has already run the hook
			m.asked = s
			return m.ask()
		}
		return []Action{Forward{s}}
	case Stopping, Killing:
		if request && m.asked == 0 { // the wrapper has already stopped the command
			m.asked = s
			return m.signalAfterRequest("the container received " + spec.SignalName(s))
		}
		return []Action{Forward{s}}
	case Sweeping, Leaving:
		if !request && !guess || m.asked != 0 {
			return nil
		}
		m.asked = s
		if m.state == Sweeping {
			return nil // the exit requests are limited when they begin
		}
		return []Action{SetTimer{LeaveTimer, m.leaveBudget()}}
	default: // stale
		return nil
	}
}

// interrupted returns the reason why a waiting container ended.
func (m *Machine) interrupted(s syscall.Signal) string {
	if len(m.waiting) == 0 {
		return "stopped by " + spec.SignalName(s)
	}
	return fmt.Sprintf("stopped by %s while waiting for %s", spec.SignalName(s), strings.Join(m.reasons(), ", "))
}

// forwardable reports whether a signal may come from another process. It
// returns false for the signals that the kernel and the Go runtime send to the
// wrapper for their own purposes.
func forwardable(s syscall.Signal) bool {
	return s != spec.SIGCHLD && s != spec.SIGURG && s != syscall.SIGPIPE
}

// isRequest reports whether a signal is the runtime's stop request. The signal
// that the user specified for stopping the command is most likely the image's
// stop signal, too.
func (m *Machine) isRequest(s syscall.Signal) bool {
	return s == syscall.SIGTERM || s == m.requestSignal || s == m.spec.StopSignal
}

// isGuess reports whether a signal may be the runtime's stop request. The stop
// signal may come from the image, which the wrapper cannot see; these are the
// signals that images use. The signal may also be, for example, a request for a
// thread dump, so the command receives it unchanged.
func (m *Machine) isGuess(s syscall.Signal) bool {
	if m.requestSignal != 0 {
		return false
	}
	return s == syscall.SIGQUIT || s == syscall.SIGINT || s == spec.SIGWINCH && !m.terminal
}

// stopSignal returns the signal that stops the command: the one that the user
// specified for the cause, otherwise the signal of the stop request, otherwise
// the runtime's stop signal if known, otherwise SIGTERM.
func (m *Machine) stopSignal() syscall.Signal {
	switch {
	case m.forOthers() && m.spec.DependencySignal != 0:
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

// stopHolds names the stop dependencies that hold, or returns "" if too few do.
// It also reports whether it is too early to act on them.
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

// stoppers names what ends the command for a cause: the containers that
// stopHolds or restartDue returns, or the hook.
func (m *Machine) stoppers(c cause) string {
	switch c {
	case byHook:
		return string(PostStart)
	case byRestart:
		name, _ := m.restartDue()
		return name
	default: // the stop dependencies
	}
	var held, doubts []string
	for _, d := range m.spec.StopDeps {
		switch {
		case m.judge(d) != holds:
		case m.doubted(d):
			doubts = append(doubts, d.Container)
		default:
			held = append(held, d.Container)
		}
	}
	all := slices.Concat(held, doubts)
	if m.spec.StopWhen != spec.StopAll && len(all) > 1 {
		all = all[:1]
	}
	return strings.Join(all, ",")
}

// beingStopped reports whether the kubelet is stopping the container, or may
// be. In that case the hold and the grace period apply, and stop dependencies
// do not.
func (m *Machine) beingStopped() bool {
	return m.noted || m.hinted || m.asked != 0 && (!m.guessed || m.confirmed)
}

// evaluateStop decides the next step of a running container from the present
// facts.
func (m *Machine) evaluateStop() []Action {
	c, why, doubted := m.stopReason()
	switch {
	case c == nobody || m.cause != nobody:
		return nil
	case m.beingStopped():
		return m.watchOverdue()
	case doubted:
		return m.doubt()
	default:
		return m.end(c, why)
	}
}

// stopReason returns why the command is to be stopped because of another
// container, or nobody if it is not. It also reports whether it is too early to
// act on that. A stop dependency takes precedence over a restart.
func (m *Machine) stopReason() (c cause, why string, doubted bool) {
	why, doubted = m.stopHolds()
	if why != "" && !doubted {
		return byDependency, why, false
	}
	name, early := m.restartDue()
	switch {
	case name != "" && (why == "" || !early):
		return byRestart, name + " ended, and this container restarts with it", early
	case why != "":
		return byDependency, why, doubted
	default:
		return nobody, "", false
	}
}

// forOthers reports whether the command is stopped because of another
// container.
func (m *Machine) forOthers() bool { return m.cause == byDependency || m.cause == byRestart }

// watchOverdue ensures that the command ends even if the stop request was not
// sent by the kubelet, which would kill the command after the grace period.
func (m *Machine) watchOverdue() []Action {
	if m.state != Stopping || m.overdue {
		return nil
	}
	m.overdue = true
	return []Action{SetTimer{OverdueTimer, m.killedAfter()}}
}

// killOverdue kills a command that still runs a whole grace period after its
// stop request.
func (m *Machine) killOverdue() []Action {
	c, why, _ := m.stopReason()
	if c == nobody { // the reason no longer exists
		m.overdue = false
		return nil
	}
	m.cause, m.why, m.by, m.state, m.killed = c, why, m.stoppers(c), Killing, true
	return []Action{Kill{"it did not end within its grace period, and " + why}}
}

// killedAfter returns how long a command had before it was killed because of
// another container.
func (m *Machine) killedAfter() time.Duration {
	if m.overdue {
		return max(m.spec.GracePeriod, m.spec.StopTimeout)
	}
	return m.spec.StopTimeout
}

// end stops the command for a reason of the wrapper's own.
func (m *Machine) end(c cause, why string) []Action {
	m.cause, m.why, m.by = c, why, m.stoppers(c)
	if m.guessed { // the signal is no longer passed on
		m.asked, m.guessed = 0, false
	}
	switch {
	case m.state == Stopping: // the command has already received a stop request, and many commands take a second signal as "stop immediately"
		return []Action{SetTimer{StopTimeout, m.stopTimeout()}}
	case m.spec.PreStop != nil && m.asked == 0: // otherwise the kubelet has run the hook
		m.state = PreStopping
		return []Action{RunHook{PreStop}, SetTimer{PreStopTimeout, m.stopTimeout()}}
	default:
		return m.ask()
	}
}

// stopTimeout returns how long the command has from the wrapper's stop request
// to SIGKILL. After a failed hook, that is the grace period, as with the
// kubelet.
func (m *Machine) stopTimeout() time.Duration {
	if m.cause == byHook && m.spec.GracePeriod > 0 {
		return m.spec.GracePeriod
	}
	return m.spec.StopTimeout
}

// ask sends the command a stop request, by stopHTTP if that is set and applies.
func (m *Machine) ask() []Action {
	m.state = Stopping
	timer := SetTimer{StopTimeout, m.stopTimeout()}
	if m.spec.StopHTTP == nil || !m.forOthers() || m.asked != 0 {
		return []Action{Stop{m.stopSignal(), m.why}, timer}
	}
	m.requested = true
	return []Action{SendStop{m.why}, SetTimer{StopSignalTimer, m.stopTimeout() / 2}, timer}
}

// signalAfterRequest sends the stop signal if stopHTTP was sent in its place.
func (m *Machine) signalAfterRequest(why string) []Action {
	if m.state != Stopping || !m.requested {
		return nil
	}
	m.requested = false
	return []Action{Stop{m.stopSignal(), why}}
}

func (m *Machine) stopSent(err string) []Action {
	if err == "" {
		return nil // the request has half of stopTimeout to take effect
	}
	return m.signalAfterRequest("the stop request did not get through: " + err)
}

// hookDone handles the end of a hook. A failed postStart hook ends the
// container, as with the kubelet.
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
	default: // stale, or success
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
		return m.passOn() // only this container is being stopped, and stopDelay is for the end of the pod
	case t == HoldBudget && m.state == Holding:
		m.expired = !m.guessed
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
	case t == LookTimer && m.deciding:
		return m.decide(true)
	default: // stale
		return nil
	}
}

// unkillable ends the wrapper if the command cannot be killed. If the wrapper
// is PID 1, the command ends with it; otherwise the runtime kills the remaining
// processes of the container.
func (m *Machine) unkillable(why string) []Action {
	if m.state != Killing {
		return nil
	}
	code := 128 + int(syscall.SIGKILL)
	m.exit = Exit{m.killedCode(code), spec.KilledBy + why, true}
	return m.leave()
}

// exited handles the exit of the command and ends the remaining processes of
// its group.
func (m *Machine) exited(code int) []Action {
	if m.state < Running || m.state > Killing {
		return nil // stale
	}
	m.exit = Exit{Code: code}
	switch {
	case m.cause == byHook:
		m.exit.Message, m.exit.Stopped = spec.StoppedBy+m.why, true
	case m.forOthers() && m.killed:
		m.exit.Code, m.exit.Stopped = m.killedCode(code), true
		m.exit.Message = fmt.Sprintf(spec.KilledBy+"the command did not end within %s of the stop request", m.killedAfter())
	case m.cause == byRestart:
		m.exit = Exit{spec.ExitRestart, spec.StoppedBy + m.why, true}
	case m.cause == byDependency:
		m.exit = Exit{m.spec.StoppedExitCode.Or(code), spec.StoppedBy + m.why, true}
	case m.expired:
		m.exit.Message = spec.HeldTooLong
	}
	m.state = Sweeping
	return []Action{SetTimer{SweepTimer, SweepTimeout}, Sweep{syscall.SIGTERM}}
}

// killedCode returns the code to report for a killed command that ended with
// code. A container that restarts with another one has to be started again,
// regardless of how its command ended.
func (m *Machine) killedCode(code int) int {
	switch m.cause {
	case byDependency:
		return m.spec.KilledExitCode.Or(code)
	case byRestart:
		return spec.ExitRestart
	default:
		return code
	}
}
