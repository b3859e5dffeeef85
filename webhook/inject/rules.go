package inject

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkNames rejects settings of containers that are not in the pod.
func (in *input) checkNames(n *messages.Notes) {
	for _, name := range slices.Sorted(maps.Keys(in.asked.Wishes)) {
		w := in.asked.Wishes[name]
		_, delegated := in.delegated[name]
		if _, found := in.find(name); !found && !delegated && !in.checkSubject(name, w, n) {
			for _, place := range sorted(w.Places) {
				in.refuseMissing(place.Field(""), name, n)
			}
		}
	}
}

// checkPolicies rejects restart policies that this build does not know: whether an
// exit is permanent depends on them.
func (in *input) checkPolicies(n *messages.Notes) {
	check := func(policy string, place messages.Place) {
		problems, _ := errors.AsType[spec.Problems](spec.Restart{Policy: policy}.Check())
		for _, p := range problems {
			n.Refuse(place, p.Code, p.Value, p.Text, p.Remedy)
		}
	}
	check(string(cmp.Or(in.pod.Spec.RestartPolicy, corev1.RestartPolicyAlways)), messages.Pod("spec.restartPolicy"))
	for _, c := range in.containers {
		if c.RestartPolicy != nil {
			check(string(*c.RestartPolicy), c.place().Field("restartPolicy"))
		}
	}
}

// sorted returns the places of settings in the order of their annotations.
func sorted(places map[string]messages.Place) []messages.Place {
	return slices.SortedFunc(maps.Values(places), messages.Place.Compare)
}

// checkIdle warns of settings of containers that are not wrapped.
func (in *input) checkIdle(all members, n *messages.Notes) {
	for _, c := range in.containers {
		if _, delegated := in.delegated[c.Name]; delegated || all.named(c.Name) != nil {
			continue
		}
		for _, place := range sorted(in.asked.Wishes[c.Name].Places) {
			n.Warn(place, messages.NoEffect, c.Name, fmt.Sprintf("the setting has no effect, because %q has no dependency and no other setting, and no container depends on it", c.Name), "Remove it, or add a dependency")
		}
	}
	if len(all) > 0 {
		return
	}
	for _, place := range sorted(in.asked.Rest.Places) {
		n.Warn(place, messages.NoContainerWrapped, "", "the setting has no effect, because it applies to containers that run under koordinator, and this pod has none", "Add a dependency to a container")
	}
}

// checkDependencies rejects each dependency that can never come true, and returns
// these dependencies.
func (in *input) checkDependencies(n *messages.Notes) map[pair]bool {
	refused := map[pair]bool{}
	for _, c := range in.containers {
		w, asked := in.asked.Wishes[c.Name]
		if !asked {
			continue
		}
		for _, d := range w.Spec.StartDeps {
			if !in.checkTarget(w.Places["startDeps"], c, d, checkStart, n) {
				refused[pair{c.Name, d.Container}] = true
			}
		}
		if c.init() && len(w.Spec.StopDeps) > 0 {
			n.Refuse(w.Places["stopDeps"], messages.InitStopDependency, c.Name, fmt.Sprintf("the init container %q cannot have stop dependencies, because the kubelet would start it again", c.Name), "Remove them")
			continue
		}
		for _, d := range w.Spec.StopDeps {
			if !in.checkTarget(w.Places["stopDeps"], c, d, checkStop, n) {
				refused[pair{c.Name, d.Container}] = true
			}
		}
	}
	in.checkAbsentSubjects(n)
	return refused
}

// checkTarget checks the container that a dependency is on. A container that
// another webhook may still add need not be in the pod yet, and the container of
// an optional dependency need not be in the pod at all. checkTarget reports
// whether the dependency can come true.
func (in *input) checkTarget(place messages.Place, c container, d spec.Dependency, check func(dependency, *messages.Notes), n *messages.Notes) bool {
	before := len(n.Problems)
	on, found := in.find(d.Container)
	switch {
	case found:
		check(dependency{place, c, on, d}, n)
	case in.late(d.Container):
	case d.Optional:
		n.Warn(place, messages.UnknownOptional, d.Container, "the optional start dependency is ignored: "+in.unknown(d.Container), in.meant(d.Container))
	default:
		in.refuseMissing(place, d.Container, n)
	}
	return len(n.Problems) == before
}

// dependency is a dependency of a container on another one in the pod.
type dependency struct {
	place messages.Place
	c, on container
	spec.Dependency
}

// refuse rejects the dependency. why continues a sentence that begins with the
// name of the target container.
func (d dependency) refuse(n *messages.Notes, code messages.Code, why, remedy string) {
	n.Refuse(d.place, code, d.String(), fmt.Sprintf("%q %s", d.Container, why), remedy)
}

// warn warns of the dependency.
func (d dependency) warn(n *messages.Notes, code messages.Code, what, remedy string) {
	n.Warn(d.place, code, d.String(), what, remedy)
}

func checkStart(d dependency, n *messages.Notes) {
	c, on := d.c, d.on
	forGood := d.Condition == spec.Exited || d.Condition == spec.Succeeded
	switch {
	case c.init() && !on.init():
		d.refuse(n, messages.WaitsForLater, fmt.Sprintf("starts only after every init container, so the init container %q would wait indefinitely", c.Name), "Wait for an earlier init container, or remove the dependency")
	case c.init() && on.order > c.order:
		d.refuse(n, messages.WaitsForLater, fmt.Sprintf("comes after %q in initContainers and starts only after it, so %q would wait indefinitely", c.Name, c.Name), "Swap the two, or remove the dependency")
	case on.runsToEnd() && d.Condition == spec.Ready:
		d.refuse(n, messages.InitNeverReady, "is an init container, and an init container never becomes ready", fmt.Sprintf("Write \"%s=succeeded\"", on.Name))
	case forGood && on.restarts() == corev1.RestartPolicyAlways:
		d.refuse(n, messages.NeverTrue, fmt.Sprintf("always restarts (restartPolicy: Always), so %q is never met", d), "Wait for ready or started, or set another restartPolicy")
	case forGood && !on.canExit(d.Condition):
		d.refuse(n, messages.NeverTrue, fmt.Sprintf("restarts after every such exit (restartPolicyRules), so %q is never met", d), "Wait for ready or started, or change the rules")
	}
}

func checkStop(d dependency, n *messages.Notes) {
	c, on := d.c, d.on
	const onDeletion = "it only affects the order when the pod is deleted"
	switch {
	case on.runsToEnd():
		d.refuse(n, messages.StopDependencyOnInit, fmt.Sprintf("is an init container and exits before %q starts", c.Name), "Remove the dependency")
	case on.sidecar():
		d.refuse(n, messages.StopDependencyOnInit, fmt.Sprintf("is a native sidecar (an init container with restartPolicy: Always) and exits only after %q", c.Name), "Remove the dependency")
	case on.restarts() == corev1.RestartPolicyAlways:
		d.warn(n, messages.OnlyAtShutdown, fmt.Sprintf("%q does not stop %q at run time, because %q always restarts (restartPolicy: Always); %s", d, c.Name, on.Name, onDeletion), "")
	case !on.canExit(d.Condition) && len(on.restart().Rules) > 0:
		d.warn(n, messages.OnlyAtShutdown, fmt.Sprintf("%q does not stop %q at run time, because the restartPolicyRules of %q restart it after every such exit; %s", d, c.Name, on.Name, onDeletion), "")
	case !on.canExit(d.Condition):
		d.warn(n, messages.StopNeverHolds, fmt.Sprintf("%q is never met, because %q restarts when it fails (restartPolicy: OnFailure)", d, on.Name), "Remove the dependency, or set restartPolicy: Never")
	case c.restarts() == corev1.RestartPolicyAlways:
		d.warn(n, messages.RestartedAfterStop, fmt.Sprintf("%q restarts after each stop (restartPolicy: Always)", c.Name), "")
	}
}

// checkMember warns of settings of a wrapped container that have less effect than
// they seem to have, and rejects a hook that would run too early.
func (in *input) checkMember(m *instructed, n *messages.Notes) {
	if m.Name == "" || !spec.IsName(m.Name) {
		n.Refuse(m.place().Field("name"), messages.InvalidName, m.Name, "koordinator cannot run a container with an invalid name", `Use at most 63 lowercase letters, digits and "-", with a letter or digit at both ends`)
	}
	checkGrace(m, in.asked.placeOf(m.Name, "stopDelay"), n)
	checkStopTimeout(m, in.asked.placeOf(m.Name, "stopTimeout"), n)
	checkUngated(m.member, in.asked.placeOf(m.Name, "gate"), n)
	if place := m.wish.Places["exitHTTP"]; !place.None() && m.restart.Policy == spec.RestartAlways && len(m.restart.Rules) == 0 {
		n.Warn(place, messages.ExitHTTPNeverSent, "", fmt.Sprintf("the request is never sent, because %q always restarts (restartPolicy: Always)", m.Name), "Remove it, or set another restartPolicy")
	}
	if place := m.wish.Places["stopHTTP"]; !place.None() && len(m.stopDeps) == 0 {
		n.Warn(place, messages.StopHTTPUnused, "", fmt.Sprintf("the request is never sent, because %q has no stop dependency; when the pod is deleted, its command receives the stop signal instead", m.Name), "Remove it, or add a stop dependency")
	}
	m.checkSpec(n)
}

// checkSpec rejects settings that the wrapper would reject in the spec, because
// the API server checks them in the pod only after the webhook. It reports
// nothing if there are other problems, because these are more specific.
func (m *instructed) checkSpec(n *messages.Notes) {
	if len(n.Problems) > 0 || !m.takesFromPod() {
		return
	}
	for _, p := range m.spec.Check() {
		name, text := inPod(m.member, p)
		n.Refuse(m.place().Field(name), messages.InvalidPodField, p.Value, "koordinator cannot use this setting: "+text, p.Remedy)
	}
}

// inPod returns the pod's field from which a part of the spec was taken, and what
// is wrong with it.
func inPod(m *member, p spec.Problem) (name, text string) {
	field := p.Field
	text = p.Text
	if field == "readyProbes" { // of the startup probe, if any, and of the readiness probe
		index, rest, _ := strings.Cut(text, ": ")
		field, text = "readiness", rest
		if index == "[0]" && startupOf(m).given() {
			field = "startupProbe"
		}
	}
	names := map[string]string{
		"liveness": "livenessProbe", "readiness": "readinessProbe", "postStart": "lifecycle.postStart", "preStop": "lifecycle.preStop",
		"restart": "restartPolicyRules", "messagePath": "terminationMessagePath",
	}
	return cmp.Or(names[field], field), text
}

// takesFromPod reports whether the spec contains values that the API server
// checks in the pod only after the webhook: probes, hooks, rules or a path.
func (m *instructed) takesFromPod() bool {
	s := m.spec
	return len(s.ReadyProbes)+len(s.Restart.Rules) > 0 || s.StartupProbe != nil || s.Liveness != nil || s.Readiness != nil || s.PostStart != nil || s.PreStop != nil || s.MessagePath != spec.Message
}

// checkGrace warns of a stop delay that leaves the command too little time.
func checkGrace(m *instructed, place messages.Place, n *messages.Notes) {
	grace, delay := m.spec.GracePeriod, m.spec.StopDelay
	needs := min(m.spec.StopTimeout, max(2*time.Second, grace/4))
	const remedy = "Raise the grace period, or shorten the delay"
	if own := m.spec.ProbeGrace; len(m.spec.HoldFor) == 0 && own > 0 && delay >= own {
		n.Warn(place, messages.StopDelayTooLong, delay.String(), fmt.Sprintf("after a failed probe, the kubelet kills %q before it receives its stop signal, because the stop delay %s is not shorter than the probe's terminationGracePeriodSeconds: %d", m.Name, delay, own/time.Second), remedy)
	}
	switch {
	case delay == 0 || delay+needs <= grace:
	case delay >= grace:
		n.Warn(place, messages.StopDelayTooLong, delay.String(), fmt.Sprintf("the kubelet kills %q before it receives its stop signal, because the stop delay %s is not shorter than terminationGracePeriodSeconds: %d", m.Name, delay, grace/time.Second), remedy)
	default:
		n.Warn(place, messages.StopDelayTooLong, delay.String(), fmt.Sprintf("the kubelet kills %q %s after its stop signal, because the stop delay %s uses most of terminationGracePeriodSeconds: %d", m.Name, grace-delay, delay, grace/time.Second), remedy)
	}
}

// checkStopTimeout warns of an explicit stop timeout that exceeds the grace
// period, because the kubelet does not wait for it when the pod is deleted. The
// default causes no warning.
func checkStopTimeout(m *instructed, place messages.Place, n *messages.Notes) {
	if grace := m.spec.GracePeriod; !place.None() && m.spec.StopTimeout > grace {
		n.Warn(place, messages.StopTimeoutTooLong, m.spec.StopTimeout.String(), fmt.Sprintf("when the pod is deleted, the kubelet kills %q before its stop timeout %s has passed, because terminationGracePeriodSeconds is %d", m.Name, m.spec.StopTimeout, grace/time.Second),
			"Raise the grace period, or shorten the timeout")
	}
}

// checkReadiness warns of a wait for readiness that no probe can show, once for
// each target container.
func (in *input) checkReadiness(all members, n *messages.Notes) {
	warned := map[string]bool{}
	for _, m := range all {
		for _, d := range m.startDeps {
			on, found := in.find(d.Container)
			if !found || d.Condition != spec.Ready || in.readyEndpoint(d, all) != "" || warned[on.Name] || on.runsToEnd() || probed(on, all) {
				continue
			}
			warned[on.Name] = true
			remedy := "Add a readinessProbe"
			if all.named(on.Name) != nil {
				started := spec.Dependency{Container: d.Container, Condition: spec.Started, Optional: d.Optional}
				remedy = fmt.Sprintf("Add a readinessProbe, or write %q", started)
			}
			n.Warn(in.asked.placeOf(m.Name, "startDeps"), messages.NoReadinessProbe, d.String(), fmt.Sprintf("%q has no readinessProbe, so it counts as ready as soon as its command runs", on.Name), remedy)
		}
	}
}

// probed reports whether one of the container's own probes shows when it is
// ready.
func probed(c container, all members) bool {
	if m := all.named(c.Name); m != nil {
		return m.notifies() || startupOf(m).given() || readinessOf(m).given()
	}
	return c.StartupProbe != nil || c.ReadinessProbe != nil
}

// checkUngated warns of the consequences of leaving the probes and hooks of a
// waiting container unchanged.
func checkUngated(m *member, place messages.Place, n *messages.Notes) {
	if !m.waits() || m.runsToEnd() || !m.wish.NoGate {
		return
	}
	if m.Lifecycle != nil && m.Lifecycle.PostStart != nil {
		n.Refuse(place, messages.PostStartUngated, "", fmt.Sprintf("the lifecycle.postStart hook of %q would run while the container waits for its start dependencies, and keep later containers from starting", m.Name),
			"Remove the hook, the start dependencies, or gate: false")
		return
	}
	text := fmt.Sprintf("%q counts as started while it waits", m.Name)
	if m.ReadinessProbe == nil {
		text = fmt.Sprintf("%q counts as started and ready while it waits", m.Name)
	}
	if m.StartupProbe != nil || m.LivenessProbe != nil {
		text += ", and the kubelet may restart it when its startupProbe or livenessProbe fails"
	}
	n.Warn(place, messages.Ungated, "", text, "Remove gate: false")
}

// arrows formats a path for users: a → b → a.
func arrows(path []string) string { return strings.Join(path, " → ") }
