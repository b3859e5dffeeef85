//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/test/setup"
)

// webhookAccount is the service account of the webhook.
const webhookAccount = "system:serviceaccount:" + setup.Namespace + ":koordinator"

// deed is an action that an account may or may not be allowed to perform. resource has the
// form "group/resource" or "group/resource/subresource". Without a name, it stands for
// every object of the namespace, and without a namespace for every namespace.
type deed struct{ verb, resource, name, namespace string }

// may reports which of these actions an account is allowed to perform.
func may(t *testing.T, account string, deeds ...deed) []bool {
	t.Helper()
	var reviews strings.Builder
	for _, d := range deeds {
		parts := append(strings.Split(d.resource, "/"), "")
		review := map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"spec": map[string]any{"user": account, "groups": []string{"system:serviceaccounts", "system:authenticated"}, "resourceAttributes": map[string]string{
				"verb": d.verb, "group": parts[0], "resource": parts[1], "subresource": parts[2], "name": d.name, "namespace": d.namespace,
			}},
		}
		if err := json.NewEncoder(&reviews).Encode(review); err != nil {
			t.Fatal(err)
		}
		reviews.WriteString("---\n")
	}
	out, err := try(t, reviews.String(), "create", "-f", "-", "-o", `jsonpath={.status.allowed}{"\n"}`)
	if err != nil {
		t.Fatal(err)
	}
	var answers []bool
	for answer := range strings.Lines(out) {
		answers = append(answers, strings.TrimSpace(answer) == "true")
	}
	if len(answers) != len(deeds) {
		t.Fatalf("%d answers to %d questions: %s", len(answers), len(deeds), out)
	}
	return answers
}

// The webhook's account may do what it needs, and nothing else that would be useful to an attacker.
func TestTheWebhookMayDoWhatItNeedsAndNoMore(t *testing.T) {
	abreast(t)
	const (
		own         = setup.Namespace
		reader      = "koordinator-pod-reader"
		rolebinding = "rbac.authorization.k8s.io/rolebindings"
		clusterrole = "rbac.authorization.k8s.io/clusterroles"
		mutating    = "admissionregistration.k8s.io/mutatingwebhookconfigurations"
		validating  = "admissionregistration.k8s.io/validatingwebhookconfigurations"
		lease       = "coordination.k8s.io/leases"
	)
	must := []deed{
		{"list", "/pods", "", ""},
		{"watch", "/pods", "", ""},
		{"watch", "/namespaces", "", ""},
		{"create", rolebinding, "", ""},
		{"list", rolebinding, reader, ""},
		{"update", rolebinding, reader, "default"},
		{"delete", rolebinding, reader, "default"},
		{"bind", clusterrole, reader, ""},
		{"create", "events.k8s.io/events", "", "default"},
		{"get", mutating, "koordinator", ""},
		{"update", mutating, "koordinator", ""},
		{"get", validating, "koordinator", ""},
		{"update", validating, "koordinator", ""},
		{"get", "/secrets", "koordinator-cert", own},
		{"update", "/secrets", "koordinator-cert", own},
		{"create", lease, "", own},
		{"update", lease, "koordinator-self-signed", own},
		{"get", "/secrets", "pull", "default"}, // for the pull secrets of pods
	}
	mustNot := []deed{
		{"create", "/pods", "", "default"},
		{"update", "/pods", "", "default"},
		{"patch", "/pods", "", "default"},
		{"delete", "/pods", "", "default"},
		{"create", "/pods/exec", "", "default"},
		{"get", "/pods/log", "", "default"},
		{"create", "/pods/eviction", "", "default"},
		{"create", "/pods", "", own},
		{"create", "apps/deployments", "", own},
		{"update", "/namespaces", "", ""},
		{"patch", "/namespaces", "", ""},
		{"list", rolebinding, "", ""}, // only those with this name
		{"patch", rolebinding, reader, "default"},
		{"update", rolebinding, "other", "default"},
		{"delete", rolebinding, "other", "default"},
		{"bind", clusterrole, "", ""},
		{"bind", clusterrole, "view", ""},
		{"bind", clusterrole, "cluster-admin", ""},
		{"bind", "rbac.authorization.k8s.io/roles", "", "default"},
		{"escalate", clusterrole, reader, ""},
		{"create", clusterrole, "", ""},
		{"update", clusterrole, reader, ""},
		{"create", "rbac.authorization.k8s.io/clusterrolebindings", "", ""},
		{"create", "rbac.authorization.k8s.io/roles", "", "default"},
		{"impersonate", "/serviceaccounts", "", "default"},
		{"create", "/serviceaccounts/token", "", "default"},
		{"create", "/secrets", "", own},
		{"update", "/secrets", "other", own},
		{"delete", "/secrets", "koordinator-cert", own},
		{"list", "/secrets", "", "default"},
		{"watch", "/secrets", "", "default"},
		{"update", "/secrets", "", "default"},
		{"list", "/configmaps", "", "default"},
		{"update", mutating, "other", ""},
		{"create", mutating, "", ""},
		{"delete", mutating, "koordinator", ""},
		{"update", validating, "other", ""},
		{"create", validating, "", ""},
		{"delete", validating, "koordinator", ""},
		{"update", "admissionregistration.k8s.io/validatingadmissionpolicies", "koordinator-refuse-uninjected", ""},
		{"delete", "admissionregistration.k8s.io/validatingadmissionpolicybindings", "koordinator-refuse-uninjected", ""},
		{"update", lease, "other", own},
		{"delete", lease, "koordinator-self-signed", own},
		{"create", lease, "", "kube-system"},
		{"update", lease, "koordinator-self-signed", "kube-system"},
		{"get", "/nodes", "", ""},
	}
	for i, allowed := range may(t, webhookAccount, append(must, mustNot...)...) {
		if want := i < len(must); allowed != want {
			t.Errorf("%+v: allowed %v, want %v", append(must, mustNot...)[i], allowed, want)
		}
	}
}

// TestB9TheWebhookCannotBindAnotherRole checks a restriction that is not visible in the
// RBAC rules: the webhook's account can create RoleBindings, but only in the form that
// koordinator uses. The account holds the rules of the role koordinator-webhook, so RBAC
// alone would let it bind that role.
func TestB9TheWebhookCannotBindAnotherRole(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	bind := func(name, role, subject string) string {
		return told(t, "", "-n", ns, "create", "rolebinding", name, "--dry-run=server",
			"--clusterrole="+role, subject, "--as="+webhookAccount)
	}
	own := "--serviceaccount=" + ns + ":default"
	if said := bind("koordinator-pod-reader", "koordinator-pod-reader", own); said != "" {
		t.Errorf("its own role: %s", said)
	}
	for _, tt := range [][3]string{
		{"steal", "koordinator-webhook", own},
		{"steal", "koordinator-pod-reader", own},
		{"koordinator-pod-reader", "koordinator-webhook", own},
		{"koordinator-pod-reader", "koordinator-pod-reader", "--serviceaccount=default:default"},
		{"koordinator-pod-reader", "koordinator-pod-reader", "--user=somebody"},
	} {
		if said := bind(tt[0], tt[1], tt[2]); !strings.Contains(said, "'koordinator-limit-grants'") {
			t.Errorf("bound %v: %s", tt, said)
		}
	}
	for _, role := range []string{"view", "admin", "cluster-admin"} {
		if said := bind("koordinator-pod-reader", role, own); !strings.Contains(said, "denied request") &&
			!strings.Contains(said, "attempting to grant RBAC permissions not currently held") {
			t.Errorf("bound %s: %s", role, said)
		}
	}
}

// asking is a pod whose main gets the readiness of its proxy from the API server. The proxy
// is ready when the file /shared/ready exists.
const asking = `
apiVersion: v1
kind: Pod
metadata:
  name: asks
  labels: {e2e: ""}
  annotations:
    koordinator.io/start-deps: "main: proxy"
    koordinator.io/source: pod
spec:
  restartPolicy: Never
  serviceAccountName: asker
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "while ! test -e /shared/end; do sleep 0.2; done"]
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 2, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`

// asker creates the pod and its service account. The returned function reports whether the
// account may watch pods.
func asker(t *testing.T, ns string) func() bool {
	t.Helper()
	kubectl(t, "-n", ns, "create", "serviceaccount", "asker")
	apply(t, ns, asking)
	return func() bool {
		return may(t, "system:serviceaccount:"+ns+":asker", deed{"watch", "/pods", "", ns})[0]
	}
}

// touch creates a file in the proxy.
func touch(t *testing.T, ns, file string) {
	t.Helper()
	kubectl(t, "-n", ns, "exec", "asks", "-c", "proxy", "--", "touch", "/shared/"+file)
}

func TestAWrapperWithoutItsGrantWaitsAndSaysWhatFor(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	// A RoleBinding with this name that does not belong to koordinator prevents the grant.
	kubectl(t, "-n", ns, "create", "rolebinding", "koordinator-pod-reader", "--clusterrole=koordinator-pod-reader", "--serviceaccount="+ns+":other")
	granted := asker(t, ns)
	says(t, ns, "asks", "main", "403 Forbidden")
	says(t, ns, "asks", "main", "needed: get, list, watch on pods in namespace "+ns)
	touch(t, ns, "ready")
	eventually(t, "an event that tells why", func() (bool, string) {
		out := kubectl(t, "-n", ns, "get", "events", "--field-selector", "reason=NotManaged", "-o", "jsonpath={.items[*].message}")
		return strings.Contains(out, "koordinator needs this name for a RoleBinding of its own"), out
	})
	if out := kubectl(t, "-n", ns, "logs", "asks", "-c", "main"); strings.Contains(out, "main runs") {
		t.Errorf("main did not wait: %s", out)
	}
	if granted() {
		t.Error("the account may watch pods already")
	}
	kubectl(t, "-n", ns, "delete", "rolebinding", "koordinator-pod-reader")
	says(t, ns, "asks", "main", "main runs")
	touch(t, ns, "end")
}

func TestAGrantOutlivesTheLabel(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	granted := asker(t, ns)
	eventually(t, "the grant", func() (bool, string) { return granted(), "no" })
	kubectl(t, "label", "namespace", ns, "koordinator.io/injection-")
	time.Sleep(3 * time.Second) // proves absence
	if !granted() {
		t.Error("the grant went with the label")
	}
	eventually(t, "the proxy running", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "exec", "asks", "-c", "proxy", "--", "touch", "/shared/ready")
		return err == nil, out
	})
	says(t, ns, "asks", "main", "main runs")
	touch(t, ns, "end")
	eventually(t, "the end of the grant with the pod", func() (bool, string) { return !granted(), "yes" })
}

// TestRunningPodsOutliveTheRelease is not parallel, because it removes koordinator for all tests.
func TestRunningPodsOutliveTheRelease(t *testing.T) {
	ns := namespace(t, enabled)
	granted := asker(t, ns)
	says(t, ns, "asks", "main", "waiting")
	eventually(t, "the grant", func() (bool, string) { return granted(), "no" })

	if err := cluster.Helm(t.Context(), "uninstall", "koordinator", "--namespace", setup.Namespace, "--wait"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return // the release is installed again
		}
		install(t)
	})
	for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration", "validatingadmissionpolicy", "validatingadmissionpolicybinding", "clusterrolebinding"} {
		if left := kubectl(t, "get", kind, "-l", "app.kubernetes.io/name=koordinator", "-o", "name"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
	if !granted() {
		t.Fatal("the running pod's account may not watch pods any more")
	}
	touch(t, ns, "ready")
	says(t, ns, "asks", "main", "main runs")

	install(t)
	touch(t, ns, "end")
	eventually(t, "the end of the grant with the pod", func() (bool, string) { return !granted(), "yes" })
}
