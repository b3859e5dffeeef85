package admission

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/image"
)

// Possible values of labels. Dashboards and alerts use these words.
var (
	decisionWords = []string{
		"injected/",
		"skipped/no_new_pod", "skipped/not_annotated", "skipped/mirror", "skipped/windows", "skipped/inject_false",
		"skipped/nothing_to_wrap", "skipped/lookup_failed",
		"denied/not_decoded", "denied/too_large", "denied/mistakes", "denied/command_unknown",
	}
	lookupWords = []string{
		"index", "hit", "miss",
		"bad_reference", "forbidden", "unauthorized", "not_found", "rate_limited", "timeout", "unreachable", "tls", "invalid", "unsupported",
	}
)

// counted returns the counters of a registry that are not zero: "decision/reason"
// and "result" → count.
func counted(t *testing.T, registry *prometheus.Registry) (decisions, lookups map[string]int) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	decisions, lookups = map[string]int{}, map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetCounter() == nil || m.GetCounter().GetValue() == 0 {
				continue
			}
			var values []string
			for _, l := range m.GetLabel() { // sorted by name
				values = append(values, l.GetValue())
			}
			switch family.GetName() {
			case "koordinator_admission_reviews_total":
				decisions[strings.Join(values, "/")] = int(m.GetCounter().GetValue())
			case "koordinator_image_lookups_total":
				lookups[strings.Join(values, "/")] = int(m.GetCounter().GetValue())
			}
		}
	}
	return decisions, lookups
}

// grown returns the increase of each counter.
func grown(before, after map[string]int) map[string]int {
	more := map[string]int{}
	for key, n := range after {
		if n != before[key] {
			more[key] = n - before[key]
		}
	}
	return more
}

// odd starts a registry that answers with a different error for each repository.
func odd(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case strings.HasPrefix(r.URL.Path, "/v2/limited/"):
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.HasPrefix(r.URL.Path, "/v2/broken/"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasPrefix(r.URL.Path, "/v2/slow/"):
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/v2/private/"):
			w.Header().Set("WWW-Authenticate", `Basic realm="odd"`)
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/v2/garbage/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Write([]byte(`{"schemaVersion":2,"config":1}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// jobOf returns the pod of a Job whose container "main" has an image of this name
// and no command.
func jobOf(t *testing.T, image string) []byte {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(podOf(t, "Never main proxy", given("start-deps", "main: proxy")), &pod); err != nil {
		t.Fatal(err)
	}
	pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Command = image, nil
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// withPod returns a pod with a change.
func withPod(t *testing.T, raw []byte, change func(pod *corev1.Pod)) []byte {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	change(&pod)
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestEachDecisionIsCountedWithItsReason(t *testing.T) {
	ordered := podOf(t, "Never main proxy", given("start-deps", "main: proxy"))
	for _, tt := range []struct {
		name, want string
		raw        []byte
		change     func(h *Handler, r *admission.Request)
	}{
		{name: "a pod that is injected", want: "injected/", raw: ordered},
		{name: "an update", want: "skipped/no_new_pod", raw: ordered, change: func(_ *Handler, r *admission.Request) { r.Operation = admissionv1.Update }},
		{name: "a pod without annotations of ours", want: "skipped/not_annotated", raw: podOf(t, "Never main", nil)},
		{name: "a mirror pod", want: "skipped/mirror", raw: withPod(t, ordered, func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "1" })},
		{name: "a Windows pod", want: "skipped/windows", raw: withPod(t, ordered, func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} })},
		{name: "a pod that wants to be left alone", want: "skipped/inject_false", raw: podOf(t, "Never main", given("inject", "false"))},
		{name: "a pod that asks for nothing", want: "skipped/nothing_to_wrap", raw: podOf(t, "Never main", given("log-level", "debug"))},
		{name: "a lookup that fails where pods are let in then", want: "skipped/lookup_failed", raw: jobOf(t, odd(t)+"/broken/x:1"), change: func(h *Handler, _ *admission.Request) { h.settings.SkipTrouble = true }},
		{name: "half a pod", want: "denied/not_decoded", raw: []byte(`{"spec":`)},
		{name: "long annotations", want: "denied/too_large", raw: podOf(t, "Never main", given("start-deps", strings.Repeat("x", maxAnnotations)))},
		{name: "a mistake", want: "denied/mistakes", raw: podOf(t, "Never main", given("start-deps", "main: nobody"))},
		{name: "a mistake beside a command that is not known", want: "denied/mistakes", raw: withPod(t, jobOf(t, "UPPER"), func(p *corev1.Pod) { p.Annotations["koordinator.io/stop-delay"] = "soon" })},
		{name: "a command that is not known", want: "denied/command_unknown", raw: jobOf(t, "UPPER")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			h := lookingHandler(t, registry, commands.Settings{})
			req := creation(tt.raw)
			if tt.change != nil {
				tt.change(h, &req)
			}
			h.Handle(t.Context(), req)
			decisions, _ := counted(t, registry)
			if diff := cmp.Diff(map[string]int{tt.want: 1}, decisions); diff != "" {
				t.Error(diff)
			}
			if !slices.Contains(decisionWords, tt.want) {
				t.Errorf("%q is none of the words", tt.want)
			}
		})
	}
}

// lookingHandler returns a handler that looks up images with plain HTTP at any
// registry on this machine.
func lookingHandler(t *testing.T, registry *prometheus.Registry, s commands.Settings) *Handler {
	t.Helper()
	silent := slog.New(slog.DiscardHandler)
	s.Lookup = true
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Second
	}
	c, err := commands.New(s, nil, registry, silent)
	if err != nil {
		t.Fatal(err)
	}
	return New(testSettings(), c, registry, silent)
}

func TestEachLookupIsCountedWithItsResult(t *testing.T) {
	host, silent, s := odd(t), odd(t), newShop(t)
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "commands.yaml"), []byte("indexed: {entrypoint: [/indexed]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.letIn(t)
	registry := prometheus.NewRegistry()
	h := lookingHandler(t, registry, commands.Settings{
		Index: files, Credentials: s.sources.Credentials, Timeout: 5 * time.Second,
		Image: image.Settings{Loopback: []string{host, silent, s.host}, PlainHTTP: []string{host, s.host}},
	})
	known := s.push(t, "web:1", map[string]v1.Config{"linux/amd64": {Entrypoint: []string{"/web"}}})
	windows := s.push(t, "windows:1", map[string]v1.Config{"windows/amd64": {Entrypoint: []string{"/web"}}})
	seen := map[string]bool{}
	for _, tt := range []struct{ image, want string }{
		{"indexed:1", "index"},
		{known, "miss"},
		{known, "hit"},
		{"UPPER", "bad_reference"},
		{"127.0.0.1:1/x:1", "forbidden"},
		{host + "/private/x:1", "unauthorized"},
		{host + "/nothing/x:1", "not_found"},
		{host + "/limited/x:1", "rate_limited"},
		{host + "/slow/x:1", "timeout"},
		{host + "/broken/x:1", "unreachable"},
		{silent + "/x:1", "tls"}, // plain HTTP where TLS is expected
		{host + "/garbage/x:1", "invalid"},
		{windows, "unsupported"},
	} {
		seen[tt.want] = true
		t.Run(tt.want, func(t *testing.T) {
			_, before := counted(t, registry)
			h.Handle(t.Context(), creation(jobOf(t, tt.image)))
			_, after := counted(t, registry)
			if diff := cmp.Diff(map[string]int{tt.want: 1}, grown(before, after)); diff != "" {
				t.Errorf("image %s: %s", tt.image, diff)
			}
		})
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(lookupWords)), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("words without a case (-), or the other way round (+):\n%s", diff)
	}
}

// Users choose every name and every text in a pod, so none of them may become the
// label of a time series.
func TestLabelsSayNothingThatAUserHasWritten(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := lookingHandler(t, registry, commands.Settings{Timeout: time.Second})
	hostile := []string{"secret-team", "a\nb", `x"} 1`, "127.0.0.1:1/" + strings.Repeat("y", 300), "[::1]:1/z:1", strings.Repeat("z", 5000), "\xff", ""}
	for _, text := range hostile {
		for _, key := range []string{"start-deps", "stop-deps", "command", "essential", "spec", "mode", "source", "stop-signal", "inject", "gate", text} {
			for _, value := range []string{text, "main: " + text, `{"main": {` + text} {
				h.Handle(t.Context(), creation(withPod(t, jobOf(t, text), func(p *corev1.Pod) {
					p.Name, p.Namespace, p.Annotations = text, text, map[string]string{"koordinator.io/" + key: value, text: text}
					p.Labels = map[string]string{"essential-containers": text}
					p.Spec.Containers[1].Name = text
				})))
			}
		}
	}
	for seed := range uint64(300) {
		raw, err := json.Marshal(sketch.Any(seed, 2))
		if err != nil {
			t.Fatal(err)
		}
		req := creation(raw)
		req.Namespace, req.Name = hostile[seed%uint64(len(hostile))], hostile[seed%uint64(len(hostile))]
		h.Handle(t.Context(), req)
	}
	decisions, lookups := counted(t, registry)
	if len(decisions) < 3 || len(lookups) < 2 {
		t.Errorf("few kinds of answers say little: %v, %v", decisions, lookups)
	}
	for word := range decisions {
		if !slices.Contains(decisionWords, word) {
			t.Errorf("a decision is counted as %q", word)
		}
	}
	for word := range lookups {
		if !slices.Contains(lookupWords, word) {
			t.Errorf("a lookup is counted as %q", word)
		}
	}
}

func TestWhatMetricsAreCalled(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	m.decided(injected, "", time.Millisecond)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`koordinator_admission_reviews_total{decision="injected",reason=""} 1`,
		`koordinator_admission_duration_seconds_count{decision="injected"} 1`,
		`koordinator_admission_reviews_total{decision="denied",reason="mistakes"} 0`,
		`koordinator_admission_reviews_total{decision="skipped",reason="lookup_failed"} 0`,
		`koordinator_admission_duration_seconds_bucket{decision="injected",le="30"} 1`, // the longest timeout of the API server
	} {
		if !strings.Contains(page.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, page.Body)
		}
	}
}

// The stories of the alerts must not contain buckets that the webhook does not have.
func TestTheStoriesOfTheAlertsHaveTheBucketsOfTheDuration(t *testing.T) {
	stories, err := os.ReadFile("../../test/chart/testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	newMetrics(registry).decided(injected, "", time.Millisecond)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	all := regexp.MustCompile(`koordinator_admission_duration_seconds_bucket\{(le="[^"]*")`).FindAllSubmatch(stories, -1)
	if len(all) == 0 {
		t.Fatal("no story has a bucket")
	}
	for _, bucket := range all {
		if !strings.Contains(page.Body.String(), string(bucket[1])+"}") {
			t.Errorf("a story has %s, the webhook does not", bucket[1])
		}
	}
}
