package admission

import (
	"encoding/json"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// mark is the patch that writes the status annotation into a pod in which nothing
// is wrapped. It is empty if the pod has the annotation from an earlier call.
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
