package admission

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
)

// Bounds of what is read for one pod, far above any use: the API server checks
// sizes only after the webhook has answered.
const (
	maxAnnotations = 64 << 10 // bytes of all koordinator annotations
	maxContainers  = 200
)

// obstacle is why nothing is read of what a pod asks.
type obstacle struct {
	reason  string          // as it is counted; "": what the pod asks is read
	text    string          // why the pod cannot be injected; "": it could be
	problem *inject.Problem // for which the pod is refused; nil: it is let in
}

// guard decides whether anything is read of what a pod asks.
func guard(pod *corev1.Pod) obstacle {
	if !annotations.Present(pod.ObjectMeta) {
		return obstacle{reason: "not_annotated"}
	}
	if reason, text := untouchable(pod); reason != "" {
		return obstacle{reason: reason, text: text}
	}
	if problem := tooLarge(pod); problem != nil {
		return obstacle{reason: "too_large", problem: problem}
	}
	if annotations.Disabled(pod.ObjectMeta) {
		return obstacle{reason: "inject_false"}
	}
	return obstacle{}
}

// untouchable is a word and a sentence for why a pod cannot be injected, whatever
// its annotations; both are "" where it can.
func untouchable(pod *corev1.Pod) (reason, text string) {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return "mirror", "this is the mirror of a static pod, which the kubelet has started already"
	}
	if isWindows(pod.Spec) {
		return "windows", "koordinator runs on Linux only, this is a Windows pod"
	}
	return "", ""
}

// tooLarge says what of a pod is more than is read, or nil.
func tooLarge(pod *corev1.Pod) *inject.Problem {
	size := 0
	for key, value := range pod.Annotations {
		if strings.HasPrefix(key, inject.Prefix) {
			size += len(key) + len(value)
		}
	}
	if size > maxAnnotations {
		return &inject.Problem{Place: inject.Prefix, Text: fmt.Sprintf("the annotations have %d bytes, at most %d are read: shorten them", size, maxAnnotations)}
	}
	n := len(pod.Spec.InitContainers) + len(pod.Spec.Containers)
	if slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == inject.InstallContainer }) {
		n--
	}
	if n > maxContainers {
		return &inject.Problem{Place: "spec.containers", Text: fmt.Sprintf("the pod has %d containers, koordinator orders at most %d: remove its annotations", n, maxContainers)}
	}
	return nil
}
