//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/prometheus"
	"koordinator.io/koordinator/test/setup"
)

// watched lists pods that make each of the fleet's metrics non-zero: one waits, one fails,
// and one is stopped before its dependent has exited.
var watched = map[string]string{
	"waits": waitingPod,
	"fails": podOf("fails", notes{"start-deps": "main: proxy", "start-timeout": "main: 2s"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: ["true"]}
    - {name: proxy, image: "busybox:1.37", command: [sleep, "3600"], readinessProbe: {exec: {command: ["false"]}, timeoutSeconds: 60}}
`),
	"late": podOf("late", notes{"start-deps": "main: proxy=started"}, `
  restartPolicy: Never
  terminationGracePeriodSeconds: 12
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "trap '' TERM; echo main runs; while true; do sleep 1; done"]}
    - {name: proxy, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]}
`),
}

// TestAlertsAndDashboardOnRealMetrics lets a real Prometheus scrape the replicas and the
// API server. Every rule must load. The alerts on waiting containers, failed starts and old
// pods must fire, and the first and the last must resolve. Every query of the dashboard
// must return series.
func TestAlertsAndDashboardOnRealMetrics(t *testing.T) {
	abreast(t)
	p := startPrometheus(t)
	ns := namespace(t, enabled)
	old := strings.NewReplacer("name: waits", "name: old", `labels: {e2e: ""}`, `labels: {koordinator.io/injected: "true"}`,
		`koordinator.io/start-deps: "main: never"`, `koordinator.io/status: '{"version":"v0.0.1-old"}'`).Replace(waitingPod)
	for _, manifest := range watched {
		apply(t, ns, manifest)
	}
	apply(t, namespace(t), old)
	p.until(t, `koordinator_containers_waiting{pod_namespace="`+ns+`"} >= 1`)
	says(t, ns, "late", "main", "main runs")
	kubectl(t, "-n", ns, "delete", "pod", "late", "--wait=false")
	for _, firing := range []string{
		`ALERTS{alertname="KoordinatorContainerWaitsLong",alertstate="firing",pod_namespace="` + ns + `"}`,
		`ALERTS{alertname="KoordinatorStartsFail",alertstate="firing",pod_namespace="` + ns + `",code="124"}`,
		`ALERTS{alertname="KoordinatorHoldsExpire",alertstate="firing",pod_namespace="` + ns + `"}`,
		`ALERTS{alertname="KoordinatorVersionSkew",alertstate="firing",version="v0.0.1-old"}`,
	} {
		p.until(t, firing)
	}
	p.dashboard(t, ns)
	kubectl(t, "delete", "pod", "--all-namespaces", "-l", "koordinator.io/injected=true", "--field-selector", "metadata.name=old", "--now")
	kubectl(t, "-n", ns, "delete", "pod", "waits", "--now")
	p.until(t, `absent(ALERTS{alertname="KoordinatorContainerWaitsLong",alertstate="firing",pod_namespace="`+ns+`"})`)
	p.until(t, `absent(ALERTS{alertname="KoordinatorVersionSkew",alertstate="firing",version="v0.0.1-old"})`)
}

// server is a running Prometheus.
type server struct{ url string }

// scraping is the configuration of Prometheus: it scrapes the API server, and the replicas
// through the API server's proxy, with the labels that the Prometheus operator gives them.
const scraping = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: apiserver
    scheme: https
    tls_config: &tls {ca_file: ca.crt, cert_file: client.crt, key_file: client.key}
    static_configs: [{targets: ["%[1]s"]}]
  - job_name: koordinator
    scheme: https
    tls_config: *tls
    static_configs: %[2]s
`

// scraped returns the webhook's replicas as static targets of Prometheus, in JSON.
func scraped(t *testing.T, host string) []byte {
	t.Helper()
	type target struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var all []target
	for _, pod := range pods(t, setup.Namespace, ours) {
		all = append(all, target{[]string{host}, map[string]string{
			"__metrics_path__": fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:8080/proxy/metrics", pod.Namespace, pod.Name),
			"namespace":        pod.Namespace, "pod": pod.Name, "instance": pod.Name,
		}})
	}
	data, err := json.Marshal(all)
	if err != nil || len(all) == 0 {
		t.Fatalf("replicas: %s: %v", data, err)
	}
	return data
}

// startPrometheus runs Prometheus with the chart's rules, without their delays and with a
// shorter memory of the leader before, until the test ends.
func startPrometheus(t *testing.T) server {
	t.Helper()
	program, promtool, err := prometheus.Programs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	api, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(api.Host)
	if err := errors.Join(err, rest.LoadTLSFiles(api)); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"ca.crt": api.CAData, "client.crt": api.CertData, "client.key": api.KeyData, "rules.yaml": rules(t),
		"prometheus.yaml": []byte(strings.NewReplacer("&tls ", "", "*tls", "{ca_file: ca.crt, cert_file: client.crt, key_file: client.key}").Replace(fmt.Sprintf(scraping, at.Host, scraped(t, at.Host)))),
	} {
		if len(data) == 0 {
			t.Fatalf("no %s for Prometheus", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "config", "prometheus.yaml")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	address := free(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // Wait shows whether it ended
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("Prometheus:\n%s", text)
		}
	})
	p := server{"http://" + address}
	p.until(t, `count(koordinator_build_info) >= 1`)
	p.until(t, `count(up{job="apiserver"} == 1)`)
	return p
}

// free returns an address on which no process listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// rules returns the chart's rules for the release of the tests, without their delays.
func rules(t *testing.T) []byte {
	t.Helper()
	text, err := cluster.Template(t.Context(), "--set", setup.SelfSigned, "--set", "metrics.prometheusRule.enabled=true,metrics.prometheusRule.longWaitSeconds=5", "--show-only", "templates/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rule struct{ Spec map[string]any }
	if err := yaml.Unmarshal([]byte(text), &rule); err != nil {
		t.Fatal(err)
	}
	data, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("last_over_time(koordinator_pods[10m])"), []byte("last_over_time(koordinator_pods[10s])"))
	return regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(data, nil)
}

// query returns the result of an expression, or an error's text.
func (s server) query(ctx context.Context, expression string) (series []any, text string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/query?query="+url.QueryEscape(expression), nil)
	if err != nil {
		return nil, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err.Error()
	}
	var answer struct {
		Status string
		Data   struct{ Result []any }
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return nil, string(body)
	}
	return answer.Data.Result, string(body)
}

// until waits until an expression returns series.
func (s server) until(t *testing.T, expression string) {
	t.Helper()
	eventually(t, expression, func() (bool, string) {
		series, text := s.query(t.Context(), expression)
		return len(series) > 0, text
	})
}

// dashboard checks that every query of the dashboard returns series.
func (s server) dashboard(t *testing.T, ns string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(cluster.Root, "charts/koordinator/files/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query any }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ns)
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			t.Run(panel.Title, func(t *testing.T) { s.until(t, filled.Replace(target.Expr)) })
		}
	}
	if !slices.ContainsFunc(board.Templating.List, func(v struct{ Query any }) bool {
		return strings.Contains(fmt.Sprint(v.Query), "label_values(koordinator_pods, pod_namespace)")
	}) {
		t.Error("the dashboard has no choice of namespaces")
	}
}
