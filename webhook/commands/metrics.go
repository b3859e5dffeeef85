package commands

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts lookups. No label has a pod's, an image's or a namespace's name
// in it: all of them are chosen by users.
type metrics struct {
	lookups  *prometheus.CounterVec // result
	duration prometheus.Histogram   // seconds
}

// newMetrics registers the metrics.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "koordinator_image_lookups_total",
			Help: "Images that were looked up: index, hit (of the cache), miss, or the kind of failure.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "koordinator_image_lookup_duration_seconds",
			Help:    "Time to look up an image at registries, the cache's answers included.",
			Buckets: []float64{.0001, .001, .01, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
	registry.MustRegister(m.lookups, m.duration)
	return m
}

// What found a command. The kind of an image.Error is the result of a lookup
// that failed.
const (
	byIndex = "index"
	byCache = "hit"
	byQuery = "miss" // of the cache
)

// lookedUp counts one image.
func (m *metrics) lookedUp(result string, took time.Duration) {
	m.lookups.WithLabelValues(result).Inc()
	if result != byIndex { // which asks no registry
		m.duration.Observe(took.Seconds())
	}
}
