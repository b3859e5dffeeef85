package inject

import (
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
		c, found := j.find(name)
		if !found {
			for _, place := range slices.Compact(slices.Sorted(maps.Values(w.Places))) {
				j.refuse(place, j.unknown(name))
			}
			continue
		}
		if w.Command != nil && !w.TakesPart() {
			j.warn(fmt.Sprintf("%s: has no effect: %s has no dependency and no other setting", w.Places["command"], c.place()))
		}
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

// checkTarget looks up whom a dependency is on. Containers that another
// webhook may still add are trusted to come.
func (j *job) checkTarget(place string, c container, d spec.Dependency, check func(place string, c, on container, d spec.Dependency)) {
	on, found := j.find(d.Container)
	switch {
	case found:
		check(place, c, on, d)
	case !spec.IsName(d.Container): // said by the spec
	case !slices.Contains(j.settings.LateSidecars, d.Container):
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
	}
}

func (j *job) checkStop(place string, c, on container, d spec.Dependency) {
	switch {
	case on.runsToEnd():
		j.refuse(place, fmt.Sprintf("%q is an init container and has exited before %q starts: remove it", on.Name, c.Name))
	case on.sidecar():
		j.refuse(place, fmt.Sprintf("%q is a native sidecar (an init container with restartPolicy: Always) and exits only after %q: remove it", on.Name, c.Name))
	case on.restarts() == corev1.RestartPolicyAlways:
		j.warn(fmt.Sprintf("%s: %q has no effect in this version: %q is restarted for ever (restartPolicy: Always), and when the pod is stopped all containers are asked to at once", place, d, on.Name))
	case on.restarts() == corev1.RestartPolicyOnFailure && d.Condition == spec.Failed:
		j.warn(fmt.Sprintf("%s: %q never holds: %q is restarted when it fails (restartPolicy: OnFailure)", place, d, on.Name))
	case c.restarts() == corev1.RestartPolicyAlways:
		j.warn(fmt.Sprintf("%s: %q is started again each time it was stopped (restartPolicy: Always)", place, c.Name))
	}
}

// checkGrace warns of a stop delay that leaves the command no time.
func (j *job) checkGrace(c container, w Wish) {
	grace := j.pod.Spec.TerminationGracePeriodSeconds
	if grace == nil || w.Spec.StopDelay == 0 || w.Spec.StopDelay < time.Duration(*grace)*time.Second {
		return
	}
	j.warn(fmt.Sprintf("%s: stop-delay %s leaves nothing of terminationGracePeriodSeconds: %d: the kubelet kills the command before it is asked to stop", c.place(), w.Spec.StopDelay, *grace))
}

// checkOrder refuses orders that contradict themselves.
func (j *job) checkOrder() {
	specs := map[string]spec.Spec{}
	for _, c := range j.containers { // the others have been refused
		if w, asked := j.wishes[c.Name]; asked {
			specs[c.Name] = w.Spec
		}
	}
	starts := spec.StartGraph(specs).Cycles()
	for _, path := range starts {
		if len(path) == 2 {
			continue // on itself, which the spec refuses
		}
		j.refuse(j.wishes[path[0]].Places["startDeps"], fmt.Sprintf("cycle %s: each waits for the next, so none ever starts: remove one of these dependencies", arrows(path)))
	}
	if len(starts) > 0 {
		return // what follows from a cycle says nothing new
	}
	for _, path := range spec.HoldGraph(specs).Cycles() {
		j.refuse(j.holdPlace(path), fmt.Sprintf("cycle %s: each would stop only after the next has exited: remove one of these dependencies", arrows(path)))
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		j.checkExits(name, specs)
	}
}

// holdPlace is where one of the stop dependencies of a cycle is written. There
// is one, since start dependencies alone that go round are refused before.
func (j *job) holdPlace(path []string) string {
	for _, name := range path {
		if place, found := j.wishes[name].Places["stopDeps"]; found {
			return place
		}
	}
	return Prefix + "stop-deps"
}

// checkExits compares the exits that the start of a container implies with
// the stop dependencies.
func (j *job) checkExits(name string, specs map[string]spec.Spec) {
	place := j.wishes[name].Places["startDeps"]
	for _, exit := range spec.ExitsBefore(specs, name) {
		if stoppedBy(specs[name], exit.Dependency) {
			j.refuse(place, fmt.Sprintf("%q starts after %q (%s) and is stopped by it (%s): it would be stopped as it starts: remove one of the two", name, exit.Dependency, arrows(exit.Path), j.wishes[name].Places["stopDeps"]))
		}
		for _, d := range specs[name].StartDeps {
			if d.Condition == spec.Ready && !d.Optional && stoppedBy(specs[d.Container], exit.Dependency) {
				j.refuse(place, fmt.Sprintf("%q starts when %q is ready and after %q (%s), whose exit stops %q (%s): the two hardly ever hold at once: remove one of them", name, d.Container, exit.Dependency, arrows(exit.Path), d.Container, j.wishes[d.Container].Places["stopDeps"]))
			}
		}
		for _, d := range specs[exit.Container].StopDeps {
			if d.Container == name {
				j.refuse(place, fmt.Sprintf("%q starts only after %q (%s), but %q is stopped by the exit of %q (%s): the one waits for the other: remove one of the two", name, exit.Dependency, arrows(exit.Path), exit.Container, name, j.wishes[exit.Container].Places["stopDeps"]))
			}
		}
	}
}

// stoppedBy reports whether that exit stops a container.
func stoppedBy(s spec.Spec, exit spec.Dependency) bool {
	return slices.ContainsFunc(s.StopDeps, func(d spec.Dependency) bool {
		return d.Container == exit.Container && exit.Condition.Implies(d.Condition)
	})
}

// arrows writes a path as users read it: a → b → a.
func arrows(path []string) string { return strings.Join(path, " → ") }
