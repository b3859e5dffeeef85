package input

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"koordinator.io/koordinator/webhook/workload"
)

// template is a pod template and its path.
type template struct {
	path  []any
	value map[string]any
}

// pods returns the pods that an object is or describes.
func pods(u *unstructured.Unstructured, given []string) ([]Pod, error) {
	kind := u.GroupVersionKind().GroupKind()
	if kind.Group == "" && kind.Kind == "Pod" {
		raw, err := u.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var pod corev1.Pod
		if err := json.Unmarshal(raw, &pod); err != nil {
			return nil, err
		}
		return []Pod{{Raw: raw, Pod: &pod}}, nil
	}
	var all []Pod
	for _, t := range templates(u, given) {
		pod, err := described(u, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", placeOf(t.path), err)
		}
		all = append(all, pod)
	}
	return all, nil
}

// templates returns the pod templates of an object. For a kind that the webhook knows, it
// uses the known place; for other kinds, it uses the given paths. Without paths, it
// searches the object for values that have the form of a template.
func templates(u *unstructured.Unstructured, given []string) []template {
	kind := u.GroupVersionKind().GroupKind()
	resource := metav1.GroupResource{Group: kind.Group, Resource: strings.ToLower(kind.Kind) + "s"}
	place, known := workload.Place(resource)
	switch {
	case known:
		return at(u.Object, nil, strings.Split(place.String(), "."))
	case len(given) > 0:
		var all []template
		for _, path := range given {
			all = append(all, at(u.Object, nil, strings.Split(path, "."))...)
		}
		return all
	default:
		return search(u.Object, nil)
	}
}

// at returns the templates that are at the path given below a value. path leads to the
// value.
func at(value any, path []any, given []string) []template {
	fields, isMap := value.(map[string]any)
	if !isMap {
		return nil
	}
	if len(given) == 0 {
		return []template{{path, fields}}
	}
	field, each := strings.CutSuffix(given[0], "[*]")
	below := with(path, field)
	if !each {
		return at(fields[field], below, given[1:])
	}
	var all []template
	list, _ := fields[field].([]any)
	for i, element := range list {
		all = append(all, at(element, with(below, i), given[1:])...)
	}
	return all
}

// search finds values that have the form of a pod template: an object whose spec has a list
// of named containers. It does not search inside a template. path leads to the value.
func search(value any, path []any) []template {
	var all []template
	switch value := value.(type) {
	case map[string]any:
		if len(path) > 0 && isTemplate(value) {
			return []template{{path, value}}
		}
		for _, field := range slices.Sorted(maps.Keys(value)) {
			all = append(all, search(value[field], with(path, field))...)
		}
	case []any:
		for i, element := range value {
			all = append(all, search(element, with(path, i))...)
		}
	}
	return all
}

// isTemplate reports whether an object has the form of a pod template.
func isTemplate(fields map[string]any) bool {
	inner, _ := fields["spec"].(map[string]any)
	list, _ := inner["containers"].([]any)
	return len(list) > 0 && !slices.ContainsFunc(list, func(element any) bool {
		container, _ := element.(map[string]any)
		name, _ := container["name"].(string)
		return name == ""
	})
}

// with returns a path with one more step.
func with(path []any, step any) []any { return slices.Concat(path, []any{step}) }

// Below returns the place of a field (string) or of a list element (int) below a place, in
// the API server's notation. A field whose name is not plain is in brackets.
func Below(place string, step any) string {
	name, isField := step.(string)
	switch {
	case !isField, name == "", strings.ContainsAny(name, ".[]"):
		return fmt.Sprintf("%s[%v]", place, step)
	case place == "":
		return name
	}
	return place + "." + name
}

// placeOf returns a path in the API server's notation.
func placeOf(path []any) string {
	place := ""
	for _, step := range path {
		place = Below(place, step)
	}
	return place
}

// described returns the pod that a template of an object describes.
func described(u *unstructured.Unstructured, t template) (Pod, error) {
	raw, err := json.Marshal(t.value)
	if err != nil {
		return Pod{}, err
	}
	owner := metav1.ObjectMeta{Namespace: u.GetNamespace(), Name: u.GetName(), GenerateName: u.GetGenerateName()}
	pod, err := workload.Pod(owner, raw)
	if err != nil {
		return Pod{}, err
	}
	return Pod{Path: t.path, Place: placeOf(t.path), Raw: raw, Pod: pod}, nil
}
