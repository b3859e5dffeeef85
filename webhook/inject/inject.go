// Package inject works out what to change in a pod so that some of its
// containers run under koordinator. It is pure: it reads a pod and answers
// with the operations of a JSON patch, or with everything that is wrong.
package inject

import (
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
)

// Settings are the administrator's.
type Settings struct {
	Image        string                      // of the wrapper
	PullPolicy   corev1.PullPolicy           // of the wrapper's image
	Resources    corev1.ResourceRequirements // of the init container
	LateSidecars []string                    // containers that another webhook may still add
	Version      string                      // noted in the status annotation
}

// Wish is what the annotations ask for one container.
type Wish struct {
	Spec    spec.Spec         // parsed; what only the pod knows is not in it yet
	Places  map[string]string // spec field, or "command" → place of the annotation in messages
	Command []string          // koordinator.io/command; nil when not given
}

// TakesPart reports whether the container is to be wrapped. A command alone
// only says how, if it is.
func (w Wish) TakesPart() bool {
	for field := range w.Places {
		if field != "command" {
			return true
		}
	}
	return false
}

// Problem is one mistake: where it was made, and what is wrong with which
// value and how to mend it.
type Problem struct {
	Place, Text string
}

// String is the problem as users read it.
func (p Problem) String() string { return p.Place + ": " + p.Text }

// Status is the value of the status annotation.
type Status struct {
	Version string   `json:"version,omitempty"`
	Wrapped []string `json:"wrapped"` // containers, init containers first
}

// Result is either a patch or problems.
type Result struct {
	Patch    []jsonpatch.Operation // empty when there is nothing to change
	Wrapped  []string              // containers that run under koordinator
	Warnings []string
	Problems []Problem
}

// Inject works out the patch for a pod as the API server sent it, or sent it
// back after other webhooks changed it: what is in place already is left.
func Inject(pod *corev1.Pod, wishes map[string]Wish, settings Settings) Result {
	j := &job{pod: pod, wishes: wishes, settings: settings, containers: list(pod)}
	j.checkNames()
	j.checkDependencies()
	j.checkOrder()
	for _, c := range j.containers {
		if w, asked := wishes[c.Name]; asked && w.TakesPart() {
			j.wrap(c, w)
			j.checkGrace(c, w)
			j.result.Wrapped = append(j.result.Wrapped, c.Name)
		}
	}
	if len(j.result.Wrapped) > 0 {
		j.volumes()
		j.install()
		j.marks()
	}
	if len(j.result.Problems) == 0 {
		j.result.Patch = j.patch
	}
	return j.result
}

// job is one pod being worked on.
type job struct {
	pod        *corev1.Pod
	wishes     map[string]Wish
	settings   Settings
	containers []container
	patch      patch
	result     Result
}

// refuse notes a problem, once.
func (j *job) refuse(place, text string) {
	p := Problem{place, text}
	if !slices.Contains(j.result.Problems, p) {
		j.result.Problems = append(j.result.Problems, p)
	}
}

func (j *job) warn(text string) {
	j.result.Warnings = append(j.result.Warnings, text)
}

// podName is the pod's name for messages; a pod of a workload has only the
// beginning of one yet.
func (j *job) podName() string {
	if j.pod.Name == "" {
		return j.pod.GenerateName
	}
	return j.pod.Name
}
