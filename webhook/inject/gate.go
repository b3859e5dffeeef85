package inject

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/wrapper/spec"
)

// The gate, a startup probe of ours. The call blocks until the command runs
// and fails every 30 s to say what it waits for, so the timeout is longer, the
// period as short as can be, and the number of failures without end.
const (
	gateTimeout  = 40
	gatePeriod   = 1
	gateFailures = 1<<31 - 1
)

// takenTimeout is for a gate in the place of a startup probe of the container's
// own, whose failures count: it blocks as long as it takes, and then gives the
// check the time it had.
const takenTimeout = 1<<31 - 1

// checkGate refuses a gate in the pod that cannot be one of ours.
func checkGate(m *member, n *Notes) {
	own := m.StartupProbe
	switch {
	case own == nil || !isGate(own) || sameProbe(own, gateProbe()):
	case m.gateOfOtherRelease():
	case m.before.StartupProbe == nil || own.InitialDelaySeconds != 0:
		n.refuse(m.place(), "startupProbe: "+spec.Binary+" is koordinator's own: write the real probe, or none")
	}
}

// gateOfOtherRelease reports whether the startup probe is a gate with the numbers
// of another release, in the copy of a pod.
func (m *member) gateOfOtherRelease() bool {
	own := m.StartupProbe
	return isGate(own) && own.TimeoutSeconds != takenTimeout && m.before.Container != ""
}

// gate keeps a container from being taken for a started one before its command
// runs: one that waits, and one whose start others have to hear of from the
// pod's status.
func (p *patch) gate(m *member, all members) {
	own := m.StartupProbe
	switch {
	case own == nil:
		if m.gated() || isWatched(m, all) {
			p.set(gateProbe(), m.pointer("startupProbe")...)
		}
	case sameProbe(own, gateProbe()):
	case m.gateOfOtherRelease():
		p.renewGate(m)
	case isGate(own): // in the place of a probe that was taken over
	case m.gated():
		p.replaceStartup(m)
	}
}

// renewGate gives a gate of ours the numbers that it should have.
func (p *patch) renewGate(m *member) {
	at, want := m.pointer("startupProbe"), gateProbe()
	for _, n := range []struct {
		name       string
		have, want int32
	}{
		{"timeoutSeconds", m.StartupProbe.TimeoutSeconds, want.TimeoutSeconds},
		{"periodSeconds", m.StartupProbe.PeriodSeconds, want.PeriodSeconds},
		{"successThreshold", m.StartupProbe.SuccessThreshold, want.SuccessThreshold},
		{"failureThreshold", m.StartupProbe.FailureThreshold, want.FailureThreshold},
		{"initialDelaySeconds", m.StartupProbe.InitialDelaySeconds, want.InitialDelaySeconds},
	} {
		if n.have != n.want {
			p.set(n.want, append(at, n.name)...)
		}
	}
}

// replaceStartup puts the gate in the place of the container's own startup
// probe, whose thresholds stay the kubelet's.
func (p *patch) replaceStartup(m *member) {
	at, own := m.pointer("startupProbe"), m.StartupProbe
	p.handler(at, own.Exec != nil, map[string]bool{
		"httpGet": own.HTTPGet != nil, "tcpSocket": own.TCPSocket != nil, "grpc": own.GRPC != nil,
	}, gateCommand())
	p.set(takenTimeout, append(at, "timeoutSeconds")...)
	if own.InitialDelaySeconds != 0 {
		p.remove(append(at, "initialDelaySeconds")...)
	}
}

// handler makes what a probe or hook does the command, and leaves the rest of it.
func (p *patch) handler(at []string, isExec bool, others map[string]bool, command []string) {
	if isExec {
		p.set(command, append(at, "exec", "command")...)
		return
	}
	for _, kind := range []string{"httpGet", "tcpSocket", "grpc", "sleep"} {
		if others[kind] {
			p.remove(append(at, kind)...)
		}
	}
	p.set(corev1.ExecAction{Command: command}, append(at, "exec")...)
}

// isWatched reports whether another container has to learn from the pod's
// status that this one's command was started, without a readiness probe that
// could tell of it.
func isWatched(m *member, all members) bool {
	if m.runsToEnd() || m.wish.NoGate {
		return false
	}
	return slices.ContainsFunc(all, func(o *member) bool {
		waits := o.waitsFor(m.Name, spec.Started) || !readinessOf(m).given() && o.waitsFor(m.Name, spec.Ready)
		return waits && !o.believes(m)
	})
}

// gateProbe is written out in full, as the API server would fill it in.
func gateProbe() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: gateCommand()}},
		TimeoutSeconds:   gateTimeout,
		PeriodSeconds:    gatePeriod,
		SuccessThreshold: 1,
		FailureThreshold: gateFailures,
	}
}

func gateCommand() []string { return []string{spec.Binary, "gate"} }

// isGate reports whether a probe asks the gate, in whatever way.
func isGate(p *corev1.Probe) bool {
	return p.Exec != nil && slices.Equal(p.Exec.Command, gateCommand())
}

func sameProbe(a, b *corev1.Probe) bool { return equality.Semantic.DeepEqual(a, b) }

// hooks takes a postStart hook away that the wrapper runs, and has a preStop hook
// note that the stop has begun: the wrapper then starts nothing any more, and the
// containers that hold for this one know.
func (p *patch) hooks(m *instructed) {
	if m.Lifecycle == nil {
		return
	}
	if m.Lifecycle.PostStart != nil && m.gated() {
		p.remove(m.pointer("lifecycle", "postStart")...)
	}
	own := m.Lifecycle.PreStop
	switch {
	case own == nil:
	case isPreStop(own): // it was taken over, or refused
	case m.spec.PreStop != nil && !m.wish.NoGate: // it is run by a command of ours, which finds it in the spec
		p.handler(m.pointer("lifecycle", "preStop"), own.Exec != nil,
			map[string]bool{"httpGet": own.HTTPGet != nil, "sleep": own.Sleep != nil}, preStopCommand())
	}
}

// tookPostStart reports whether an earlier call has taken the postStart hook
// away.
func (m *member) tookPostStart() bool {
	return m.before.PostStart != nil && (m.Lifecycle == nil || m.Lifecycle.PostStart == nil)
}

// postStart is the container's own hook, nil when it has none.
func postStart(m *member, n *Notes) *spec.Handler {
	if m.tookPostStart() {
		return m.before.PostStart
	}
	if m.Lifecycle == nil || m.Lifecycle.PostStart == nil {
		return nil
	}
	return newHook(m.container, "lifecycle.postStart", m.Lifecycle.PostStart, n)
}

// preStop is the container's own hook, nil when it has none.
func preStop(m *member, n *Notes) *spec.Handler {
	if m.Lifecycle == nil || m.Lifecycle.PreStop == nil {
		return nil
	}
	if !isPreStop(m.Lifecycle.PreStop) {
		return newHook(m.container, "lifecycle.preStop", m.Lifecycle.PreStop, n)
	}
	if m.before.PreStop == nil {
		n.refuse(m.place(), "lifecycle.preStop: "+spec.Binary+" is koordinator's own: write the real hook, or none")
	}
	return m.before.PreStop
}

func preStopCommand() []string { return []string{spec.Binary, "prestop"} }

// isPreStop reports whether a hook is our command.
func isPreStop(h *corev1.LifecycleHandler) bool {
	return h.Exec != nil && slices.Equal(h.Exec.Command, preStopCommand())
}
