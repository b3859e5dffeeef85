package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// ourEnv are the variables that only koordinator sets in wrapped containers.
var ourEnv = []string{spec.Env, spec.EnvMisspelt, spec.EnvPodName, spec.EnvPodNamespace, spec.EnvPodIP}

// maxString is the maximum size that Linux accepts for one string of a program's
// environment, including its terminating null byte (execve(2), MAX_ARG_STRLEN).
const maxString = 128 << 10

// checkSize rejects a spec that is too long for a variable.
func (m *instructed) checkSize(n *messages.Notes) {
	if len(spec.Env)+len("=")+len(m.text) >= maxString {
		n.Refuse(m.place(), messages.SpecTooLong, "", fmt.Sprintf("KOORDINATOR_SPEC has %d bytes; the limit of an environment variable is %d", len(m.text), maxString), "Shorten the container's probes and hooks")
	}
}

// checkEnv rejects variables with koordinator's names that koordinator did not
// set.
func (m *instructed) checkEnv(n *messages.Notes) {
	m.checkSize(n)
	if !slices.ContainsFunc(m.Env, isOurs) {
		return
	}
	_, _, foreign := m.compareEnv()
	for _, name := range foreign {
		n.Refuse(m.place().Field("env").Item(name), messages.ReservedVariable, name, "the environment variable is reserved for koordinator", "Remove it")
	}
}

func isOurs(e corev1.EnvVar) bool { return slices.Contains(ourEnv, e.Name) }

// compareEnv compares koordinator's variables, the spec and the pod's address,
// with those of the container. missing are the variables that the container
// lacks, stale is the index of an earlier call's spec that differs from the
// current one, or -1, and foreign are variables with koordinator's names that
// koordinator did not set.
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

// env writes the spec and the pod's address.
func (p *patch) env(m *instructed) {
	missing, stale, _ := m.compareEnv()
	if stale >= 0 {
		p.set(escape(m.text), m.pointer("env", strconv.Itoa(stale), "value")...)
	}
	push(p, len(m.Env), missing, m.pointer("env")...)
}

// escape doubles every $, because the kubelet expands $(VAR) in values and
// replaces $$ by $.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// written returns the spec that an earlier call gave the container, possibly in
// the pod that this one is a copy of. Its Container is "" if there is none. Only
// values that koordinator has replaced in the container, or looked up for it, are
// taken from it.
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
