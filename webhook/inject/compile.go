package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// defaultGrace is the API server's default of terminationGracePeriodSeconds.
const defaultGrace = 30 * time.Second

// compile works out what is written for each wrapped container. Each step
// needs those before it for all containers.
func (j *job) compile() {
	for _, step := range []func(*member){j.begin, j.hold, j.takeOver, j.listWrapped, j.listProbes, j.chooseMode, j.checkLocal, j.encode} {
		for _, m := range j.members {
			step(m)
		}
	}
}

// encode writes the spec out, which is complete by then.
func (j *job) encode(m *member) { m.text = m.spec.Encode() }

// begin fills in what the container's own manifest tells.
func (j *job) begin(m *member) {
	m.spec = m.wish.Spec
	m.spec.Container = m.Name
	m.spec.StartDeps = j.open(m.spec.StartDeps)
	m.spec.StopDeps = slices.Clone(m.spec.StopDeps)
	m.spec.Restart = m.restart()
	m.spec.GracePeriod = j.grace()
	m.spec.ProbeGrace = m.probeGrace()
	j.keepEnviron(m)
	m.spec.MessagePath = cmp.Or(m.TerminationMessagePath, spec.Message)
	if m.spec.Source == spec.SourceAuto && !m.hasToken() {
		m.spec.Source = spec.SourceLocal
	}
	j.imageSays(m)
	if m.Lifecycle == nil || m.Lifecycle.StopSignal == nil {
		return
	}
	signal, err := spec.ParseSignal(string(*m.Lifecycle.StopSignal))
	if err != nil { // SIGKILL, which nobody can wait for
		j.refuse(m.place(), fmt.Sprintf("lifecycle.stopSignal: %v", err))
	}
	m.spec.RequestSignal = signal
}

// open leaves out the dependencies on init containers that have ended before
// anything waits: they hold by then. So are optional ones on containers that
// neither the pod has nor another webhook adds: they never do.
func (j *job) open(deps []spec.Dependency) []spec.Dependency {
	return slices.DeleteFunc(slices.Clone(deps), func(d spec.Dependency) bool {
		on, found := j.find(d.Container)
		return found && on.runsToEnd() || !found && d.Optional && !j.late(d.Container)
	})
}

// grace is the pod's grace period.
func (j *job) grace() time.Duration {
	if seconds := j.pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return defaultGrace
}

// hold lists the containers for which a container holds. The kubelet stops
// native sidecars after all regular containers, so for them it does it.
func (j *job) hold(m *member) {
	if m.init() {
		return
	}
	for _, name := range j.holds[m.Name] {
		if c, found := j.find(name); found && !c.init() {
			m.spec.HoldFor = append(m.spec.HoldFor, name)
		}
	}
}

// heldFor reports whether others hold until the container has exited.
func (j *job) heldFor(m *member) bool {
	return slices.ContainsFunc(j.members, func(o *member) bool { return slices.Contains(o.spec.HoldFor, m.Name) })
}

// takeOver writes down the probes and hooks that the wrapper or the gate sees
// to. Those that an earlier call took over stay with us, also where a copy of the
// pod has other annotations by now.
func (j *job) takeOver(m *member) {
	if m.gated() || startupOf(m).taken != nil {
		m.spec.StartupProbe = j.startupProbe(m)
	}
	if m.gated() || m.tookPostStart() {
		m.spec.PostStart = j.postStart(m)
	}
	if m.gated() && m.LivenessProbe != nil {
		m.spec.LivenessDelay = time.Duration(m.LivenessProbe.InitialDelaySeconds) * time.Second
	}
	taken := m.Lifecycle != nil && m.Lifecycle.PreStop != nil && isPreStop(m.Lifecycle.PreStop)
	if len(m.spec.StopDeps) > 0 || m.gated() || j.heldFor(m) || taken {
		m.spec.PreStop = j.preStop(m)
	}
	j.takeProbes(m)
}

// listWrapped lists those containers it has to know of that keep a record. One
// that cannot tell by itself when it is ready is not among them where that is
// waited for. With source: pod the records only correct the pod's status.
func (j *job) listWrapped(m *member) {
	for _, o := range j.members {
		if m.needs(o.Name) && (m.spec.Source == spec.SourcePod || !m.waitsFor(o.Name, spec.Ready) || tellsReady(o)) {
			m.spec.Wrapped = append(m.spec.Wrapped, o.Name)
		}
	}
}

// tellsReady reports whether a container's own probes, if any, can be run in
// the container.
func tellsReady(m *member) bool {
	for _, p := range []probe{startupOf(m), readinessOf(m)} {
		if p.given() && (m.spec.Mode == spec.ExecMode || !p.known()) {
			return false
		}
	}
	return true
}

// listProbes lists the probes that have to pass before others may take the
// container for ready from its record, or before the gate need not wait for the
// liveness probe's delay any longer.
func (j *job) listProbes(m *member) {
	asked := slices.ContainsFunc(j.members, func(o *member) bool {
		return o.waitsFor(m.Name, spec.Ready) && o.believes(m.Name)
	})
	readiness := readinessOf(m)
	delayed := m.spec.LivenessDelay > 0 && m.spec.StartupProbe == nil && readiness.given() && tellsReady(m)
	if !asked && !delayed {
		return
	}
	if p := j.startupProbe(m); p != nil {
		m.spec.ReadyProbes = append(m.spec.ReadyProbes, *p)
	}
	if p := j.readyProbe(m, readiness); p != nil {
		m.spec.ReadyProbes = append(m.spec.ReadyProbes, *p)
	}
}

// readyProbe is the container's own readiness probe with the delay and the number
// of successes that the kubelet keeps, nil when it has none.
func (j *job) readyProbe(m *member, own probe) *spec.Probe {
	if own.taken == nil {
		return j.probe(m.container, "readinessProbe", own)
	}
	p := *own.taken
	p.InitialDelaySeconds, p.SuccessThreshold = int(m.ReadinessProbe.InitialDelaySeconds), int(m.ReadinessProbe.SuccessThreshold)
	return &p
}

// chooseMode lets the command take the wrapper's place where nothing is left to
// do for it then, and refuses that where something is.
func (j *job) chooseMode(m *member) {
	place := j.placeOf(m.Name, "mode")
	reasons := j.againstExec(m)
	switch {
	case m.spec.Mode == spec.ExecMode && len(reasons) > 0:
		j.refuse(place, fmt.Sprintf("%q cannot run in mode exec, which leaves nothing of koordinator beside the command: %s: remove the mode, or that", m.Name, strings.Join(reasons, ", and ")))
	case place == "" && len(reasons) == 0 && !j.isNeeded(m):
		m.spec.Mode = spec.ExecMode
	}
}

// againstExec are the reasons why a command cannot do without the wrapper.
func (j *job) againstExec(m *member) []string {
	var reasons []string
	for _, r := range []struct {
		holds bool
		text  string
	}{
		{len(m.spec.StopDeps) > 0, "it has stop dependencies"},
		{m.spec.StopDelay > 0, "it has a stop-delay"},
		{m.spec.StopSignal != 0, "it has a stop-signal"},
		{len(m.spec.ExitHTTP) > 0, "it has an exit-http"},
		{m.spec.PostStart != nil, "its postStart hook has to wait for the start"},
		{j.wrapsPreStop(m) && j.heldFor(m), "others hold for it, and have to hear of its stop before its preStop hook runs"},
		{len(m.spec.HoldFor) > 0, "it holds for " + strings.Join(m.spec.HoldFor, ", ") + " when the pod is stopped"},
	} {
		if r.holds {
			reasons = append(reasons, r.text)
		}
	}
	for _, o := range j.members {
		for _, d := range slices.Concat(o.spec.StartDeps, o.spec.StopDeps) {
			if d.Container == m.Name && asksExit(m, d.Condition) {
				reasons = append(reasons, fmt.Sprintf("%q needs to know of its exit (%s)", o.Name, d))
			}
		}
	}
	return reasons
}

// asksExit reports whether a condition is about an exit code, which nobody can
// report once the command has taken the wrapper's place: of itself, or because
// the code decides whether the exit is for good. That it exited at all shows by
// its record.
func asksExit(on *member, c spec.Condition) bool {
	some, all := false, true
	for code := range 256 {
		good := on.spec.Restart.ForGood(code)
		some, all = some || good, all && good
	}
	return c == spec.Succeeded || c == spec.Failed || c == spec.Exited && some && !all
}

// isNeeded reports whether a wrapper that nobody asked to go is of use for
// more than the wait.
func (j *job) isNeeded(m *member) bool {
	alive := slices.ContainsFunc(m.spec.StartDeps, func(d spec.Dependency) bool {
		return d.Condition == spec.Started || d.Condition == spec.Ready
	})
	named := slices.ContainsFunc(j.members, func(o *member) bool { return o.needs(m.Name) })
	return alive || named || m.spec.StopHTTP != nil || len(m.spec.ReadyProbes) > 0
}
