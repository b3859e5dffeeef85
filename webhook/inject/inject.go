// Package inject turns a pod and its settings into a JSON patch that makes some
// of its containers run under koordinator, or reports everything that is wrong.
// It is pure and used in three steps: Plan determines the containers that
// participate and the commands that must be looked up, Complete creates their
// specs from the commands that were found, and Rewrite writes the specs into the
// pod.
package inject

import (
	"cmp"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/spec"
)

// Prefix is the prefix of every koordinator annotation.
const Prefix = "koordinator.io/"

// Names in injected pods. All are reserved: a pod that already uses one of them
// in a different form is rejected.
const (
	InjectedLabel    = Prefix + "injected" // "true" on injected pods
	StatusAnnotation = Prefix + "status"   // a Status as JSON
	InstallContainer = "koordinator-install"
	BinVolume        = "koordinator-bin"
	RecordVolume     = "koordinator-record"
	PodinfoVolume    = "koordinator-podinfo"
	APIVolume        = "koordinator-api" // if the pod itself has no API access and sets source: pod
)

// EssentialLabel is a pod label that names one container, as the
// essential-containers controller reads it.
const EssentialLabel = "essential-containers"

// Delivery is the way in which a pod gets the wrapper's binary.
type Delivery string

// Deliveries. An injected pod keeps its delivery.
const (
	ByInitContainer Delivery = "init-container" // an init container copies it to a volume
	ByImageVolume   Delivery = "image-volume"   // the wrapper's image is the volume (Kubernetes ≥ 1.35)
	ByNodes         Delivery = "auto"           // an image volume if every node can mount one, otherwise an init container
)

// Settings are the administrator's settings.
type Settings struct {
	Image        string                      // of the wrapper
	PullPolicy   corev1.PullPolicy           // of the wrapper's image
	Delivery     Delivery                    // "": ByInitContainer
	ImageVolumes func() bool                 // with ByNodes: reports whether every node can mount one; called once per pod
	Resources    corev1.ResourceRequirements // of the init container
	Sidecars     sidecars.Table              // known containers without a wrapper
	Version      string                      // written to the status annotation

	// SkipTrouble leaves a pod unchanged if an image lookup fails and the pod is not
	// the cause. Otherwise, such a pod is rejected.
	SkipTrouble bool
}

// Asked contains the settings in a pod's annotations and labels.
type Asked struct {
	Wishes    map[string]Wish // by container
	Rest      Wish            // of a wrapped container without an entry in Wishes: the settings for every wrapped container
	Essential []Essential
	Root      *field.Path // path of the pod in problems: nil, or the path of the template that describes it

	// Unread are the paths of the pod's fields that the API types of this build do
	// not know, for example spec.containers[0].livenessProbe.httpGet.new.
	Unread []string

	Rule string // the first of the operator's rules that selects the pod, for the status annotation; "": none
}

// wish returns the settings of the container of that name.
func (a Asked) wish(name string) Wish {
	if w, asked := a.Wishes[name]; asked {
		return w
	}
	w := a.Rest
	w.Spec.Container = name
	w.Places = nil
	return w
}

// placeOf returns where a field is set for a container, or for every one. It
// returns no place if the field is not set.
func (a Asked) placeOf(name, field string) messages.Place {
	return cmp.Or(a.Wishes[name].Places[field], a.Rest.Places[field])
}

// Wish contains the settings of one container.
type Wish struct {
	Spec    spec.Spec                 // parsed, without the values that come from the pod
	Places  map[string]messages.Place // spec field, "command" or "gate" → where the annotations set it
	Command []string                  // koordinator.io/command; nil if not set
	NoGate  bool                      // whether to leave probes and hooks unchanged
}

// Essential is a container whose exit stops all others.
type Essential struct {
	spec.Dependency

	Place messages.Place // of the annotation or label
	Label bool           // set by the label, which does not apply to containers whose command is not known
}

// howOnly are the fields that specify only how a container is wrapped, if it is.
var howOnly = []string{"command", "gate", "logLevel", "mode", "source"}

// TakesPart reports whether to wrap the container even if no other container
// depends on it.
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
	Rule    string      `json:"rule,omitempty"`    // the first of the operator's rules that selects the pod
	Wrapped []string    `json:"wrapped,omitempty"` // containers, init containers first
	Source  spec.Source `json:"source,omitempty"`  // local if none of them sends requests to the API server

	LookedUp map[string]string `json:"lookedUp,omitempty"` // digest of the image whose command was looked up, by container

	Skipped bool `json:"skipped,omitempty"` // the pod was left unchanged because of a failure that it did not cause

	// Reason is why the webhook changed nothing else: "nothing_to_wrap", or another
	// reason of its metrics.
	Reason string `json:"reason,omitempty"`
}

// StatusOf returns the status annotation of a pod. It is empty if the pod has
// none or if its text cannot be parsed. It is informational: nothing may rely on
// it.
func StatusOf(pod *corev1.Pod) Status {
	var s Status
	if text := pod.Annotations[StatusAnnotation]; text != "" && json.Unmarshal([]byte(text), &s) != nil {
		return Status{}
	}
	return s
}
