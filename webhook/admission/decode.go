package admission

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// Decode decodes a pod, or the template of one, from JSON. It returns the paths of
// the fields that the API types do not have.
func Decode(raw []byte, pod *corev1.Pod) (unknown []string, err error) {
	problems, err := kjson.UnmarshalStrict(raw, pod, kjson.DisallowUnknownFields)
	if err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}
	for _, problem := range problems {
		if f, ok := errors.AsType[kjson.FieldError](problem); ok {
			unknown = append(unknown, f.FieldPath())
		}
	}
	return unknown, nil
}
