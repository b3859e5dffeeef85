package admission

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts the decisions of the webhook. No label contains the name of a
// pod, image or namespace, because users choose these names. The names of rules
// are safe, because the operator chooses them.
type metrics struct {
	rules    *prometheus.CounterVec   // rule, decision
	reviews  *prometheus.CounterVec   // decision, reason
	duration *prometheus.HistogramVec // decision; seconds
}

// alarming are the outcomes on which there are alerts. Their series begin with
// zero. Otherwise the first review would not appear as an increase.
var alarming = map[string][]string{
	denied:  {"mistakes", "command_unknown", "too_large", "not_decoded"},
	skipped: {"lookup_failed", "rule_unfit"},
}

// newMetrics registers the metrics.
func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "koordinator_admission_reviews_total",
			Help: "Number of reviews of pods, by decision and reason.",
		}, []string{"decision", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "koordinator_admission_duration_seconds",
			Help:    "Duration of reviews in seconds, including image lookups, by decision.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 2.5, 5, 7.5, 10, 15, 20, 30},
		}, []string{"decision"}),
	}
	m.rules = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "koordinator_rule_pods_total",
		Help: "Number of pods that a rule selected, by rule and decision.",
	}, []string{"rule", "decision"})
	registry.MustRegister(m.reviews, m.duration, m.rules)
	for decision, reasons := range alarming {
		for _, reason := range reasons {
			m.reviews.WithLabelValues(decision, reason)
		}
	}
	return m
}

// decided counts one review. The package defines all values of reason.
func (m *metrics) decided(decision, reason string, took time.Duration) {
	m.reviews.WithLabelValues(decision, reason).Inc()
	m.duration.WithLabelValues(decision).Observe(took.Seconds())
}

// ruled counts a pod that a rule selected.
func (m *metrics) ruled(rule, decision string) { m.rules.WithLabelValues(rule, decision).Inc() }
