package inject

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// The kubelet's liveness and readiness probes, and the answers of "koordinator
// probe" that replace them. They are replaced because the kubelet may take a
// waiting container for a running one
// (https://github.com/kubernetes/kubernetes/issues/142305), and because it does
// not know when the wrapper is stopping one.

// probeMargin is how much longer the kubelet waits for "koordinator probe" than
// that waits for the container's own probe, in seconds.
const probeMargin = 1

// answerPeriod is the period of the added readiness probe of a container that has
// none of its own, in seconds. The kubelet runs it immediately after the startup
// probe has succeeded.
const answerPeriod = 30

// livenessOf returns the container's own liveness probe, whether or not it has
// already been taken over.
func livenessOf(m *member) probe {
	if isAnswered(m.LivenessProbe, spec.LivenessProbe) {
		return probe{taken: m.before.Liveness}
	}
	return probe{of: m.LivenessProbe, unread: m.unread("livenessProbe")}
}

// readinessOf returns the container's own readiness probe, whether or not it has
// already been taken over.
func readinessOf(m *member) probe {
	switch own := m.ReadinessProbe; {
	case own == nil, isAnswered(own, spec.ReadinessProbe) && sameProbe(own, answeredReadiness()):
		return probe{}
	case isAnswered(own, spec.ReadinessProbe):
		return probe{taken: m.before.Readiness}
	}
	return probe{of: m.ReadinessProbe, unread: m.unread("readinessProbe")}
}

// taken are the probes and hooks that the wrapper or the gate runs.
type taken struct {
	startup, liveness, readiness *spec.Probe
	postStart, preStop           *spec.Handler
	livenessDelay                time.Duration
}

// takeOver determines which of a member's probes and hooks are taken over. Those
// that an earlier call took over stay taken over, even if the pod is a copy that
// now has other annotations.
func takeOver(m *member, held bool, n *messages.Notes) taken {
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
	// The wrapper divides the grace period, of which the hook uses a part.
	budgets := (len(m.holdFor) > 0 || m.wish.Spec.StopDelay > 0) && !m.wish.NoGate
	if len(m.stopDeps)+len(m.restartWith()) > 0 || m.gated() || held || budgets || already {
		t.preStop = preStop(m, n)
	}
	t.liveness = undelayed(liveness(m, n))
	t.readiness = undelayed(readiness(m, n))
	return t
}

// within returns a spec with the probes and hooks that are taken over.
func (t taken) within(s spec.Spec) spec.Spec {
	s.StartupProbe, s.Liveness, s.Readiness = t.startup, t.liveness, t.readiness
	s.PostStart, s.PreStop, s.LivenessDelay = t.postStart, t.preStop, t.livenessDelay
	return s
}

// undelayed returns a probe without the delay and the number of successes, which
// the kubelet continues to apply.
func undelayed(p *spec.Probe) *spec.Probe {
	if p == nil {
		return nil
	}
	own := *p
	own.InitialDelaySeconds, own.SuccessThreshold = 0, 0
	return &own
}

// liveness returns the liveness probe if the wrapper has better information:
// because the container waits, or because the wrapper stops it. A probe of a kind
// that koordinator cannot run is left to the kubelet.
func liveness(m *member, n *messages.Notes) *spec.Probe {
	ends := len(m.stopDeps)+len(m.restartWith())+len(m.wish.Spec.ExitHTTP)+len(m.delegated) > 0 && !m.wish.NoGate && !m.runsToEnd()
	p := livenessOf(m)
	if p.of != nil && p.known() && !asksElsewhere(p.of) && (m.gated() || ends) {
		return newProbe(m.container, "livenessProbe", p, n)
	}
	return p.taken
}

// readiness returns the readiness probe if it would succeed although the command
// does not run.
func readiness(m *member, n *messages.Notes) *spec.Probe {
	p := readinessOf(m)
	if p.of != nil && p.of.Exec != nil && p.known() && m.gated() {
		return newProbe(m.container, "readinessProbe", p, n)
	}
	return p.taken
}

// asksElsewhere reports whether a probe names a host other than the pod. Such a
// probe says nothing about the command, and Pod Security evaluates it in its
// original place.
func asksElsewhere(p *corev1.Probe) bool {
	return p.HTTPGet != nil && p.HTTPGet.Host != "" || p.TCPSocket != nil && p.TCPSocket.Host != ""
}

// checkAnswer rejects a probe that runs "koordinator probe" if there is no probe
// that this could run.
func checkAnswer(c container, field string, have *corev1.Probe, own *spec.Probe, kind string, n *messages.Notes) {
	if own == nil && isAnswered(have, kind) && !sameProbe(have, answeredReadiness()) {
		n.Refuse(c.place().Field(field+".exec.command"), messages.OwnProbe, spec.Binary, OwnProgram, "Write the container's own probe, or remove the probe")
	}
}

// answerProbes makes the kubelet run "koordinator probe".
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

// answeredReadiness returns the readiness probe with all defaults that the API
// server would set.
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

// isAnswered reports whether a probe runs "koordinator probe".
func isAnswered(p *corev1.Probe, kind string) bool {
	return p != nil && p.Exec != nil && slices.Equal(p.Exec.Command, answerCommand(kind))
}

// probeGrace returns the shortest grace period that the kubelet gives the
// container after a failed probe, or 0 if no probe has its own.
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
