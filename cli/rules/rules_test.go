package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/input"
)

// written writes a text to a file.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const list = `
- name: mesh
  podSelector: {matchLabels: {mesh: "yes"}}
  annotations: {koordinator.io/start-deps: "main: proxy"}
- {name: jobs, ownerKinds: [Job], annotations: {koordinator.io/stop-deps: "proxy: main"}}
- {name: replicas, ownerKinds: [ReplicaSet.apps], annotations: {koordinator.io/stop-deps: "proxy: main"}, failurePolicy: Fail}
- {name: proxied, containers: [proxy, setup], annotations: {koordinator.io/stop-deps: "proxy: main"}}
- {name: in-shop, namespaces: [shop], annotations: {koordinator.io/stop-deps: "proxy: main"}}
- {name: of-team, namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [a]}]}, annotations: {koordinator.io/stop-deps: "proxy: main"}}
`

func TestRulesAreReadFromValuesAndByThemselves(t *testing.T) {
	indented := "rules:" + strings.ReplaceAll(list, "\n", "\n  ")
	for name, text := range map[string]string{"a list": list, "values": "image: {tag: x}\n" + indented} {
		all, err := Load(written(t, text))
		if err != nil || len(all) != 6 || all[0].FailurePolicy != "Ignore" || all[2].FailurePolicy != "Fail" || len(all[3].Containers) != 2 {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}

func TestMistakesInRulesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"rules: []": "there are no rules", "image: x": "there are no rules", "[": "want the chart's values",
		"- {name: a, annotations: {koordinator.io/start-dep: x}}":                                                                                         "start-dep",
		"- {name: a, podSelecter: {}, annotations: {koordinator.io/start-deps: 'm: p'}}":                                                                  "podSelecter",
		"- {name: a, annotations: {}}":                                                                                                                    "no annotations",
		"- {name: a, podSelector: {matchExpressions: [{key: k, operator: Is}]}, annotations: {koordinator.io/start-deps: 'm: p'}}":                        `rule "a": podSelector`,
		"{webhook: {objectSelector: {matchExpressions: [{key: k, operator: In}]}}, rules: [{name: a, annotations: {koordinator.io/start-deps: 'm: p'}}]}": "webhook.objectSelector",
		"{webhook: 1, rules: [{name: a, annotations: {koordinator.io/start-deps: 'm: p'}}]}":                                                              "want the chart's values",
	} {
		if all, err := Load(written(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", text, all, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that does not exist is read")
	}
}

// described returns an object and its first pod.
func described(t *testing.T, manifest string) (input.Object, input.Pod) {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &fields); err != nil {
		t.Fatal(err)
	}
	o, err := input.Describe("test", &unstructured.Unstructured{Object: fields}, nil)
	if err != nil || len(o.Pods) != 1 {
		t.Fatalf("%d pods, %v", len(o.Pods), err)
	}
	return o, o.Pods[0]
}

func TestTheRulesOfAPod(t *testing.T) {
	all, err := Load(written(t, list))
	if err != nil {
		t.Fatal(err)
	}
	known := Namespaces{
		"shop": {"koordinator.io/injection": "enabled", "team": "a"}, "off": {"team": "a"}, "default": {"koordinator.io/injection": "enabled", "team": "b"},
	}
	const containers = "{containers: [{name: main}, {name: proxy}]}"
	for name, test := range map[string]struct{ manifest, want string }{
		"a pod":                        {"{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: " + containers + "}", ""},
		"a pod with labels":            {"{apiVersion: v1, kind: Pod, metadata: {name: x, labels: {mesh: 'yes'}}, spec: " + containers + "}", "mesh"},
		"a pod of a Job":               {"{apiVersion: v1, kind: Pod, metadata: {name: x, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: j, controller: true}]}, spec: " + containers + "}", "jobs"},
		"a Job":                        {"{apiVersion: batch/v1, kind: Job, metadata: {name: x}, spec: {template: {spec: " + containers + "}}}", "jobs"},
		"a CronJob":                    {"{apiVersion: batch/v1, kind: CronJob, metadata: {name: x}, spec: {jobTemplate: {spec: {template: {spec: " + containers + "}}}}}", "jobs"},
		"a Deployment":                 {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {spec: " + containers + "}}}", "replicas"},
		"a StatefulSet":                {"{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {template: {spec: " + containers + "}}}", ""},
		"all containers":               {"{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {initContainers: [{name: setup}], containers: [{name: proxy}]}}", "proxied"},
		"a namespace of the input":     {"{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: shop}, spec: " + containers + "}", "in-shop of-team"},
		"another namespace":            {"{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: other, labels: {mesh: 'yes'}}, spec: " + containers + "}", "mesh"},
		"one that is not enabled":      {"{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: 'off', labels: {mesh: 'yes'}}, spec: " + containers + "}", ""},
		"a pod that is to be left":     {"{apiVersion: v1, kind: Pod, metadata: {name: x, labels: {mesh: 'yes'}, annotations: {koordinator.io/inject: 'false'}}, spec: " + containers + "}", ""},
		"a mirror pod of a static one": {"{apiVersion: v1, kind: Pod, metadata: {name: x, labels: {mesh: 'yes'}, annotations: {" + corev1.MirrorPodAnnotationKey + ": x}}, spec: " + containers + "}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, p := described(t, test.manifest)
			var have []string
			for _, r := range Select(all, o, p, known) {
				have = append(have, r.Name)
			}
			if !slices.Equal(have, strings.Fields(test.want)) {
				t.Errorf("rules %v, want %s", have, test.want)
			}
		})
	}
}

// TestTheValuesOfTheWebhookLimitAllRules has the selectors of the chart value webhook.
func TestTheValuesOfTheWebhookLimitAllRules(t *testing.T) {
	all, err := Load(written(t, `
webhook:
  namespaceSelector: {matchLabels: {team: a}}
  objectSelector: {matchExpressions: [{key: order, operator: NotIn, values: ["no"]}]}
  excludedNamespaces: [shop]
rules:
- {name: all, ownerKinds: [ReplicationController.v1, Job], annotations: {koordinator.io/stop-deps: "proxy: main"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	known := Namespaces{"of-a": {"team": "a"}, "of-b": {"team": "b", "koordinator.io/injection": "enabled"}, "shop": {"team": "a"}}
	const template = "kind: %s, metadata: {name: x, namespace: %s}, spec: {template: {metadata: {labels: {order: '%s'}}, spec: {containers: [{name: main}, {name: proxy}]}}}}"
	job, controller := "{apiVersion: batch/v1, "+template, "{apiVersion: v1, "+template
	for name, test := range map[string]struct {
		manifest string
		want     bool
	}{
		"a namespace that the selector enables":     {fmt.Sprintf(job, "Job", "of-a", ""), true},
		"one that only has koordinator's label":     {fmt.Sprintf(job, "Job", "of-b", ""), false},
		"one that is unknown":                       {fmt.Sprintf(job, "Job", "other", ""), true},
		"one that is excluded":                      {fmt.Sprintf(job, "Job", "shop", ""), false},
		"one that is always excluded":               {fmt.Sprintf(job, "Job", "kube-system", ""), false},
		"a pod that the object selector leaves":     {fmt.Sprintf(job, "Job", "of-a", "no"), false},
		"a ReplicationController of the core group": {fmt.Sprintf(controller, "ReplicationController", "of-a", ""), true},
	} {
		o, p := described(t, test.manifest)
		if have := len(Select(all, o, p, known)) == 1; have != test.want {
			t.Errorf("%s: selected %t, want %t", name, have, test.want)
		}
	}
}

// TestCandidatesAreTheFirstRulesPodAndThePodItself has pods that two rules select.
func TestCandidatesAreTheFirstRulesPodAndThePodItself(t *testing.T) {
	all, err := Load(written(t, `
- {name: first, containers: [main], annotations: {koordinator.io/start-deps: "main: proxy"}}
- {name: later, containers: [main], annotations: {koordinator.io/essential: "main"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: x%s}, spec: {containers: [{name: main}, {name: proxy}]}}"
	for own, want := range map[string][]string{
		"": {"first", ""},
		", annotations: {koordinator.io/start-deps: 'proxy: main'}": {""},
	} {
		o, p := described(t, fmt.Sprintf(pod, own))
		var have []string
		for _, c := range Candidates(all, o, p, nil) {
			name := ""
			if c.Rule != nil {
				name = c.Rule.Name
			}
			have = append(have, name)
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: candidates %q, want %q", own, have, want)
		}
	}
}
