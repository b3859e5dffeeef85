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

// policies are the release's ValidatingAdmissionPolicies, as the API server
// has them.
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
		if len(list.Items) != 8 {
			t.Fatalf("%d policies, want 8", len(list.Items))
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

// unread is the beginning of the warning about annotations that nobody reads.
const unread = "nobody reads this here"

func TestAnnotationsInANamespaceThatIsNotEnabledAreWarnedOf(t *testing.T) {
	abreast(t)
	off, on := namespace(t), namespace(t, enabled)
	n := notes{"start-deps": "main: proxy=started", "stop-timeout": "main: 5s"}
	all, each := podOf("x", n, twoContainers), podOf("x", notes{"x-pod": ""}, twoContainers)
	warnedBy := map[string]string{"x-pod": "pods"} // by an annotation that one kind has; kubectl shows the same text once
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
		warning := "'koordinator-warn-unlabelled-" + policy + "': koordinator.io/" + annotation + ": " + unread +
			", the containers start unordered: koordinator is on only in namespaces with its label: kubectl label namespace " + off + " koordinator.io/injection=enabled\n"
		if !strings.Contains(said, warning) {
			t.Errorf("want %q: said %q", warning, said)
		}
	}
	if said := told(t, all, "-n", on, "create", "--dry-run=server", "-f", "-"); said != "" {
		t.Errorf("in an enabled namespace: said %q", said)
	}
	for ns, manifest := range map[string]string{
		"kube-system":        podOf("x", n, twoContainers),
		"koordinator-system": workloads(n)["Job"],
		off:                  podOf("x", notes{"start-deps": "main: proxy", "inject": "false"}, twoContainers),
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

// unguarded makes a namespace that the webhook is not called for, and has the
// policy watch over it all the same, as it does over an enabled one whose
// webhook has gone.
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

// TestOnlyPodsThatAskAndWereNotInjectedAreRefused has each pod judged by the
// policy alone, and by the webhook and the policy together: what the policy
// refuses the webhook injects, and what the webhook leaves alone the policy
// does.
func TestOnlyPodsThatAskAndWereNotInjectedAreRefused(t *testing.T) {
	abreast(t)
	without, with := unguarded(t), namespace(t, enabled)
	const one = "\n  restartPolicy: Never\n  containers:\n    - {name: main, image: \"busybox:1.37\", command: [\"true\"]}\n"
	always := strings.Replace(twoContainers, "Never", "Always", 1)
	images := strings.ReplaceAll(twoContainers, `, command: ["true"]`, "")
	meshed := one + "    - {name: istio-proxy, image: \"busybox:1.37\", command: [\"true\"]}\n"
	label := func(spec string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {essential-containers: main}}\nspec:" + spec
	}
	affinity := func(systems string) string {
		return "  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" +
			"{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [" + systems + "]}]}]}}}\n"
	}
	large := strings.Builder{} // as large as the webhook reads
	large.WriteString("\n  restartPolicy: Never\n  containers:\n")
	for i := range 199 {
		fmt.Fprintf(&large, "    - {name: c%d, image: \"busybox:1.37\", command: [%q], env: [", i, strings.Repeat("x", 1000))
		for k := range 20 {
			fmt.Fprintf(&large, "{name: V%d, value: x}, ", k)
		}
		large.WriteString("]}\n")
	}
	cases := []struct {
		name, pod string
		asks      string // what the refusal names; "" when it passes
	}{
		{"a start dependency", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers), "koordinator.io/start-deps"},
		{"as JSON", podOf("x", notes{"start-deps": ` { "main": ["proxy"] }`}, twoContainers), "koordinator.io/start-deps"},
		{"behind a comment", podOf("x", notes{"stop-deps": "# first\n  # main: proxy\nproxy: [main=exited]"}, twoContainers), "koordinator.io/stop-deps"},
		{"two of them", podOf("x", notes{"stop-deps": "proxy: main", "stop-delay": "main: 5s"}, twoContainers), "koordinator.io/stop-delay, koordinator.io/stop-deps"},
		{"a request", podOf("x", notes{"exit-http": "main: POST http://127.0.0.1/quit"}, one), "koordinator.io/exit-http"},
		{"a spec", podOf("x", notes{"spec": "main:\n  logLevel: debug\n  startDeps:\n  - proxy\n"}, twoContainers), "koordinator.io/spec"},
		{"a spec as JSON", podOf("x", notes{"spec": `{"main":{"stopTimeout":"3s"}}`}, twoContainers), "koordinator.io/spec"},
		{"an essential container", podOf("x", notes{"essential": "main"}, twoContainers), "koordinator.io/essential"},
		{"a list of them", podOf("x", notes{"essential": "\n- main\n- proxy=failed"}, twoContainers), "koordinator.io/essential"},
		{"the older label", label(twoContainers), "label essential-containers"},
		{"marks of ours without the rest", strings.Replace(podOf("x", notes{"start-deps": "main: proxy", "status": "{}"}, twoContainers), `"labels":{`, `"labels":{"koordinator.io/injected":"true",`, 1), "koordinator.io/start-deps"},
		{"a very large pod", podOf("x", notes{"start-deps": "# " + strings.Repeat("x", 30<<10) + "\nc0: c1", "spec": "c2: {stopTimeout: 3s} # " + strings.Repeat("x", 30<<10)}, large.String()), "koordinator.io/start-deps, koordinator.io/spec"},

		{"nothing asked", podOf("x", notes{}, twoContainers), ""},
		{"inject false", podOf("x", notes{"start-deps": "main: proxy", "inject": " false\n"}, twoContainers), ""},
		{"Windows", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+"  os: {name: windows}\n"), ""},
		{"Windows by what its containers have", podOf("x", notes{"start-deps": "main: proxy"}, strings.Replace(twoContainers, `command: ["true"]`, `command: ["true"], securityContext: {windowsOptions: {runAsUserName: x}}`, 1)), ""},
		{"Windows nodes by affinity", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+"  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}]}}}\n"), ""},
		{"Windows nodes", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+"  nodeSelector: {kubernetes.io/os: windows}\n"), ""},
		{"Windows nodes by the old label", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+"  nodeSelector: {beta.kubernetes.io/os: windows}\n"), ""},
		{"Windows options", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+"  securityContext: {windowsOptions: {runAsUserName: ContainerUser}}\n"), ""},
		{"Windows options of a container", podOf("x", notes{"start-deps": "main: proxy"}, strings.Replace(twoContainers, "{name: main, ", "{name: main, securityContext: {windowsOptions: {runAsUserName: ContainerUser}}, ", 1)), ""},
		{"an affinity to Windows nodes", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+affinity("windows")), ""},
		{"an affinity to nodes of either kind", podOf("x", notes{"start-deps": "main: proxy"}, twoContainers+affinity("windows, linux")), "koordinator.io/start-deps"},
		{"an empty map", podOf("x", notes{"start-deps": "{}"}, twoContainers), ""},
		{"an empty map with a comment", podOf("x", notes{"start-deps": "{ # main: proxy\n}", "stop-deps": "# main: proxy\n{}"}, twoContainers), ""},
		{"how to wrap only", podOf("x", notes{"command": `{main: ["true"]}`, "gate": "main: false", "log-level": "main: debug", "mode": "main: supervise", "source": "main: pod"}, twoContainers), ""},
		{"values for every wrapped container", podOf("x", notes{"stop-timeout": "5s", "stop-signal": "SIGINT", "start-timeout": "1m30s"}, twoContainers), ""},
		{"a spec of how only", podOf("x", notes{"spec": "main: {logLevel: debug} # startDeps: proxy"}, twoContainers), ""},
		{"an essential container alone", podOf("x", notes{"essential": "main"}, one), ""},
		{"an essential container beside another webhook's", podOf("x", notes{"essential": "main"}, meshed), ""},
		{"no essential container", podOf("x", notes{"essential": "[] # main"}, twoContainers), ""},
		{"the older label where it has no effect", label(always), ""},
		{"the older label where commands are not known", label(images), ""},
		{"the older label alone", label(one), ""},
	}
	var all strings.Builder
	for i, tt := range cases {
		all.WriteString(strings.Replace(strings.Replace(tt.pod, `"name":"x"`, fmt.Sprintf(`"name":"x%d"`, i), 1), "name: x,", fmt.Sprintf("name: x%d,", i), 1) + "\n---\n")
	}
	const injected = `jsonpath={.metadata.name}={.metadata.labels.koordinator\.io/injected}{"\n"}`
	alone := told(t, all.String(), "-n", without, "create", "--dry-run=server", "-f", "-")
	both, err := try(t, all.String(), "-n", with, "create", "--dry-run=server", "-f", "-", "-o", injected)
	for i, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			refusal := fmt.Sprintf("pods %q is forbidden: ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", fmt.Sprintf("x%d", i), without, without, tt.asks)
			if tt.asks != "" {
				refusal += ": the pod asks koordinator for an order of its containers"
			}
			if strings.Contains(alone, refusal) != (tt.asks != "") {
				t.Errorf("without the webhook, want %q: %s", refusal, alone)
			}
			switch {
			case !strings.Contains(both, fmt.Sprintf("x%d=", i)):
				t.Errorf("with the webhook: not accepted: %v", err)
			case tt.asks != "" && !strings.Contains(both, fmt.Sprintf("x%d=true\n", i)):
				t.Error("the policy refuses what the webhook leaves alone")
			}
		})
	}
}

// TestWhatTheWebhookAcceptsIsNotRefusedAfterwards sends every pod of the
// injector's own tests through the webhook and the policy.
func TestWhatTheWebhookAcceptsIsNotRefusedAfterwards(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	paths, err := filepath.Glob(filepath.Join(cluster.Root, "webhook/testdata/inject/*.txtar"))
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

// creatable is a pod as somebody could create it who is not the API server:
// without the token's mounts, the service account or fields of no version.
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
