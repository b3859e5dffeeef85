package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/rogpeppe/go-internal/txtar"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// chartPolicy returns a ValidatingAdmissionPolicy of the chart, in the form in
// which it is in config/.
func chartPolicy(t *testing.T, name string) admissionregistrationv1.ValidatingAdmissionPolicy {
	t.Helper()
	data := slices.Concat(read(t, "../../config/webhook/policies.yaml"), []byte("\n---\n"), read(t, "../../config/webhook/misplaced.yaml"), []byte("\n---\n"), read(t, "../../config/rbac/rbac.yaml"))
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		var p admissionregistrationv1.ValidatingAdmissionPolicy
		err := documents.Decode(&p)
		switch {
		case errors.Is(err, io.EOF):
			t.Fatalf("no policy %s in config/", name)
		case err != nil:
			t.Fatal(err)
		case p.Kind == "ValidatingAdmissionPolicy" && p.Name == name:
			return p
		}
	}
}

// says returns a policy's rejection of an object, or "" if the policy does not
// match or all its validations hold.
func says(t *testing.T, p admissionregistrationv1.ValidatingAdmissionPolicy, object, request any) string {
	t.Helper()
	known := map[string]any{"object": object, "request": request}
	for _, c := range p.Spec.MatchConditions {
		if eval(t, c.Expression, known) != true {
			return ""
		}
	}
	variables := map[string]any{}
	known["variables"] = variables
	for _, v := range p.Spec.Variables {
		variables[v.Name] = eval(t, v.Expression, known)
	}
	for _, v := range p.Spec.Validations {
		if eval(t, v.Expression, known) == true {
			continue
		}
		if v.MessageExpression == "" {
			return v.Message
		}
		return eval(t, v.MessageExpression, known).(string)
	}
	return ""
}

// eval returns the value of an expression, with the functions of the API server
// that these policies use.
func eval(t *testing.T, expression string, known map[string]any) any {
	t.Helper()
	options := []cel.EnvOption{cel.OptionalTypes(), ext.Strings(ext.StringsVersion(2))}
	for name := range known {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		t.Fatal(err)
	}
	tree, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatalf("%v in\n%s", issues.Err(), expression)
	}
	program, err := env.Program(tree)
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := program.Eval(maps.Clone(known))
	if err != nil {
		t.Fatalf("%v in\n%s", err, expression)
	}
	return value.Value()
}

// tree returns an object as the API server's expressions see it.
func tree(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

const refusesUninjected = "koordinator-refuse-uninjected"

// guarded returns the policy's answer to a pod that no webhook has processed.
func guarded(t *testing.T, raw []byte) string {
	t.Helper()
	return says(t, chartPolicy(t, refusesUninjected), tree(t, raw), map[string]any{})
}

func TestB8NoOrderPassesThePolicyWithoutTheWebhook(t *testing.T) {
	for name, notes := range map[string]map[string]string{
		"a map":                 {"start-deps": "main: proxy"},
		"behind a comment":      {"spec": "# comment\nmain: {startDeps: [proxy]}"},
		"behind a document":     {"start-deps": "---\nmain: db"},
		"a complex key":         {"start-deps": "? main\n: db"},
		"an escaped key":        {"start-deps": `"\x6dain": db`},
		"a value for every one": {"stop-timeout": "5s"},
		"how to wrap":           {"gate": "main: false"},
		"inject true":           {"inject": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{}
			var want string
			for key, value := range notes {
				annotations["koordinator.io/"+key] = value
				want = "metadata.annotations[koordinator.io/" + key + "]: the koordinator webhook did not process this pod"
			}
			if said := guarded(t, podOf(t, "Never main proxy", annotations)); !strings.HasPrefix(said, want) {
				t.Errorf("said %q, want %q", said, want)
			}
		})
	}
}

func TestB8PodsThatNeedNoMark(t *testing.T) {
	ordered := podOf(t, "Never main proxy", given("start-deps", "main: proxy"))
	for name, raw := range map[string][]byte{
		"nothing asked": podOf(t, "Never main", nil),
		"inject false":  withPod(t, ordered, func(p *corev1.Pod) { p.Annotations["koordinator.io/inject"] = " false\n" }),
		"a mirror pod":  withPod(t, ordered, func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "x" }),
		"an empty label": withPod(t, podOf(t, "Never main", nil), func(p *corev1.Pod) {
			p.Labels = map[string]string{"essential-containers": ""}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if said := guarded(t, raw); said != "" {
				t.Error(said)
			}
		})
	}
}

// TestB8EveryPodThatTheWebhookAdmitsPassesThePolicy checks each golden pod that the
// webhook admits, and some others: the policy accepts it after the patch, and a
// second call does not change it.
func TestB8EveryPodThatTheWebhookAdmitsPassesThePolicy(t *testing.T) {
	pods := map[string][]byte{
		"Windows": withPod(t, podOf(t, "Never main", given("start-deps", "main: x")), func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }),
		"nothing to wrap, by the label": withPod(t, podOf(t, "Never main", nil), func(p *corev1.Pod) {
			p.Labels = map[string]string{"essential-containers": "main"}
		}),
		"a copy with an older mark": withPod(t, podOf(t, "Never main", given("log-level", "debug")), func(p *corev1.Pod) {
			p.Annotations["koordinator.io/status"] = `{"wrapped":["main"]}`
		}),
	}
	paths, err := filepath.Glob("testdata/inject/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		for _, f := range txtar.Parse(read(t, path)).Files {
			if f.Name == "pod.yaml" {
				raw, err := sigsyaml.YAMLToJSON(f.Data)
				if err != nil {
					t.Fatal(err)
				}
				pods[filepath.Base(path)] = raw
			}
		}
	}
	marked := 0
	for name, raw := range pods {
		resp := ask(t, raw)
		if !resp.Allowed {
			continue
		}
		after := raw
		if len(resp.Patch) > 0 {
			after = patched(t, raw, resp)
			marked++
		}
		if said := guarded(t, after); said != "" {
			t.Errorf("%s: %s", name, said)
		}
		if again := ask(t, after); len(again.Patch) > 0 {
			t.Errorf("%s: a second call changes it again: %s", name, again.Patch)
		}
	}
	if marked < len(pods)/2 {
		t.Errorf("only %d of %d pods get a mark", marked, len(pods))
	}
}

// read returns the content of a file.
func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestB9TheWebhookMayWriteOneRoleBindingOnly(t *testing.T) {
	const webhook = "system:serviceaccount:koordinator-io:koordinator"
	binding := func(name, kind, role, subjects string) string {
		return `{"metadata": {"namespace": "shop", "name": "` + name + `"}, "roleRef": {"kind": "` + kind + `", "name": "` + role + `"}, "subjects": [` + subjects + `]}`
	}
	const reader, account = "koordinator-pod-reader", `{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}`
	for _, tt := range []struct {
		name, by, object string
		refused          bool
	}{
		{"its own", webhook, binding(reader, "ClusterRole", reader, account), false},
		{"its own without anybody", webhook, `{"metadata": {"namespace": "shop", "name": "` + reader + `"}, "roleRef": {"kind": "ClusterRole", "name": "` + reader + `"}}`, false},
		{"its own role under another name", webhook, binding("steal", "ClusterRole", reader, account), true},
		{"its own permissions", webhook, binding(reader, "ClusterRole", "koordinator-webhook", account), true},
		{"a role of the namespace", webhook, binding(reader, "Role", reader, account), true},
		{"an account of another namespace", webhook, binding(reader, "ClusterRole", reader, account+`, {"kind": "ServiceAccount", "name": "x", "namespace": "other"}`), true},
		{"an account of no namespace", webhook, binding(reader, "ClusterRole", reader, `{"kind": "ServiceAccount", "name": "x"}`), true},
		{"a user", webhook, binding(reader, "ClusterRole", reader, `{"kind": "User", "name": "x"}`), true},
		{"a group", webhook, binding(reader, "ClusterRole", reader, `{"kind": "Group", "name": "system:authenticated"}`), true},
		{"somebody else's", "admin", binding("steal", "ClusterRole", "view", account), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			by := map[string]any{"userInfo": map[string]any{"username": tt.by}}
			said := says(t, chartPolicy(t, "koordinator-limit-grants"), tree(t, []byte(tt.object)), by)
			if (said != "") != tt.refused {
				t.Errorf("said %q, want a refusal: %v", said, tt.refused)
			}
		})
	}
}
