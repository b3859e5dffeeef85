package admission

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the webhook decides. No label has a pod's, an image's or
// a namespace's name in it: all of them are chosen by users.
type metrics struct {
	reviews  *prometheus.CounterVec   // decision, reason
	duration *prometheus.HistogramVec // decision; seconds
}

// newMetrics registers the metrics.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "koordinator_admission_reviews_total",
			Help: "Pods that were reviewed, by what was decided and why.",
		}, []string{"decision", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "koordinator_admission_duration_seconds",
			Help:    "Time to decide about a pod, image lookups included, by what was decided.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 2.5, 5},
		}, []string{"decision"}),
	}
	registry.MustRegister(m.reviews, m.duration)
	return m
}

// decided counts one review. reason is one of a few words of ours.
func (m *metrics) decided(decision, reason string, took time.Duration) {
	m.reviews.WithLabelValues(decision, reason).Inc()
	m.duration.WithLabelValues(decision).Observe(took.Seconds())
}
