//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// optIn is the label by which a pod enables koordinator for itself.
const optIn = `koordinator.io/injection: enabled`

// labelled adds the label to the pod, or pod template, of a manifest.
func labelled(manifest string) string {
	return strings.NewReplacer(
		`labels: {e2e: ""}`, `labels: {e2e: "", `+optIn+`}`,
		`"labels":{"app":"x"}`, `"labels":{"app":"x","koordinator.io/injection":"enabled"}`,
	).Replace(manifest)
}

// TestPodsEnableKoordinatorForThemselves changes the installation. A pod's label must have
// an effect only if the operator allows it, and never in a namespace that is disabled. It
// is not parallel.
func TestPodsEnableKoordinatorForThemselves(t *testing.T) {
	open, closed, on := namespace(t), namespace(t, "koordinator.io/injection=disabled"), namespace(t, enabled)
	created := func(ns, manifest string) string {
		out, err := try(t, manifest, "-n", ns, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		if err != nil {
			return err.Error()
		}
		return out
	}
	injected := func(ns, manifest string) bool { return strings.Contains(created(ns, manifest), injectedMark) }
	if pod := labelled(waitingPod); pod == waitingPod || injected(open, pod) {
		t.Fatal("the label counts although the operator has not allowed it")
	}
	if said := told(t, labelled(waitingPod), "-n", open, "create", "--dry-run=server", "-f", "-"); !strings.Contains(said, "koordinator.io/injection: this has no effect here") {
		t.Errorf("the label is not warned of: %q", said)
	}

	t.Cleanup(func() { install(t) })
	install(t, "--set", "podOptIn.enabled=true")
	eventually(t, "the API server to call the webhook", func() (bool, string) {
		out := created(open, labelled(waitingPod))
		return strings.Contains(out, injectedMark), out
	})
	if said := told(t, labelled(waitingPod), "-n", open, "create", "--dry-run=server", "-f", "-"); said != "" {
		t.Errorf("a pod that enables koordinator for itself is warned of: %q", said)
	}
	for name, tt := range map[string]struct {
		ns, pod string
		want    bool
	}{
		"without the label":               {open, waitingPod, false},
		"where the namespace says no":     {closed, labelled(waitingPod), false},
		"where the namespace says yes":    {on, labelled(waitingPod), true},
		"in kube-system":                  {"kube-system", labelled(waitingPod), false},
		"without the label, as ever":      {on, waitingPod, true},
		"with another value of the label": {open, strings.Replace(labelled(waitingPod), optIn, `koordinator.io/injection: "yes"`, 1), false},
	} {
		if injected(tt.ns, tt.pod) != tt.want {
			t.Errorf("%s: injected: %v, want %v", name, !tt.want, tt.want)
		}
	}
	if said := told(t, labelled(waitingPod), "-n", closed, "create", "--dry-run=server", "-f", "-"); !strings.Contains(said, "koordinator.io/start-deps") {
		t.Errorf("where the namespace says no, annotations without effect are not warned of: %q", said)
	}
	optedInWorkloads(t, open, closed)
	optedInPodRuns(t, open)
	optedInPodIsRefusedWithoutTheWebhook(t, open)
}

// injectedMark is the label of every injected pod, as YAML.
const injectedMark = `koordinator.io/injected: "true"`

// optedInWorkloads checks that mistakes in a template are rejected if its pods enable
// koordinator for themselves, and not otherwise.
func optedInWorkloads(t *testing.T, open, closed string) {
	t.Helper()
	mistaken := workloads(notes{"start-deps": "main: nobody"})["Deployment"]
	for _, tt := range []struct {
		name, ns, manifest string
		refused            bool
	}{
		{"with the label", open, labelled(mistaken), true},
		{"without", open, mistaken, false},
		{"where the namespace says no", closed, labelled(mistaken), false},
	} {
		_, err := try(t, tt.manifest, "-n", tt.ns, "create", "--dry-run=server", "-f", "-")
		if (err != nil) != tt.refused {
			t.Errorf("a Deployment with a mistake, %s: %v", tt.name, err)
		}
	}
}

// optedInPodRuns checks that a pod gets its order and the grant that it needs. The service
// account of another pod must not get a grant.
func optedInPodRuns(t *testing.T, open string) {
	t.Helper()
	kubectl(t, "-n", open, "create", "serviceaccount", "runner")
	apply(t, open, strings.Replace(labelled(waitingPod), "  restartPolicy: Never", "  restartPolicy: Never\n  serviceAccountName: runner", 1))
	forged := strings.NewReplacer("name: waits", "name: forged", `labels: {e2e: ""}`, `labels: {koordinator.io/injected: "true"}`).Replace(waitingPod)
	apply(t, open, forged)
	says(t, open, "waits", "main", "waiting")
	eventually(t, "the grant", func() (bool, string) {
		out, err := try(t, "", "-n", open, "get", "rolebinding", "koordinator-pod-reader", "-o", "jsonpath={.subjects[*].name}")
		return err == nil && out == "runner", out
	})
	kubectl(t, "-n", open, "delete", "pod", "waits", "forged", "--now")
}

// optedInPodIsRefusedWithoutTheWebhook removes the webhook's configuration. The policy must
// then reject the pod.
func optedInPodIsRefusedWithoutTheWebhook(t *testing.T, open string) {
	t.Helper()
	kubectl(t, "delete", "mutatingwebhookconfiguration", "koordinator")
	eventually(t, "the policy", func() (bool, string) {
		_, err := try(t, labelled(waitingPod), "-n", open, "create", "--dry-run=server", "-f", "-")
		return err != nil && strings.Contains(err.Error(), "koordinator-refuse-uninjected-opt-in"), errText(err)
	})
	if _, err := try(t, waitingPod, "-n", open, "create", "--dry-run=server", "-f", "-"); err != nil {
		t.Errorf("a pod without the label is refused: %v", err)
	}
}

// errText returns the text of an error, "" for nil.
func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
