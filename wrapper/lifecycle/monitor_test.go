package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"koordinator.io/koordinator/wrapper/spec"
)

// asking is what a signal means to a container.
type asking int8

const (
	nothing asking = iota // it is meant for the command
	perhaps               // a stop request, or a signal that the command understands
	surely                // a stop request
)

// owner is the wrapper's own reason to end a running command; the first one
// counts.
type owner int8

const (
	theirs owner = iota // none
	dependency
	restart
	hook
)

// monitor observes one incarnation from outside: it knows the spec, the
// machine's events and its actions, and compares the actions with the
// documented behavior. It does not read the machine's state. It is comparable,
// so that it can be part of a state's key.
type monitor struct {
	reading   bool       // the env files are being read
	timedOut  bool       // startTimeout passed while waiting
	overslept bool       // startTimeout passed while the preStop hook ran
	certain   uint8      // the start dependencies whose exits are no longer doubted, one bit each
	sure      uint8      // the stop dependencies, likewise
	sureEnds  uint8      // the containers of restartWith, likewise
	counted   [most]Ends // how often the containers of restartWith had ended at the start
	noted     bool       // the preStop hook runs
	blind     bool       // it no longer holds for containers whose exit cannot be observed
	deaf      bool       // it no longer waits for the status
	unwanted  bool       // a stop request ended the wait
	lost      uint8      // the start dependencies that were given up, one bit each
	request   asking     // the stop request that has not been passed on
	released  bool       // only stopDelay still keeps the request back
	forced    bool       // released although dependents may run
	delayed   bool       // stopDelay has passed, too, or does not apply
	confirmed bool       // a dependent was seen stopping since the request
	hinted    bool       // a signal that may have been a stop request was passed on

	started  bool // the command has been started, or is being started
	running  bool
	owner    owner
	asked    bool // by the stop signal
	posted   bool // by stopHTTP
	preStop  bool // the hook was run
	killed   bool
	ended    bool  // only leaving remains
	code     int16 // the code to report, once ended
	sentExit bool
	over     bool // Exit was returned
	kept     bool // a stop dependency kept the command from running
}

func (m *monitor) waiting() bool { return !m.started && !m.ended }

// take checks the machine's actions after an event against the required and the
// forbidden ones. facts are the present facts, including those of e.
func (m *monitor) take(s *spec.Spec, facts Facts, e Event, acts []Action) error {
	if m.over && len(acts) > 0 {
		return fmt.Errorf("%+v after the end", acts)
	}
	m.observe(s, facts, e)
	for _, a := range acts {
		if err := m.allow(s, facts, e, a); err != nil {
			return fmt.Errorf("%T%+v: %w", a, a, err)
		}
	}
	return m.demand(s, facts, e, acts)
}

// observe updates the monitor with the documented meaning of an event.
func (m *monitor) observe(s *spec.Spec, facts Facts, e Event) {
	switch e := e.(type) {
	case FilesRead:
		m.reading = false
		if e.Err != "" && m.waiting() && !m.noted {
			m.end(78)
		}
	case Started:
		m.running = true
	case StartFailed:
		m.end(e.Code)
	case Exited:
		m.running = false
		m.end(m.reported(s, e.Code))
	case Unkillable:
		m.running = false
		m.end(m.reported(s, 137))
	case Signal:
		m.signalled(asks(s, e.Number))
	case HookDone:
		if e.Hook == PostStart && e.Err != "" {
			m.own(hook)
		}
	case Noted:
		m.noted = m.noted || m.waiting() || m.running && m.request == nothing && m.owner == theirs
	case Fired:
		m.fired(s, facts, e.Timer)
	}
	if m.waiting() && !m.noted {
		m.decide(s, facts)
	}
	if m.request != nothing {
		m.confirmed = m.confirmed || slices.ContainsFunc(s.HoldFor, func(n string) bool { return facts[n].Runs && facts[n].Stopping })
	}
	m.recount(s, facts)
	if stops(s, facts, m.believed) && !m.beingStopped() {
		m.own(dependency)
	}
	if m.restarts(s, facts, m.sureEnds) && !m.beingStopped() {
		m.own(restart)
	}
	if m.request != nothing {
		m.released = m.released || len(runningOf(s, facts, m.blind)) == 0 || budget(s) <= 0
	}
}

// early reports whether the command waits, or runs and has not been stopped.
func (m *monitor) early() bool {
	return m.waiting() || m.running && m.owner == theirs && !m.asked
}

// beingStopped reports whether the kubelet is known to be stopping the
// container: stop dependencies do not count then.
func (m *monitor) beingStopped() bool {
	return m.noted || m.hinted || m.request == surely || m.request == perhaps && m.confirmed
}

// believed reports whether an exit that meets a stop dependency may be acted
// on.
func (m *monitor) believed(i int, f Fact) bool { return !f.Stopping || m.sure&(1<<i) != 0 }

func (m *monitor) end(code int) {
	if !m.ended {
		m.ended, m.code = true, int16(code)
	}
}

// own records one of the wrapper's own reasons to stop the command.
func (m *monitor) own(o owner) {
	if !m.running || m.owner != theirs {
		return
	}
	m.owner = o
	if m.request == perhaps {
		m.request = nothing
	}
}

// reported returns the code to report for a command that ended with code.
func (m *monitor) reported(s *spec.Spec, code int) int {
	switch {
	case m.owner == restart:
		return 75
	case m.owner != dependency:
		return code
	case m.killed:
		return s.KilledExitCode.Or(code)
	default:
		return s.StoppedExitCode.Or(code)
	}
}

func (m *monitor) signalled(a asking) {
	switch {
	case a == nothing:
	case m.waiting():
		m.end(143)
		m.unwanted = true
	case !m.running, a == perhaps && (m.owner != theirs || m.asked), m.request >= a:
	default:
		m.released, m.forced, m.delayed, m.confirmed, m.blind = false, false, false, false, false
		m.request = a
	}
}

func (m *monitor) fired(s *spec.Spec, facts Facts, t Timer) {
	switch t {
	case StartTimeout:
		m.timedOut = m.timedOut || m.waiting()
		m.overslept = m.overslept || m.waiting() && m.noted
		m.giveUp(s, facts)
	case DoubtTimer:
		for i, d := range startDeps(*s) {
			if f := facts[d.Container]; m.waiting() && f.Exited && f.Stopping {
				m.certain |= 1 << i
			}
		}
		for i, d := range s.StopDeps {
			if f := facts[d.Container]; !m.ended && m.early() && f.Exited && f.Stopping {
				m.sure |= 1 << i
			}
		}
		for i, name := range s.RestartWith {
			if m.running && m.early() && m.hasEnded(s, facts, i) && (facts[name].Stopping || facts[name].Mute) {
				m.sureEnds |= 1 << i
			}
		}
	case HintTimer:
		m.hinted = m.hinted && !m.early()
	case NoteTimer:
		m.noted = m.noted && !m.waiting() && (!m.running || m.request != nothing || m.owner != theirs)
		if m.overslept {
			m.giveUp(s, facts)
		}
	case UnheardTimer:
		m.deaf = m.deaf || m.waiting()
	case UnseenTimer:
		m.blind = m.blind || m.request != nothing && !m.released
	case OverdueTimer:
		if m.running && m.asked && m.owner == theirs {
			m.owner = m.reason(s, facts)
		}
	case HoldBudget:
		m.force(true)
	case HoldMomentTimer:
		m.delayed = m.delayed || m.request != nothing && !m.released && !m.confirmed // only this container is being stopped
		m.force(!m.confirmed)
	case StopDelay:
		m.delayed = m.delayed || m.released
	default: // has no meaning for the wrapper's decisions
	}
}

// giveUp handles the start timeout.
func (m *monitor) giveUp(s *spec.Spec, facts Facts) {
	if !m.waiting() || m.noted {
		return
	}
	if m.reading && s.OnStartTimeout == spec.TimeoutFail {
		m.end(124)
	}
	for i, d := range startDeps(*s) {
		switch {
		case meets(d, facts[d.Container]):
		case d.Optional || s.OnStartTimeout == spec.TimeoutStart:
			m.lost |= 1 << i
		default:
			m.end(124)
		}
	}
}

// doubted reports whether it is too early to draw a conclusion from an exit.
func (m *monitor) doubted(i int, f Fact) bool { return f.Exited && f.Stopping && m.certain&(1<<i) == 0 }

// force ends a hold whose time is over.
func (m *monitor) force(ok bool) {
	if ok && m.request != nothing && !m.released {
		m.released, m.forced = true, true
	}
}

// decide ends a wait that can no longer succeed.
func (m *monitor) decide(s *spec.Spec, facts Facts) {
	if stops(s, facts, m.believed) {
		m.kept = true
		m.end(s.StoppedExitCode.Or(143))
		return
	}
	for i, d := range startDeps(*s) {
		f := facts[d.Container]
		if possible(d, f) || m.doubted(i, f) || m.lost&(1<<i) != 0 {
			continue
		}
		m.lost |= 1 << i
		if !d.Optional {
			m.end(69)
		}
	}
}

// startable reports whether every start dependency holds or has been given up,
// and nothing else prevents the start.
func (m *monitor) startable(s *spec.Spec, facts Facts) bool {
	unheard := slices.ContainsFunc(s.StopDeps, func(d spec.Dependency) bool { return facts[d.Container].Unheard })
	unheard = unheard || slices.ContainsFunc(s.RestartWith, func(name string) bool { return facts[name].Unheard })
	if m.noted || unheard && !m.deaf || stops(s, facts, func(int, Fact) bool { return true }) {
		return false
	}
	for i, d := range startDeps(*s) {
		f := facts[d.Container]
		if m.lost&(1<<i) == 0 && (!meets(d, f) || m.doubted(i, f)) {
			return false
		}
	}
	return true
}

// passable reports whether nothing keeps a stop request back any longer.
func (m *monitor) passable(s *spec.Spec) bool {
	return m.released && (m.delayed || s.StopDelay == 0)
}

// allow returns the reason why an action must not come now.
func (m *monitor) allow(s *spec.Spec, facts Facts, e Event, a Action) error {
	switch a := a.(type) {
	case Wait, Drop:
		return unless(m.waiting() || m.ended && !m.started, "it does not wait")
	case ReadFiles:
		ok := m.waiting() && m.startable(s, facts) && !m.reading && len(s.EnvFiles) > 0
		m.reading = true
		return unless(ok, "nothing to be read, or not now")
	case Start:
		ok := m.waiting() && m.startable(s, facts) && (len(s.EnvFiles) == 0 || e == Event(FilesRead{})) && a.InPlace == (s.Mode == spec.ExecMode)
		m.started = true
		m.count(s, facts)
		return unless(ok, "started before its dependencies held, after a stop request, or twice")
	case Forward:
		return m.allowForward(s, e, a.Signal)
	case Hold:
		ok := m.request != nothing && a.Most == budget(s) && a.Most > 0 && slices.Equal(a.For, runningOf(s, facts, false))
		return unless(ok, "nothing to hold for")
	case Delay:
		return unless(m.request != nothing && m.released && a.For == s.StopDelay, "no stop request to delay")
	case RunHook, SendStop, Stop, Kill:
		return m.allowStop(s, e, a)
	case Sweep:
		return unless(m.started && m.ended, "the command runs")
	case SendExit:
		ok := m.ended && !m.sentExit && m.tells(s)
		m.sentExit = true
		return unless(ok, "not for good, or twice")
	case Exit:
		return m.allowExit(s, a)
	}
	return nil
}

func unless(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

// allowForward checks that the command receives its own signals immediately,
// and stop requests only when nothing keeps them back.
func (m *monitor) allowForward(s *spec.Spec, e Event, sig syscall.Signal) error {
	switch {
	case !m.running:
		return errors.New("no command runs")
	case m.request == perhaps && asks(s, sig) == perhaps:
		ok := m.passable(s)
		m.request, m.hinted = nothing, true
		return unless(ok, "kept back no longer, while dependents run or stopDelay has not passed")
	case asks(s, sig) == surely && !m.asked && !m.posted:
		return errors.New("a stop request passed on as if it were none")
	default:
		return unless(e == Event(Signal{sig}), "nobody sent it")
	}
}

// allowStop checks each step of stopping the command.
func (m *monitor) allowStop(s *spec.Spec, e Event, a Action) error {
	ok := m.running
	switch a := a.(type) {
	case RunHook:
		if a.Hook == PostStart {
			return unless(e == Event(Started{}) && s.PostStart != nil, "not right after the start")
		}
		ok = ok && m.owner != theirs && m.request != surely && !m.preStop && s.PreStop != nil
		m.preStop = true
	case SendStop:
		ok = ok && (m.owner == dependency || m.owner == restart) && m.request != surely && !m.asked && !m.posted && s.StopHTTP != nil
		m.posted = true
	case Stop:
		ok = ok && !m.asked
		if m.owner == theirs {
			ok = ok && m.request == surely && m.passable(s)
		} else if s.PreStop != nil && m.request != surely {
			ok = ok && m.preStop
		}
		m.asked = true
	case Kill:
		ok = ok && m.owner != theirs && (m.asked || m.posted) && !m.killed && (e == Event(Fired{StopTimeout}) || e == Event(Fired{OverdueTimer}))
		m.killed = true
	}
	return unless(ok, "twice, too early, without a reason, or to nobody")
}

func (m *monitor) allowExit(s *spec.Spec, x Exit) error {
	ours := !m.started || m.owner == hook || m.owner == restart || m.owner == dependency && m.killed
	never := strings.HasPrefix(x.Message, spec.NotStarted)
	m.over = true
	switch {
	case !m.ended || m.running:
		return errors.New("the command runs, or may still start")
	case x.Code != int(m.code):
		return fmt.Errorf("the documented code is %d", m.code)
	case m.tells(s) != m.sentExit:
		return errors.New("the requests of exitHTTP belong before the end for good, and nowhere else")
	case x.Stopped != (m.owner != theirs || m.kept):
		return fmt.Errorf("it says of its success: %t", !x.Stopped)
	case ours && x.Message == "", !m.started && !never:
		return errors.New("the wrapper decided the end, and does not say why")
	}
	return nil
}

// tells reports whether exitHTTP has to be sent.
func (m *monitor) tells(s *spec.Spec) bool {
	return len(s.ExitHTTP) > 0 && !m.unwanted && (s.Restart.Policy == "" || s.Restart.ForGood(int(m.code)))
}

// told compares the report to other containers with the events so far.
func (m *monitor) told(r Report) error {
	stops := m.request == surely || m.owner != theirs || m.asked || m.hinted || m.noted
	switch {
	case m.running && !r.Started, !m.started && r.Started:
		return fmt.Errorf("it reports started: %t", r.Started)
	case m.running && m.request != perhaps && r.Stopping != stops:
		return fmt.Errorf("it reports stopping: %t", r.Stopping)
	case m.over && r.Exit.Code != int(m.code):
		return fmt.Errorf("it reports code %d, want %d", r.Exit.Code, m.code)
	}
	return nil
}

// demand returns an error if the machine has not done what it should have done
// by now.
func (m *monitor) demand(s *spec.Spec, facts Facts, e Event, acts []Action) error {
	sig, isSignal := e.(Signal)
	answer, isAnswer := e.(StopSent)
	late := e == Event(Fired{StopSignalTimer}) || isAnswer && answer.Err != ""
	switch {
	case m.over:
		return nil
	case m.ended && !m.started:
		return unless(m.sentExit, "the wait is decided and goes on")
	case m.waiting():
		return unless(!m.startable(s, facts) || m.reading, "every start dependency holds, and it waits")
	case m.running && m.posted && !m.killed && late:
		return unless(m.asked, "stopHTTP has come to nothing, and no signal follows")
	case m.running && m.owner != theirs:
		return unless(m.preStop || m.asked || m.posted, "a reason to stop the command, and nothing follows")
	case m.running && m.request != nothing && m.passable(s):
		return unless(m.asked, "a stop request is kept back for nothing")
	case m.running && isSignal && asks(s, sig.Number) == nothing && forwardable(sig.Number):
		return unless(slices.Contains(acts, Action(Forward{sig.Number})), "the command's own signal is not passed on")
	}
	return nil
}
