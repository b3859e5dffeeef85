package admission

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// cause is a problem as clients list it: the field it is about, as the API
// server writes them, and what is wrong there. place is as in refused.
func cause(pod *corev1.Pod, place string, p inject.Problem) metav1.StatusCause {
	c := metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "spec", Message: inject.Shorten("koordinator: " + p.String())}
	first, rest, _ := strings.Cut(p.Place, ": ")
	kind, name := placeParts(first)
	switch {
	case strings.HasPrefix(first, inject.Prefix):
		c.Field = fmt.Sprintf("metadata.annotations[%s]", first)
		if rest != "" {
			rest += ": "
		}
		c.Message = inject.Shorten(rest + p.Text)
	case kind == "label":
		c.Field = fmt.Sprintf("metadata.labels[%s]", name)
	case kind == "volume":
		c.Field = element("spec.volumes", slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }))
	case kind == "container", kind == "init container":
		c.Field = containerField(pod, name)
	}
	if place != "" {
		c.Field = place + "." + c.Field
	}
	return c
}

// placeParts splits a place as messages write it: `init container "x"`, "label x".
func placeParts(place string) (kind, name string) {
	i := strings.LastIndexByte(place, ' ')
	if i < 0 {
		return place, ""
	}
	name, err := strconv.Unquote(place[i+1:])
	if err != nil {
		name = place[i+1:]
	}
	return place[:i], name
}

// containerField is the path of the pod's container of that name.
func containerField(pod *corev1.Pod, name string) string {
	named := func(c corev1.Container) bool { return c.Name == name }
	if i := slices.IndexFunc(pod.Spec.InitContainers, named); i >= 0 {
		return element("spec.initContainers", i)
	}
	return element("spec.containers", slices.IndexFunc(pod.Spec.Containers, named))
}

// element is the path of a list's element, or of the list where there is no
// such element.
func element(list string, i int) string {
	if i < 0 {
		return list
	}
	return fmt.Sprintf("%s[%d]", list, i)
}
