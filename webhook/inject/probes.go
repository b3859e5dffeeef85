package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/wrapper/spec"
)

// probe is a container's startup or readiness probe: as the pod has it, or as
// it was taken over in an earlier call.
type probe struct {
	of     *corev1.Probe
	taken  *spec.Probe
	unread bool // it has fields that this build does not know
}

// given reports whether there is one.
func (p probe) given() bool { return p.of != nil || p.taken != nil }

// known reports whether koordinator can run it, which a kind of a later
// Kubernetes and gRPC with TLS it cannot.
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

// speaksHTTP1 reports whether the request is one of HTTP/1.1 (httpGet.protocol,
// Kubernetes ≥ 1.37).
func speaksHTTP1(g *corev1.HTTPGetAction) bool {
	return g.Protocol == nil || *g.Protocol == corev1.HTTPProtocolHTTP1
}

// startupOf is the container's own startup probe, whether or not the gate
// stands in its place by now.
func startupOf(m *member) probe {
	switch {
	case m.StartupProbe == nil || isGate(m.StartupProbe) && sameProbe(m.StartupProbe, gateProbe()):
		return probe{}
	case isGate(m.StartupProbe):
		return probe{taken: m.before.StartupProbe}
	}
	return probe{of: m.StartupProbe, unread: m.unread("startupProbe")}
}

// startupProbe is the container's own, nil when it has none.
func (j *job) startupProbe(m *member) *spec.Probe {
	own := startupOf(m)
	if own.taken != nil {
		return own.taken
	}
	p := j.probe(m.container, "startupProbe", own)
	if p != nil {
		p.PeriodSeconds = int(own.of.PeriodSeconds)
	}
	return p
}

// probe puts a probe into the spec's words.
func (j *job) probe(c container, place string, from probe) *spec.Probe {
	p := from.of
	if p == nil {
		return nil
	}
	if !from.known() {
		j.refuse(c.place(), place+": koordinator cannot run a probe of this kind: use exec, httpGet with HTTP/1.1, tcpSocket, or grpc without TLS")
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
		own.HTTP = j.httpGet(c, place, p.HTTPGet)
	case p.TCPSocket != nil:
		own.TCP = &spec.TCPSocket{Port: j.port(c, place, p.TCPSocket.Port), Host: p.TCPSocket.Host}
	default:
		own.GRPC = &spec.GRPC{Port: int(p.GRPC.Port)}
		if p.GRPC.Service != nil {
			own.GRPC.Service = *p.GRPC.Service
		}
	}
	return &own
}

func (j *job) httpGet(c container, place string, g *corev1.HTTPGetAction) *spec.HTTPGet {
	own := &spec.HTTPGet{Path: g.Path, Port: j.port(c, place, g.Port), Host: g.Host, Scheme: string(g.Scheme)}
	for _, h := range g.HTTPHeaders {
		own.Headers = append(own.Headers, spec.Header{Name: h.Name, Value: h.Value})
	}
	return own
}

// port is a port's number. As for the kubelet, a name is one of the container's
// own ports, and only then a number written as text.
func (j *job) port(c container, place string, p intstr.IntOrString) int {
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
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return n
	}
	has := "none has a name"
	if len(names) > 0 {
		has = "has: " + strings.Join(names, ", ")
	}
	j.refuse(c.place(), fmt.Sprintf("%s: no port %q among the container's ports (%s): name one of them or write a number", place, p.StrVal, has))
	return 1
}

// hook puts a hook into the spec's words. The kubelet expands no $(VAR) in
// hooks.
func (j *job) hook(c container, place string, h *corev1.LifecycleHandler) *spec.Handler {
	if c.unread(place) || h.HTTPGet != nil && !speaksHTTP1(h.HTTPGet) {
		j.refuse(c.place(), place+": koordinator cannot run a hook with these fields: use exec, httpGet with HTTP/1.1, or sleep")
		return nil
	}
	switch {
	case h.Exec != nil:
		return &spec.Handler{Exec: &spec.Exec{Command: h.Exec.Command}}
	case h.HTTPGet != nil:
		return &spec.Handler{HTTP: j.httpGet(c, place, h.HTTPGet)}
	case h.Sleep != nil:
		return &spec.Handler{Sleep: &spec.Sleep{Seconds: int(h.Sleep.Seconds)}}
	}
	j.refuse(c.place(), place+": koordinator cannot run a hook of this kind, and for tcpSocket the kubelet cannot either: use exec, httpGet or sleep")
	return nil
}

// expandAll replaces $(VAR) in a probe's command as the kubelet does: from env
// alone, where a variable without a value of its own (valueFrom) is empty, and
// $$ stands for $. What is not in env stays as it is.
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
