package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/schakel/schakel/broker"
)

// APIVersion is the version of the HTTP interface, as in the API-Version header and the OpenAPI document.
const APIVersion = "1.0.0"

// Broker answers requests; *broker.Broker is one.
type Broker interface {
	// Disclose answers one call. What it returns was recorded durably before. An error that is not a *broker.Error
	// becomes a 500 without detail.
	Disclose(ctx context.Context, call broker.Call) (broker.Envelope, error)
	// Catalog gives the catalog of the policy revision in force.
	Catalog() (*broker.Catalog, broker.Revision, error)
}

// Config is what a Gateway is made of. Broker and JWKS are required; zero values of the rest work.
type Config struct {
	Broker Broker
	// JWKS gives the public keys that answers are verified with (active, next and retired), as a JWK Set.
	JWKS func() []byte
	// Ready tells whether requests can be answered now. A NotReady error names what is not ready; the text of any
	// other error is not shown. nil: always ready.
	Ready func(ctx context.Context) error
	// Stopped tells whether an emergency stop refuses everything now, for the metric schakel_policy_stopped. nil: never.
	Stopped func() bool
	// Log gets one event for each request. nil: nothing is logged.
	Log *slog.Logger
	// Metrics is where the gateway registers its metrics, and what /metrics shows. nil: a registry of its own.
	Metrics *prometheus.Registry
	// MetricsFrom lists the networks that may read /metrics; others get 404, since counts by role and purpose tell
	// how an agency works. nil: this machine only.
	MetricsFrom []netip.Prefix
	// Version of the software, for the metric schakel_build_info.
	Version string

	// PublicURL is what clients call this server, scheme and host and a path if it has one, also where a proxy stands
	// before it: DPoP proofs must name it. "": no proof is taken.
	PublicURL string
	// Nonce gives what the next DPoP proof must carry (seal.Opener.Nonce). nil: none is given.
	Nonce func() string

	// BodyLimit bounds a request body. Default 64 KB.
	BodyLimit int64
	// RequestTimeout bounds the work on one disclosure until a holder is asked; from there the Broker has its own limit,
	// since what was asked must be recorded. It should be the longer of the two. Default 15 s.
	RequestTimeout time.Duration
	// HeaderTimeout and ReadTimeout bound how long a client may take to send its headers, and its whole request.
	// Defaults 5 s and 10 s.
	HeaderTimeout, ReadTimeout time.Duration
	// IdleTimeout bounds how long a connection may wait for its next request. Default 60 s.
	IdleTimeout time.Duration
	// MaxConnections bounds the open connections of Server. Beyond it the one that has waited longest is closed. Default
	// 4096: some 40 KB each, over TLS.
	MaxConnections int
	// TLS makes Server speak TLS. Ask for client certificates in it (ClientAuth) where agencies bind tokens to theirs:
	// the thumbprint goes to the Broker. TLS must end here for that: no header of a proxy is believed.
	TLS *tls.Config
}

// NotReady names what is not ready: words of a-z, 0-9 and '-', such as journal or policy.
type NotReady []string

func (n NotReady) Error() string { return "not ready" }

// Gateway is the http.Handler of the public listener.
type Gateway struct {
	cfg      Config
	router   *gin.Engine
	problems map[string]problemRow
	reasons  map[string]broker.Text
	metrics  *metrics
	openapi  document
	catalog  atomic.Pointer[catalogDocument]
}

// New makes a Gateway.
func New(c Config) (*Gateway, error) {
	if c.Broker == nil {
		return nil, errors.New("new gateway: Broker is missing")
	}
	if c.JWKS == nil {
		return nil, errors.New("new gateway: JWKS is missing")
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.MetricsFrom == nil {
		c.MetricsFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 64 << 10
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 4096
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.RequestTimeout, 15 * time.Second}, {&c.HeaderTimeout, 5 * time.Second},
		{&c.ReadTimeout, 10 * time.Second}, {&c.IdleTimeout, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	m, err := newMetrics(c.Metrics, c.Version, c.Stopped)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: c, problems: problemTable(), reasons: reasonTable(), metrics: m}
	g.openapi = newDocument("application/json", openapiJSON)
	g.router = g.routes()
	return g, nil
}

// route is one path of the interface. GET implies HEAD.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

func (g *Gateway) table() []route {
	return []route{
		{http.MethodPost, "/v1/disclosures", g.serveDisclosure},
		{http.MethodGet, "/v1/catalog", g.serveCatalog},
		{http.MethodGet, "/v1/openapi.json", g.serveOpenAPI},
		{http.MethodGet, "/.well-known/jwks.json", g.serveJWKS},
		{http.MethodGet, "/livez", g.serveLive},
		{http.MethodGet, "/readyz", g.serveReady},
		{http.MethodGet, "/metrics", g.serveMetrics()},
	}
}

// routes makes the router. Gin only finds the handler: its own logger, recovery, redirects, binding and rendering stay
// unused, so that every byte that leaves is written in this package.
func (g *Gateway) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	e.UseRawPath = true // a path in another spelling is another path: a proxy that guards /metrics may not know it as that
	e.Use(func(c *gin.Context) { exchangeOf(c.Request).route = c.FullPath() })
	for _, r := range g.table() {
		e.Handle(r.method, r.path, gin.WrapF(r.serve))
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.path, gin.WrapF(r.serve))
		}
	}
	e.NoRoute(gin.WrapF(func(w http.ResponseWriter, r *http.Request) {
		g.problem(w, exchangeOf(r), "not-found", nil)
	}))
	e.NoMethod(gin.WrapF(func(w http.ResponseWriter, r *http.Request) {
		g.problem(w, exchangeOf(r), "method-not-allowed", nil)
	}))
	return e
}
