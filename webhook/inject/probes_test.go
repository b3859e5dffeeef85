package inject

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// The expected values are those of
// k8s.io/kubernetes/third_party/forked/golang/expansion with the values of
// ExpandContainerCommandOnlyStatic.
func TestProbeCommandsAreExpandedAsTheKubeletDoes(t *testing.T) {
	env := []corev1.EnvVar{
		{Name: "A", Value: "1"},
		{Name: "B", Value: "$(A)"},
		{Name: "FROM", ValueFrom: &corev1.EnvVarSource{}},
		{Name: spec.EnvPodName, Value: "x"},
	}
	for word, want := range map[string]string{
		"":                           "",
		"plain":                      "plain",
		"$(A)":                       "1",
		"a$(A)b$(A)":                 "a1b1",
		"$(B)":                       "$(A)",
		"$(FROM)":                    "",
		"$(NONE)":                    "$(NONE)",
		"$$(A)":                      "$(A)",
		"$$$(A)":                     "$1",
		"$$$$(A)":                    "$$(A)",
		"$":                          "$",
		"$$":                         "$",
		"a$b$":                       "a$b$",
		"$(A":                        "$(A",
		"$(A$(A)":                    "$(A$(A)",
		"$()":                        "$()",
		"$(a)$A${A}":                 "$(a)$A${A}",
		"$(" + spec.EnvPodName + ")": "$(" + spec.EnvPodName + ")",
	} {
		t.Run(word, func(t *testing.T) {
			if have := strings.Join(expandAll([]string{word}, env), " "); have != want {
				t.Errorf("have %q, want %q", have, want)
			}
		})
	}
}
