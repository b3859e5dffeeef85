package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// Planned says which containers of a pod run under koordinator, and how, as far as
// that does not depend on what their images run. It is never changed.
type Planned struct {
	Notes
	Wanted []string // containers whose commands have to be found out

	given   input
	members []*instructed
	skipped bool // the pod is left alone, for trouble that is not its own
}

// input is what a plan is made of. It is never changed.
type input struct {
	pod        *corev1.Pod
	containers []container
	names      func() string // of all containers in messages
	asked      Asked
	settings   Settings
	byImage    bool               // the wrapper's image is a volume of the pod
	lacking    map[string]Command // why the commands of some containers are not known; all others are, or will be
}

// Plan works out which containers of a pod take part, and everything that is wrong
// with what is asked for them, whatever their images run. The pod is as the API
// server sent it, or sent it back after other webhooks changed it: what is in place
// already is part of the plan.
func Plan(pod *corev1.Pod, asked Asked, settings Settings) Planned {
	containers := list(pod, asked.Unread)
	return plan(input{
		pod: pod, containers: containers, names: sync.OnceValue(func() string { return namesOf(containers) }),
		asked: asked, settings: settings, byImage: byImage(pod, settings),
	})
}

func plan(given input) Planned {
	var n Notes
	in := withEssential(given, &n)
	in.checkNames(&n)
	refused := in.checkDependencies(&n)
	specs := in.specs()
	holds := spec.HoldGraph(specs)
	in.checkOrder(specs, holds, refused, &n)
	in.checkEngines(&n)
	all := in.choose(holds)
	in.checkIdle(all, &n)
	in.checkUnwrapped(all, &n)
	done := in.instruct(all, &n)
	skipped := in.checkMembers(done, &n)
	if len(all) > 0 {
		in.checkReserved(all, &n)
		in.checkVolumes(&n)
		in.checkInstaller(all, &n)
	}
	if len(skipped) > 0 {
		n.warn("koordinator", skipText(all)+strings.Join(skipped, "; "))
	}
	if len(n.Problems) == 0 {
		in.checkReadiness(all, &n)
	}
	return Planned{Notes: n, Wanted: all.wanted(), given: given, members: done, skipped: len(skipped) > 0}
}

// checkMembers refuses what is wrong with each member, and returns why the pod is to
// be left alone, if it is.
func (in *input) checkMembers(all []*instructed, n *Notes) (skipped []string) {
	for _, m := range all {
		in.checkMember(m, n)
		skipped = append(skipped, in.checkCommand(m.member, n)...)
		m.checkEnv(n)
		checkMounts(m.member, in.byImage, n)
		checkGate(m.member, n)
		checkAnswer(m.container, "livenessProbe", m.LivenessProbe, m.spec.Liveness, spec.LivenessProbe, n)
		checkAnswer(m.container, "readinessProbe", m.ReadinessProbe, m.spec.Readiness, spec.ReadinessProbe, n)
	}
	return skipped
}

// skipText says what becomes of a pod for trouble that is not its own. What an
// earlier call has done is right without what was added since.
func skipText(all members) string {
	if all.wrappedBefore() {
		return "the pod is ordered without what was added to it since: "
	}
	return "the pod is left alone, and its containers start and stop in no order: "
}

// podName is the pod's name for messages; a pod of a workload has only the
// beginning of one yet.
func (in *input) podName() string { return cmp.Or(in.pod.Name, in.pod.GenerateName) }

// find is the container of that name.
func (in *input) find(name string) (container, bool) {
	for _, c := range in.containers {
		if c.Name == name {
			return c, true
		}
	}
	return container{}, false
}

// late reports whether another webhook adds the container. When it comes must
// not change what we do, so it is wrapped only when it is asked for.
func (in *input) late(name string) bool { return slices.Contains(in.settings.LateSidecars, name) }

// specs are those asked for, of the containers that are there. For others they are
// refused.
func (in *input) specs() map[string]spec.Spec {
	all := map[string]spec.Spec{}
	for _, c := range in.containers {
		if w, asked := in.asked.Wishes[c.Name]; asked {
			all[c.Name] = w.Spec
		}
	}
	return all
}

// longestNames bounds the names of all containers in a message, in bytes.
const longestNames = 800

// namesOf are the names of all containers for messages.
func namesOf(containers []container) string {
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = fmt.Sprintf("%.70q", c.Name) // of 63 letters at most, which is checked only after us
	}
	slices.Sort(names)
	text := strings.Join(names, ", ")
	if len(text) > longestNames {
		text = text[:strings.LastIndex(text[:longestNames], ", ")] + ", …"
	}
	return text
}

// unknown says that there is no such container, and which there are.
func (in *input) unknown(name string) string {
	return fmt.Sprintf("no container %q in this pod (has: %s)", name, in.names())
}
