package rules

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const good = `
- name: mesh
  annotations: {koordinator.io/start-deps: "main: proxy"}
- name: strict
  failurePolicy: Fail
  annotations: {koordinator.io/stop-deps: "proxy: main"}
`

func TestRulesKeepTheirOrderAndPolicy(t *testing.T) {
	rules, problems := Parse([]byte(good))
	want := []Rule{
		{Name: "mesh", FailurePolicy: admissionregistrationv1.Ignore, Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy"}},
		{Name: "strict", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/stop-deps": "proxy: main"}},
	}
	if diff := cmp.Diff(want, rules); diff != "" || problems != nil {
		t.Errorf("problems %v, rules (-want +have):\n%s", problems, diff)
	}
}

func TestAnInvalidRuleIsSkippedAndNoOther(t *testing.T) {
	for _, tt := range []struct{ name, rule, want string }{
		{"no name", `{annotations: {koordinator.io/start-deps: "main: proxy"}}`, `rule 3, "", is skipped: it has no name`},
		{"a name twice", `{name: mesh, annotations: {koordinator.io/start-deps: "main: proxy"}}`, `rule 3, "mesh", is skipped: an earlier rule has the same name`},
		{"an unknown policy", `{name: x, failurePolicy: Maybe, annotations: {koordinator.io/start-deps: "main: proxy"}}`, `failurePolicy "Maybe" is unknown`},
		{"no annotations", `{name: x}`, "it has no annotations"},
		{"an unknown field", `{name: x, annotation: {}}`, "annotation"},
		{"somebody else's annotation", `{name: x, annotations: {example.com/team: a}}`, `annotation "example.com/team" is not one of koordinator's`},
		{"an unknown annotation", `{name: x, annotations: {koordinator.io/start-dep: "main: proxy"}}`, "start-deps"},
		{"a value that is not YAML", `{name: x, annotations: {koordinator.io/start-deps: "main: ["}}`, "koordinator.io/start-deps"},
		{"a condition that does not exist", `{name: x, annotations: {koordinator.io/start-deps: "main: proxy=up"}}`, "up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, problems := Parse([]byte(good + "- " + tt.rule))
			if len(rules) != 2 || len(problems) != 1 {
				t.Fatalf("rules %v, problems %v", rules, problems)
			}
			if !strings.Contains(problems[0].Error(), tt.want) {
				t.Errorf("%q does not contain %q", problems[0], tt.want)
			}
		})
	}
}

func TestAllThatIsWrongWithARuleIsReported(t *testing.T) {
	_, problems := Parse([]byte(`[{failurePolicy: Maybe, annotations: {example.com/team: a, koordinator.io/mode: fast}}]`))
	if len(problems) != 1 {
		t.Fatal(problems)
	}
	for _, part := range []string{"no name", "Maybe", "example.com/team", "koordinator.io/mode"} {
		if !strings.Contains(problems[0].Error(), part) {
			t.Errorf("%q does not contain %q", problems[0], part)
		}
	}
}

func TestAFileThatIsNoListOfRulesIsReported(t *testing.T) {
	for _, text := range []string{"rules: []", "- [", "hello"} {
		if rules, problems := Parse([]byte(text)); len(rules) > 0 || len(problems) != 1 {
			t.Errorf("%q: rules %v, problems %v", text, rules, problems)
		}
	}
	if rules, problems := Parse(nil); len(rules)+len(problems) > 0 {
		t.Errorf("an empty file: rules %v, problems %v", rules, problems)
	}
}

func TestLoadLogsAndCountsInvalidRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(good+"- name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := path + ".missing"
	for _, tt := range []struct {
		path           string
		valid, invalid float64
		log            string // for the invalid ones
	}{
		{path, 2, 1, `msg="rule skipped" file=` + path + ` error="rule 3, \"x\", is skipped: `},
		{missing, 0, 1, `msg="rule skipped" file=` + missing + ` error="open ` + missing + `: no such file`},
		{"", 0, 0, ""},
	} {
		var log bytes.Buffer
		registry := prometheus.NewRegistry()
		rules := Load(tt.path, registry, slog.New(slog.NewTextHandler(&log, nil)))
		if len(rules) != int(tt.valid) || strings.Count(log.String(), "rule skipped") != int(tt.invalid) || !strings.Contains(log.String(), tt.log) {
			t.Errorf("%q: rules %v, log %s", tt.path, rules, &log)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatal(families, err)
		}
		have := map[string]float64{}
		for _, m := range families[0].GetMetric() {
			have[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
		if diff := cmp.Diff(map[string]float64{"valid": tt.valid, "invalid": tt.invalid}, have); diff != "" {
			t.Errorf("%q: %s", tt.path, diff)
		}
	}
}

func TestAnnotationsOfThePodTakePrecedence(t *testing.T) {
	r := Rule{Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy", "koordinator.io/stop-deps": "proxy: main"}}
	pod := metav1.ObjectMeta{Annotations: map[string]string{"koordinator.io/start-deps": ""}}
	if diff := cmp.Diff(map[string]string{"koordinator.io/stop-deps": "proxy: main"}, r.Missing(pod)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(r.Annotations, r.Missing(metav1.ObjectMeta{})); diff != "" {
		t.Error(diff)
	}
}
