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
func (j *job) checkNames() {
	for _, name := range slices.Sorted(maps.Keys(j.wishes)) {
		w := j.wishes[name]
		if _, found := j.find(name); !found {
			for _, place := range slices.Compact(slices.Sorted(maps.Values(w.Places))) {
				j.refuse(place, j.unknown(name))
			}
		}
	}
}

// checkIdle warns of what is asked of containers that are not wrapped.
func (j *job) checkIdle() {
	for _, c := range j.containers {
		if j.member(c.Name) != nil {
			continue
		}
		for _, place := range slices.Sorted(maps.Values(j.wishes[c.Name].Places)) {
			j.warn(place, fmt.Sprintf("has no effect: %s has no dependency and no other setting, and nothing depends on it", c.place()))
		}
	}
	if len(j.members) > 0 {
		return
	}
	for _, place := range slices.Sorted(maps.Values(j.rest.Places)) {
		j.warn(place, "it is for every wrapped container, but none is: give a container a dependency")
	}
}

// checkDependencies refuses each dependency that can never come true.
func (j *job) checkDependencies() {
	for _, c := range j.containers {
		w, asked := j.wishes[c.Name]
		if !asked {
			continue
		}
		for _, d := range w.Spec.StartDeps {
			j.checkTarget(w.Places["startDeps"], c, d, j.checkStart)
		}
		if c.init() && len(w.Spec.StopDeps) > 0 {
			j.refuse(w.Places["stopDeps"], "an init container cannot have stop dependencies, the kubelet would start it again: remove them")
			continue
		}
		for _, d := range w.Spec.StopDeps {
			j.checkTarget(w.Places["stopDeps"], c, d, j.checkStop)
		}
	}
}

// checkTarget looks up the container that a dependency is on. One that another
// webhook may still add need not be there yet, and an optional one need not be
// there at all.
func (j *job) checkTarget(place string, c container, d spec.Dependency, check func(place string, c, on container, d spec.Dependency)) {
	before := len(j.result.Problems)
	defer func() {
		if len(j.result.Problems) > before {
			j.refused[[2]string{c.Name, d.Container}] = true
		}
	}()
	on, found := j.find(d.Container)
	switch {
	case found:
		check(place, c, on, d)
	case j.late(d.Container):
	case d.Optional:
		j.warn(place, j.unknown(d.Container)+", so the optional start dependency is ignored")
	default:
		j.refuse(place, j.unknown(d.Container))
	}
}

func (j *job) checkStart(place string, c, on container, d spec.Dependency) {
	forGood := d.Condition == spec.Exited || d.Condition == spec.Succeeded
	switch {
	case c.init() && !on.init():
		j.refuse(place, fmt.Sprintf("%q starts only after every init container, so the init container %q would wait for ever: wait for an earlier init container, or remove it", on.Name, c.Name))
	case c.init() && on.order > c.order:
		j.refuse(place, fmt.Sprintf("%q comes after %q in initContainers and starts only after it, so the wait would never end: swap the two, or remove it", on.Name, c.Name))
	case on.runsToEnd() && d.Condition == spec.Ready:
		j.refuse(place, fmt.Sprintf(`%q is an init container and is never ready: write "%s=succeeded"`, on.Name, on.Name))
	case forGood && on.restarts() == corev1.RestartPolicyAlways:
		j.refuse(place, fmt.Sprintf(`%q is restarted for ever (restartPolicy: Always), so %q never comes true: wait for ready or started, or give it another restartPolicy`, on.Name, d))
	case forGood && !on.canExit(d.Condition):
		j.refuse(place, fmt.Sprintf(`%q is started again by its restartPolicyRules whenever it exits in such a way, so %q never comes true: wait for ready or started, or change the rules`, on.Name, d))
	}
}

func (j *job) checkStop(place string, c, on container, d spec.Dependency) {
	switch {
	case on.runsToEnd():
		j.refuse(place, fmt.Sprintf("%q is an init container and has exited before %q starts: remove it", on.Name, c.Name))
	case on.sidecar():
		j.refuse(place, fmt.Sprintf("%q is a native sidecar (an init container with restartPolicy: Always) and exits only after %q: remove it", on.Name, c.Name))
	case on.restarts() == corev1.RestartPolicyAlways:
		j.warn(place, fmt.Sprintf("%q only orders the shutdown: %q is restarted for ever (restartPolicy: Always)", d, on.Name))
	case !on.canExit(d.Condition) && len(on.restart().Rules) > 0:
		j.warn(place, fmt.Sprintf("%q only orders the shutdown: %q is started again by its restartPolicyRules whenever it exits in such a way", d, on.Name))
	case !on.canExit(d.Condition):
		j.warn(place, fmt.Sprintf("%q never holds: %q is restarted when it fails (restartPolicy: OnFailure)", d, on.Name))
	case c.restarts() == corev1.RestartPolicyAlways:
		j.warn(place, fmt.Sprintf("%q is started again each time it was stopped (restartPolicy: Always)", c.Name))
	}
}

// checkMember warns of settings of a wrapped container that do less than they
// seem to, and refuses a hook that would come too early.
func (j *job) checkMember(m *member) {
	if m.Name == "" || !spec.IsName(m.Name) {
		j.refuse(m.place(), `invalid name: a container's name has at most 63 lowercase letters, digits and "-", and begins and ends with a letter or a digit`)
	}
	j.checkGrace(m)
	j.checkStopTimeout(m)
	j.checkUngated(m)
	if place := m.wish.Places["exitHTTP"]; place != "" && m.spec.Restart.Policy == spec.RestartAlways && len(m.spec.Restart.Rules) == 0 {
		j.warn(place, fmt.Sprintf("is never sent: %q is restarted for ever (restartPolicy: Always)", m.Name))
	}
	if place := m.wish.Places["stopHTTP"]; place != "" && len(m.spec.StopDeps) == 0 {
		j.warn(place, fmt.Sprintf("has no effect: %q has no stop dependency, and when the pod is stopped it is asked by its signal", m.Name))
	}
	if len(j.result.Problems) > 0 || !m.takesFromPod() {
		return
	}
	_, err := spec.Parse(m.text)
	var problems spec.Problems
	errors.As(err, &problems)
	for _, p := range problems {
		j.refuse(m.place(), inPod(m, p))
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
func (m *member) takesFromPod() bool {
	s := m.spec
	return len(s.ReadyProbes)+len(s.Restart.Rules) > 0 || s.StartupProbe != nil || s.Liveness != nil || s.Readiness != nil || s.PostStart != nil || s.PreStop != nil || s.MessagePath != spec.Message
}

// checkGrace warns of a stop delay that leaves the command too little time.
func (j *job) checkGrace(m *member) {
	grace, delay := j.grace(), m.spec.StopDelay
	needs := min(m.spec.StopTimeout, max(2*time.Second, grace/4))
	switch {
	case delay == 0 || delay+needs <= grace:
	case delay >= grace:
		j.warn(m.place(), fmt.Sprintf("stop-delay %s leaves nothing of terminationGracePeriodSeconds: %d: the kubelet kills the command before it is asked to stop: raise the grace period or shorten the delay", delay, grace/time.Second))
	default:
		j.warn(m.place(), fmt.Sprintf("stop-delay %s leaves only %s of terminationGracePeriodSeconds: %d until the kubelet kills the command: raise the grace period or shorten the delay", delay, grace-delay, grace/time.Second))
	}
}

// checkStopTimeout warns of a stop timeout that somebody asked for and that the
// kubelet does not wait for when the pod is stopped. The default is nobody's
// wish.
func (j *job) checkStopTimeout(m *member) {
	place := j.placeOf(m.Name, "stopTimeout")
	if place != "" && m.spec.StopTimeout > j.grace() {
		j.warn(place, fmt.Sprintf("%s is longer than terminationGracePeriodSeconds: %d, after which the kubelet kills the command when the pod is stopped: raise the grace period or shorten the timeout", m.spec.StopTimeout, j.grace()/time.Second))
	}
}

// checkReadiness warns of a wait for readiness where no probe tells of it, once
// for each container that is waited for.
func (j *job) checkReadiness(m *member) {
	for _, d := range m.spec.StartDeps {
		on, found := j.find(d.Container)
		if !found || d.Condition != spec.Ready || j.unready[on.Name] || on.runsToEnd() || j.probed(on) {
			continue
		}
		j.unready[on.Name] = true
		text := fmt.Sprintf("%q is not wrapped and has no readinessProbe, so it counts as ready as soon as it runs: give it one", on.Name)
		if j.member(on.Name) != nil {
			d.Condition = spec.Started
			text = fmt.Sprintf("%q has no readinessProbe, so it counts as ready as soon as its command runs: give it one, or write %q", on.Name, d)
		}
		j.warn(j.placeOf(m.Name, "startDeps"), text)
	}
}

// probed reports whether a probe of the container's own tells when it is ready.
func (j *job) probed(c container) bool {
	if m := j.member(c.Name); m != nil {
		return startupOf(m).given() || readinessOf(m).given()
	}
	return c.StartupProbe != nil || c.ReadinessProbe != nil
}

// checkUngated tells what comes of leaving the probes and hooks of a waiting
// container alone.
func (j *job) checkUngated(m *member) {
	if !m.waits() || m.runsToEnd() || !m.wish.NoGate {
		return
	}
	place := j.placeOf(m.Name, "gate")
	if m.Lifecycle != nil && m.Lifecycle.PostStart != nil {
		j.refuse(place, fmt.Sprintf("the lifecycle.postStart hook of %q would run while the container still waits for its start dependencies, and keep later containers from starting: remove the hook, the start dependencies or gate: false", m.Name))
	}
	text := fmt.Sprintf("%q counts as started while it waits", m.Name)
	if m.ReadinessProbe == nil {
		text = fmt.Sprintf("%q counts as started and ready while it waits", m.Name)
	}
	if m.StartupProbe != nil || m.LivenessProbe != nil {
		text += ", and its startupProbe or livenessProbe may end the wait"
	}
	j.warn(place, text)
}

// arrows writes a path as users read it: a → b → a.
func arrows(path []string) string { return strings.Join(path, " → ") }
