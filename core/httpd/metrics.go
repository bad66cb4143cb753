package httpd

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Figures is a source of figures by name; a name that ends in _total is a counter, any other a gauge. A name may have labels:
// `bridge_queue{bridge="matrix"}`.
type Figures func(ctx context.Context) map[string]float64

// Expose puts a source's figures on the metrics page, each with the prefix "viaduct_".
func (h *Health) Expose(src Figures) { h.Registry.MustRegister(figures{src}) }

// figures is a prometheus.Collector that asks at each scrape; it is unchecked, because names come and go.
type figures struct{ src Figures }

// Describe implements prometheus.Collector.
func (figures) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (f figures) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for name, v := range f.src(ctx) {
		base, labels, ok := split(name)
		kind := prometheus.GaugeValue
		if strings.HasSuffix(base, "_total") {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc("viaduct_"+base, "See docs/metrics.md.", nil, labels)
		if !ok {
			ch <- prometheus.NewInvalidMetric(desc, errName(name))
			continue
		}
		ch <- prometheus.MustNewConstMetric(desc, kind, v)
	}
}

type errName string

func (e errName) Error() string { return "httpd: bad name of a figure: " + string(e) }

// split takes `a{x="1",y="2"}` apart.
func split(name string) (base string, labels prometheus.Labels, ok bool) {
	base, rest, has := strings.Cut(name, "{")
	if !has {
		return base, nil, true
	}
	rest, closed := strings.CutSuffix(rest, "}")
	labels = prometheus.Labels{}
	for pair := range strings.SplitSeq(rest, ",") {
		k, v, eq := strings.Cut(pair, "=")
		if !eq || len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
			return base, nil, false
		}
		labels[k] = v[1 : len(v)-1]
	}
	return base, labels, closed
}
