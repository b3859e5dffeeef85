package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// stops returns the stop dependencies of a container, including those from essential containers.
func stops(asked inject.Asked, name string) []spec.Dependency {
	all := slices.Clone(asked.Wishes[name].Spec.StopDeps)
	for _, e := range asked.Essential {
		if e.Container != name {
			all = append(all, e.Dependency)
		}
	}
	return all
}

// restarts reports containers that, under OnFailure, could never start again after a
// failure: a restarted container needs its start dependencies again, but a stopped
// dependency has permanently exited and is never ready again.
func (c *checker) restarts(e document.Element, p input.Pod, asked inject.Asked) {
	for _, main := range p.Pod.Spec.Containers {
		if restarts(p.Pod, main) != corev1.RestartPolicyOnFailure {
			continue
		}
		for _, d := range asked.Wishes[main.Name].Spec.StartDeps {
			cause, stopped := stoppedBefore(p.Pod, asked, main.Name, d)
			if !stopped {
				continue
			}
			c.problem(e, Warning, messages.Problem{
				Code: messages.RestartWaitsForever, Path: asked.Wishes[main.Name].Places["startDeps"].Path(asked.Root), Container: main.Name,
				Sentence: fmt.Sprintf("if %q fails after %q has exited, it is restarted (restartPolicy: OnFailure) and cannot start again, because %q has been stopped and is never ready again", main.Name, cause, d.Container),
				Remedy:   fmt.Sprintf("Set restartPolicy: Never, or let %q run until %q has exited, too: add %q to its stop-deps, and stop-when: \"%s: all\"", d.Container, main.Name, main.Name, d.Container),
			})
		}
	}
}

// stoppedBefore reports whether the dependency of a waiting container may be stopped while
// the waiting container still runs. cause is the container whose exit stops it.
func stoppedBefore(pod *corev1.Pod, asked inject.Asked, waiting string, d spec.Dependency) (cause string, may bool) {
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == d.Container })
	if i < 0 || d.Optional || d.Condition != spec.Ready || restarts(pod, pod.Spec.Containers[i]) == corev1.RestartPolicyAlways {
		return "", false
	}
	all := stops(asked, d.Container)
	if asked.Wishes[d.Container].Spec.StopWhen == spec.StopAll && slices.ContainsFunc(all, func(s spec.Dependency) bool { return s.Container == waiting }) {
		return "", false
	}
	for _, s := range all {
		alike := slices.ContainsFunc(stops(asked, waiting), func(o spec.Dependency) bool { return o == s })
		if s.Container != waiting && !alike {
			return s.Container, true
		}
	}
	return "", false
}

// restarts returns the restart policy of a container.
func restarts(pod *corev1.Pod, c corev1.Container) corev1.RestartPolicy {
	if c.RestartPolicy != nil {
		return corev1.RestartPolicy(*c.RestartPolicy)
	}
	return cmp.Or(pod.Spec.RestartPolicy, corev1.RestartPolicyAlways)
}

// nativeFields lists the settings that Kubernetes' own sidecar containers cover.
var nativeFields = []string{"startDeps", "stopDeps"}

// nativeSidecars reports that Kubernetes' native sidecar containers would suffice: the pod
// has one main container, and all others start before it and stop after it.
func (c *checker) nativeSidecars(e document.Element, p input.Pod, asked inject.Asked) {
	main, sidecars := sidecarsOf(asked)
	if main == "" || len(asked.Rest.Places) > 0 || len(p.Pod.Spec.Containers) != len(sidecars)+1 {
		return
	}
	for _, s := range sidecars {
		if !slices.ContainsFunc(p.Pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == s }) {
			return
		}
	}
	c.problem(e, Note, messages.Problem{
		Code: messages.NativeSidecarWould, Path: messages.Pod("spec.containers").Path(asked.Root), Container: main,
		Sentence: fmt.Sprintf("Kubernetes can give this order by itself, with native sidecar containers next to %q: %s", main, quoted(sidecars)),
		Remedy:   "If it is enough to wait for a startupProbe, move them to initContainers with restartPolicy: Always (Kubernetes 1.33 or later), and remove the annotations",
	})
}

// sidecarsOf returns the only container that waits for others and stops them, and these
// other containers. main is "" if the order does not have this form.
func sidecarsOf(asked inject.Asked) (main string, sidecars []string) {
	found := map[string]bool{}
	is := func(name string) bool {
		same := main == "" || main == name
		main = name
		return same
	}
	for _, e := range asked.Essential {
		if e.Condition != spec.Exited || !is(e.Container) {
			return "", nil
		}
	}
	for name, w := range asked.Wishes {
		for field := range w.Places {
			if !slices.Contains(nativeFields, field) {
				return "", nil
			}
		}
		for _, d := range w.Spec.StartDeps {
			if d.Optional || d.Condition != spec.Ready && d.Condition != spec.Started || !is(name) {
				return "", nil
			}
			found[d.Container] = true
		}
		for _, d := range w.Spec.StopDeps {
			if d.Condition != spec.Exited || !is(d.Container) {
				return "", nil
			}
			found[name] = true
		}
	}
	if found[main] {
		return "", nil
	}
	return main, slices.Sorted(maps.Keys(found))
}

// quoted returns names for use in a sentence.
func quoted(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(all, ", ")
}
