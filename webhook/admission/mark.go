package admission

import (
	"encoding/json"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// mark returns the patch that adds a status annotation to a pod without wrapped
// containers. It is empty if an earlier call has already added the annotation.
func mark(pod *corev1.Pod, status inject.Status) []jsonpatch.Operation {
	text, err := json.Marshal(status)
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
	return []jsonpatch.Operation{annotation(key, string(text))}
}

// annotation returns the operation that adds an annotation to a pod that already
// has annotations.
func annotation(key, value string) jsonpatch.Operation {
	return jsonpatch.NewOperation("add", "/metadata/annotations/"+strings.ReplaceAll(key, "/", "~1"), value)
}
