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

	"koordinator.io/koordinator/wrapper/spec"
)

// checkNames refuses wishes for containers that are not there.
func (in *input) checkNames(n *Notes) {
	for _, name := range slices.Sorted(maps.Keys(in.asked.Wishes)) {
		w := in.asked.Wishes[name]
		if _, found := in.find(name); !found {
			for _, place := range slices.Compact(slices.Sorted(maps.Values(w.Places))) {
				n.refuse(place, in.unknown(name))
			}
		}
	}
}

// checkIdle warns of what is asked of containers that are not wrapped.
func (in *input) checkIdle(all members, n *Notes) {
	for _, c := range in.containers {
		if all.named(c.Name) != nil {
			continue
		}
		for _, place := range slices.Sorted(maps.Values(in.asked.Wishes[c.Name].Places)) {
			n.warn(place, fmt.Sprintf("has no effect: %s has no dependency and no other setting, and nothing depends on it", c.place()))
		}
	}
	if len(all) > 0 {
		return
	}
	for _, place := range slices.Sorted(maps.Values(in.asked.Rest.Places)) {
		n.warn(place, "it is for every wrapped container, but none is: give a container a dependency")
	}
}

// checkDependencies refuses each dependency that can never come true, and returns
// those.
func (in *input) checkDependencies(n *Notes) map[pair]bool {
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
			n.refuse(w.Places["stopDeps"], "an init container cannot have stop dependencies, the kubelet would start it again: remove them")
			continue
		}
		for _, d := range w.Spec.StopDeps {
			if !in.checkTarget(w.Places["stopDeps"], c, d, checkStop, n) {
				refused[pair{c.Name, d.Container}] = true
			}
		}
	}
	return refused
}

// checkTarget looks up the container that a dependency is on. One that another
// webhook may still add need not be there yet, and an optional one need not be
// there at all. It reports whether the dependency can come true.
func (in *input) checkTarget(place string, c container, d spec.Dependency, check func(place string, c, on container, d spec.Dependency, n *Notes), n *Notes) bool {
	before := len(n.Problems)
	on, found := in.find(d.Container)
	switch {
	case found:
		check(place, c, on, d, n)
	case in.late(d.Container):
	case d.Optional:
		n.warn(place, in.unknown(d.Container)+", so the optional start dependency is ignored")
	default:
		n.refuse(place, in.unknown(d.Container))
	}
	return len(n.Problems) == before
}

func checkStart(place string, c, on container, d spec.Dependency, n *Notes) {
	forGood := d.Condition == spec.Exited || d.Condition == spec.Succeeded
	switch {
	case c.init() && !on.init():
		n.refuse(place, fmt.Sprintf("%q starts only after every init container, so the init container %q would wait for ever: wait for an earlier init container, or remove it", on.Name, c.Name))
	case c.init() && on.order > c.order:
		n.refuse(place, fmt.Sprintf("%q comes after %q in initContainers and starts only after it, so the wait would never end: swap the two, or remove it", on.Name, c.Name))
	case on.runsToEnd() && d.Condition == spec.Ready:
		n.refuse(place, fmt.Sprintf(`%q is an init container and is never ready: write "%s=succeeded"`, on.Name, on.Name))
	case forGood && on.restarts() == corev1.RestartPolicyAlways:
		n.refuse(place, fmt.Sprintf(`%q is restarted for ever (restartPolicy: Always), so %q never comes true: wait for ready or started, or give it another restartPolicy`, on.Name, d))
	case forGood && !on.canExit(d.Condition):
		n.refuse(place, fmt.Sprintf(`%q is started again by its restartPolicyRules whenever it exits in such a way, so %q never comes true: wait for ready or started, or change the rules`, on.Name, d))
	}
}

func checkStop(place string, c, on container, d spec.Dependency, n *Notes) {
	switch {
	case on.runsToEnd():
		n.refuse(place, fmt.Sprintf("%q is an init container and has exited before %q starts: remove it", on.Name, c.Name))
	case on.sidecar():
		n.refuse(place, fmt.Sprintf("%q is a native sidecar (an init container with restartPolicy: Always) and exits only after %q: remove it", on.Name, c.Name))
	case on.restarts() == corev1.RestartPolicyAlways:
		n.warn(place, fmt.Sprintf("%q only orders the shutdown: %q is restarted for ever (restartPolicy: Always)", d, on.Name))
	case !on.canExit(d.Condition) && len(on.restart().Rules) > 0:
		n.warn(place, fmt.Sprintf("%q only orders the shutdown: %q is started again by its restartPolicyRules whenever it exits in such a way", d, on.Name))
	case !on.canExit(d.Condition):
		n.warn(place, fmt.Sprintf("%q never holds: %q is restarted when it fails (restartPolicy: OnFailure)", d, on.Name))
	case c.restarts() == corev1.RestartPolicyAlways:
		n.warn(place, fmt.Sprintf("%q is started again each time it was stopped (restartPolicy: Always)", c.Name))
	}
}

// checkMember warns of settings of a wrapped container that do less than they
// seem to, and refuses a hook that would come too early.
func (in *input) checkMember(m *instructed, n *Notes) {
	if m.Name == "" || !spec.IsName(m.Name) {
		n.refuse(m.place(), `invalid name: a container's name has at most 63 lowercase letters, digits and "-", and begins and ends with a letter or a digit`)
	}
	checkGrace(m, n)
	checkStopTimeout(m, in.asked.placeOf(m.Name, "stopTimeout"), n)
	checkUngated(m.member, in.asked.placeOf(m.Name, "gate"), n)
	if place := m.wish.Places["exitHTTP"]; place != "" && m.restart.Policy == spec.RestartAlways && len(m.restart.Rules) == 0 {
		n.warn(place, fmt.Sprintf("is never sent: %q is restarted for ever (restartPolicy: Always)", m.Name))
	}
	if place := m.wish.Places["stopHTTP"]; place != "" && len(m.stopDeps) == 0 {
		n.warn(place, fmt.Sprintf("has no effect: %q has no stop dependency, and when the pod is stopped it is asked by its signal", m.Name))
	}
	m.checkSpec(n)
}

// checkSpec refuses what the wrapper would refuse in the spec: what the API server
// checks in the pod only after us. What else is wrong says more than that.
func (m *instructed) checkSpec(n *Notes) {
	if len(n.Problems) > 0 || !m.takesFromPod() {
		return
	}
	_, err := spec.Parse(m.text)
	var problems spec.Problems
	errors.As(err, &problems)
	for _, p := range problems {
		n.refuse(m.place(), inPod(m.member, p))
	}
}

// inPod is a problem of the spec by the name of the pod's field that it was
// taken from.
func inPod(m *member, p spec.Problem) string {
	field, text := p.Field, p.Text
	if field == "readyProbes" { // of the startup probe, if any, and the readiness probe
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
	return cmp.Or(names[field], field) + ": " + text
}

// takesFromPod reports whether the spec holds what the API server checks in the
// pod only after us: probes, hooks, rules, a path.
func (m *instructed) takesFromPod() bool {
	s := m.spec
	return len(s.ReadyProbes)+len(s.Restart.Rules) > 0 || s.StartupProbe != nil || s.Liveness != nil || s.Readiness != nil || s.PostStart != nil || s.PreStop != nil || s.MessagePath != spec.Message
}

// checkGrace warns of a stop delay that leaves the command too little time.
func checkGrace(m *instructed, n *Notes) {
	grace, delay := m.spec.GracePeriod, m.spec.StopDelay
	needs := min(m.spec.StopTimeout, max(2*time.Second, grace/4))
	switch {
	case delay == 0 || delay+needs <= grace:
	case delay >= grace:
		n.warn(m.place(), fmt.Sprintf("stop-delay %s leaves nothing of terminationGracePeriodSeconds: %d: the kubelet kills the command before it is asked to stop: raise the grace period or shorten the delay", delay, grace/time.Second))
	default:
		n.warn(m.place(), fmt.Sprintf("stop-delay %s leaves only %s of terminationGracePeriodSeconds: %d until the kubelet kills the command: raise the grace period or shorten the delay", delay, grace-delay, grace/time.Second))
	}
}

// checkStopTimeout warns of a stop timeout that somebody asked for and that the
// kubelet does not wait for when the pod is stopped. The default is nobody's
// wish.
func checkStopTimeout(m *instructed, place string, n *Notes) {
	if grace := m.spec.GracePeriod; place != "" && m.spec.StopTimeout > grace {
		n.warn(place, fmt.Sprintf("%s is longer than terminationGracePeriodSeconds: %d, after which the kubelet kills the command when the pod is stopped: raise the grace period or shorten the timeout", m.spec.StopTimeout, grace/time.Second))
	}
}

// checkReadiness warns of a wait for readiness where no probe tells of it, once
// for each container that is waited for.
func (in *input) checkReadiness(all members, n *Notes) {
	warned := map[string]bool{}
	for _, m := range all {
		for _, d := range m.startDeps {
			on, found := in.find(d.Container)
			if !found || d.Condition != spec.Ready || warned[on.Name] || on.runsToEnd() || probed(on, all) {
				continue
			}
			warned[on.Name] = true
			text := fmt.Sprintf("%q is not wrapped and has no readinessProbe, so it counts as ready as soon as it runs: give it one", on.Name)
			if all.named(on.Name) != nil {
				d.Condition = spec.Started
				text = fmt.Sprintf("%q has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write %q", on.Name, d)
			}
			n.warn(in.asked.placeOf(m.Name, "startDeps"), text)
		}
	}
}

// probed reports whether a probe of the container's own tells when it is ready.
func probed(c container, all members) bool {
	if m := all.named(c.Name); m != nil {
		return startupOf(m).given() || readinessOf(m).given()
	}
	return c.StartupProbe != nil || c.ReadinessProbe != nil
}

// checkUngated tells what comes of leaving the probes and hooks of a waiting
// container alone.
func checkUngated(m *member, place string, n *Notes) {
	if !m.waits() || m.runsToEnd() || !m.wish.NoGate {
		return
	}
	if m.Lifecycle != nil && m.Lifecycle.PostStart != nil {
		n.refuse(place, fmt.Sprintf("the lifecycle.postStart hook of %q would run while the container still waits for its start dependencies, and keep later containers from starting: remove the hook, the start dependencies or gate: false", m.Name))
	}
	text := fmt.Sprintf("%q counts as started while it waits", m.Name)
	if m.ReadinessProbe == nil {
		text = fmt.Sprintf("%q counts as started and ready while it waits", m.Name)
	}
	if m.StartupProbe != nil || m.LivenessProbe != nil {
		text += ", and its startupProbe or livenessProbe may end the wait"
	}
	n.warn(place, text)
}

// arrows writes a path as users read it: a → b → a.
func arrows(path []string) string { return strings.Join(path, " → ") }
