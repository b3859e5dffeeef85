package fleet

import (
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the label values. Namespaces come and go, and the version is in an
// annotation that users can change.
const (
	maxNamespaces = 1000
	maxVersions   = 20
	others        = "other"
)

// metrics are the metrics of the fleet.
type metrics struct {
	waiting, longest, pods, build *prometheus.Desc

	waited   *prometheus.HistogramVec // pod_namespace; seconds
	failures *prometheus.CounterVec   // code, pod_namespace
	expired  *prometheus.CounterVec   // pod_namespace

	own        string // version of this program
	labelled   bool   // by namespace
	namespaces bounded
	versions   bounded
}

// newMetrics returns the metrics of a program of that version.
func newMetrics(version string, byNamespace bool) metrics {
	var by []string
	if byNamespace { // Prometheus adds a label "namespace" with the webhook's own namespace
		by = []string{"pod_namespace"}
	}
	const prefix = "koordinator_"
	return metrics{
		waiting: prometheus.NewDesc(prefix+"containers_waiting", "Number of containers that are waiting for their start dependencies. Only on the leader.", by, nil),
		longest: prometheus.NewDesc(prefix+"container_longest_wait_seconds", "Longest time for which a container has been waiting so far, in seconds. Containers that wait only for the exit of others do not count. Only on the leader.", by, nil),
		pods:    prometheus.NewDesc(prefix+"pods", "Number of injected pods that have not finished, by the version that injected them. Only on the leader.", append([]string{"version"}, by...), nil),
		build:   prometheus.NewDesc(prefix+"build_info", "Always 1. The label version contains the version of this webhook.", []string{"version"}, nil),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    prefix + "container_wait_seconds",
			Help:    "Time for which containers waited for their start dependencies, in seconds, as observed by the leader.",
			Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600},
		}, by),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "container_failures_total",
			Help: "Number of containers that koordinator ended with one of its own exit codes, as observed by the leader.",
		}, append([]string{"code"}, by...)),
		expired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "holds_expired_total",
			Help: "Number of stop requests that were delayed for other containers until the grace period was almost over, as observed by the leader.",
		}, by),
		own:        version,
		labelled:   byNamespace,
		namespaces: bounded{most: maxNamespaces},
		versions:   bounded{most: maxVersions},
	}
}

// Describe implements prometheus.Collector.
func (f *Fleet) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.metrics.waiting, f.longest, f.metrics.pods, f.build} {
		to <- d
	}
	f.waited.Describe(to)
	f.failures.Describe(to)
	f.expired.Describe(to)
}

// Collect implements prometheus.Collector.
func (f *Fleet) Collect(to chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	to <- prometheus.MustNewConstMetric(f.build, prometheus.GaugeValue, 1, f.own)
	f.waited.Collect(to)
	f.failures.Collect(to)
	f.expired.Collect(to)
	if f.leading {
		f.collectNow(to, f.now())
	}
}

// group is the key by which pods are counted.
type group struct{ namespace, version string }

// collectNow sends the current values.
func (f *Fleet) collectNow(to chan<- prometheus.Metric, now time.Time) {
	waiting, longest, pods := map[string]int{}, map[string]time.Duration{}, map[group]int{}
	for _, p := range f.pods {
		ns := p.namespace.Value()
		pods[group{ns, p.version.Value()}]++
		waiting[ns] += 0 // a namespace without waiting containers has a series, too
		for i := range p.containers {
			if d := p.containers[i].waiting(now); d > 0 {
				waiting[ns]++
				if !p.containers[i].exits {
					longest[ns] = max(longest[ns], d)
				}
			}
		}
	}
	if !f.labelled {
		waiting[""] += 0
	}
	for ns, n := range waiting {
		to <- prometheus.MustNewConstMetric(f.metrics.waiting, prometheus.GaugeValue, float64(n), f.labels(ns)...)
		to <- prometheus.MustNewConstMetric(f.longest, prometheus.GaugeValue, longest[ns].Seconds(), f.labels(ns)...)
	}
	for g, n := range pods {
		to <- prometheus.MustNewConstMetric(f.metrics.pods, prometheus.GaugeValue, float64(n), f.labels(g.namespace, g.version)...)
	}
}

// known creates the series of a namespace with the value zero. Otherwise the
// first event would not appear as an increase.
func (f *Fleet) known(namespace string) {
	f.waited.WithLabelValues(f.labels(namespace)...)
	f.expired.WithLabelValues(f.labels(namespace)...)
	for _, code := range failures {
		f.failures.WithLabelValues(f.labels(namespace, strconv.Itoa(int(code)))...)
	}
}

// count counts an event in a namespace.
func (f *Fleet) count(namespace string, e event) {
	if e.waited >= 0 {
		f.waited.WithLabelValues(f.labels(namespace)...).Observe(e.waited.Seconds())
	}
	if e.failure != 0 {
		f.failures.WithLabelValues(f.labels(namespace, strconv.Itoa(int(e.failure)))...).Inc()
	}
	if e.expired {
		f.expired.WithLabelValues(f.labels(namespace)...).Inc()
	}
}

// labels returns the values of a metric's labels, with the namespace last.
func (m *metrics) labels(namespace string, before ...string) []string {
	if !m.labelled {
		return before
	}
	return append(before, namespace)
}

// namespace returns the label value for a namespace.
func (m *metrics) namespace(name string) string {
	if !m.labelled {
		return ""
	}
	return m.namespaces.label(name)
}

// released matches valid versions.
var released = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// version returns the label value for a version.
func (m *metrics) version(text string) string {
	if !released.MatchString(text) {
		return others
	}
	return m.versions.label(text)
}

// bounded limits the number of values of a label: it keeps the first ones.
type bounded struct {
	most int
	seen map[string]bool
}

func (b *bounded) label(value string) string {
	if b.seen[value] {
		return value
	}
	if len(b.seen) >= b.most {
		return others
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[value] = true
	return value
}
