//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// policies holds the release's ValidatingAdmissionPolicies, as read from the API server.
type policies struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			ObservedGeneration int64
			TypeChecking       struct{ ExpressionWarnings []any }
		}
		Spec map[string]any
	}
}

func TestThePoliciesAreSoundForTheAPIServer(t *testing.T) {
	abreast(t)
	eventually(t, "the API server's look at the policies", func() (bool, string) {
		var list policies
		text := kubectl(t, "get", "validatingadmissionpolicy", "-l", "app.kubernetes.io/instance=koordinator", "-o", "json")
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 9 {
			t.Fatalf("%d policies, want 9", len(list.Items))
		}
		for _, p := range list.Items {
			if w := p.Status.TypeChecking.ExpressionWarnings; len(w) > 0 {
				t.Errorf("%s: %v", p.Metadata.Name, w)
			}
			if p.Status.ObservedGeneration == 0 {
				return false, p.Metadata.Name
			}
		}
		return true, ""
	})
}

// unread is the code of the warning about annotations in a namespace that is not
// enabled.
const unread = "[KO602]"

func TestAnnotationsInANamespaceThatIsNotEnabledAreWarnedOf(t *testing.T) {
	abreast(t)
	off, on := namespace(t), namespace(t, enabled)
	n := notes{"start-deps": "main: proxy=started", "stop-timeout": "main: 5s"}
	all, each := podOf("x", n, twoContainers), podOf("x", notes{"x-pod": ""}, twoContainers)
	warnedBy := map[string]string{"x-pod": "pods"} // by an annotation that only one kind has, because kubectl prints the same text only once
	for kind, manifest := range workloads(n) {
		all += "\n---\n" + manifest
		own := "x-" + strings.ToLower(kind)
		each += "\n---\n" + workloads(notes{own: ""})[kind]
		if warnedBy[own] = "workloads"; kind == "CronJob" {
			warnedBy[own] = "cronjobs"
		}
	}
	said := told(t, each, "-n", off, "create", "--dry-run=server", "-f", "-")
	for annotation, policy := range warnedBy {
		place := map[string]string{"pods": "", "workloads": "spec.template.", "cronjobs": "spec.jobTemplate.spec.template."}[policy]
		warning := "'koordinator-warn-unlabelled-" + policy + "': " + place + "metadata.annotations[koordinator.io/" + annotation + "]: koordinator ignores annotations in namespace \"" + off +
			"\", because the namespace is not enabled. To enable it: kubectl label namespace " + off + " koordinator.io/injection=enabled " + unread + "\n"
		if !strings.Contains(said, warning) {
			t.Errorf("want %q: said %q", warning, said)
		}
	}
	if said := told(t, all, "-n", on, "create", "--dry-run=server", "-f", "-"); said != "" {
		t.Errorf("in an enabled namespace: said %q", said)
	}
	for ns, manifest := range map[string]string{
		"kube-system":    podOf("x", n, twoContainers),
		"koordinator-io": workloads(n)["Job"],
		off:              podOf("x", notes{"start-deps": "main: proxy", "inject": "false"}, twoContainers),
	} {
		if said := told(t, manifest, "-n", ns, "create", "--dry-run=server", "-f", "-"); strings.Contains(said, unread) {
			t.Errorf("namespace %s: said %q", ns, said)
		}
	}
	apply(t, off, workloads(n)["Deployment"])
	for patch, want := range map[string]bool{
		`{"metadata":{"labels":{"a":"b"}}}`:                                           false,
		`{"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}`:                     true,
		`{"metadata":{"annotations":{"koordinator.io/start-deps":"of no template"}}}`: false,
	} {
		if said := told(t, "", "-n", off, "patch", "deployment", "x", "-p", patch); strings.Contains(said, unread) != want {
			t.Errorf("patch %s: said %q", patch, said)
		}
	}
}

// refusesUninjected is the name of the policy.
const refusesUninjected = "koordinator-refuse-uninjected"

// unguarded creates a namespace for which the API server does not call the webhook, and
// applies the policy to it. This has the same effect as an enabled namespace whose webhook
// is gone.
func unguarded(t *testing.T) string {
	t.Helper()
	ns := namespace(t)
	var policy struct {
		Spec map[string]any `json:"spec"`
	}
	if err := json.Unmarshal([]byte(kubectl(t, "get", "validatingadmissionpolicy", refusesUninjected, "-o", "json")), &policy); err != nil {
		t.Fatal(err)
	}
	object := func(kind string, spec map[string]any) string {
		data, err := json.Marshal(map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]string{"name": ns}, "spec": spec,
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	apply(t, ns, object("ValidatingAdmissionPolicy", policy.Spec)+"\n---\n"+object("ValidatingAdmissionPolicyBinding", map[string]any{
		"policyName": ns, "validationActions": []string{"Deny"},
		"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": ns}}},
	}))
	t.Cleanup(func() { kubectl(t, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", ns) })
	eventually(t, "the policy", func() (bool, string) {
		said := told(t, podOf("x", notes{"start-deps": "main: proxy"}, twoContainers), "-n", ns, "create", "--dry-run=server", "-f", "-")
		return strings.Contains(said, "denied request"), said
	})
	return ns
}

// TestB8OnlyPodsThatTheWebhookDidNotProcessAreRefused sends each pod to the policy alone,
// and to the webhook and the policy together. The webhook's own tests evaluate the same
// expressions; this test uses the API server's evaluation.
func TestB8OnlyPodsThatTheWebhookDidNotProcessAreRefused(t *testing.T) {
	abreast(t)
	without, with := unguarded(t), namespace(t, enabled)
	const one = "\n  restartPolicy: Never\n  containers:\n    - {name: main, image: \"busybox:1.37\", command: [\"true\"]}\n"
	label := "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {essential-containers: main}}\nspec:" + twoContainers
	large := strings.Builder{} // the maximum size that the webhook reads
	large.WriteString("\n  restartPolicy: Never\n  containers:\n")
	for i := range 199 {
		fmt.Fprintf(&large, "    - {name: c%d, image: \"busybox:1.37\", command: [%q], env: [", i, strings.Repeat("x", 1000))
		for k := range 20 {
			fmt.Fprintf(&large, "{name: V%d, value: x}, ", k)
		}
		large.WriteString("]}\n")
	}
	windows := twoContainers + "  os: {name: windows}\n"
	cases := []struct {
		name, pod string
		has       string // text in the rejection; "" if the pod is accepted
	}{
		{"a start dependency", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers), "metadata.annotations[koordinator.io/start-deps]"},
		{"behind a comment", podOf("x", notes{"spec": "# comment\nmain: {startDeps: [proxy]}"}, twoContainers), "metadata.annotations[koordinator.io/spec]"},
		{"a complex key", podOf("x", notes{"start-deps": "? main\n: proxy"}, twoContainers), "metadata.annotations[koordinator.io/start-deps]"},
		{"an escaped key", podOf("x", notes{"start-deps": `"\x6dain": proxy`}, twoContainers), "metadata.annotations[koordinator.io/start-deps]"},
		{"the older label", label, "metadata.labels[essential-containers]"},
		{"nothing to wrap", podOf("x", notes{"log-level": "debug"}, one), "metadata.annotations[koordinator.io/log-level]"},
		{"Windows", podOf("x", notes{"start-deps": "main: proxy"}, windows), "metadata.annotations[koordinator.io/start-deps]"},
		{"a very large pod", podOf("x", notes{"start-deps": "# " + strings.Repeat("x", 60<<10) + "\nc0: c1"}, large.String()), "metadata.annotations[koordinator.io/start-deps]"},

		{"nothing asked", podOf("x", notes{}, twoContainers), ""},
		{"inject false", podOf("x", notes{"start-deps": "main: proxy", "inject": " false\n"}, twoContainers), ""},
		{"a mark that its author wrote", podOf("x", notes{"start-deps": "main: proxy", "status": "{}"}, twoContainers), ""},
	}
	var all strings.Builder
	for i, tt := range cases {
		all.WriteString(strings.Replace(strings.Replace(tt.pod, `"name":"x"`, fmt.Sprintf(`"name":"x%d"`, i), 1), "name: x,", fmt.Sprintf("name: x%d,", i), 1) + "\n---\n")
	}
	const marked = `jsonpath={.metadata.name}={.metadata.annotations.koordinator\.io/status}{"\n"}`
	alone := told(t, all.String(), "-n", without, "create", "--dry-run=server", "-f", "-")
	both, err := try(t, all.String(), "-n", with, "create", "--dry-run=server", "-f", "-", "-o", marked)
	for i, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			refusal := fmt.Sprintf("pods %q is forbidden: ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s: the koordinator webhook did not process this pod", fmt.Sprintf("x%d", i), without, without, tt.has)
			if strings.Contains(alone, refusal) != (tt.has != "") {
				t.Errorf("without the webhook, want %q: %s", refusal, alone)
			}
			switch {
			case !strings.Contains(both, fmt.Sprintf("x%d=", i)):
				t.Errorf("with the webhook: not accepted: %v", err)
			case tt.has != "" && strings.Contains(both, fmt.Sprintf("x%d=\n", i)):
				t.Error("the webhook leaves no mark")
			}
		})
	}
}

// TestWhatTheWebhookAcceptsIsNotRefusedAfterwards sends every pod of the injector's own
// tests to the webhook and the policy.
func TestWhatTheWebhookAcceptsIsNotRefusedAfterwards(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	paths, err := filepath.Glob(filepath.Join(cluster.Root, "webhook/admission/testdata/inject/*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no pods: %v", err)
	}
	var all strings.Builder
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(data).Files {
			if f.Name == "pod.yaml" {
				fmt.Fprintf(&all, "%s\n---\n", creatable(t, f.Data))
			}
		}
	}
	accepted, err := try(t, all.String(), "-n", ns, "create", "--dry-run=server", "-f", "-")
	if err != nil && strings.Contains(err.Error(), refusesUninjected) {
		t.Error(err)
	}
	if n := strings.Count(accepted, "created (server dry run)"); n < len(paths)/2 {
		t.Errorf("only %d of %d pods are accepted: %v", n, len(paths), err)
	}
}

// creatable returns a pod in the form in which a user could create it: without the token's
// mounts and the service account, which the API server adds, and without unknown fields.
func creatable(t *testing.T, manifest []byte) []byte {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.Unmarshal(manifest, &pod); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = slices.DeleteFunc(list[i].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "token" })
		}
	}
	pod.Spec.ServiceAccountName = ""
	if pod.Spec.OS == nil {
		pod.Spec.OS = &corev1.PodOS{Name: corev1.Linux}
	}
	data, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
