package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// onNodes returns an affinity to nodes of these operating systems, with one term
// for each.
func onNodes(systems ...string) *corev1.Affinity {
	var terms []corev1.NodeSelectorTerm
	for _, s := range systems {
		terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpIn, Values: []string{s}},
		}})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
	}}
}

func TestWindowsPodsAreKnown(t *testing.T) {
	options := &corev1.WindowsSecurityContextOptions{RunAsUserName: new("ContainerUser")}
	for _, tt := range []struct {
		name string
		pod  corev1.PodSpec
		want bool
	}{
		{"one that says nothing", corev1.PodSpec{}, false},
		{"by its operating system", corev1.PodSpec{OS: &corev1.PodOS{Name: corev1.Windows}}, true},
		{"its operating system before its nodes", corev1.PodSpec{OS: &corev1.PodOS{Name: corev1.Linux}, Affinity: onNodes("windows")}, false},
		{"by its node selector", corev1.PodSpec{NodeSelector: map[string]string{"kubernetes.io/os": "windows"}}, true},
		{"by an old node selector", corev1.PodSpec{NodeSelector: map[string]string{"beta.kubernetes.io/os": "windows"}}, true},
		{"by its node affinity", corev1.PodSpec{Affinity: onNodes("windows")}, true},
		{"nodes of either kind", corev1.PodSpec{Affinity: onNodes("windows", "linux")}, false},
		{"an affinity to pods alone", corev1.PodSpec{Affinity: &corev1.Affinity{}}, false},
		{"by its security context", corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{WindowsOptions: options}}, true},
		{"by a container's security context", corev1.PodSpec{Containers: []corev1.Container{{SecurityContext: &corev1.SecurityContext{WindowsOptions: options}}}}, true},
		{"a Linux security context", corev1.PodSpec{Containers: []corev1.Container{{SecurityContext: &corev1.SecurityContext{}}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := isWindows(tt.pod); have != tt.want {
				t.Errorf("have %v, want %v", have, tt.want)
			}
		})
	}
}
