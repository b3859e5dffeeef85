package commands

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestWhatMetricsAreCalled(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	m.lookedUp("miss", time.Millisecond)
	m.lookedUp("index", 0)
	m.lookedUp("hit", time.Microsecond)
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`koordinator_image_lookups_total{result="miss"} 1`,
		`koordinator_image_lookups_total{result="index"} 1`,
		`koordinator_image_lookups_total{result="hit"} 1`,
		`koordinator_image_lookups_total{result="timeout"} 0`,
		`koordinator_image_lookup_duration_seconds_count 1`, // the other two sent no request to a registry
	} {
		if !strings.Contains(page.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, page.Body)
		}
	}
}
