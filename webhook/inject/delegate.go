package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// delegable are the settings that are possible for a container that has no
// wrapper and is stopped by the wrappers of others. All other settings require a
// wrapper in the container.
var delegable = []string{"stopDeps", "stopWhen", "stopHTTP", "logLevel", "source", "gate"}

// delegations returns the stops that other containers carry out, by the name of
// the container to stop. That container is added by another webhook, whether or
// not it is in the pod yet, or its command is not known.
func (in *input) delegations(n *messages.Notes) map[string]spec.Delegation {
	all := map[string]spec.Delegation{}
	for name, w := range in.asked.Wishes {
		request := in.stopRequest(name, w)
		if len(w.Spec.StopDeps) == 0 || request == nil || !in.isDelegated(name, w) {
			continue
		}
		all[name] = spec.Delegation{Container: name, Request: *request, StopWhen: w.Spec.StopWhen, StopDeps: w.Spec.StopDeps}
		in.checkNeeds(name, w, n)
	}
	return all
}

// withoutNative returns the input without the stops of known sidecars that another
// webhook has added as native sidecars: the kubelet stops these after the regular
// containers have exited.
func withoutNative(in input, n *messages.Notes) input {
	for _, c := range in.containers {
		w, given := in.asked.Wishes[c.Name]
		if !given || !in.late(c.Name) || !c.sidecar() {
			continue
		}
		if in.relieved == nil { // the first one
			in.relieved, in.asked.Wishes = map[string]bool{}, maps.Clone(in.asked.Wishes)
		}
		for _, d := range w.Spec.StopDeps {
			in.relieved[d.Container] = true
		}
		w.Places = maps.Clone(w.Places)
		for _, field := range []string{"stopDeps", "stopWhen", "stopHTTP"} {
			if place, given := w.Places[field]; given {
				n.Warn(place, messages.StoppedByKubelet, c.Name, fmt.Sprintf("the setting has no effect, because %q is a native sidecar, which the kubelet stops after the regular containers have exited", c.Name), "Remove it if the sidecar is always native")
				delete(w.Places, field)
			}
		}
		w.Spec.StopDeps, w.Spec.StopWhen, w.Spec.StopHTTP = nil, in.asked.Rest.Spec.StopWhen, nil
		in.asked.Wishes[c.Name] = w
	}
	return in
}

// isDelegated reports whether a container that is to be stopped gets no wrapper.
func (in *input) isDelegated(name string, w Wish) bool {
	for field := range w.Places {
		if !slices.Contains(delegable, field) {
			return false
		}
	}
	c, found := in.find(name)
	switch {
	case found && (c.init() || c.wrapped()):
		return false
	default:
		return in.late(name) || found && in.lacks(name)
	}
}

// stopRequest returns the request that stops a container without a wrapper, or
// nil if there is none.
func (in *input) stopRequest(name string, w Wish) *spec.Request {
	if w.Spec.StopHTTP != nil {
		return w.Spec.StopHTTP
	}
	known := in.settings.Sidecars[name]
	if c, found := in.find(name); found && !hasFlag(c, known.StopFlag) {
		return nil
	}
	return known.Stop
}

// hasFlag reports whether a container's command line contains a flag. It returns
// true if flag is empty.
func hasFlag(c container, flag string) bool {
	return flag == "" || slices.ContainsFunc(slices.Concat(c.Command, c.Args), func(word string) bool {
		name, value, _ := strings.Cut(word, "=")
		return name == flag && value != "false"
	})
}

// checkNeeds warns of a stop request that the container answers only if the pod
// has an annotation or the whole cluster is configured for it.
func (in *input) checkNeeds(name string, w Wish, n *messages.Notes) {
	key, value, needs := strings.Cut(in.settings.Sidecars[name].NeedsAnnotation, "=")
	if !needs || w.Spec.StopHTTP != nil || in.pod.Annotations[key] == value {
		return
	}
	n.Warn(in.asked.placeOf(name, "stopDeps"), messages.StopRequestDisabled, name,
		fmt.Sprintf("%q accepts its stop request only if the request is enabled", name), fmt.Sprintf("Set the annotation %s: %q on the pod, unless it is enabled for the whole cluster", key, value))
}

// checkSubject rejects the settings of a container that another webhook adds,
// that is not in the pod yet and that is not delegated. It reports whether the
// container is such a container.
func (in *input) checkSubject(name string, w Wish, n *messages.Notes) bool {
	if !in.late(name) {
		return false
	}
	for _, place := range sorted(w.Places) {
		n.Refuse(place, messages.NoStopRequest, name, in.whyAbsent(name, w), in.insteadOf(name, w))
	}
	return true
}

// whyAbsent returns why a setting cannot be honored for a container that is not
// in the pod yet.
func (in *input) whyAbsent(name string, w Wish) string {
	if len(w.Spec.StopDeps) > 0 && in.stopRequest(name, w) == nil {
		return fmt.Sprintf("%q is not in this pod, and koordinator has no stop request for it", name)
	}
	return fmt.Sprintf("%q is not in this pod, and koordinator can only stop a container that another webhook adds later (stop-deps, stop-when, stop-http)", name)
}

// insteadOf returns the remedy for such a setting.
func (in *input) insteadOf(name string, w Wish) string {
	if len(w.Spec.StopDeps) > 0 && in.stopRequest(name, w) == nil {
		if instead := in.settings.Sidecars[name].Instead; instead != "" {
			return instead
		}
		return fmt.Sprintf("Set the annotation %sstop-http: {%s: \"POST http://127.0.0.1:PORT/PATH\"}", Prefix, name)
	}
	return "Remove the other settings"
}

// checkAbsentSubjects rejects dependencies of containers that are not in the pod
// yet if the dependencies can never come true.
func (in *input) checkAbsentSubjects(n *messages.Notes) {
	for name, d := range in.delegated {
		if _, found := in.find(name); found {
			continue
		}
		subject := container{Container: &corev1.Container{Name: name}, list: "containers", pod: in.pod}
		for _, dep := range d.StopDeps {
			in.checkTarget(in.asked.Wishes[name].Places["stopDeps"], subject, dep, checkStop, n)
		}
	}
}

// carriedOutBy returns the stops that a container carries out: all those that
// depend on an exit of it that can be permanent.
func (in *input) carriedOutBy(c container) []spec.Delegation {
	var all []spec.Delegation
	for _, d := range in.delegated {
		counts := func(dep spec.Dependency) bool { return dep.Container == c.Name && c.canExit(dep.Condition) }
		if !c.init() && slices.ContainsFunc(d.StopDeps, counts) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b spec.Delegation) int { return strings.Compare(a.Container, b.Container) })
	return all
}

// readyEndpoint returns the endpoint for a start dependency on the readiness of a
// container without a wrapper, or "" if only the pod's status can answer it.
func (in *input) readyEndpoint(d spec.Dependency, all members) string {
	if d.Condition != spec.Ready || all.named(d.Container) != nil {
		return ""
	}
	known, there := in.settings.Sidecars[d.Container]
	if c, found := in.find(d.Container); !there || found && (c.runsToEnd() || !hasFlag(c, known.ReadyFlag)) {
		return ""
	}
	return known.Ready
}

// readyEndpoints returns the endpoints for a member's start dependencies. With
// source: pod, only the pod's status is used.
func (in *input) readyEndpoints(m *member, all members) map[string]string {
	var endpoints map[string]string
	for _, d := range m.startDeps {
		if address := in.readyEndpoint(d, all); address != "" && m.source != spec.SourcePod {
			if endpoints == nil {
				endpoints = map[string]string{}
			}
			endpoints[d.Container] = address
		}
	}
	return endpoints
}

// carries lists the containers that a member stops, for messages.
func (m *member) carries() string {
	names := make([]string, len(m.delegated))
	for i, d := range m.delegated {
		names[i] = fmt.Sprintf("%q", d.Container)
	}
	return strings.Join(names, ", ")
}
