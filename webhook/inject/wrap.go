package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/wrapper/spec"
)

// ourEnv are the variables that wrapped containers have from nobody but us.
var ourEnv = []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace, spec.EnvPodIP}

// wrap puts koordinator in front of a container's command. Each part that is
// already as it should be is left alone.
func (j *job) wrap(m *member) {
	j.command(m)
	j.env(m)
	j.mounts(m)
	j.gate(m)
	j.hooks(m)
	j.answerProbes(m)
}

// maxString is what Linux takes as one string of a program's environment, its
// end included (execve(2), MAX_ARG_STRLEN).
const maxString = 128 << 10

// env hands over the spec and the pod's address.
func (j *job) env(m *member) {
	own := m.text
	if len(spec.Env)+len("=")+len(own) >= maxString {
		j.refuse(m.place(), fmt.Sprintf("what koordinator has to know of this container takes %d bytes, and an environment variable has room for %d: shorten its probes and hooks", len(own), maxString))
	}
	missing := []corev1.EnvVar{
		{Name: spec.EnvPodIP, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}}},
		{Name: spec.Env, Value: escape(own)},
	}
	for i, e := range m.Env {
		if !slices.Contains(ourEnv, e.Name) {
			continue
		}
		k := slices.IndexFunc(missing, func(our corev1.EnvVar) bool { return our.Name == e.Name })
		switch {
		case k < 0, e.Name == spec.EnvPodIP && !equality.Semantic.DeepEqual(e, missing[k]):
			j.refuseEnv(m, e.Name)
			continue
		case e.Name == spec.Env && !equality.Semantic.DeepEqual(e, missing[k]):
			if m.before.Container == "" {
				j.refuseEnv(m, e.Name)
				continue
			}
			j.patch.set(missing[k].Value, m.pointer("env", strconv.Itoa(i), "value")...)
		}
		missing = slices.Delete(missing, k, k+1)
	}
	push(&j.patch, len(m.Env), missing, m.pointer("env")...)
}

func (j *job) refuseEnv(m *member, name string) {
	j.refuse(m.place(), fmt.Sprintf("env %s: koordinator knows it from the annotations and the pod: remove it", name))
}

// escape doubles every $, since the kubelet expands $(VAR) in values and makes
// $ of $$.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// written is the spec that an earlier call gave the container, maybe in the pod
// that this one is a copy of; none where Container is "". Only hooks and probes
// of which we are in the place are taken from it.
func written(c container) spec.Spec {
	ours := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return sameMount(m, recordMount(c.Name)) })
	for _, e := range c.Env {
		if !ours || e.Name != spec.Env || e.ValueFrom != nil {
			continue
		}
		if s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$")); err == nil && s.Container == c.Name {
			return s
		}
	}
	return spec.Spec{}
}
