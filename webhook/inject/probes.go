package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// probe is a container's own probe: as in the pod, or as an earlier call took it
// over.
type probe struct {
	of     *corev1.Probe
	taken  *spec.Probe
	unread bool // it contains fields that this build does not know
}

// given reports whether there is a probe.
func (p probe) given() bool { return p.of != nil || p.taken != nil }

// known reports whether koordinator can run the probe. It cannot run kinds of
// later Kubernetes versions, and gRPC with TLS.
func (p probe) known() bool {
	switch {
	case p.of == nil:
		return true
	case p.unread:
		return false
	case p.of.GRPC != nil:
		return p.of.GRPC.Mode == nil || *p.of.GRPC.Mode == corev1.GRPCProbeModePlaintext
	case p.of.HTTPGet != nil:
		return speaksHTTP1(p.of.HTTPGet)
	}
	return p.of.Exec != nil || p.of.TCPSocket != nil
}

// speaksHTTP1 reports whether the request uses HTTP/1.1 (httpGet.protocol,
// Kubernetes ≥ 1.37).
func speaksHTTP1(g *corev1.HTTPGetAction) bool {
	return g.Protocol == nil || *g.Protocol == corev1.HTTPProtocolHTTP1
}

// startupOf returns the container's own startup probe, whether or not the gate
// has already replaced it.
func startupOf(m *member) probe {
	switch {
	case m.StartupProbe == nil || isGate(m.StartupProbe) && sameProbe(m.StartupProbe, gateProbe()):
		return probe{}
	case isGate(m.StartupProbe):
		return probe{taken: m.before.StartupProbe}
	}
	return probe{of: m.StartupProbe, unread: m.unread("startupProbe")}
}

// tellsReady reports whether a container's own probes, if any, can be run in the
// container.
func tellsReady(m *member) bool {
	for _, p := range []probe{startupOf(m), readinessOf(m)} {
		if p.given() && !m.notifies() && (m.wish.Spec.Mode == spec.ExecMode || !p.known()) {
			return false
		}
	}
	return true
}

// readyProbes returns the probes that must succeed before others may consider the
// container ready according to its record, or before the gate stops waiting for
// the liveness probe's delay.
func readyProbes(m *member, all members, t taken, n *messages.Notes) []spec.Probe {
	asked := slices.ContainsFunc(all, func(o *member) bool { return o.waitsFor(m.Name, spec.Ready) && o.believes(m) })
	own := readinessOf(m)
	delayed := t.livenessDelay > 0 && t.startup == nil && own.given() && tellsReady(m)
	if !asked && !delayed || m.notifies() {
		return nil
	}
	var probes []spec.Probe
	if p := startupProbe(m, n); p != nil {
		probes = append(probes, *p)
	}
	if p := readyProbe(m, own, n); p != nil {
		probes = append(probes, *p)
	}
	return probes
}

// readyProbe returns the container's own readiness probe with the delay and the
// number of successes that the kubelet applies, or nil if it has none.
func readyProbe(m *member, own probe, n *messages.Notes) *spec.Probe {
	if own.taken == nil {
		return newProbe(m.container, "readinessProbe", own, n)
	}
	p := *own.taken
	p.InitialDelaySeconds, p.SuccessThreshold = int(m.ReadinessProbe.InitialDelaySeconds), int(m.ReadinessProbe.SuccessThreshold)
	return &p
}

// startupProbe returns the container's own startup probe, or nil if it has none.
func startupProbe(m *member, n *messages.Notes) *spec.Probe {
	own := startupOf(m)
	if own.taken != nil {
		return own.taken
	}
	p := newProbe(m.container, "startupProbe", own, n)
	if p != nil {
		p.PeriodSeconds = int(own.of.PeriodSeconds)
	}
	return p
}

// newProbe converts a probe to the form of the spec.
func newProbe(c container, field string, from probe, n *messages.Notes) *spec.Probe {
	p := from.of
	if p == nil {
		return nil
	}
	if !from.known() {
		n.Refuse(c.place().Field(field), messages.UnsupportedProbe, "", "koordinator cannot run a probe of this kind", "Use exec, httpGet with HTTP/1.1, tcpSocket, or grpc without TLS")
		return nil
	}
	own := spec.Probe{
		InitialDelaySeconds: int(p.InitialDelaySeconds),
		TimeoutSeconds:      int(p.TimeoutSeconds),
		SuccessThreshold:    int(p.SuccessThreshold),
	}
	switch {
	case p.Exec != nil:
		own.Exec = &spec.Exec{Command: expandAll(p.Exec.Command, c.Env)}
	case p.HTTPGet != nil:
		own.HTTP = httpGet(c, field, p.HTTPGet, n)
	case p.TCPSocket != nil:
		own.TCP = &spec.TCPSocket{Port: portOf(c, field, p.TCPSocket.Port, n), Host: p.TCPSocket.Host}
	default:
		own.GRPC = &spec.GRPC{Port: int(p.GRPC.Port)}
		if p.GRPC.Service != nil {
			own.GRPC.Service = *p.GRPC.Service
		}
	}
	return &own
}

func httpGet(c container, field string, g *corev1.HTTPGetAction, n *messages.Notes) *spec.HTTPGet {
	own := &spec.HTTPGet{Path: g.Path, Port: portOf(c, field, g.Port, n), Host: g.Host, Scheme: string(g.Scheme)}
	for _, h := range g.HTTPHeaders {
		own.Headers = append(own.Headers, spec.Header{Name: h.Name, Value: h.Value})
	}
	return own
}

// portOf returns a port's number. As in the kubelet, a string is the name of one
// of the container's own ports, or otherwise a number.
func portOf(c container, field string, p intstr.IntOrString, n *messages.Notes) int {
	if p.Type == intstr.Int {
		return p.IntValue()
	}
	var names []string
	for _, own := range c.Ports {
		if own.Name == p.StrVal {
			return int(own.ContainerPort)
		}
		if own.Name != "" {
			names = append(names, strconv.Quote(own.Name))
		}
	}
	if number, err := strconv.Atoi(p.StrVal); err == nil {
		return number
	}
	has := "it has no named port"
	if len(names) > 0 {
		has = "it has " + strings.Join(names, ", ")
	}
	n.Refuse(c.place().Field(field), messages.UnknownPort, p.StrVal, fmt.Sprintf("the container has no port %q (%s), so koordinator cannot run the check", p.StrVal, has), "Use the name of one of its ports, or a number")
	return 1
}

// newHook converts a hook to the form of the spec. The kubelet does not expand
// $(VAR) in hooks.
func newHook(c container, field string, h *corev1.LifecycleHandler, n *messages.Notes) *spec.Handler {
	if c.unread(field) || h.HTTPGet != nil && !speaksHTTP1(h.HTTPGet) {
		n.Refuse(c.place().Field(field), messages.UnsupportedHook, "", "koordinator cannot run a hook with these fields", "Use exec, httpGet with HTTP/1.1, or sleep")
		return nil
	}
	switch {
	case h.Exec != nil:
		return &spec.Handler{Exec: &spec.Exec{Command: h.Exec.Command}}
	case h.HTTPGet != nil:
		return &spec.Handler{HTTP: httpGet(c, field, h.HTTPGet, n)}
	case h.Sleep != nil:
		return &spec.Handler{Sleep: &spec.Sleep{Seconds: int(h.Sleep.Seconds)}}
	}
	n.Refuse(c.place().Field(field), messages.UnsupportedHook, "", "koordinator cannot run a hook of this kind", "Use exec, httpGet or sleep")
	return nil
}

// expandAll expands $(VAR) in a probe's command like the kubelet: only from env,
// where a variable without its own value (valueFrom) is empty, and $$ becomes $.
// References to other variables stay unchanged.
func expandAll(command []string, env []corev1.EnvVar) []string {
	values := map[string]string{}
	for _, e := range env {
		if !slices.Contains(ourEnv, e.Name) {
			values[e.Name] = e.Value
		}
	}
	expanded := make([]string, len(command))
	for i, word := range command {
		expanded[i] = expand(word, values)
	}
	return expanded
}

func expand(word string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(word, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			word = rest[1:]
		case !strings.HasPrefix(rest, "(") || !closed:
			b.WriteByte('$')
			word = rest
		default:
			value, known := values[name]
			if !known {
				value = "$(" + name + ")"
			}
			b.WriteString(value)
			word = after
		}
	}
}
