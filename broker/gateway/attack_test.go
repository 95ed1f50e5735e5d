package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

const (
	publicURL = "https://schakel.example"
	askedURL  = publicURL + "/v1/disclosures"
	asker     = broker.OIN("00000001821002193000")
)

// guarded is a gateway over TLS behind which tokens and proofs are really verified. An agency has one key.
type guarded struct {
	*site
	key    keys.Signer // of the agency
	proof  keys.Signer // of its system, registered nowhere
	agency broker.Agency
}

func newGuarded(t *testing.T, macNonce func([]byte) []byte, made *guarded) *guarded {
	t.Helper()
	g := &guarded{}
	if made != nil {
		g.key, g.proof, g.agency = made.key, made.proof, made.agency
	} else {
		for _, k := range []*keys.Signer{&g.key, &g.proof} {
			_, private, err := keys.NewAgencyKey(keys.ES256)
			if err != nil {
				t.Fatal(err)
			}
			if *k, err = keys.ParseSigner(private); err != nil {
				t.Fatal(err)
			}
		}
		g.agency = broker.Agency{OIN: asker, Roles: []broker.Role{"wijkteammedewerker"},
			Keys: []broker.AgencyKey{{ID: g.key.ID(), JWK: g.key.Public()}}}
	}
	opener, err := seal.NewOpener(seal.OpenerConfig{Audience: []string{publicURL}, MACNonce: macNonce,
		Agencies: func(oin broker.OIN) (broker.Agency, bool) { return g.agency, oin == asker }})
	if err != nil {
		t.Fatal(err)
	}
	g.site = newSite(t, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, ClientAuth: tls.RequestClientCert} //nolint:gosec // the minimum is set by Server
		c.PublicURL, c.Nonce = publicURL, opener.Nonce
	})
	g.server.Client().Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true // it signed its own
	answer := g.disclose
	g.disclose = func(ctx context.Context, call broker.Call) (broker.Envelope, error) {
		if _, err := opener.Open(ctx, call.Token, call.Channel); err != nil {
			return broker.Envelope{}, err
		}
		return answer(ctx, call)
	}
	return g
}

func (g *guarded) token(t *testing.T, change func(*seal.TokenClaims)) string {
	t.Helper()
	c := seal.TokenClaims{Agency: asker, Worker: "w-1", Role: "wijkteammedewerker", Audience: publicURL, IssuedAt: time.Now()}
	if change != nil {
		change(&c)
	}
	token, err := seal.SignToken(g.key, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (g *guarded) bound(t *testing.T) string {
	t.Helper()
	jkt, err := seal.ProofKey(g.proof)
	if err != nil {
		t.Fatal(err)
	}
	return g.token(t, func(c *seal.TokenClaims) { c.KeyThumbprint = jkt })
}

func (g *guarded) prove(t *testing.T, token, nonce string, change func(*seal.ProofClaims)) string {
	t.Helper()
	c := seal.ProofClaims{Token: token, Method: http.MethodPost, URL: askedURL, Nonce: nonce, IssuedAt: time.Now()}
	if change != nil {
		change(&c)
	}
	proof, err := seal.SignProof(g.proof, c)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// over gives the code of the answer to a request under a scheme, "" for an answer with data.
func (g *guarded) over(t *testing.T, scheme, token, proof string) (string, reply) {
	t.Helper()
	change := []func(*http.Request){with("Authorization", scheme+" "+token)}
	if proof != "" {
		change = append(change, with("DPoP", proof))
	}
	got := g.ask(t, change...)
	if got.StatusCode == http.StatusOK {
		return "", got
	}
	return got.problem(t).Code, got
}

// The way of a client that uses DPoP, and everything a thief of its token, or of its token and a proof, may try.
func TestDPoPOverHTTP(t *testing.T) {
	shared := func(n []byte) []byte { s := sha256.Sum256(append([]byte("secret"), n...)); return s[:] }
	g := newGuarded(t, shared, nil)
	g.agency.Binding = broker.BindingDPoP
	token := g.bound(t)

	code, got := g.over(t, "DPoP", token, g.prove(t, token, "", nil))
	nonce := got.Header.Get("DPoP-Nonce")
	if code != "proof-nonce" || nonce == "" || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
		t.Fatalf("code %q, headers %v", code, got.Header)
	}
	first := g.prove(t, token, nonce, nil)
	if code, got = g.over(t, "DPoP", token, first); code != "" || got.Header.Get("DPoP-Nonce") == "" {
		t.Fatalf("with the nonce: %q", code)
	}
	if code, _ = g.over(t, "DPoP", token, g.prove(t, token, got.Header.Get("DPoP-Nonce"), nil)); code != "" {
		t.Errorf("with the nonce of an answer: %q", code)
	}

	_, private, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	thief := *g
	if thief.proof, err = keys.ParseSigner(private); err != nil {
		t.Fatal(err)
	}
	free := g.token(t, nil)
	for name, c := range map[string]struct{ scheme, token, proof, code string }{
		"the same proof again":            {"DPoP", token, first, "proof-replayed"},
		"as a bearer token":               {"Bearer", token, "", "token-dpop"},
		"as a bearer token, with a proof": {"Bearer", token, g.prove(t, token, nonce, nil), "token-dpop"},
		"without a proof":                 {"DPoP", token, "", "proof-missing"},
		"with a proof of its own key":     {"DPoP", token, thief.prove(t, token, nonce, nil), "proof-key"},
		"a proof for another token":       {"DPoP", token, g.prove(t, free, nonce, nil), "proof-ath"},
		"a proof for another server":      {"DPoP", token, g.prove(t, token, nonce, func(c *seal.ProofClaims) { c.URL = "https://other.example/v1/disclosures" }), "proof-htu"},
		"a proof for the listener":        {"DPoP", token, g.prove(t, token, nonce, func(c *seal.ProofClaims) { c.URL = g.server.URL + "/v1/disclosures" }), "proof-htu"},
		"a proof for a GET":               {"DPoP", token, g.prove(t, token, nonce, func(c *seal.ProofClaims) { c.Method = "GET" }), "proof-htm"},
		"a proof made long ago":           {"DPoP", token, g.prove(t, token, nonce, func(c *seal.ProofClaims) { c.IssuedAt = time.Now().Add(-time.Hour) }), "proof-iat"},
		"a free token":                    {"Bearer", free, "", "token-dpop"},
		"a free token with a proof":       {"DPoP", free, g.prove(t, free, nonce, nil), "token-dpop"},
		"a proof as the token":            {"Bearer", first, "", "token-embedded-key"},
		"the token as its proof":          {"DPoP", token, token, "proof-typ"},
	} {
		if got, _ := g.over(t, c.scheme, c.token, c.proof); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}

	// A second gateway takes the nonces of the first, for seconds; one that does not share the secret never.
	second, stranger := newGuarded(t, shared, g), newGuarded(t, nil, g)
	code, got = g.over(t, "DPoP", token, g.prove(t, token, "", nil))
	if code != "proof-nonce" {
		t.Fatal(code)
	}
	nonce = got.Header.Get("DPoP-Nonce")
	if code, _ = second.over(t, "DPoP", token, g.prove(t, token, nonce, nil)); code != "" {
		t.Errorf("a client that is sent to another gateway after the challenge: %q", code)
	}
	if code, _ = stranger.over(t, "DPoP", token, g.prove(t, token, nonce, nil)); code != "proof-nonce" {
		t.Errorf("at another deployment: %q", code)
	}
	for _, s := range []*site{g.site, second.site, stranger.site} {
		for _, secret := range []string{token, free, first, nonce} {
			if strings.Contains(s.log.String(), secret) {
				t.Error("a token, proof or nonce is in the log")
			}
		}
	}
}

// A token bound to a client certificate is worth nothing over another connection.
func TestCertificateOverHTTP(t *testing.T) {
	g := newGuarded(t, nil, nil)
	own, other := certificate(t), certificate(t)
	sum := sha256.Sum256(own.Certificate[0])
	bound := g.token(t, func(c *seal.TokenClaims) {
		c.CertificateThumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	})
	free := g.token(t, nil)
	for _, c := range []struct {
		name    string
		show    []tls.Certificate
		token   string
		binding broker.Binding
		code    string
	}{
		{"its own", []tls.Certificate{own}, bound, "mtls", ""},
		{"another", []tls.Certificate{other}, bound, "mtls", "token-certificate"},
		{"none", nil, bound, "mtls", "token-certificate"},
		{"another, where nothing is asked", []tls.Certificate{other}, bound, "", "token-certificate"},
		{"a free token over it", []tls.Certificate{own}, free, "mtls", "token-certificate"},
		{"a free token, where nothing is asked", nil, free, "", ""},
		{"it, where DPoP is asked", []tls.Certificate{own}, bound, "dpop", "token-dpop"},
	} {
		g.agency.Binding = c.binding
		client := g.server.Client()
		client.CloseIdleConnections()
		transport := client.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = c.show
		client.Transport = transport
		if got, _ := g.over(t, "Bearer", c.token, ""); got != c.code {
			t.Errorf("%s: %q, want %q", c.name, got, c.code)
		}
		transport.CloseIdleConnections()
	}
}

// A token counts in the header Authorization, once, and nowhere else.
func TestTokensElsewhere(t *testing.T) {
	g := newGuarded(t, nil, nil)
	token := g.token(t, nil)
	if code, _ := g.over(t, "Bearer", token, ""); code != "" {
		t.Fatal(code)
	}
	body := strings.Replace(question, "{", `{"access_token":"`+token+`",`, 1)
	_, second, _ := strings.Cut(token, ".")
	for name, c := range map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
		code       string
	}{
		"in the query":         {"?access_token=" + token, question, with("Authorization"), 401, "token-missing"},
		"in the query as well": {"?access_token=" + token, question, with("Authorization", "Bearer "+token), 400, "query-not-allowed"},
		"in the body":          {"", body, with("Authorization"), 401, "token-missing"},
		"in a form": {"", "access_token=" + token, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}, 401, "token-missing"},
		"in a cookie": {"", question, func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "access_token="+token) }, 401, "token-missing"},
		"in the header of a proxy": {"", question, func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Proxy-Authorization", "Bearer "+token)
		}, 401, "token-missing"},
		"twice":                      {"", question, with("Authorization", "Bearer "+token, "Bearer "+token), 401, "token-malformed"},
		"a bad one first":            {"", question, with("Authorization", "Bearer x", "Bearer "+token), 401, "token-malformed"},
		"two in one":                 {"", question, with("Authorization", "Bearer "+token+", Bearer "+token), 401, "token-malformed"},
		"as a user's name":           {"", question, func(r *http.Request) { r.SetBasicAuth(token, "") }, 401, "token-malformed"},
		"without its scheme":         {"", question, with("Authorization", token), 401, "token-malformed"},
		"under another scheme":       {"", question, with("Authorization", "Token "+token), 401, "token-malformed"},
		"without its first part":     {"", question, with("Authorization", "Bearer "+second), 401, "token-malformed"},
		"padded":                     {"", question, with("Authorization", "Bearer "+token+"=="), 401, "token-malformed"},
		"larger than 8 KB":           {"", question, with("Authorization", "Bearer "+token+strings.Repeat("A", 8<<10)), 401, "token-too-large"},
		"alg none":                   {"", question, with("Authorization", "Bearer "+none(token)), 401, "token-alg"},
		"signed with its public key": {"", question, with("Authorization", "Bearer "+hmacOf(token, g.key.Public())), 401, "token-alg"},
	} {
		r := g.request(t, http.MethodPost, "/v1/disclosures"+c.path, c.body)
		c.change(r)
		g.do(t, r).wants(t, c.status, c.code)
		if strings.Contains(g.log.String(), token) {
			t.Fatalf("%s: the token is in the log", name)
		}
	}
	// More than all headers may have: refused before anything reads it.
	if got := g.do1(t, "Bearer "+strings.Repeat("A", 1<<20)); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a token of 1 MB: %d", got)
	}
}

// do1 sends a request whose answer is not the gateway's but net/http's own.
func (g *guarded) do1(t *testing.T, authorization string) int {
	t.Helper()
	res, err := g.server.Client().Do(g.request(t, http.MethodPost, "/v1/disclosures", question, with("Authorization", authorization)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func none(token string) string {
	parts := strings.Split(token, ".")
	return header(parts[0], "none") + "." + parts[1] + "."
}

func hmacOf(token string, key []byte) string {
	parts := strings.Split(token, ".")
	input := header(parts[0], "HS256") + "." + parts[1]
	h := hmac.New(sha256.New, key)
	h.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// header gives a protected header with another alg.
func header(part, alg string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(part)
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "ES256", alg, 1)))
}
