package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

func TestTheFieldOfAProblem(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "first"}},
		Containers:     []corev1.Container{{Name: "main"}, {Name: "proxy"}},
		Volumes:        []corev1.Volume{{Name: "data"}, {Name: "koordinator-bin"}},
	}}
	for place, want := range map[string][2]string{
		"koordinator.io/essential":                        {"metadata.annotations[koordinator.io/essential]", "text"},
		`koordinator.io/start-deps: container "main"`:     {"metadata.annotations[koordinator.io/start-deps]", `container "main": text`},
		"koordinator.io/spec: container \"a\": stopDelay": {"metadata.annotations[koordinator.io/spec]", `container "a": stopDelay: text`},
		"label essential-containers":                      {"metadata.labels[essential-containers]", "koordinator: label essential-containers: text"},
		`container "proxy"`:                               {"spec.containers[1]", `koordinator: container "proxy": text`},
		`container "first"`:                               {"spec.initContainers[0]", `koordinator: container "first": text`},
		`init container "first"`:                          {"spec.initContainers[0]", `koordinator: init container "first": text`},
		`container "gone"`:                                {"spec.containers", `koordinator: container "gone": text`},
		`volume "koordinator-bin"`:                        {"spec.volumes[1]", `koordinator: volume "koordinator-bin": text`},
		"spec.containers":                                 {"spec", "koordinator: spec.containers: text"},
	} {
		t.Run(place, func(t *testing.T) {
			c := cause(pod, "", inject.Problem{Place: place, Text: "text"})
			if c.Field != want[0] || c.Message != want[1] {
				t.Errorf("\nhave %q %q\nwant %q", c.Field, c.Message, want)
			}
			if in := cause(pod, "spec.template", inject.Problem{Place: place, Text: "text"}); in.Field != "spec.template."+want[0] {
				t.Errorf("in a template %q", in.Field)
			}
		})
	}
}
