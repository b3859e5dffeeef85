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

	request request
	members []*instructed
	skipped bool // the pod is left alone, for trouble that is not its own
}

// request is a pod, what is asked for its containers, and the administrator's
// settings.
type request struct {
	pod        *corev1.Pod
	containers []container
	names      func() string // of all containers in messages
	asked      Asked
	settings   Settings
	byImage    bool               // the wrapper's image is a volume of the pod
	lacking    map[string]Command // why the commands of some containers are not known; all others are, or will be
}

// Plan works out which containers of a pod take part. The pod is as the API server
// sent it, or sent it back after other webhooks changed it: what is in place
// already is part of the plan.
func Plan(pod *corev1.Pod, asked Asked, settings Settings) Planned {
	containers := list(pod, asked.Unread)
	return request{
		pod: pod, containers: containers, names: sync.OnceValue(func() string { return namesOf(containers) }),
		asked: asked, settings: settings, byImage: byImage(pod, settings),
	}.plan()
}

func (r request) plan() Planned {
	p := Planned{request: r}
	n := &p.Notes
	r.asked.Wishes = r.withEssential(n)
	r.checkNames(n)
	refused := r.checkDependencies(n)
	specs := r.specs() // for other containers they have been refused
	holds := spec.HoldGraph(specs)
	r.checkOrder(specs, holds, refused, n)
	r.checkEngines(n)
	all := r.choose(holds)
	r.checkIdle(all, n)
	r.checkUnwrapped(all, n)
	p.members = r.instruct(all, n)
	var skipped []string
	for _, m := range p.members {
		r.checkMember(m, n)
		skipped = append(skipped, r.checkCommand(m.member, n)...)
		r.checkPlace(m, n)
		if m.wantsCommand() {
			p.Wanted = append(p.Wanted, m.Name)
		}
	}
	if len(all) > 0 {
		r.checkReserved(all, n)
		r.checkVolumes(n)
		r.checkInstaller(all, n)
	}
	if p.skipped = len(skipped) > 0; p.skipped {
		n.warn("koordinator", skipText(all)+strings.Join(skipped, "; "))
	}
	if len(n.Problems) == 0 {
		r.checkReadiness(all, n)
	}
	return p
}

// checkPlace refuses what stands in the place of koordinator's own.
func (r *request) checkPlace(m *instructed, n *Notes) {
	m.checkEnv(n)
	r.checkMounts(m.member, n)
	checkGate(m.member, n)
	checkAnswer(m.container, "livenessProbe", m.LivenessProbe, m.spec.Liveness, spec.LivenessProbe, n)
	checkAnswer(m.container, "readinessProbe", m.ReadinessProbe, m.spec.Readiness, spec.ReadinessProbe, n)
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
func (r *request) podName() string { return cmp.Or(r.pod.Name, r.pod.GenerateName) }

// find is the container of that name.
func (r *request) find(name string) (container, bool) {
	for _, c := range r.containers {
		if c.Name == name {
			return c, true
		}
	}
	return container{}, false
}

// late reports whether another webhook adds the container. When it comes must
// not change what we do, so it is wrapped only when it is asked for.
func (r *request) late(name string) bool { return slices.Contains(r.settings.LateSidecars, name) }

// specs are those asked for, of the containers that are there.
func (r *request) specs() map[string]spec.Spec {
	all := map[string]spec.Spec{}
	for _, c := range r.containers {
		if w, asked := r.asked.Wishes[c.Name]; asked {
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
func (r *request) unknown(name string) string {
	return fmt.Sprintf("no container %q in this pod (has: %s)", name, r.names())
}
