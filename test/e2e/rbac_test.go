//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/test/setup"
)

// webhookAccount is the service account the webhook runs with.
const webhookAccount = "system:serviceaccount:" + setup.Namespace + ":koordinator"

// can is whether an account may do something. The question is written as for
// "kubectl auth can-i".
func can(t *testing.T, account, question string) bool {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), "", append(strings.Fields("auth can-i "+question), "--as="+account)...)
	answer := strings.TrimSpace(out)
	if answer != "yes" && answer != "no" {
		t.Fatalf("can-i %s: %q, %v", question, out, err)
	}
	return answer == "yes"
}

// The webhook's account can do what it needs, and nothing else that would be
// worth having.
func TestTheWebhookMayDoWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	const own, everywhere = " -n " + setup.Namespace, " --all-namespaces"
	for question, want := range map[string]bool{
		"list pods" + everywhere:            true,
		"watch pods" + everywhere:           true,
		"create pods" + everywhere:          false,
		"update pods" + everywhere:          false,
		"patch pods" + everywhere:           false,
		"delete pods" + everywhere:          false,
		"create pods/exec" + everywhere:     false,
		"create pods/eviction" + everywhere: false,

		"watch namespaces":  true,
		"update namespaces": false,
		"patch namespaces":  false,

		"create rolebindings" + everywhere:                                       true,
		"update rolebindings/koordinator-pod-reader -n default":                  true,
		"delete rolebindings/koordinator-pod-reader -n default":                  true,
		"list rolebindings" + everywhere:                                         false, // only that one
		"update rolebindings/other -n default":                                   false,
		"patch rolebindings" + everywhere:                                        false,
		"delete rolebindings/other -n default":                                   false,
		"bind clusterroles/koordinator-pod-reader":                               true,
		"bind clusterroles/view":                                                 false,
		"bind clusterroles/cluster-admin":                                        false,
		"bind roles/koordinator-pod-reader -n default":                           false,
		"escalate clusterroles/koordinator-pod-reader":                           false,
		"update clusterroles/koordinator-pod-reader":                             false,
		"create clusterrolebindings":                                             false,
		"create roles" + everywhere:                                              false,
		"impersonate serviceaccounts" + everywhere:                               false,
		"create serviceaccounts/token" + everywhere:                              false,
		"update secrets/koordinator-cert" + own:                                  true,
		"update secrets/other" + own:                                             false,
		"create secrets" + own:                                                   false,
		"delete secrets/koordinator-cert" + own:                                  false,
		"list secrets -n default":                                                false,
		"watch secrets" + everywhere:                                             false,
		"update secrets -n default":                                              false,
		"list configmaps -n default":                                             false,
		"update mutatingwebhookconfigurations/koordinator":                       true,
		"update mutatingwebhookconfigurations/other":                             false,
		"update validatingwebhookconfigurations/koordinator":                     true,
		"update validatingwebhookconfigurations/other":                           false,
		"create mutatingwebhookconfigurations":                                   false,
		"delete mutatingwebhookconfigurations/koordinator":                       false,
		"delete validatingwebhookconfigurations/koordinator":                     false,
		"update validatingadmissionpolicies/koordinator-refuse-uninjected":       false,
		"delete validatingadmissionpolicybindings/koordinator-refuse-uninjected": false,
		"update leases.coordination.k8s.io/koordinator-webhook" + own:            true,
		"update leases.coordination.k8s.io/other" + own:                          false,
		"update leases.coordination.k8s.io/koordinator-webhook -n kube-system":   false,
		"create deployments.apps" + own:                                          false,
		"get nodes":                                                              false,
	} {
		if have := can(t, webhookAccount, question); have != want {
			t.Errorf("can-i %s: %v, want %v", question, have, want)
		}
	}
}

// What RBAC's words cannot say is tried: a RoleBinding can be made, but to no
// role but one.
func TestTheWebhookCannotBindAnotherRole(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	bind := func(role string) string {
		return told(t, "", "-n", ns, "create", "rolebinding", "koordinator-pod-reader", "--dry-run=server",
			"--clusterrole="+role, "--serviceaccount="+ns+":default", "--as="+webhookAccount)
	}
	if said := bind("koordinator-pod-reader"); said != "" {
		t.Errorf("its own role: %s", said)
	}
	for _, role := range []string{"view", "admin", "cluster-admin"} {
		if said := bind(role); !strings.Contains(said, "attempting to grant RBAC permissions not currently held") {
			t.Errorf("bound %s: %s", role, said)
		}
	}
}

// asking is a pod whose main asks the API server for the readiness of its
// proxy, which comes when the file /shared/ready is there.
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
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 1}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`

// asker makes the pod and its service account, and returns whether the account
// may watch pods.
func asker(t *testing.T, ns string) func() bool {
	t.Helper()
	kubectl(t, "-n", ns, "create", "serviceaccount", "asker")
	apply(t, ns, asking)
	return func() bool { return can(t, "system:serviceaccount:"+ns+":asker", "watch pods -n "+ns) }
}

// touch makes a file in the proxy.
func touch(t *testing.T, ns, file string) {
	t.Helper()
	kubectl(t, "-n", ns, "exec", "asks", "-c", "proxy", "--", "touch", "/shared/"+file)
}

func TestAWrapperWithoutItsGrantWaitsAndSaysWhatFor(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	// A RoleBinding of that name that is somebody else's keeps the grant away.
	kubectl(t, "-n", ns, "create", "rolebinding", "koordinator-pod-reader", "--clusterrole=koordinator-pod-reader", "--serviceaccount="+ns+":other")
	granted := asker(t, ns)
	says(t, ns, "asks", "main", "403 Forbidden")
	says(t, ns, "asks", "main", "needed: get, list, watch on pods in namespace "+ns)
	touch(t, ns, "ready")
	eventually(t, wait, "an event that tells why", func() (bool, string) {
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
	t.Parallel()
	ns := namespace(t, enabled)
	granted := asker(t, ns)
	eventually(t, wait, "the grant", func() (bool, string) { return granted(), "no" })
	kubectl(t, "label", "namespace", ns, "koordinator.io/injection-")
	time.Sleep(3 * time.Second) // proves absence
	if !granted() {
		t.Error("the grant went with the label")
	}
	eventually(t, wait, "the proxy running", func() (bool, string) {
		out, err := cluster.Kubectl(t.Context(), "", "-n", ns, "exec", "asks", "-c", "proxy", "--", "touch", "/shared/ready")
		return err == nil, out
	})
	says(t, ns, "asks", "main", "main runs")
	touch(t, ns, "end")
	eventually(t, wait, "the end of the grant with the pod", func() (bool, string) { return !granted(), "yes" })
}

// TestRunningPodsOutliveTheRelease is not parallel: it takes koordinator from
// everybody.
func TestRunningPodsOutliveTheRelease(t *testing.T) {
	ns := namespace(t, enabled)
	granted := asker(t, ns)
	says(t, ns, "asks", "main", "waiting")
	eventually(t, wait, "the grant", func() (bool, string) { return granted(), "no" })

	if err := cluster.Helm(t.Context(), "uninstall", "koordinator", "--namespace", setup.Namespace, "--wait"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return // it is there again
		}
		if err := cluster.Install(context.Background()); err != nil {
			t.Error(err)
		}
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

	if err := cluster.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	touch(t, ns, "end")
	eventually(t, wait, "the end of the grant with the pod", func() (bool, string) { return !granted(), "yes" })
}
