//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/setup"
)

// ours selects the webhook's pods in their namespace.
const ours = "app.kubernetes.io/name=koordinator,app.kubernetes.io/component=webhook"

// replicas returns the webhook's pods that are not being deleted, and were not evicted.
func replicas(t *testing.T) []corev1.Pod {
	t.Helper()
	var all []corev1.Pod
	for _, p := range pods(t, setup.Namespace, ours) {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodFailed {
			all = append(all, p)
		}
	}
	return all
}

// system runs kubectl in the webhook's namespace.
func system(t *testing.T, args ...string) string {
	t.Helper()
	return kubectl(t, append([]string{"-n", setup.Namespace}, args...)...)
}

// TestPodsThatAreNotOursNeedNoWebhook removes all replicas. It is not parallel, because
// pods of other tests would not be injected.
func TestPodsThatAreNotOursNeedNoWebhook(t *testing.T) {
	plain, labelled := namespace(t), namespace(t, enabled)
	// From here on, the replicas must meet Pod Security "restricted".
	kubectl(t, "label", "namespace", setup.Namespace, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
	withoutReplicas(t)
	const spec = `
  schedulingGates: [{name: koordinator.io/held}]
  containers: [{name: main, image: "busybox:1.37", command: [sleep, "1"]}, {name: proxy, image: "busybox:1.37", command: [sleep, "1"]}]
`
	apply(t, labelled, podOf("not-ours", nil, spec))
	annotated := podOf("ours", notes{"start-deps": "main: proxy"}, spec)
	apply(t, plain, annotated)
	_, err := try(t, annotated, "-n", labelled, "apply", "-f", "-")
	if err == nil || !strings.Contains(err.Error(), `failed calling webhook "pods.koordinator.io"`) {
		t.Errorf("an annotated pod: have %v, want it refused in the webhook's name", err)
	}
	apply(t, labelled, podOf("disabled", notes{"start-deps": "main: proxy", "inject": "false"}, spec))
}

// withoutReplicas removes all replicas. The returned function brings them back, as does the
// end of the test.
func withoutReplicas(t *testing.T) (back func()) {
	t.Helper()
	back = func() {
		t.Helper()
		system(t, "scale", "deployment/koordinator", "--replicas=2")
		system(t, "rollout", "status", "deployment/koordinator", "--timeout=5m")
	}
	t.Cleanup(back)
	system(t, "scale", "deployment/koordinator", "--replicas=0")
	eventually(t, "the end of all replicas", func() (bool, string) {
		left := len(pods(t, setup.Namespace, ours))
		return left == 0, strings.Repeat("one ", left)
	})
	return back
}

// deposed takes the lease from the leader, as an outage of the API server would. The
// returned function waits until there is a leader again, and checks that all replicas have
// continued to run.
func deposed(t *testing.T) func() {
	t.Helper()
	leader, _, _ := strings.Cut(holder(t), "_")
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	system(t, "patch", "lease", leaseName(t), "--type=merge", "-p",
		`{"spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 15, "renewTime": "`+now+`"}}`)
	return func() {
		t.Helper()
		eventually(t, "the leader's end", func() (bool, string) {
			out := system(t, "logs", leader)
			return strings.Contains(out, "leader's work ends, to begin again"), out[max(0, len(out)-500):]
		})
		eventually(t, "another leader", func() (bool, string) {
			now := holder(t)
			return now != "" && now != "nobody", now
		})
		for _, p := range replicas(t) {
			for _, c := range p.Status.ContainerStatuses {
				if c.RestartCount > 0 || !c.Ready {
					t.Errorf("%s: %+v", p.Name, c)
				}
			}
		}
	}
}

// leaseName returns the name of the lease that the replicas use. The lease for another
// source of certificates may still exist.
func leaseName(t *testing.T) string {
	t.Helper()
	args := system(t, "get", "deployment", "koordinator", "-o", "jsonpath={.spec.template.spec.containers[0].args}")
	var all []string
	if err := json.Unmarshal([]byte(args), &all); err != nil {
		t.Fatal(err)
	}
	for _, arg := range all {
		if name, found := strings.CutPrefix(arg, "--lease="); found {
			return name
		}
	}
	t.Fatalf("no lease in %s", args)
	return ""
}

// holder returns the current leader.
func holder(t *testing.T) string {
	t.Helper()
	var lease coordinationv1.Lease
	if err := json.Unmarshal([]byte(system(t, "get", "lease", leaseName(t), "-o", "json")), &lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
