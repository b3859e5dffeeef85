//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"koordinator.io/koordinator/webhook/inject"
)

// moreRules are added to those of the documentation: one for a mesh, and one that fits no pod.
const moreRules = `
  - name: meshed-jobs
    namespaceSelector: {matchLabels: {e2e-meshed: "yes"}}
    ownerKinds: [Job]
    annotations:
      koordinator.io/start-deps: '"*": istio-proxy'
      koordinator.io/stop-deps: 'istio-proxy: "*"'
      koordinator.io/stop-when: all
  - name: unfit
    namespaceSelector: {matchLabels: {e2e-strict: "yes"}}
    containers: [proxy]
    failurePolicy: Fail
    annotations: {koordinator.io/start-deps: "absent: proxy"}
`

// webhooksCalled returns the mutating webhooks that the API server called for the pods that
// were created in a namespace, according to its audit log.
func webhooksCalled(t *testing.T, ns string) []string {
	t.Helper()
	var called []string
	created := false
	for _, r := range audited(t, func(r request) bool {
		return r.ObjectRef.Resource == "pods" && r.ObjectRef.Namespace == ns
	}) {
		created = true
		for key, value := range r.Annotations {
			if strings.HasPrefix(key, "mutation.webhook.admission.k8s.io/") {
				called = append(called, value)
			}
		}
	}
	if !created {
		t.Errorf("the audit log has no creation of a pod in %s", ns)
	}
	return called
}

// TestRulesOrderPodsThatNobodyAnnotates uses the rule and the Job of docs/how-to/rules.md.
// It runs while no other test runs, because it changes the only installation, and restores
// it.
func TestRulesOrderPodsThatNobodyAnnotates(t *testing.T) {
	recipe := examples(t, "docs/how-to/rules.md", "Write a rule")
	plain, rules := voiced(recipe[0]), recipe[1]
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules+moreRules), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { install(t) })
	install(t, "-f", file)
	t.Run("a Job without annotations completes", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled)
		apply(t, ns, plain)
		pod, condition := job(t, ns, "report")
		if condition != "Complete" {
			t.Fatalf("Job %s, want Complete", condition)
		}
		proxyFirst(t, ns, pod)
		if rule := inject.StatusOf(&pod).Rule; rule != "proxied-jobs" {
			t.Errorf("the status annotation names the rule %q", rule)
		}
		if !slices.ContainsFunc(webhooksCalled(t, ns), func(c string) bool { return strings.Contains(c, "proxied-jobs.rules.koordinator.io") }) {
			t.Error("the audit log does not show the call of the rule's webhook")
		}
	})
	t.Run("a Job without annotations completes behind a mesh proxy", func(t *testing.T) {
		abreast(t)
		m := newMesh(t)
		for _, order := range []string{"before", "after"} {
			m.completes(t, m.namespace(t, order, "e2e-meshed=yes"), unordered(meshedJob(t)))
		}
	})
	t.Run("a pod that no rule selects causes no call", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled)
		apply(t, ns, podOf("web", nil, "\n  restartPolicy: Never\n  containers:"+pair)) // the pod of no Job
		ended := jobOf("single", nil, "backoffLimit: 0", "\n  restartPolicy: Never\n  containers:\n    - {name: main, image: \"busybox:1.37\", command: [\"true\"]}")
		apply(t, ns, ended) // a Job without a proxy
		job(t, ns, "single")
		if called := webhooksCalled(t, ns); len(called) > 0 {
			t.Errorf("webhooks called: %v", called)
		}
	})
	t.Run("rules act in enabled namespaces only", func(t *testing.T) {
		abreast(t)
		ns := namespace(t)
		apply(t, ns, plain)
		eventually(t, "a pod of the Job", func() (bool, string) {
			return len(pods(t, ns, "job-name=report")) == 1, kubectl(t, "-n", ns, "get", "job,pod")
		})
		if called := webhooksCalled(t, ns); len(called) > 0 {
			t.Errorf("webhooks called: %v", called)
		}
	})
	t.Run("a rule that does not fit rejects the pod with failurePolicy Fail", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled, "e2e-strict=yes")
		_, err := try(t, podOf("web", nil, "\n  restartPolicy: Never\n  containers:"+pair), "-n", ns, "create", "-f", "-")
		if reason := fmt.Sprint(err); !strings.Contains(reason, `koordinator rule "unfit": `) || !strings.Contains(reason, `"absent"`) {
			t.Errorf("the pod was created, or the reason is missing: %s", reason)
		}
	})
}
