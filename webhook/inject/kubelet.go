package inject

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// The kubelet's liveness and readiness probes, and what "koordinator probe"
// answers in their place: the kubelet may take a container that waits for one
// that runs (https://github.com/kubernetes/kubernetes/issues/142305), and it does
// not know that the wrapper is stopping one.

// probeMargin is how much longer the kubelet waits for "koordinator probe" than
// that waits for the container's own probe.
const probeMargin = 1

// answerPeriod is the period of a readiness probe where the container has none of
// its own. The kubelet runs it at once when the startup probe has passed.
const answerPeriod = 30

// livenessOf is the container's own liveness probe, whether or not it was taken
// over by now.
func livenessOf(m *member) probe {
	if isAnswered(m.LivenessProbe, spec.LivenessProbe) {
		return probe{taken: m.before.Liveness}
	}
	return probe{of: m.LivenessProbe, unread: m.unread("livenessProbe")}
}

// readinessOf is the container's own readiness probe, likewise.
func readinessOf(m *member) probe {
	switch own := m.ReadinessProbe; {
	case own == nil, sameProbe(own, answeredReadiness()):
		return probe{}
	case isAnswered(own, spec.ReadinessProbe):
		return probe{taken: m.before.Readiness}
	}
	return probe{of: m.ReadinessProbe, unread: m.unread("readinessProbe")}
}

// taken are the probes and hooks that the wrapper or the gate sees to.
type taken struct {
	startup, liveness, readiness *spec.Probe
	postStart, preStop           *spec.Handler
	livenessDelay                time.Duration
}

// takeOver says which of a member's probes and hooks are taken over. Those that an
// earlier call took over stay with us, also where a copy of the pod has other
// annotations by now.
func takeOver(m *member, held bool, n *Notes) taken {
	var t taken
	if m.gated() || startupOf(m).taken != nil {
		t.startup = startupProbe(m, n)
	}
	if m.gated() || m.tookPostStart() {
		t.postStart = postStart(m, n)
	}
	if m.gated() && m.LivenessProbe != nil {
		t.livenessDelay = time.Duration(m.LivenessProbe.InitialDelaySeconds) * time.Second
	}
	already := m.Lifecycle != nil && m.Lifecycle.PreStop != nil && isPreStop(m.Lifecycle.PreStop)
	if len(m.stopDeps) > 0 || m.gated() || held || already {
		t.preStop = preStop(m, n)
	}
	t.liveness = undelayed(liveness(m, n))
	t.readiness = undelayed(readiness(m, n))
	return t
}

// within is a spec with what is taken over.
func (t taken) within(s spec.Spec) spec.Spec {
	s.StartupProbe, s.Liveness, s.Readiness = t.startup, t.liveness, t.readiness
	s.PostStart, s.PreStop, s.LivenessDelay = t.postStart, t.preStop, t.livenessDelay
	return s
}

// undelayed is a probe whose delay and number of successes the kubelet keeps.
func undelayed(p *spec.Probe) *spec.Probe {
	if p == nil {
		return nil
	}
	own := *p
	own.InitialDelaySeconds, own.SuccessThreshold = 0, 0
	return &own
}

// liveness is the liveness probe if the wrapper knows better about it: where the
// container waits or the wrapper ends it. One of a kind that koordinator cannot run
// is left to the kubelet.
func liveness(m *member, n *Notes) *spec.Probe {
	ends := len(m.stopDeps)+len(m.wish.Spec.ExitHTTP) > 0 && !m.wish.NoGate && !m.runsToEnd()
	p := livenessOf(m)
	if p.of != nil && p.known() && !asksElsewhere(p.of) && (m.gated() || ends) {
		return newProbe(m.container, "livenessProbe", p, n)
	}
	return p.taken
}

// readiness is the readiness probe, likewise, where it would pass although the
// command does not run.
func readiness(m *member, n *Notes) *spec.Probe {
	p := readinessOf(m)
	if p.of != nil && p.of.Exec != nil && p.known() && m.gated() {
		return newProbe(m.container, "readinessProbe", p, n)
	}
	return p.taken
}

// asksElsewhere reports whether a probe names another host than the pod. It says
// nothing about the command, and Pod Security judges it where it stands.
func asksElsewhere(p *corev1.Probe) bool {
	return p.HTTPGet != nil && p.HTTPGet.Host != "" || p.TCPSocket != nil && p.TCPSocket.Host != ""
}

// checkAnswer refuses a probe that asks "koordinator probe" without a probe that it
// could run.
func checkAnswer(c container, field string, have *corev1.Probe, own *spec.Probe, kind string, n *Notes) {
	if own == nil && isAnswered(have, kind) && !sameProbe(have, answeredReadiness()) {
		n.refuse(c.place(), fmt.Sprintf("%s: %s is koordinator's own: write the real probe, or none", field, spec.Binary))
	}
}

// answerProbes has the kubelet ask "koordinator probe".
func (p *patch) answerProbes(m *instructed) {
	p.answer(m.container, "livenessProbe", m.LivenessProbe, m.spec.Liveness, spec.LivenessProbe)
	if m.ReadinessProbe == nil && m.gated() {
		p.set(answeredReadiness(), m.pointer("readinessProbe")...)
		return
	}
	p.answer(m.container, "readinessProbe", m.ReadinessProbe, m.spec.Readiness, spec.ReadinessProbe)
}

func (p *patch) answer(c container, field string, have *corev1.Probe, own *spec.Probe, kind string) {
	if own == nil || isAnswered(have, kind) {
		return
	}
	at := c.pointer(field)
	p.handler(at, have.Exec != nil, map[string]bool{
		"httpGet": have.HTTPGet != nil, "tcpSocket": have.TCPSocket != nil, "grpc": have.GRPC != nil,
	}, answerCommand(kind))
	p.set(max(1, have.TimeoutSeconds)+probeMargin, append(at, "timeoutSeconds")...)
}

// answeredReadiness is written out in full, as the API server would fill it in.
func answeredReadiness() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: answerCommand(spec.ReadinessProbe)}},
		TimeoutSeconds:   10,
		PeriodSeconds:    answerPeriod,
		SuccessThreshold: 1,
		FailureThreshold: 3,
	}
}

func answerCommand(kind string) []string { return []string{spec.Binary, "probe", kind} }

// isAnswered reports whether the kubelet asks "koordinator probe".
func isAnswered(p *corev1.Probe, kind string) bool {
	return p != nil && p.Exec != nil && slices.Equal(p.Exec.Command, answerCommand(kind))
}

// probeGrace is the shortest grace period that the kubelet gives the container
// after a probe has failed, 0 where no probe has one of its own.
func (m *member) probeGrace() time.Duration {
	var shortest time.Duration
	for _, p := range []*corev1.Probe{m.StartupProbe, m.LivenessProbe} {
		if p == nil || p.TerminationGracePeriodSeconds == nil {
			continue
		}
		grace := time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
		if shortest == 0 || grace < shortest {
			shortest = grace
		}
	}
	return shortest
}
