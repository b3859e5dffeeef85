package filter

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	syaml "sigs.k8s.io/yaml"

	"koordinator.io/koordinator/webhook/rbac"
)

// needy is the outcome for a pod whose account needs the permission.
func needy(namespace, account string) Outcome {
	return Outcome{Object: "pod/x", Namespace: namespace, Account: account, Wrapped: []string{"main"}}
}

// bindings returns the RoleBindings of a text by namespace and name, and checks that each
// of them refers to a Role of the text.
func bindings(t *testing.T, text string) map[string]rbacv1.RoleBinding {
	t.Helper()
	all, roles := map[string]rbacv1.RoleBinding{}, []string{}
	for document := range strings.SplitSeq(Plain(text), "---\n") {
		var b rbacv1.RoleBinding
		if err := syaml.Unmarshal([]byte(document), &b); err != nil {
			t.Fatal(err)
		}
		switch b.Kind {
		case "Role":
			roles = append(roles, b.Namespace+"/"+b.Name)
		case "RoleBinding":
			all[b.Namespace+"/"+b.Name] = b
			if !slices.Contains(roles, b.Namespace+"/"+b.RoleRef.Name) {
				t.Errorf("RoleBinding %s refers to %v, and the Roles are %q", b.Name, b.RoleRef, roles)
			}
		}
	}
	return all
}

// Each account has objects of its own, so that applications that are injected one by one
// and the webhook do not overwrite the objects of each other.
func TestEachAccountHasItsOwnGrant(t *testing.T) {
	text, err := WithAccess("", []Outcome{
		needy("shop", "web"), needy("shop", "api"), needy("shop", "web"), needy("bank", "web"),
		{Object: "pod/local", Namespace: "shop", Account: "local", Wrapped: []string{"main"}, Local: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := bindings(t, text)
	for _, want := range []string{"shop/koordinator-inject-web", "shop/koordinator-inject-api", "bank/koordinator-inject-web"} {
		b := all[want]
		namespace, name, _ := strings.Cut(want, "/koordinator-inject-")
		if len(b.Subjects) != 1 || b.Subjects[0].Name != name || b.Subjects[0].Namespace != namespace || b.Name == rbac.PodReader {
			t.Errorf("%s is %+v", want, b)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d RoleBindings in\n%s", len(all), text)
	}
}

func TestUndoRemovesTheGrant(t *testing.T) {
	for _, before := range []string{"kind: Pod\n", "kind: Pod", "kind: Pod\n...\n", ""} {
		text, err := WithAccess(before, []Outcome{needy("shop", "web")})
		if err != nil || len(bindings(t, text)) != 1 {
			t.Fatalf("%v:\n%s", err, text)
		}
		if restored, changed, err := Undo(text); err != nil || !changed || restored != before {
			t.Errorf("restored (%v): %q, want %q", err, restored, before)
		}
	}
}

func TestAGrantRequiresTheNamespace(t *testing.T) {
	text, err := WithAccess("kind: Pod\n", []Outcome{needy("shop", "web"), needy("", "api")})
	if err == nil || !strings.Contains(err.Error(), "pod/x") || text != "" {
		t.Errorf("error %v, text %q", err, text)
	}
}
