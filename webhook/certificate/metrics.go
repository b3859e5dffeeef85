package certificate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Descriptions of the metrics of the certificate that a replica serves.
var (
	notBefore = prometheus.NewDesc("koordinator_certificate_not_before_timestamp_seconds",
		"Start of the validity of the certificate that this replica serves, in seconds since 1970.", nil, nil)
	notAfter = prometheus.NewDesc("koordinator_certificate_not_after_timestamp_seconds",
		"End of the validity of the certificate that this replica serves, in seconds since 1970.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Served) Describe(to chan<- *prometheus.Desc) {
	to <- notBefore
	to <- notAfter
}

// Collect implements prometheus.Collector. Without a certificate there are no
// metrics.
func (c *Served) Collect(to chan<- prometheus.Metric) {
	pair := c.current.Load()
	if pair == nil {
		return
	}
	for desc, at := range map[*prometheus.Desc]time.Time{notBefore: pair.Leaf.NotBefore, notAfter: pair.Leaf.NotAfter} {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.Unix()))
	}
}
