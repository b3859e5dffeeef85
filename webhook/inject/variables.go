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

// maxString is what Linux takes as one string of a program's environment, its
// end included (execve(2), MAX_ARG_STRLEN).
const maxString = 128 << 10

// checkSize refuses a spec that is too long for a variable.
func (m *instructed) checkSize(n *Notes) {
	if len(spec.Env)+len("=")+len(m.text) >= maxString {
		n.refuse(m.place(), fmt.Sprintf("what koordinator has to know of this container takes %d bytes, and an environment variable has room for %d: shorten its probes and hooks", len(m.text), maxString))
	}
}

// checkEnv refuses variables of our names that are not ours.
func (m *instructed) checkEnv(n *Notes) {
	m.checkSize(n)
	if !slices.ContainsFunc(m.Env, isOurs) {
		return
	}
	_, _, foreign := m.compareEnv()
	for _, name := range foreign {
		n.refuse(m.place(), fmt.Sprintf("env %s: koordinator knows it from the annotations and the pod: remove it", name))
	}
}

func isOurs(e corev1.EnvVar) bool { return slices.Contains(ourEnv, e.Name) }

// compareEnv finds which of our variables, the spec and the pod's address, are
// missing, where the spec of an earlier call stands that is not the present one, -1
// for nowhere, and which variables have our names without being ours.
func (m *instructed) compareEnv() (missing []corev1.EnvVar, stale int, foreign []string) {
	stale = -1
	missing = []corev1.EnvVar{
		{Name: spec.EnvPodIP, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"}}},
		{Name: spec.Env, Value: escape(m.text)},
	}
	for i, e := range m.Env {
		if !isOurs(e) {
			continue
		}
		k := slices.IndexFunc(missing, func(our corev1.EnvVar) bool { return our.Name == e.Name })
		switch {
		case k < 0:
			foreign = append(foreign, e.Name)
			continue
		case equality.Semantic.DeepEqual(e, missing[k]):
		case e.Name == spec.Env && m.before.Container != "":
			stale = i
		default:
			foreign = append(foreign, e.Name)
			continue
		}
		missing = slices.Delete(missing, k, k+1)
	}
	return missing, stale, foreign
}

// env hands over the spec and the pod's address.
func (p *patch) env(m *instructed) {
	missing, stale, _ := m.compareEnv()
	if stale >= 0 {
		p.set(escape(m.text), m.pointer("env", strconv.Itoa(stale), "value")...)
	}
	push(p, len(m.Env), missing, m.pointer("env")...)
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
