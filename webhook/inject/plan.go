package inject

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// Planned contains the containers of a pod that run under koordinator, and their
// settings as far as these do not depend on the commands of their images. It is
// never changed.
type Planned struct {
	messages.Notes
	Wanted []string // containers whose commands must be looked up

	given   input
	members []*instructed
	skipped bool // the pod is left unchanged because of a failure that it did not cause
}

// input is the input of a plan. It is never changed.
type input struct {
	pod        *corev1.Pod
	containers []container
	names      func() string // lists all containers, for messages
	asked      Asked
	settings   Settings
	byImage    bool                       // whether the wrapper's image is a volume of the pod
	relieved   map[string]bool            // containers that would stop a known sidecar if the kubelet did not
	delegated  map[string]spec.Delegation // by the name of the container to stop, which has no wrapper
	lacking    map[string]Command         // why the commands of some containers are not known; all others are known or will be looked up
}

// Plan determines which containers of a pod participate, and everything that is
// wrong with their settings independently of the commands of their images. The
// pod may be new or may come back after other webhooks changed it. The plan
// includes everything that is already in the pod.
func Plan(pod *corev1.Pod, asked Asked, settings Settings) Planned {
	containers := list(pod, asked.Unread)
	return plan(input{
		pod: pod, containers: containers, names: sync.OnceValue(func() string { return namesOf(containers) }),
		asked: asked, settings: settings, byImage: byImage(pod, settings),
	})
}

func plan(given input) Planned {
	n := messages.Notes{Root: given.asked.Root}
	in := withEssential(withoutNative(withOthers(given, &n), &n), &n)
	in.delegated = in.delegations(&n)
	in.checkNames(&n)
	in.checkPolicies(&n)
	refused := in.checkDependencies(&n)
	specs := in.specs()
	in.checkRestarts(specs, &n)
	holds := spec.HoldGraph(specs)
	in.checkOrder(specs, holds, refused, &n)
	in.checkEngines(&n)
	all := in.choose(holds)
	in.checkIdle(all, &n)
	in.checkUnwrapped(all, &n)
	done := in.instruct(all, &n)
	skipped := in.checkMembers(done, all.wrappedBefore(), &n)
	if len(all) > 0 {
		in.checkReserved(all, &n)
		in.checkVolumes(&n)
		in.checkInstaller(all, &n)
	}
	if len(n.Problems) == 0 {
		in.checkReadiness(all, &n)
	}
	return Planned{Notes: n, Wanted: all.wanted(), given: given, members: done, skipped: skipped}
}

// checkMembers rejects invalid settings of each member, and reports whether to
// leave the pod unchanged. before specifies whether an earlier call has wrapped
// any of them.
func (in *input) checkMembers(all []*instructed, before bool, n *messages.Notes) (skipped bool) {
	for _, m := range all {
		in.checkMember(m, n)
		skipped = in.checkCommand(m.member, before, n) || skipped
		m.checkEnv(n)
		checkMounts(m.member, in.byImage, n)
		checkGate(m.member, n)
		checkAnswer(m.container, "livenessProbe", m.LivenessProbe, m.spec.Liveness, spec.LivenessProbe, n)
		checkAnswer(m.container, "readinessProbe", m.ReadinessProbe, m.spec.Readiness, spec.ReadinessProbe, n)
	}
	return skipped
}

// find returns the container of that name.
func (in *input) find(name string) (container, bool) {
	for _, c := range in.containers {
		if c.Name == name {
			return c, true
		}
	}
	return container{}, false
}

// late reports whether another webhook adds the container. The moment when it is
// added must not affect the result, so it is wrapped only if its settings require
// it.
func (in *input) late(name string) bool { return in.settings.Sidecars[name].Injected }

// specs returns the specs for containers that are in the pod. Settings for other
// containers are rejected elsewhere.
func (in *input) specs() map[string]spec.Spec {
	all := map[string]spec.Spec{}
	for _, c := range in.containers {
		if w, asked := in.asked.Wishes[c.Name]; asked {
			all[c.Name] = w.Spec
		}
	}
	return all
}

// longestNames bounds the list of all container names in a message, in bytes.
const longestNames = 800

// namesOf lists all container names for messages.
func namesOf(containers []container) string {
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = fmt.Sprintf("%.70q", c.Name) // names have at most 63 characters, but the API server checks that only after the webhook
	}
	slices.Sort(names)
	text := strings.Join(names, ", ")
	if len(text) > longestNames {
		text = text[:strings.LastIndex(text[:longestNames], ", ")] + ", …"
	}
	return text
}

// refuseMissing rejects the name of a container that the pod does not have.
func (in *input) refuseMissing(at messages.Place, name string, n *messages.Notes) {
	if !n.Full() {
		n.Refuse(at, messages.UnknownContainer, name, in.unknown(name), in.meant(name))
	}
}

// meant returns the remedy for the name of a container that the pod does not
// have.
func (in *input) meant(name string) string {
	var known []string
	for _, c := range in.containers {
		known = append(known, c.Name)
	}
	if near := messages.Nearest(name, known); near != "" {
		return fmt.Sprintf("Did you mean %.70q?", near)
	}
	return "Correct the name, or remove it"
}

// unknown returns a text that there is no such container, and which containers
// there are.
func (in *input) unknown(name string) string {
	return fmt.Sprintf("this pod has no container %.70q (it has %s)", name, in.names())
}
