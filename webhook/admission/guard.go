package admission

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// Bounds of what is read for one pod, far above any real use. They are necessary
// because the API server checks sizes only after the webhook has answered.
const (
	maxAnnotations = 64 << 10 // bytes of all koordinator annotations
	maxContainers  = 200
)

// obstacle is the reason why a pod's annotations are not read.
type obstacle struct {
	reason string         // label value for the metrics; "": the annotations are read
	notes  messages.Notes // problems for which the pod is rejected, and warnings with which it is accepted
}

// guard decides whether a pod's annotations are read. root is the path of the
// template that describes the pod.
func guard(pod *corev1.Pod, root *field.Path) obstacle {
	if !annotations.Present(pod.ObjectMeta) {
		return obstacle{reason: "not_annotated"}
	}
	o := obstacle{notes: messages.Notes{Root: root}}
	switch _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; {
	case annotations.Disabled(pod.ObjectMeta): // before any problem or warning
		o.reason = "inject_false"
	case mirror:
		o.reason = "mirror"
		o.notes.Warn(messages.Annotation(corev1.MirrorPodAnnotationKey), messages.MirrorPod, "",
			"koordinator does not change this pod, because it mirrors a static pod that the kubelet has already started", "")
	case isWindows(pod.Spec):
		o.reason = "windows"
		o.notes.Warn(messages.Pod("spec"), messages.WindowsPod, "", "koordinator does not change this pod, because koordinator runs on Linux only and this is a Windows pod", "")
	case refuseTooLarge(pod, &o.notes):
		o.reason = "too_large"
	}
	return o
}

// refuseTooLarge reports whether a pod exceeds the bounds of what koordinator
// reads, and notes the problems.
func refuseTooLarge(pod *corev1.Pod, n *messages.Notes) bool {
	size := 0
	for key, value := range pod.Annotations {
		if strings.HasPrefix(key, inject.Prefix) {
			size += len(key) + len(value)
		}
	}
	if size > maxAnnotations {
		n.Refuse(messages.Pod("metadata.annotations"), messages.AnnotationsTooLong, "", fmt.Sprintf("the koordinator annotations have %d bytes; the limit is %d", size, maxAnnotations), "Shorten them")
	}
	containers := len(pod.Spec.InitContainers) + len(pod.Spec.Containers)
	if slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == inject.InstallContainer }) {
		containers--
	}
	if containers > maxContainers {
		n.Refuse(messages.Pod("spec.containers"), messages.TooManyContainers, "", fmt.Sprintf("the pod has %d containers, and koordinator orders at most %d", containers, maxContainers), "Remove the koordinator annotations")
	}
	return len(n.Problems) > 0
}
