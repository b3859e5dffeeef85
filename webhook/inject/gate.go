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

// gate keeps a container from being taken for a started one before its command
// runs: one that waits, and one whose start others have to hear of from the
// pod's status.
func (j *job) gate(m *member) {
	own := m.StartupProbe
	switch {
	case own == nil:
		if m.gated() || j.isWatched(m) {
			j.patch.set(gateProbe(), m.pointer("startupProbe")...)
		}
	case sameProbe(own, gateProbe()):
	case isGate(own) && own.TimeoutSeconds != takenTimeout && m.before.Container != "":
		j.renewGate(m) // of another release, in the copy of a pod
	case isGate(own):
		if m.before.StartupProbe == nil || own.TimeoutSeconds != takenTimeout || own.InitialDelaySeconds != 0 {
			j.refuse(m.place(), "startupProbe: "+spec.Binary+" is koordinator's own: write the real probe, or none")
		}
	case m.gated():
		j.replaceStartup(m)
	}
}

// renewGate gives a gate of ours the numbers that it should have.
func (j *job) renewGate(m *member) {
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
			j.patch.set(n.want, append(at, n.name)...)
		}
	}
}

// replaceStartup puts the gate in the place of the container's own startup
// probe, whose thresholds stay the kubelet's.
func (j *job) replaceStartup(m *member) {
	at, own := m.pointer("startupProbe"), m.StartupProbe
	j.replaceHandler(at, own.Exec != nil, map[string]bool{
		"httpGet": own.HTTPGet != nil, "tcpSocket": own.TCPSocket != nil, "grpc": own.GRPC != nil,
	}, gateCommand())
	j.patch.set(takenTimeout, append(at, "timeoutSeconds")...)
	if own.InitialDelaySeconds != 0 {
		j.patch.remove(append(at, "initialDelaySeconds")...)
	}
}

// replaceHandler makes what a probe or hook does the command, and leaves the
// rest of it.
func (j *job) replaceHandler(at []string, isExec bool, others map[string]bool, command []string) {
	if isExec {
		j.patch.set(command, append(at, "exec", "command")...)
		return
	}
	for _, kind := range []string{"httpGet", "tcpSocket", "grpc", "sleep"} {
		if others[kind] {
			j.patch.remove(append(at, kind)...)
		}
	}
	j.patch.set(corev1.ExecAction{Command: command}, append(at, "exec")...)
}

// isWatched reports whether another container has to learn from the pod's
// status that this one's command was started, without a readiness probe that
// could tell of it.
func (j *job) isWatched(m *member) bool {
	if m.runsToEnd() || m.wish.NoGate {
		return false
	}
	return slices.ContainsFunc(j.members, func(o *member) bool {
		waits := o.waitsFor(m.Name, spec.Started) || !readinessOf(m).given() && o.waitsFor(m.Name, spec.Ready)
		return waits && !o.believes(m.Name)
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
func (j *job) hooks(m *member) {
	if m.Lifecycle == nil {
		return
	}
	if m.Lifecycle.PostStart != nil && m.gated() {
		j.patch.remove(m.pointer("lifecycle", "postStart")...)
	}
	own := m.Lifecycle.PreStop
	switch {
	case own == nil:
	case isPreStop(own): // it was taken over, or refused
	case j.wrapsPreStop(m):
		j.replaceHandler(m.pointer("lifecycle", "preStop"), own.Exec != nil,
			map[string]bool{"httpGet": own.HTTPGet != nil, "sleep": own.Sleep != nil}, preStopCommand())
	}
}

// wrapsPreStop reports whether the hook is run by a command of ours, which
// finds it in the spec.
func (j *job) wrapsPreStop(m *member) bool {
	return m.spec.PreStop != nil && !m.wish.NoGate
}

// tookPostStart reports whether an earlier call has taken the postStart hook
// away.
func (m *member) tookPostStart() bool {
	return m.before.PostStart != nil && (m.Lifecycle == nil || m.Lifecycle.PostStart == nil)
}

// postStart is the container's own hook, nil when it has none.
func (j *job) postStart(m *member) *spec.Handler {
	if m.tookPostStart() {
		return m.before.PostStart
	}
	if m.Lifecycle == nil || m.Lifecycle.PostStart == nil {
		return nil
	}
	return j.hook(m.container, "lifecycle.postStart", m.Lifecycle.PostStart)
}

// preStop is the container's own hook, nil when it has none.
func (j *job) preStop(m *member) *spec.Handler {
	if m.Lifecycle == nil || m.Lifecycle.PreStop == nil {
		return nil
	}
	if !isPreStop(m.Lifecycle.PreStop) {
		return j.hook(m.container, "lifecycle.preStop", m.Lifecycle.PreStop)
	}
	if m.before.PreStop == nil {
		j.refuseHook(m)
	}
	return m.before.PreStop
}

func (j *job) refuseHook(m *member) {
	j.refuse(m.place(), "lifecycle.preStop: "+spec.Binary+" is koordinator's own: write the real hook, or none")
}

func preStopCommand() []string { return []string{spec.Binary, "prestop"} }

// isPreStop reports whether a hook is our command.
func isPreStop(h *corev1.LifecycleHandler) bool {
	return h.Exec != nil && slices.Equal(h.Exec.Command, preStopCommand())
}
