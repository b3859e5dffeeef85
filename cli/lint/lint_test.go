package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/webhook/inject"
	webhookrules "koordinator.io/koordinator/webhook/rules"
)

// look reports the findings in a manifest as "LINE LEVEL CODE PATH".
func look(t *testing.T, manifest string, operators ...rules.Rule) []string {
	t.Helper()
	documents, problems := document.Parse("test.yaml", manifest)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var elements []document.Element
	for i := range documents {
		more, err := documents[i].Elements(nil)
		if err != nil {
			t.Fatal(err)
		}
		elements = append(elements, more...)
	}
	var all []string
	for _, f := range Check(elements, inject.Settings{}, operators).Findings {
		all = append(all, fmt.Sprintf("%d %s %s %s", f.Line, f.Level, f.Code, f.Path))
	}
	return all
}

const containers = `[{name: main, command: [a]}, {name: proxy, command: [b], readinessProbe: {tcpSocket: {port: 1}}}, {name: other, command: [c], readinessProbe: {tcpSocket: {port: 2}}}]`

func pod(policy, annotations string) string {
	return "kind: Pod\napiVersion: v1\nmetadata:\n  name: x\n  annotations:\n" + annotations + "spec: {restartPolicy: " + policy + ", containers: " + containers + "}\n"
}

func TestFindings(t *testing.T) {
	const a = "    koordinator.io/"
	for name, tt := range map[string]struct {
		manifest string
		want     []string
	}{
		"nothing of koordinator's":            {"kind: Pod\napiVersion: v1\nmetadata: {name: x, annotations: {other.io/x: z}}\nspec: {containers: " + containers + "}", nil},
		"a Service with an annotation":        {"kind: Service\napiVersion: v1\nmetadata:\n  annotations:\n    koordinator.io/start-deps: x", []string{"5 error KO603 metadata.annotations[koordinator.io/start-deps]"}},
		"an Ingress with an annotation":       {"kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata:\n  annotations:\n    koordinator.io/start-deps: x", []string{"5 error KO603 metadata.annotations[koordinator.io/start-deps]"}},
		"a controller may copy annotations":   {"kind: Prometheus\napiVersion: monitoring.coreos.com/v1\nmetadata:\n  annotations:\n    koordinator.io/start-deps: x", []string{"5 warning KO603 metadata.annotations[koordinator.io/start-deps]"}},
		"Tekton copies annotations":           {"kind: TaskRun\napiVersion: tekton.dev/v1\nmetadata:\n  annotations:\n    koordinator.io/start-deps: x", nil},
		"selectors of others are their own":   {"kind: MutatingWebhookConfiguration\napiVersion: admissionregistration.k8s.io/v1\nmetadata: {name: x}\nwebhooks: [{namespaceSelector: {matchLabels: {koordinator.io/injection: enabled}}}]", nil},
		"in spec instead of metadata":         {"kind: Job\napiVersion: batch/v1\nmetadata: {name: x}\nspec:\n  template:\n    annotations:\n      koordinator.io/start-deps: x\n    spec: {containers: " + containers + "}", []string{"7 error KO603 spec.template.annotations[koordinator.io/start-deps]"}},
		"on the workload and the template":    {"kind: Job\napiVersion: batch/v1\nmetadata: {name: x, annotations: {koordinator.io/log-level: debug, koordinator.io/inject: \"false\"}}\nspec: {template: {metadata: {annotations: {koordinator.io/log-level: debug, koordinator.io/inject: \"false\"}}, spec: {containers: " + containers + "}}}", nil},
		"the essential label on a Job":        {"kind: Job\napiVersion: batch/v1\nmetadata:\n  labels: {essential-containers: main}\nspec: {template: {spec: {containers: " + containers + "}}}", []string{"4 error KO603 metadata.labels[essential-containers]"}},
		"an annotation written twice":         {pod("Never", a+"start-deps: \"main: proxy\"\n"+a+"start-deps: \"main: other\"\n"+a+"source: pod\n"), []string{"7 error KO702 metadata.annotations[koordinator.io/start-deps]"}},
		"a prefix without a domain":           {pod("Never", "    koordinator/start-deps: \"main: proxy\"\n"), []string{"6 warning KO701 metadata.annotations[koordinator/start-deps]"}},
		"a prefix in capitals":                {pod("Never", "    Koordinator.IO/start-deps: \"main: proxy\"\n"), []string{"6 warning KO701 metadata.annotations[Koordinator.IO/start-deps]"}},
		"another top-level domain":            {pod("Never", "    koordinator.com/start-deps: \"main: proxy\"\n"), []string{"6 warning KO701 metadata.annotations[koordinator.com/start-deps]"}},
		"no prefix":                           {pod("Never", "    start-deps: \"main: proxy\"\n    command: x\n"), []string{"6 warning KO701 metadata.annotations[start-deps]"}},
		"a dot instead of a slash":            {pod("Never", "    koordinator.io.stop-deps: \"main: proxy\"\n"), []string{"6 warning KO701 metadata.annotations[koordinator.io.stop-deps]"}},
		"one main container and a sidecar":    {strings.Replace(pod("Never", a+"start-deps: \"main: proxy\"\n"), ", {name: other, command: [c], readinessProbe: {tcpSocket: {port: 2}}}", "", 1), []string{"7 note KO703 spec.containers"}},
		"a third container is in no order":    {pod("Never", a+"start-deps: \"main: proxy\"\n"), nil},
		"two sidecars":                        {pod("Never", a+"start-deps: \"main: proxy, other\"\n"+a+"stop-deps: \"{proxy: main, other: main}\"\n"), []string{"8 note KO703 spec.containers"}},
		"essential, and two sidecars":         {pod("Never", a+"start-deps: \"main: proxy, other\"\n"+a+"essential: main\n"), []string{"8 note KO703 spec.containers"}},
		"a graph":                             {pod("Never", a+"start-deps: \"{main: proxy, proxy: other}\"\n"), nil},
		"more than an order":                  {pod("Never", a+"start-deps: \"main: proxy, other\"\n"+a+"stop-delay: \"proxy: 1s\"\n"), nil},
		"after another has exited":            {pod("Never", a+"start-deps: \"main: proxy, other=succeeded\"\n"), nil},
		"stopped before a restart":            {pod("OnFailure", a+"start-deps: \"main: proxy\"\n"+a+"stop-deps: \"proxy: other\"\n"), []string{"6 warning KO704 metadata.annotations[koordinator.io/start-deps][main]"}},
		"stopped by an essential container":   {pod("OnFailure", a+"start-deps: \"main: proxy\"\n"+a+"essential: other\n"), nil}, // the essential container other stops main, too
		"never restarted":                     {pod("Never", a+"start-deps: \"main: proxy\"\n"+a+"stop-deps: \"proxy: other\"\n"), nil},
		"only together with the waiting one":  {pod("OnFailure", a+"start-deps: \"main: proxy\"\n"+a+"stop-deps: \"proxy: other, main\"\n"+a+"stop-when: \"proxy: all\"\n"), nil},
		"a namespace that is not enabled":     {"kind: Namespace\napiVersion: v1\nmetadata: {name: shop}\n---\n" + strings.Replace(pod("Never", a+"start-deps: \"{main: proxy, proxy: other}\"\n"), "name: x", "name: x\n  namespace: shop", 1), []string{"10 warning KO602 metadata.annotations"}},
		"a namespace that is enabled":         {"kind: Namespace\napiVersion: v1\nmetadata: {name: shop, labels: {koordinator.io/injection: enabled}}\n---\n" + strings.Replace(pod("Never", a+"start-deps: \"{main: proxy, proxy: other}\"\n"), "name: x", "name: x\n  namespace: shop", 1), nil},
		"a pod that enables itself":           {"kind: Namespace\napiVersion: v1\nmetadata: {name: shop}\n---\n" + strings.Replace(pod("Never", a+"start-deps: \"{main: proxy, proxy: other}\"\n"), "name: x", "name: x\n  namespace: shop\n  labels: {koordinator.io/injection: enabled}", 1), nil},
		"a wrong value of the enabling label": {"kind: Namespace\napiVersion: v1\nmetadata:\n  name: shop\n  labels:\n    koordinator.io/injection: \"true\"", []string{"6 error KO603 metadata.labels[koordinator.io/injection]"}},
		"the enabling label as an annotation": {"kind: Namespace\napiVersion: v1\nmetadata:\n  name: shop\n  annotations:\n    koordinator.io/injection: enabled", []string{"6 error KO603 metadata.annotations[koordinator.io/injection]"}},
		"a template below a key with a dot":   {"kind: Pool\napiVersion: example.com/v1\nmetadata: {name: x}\nspec:\n  \"v1.2\":\n    template:\n      metadata:\n        annotations:\n          koordinator.io/start-deps: \"{main: proxy, proxy: other}\"\n          koordinator.io/strat-deps: x\n      spec: {containers: " + containers + "}", []string{"10 error KO101 spec[v1.2].template.metadata.annotations[koordinator.io/strat-deps]"}},
		"written twice in a list's template":  {"kind: Pool\napiVersion: example.com/v1\nmetadata: {name: x}\nspec:\n  pools:\n  - template:\n      metadata:\n        annotations:\n          koordinator.io/log-level: debug\n          koordinator.io/start-deps: \"main: proxy\"\n          koordinator.io/start-deps: \"{main: proxy, proxy: other}\"\n      spec: {containers: " + containers + "}", []string{"11 error KO702 spec.pools[0].template.metadata.annotations[koordinator.io/start-deps]"}},
		"an item of a List":                   {"kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata:\n    annotations:\n      koordinator.io/strat-deps: x\n  spec: {containers: " + containers + "}", []string{"8 error KO101 metadata.annotations[koordinator.io/strat-deps]"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, look(t, tt.manifest)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestRulesOfTheInstallation(t *testing.T) {
	const a = "    koordinator.io/"
	order := pod("Never", a+"log-level: debug\n")
	rule := func(value string, policy admissionregistrationv1.FailurePolicyType) rules.Rule {
		return rules.Rule{Rule: webhookrules.Rule{Name: "mesh", FailurePolicy: policy, Annotations: map[string]string{"koordinator.io/start-deps": value}}}
	}
	const path = "metadata.annotations[koordinator.io/start-deps][main]"
	for name, tt := range map[string]struct {
		manifest string
		rules    []rules.Rule
		want     []string
	}{
		"without a rule":               {order, nil, []string{"6 warning KO226 metadata.annotations[koordinator.io/log-level]"}},
		"a rule that fits":             {order, []rules.Rule{rule("{main: proxy, proxy: other}", "Ignore")}, nil},
		"a rule that does not fit":     {order, []rules.Rule{rule("main: none", "Ignore")}, []string{"5 warning KO201 " + path, "6 warning KO226 metadata.annotations[koordinator.io/log-level]"}},
		"a rule that has to fit":       {order, []rules.Rule{rule("main: none", "Fail")}, []string{"5 error KO201 " + path}},
		"a later rule that fits":       {order, []rules.Rule{rule("main: none", "Ignore"), rule("{main: proxy, proxy: other}", "Ignore")}, []string{"5 warning KO201 " + path, "6 warning KO226 metadata.annotations[koordinator.io/log-level]"}},
		"the pod's own annotation":     {pod("Never", a+"start-deps: \"{main: proxy, proxy: other}\"\n"), []rules.Rule{rule("main: none", "Fail")}, nil},
		"the first that gives any":     {order, []rules.Rule{rule("{main: proxy, proxy: other}", "Fail"), rule("main: none", "Fail")}, nil},
		"in a namespace without label": {"kind: Namespace\napiVersion: v1\nmetadata: {name: default}\n---\n" + strings.Replace(order, a+"log-level: debug\n", "    a: b\n", 1), []rules.Rule{rule("main: none", "Fail")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, look(t, tt.manifest, tt.rules...)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}
