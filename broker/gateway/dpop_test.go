package gateway

import (
	"context"
	"net/http"
	"testing"

	"github.com/schakel/schakel/broker"
)

// What a request says of its token and proof reaches the broker as it is; nothing of a proxy or of Host does.
func TestProofReachesTheBroker(t *testing.T) {
	s := newSite(t, func(c *Config) { c.PublicURL = "https://schakel.example/" })
	const url = "https://schakel.example/v1/disclosures"
	host := func(r *http.Request) { r.Host = "attacker.example" }
	for name, c := range map[string]struct {
		change []func(*http.Request)
		want   broker.Channel
	}{
		"bearer":             {nil, broker.Channel{Method: "POST", URL: url}},
		"DPoP":               {[]func(*http.Request){with("Authorization", "DPoP a.b.c"), with("DPoP", "p.q.r")}, broker.Channel{DPoP: true, Proof: "p.q.r", Method: "POST", URL: url}},
		"dpop in lower case": {[]func(*http.Request){with("Authorization", "dpop a.b.c"), with("DPoP", "p.q.r")}, broker.Channel{DPoP: true, Proof: "p.q.r", Method: "POST", URL: url}},
		"no proof":           {[]func(*http.Request){with("Authorization", "DPoP a.b.c")}, broker.Channel{DPoP: true, Method: "POST", URL: url}},
		"a proof with a bearer token": {[]func(*http.Request){with("DPoP", "p.q.r")},
			broker.Channel{Proof: "p.q.r", Method: "POST", URL: url}},
		"another host": {[]func(*http.Request){host, with("X-Forwarded-Host", "attacker.example"), with("X-Forwarded-Proto", "http"), with("Forwarded", "host=attacker.example"), with("X-Http-Method-Override", "GET")},
			broker.Channel{Method: "POST", URL: url}},
	} {
		if got := s.ask(t, c.change...); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
		if got := s.last(t).Channel; got != c.want {
			t.Errorf("%s: channel %+v, want %+v", name, got, c.want)
		}
		if got := s.last(t).Token; got != "a.b.c" {
			t.Errorf("%s: token %q", name, got)
		}
	}
	before := s.count()
	for name, change := range map[string]func(*http.Request){
		"two proofs":                    with("DPoP", "p.q.r", "p.q.r"),
		"two proofs, one of them empty": with("DPoP", "p.q.r", ""),
		"two proofs with a bearer token": func(r *http.Request) {
			r.Header["Dpop"] = []string{"p", "q"}
			r.Header.Set("Authorization", "Bearer a.b.c")
		},
	} {
		got := s.ask(t, with("Authorization", "DPoP a.b.c"), change)
		got.wants(t, 401, "proof-malformed")
		if h := got.Header.Get("WWW-Authenticate"); h != `DPoP realm="schakel", error="invalid_dpop_proof", algs="ES256 PS256 EdDSA"` {
			t.Errorf("%s: %s", name, h)
		}
	}
	s.ask(t, with("Authorization", "DPoP a.b.c", "Bearer a.b.c")).wants(t, 401, "token-malformed")
	if s.count() != before {
		t.Error("one of them reached the broker")
	}
}

func TestChallenges(t *testing.T) {
	const algs = `, algs="ES256 PS256 EdDSA"`
	s := newSite(t, func(c *Config) { c.Nonce = func() string { return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } })
	for _, c := range []struct{ scheme, code, want string }{
		{"", "", `Bearer realm="schakel", DPoP realm="schakel"` + algs},
		{"Bearer", "token-expired", `Bearer realm="schakel", error="invalid_token", DPoP realm="schakel"` + algs},
		{"Bearer", "token-dpop", `Bearer realm="schakel", error="invalid_token", DPoP realm="schakel"` + algs},
		{"DPoP", "token-expired", `DPoP realm="schakel", error="invalid_token"` + algs},
		{"DPoP", "token-dpop", `DPoP realm="schakel", error="invalid_token"` + algs},
		{"DPoP", "proof-missing", `DPoP realm="schakel", error="invalid_dpop_proof"` + algs},
		{"DPoP", "proof-nonce", `DPoP realm="schakel", error="use_dpop_nonce"` + algs},
	} {
		s.disclose = fails(broker.Fail(broker.KindUnauthenticated, c.code, nil))
		change := with("Authorization")
		if c.scheme != "" {
			change = with("Authorization", c.scheme+" a.b.c")
		}
		got := s.ask(t, change)
		if h := got.Header.Get("WWW-Authenticate"); got.StatusCode != 401 || h != c.want {
			t.Errorf("%s %s: %d %s", c.scheme, c.code, got.StatusCode, h)
		}
		if given := got.Header.Get("DPoP-Nonce") != ""; given != (c.scheme == "DPoP") {
			t.Errorf("%s %s: nonce %v", c.scheme, c.code, given)
		}
	}
	for name, disclose := range map[string]func(context.Context, broker.Call) (broker.Envelope, error){
		"an answer": answers(false), "a refusal": answers(true),
	} {
		s.disclose = disclose
		if got := s.ask(t, with("Authorization", "DPoP a.b.c")); got.Header.Get("DPoP-Nonce") == "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: no nonce for the next proof, or it may be cached", name)
		}
		if got := s.ask(t); got.Header.Get("DPoP-Nonce") != "" {
			t.Errorf("%s: a nonce for a bearer token", name)
		}
	}
}
