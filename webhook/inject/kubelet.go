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

// takeProbes takes the probes over that the wrapper knows better about: liveness
// where the container waits or the wrapper ends it, readiness where it would pass
// although the command does not run. One of a kind that koordinator cannot run is
// left to the kubelet.
func (j *job) takeProbes(m *member) {
	ends := len(m.spec.StopDeps)+len(m.spec.ExitHTTP) > 0 && !m.wish.NoGate && !m.runsToEnd()
	liveness, readiness := livenessOf(m), readinessOf(m)
	switch {
	case liveness.taken != nil:
		m.spec.Liveness = liveness.taken
	case liveness.of != nil && liveness.known() && !asksElsewhere(liveness.of) && (m.gated() || ends):
		m.spec.Liveness = j.probe(m.container, "livenessProbe", liveness)
	}
	switch {
	case readiness.taken != nil:
		m.spec.Readiness = readiness.taken
	case readiness.of != nil && readiness.of.Exec != nil && readiness.known() && m.gated():
		m.spec.Readiness = j.probe(m.container, "readinessProbe", readiness)
	}
	for _, p := range []*spec.Probe{m.spec.Liveness, m.spec.Readiness} {
		if p != nil { // the kubelet keeps these
			p.InitialDelaySeconds, p.SuccessThreshold = 0, 0
		}
	}
}

// asksElsewhere reports whether a probe names another host than the pod. It says
// nothing about the command, and Pod Security judges it where it stands.
func asksElsewhere(p *corev1.Probe) bool {
	return p.HTTPGet != nil && p.HTTPGet.Host != "" || p.TCPSocket != nil && p.TCPSocket.Host != ""
}

// answerProbes has the kubelet ask "koordinator probe".
func (j *job) answerProbes(m *member) {
	j.answer(m, "livenessProbe", m.LivenessProbe, m.spec.Liveness, spec.LivenessProbe)
	if m.ReadinessProbe == nil && m.gated() {
		j.patch.set(answeredReadiness(), m.pointer("readinessProbe")...)
		return
	}
	j.answer(m, "readinessProbe", m.ReadinessProbe, m.spec.Readiness, spec.ReadinessProbe)
}

func (j *job) answer(m *member, place string, have *corev1.Probe, own *spec.Probe, kind string) {
	switch {
	case isAnswered(have, kind) && own == nil && !sameProbe(have, answeredReadiness()):
		j.refuse(m.place(), fmt.Sprintf("%s: %s is koordinator's own: write the real probe, or none", place, spec.Binary))
	case own == nil, isAnswered(have, kind):
	default:
		at := m.pointer(place)
		j.replaceHandler(at, have.Exec != nil, map[string]bool{
			"httpGet": have.HTTPGet != nil, "tcpSocket": have.TCPSocket != nil, "grpc": have.GRPC != nil,
		}, answerCommand(kind))
		j.patch.set(max(1, have.TimeoutSeconds)+probeMargin, append(at, "timeoutSeconds")...)
	}
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
