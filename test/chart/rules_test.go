package chart

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/rules"
)

// valuesFile writes a values file with a text.
func valuesFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const twoRules = `
rules:
  - name: mesh-jobs
    namespaces: [shop]
    namespaceSelector: {matchLabels: {mesh: "on"}, matchExpressions: [{key: team, operator: Exists}]}
    podSelector: {matchLabels: {app: report}}
    containers: [main, proxy]
    ownerKinds: [Job, Workflow.argoproj.io]
    failurePolicy: Fail
    annotations:
      koordinator.io/stop-deps: |
        proxy: main
  - name: any-proxy
    containers: [proxy]
    annotations: {koordinator.io/start-deps: "main: proxy"}
`

func TestEachRuleHasAWebhookBeforeTheOneOfAnnotatedPods(t *testing.T) {
	hooks := as[admissionregistrationv1.MutatingWebhookConfiguration](t, render(t, "-f", valuesFile(t, twoRules)), configuration).Webhooks
	names := func(hooks []admissionregistrationv1.MutatingWebhook) (all []string) {
		for _, h := range hooks {
			all = append(all, h.Name+" "+*h.ClientConfig.Service.Path+" "+string(*h.FailurePolicy))
		}
		return all
	}
	want := []string{
		"mesh-jobs.rules.koordinator.io /mutate-pods/rules/mesh-jobs Fail",
		"any-proxy.rules.koordinator.io /mutate-pods/rules/any-proxy Ignore",
		"pods.koordinator.io /mutate-pods Fail",
	}
	if diff := cmp.Diff(want, names(hooks)); diff != "" {
		t.Fatalf("webhooks (-want +have):\n%s", diff)
	}
	mesh, proxy := hooks[0], hooks[1]
	var keys []string
	for _, e := range mesh.NamespaceSelector.MatchExpressions {
		keys = append(keys, e.Key+" "+string(e.Operator))
	}
	if diff := cmp.Diff([]string{"koordinator.io/injection In", "kubernetes.io/metadata.name NotIn", "team Exists", "mesh In", "kubernetes.io/metadata.name In"}, keys); diff != "" {
		t.Error(diff)
	}
	if e := mesh.ObjectSelector.MatchExpressions; len(e) != 1 || e[0].Key != "app" || !slices.Equal(e[0].Values, []string{"report"}) || proxy.ObjectSelector != nil {
		t.Errorf("pod selectors: %v, %v", mesh.ObjectSelector, proxy.ObjectSelector)
	}
	if len(mesh.MatchConditions) != 3 || len(proxy.MatchConditions) != 2 {
		t.Errorf("conditions: %v, %v", mesh.MatchConditions, proxy.MatchConditions)
	}
}

func TestTheWebhookReadsTheRulesThatTheChartWrites(t *testing.T) {
	all := render(t, "-f", valuesFile(t, twoRules))
	file := as[corev1.ConfigMap](t, all, "ConfigMap shop-rules").Data["rules.yaml"]
	have, problems := rules.Parse([]byte(file))
	want := []rules.Rule{
		{Name: "mesh-jobs", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/stop-deps": "proxy: main\n"}},
		{Name: "any-proxy", FailurePolicy: admissionregistrationv1.Ignore, Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy"}},
	}
	if diff := cmp.Diff(want, have); diff != "" || len(problems) > 0 {
		t.Errorf("problems %v, rules (-want +have):\n%s", problems, diff)
	}
	_, c := container(t, all)
	if !slices.Contains(c.Args, "--rules=/etc/koordinator/rules/rules.yaml") {
		t.Errorf("arguments of the webhook: %v", c.Args)
	}
	_, c = container(t, render(t))
	if slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--rules") }) {
		t.Errorf("arguments of the webhook without rules: %v", c.Args)
	}
}

// The webhook reads the rules when it starts, so a new rule has to restart it.
func TestAChangedRuleReplacesTheWebhooksPods(t *testing.T) {
	checksum := func(text string) string {
		for key, o := range render(t, "-f", valuesFile(t, text)) {
			if o.GetKind() == "Deployment" {
				return as[appsv1.Deployment](t, objects{key: o}, key).Spec.Template.Annotations["checksum/rules"]
			}
		}
		return ""
	}
	before, after := checksum(twoRules), checksum(strings.ReplaceAll(twoRules, "main: proxy", "main: proxy=started"))
	if before == "" || before == after {
		t.Errorf("checksums: %q, %q", before, after)
	}
}

func TestHelmRefusesARuleThatTheWebhookWouldSkip(t *testing.T) {
	for _, tt := range []struct{ name, rule, want string }{
		{"no name", `{containers: [a], annotations: {koordinator.io/mode: exec}}`, "missing property 'name'"},
		{"no annotations", `{name: x, containers: [a]}`, "missing property 'annotations'"},
		{"a name twice", `{name: any-proxy, containers: [a], annotations: {koordinator.io/mode: exec}}`, `rule "any-proxy" occurs twice`},
		{"nothing that selects", `{name: x, annotations: {koordinator.io/mode: exec}}`, `rule "x" selects every pod`},
		{"an unknown field", `{name: x, container: a, annotations: {koordinator.io/mode: exec}}`, "'container' not allowed"},
		{"an unknown annotation", `{name: x, containers: [a], annotations: {koordinator.io/start-dep: "a: b"}}`, `annotation "koordinator.io/start-dep" is unknown`},
		{"somebody else's annotation", `{name: x, containers: [a], annotations: {example.com/x: "a: b"}}`, "example.com/x"},
		{"a value that is not YAML", `{name: x, containers: [a], annotations: {koordinator.io/start-deps: "a: ["}}`, `annotation "koordinator.io/start-deps" is not valid YAML`},
		{"a kind that is none", `{name: x, ownerKinds: [job], annotations: {koordinator.io/mode: exec}}`, "ownerKinds"},
		{"another failure policy", `{name: x, containers: [a], failurePolicy: Open, annotations: {koordinator.io/mode: exec}}`, "failurePolicy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, complaint := helmSays(t, "-f", valuesFile(t, twoRules+"  - "+tt.rule)); !strings.Contains(complaint, tt.want) {
				t.Errorf("helm reports %q, want it to contain %q", complaint, tt.want)
			}
		})
	}
}

func TestTheChartKnowsEveryAnnotation(t *testing.T) {
	text, err := os.ReadFile(source + "/templates/_rules.tpl")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`\$known := list(.*?) }}`).FindSubmatch(text)
	known := map[string]bool{}
	for word := range strings.FieldsSeq(string(list[1])) {
		known[strings.Trim(word, `"`)] = true
	}
	want := slices.DeleteFunc(annotations.Names(), func(name string) bool { return name == "status" })
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(known))); diff != "" {
		t.Errorf("annotations in _rules.tpl (-want +have):\n%s", diff)
	}
}
