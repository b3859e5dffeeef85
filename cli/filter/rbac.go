package filter

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	syaml "sigs.k8s.io/yaml"

	"koordinator.io/koordinator/webhook/rbac"
)

// NeedsAccess reports whether a wrapper in the pod reads the pod's status from the API
// server. The pod's service account needs a permission for that.
func (o Outcome) NeedsAccess() bool { return len(o.Wrapped) > 0 && !o.Local }

// Access returns the Role and RoleBinding, for each namespace, that the injected pods need,
// as YAML documents. It returns "" if no pod needs them. The webhook would create the same
// grant.
func Access(outcomes []Outcome) (string, error) {
	accounts := map[string][]string{}
	var namespaces []string
	for _, o := range outcomes {
		if !o.NeedsAccess() {
			continue
		}
		if !slices.Contains(namespaces, o.Namespace) {
			namespaces = append(namespaces, o.Namespace)
		}
		if !slices.Contains(accounts[o.Namespace], o.Account) {
			accounts[o.Namespace] = append(accounts[o.Namespace], o.Account)
		}
	}
	var b strings.Builder
	for _, namespace := range namespaces {
		for _, object := range access(namespace, accounts[namespace]) {
			text, err := syaml.Marshal(object)
			if err != nil {
				return "", err
			}
			b.WriteString("---\n" + string(text))
		}
	}
	return b.String(), nil
}

// access returns the objects for one namespace. A RoleBinding's subject must have a
// namespace. If the manifest sets none, the subject's namespace is "default".
func access(namespace string, accounts []string) []any {
	meta := metav1.ObjectMeta{Name: rbac.PodReader, Namespace: namespace}
	role := rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: meta,
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{corev1.GroupName}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch"}}},
	}
	binding := rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: rbac.PodReader},
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	for _, account := range accounts {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace})
	}
	return []any{role, binding}
}
