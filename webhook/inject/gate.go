package inject

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// The gate is a startup probe that koordinator adds. Each call blocks until the
// command runs, and fails after 30 s to report what the container waits for. The
// timeout is therefore longer, the period is as short as possible, and the number
// of failures is unlimited.
const (
	gateTimeout  = 40
	gatePeriod   = 1
	gateFailures = 1<<31 - 1
)

// takenTimeout is the timeout of a gate that replaces the container's own startup
// probe, whose failures count. This gate blocks as long as necessary, and then
// gives the check its original timeout.
const takenTimeout = 1<<31 - 1

// checkGate rejects a gate in the pod that koordinator cannot have added.
func checkGate(m *member, n *messages.Notes) {
	own := m.StartupProbe
	switch {
	case own == nil || !isGate(own) || sameProbe(own, gateProbe()):
	case m.gateOfOtherRelease():
	case m.before.StartupProbe == nil || own.InitialDelaySeconds != 0:
		n.Refuse(m.place().Field("startupProbe.exec.command"), messages.OwnProbe, spec.Binary, OwnProgram, "Write the container's own probe, or remove the probe")
	}
}

// gateOfOtherRelease reports whether the startup probe is a gate with the numbers
// of another release, in the copy of a pod.
func (m *member) gateOfOtherRelease() bool {
	own := m.StartupProbe
	return isGate(own) && own.TimeoutSeconds != takenTimeout && m.before.Container != ""
}

// gate prevents a container from counting as started before its command runs.
// This concerns a container that waits, and one whose start other containers
// detect through the pod's status.
func (p *patch) gate(m *member, all members) {
	own := m.StartupProbe
	switch {
	case own == nil:
		if m.gated() || isWatched(m, all) {
			p.set(gateProbe(), m.pointer("startupProbe")...)
		}
	case isGate(own) && sameProbe(own, gateProbe()):
	case m.gateOfOtherRelease():
		p.renewGate(m)
	case isGate(own): // replaces a probe of the container
	case m.gated():
		p.replaceStartup(m)
	}
}

// renewGate sets the current numbers in a gate.
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

// replaceStartup replaces the container's own startup probe with the gate. The
// kubelet keeps applying the probe's thresholds.
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

// handler replaces the action of a probe or hook with the command, and keeps its
// other fields.
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

// isWatched reports whether another container needs the pod's status to detect
// that this one's command has started, and no readiness probe shows it.
func isWatched(m *member, all members) bool {
	if m.runsToEnd() || m.wish.NoGate {
		return false
	}
	return slices.ContainsFunc(all, func(o *member) bool {
		waits := o.waitsFor(m.Name, spec.Started) || !readinessOf(m).given() && o.waitsFor(m.Name, spec.Ready)
		return waits && !o.believes(m)
	})
}

// gateProbe returns the gate with all defaults that the API server would set.
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

// isGate reports whether a probe runs the gate, with any numbers.
func isGate(p *corev1.Probe) bool {
	return p.Exec != nil && slices.Equal(p.Exec.Command, gateCommand())
}

func sameProbe(a, b *corev1.Probe) bool { return equality.Semantic.DeepEqual(a, b) }

// hooks removes a postStart hook that the wrapper runs, and makes a preStop hook
// record that the stop has begun: the wrapper then starts nothing more, and the
// containers that hold for this one are notified.
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
	case isPreStop(own): // already replaced, or rejected
	case m.spec.PreStop != nil && !m.wish.NoGate: // "koordinator prestop" runs it and finds it in the spec
		p.handler(m.pointer("lifecycle", "preStop"), own.Exec != nil,
			map[string]bool{"httpGet": own.HTTPGet != nil, "sleep": own.Sleep != nil}, preStopCommand())
	}
}

// tookPostStart reports whether an earlier call has removed the postStart hook.
func (m *member) tookPostStart() bool {
	return m.before.PostStart != nil && (m.Lifecycle == nil || m.Lifecycle.PostStart == nil)
}

// postStart returns the container's own hook, or nil if it has none.
func postStart(m *member, n *messages.Notes) *spec.Handler {
	if m.tookPostStart() {
		return m.before.PostStart
	}
	if m.Lifecycle == nil || m.Lifecycle.PostStart == nil {
		return nil
	}
	return newHook(m.container, "lifecycle.postStart", m.Lifecycle.PostStart, n)
}

// preStop returns the container's own hook, or nil if it has none.
func preStop(m *member, n *messages.Notes) *spec.Handler {
	if m.Lifecycle == nil || m.Lifecycle.PreStop == nil {
		return nil
	}
	if !isPreStop(m.Lifecycle.PreStop) {
		return newHook(m.container, "lifecycle.preStop", m.Lifecycle.PreStop, n)
	}
	if m.before.PreStop == nil {
		n.Refuse(m.place().Field("lifecycle.preStop.exec.command"), messages.OwnHook, spec.Binary, OwnProgram, "Write the container's own hook, or remove the hook")
	}
	return m.before.PreStop
}

func preStopCommand() []string { return []string{spec.Binary, "prestop"} }

// isPreStop reports whether a hook runs "koordinator prestop".
func isPreStop(h *corev1.LifecycleHandler) bool {
	return h.Exec != nil && slices.Equal(h.Exec.Command, preStopCommand())
}
