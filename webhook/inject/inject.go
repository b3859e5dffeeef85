// Package inject turns a pod, what its annotations ask, and the commands that are
// known into the operations of a JSON patch after which some of its containers run
// under koordinator, or into everything that is wrong. It is pure.
package inject

import (
	"cmp"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// Prefix begins every annotation of ours.
const Prefix = "koordinator.io/"

// Names that injected pods carry. All are reserved: a pod that has one of the
// others already, in a different form, is refused.
const (
	InjectedLabel    = Prefix + "injected" // "true" on injected pods
	StatusAnnotation = Prefix + "status"   // a Status as JSON
	InstallContainer = "koordinator-install"
	BinVolume        = "koordinator-bin"
	RecordVolume     = "koordinator-record"
	PodinfoVolume    = "koordinator-podinfo"
	APIVolume        = "koordinator-api" // where the pod itself has no API access and asks for source: pod
)

// EssentialLabel is a pod label that names one container, as the
// essential-containers controller reads it.
const EssentialLabel = "essential-containers"

// Delivery is how the wrapper's binary comes into a pod.
type Delivery string

// The deliveries. A pod that has the one keeps it.
const (
	ByInitContainer Delivery = "init-container" // an init container copies it to a volume
	ByImageVolume   Delivery = "image-volume"   // the wrapper's image is the volume (Kubernetes ≥ 1.35)
	ByNodes         Delivery = "auto"           // an image volume where every node can mount one, else an init container
)

// Settings are the administrator's.
type Settings struct {
	Image        string                      // of the wrapper
	PullPolicy   corev1.PullPolicy           // of the wrapper's image
	Delivery     Delivery                    // "": ByInitContainer
	ImageVolumes func() bool                 // with ByNodes: whether every node can mount one; called once for a pod
	Resources    corev1.ResourceRequirements // of the init container
	LateSidecars []string                    // containers that another webhook may still add
	Version      string                      // noted in the status annotation

	// SkipTrouble leaves a pod alone that cannot be injected because an image
	// could not be looked up and that is nobody's mistake; else it is refused.
	SkipTrouble bool
}

// Asked is what a pod's annotations and labels ask for.
type Asked struct {
	Wishes    map[string]Wish // by container
	Rest      Wish            // of a wrapped container that has none: what is asked for every wrapped one
	Essential []Essential

	// Unread are paths of fields of the pod that the API types of this build do not
	// know, as spec.containers[0].livenessProbe.httpGet.new.
	Unread []string
}

// Wish is what the annotations ask for one container.
type Wish struct {
	Spec    spec.Spec         // parsed; what only the pod knows is not in it yet
	Places  map[string]string // spec field, "command" or "gate" → place of the annotation in messages
	Command []string          // koordinator.io/command; nil when not given
	NoGate  bool              // leave probes and hooks alone
}

// Essential is a container whose exit stops all others.
type Essential struct {
	spec.Dependency

	Place string // of the annotation or label in messages
	Label bool   // by the label, which asks nothing of containers whose command is not known
}

// howOnly are the fields that say how a container is wrapped, if it is.
var howOnly = []string{"command", "gate", "logLevel", "mode", "source"}

// TakesPart reports whether the container is to be wrapped whether or not
// others depend on it.
func (w Wish) TakesPart() bool {
	for field := range w.Places {
		if !slices.Contains(howOnly, field) {
			return true
		}
	}
	return false
}

// Status is the value of the status annotation.
type Status struct {
	Version string      `json:"version,omitempty"`
	Wrapped []string    `json:"wrapped,omitempty"` // containers, init containers first
	Source  spec.Source `json:"source,omitempty"`  // local when none of them asks the API server

	LookedUp map[string]string `json:"lookedUp,omitempty"` // digest of the image whose command was looked up, by container

	Skipped bool `json:"skipped,omitempty"` // the pod was left alone, for trouble that is not its own

	// Reason is why the webhook changed nothing else: "nothing_to_wrap", or
	// another reason of its metrics.
	Reason string `json:"reason,omitempty"`
}

// Result is either a patch or problems.
type Result struct {
	Patch    []jsonpatch.Operation // empty when there is nothing to change
	Wrapped  []string              // containers that run under koordinator
	Assumed  []string              // of those, the ones whose command was taken for known
	Skipped  bool                  // the pod is left alone, for trouble that is not its own
	Warnings []string
	Problems []Problem
}

// Inject works out the patch for a pod as the API server sent it, or sent it
// back after other webhooks changed it: what is in place already is left.
func Inject(pod *corev1.Pod, asked Asked, commands Commands, settings Settings) Result {
	if settings.Delivery == ByNodes {
		settings.Delivery = ByInitContainer
		if settings.ImageVolumes() {
			settings.Delivery = ByImageVolume
		}
	}
	j := &job{
		pod: pod, rest: asked.Rest, wishes: asked.Wishes, commands: commands, settings: settings,
		containers: list(pod, asked.Unread), told: map[Problem]bool{}, unready: map[string]bool{}, refused: map[[2]string]bool{},
	}
	j.essential(asked.Essential)
	j.checkNames()
	j.checkDependencies()
	j.checkOrder()
	j.checkEngines()
	j.choose()
	j.checkIdle()
	j.checkUnwrapped()
	j.compile()
	for _, m := range j.members {
		j.checkMember(m)
		j.wrap(m)
		j.result.Wrapped = append(j.result.Wrapped, m.Name)
	}
	if len(j.members) > 0 {
		j.reserve()
		j.volumes()
		j.marks()
		j.install()
	}
	if len(j.skipped) > 0 {
		j.skip()
	}
	if len(j.result.Problems) > 0 {
		return j.result
	}
	for _, m := range j.members {
		j.checkReadiness(m)
	}
	if len(j.result.Assumed) == 0 {
		j.result.Patch = j.patch
	}
	return j.result
}

// job is one pod being worked on.
type job struct {
	pod        *corev1.Pod
	wishes     map[string]Wish // what essential containers ask of the others included
	rest       Wish
	commands   Commands
	settings   Settings
	containers []container
	members    []*member          // in the order of containers
	holds      spec.Graph         // who holds for whom when the pod is stopped
	told       map[Problem]bool   // warnings too
	names      string             // of all containers in messages; "" until it is asked for
	skipped    []string           // why the pod is to be left alone
	refused    map[[2]string]bool // dependencies of the one container on the other
	unready    map[string]bool    // containers whose want of a readiness probe was warned of
	patch      patch
	result     Result
}

// mostTold bounds the problems of one pod that are noted, and its warnings:
// more than anybody reads, and what can be made of a few annotations is millions.
const mostTold = 100

// full reports whether no further problem is noted.
func (j *job) full() bool { return len(j.result.Problems) >= mostTold }

// refuse notes a problem, once.
func (j *job) refuse(place, text string) {
	p := Problem{place, text}
	if !j.full() && !j.told[p] {
		j.told[p] = true
		j.result.Problems = append(j.result.Problems, p)
	}
}

// warn notes a warning, once.
func (j *job) warn(place, text string) {
	p := Problem{place, text}
	if len(j.result.Warnings) < mostTold && !j.told[p] {
		j.told[p] = true
		j.result.Warnings = append(j.result.Warnings, p.String())
	}
}

// wish is what is asked for the container of that name.
func (j *job) wish(name string) Wish {
	if w, asked := j.wishes[name]; asked {
		return w
	}
	w := j.rest
	w.Spec.Container = name
	w.Places = nil
	return w
}

// placeOf is where a field was given for a container, or for every one, "" when
// it was not.
func (j *job) placeOf(name, field string) string {
	return cmp.Or(j.wishes[name].Places[field], j.rest.Places[field])
}

// podName is the pod's name for messages; a pod of a workload has only the
// beginning of one yet.
func (j *job) podName() string {
	if j.pod.Name == "" {
		return j.pod.GenerateName
	}
	return j.pod.Name
}
