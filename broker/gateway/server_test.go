package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientCertificateIsTheChannel(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, ClientAuth: tls.RequestClientCert} //nolint:gosec // the minimum is set by Server
	})
	client := s.server.Client()
	settings := client.Transport.(*http.Transport).TLSClientConfig
	settings.InsecureSkipVerify = true // it signed its own
	if got := s.ask(t); got.StatusCode != 200 || got.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if c := s.last(t).Channel; c != (broker.Channel{Method: "POST", URL: "/v1/disclosures"}) {
		t.Errorf("without a certificate the channel is %+v", c)
	}
	own := certificate(t)
	settings.Certificates = []tls.Certificate{own}
	client.CloseIdleConnections()
	s.ask(t)
	sum := sha256.Sum256(own.Certificate[0])
	if got := s.last(t).Channel.CertificateThumbprint; got != base64.RawURLEncoding.EncodeToString(sum[:]) {
		t.Errorf("thumbprint %q", got)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS10} //nolint:gosec // that is the test
	})
	addr := s.server.Listener.Addr().String()
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}) //nolint:gosec // likewise
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	// What net/http logs of it holds an address: only the sort of failure is kept.
	if e := s.events(t, 1)[0]; e["sort"] != "TLS handshake error" || strings.Contains(s.log.String(), "127.0.0.1") {
		t.Errorf("log %s", s.log)
	}
}

func TestNoHeaderStandsForACertificate(t *testing.T) {
	s := newSite(t)
	s.ask(t, with("X-Client-Cert", "x"), with("X-Forwarded-Client-Cert", "Hash=x"), with("Client-Cert", ":x:"))
	if c := s.last(t).Channel; c != (broker.Channel{Method: "POST", URL: "/v1/disclosures"}) {
		t.Errorf("channel %+v", c)
	}
}

// The one event about a request, whole: what is not in this list may not be in the log.
func TestOneWideEvent(t *testing.T) {
	s := newSite(t)
	s.disclose = answers(true)
	body := strings.Replace(question, `{"case":"zaak-1"}`, `{"bsn":"`+canary+`"}`, 1)
	got := s.do(t, s.request(t, http.MethodPost, "/v1/disclosures", body, with("User-Agent", canary), with("Authorization", "Bearer "+canary),
		with("Idempotency-Key", canary), with("Tracestate", "a="+canary), with("X-Forwarded-For", canary), with("Referer", canary),
		with("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")))
	if got.StatusCode != 403 {
		t.Fatalf("%d", got.StatusCode)
	}
	events := s.events(t, 1)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if d, ok := e["duration_ms"].(float64); !ok || d <= 0 {
		t.Errorf("duration %v", e["duration_ms"])
	}
	if id, _ := e["span_id"].(string); len(id) != 16 || id == "b7ad6b7169203331" {
		t.Errorf("span %v", e["span_id"])
	}
	for _, k := range []string{"time", "duration_ms", "span_id"} {
		delete(e, k)
	}
	want := `{"asked":2,"code":"nothing-disclosed","granted":2,"level":"INFO","method":"POST","msg":"request",` +
		`"purpose":"ontruiming-voorkomen","request_id":"01976f2e-6c3a-7d41-9b52-0f6c8a1e2d34","role":"wijkteammedewerker",` +
		`"route":"/v1/disclosures","status":403,"trace_id":"0af7651916cd43dd8448eb211c80319c","tries":1,"unavailable":1,"withheld":1}`
	if got := mustJSON(t, e); got != want {
		t.Errorf("event\n%s, want\n%s", got, want)
	}
}

func TestEventSaysWhyTheBrokerFailed(t *testing.T) {
	s := newSite(t)
	s.disclose = fails(broker.Fail(broker.KindInternal, "policy-result-malformed", broker.Fail(broker.KindInternal, "x", nil)))
	s.ask(t)
	if e := s.events(t, 1)[0]; e["code"] != "internal" || e["failed"] != "policy-result-malformed" || e["cause"] != "x" || e["level"] != "ERROR" {
		t.Errorf("event %v", e)
	}
	s.disclose = fails(http.ErrBodyNotAllowed)
	s.ask(t)
	if e := s.events(t, 2)[1]; strings.Contains(mustJSON(t, e), "body") {
		t.Errorf("the text of an unknown error is in the log: %v", e)
	}
	s.disclose = fails(broker.Fail(broker.KindUnavailable, "journal-unavailable", nil))
	s.ask(t)
	if e := s.events(t, 3)[2]; e["level"] != "WARN" {
		t.Errorf("event %v", e)
	}
}

func TestProbesAreQuiet(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		s.get(t, path)
	}
	s.get(t, "/nothing")
	if e := s.events(t, 1); len(e) != 1 || e[0]["code"] != "not-found" {
		t.Errorf("events %v", e)
	}
}

func TestHTTP2(t *testing.T) {
	s := newSite(t, func(c *Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}} }) //nolint:gosec // the minimum is set by Server
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.gateway.Server("")
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	s.server.URL = "https://" + listener.Addr().String()
	*s.server.Client() = http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it signed its own
	for range 2 {
		got := s.ask(t)
		if got.StatusCode != 200 || got.ProtoMajor != 2 {
			t.Errorf("%d over %s", got.StatusCode, got.Proto)
		}
		large := s.request(t, http.MethodPost, "/v1/disclosures", strings.Repeat(" ", 64<<10+1), func(r *http.Request) { r.ContentLength = -1 })
		s.do(t, large).wants(t, 413, "body-too-large")
	}
}

var _ Broker = (*broker.Broker)(nil)
