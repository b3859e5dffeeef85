package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/prometheus"
)

// alert is an alert of a PrometheusRule.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// alerts returns the alerts of a release with a PrometheusRule.
func alerts(t *testing.T, args ...string) []alert {
	t.Helper()
	rule, made := render(t, append([]string{"--set", "metrics.prometheusRule.enabled=true"}, args...)...)["PrometheusRule shop"]
	if !made {
		t.Fatal("no PrometheusRule")
	}
	data, err := json.Marshal(rule.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Groups []struct{ Rules []alert } }
	if err := yaml.UnmarshalStrict(data, &spec, yaml.DisallowUnknownFields); err != nil && len(spec.Groups) == 0 {
		t.Fatal(err)
	}
	return spec.Groups[0].Rules
}

// TestAlertsFireAndResolve checks the rules with the real promtool, and runs the stories of
// testdata/alerts.yaml.
func TestAlertsFireAndResolve(t *testing.T) {
	_, promtool, err := prometheus.Programs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rule := render(t, "--set", "metrics.prometheusRule.enabled=true")["PrometheusRule shop"]
	rules, err := yaml.Marshal(rule.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	stories, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"rules.yaml": rules, "stories.yaml": stories} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "stories.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	for _, a := range alerts(t) {
		if !strings.Contains(string(stories), "alertname: "+a.Alert) && !strings.Contains(string(stories), `alertname="`+a.Alert+`"`) {
			t.Errorf("no story makes %s fire", a.Alert)
		}
	}
}

// TestRulesWithoutNamespacesAreRules checks with promtool that the rules are valid without
// namespaces and with clusters, too.
func TestRulesWithoutNamespacesAreRules(t *testing.T) {
	_, promtool, err := prometheus.Programs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rule := render(t, "--set", "metrics.prometheusRule.enabled=true,metrics.fleet.byNamespace=false,metrics.prometheusRule.aggregateBy={cluster}")["PrometheusRule shop"]
	rules, err := yaml.Marshal(rule.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rules), "pod_namespace") {
		t.Errorf("rules by namespace:\n%s", rules)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEachAlertHasARunbook requires a section of docs/reference/alerts.md for each alert,
// with the same severity in its table.
func TestEachAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t)
	for _, a := range all {
		row := regexp.MustCompile(`(?m)^\| \[` + a.Alert + `\]\(#` + strings.ToLower(a.Alert) + `\) \| ` + a.Labels["severity"] + ` \|`)
		if !row.Match(page) || !strings.Contains(string(page), "\n## "+a.Alert+"\n") {
			t.Errorf("docs/reference/alerts.md: no section %s, or no row with severity %s", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["runbook_url"] != "https://koordinator.io/blob/main/docs/reference/alerts.md#"+strings.ToLower(a.Alert) || a.Annotations["summary"] == "" {
			t.Errorf("%s: annotations %v", a.Alert, a.Annotations)
		}
	}
	if n := strings.Count(string(page), "\n## Koordinator"); n != len(all) {
		t.Errorf("docs/reference/alerts.md has %d alerts, the chart %d", n, len(all))
	}
}

func TestAlertsThatOperatorsChange(t *testing.T) {
	all := alerts(t, "--set", "metrics.prometheusRule.disabled={KoordinatorPodsRejected},metrics.prometheusRule.runbookURL=https://wiki.example/k,metrics.prometheusRule.longWaitSeconds=60",
		"--set", "metrics.prometheusRule.alertLabels.team=platform,metrics.prometheusRule.skewFor=1h")
	names := map[string]alert{}
	for _, a := range all {
		names[a.Alert] = a
		if a.Labels["team"] != "platform" || !strings.HasPrefix(a.Annotations["runbook_url"], "https://wiki.example/k#") {
			t.Errorf("%s: %+v", a.Alert, a)
		}
	}
	if _, has := names["KoordinatorPodsRejected"]; has || !strings.HasSuffix(names["KoordinatorContainerWaitsLong"].Expr, "> 60") || names["KoordinatorVersionSkew"].For != "1h" {
		t.Errorf("alerts: %+v", all)
	}
	for _, a := range alerts(t, "--set", "metrics.prometheusRule.aggregateBy={cluster}") {
		if !strings.Contains(a.Expr, "cluster)") {
			t.Errorf("%s does not tell clusters apart: %s", a.Alert, a.Expr)
		}
	}
	few := alerts(t, "--set", "metrics.fleet.enabled=false")
	if len(few) != 9 || slices.ContainsFunc(few, func(a alert) bool { return strings.Contains(a.Expr, "koordinator_container") }) {
		t.Errorf("without the fleet's metrics: %+v", few)
	}
	for arg, value := range map[string]string{"--fleet-metrics=": "metrics.fleet.enabled", "--fleet-metrics-by-namespace=": "metrics.fleet.byNamespace"} {
		if _, c := container(t, render(t, "--set", value+"=false")); !slices.Contains(c.Args, arg+"false") {
			t.Errorf("%s=false: args %v", value, c.Args)
		}
	}
}

func TestTheDashboard(t *testing.T) {
	all := render(t, "--set", "metrics.dashboard.enabled=true,metrics.dashboard.annotations.folder=Platform")
	board := as[corev1.ConfigMap](t, all, "ConfigMap shop-dashboard")
	if board.Labels["grafana_dashboard"] != "1" || board.Annotations["folder"] != "Platform" {
		t.Errorf("metadata: %+v", board.ObjectMeta)
	}
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(board.Data["koordinator.json"]), &dashboard); err != nil || dashboard.UID == "" || len(dashboard.Panels) == 0 {
		t.Fatal(err, dashboard)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID] = true
	}
}
