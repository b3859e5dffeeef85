package admission

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// isWindows reports whether a pod runs on Windows according to its operating
// system, its node selector or affinity, or security settings that the API
// accepts for Windows only. It does not consider RuntimeClasses.
func isWindows(pod corev1.PodSpec) bool {
	windows := string(corev1.Windows)
	switch {
	case pod.OS != nil:
		return pod.OS.Name == corev1.Windows
	case pod.NodeSelector[corev1.LabelOSStable] == windows, pod.NodeSelector["beta.kubernetes.io/os"] == windows:
		return true
	case pod.SecurityContext != nil && pod.SecurityContext.WindowsOptions != nil:
		return true
	}
	ofContainer := func(c corev1.Container) bool {
		return c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil
	}
	return slices.ContainsFunc(pod.Containers, ofContainer) || slices.ContainsFunc(pod.InitContainers, ofContainer) || onlyWindowsNodes(pod.Affinity)
}

// onlyWindowsNodes reports whether an affinity allows Windows nodes only. This
// requires that all of its terms do, because they are alternatives.
func onlyWindowsNodes(a *corev1.Affinity) bool {
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	other := func(term corev1.NodeSelectorTerm) bool {
		return !slices.ContainsFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == corev1.LabelOSStable && r.Operator == corev1.NodeSelectorOpIn && slices.Equal(r.Values, []string{string(corev1.Windows)})
		})
	}
	return len(terms) > 0 && !slices.ContainsFunc(terms, other)
}
