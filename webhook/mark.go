package webhook

import (
	"encoding/json"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// left is the answer to a pod that has koordinator annotations and in which
// nothing is wrapped. The pod gets the status annotation all the same: the
// policy refuse-uninjected takes that for the sign that the webhook has
// processed the pod, and rejects one without it.
func (h *handler) left(pod *corev1.Pod, reason string, warnings ...string) decision {
	return decision{skipped, reason, allowed(mark(pod, h.settings.Version, reason), warnings)}
}

// mark is the patch that writes the status annotation, empty where the pod has
// it already, from an earlier call for the same pod.
func mark(pod *corev1.Pod, version, reason string) []jsonpatch.Operation {
	text, err := json.Marshal(inject.Status{Version: version, Reason: reason})
	if err != nil {
		panic("encode strings: " + err.Error()) // cannot happen
	}
	const key = inject.StatusAnnotation
	switch {
	case pod.Annotations[key] == string(text):
		return nil
	case len(pod.Annotations) == 0:
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/annotations", map[string]string{key: string(text)})}
	}
	return []jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/annotations/"+strings.ReplaceAll(key, "/", "~1"), string(text))}
}
