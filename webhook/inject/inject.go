// Package inject turns a pod and what its annotations ask into the operations of a
// JSON patch after which some of its containers run under koordinator, or into
// everything that is wrong. It is pure, and called in three steps: Plan says which
// containers take part and which commands have to be found out, Complete makes their
// specs of what was found, and Rewrite writes them into the pod.
package inject

import (
	"cmp"
	"slices"

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

// wish is what is asked for the container of that name.
func (a Asked) wish(name string) Wish {
	if w, asked := a.Wishes[name]; asked {
		return w
	}
	w := a.Rest
	w.Spec.Container = name
	w.Places = nil
	return w
}

// placeOf is where a field was given for a container, or for every one, "" when
// it was not.
func (a Asked) placeOf(name, field string) string {
	return cmp.Or(a.Wishes[name].Places[field], a.Rest.Places[field])
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
