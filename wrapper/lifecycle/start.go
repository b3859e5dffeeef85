package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

func (m *Machine) begin(f Facts) []Action {
	if m.state != Waiting {
		return nil
	}
	m.facts = f
	var acts []Action
	if m.spec.StartTimeout > 0 && m.spec.Waits() {
		acts = append(acts, SetTimer{StartTimeout, m.spec.StartTimeout})
	}
	return append(acts, m.evaluate()...)
}

func (m *Machine) learn(f Facts) []Action {
	if m.state == Leaving {
		return m.looked(f)
	}
	m.facts = f
	if m.state >= Sweeping {
		return nil // stale
	}
	m.recount()
	m.confirm()
	acts := m.complain()
	return append(acts, m.reconsider()...)
}

// reconsider decides the next step from the present facts.
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

// lateRequest is how much later than the grace period the stop request may
// come: the kubelet allows 2 s more for a container whose hook has used up the
// grace period.
const lateRequest = 5 * time.Second

// note handles the beginning of the container's stop. From here on the command
// is not started, and only the signal that follows ends the wait. If no signal
// follows within the grace period, the hook was not run by the kubelet.
func (m *Machine) note() []Action {
	if m.state > Running || m.noted {
		return nil
	}
	m.noted = true
	if m.state == Starting {
		m.state = Waiting
	}
	return []Action{SetTimer{NoteTimer, m.noteLimit()}}
}

// noteLimit returns how long after the beginning of the hook the stop request may come.
func (m *Machine) noteLimit() time.Duration {
	return cmp.Or(m.spec.GracePeriod, m.spec.StopTimeout) + lateRequest
}

// spend handles the time since the beginning of the hook. A longer time than the limit is
// that of a hook that the kubelet did not run.
func (m *Machine) spend(since time.Duration) []Action {
	if since <= m.noteLimit() {
		m.spent = since
	}
	return nil
}

// forget discards the note as a mistake.
func (m *Machine) forget() []Action {
	m.noted = false
	if m.late && m.state == Waiting {
		return m.startTimeout()
	}
	return m.reconsider()
}

// complain reports each stop dependency that can never hold, once. The command
// may already run, and continues to run.
func (m *Machine) complain() []Action {
	var acts []Action
	never := func(name, what string) {
		if why := m.facts[name].Missing; why != "" && !slices.Contains(m.complained, name) {
			m.complained = append(m.complained, name)
			acts = append(acts, Complain{what + why})
		}
	}
	for _, d := range m.spec.StopDeps {
		never(d.Container, "the stop dependency never holds: ")
	}
	for _, name := range m.spec.RestartWith {
		never(name, "the container never restarts with another one: ")
	}
	return acts
}

// evaluate decides the next step of a waiting container from the present facts.
func (m *Machine) evaluate() []Action {
	if m.noted {
		return nil
	}
	why, doubts := m.stopHolds()
	if why != "" && !doubts {
		m.cause, m.by = byDependency, m.stoppers(byDependency)
		m.exit = Exit{m.spec.StoppedExitCode.Or(spec.ExitStopped), spec.NotStarted + why + " before the command was started", true}
		return m.leave()
	}
	var acts []Action
	unmet := m.unheard()
	if len(unmet) > 0 && !m.hearing {
		m.hearing = true
		acts = append(acts, SetTimer{UnheardTimer, UnheardMoment})
	}
	for _, d := range m.starts {
		switch v := m.judge(d); {
		case slices.Contains(m.dropped, d.Container):
		case m.doubted(d), v == pending:
			doubts = doubts || m.doubted(d)
			unmet = append(unmet, phrase(d))
		case v == holds:
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
	if len(m.spec.EnvFiles) > 0 && !m.read {
		return append(acts, m.readFiles()...)
	}
	m.state = Starting
	m.countEnds()
	return append(acts, Start{InPlace: m.spec.Mode == spec.ExecMode})
}

// doubted reports whether a container has exited after it had received a stop
// request. If the whole pod is being stopped, that exit indicates neither
// success nor failure, and this container's own stop request is about to
// arrive.
func (m *Machine) doubted(d spec.Dependency) bool {
	f := m.facts[d.Container]
	return f.Exited && f.Stopping && !slices.Contains(m.certain, d.Container)
}

// doubt waits a moment before the machine draws conclusions from such an exit.
func (m *Machine) doubt() []Action {
	if m.doubts {
		return nil
	}
	m.doubts = true
	return []Action{SetTimer{DoubtTimer, DoubtMoment}}
}

// believe resolves the present doubts.
func (m *Machine) believe() []Action {
	m.doubts = false
	for _, d := range slices.Concat(m.open(), m.spec.StopDeps) {
		if m.doubted(d) {
			m.certain = append(m.certain, d.Container)
		}
	}
	m.believeEnds()
	return m.reconsider()
}

// unheard names the containers that may have ended already, which only the
// pod's status can report.
func (m *Machine) unheard() []string {
	var names []string
	for _, name := range m.watched() {
		if m.facts[name].Unheard && !m.deaf {
			names = append(names, "the status of "+name)
		}
	}
	return names
}

// giveUpHearing stops waiting for the pod's status before the start.
func (m *Machine) giveUpHearing() []Action {
	m.deaf = true
	return m.reconsider()
}

// never returns the reason why a start dependency can no longer hold.
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

// startDeps returns all start dependencies of a spec, endpoints last.
func startDeps(s spec.Spec) []spec.Dependency {
	all := slices.Clip(s.StartDeps)
	for _, e := range s.StartEndpoints {
		all = append(all, spec.Dependency{Container: e.URL, Condition: spec.Ready, Optional: e.Optional})
	}
	return all
}

// reasons returns what the container waits for, with the reason why an endpoint
// did not answer the last time.
func (m *Machine) reasons() []string {
	all := m.waiting
	for _, d := range m.starts {
		at := slices.Index(m.waiting, phrase(d))
		if at < 0 || m.facts[d.Container].Trouble == "" {
			continue
		}
		all = slices.Clone(all)
		all[at] = m.troubled(d)
	}
	return all
}

// troubled returns phrase with the known trouble, if any.
func (m *Machine) troubled(d spec.Dependency) string {
	text := phrase(d)
	if why := m.facts[d.Container].Trouble; why != "" {
		text += " (" + why + ")"
	}
	return text
}

// phrase returns the words for a dependency that follow "waiting for".
func phrase(d spec.Dependency) string {
	if spec.IsEndpoint(d.Container) {
		return d.Container
	}
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

// ran handles the start of the command.
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

// startTimeout gives up the wait, or only the dependencies that may be given
// up.
func (m *Machine) startTimeout() []Action {
	if m.noted { // the stop request follows, or the note is forgotten
		m.late = true
		return nil
	}
	var acts []Action
	var unmet []string
	for _, d := range m.starts {
		switch {
		case m.judge(d) == holds || slices.Contains(m.dropped, d.Container):
		case d.Optional || m.spec.OnStartTimeout == spec.TimeoutStart:
			m.dropped = append(m.dropped, d.Container)
			acts = append(acts, Drop{fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, m.troubled(d))})
		default:
			unmet = append(unmet, m.troubled(d))
		}
	}
	if m.reading && len(unmet) == 0 && m.spec.OnStartTimeout == spec.TimeoutFail {
		unmet = append(unmet, filesPhrase)
	}
	if len(unmet) > 0 {
		return append(acts, m.finish(spec.ExitStartTimeout, fmt.Sprintf("waited %s for %s", m.spec.StartTimeout, strings.Join(unmet, ", ")))...)
	}
	return append(acts, m.evaluate()...)
}

// verdict is the state of a dependency.
type verdict int

const (
	pending verdict = iota
	holds
	impossible // it can no longer hold
)

// judge compares a dependency with the known facts about its container.
func (m *Machine) judge(d spec.Dependency) verdict { return judge(d, m.facts[d.Container]) }

// judge compares a dependency with a fact about its container.
func judge(d spec.Dependency, f Fact) verdict {
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

// succeeded reports whether the command ran and the container permanently
// exited with the command's own code 0.
func (f Fact) succeeded() bool { return f.Exited && f.Code == 0 && !f.Stopped }

// open returns the start dependencies that the command still waits for.
func (m *Machine) open() []spec.Dependency {
	if m.state != Waiting {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.starts), func(d spec.Dependency) bool { return slices.Contains(m.dropped, d.Container) })
}

// Needs names the containers whose facts can still change what the machine
// does.
func (m *Machine) Needs() []string {
	var names []string
	for _, d := range m.open() {
		names = append(names, d.Container)
	}
	if m.state <= Stopping && m.cause == nobody {
		names = append(names, m.watched()...)
	}
	for _, d := range m.spec.Delegated {
		for _, dep := range d.StopDeps {
			if m.deciding && dep.Container != m.spec.Container {
				names = append(names, dep.Container)
			}
		}
	}
	if m.state <= Delaying { // the signal held in Delaying may not be a stop request
		names = append(names, m.spec.HoldFor...)
	}
	return names
}

// Urgent reports whether the facts about these containers must arrive as soon
// as possible. While the command runs, they need not if the container always
// restarts or has no stop dependencies, unless it restarts with others: a stop
// request triggers a lookup of the present facts.
func (m *Machine) Urgent() bool {
	switch m.state {
	case Waiting, Holding, Delaying, Leaving:
		return true
	default:
		return len(m.spec.RestartWith) > 0 || len(m.spec.StopDeps) > 0 && m.spec.Restart.Policy != spec.RestartAlways
	}
}
