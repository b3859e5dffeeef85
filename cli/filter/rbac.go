package filter

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	syaml "sigs.k8s.io/yaml"
)

// NeedsAccess reports whether a wrapper in the pod reads the pod's status from the API
// server. The pod's service account needs a permission for that.
func (o Outcome) NeedsAccess() bool { return len(o.Wrapped) > 0 && !o.Local }

// WithAccess returns a text of injected manifests with the Role and RoleBinding that each
// service account of their pods needs. Undo removes them. The text stays unchanged if no pod
// needs them. It is an error if the namespace of a pod that needs them is unknown, because
// a RoleBinding names the namespace of its account.
func WithAccess(text string, outcomes []Outcome) (string, error) {
	var accounts []types.NamespacedName
	var homeless []string
	for _, o := range outcomes {
		account := types.NamespacedName{Namespace: o.Namespace, Name: o.Account}
		switch {
		case !o.NeedsAccess():
		case o.Namespace == "" && !slices.Contains(homeless, o.Object):
			homeless = append(homeless, o.Object)
		case !slices.Contains(accounts, account):
			accounts = append(accounts, account)
		}
	}
	if len(homeless) > 0 {
		return "", fmt.Errorf("the namespace is unknown: %s", strings.Join(homeless, ", "))
	}
	if len(accounts) == 0 {
		return text, nil
	}
	added := begins + "\n"
	if text != "" && !strings.HasSuffix(text, "\n") {
		added = "\n" + added + wasOpen + "\n"
	}
	for _, account := range accounts {
		for _, object := range access(account) {
			object, err := syaml.Marshal(object)
			if err != nil {
				return "", err
			}
			added += "---\n" + string(object)
		}
	}
	return text + added + ends + "\n", nil
}

// access returns the objects for one account. Their name differs from that of the webhook's
// RoleBinding and from those of other accounts, so that none overwrites another one.
func access(account types.NamespacedName) []any {
	meta := metav1.ObjectMeta{Name: "koordinator-inject-" + account.Name, Namespace: account.Namespace}
	return []any{
		rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: meta,
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{corev1.GroupName}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch"}}},
		},
		rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: account.Namespace}},
		},
	}
}
