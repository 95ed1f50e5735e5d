package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts. Every label is a word of a closed list: routes, statuses, the codes of the problem table, and the
// roles and purposes of the catalog.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	answers  *prometheus.CounterVec
	fields   *prometheus.CounterVec
}

func newMetrics(reg *prometheus.Registry, version string, stopped func() bool) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "schakel_http_requests_total",
			Help: "Requests by route, status and problem code (ok without)."}, []string{"route", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "schakel_http_request_duration_seconds",
			Help: "Time from the headers of a request to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)},
			[]string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "schakel_http_requests_in_flight",
			Help: "Requests being answered now."}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "schakel_disclosures_total",
			Help: "Signed answers by outcome (disclosed, refused), role and purpose."}, []string{"outcome", "role", "purpose"}),
		fields: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "schakel_disclosure_fields_total",
			Help: "Fields of signed answers: granted, withheld, and granted but unavailable."}, []string{"outcome", "role", "purpose"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "schakel_build_info", Help: "The version that runs.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	stop := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "schakel_policy_stopped",
		Help: "1 while an emergency stop refuses every field."}, func() float64 {
		if stopped != nil && stopped() {
			return 1
		}
		return 0
	})
	own := []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.answers, m.fields, build, stop}
	for _, c := range own {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		var there prometheus.AlreadyRegisteredError
		if err := reg.Register(c); err != nil && !errors.As(err, &there) {
			return nil, fmt.Errorf("register metrics of the runtime: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(x *exchange, status int, took time.Duration, role, purpose string) {
	m.requests.WithLabelValues(x.route, strconv.Itoa(status), x.code).Inc()
	m.seconds.WithLabelValues(x.route).Observe(took.Seconds())
	if !x.asked {
		return
	}
	outcome := "disclosed"
	if x.refused {
		outcome = "refused"
	}
	m.answers.WithLabelValues(outcome, role, purpose).Inc()
	m.fields.WithLabelValues("granted", role, purpose).Add(float64(x.summary.Granted))
	m.fields.WithLabelValues("withheld", role, purpose).Add(float64(x.summary.Withheld))
	m.fields.WithLabelValues("unavailable", role, purpose).Add(float64(x.summary.Unavailable))
}

func (g *Gateway) serveMetrics() http.HandlerFunc {
	show := promhttp.HandlerFor(g.cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true})
	return func(w http.ResponseWriter, r *http.Request) {
		if !g.mayReadMetrics(r.RemoteAddr) {
			g.problem(w, exchangeOf(r), "not-found", nil)
			return
		}
		r = r.Clone(r.Context())
		r.Header.Del("Accept") // the text format and no other, as the OpenAPI document says
		show.ServeHTTP(w, r)
	}
}

func (g *Gateway) mayReadMetrics(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range g.cfg.MetricsFrom {
		if p.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}
