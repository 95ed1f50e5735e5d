package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

func TestCatalog(t *testing.T) {
	s := newSite(t)
	got := s.get(t, "/v1/catalog")
	var body struct {
		Revision   broker.Revision
		Disclaimer broker.Text
		broker.Catalog
	}
	d := json.NewDecoder(bytes.NewReader(got.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatal(err)
	}
	if body.Revision != revision || !strings.Contains(body.Disclaimer.NL, "jurist") || !strings.Contains(body.Disclaimer.EN, "lawyer") ||
		len(body.Fields) != 3 || body.Fields[0].Label.NL != "Tekst <&>" {
		t.Errorf("catalog %s", got.body)
	}
	if bytes.Contains(got.body, []byte("null")) || bytes.Contains(got.body, []byte(`\u003c`)) {
		t.Errorf("null or escaped: %s", got.body)
	}
	if cc := got.Header.Get("Cache-Control"); cc != "public, max-age=60" {
		t.Errorf("Cache-Control %q", cc)
	}
	if len(s.calls) != 0 {
		t.Error("a catalog is no disclosure")
	}
}

func TestETags(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/v1/catalog", "/v1/openapi.json", "/.well-known/jwks.json"} {
		etag := s.get(t, path).Header.Get("ETag")
		for ifNoneMatch, want := range map[string]int{etag: 304, `"a", W/` + etag: 304, "*": 304, `"a"`: 200, strings.Trim(etag, `"`): 200} {
			if got := s.get(t, path, with("If-None-Match", ifNoneMatch)); got.StatusCode != want || got.Header.Get("ETag") != etag {
				t.Errorf("%s with %s: %d, want %d", path, ifNoneMatch, got.StatusCode, want)
			}
		}
		if got := s.do(t, s.request(t, http.MethodHead, path, "")); got.StatusCode != 200 || len(got.body) > 0 || got.ContentLength <= 0 {
			t.Errorf("HEAD %s: %d", path, got.StatusCode)
		}
	}
	before := s.get(t, "/v1/catalog").Header.Get("ETag")
	other := broker.Revision(strings.Repeat("a", 64))
	s.catalog = func() (*broker.Catalog, broker.Revision, error) { return catalog(), other, nil }
	got := s.get(t, "/v1/catalog", with("If-None-Match", before))
	if got.StatusCode != 200 || !strings.Contains(got.Header.Get("ETag"), string(other)) || !bytes.Contains(got.body, []byte(other)) {
		t.Errorf("another revision gives %d %s", got.StatusCode, got.Header.Get("ETag"))
	}
}

func TestDocumentsThatAreNotThere(t *testing.T) {
	s := newSite(t, func(c *Config) { c.JWKS = func() []byte { return nil } })
	s.get(t, "/.well-known/jwks.json").wants(t, 503, "keys-unavailable")
	s.catalog = func() (*broker.Catalog, broker.Revision, error) {
		return nil, "", broker.Fail(broker.KindUnavailable, "no-policy", errors.New(canary))
	}
	if got := s.get(t, "/v1/catalog"); got.wants(t, 503, "no-policy").Status != 503 || bytes.Contains(got.body, []byte(canary)) {
		t.Errorf("%s", got.body)
	}
	s.catalog = func() (*broker.Catalog, broker.Revision, error) { return nil, revision, nil }
	s.get(t, "/v1/catalog").wants(t, 500, "internal")
}

func TestHealth(t *testing.T) {
	var err error
	s := newSite(t, func(c *Config) { c.Ready = func(context.Context) error { return err } })
	for _, path := range []string{"/livez", "/readyz"} {
		if got := s.get(t, path); got.StatusCode != 200 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	for _, c := range []struct {
		err   error
		names []string
	}{
		{NotReady{"journal", "policy"}, []string{"journal", "policy"}},
		{NotReady{"journal", "dial tcp 10.0.0.1: refused", ""}, []string{"journal"}},
		{errors.New("dial tcp 10.0.0.1: refused"), nil},
	} {
		err = c.err
		got := s.get(t, "/readyz")
		if p := got.wants(t, 503, "not-ready"); !slices.Equal(p.NotReady, c.names) || bytes.Contains(got.body, []byte("10.0.0.1")) {
			t.Errorf("%s", got.body)
		}
		if got := s.get(t, "/livez"); got.StatusCode != 200 {
			t.Error("not ready is not dead")
		}
	}
}

func TestMetricsCountInClosedLists(t *testing.T) {
	s := newSite(t)
	s.ask(t)
	s.disclose = func(ctx context.Context, call broker.Call) (broker.Envelope, error) {
		e, err := answers(true)(ctx, call)
		e.Summary.Role, e.Summary.Purpose = canary, canary // not in the catalog
		return e, err
	}
	s.ask(t)
	s.disclose = fails(broker.Fail(broker.KindInvalid, "made-up-"+canary, nil))
	s.ask(t)
	s.get(t, "/"+canary)
	s.do(t, s.request(t, "BSN"+canary, "/livez", ""))
	s.events(t, 5)
	got := s.get(t, "/metrics", with("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"))
	for _, want := range []string{
		`schakel_http_requests_total{code="ok",route="/v1/disclosures",status="200"} 1`,
		`schakel_http_requests_total{code="nothing-disclosed",route="/v1/disclosures",status="403"} 1`,
		`schakel_http_requests_total{code="internal",route="/v1/disclosures",status="500"} 1`,
		`schakel_http_requests_total{code="not-found",route="none",status="404"} 1`,
		`schakel_http_request_duration_seconds_count{route="/v1/disclosures"} 3`,
		`schakel_disclosures_total{outcome="disclosed",purpose="ontruiming-voorkomen",role="wijkteammedewerker"} 1`,
		`schakel_disclosures_total{outcome="refused",purpose="other",role="other"} 1`,
		`schakel_disclosure_fields_total{outcome="granted",purpose="ontruiming-voorkomen",role="wijkteammedewerker"} 2`,
		`schakel_disclosure_fields_total{outcome="withheld",purpose="ontruiming-voorkomen",role="wijkteammedewerker"} 1`,
		`schakel_disclosure_fields_total{outcome="unavailable",purpose="ontruiming-voorkomen",role="wijkteammedewerker"} 1`,
		"schakel_http_requests_in_flight 1",
		`schakel_build_info{version="test"} 1`,
		"go_goroutines ",
	} {
		if !bytes.Contains(got.body, []byte(want)) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if bytes.Contains(got.body, []byte(canary)) {
		t.Error("a word from outside is a label")
	}
	if strings.Contains(s.log.String(), `"role":"`+canary) || strings.Contains(s.log.String(), `"purpose":"`+canary) {
		t.Error("a word from outside is in the log")
	}
}

func TestMetricsAreForSomeNetworks(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MetricsFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	s.get(t, "/metrics").wants(t, 404, "not-found")
	for remote, want := range map[string]bool{"10.1.2.3:4": true, "[::ffff:10.1.2.3]:4": true, "11.1.2.3:4": false, "": false, "@": false} {
		if got := s.gateway.mayReadMetrics(remote); got != want {
			t.Errorf("%q: %v", remote, got)
		}
	}
	s = newSite(t) // this machine, by default
	for remote, want := range map[string]bool{"127.0.0.1:4": true, "[::1]:4": true, "10.1.2.3:4": false} {
		if got := s.gateway.mayReadMetrics(remote); got != want {
			t.Errorf("by default %q: %v", remote, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	jwks := func() []byte { return nil }
	for want, c := range map[string]Config{"Broker": {JWKS: jwks}, "JWKS": {Broker: &fakeBroker{}}} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want+" is missing") {
			t.Errorf("without %s: %v", want, err)
		}
	}
	s := newSite(t)
	if _, err := New(s.gateway.cfg); err == nil {
		t.Error("two gateways share their metrics")
	}
	if g, err := New(Config{Broker: &fakeBroker{}, JWKS: jwks}); err != nil || g.Server("x").Addr != "x" {
		t.Errorf("zero values: %v", err)
	}
}
