package commands

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts lookups. No label contains the name of a pod, image or
// namespace, because users choose these names.
type metrics struct {
	lookups  *prometheus.CounterVec // result
	duration prometheus.Histogram   // seconds
}

// newMetrics registers the metrics.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "koordinator_image_lookups_total",
			Help: "Number of lookups of image commands, by result: index (command index), hit (cached), miss (requested), or the type of failure.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "koordinator_image_lookup_duration_seconds",
			Help:    "Duration in seconds of image lookups that sent requests to registries.",
			Buckets: []float64{.0001, .001, .01, .05, .1, .25, .5, 1, 2.5, 5, 7.5, 10, 15, 20, 25},
		}),
	}
	registry.MustRegister(m.lookups, m.duration)
	for kind := range codes { // a series that began with its first failure would not show it as an increase
		m.lookups.WithLabelValues(string(kind))
	}
	return m
}

// Sources of a command. For a failed lookup, the result is the kind of the
// image.Error.
const (
	byIndex = "index"
	byCache = "hit"
	byQuery = "miss" // of the cache
)

// lookedUp counts the lookup of one image.
func (m *metrics) lookedUp(result string, took time.Duration) {
	m.lookups.WithLabelValues(result).Inc()
	if result != byIndex && result != byCache { // which send no request
		m.duration.Observe(took.Seconds())
	}
}
