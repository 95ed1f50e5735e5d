package seal_test

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

const asked = server + "/v1/disclosures"

// prover is a client with a DPoP key, and a token that is bound to it.
type prover struct {
	w       *world
	token   string
	private json.RawMessage // ES256
	public  json.RawMessage
}

func newProver(t testing.TB, w *world) *prover {
	t.Helper()
	private := proofKeys()[keys.ES256]
	key, err := keys.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	p := &prover{w: w, private: private, public: key.Public()}
	p.token = p.bound(t, keys.ES256)
	return p
}

// proofKeys are private JWKs that no register knows, by algorithm.
func proofKeys() map[keys.Algorithm]json.RawMessage { return made().proof }

// bound makes a token bound to the proof key of an algorithm.
func (p *prover) bound(t testing.TB, alg keys.Algorithm) string {
	t.Helper()
	key, err := keys.ParseSigner(proofKeys()[alg])
	if err != nil {
		t.Fatal(err)
	}
	jkt, err := seal.ProofKey(key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := seal.SignToken(p.w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start, KeyThumbprint: jkt})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// head and claims are those of a proof that is taken; tests change one thing.
func (p *prover) head() object {
	return object{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.public}
}

func (p *prover) claims() object {
	return object{"jti": rand.Text(), "htm": "POST", "htu": asked, "iat": start.Unix(),
		"ath": b64(sum([]byte(p.token))), "nonce": p.w.opener.Nonce()}
}

func (p *prover) proof(t testing.TB) string { return sign(t, p.private, "ES256", p.head(), p.claims()) }

func (p *prover) open(proof string) error { return p.w.openProved(p.token, proof) }

func (w *world) openProved(token, proof string) error {
	_, err := w.opener.Open(context.Background(), token, broker.Channel{DPoP: true, Proof: proof, Method: "POST", URL: asked})
	return err
}

// Each case is a proof that is taken but for one thing, made by hand (RFC 9449, 4.3).
func TestProofAttacks(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	if err := p.open(p.proof(t)); err != nil {
		t.Fatalf("the proof every case starts from is not taken: %v", err)
	}
	with2 := func(o object, name string, v any) string { return jsonOf(t, with(o, name, v)) }
	ec := p.private
	other := proofKeys()[keys.EdDSA]
	otherKey, err := keys.ParseSigner(other)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(change func(map[string]any)) object {
		var k map[string]any
		if err := json.Unmarshal(p.public, &k); err != nil {
			t.Fatal(err)
		}
		change(k)
		return with(p.head(), "jwk", k)
	}
	d := func() string {
		var k struct{ D string }
		_ = json.Unmarshal(ec, &k)
		return k.D
	}()
	good := func() string { return p.proof(t) }
	rsaKey := proofKeys()[keys.PS256]
	cases := []struct {
		name, proof, code string
	}{
		{"no proof", "", "proof-missing"},
		{"giant", sign(t, ec, "ES256", p.head(), with(p.claims(), "x", strings.Repeat("x", 4<<10))), "proof-malformed"},
		{"no JWS", "proof", "proof-malformed"},
		{"two proofs in one header", good() + ", " + good(), "proof-malformed"},
		{"JSON serialisation", `{"payload":"e30","protected":"e30","signature":"e30"}`, "proof-malformed"},
		{"a JWE", "e30.e30.e30.e30.e30", "proof-malformed"},
		{"stray bits in the signature", stray(good()), "proof-malformed"},
		{"padding", good() + "==", "proof-malformed"},
		{"duplicate claim", sign(t, ec, "ES256", p.head(), doubled(t, p.claims(), "htm", "POST")), "proof-malformed"},
		{"duplicate header member", sign(t, ec, "ES256", doubled(t, p.head(), "typ", "dpop+jwt"), p.claims()), "proof-malformed"},
		{"duplicate inside jwk", sign(t, ec, "ES256", strings.Replace(jsonOf(t, p.head()), `"kty"`, `"kty":"EC","kty"`, 1), p.claims()), "proof-malformed"},
		{"jku", sign(t, ec, "ES256", with(p.head(), "jku", "https://attacker.example/jwks"), p.claims()), "proof-malformed"},
		{"x5u", sign(t, ec, "ES256", with(p.head(), "x5u", "https://attacker.example/c"), p.claims()), "proof-malformed"},
		{"x5c", sign(t, ec, "ES256", with(p.head(), "x5c", []string{"MIIB"}), p.claims()), "proof-malformed"},
		{"crit", sign(t, ec, "ES256", with(with(p.head(), "crit", []string{"x"}), "x", 1), p.claims()), "proof-malformed"},
		{"b64", sign(t, ec, "ES256", with(p.head(), "b64", false), p.claims()), "proof-malformed"},
		{"deep", sign(t, ec, "ES256", p.head(), `{"a":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)+`}`), "proof-malformed"},
		{"the token itself as its proof", p.token, "proof-typ"},
		{"typ JWT", sign(t, ec, "ES256", with(p.head(), "typ", "JWT"), p.claims()), "proof-typ"},
		{"typ of a token", sign(t, ec, "ES256", with(p.head(), "typ", seal.TokenType), p.claims()), "proof-typ"},
		{"typ in capitals", sign(t, ec, "ES256", with(p.head(), "typ", "DPOP+JWT"), p.claims()), "proof-typ"},
		{"no typ", sign(t, ec, "ES256", without(p.head(), "typ"), p.claims()), "proof-typ"},
		{"alg none", sign(t, ec, "none", with(p.head(), "alg", "none"), p.claims()), "proof-alg"},
		{"alg None", sign(t, ec, "none", with(p.head(), "alg", "None"), p.claims()), "proof-alg"},
		{"HS256 with the public key", hmacToken(t, with(p.head(), "alg", "HS256"), p.claims(), p.public), "proof-alg"},
		{"RS256", sign(t, rsaKey, "RS256", with(with(p.head(), "alg", "RS256"), "jwk", publicOf(t, rsaKey)), p.claims()), "proof-alg"},
		{"ES384", sign(t, ec, "ES256", with(p.head(), "alg", "ES384"), p.claims()), "proof-alg"},
		{"EdDSA with an EC key", sign(t, ec, "ES256", with(p.head(), "alg", "EdDSA"), p.claims()), "proof-alg"},
		{"no jwk", sign(t, ec, "ES256", without(p.head(), "jwk"), p.claims()), "proof-jwk"},
		{"jwk a text", sign(t, ec, "ES256", with(p.head(), "jwk", string(p.public)), p.claims()), "proof-jwk"},
		{"jwk with its private part", sign(t, ec, "ES256", jwk(func(k map[string]any) { k["d"] = d }), p.claims()), "proof-jwk"},
		{"jwk symmetric", hmacToken(t, with(p.head(), "jwk", object{"kty": "oct", "k": b64(make([]byte, 32))}), p.claims(), make([]byte, 32)), "proof-jwk"},
		{"jwk for encryption", sign(t, ec, "ES256", jwk(func(k map[string]any) { k["use"] = "enc" }), p.claims()), "proof-jwk"},
		{"jwk off the curve", sign(t, ec, "ES256", jwk(func(k map[string]any) { k["y"] = k["x"] }), p.claims()), "proof-jwk"},
		{"jwk of another curve", sign(t, ec, "ES256", jwk(func(k map[string]any) { k["crv"] = "P-384" }), p.claims()), "proof-jwk"},
		{"jwk short", sign(t, ec, "ES256", jwk(func(k map[string]any) { k["x"] = "AA" }), p.claims()), "proof-jwk"},
		{"another key, and its proof fits", sign(t, other, "EdDSA", with(with(p.head(), "jwk", otherKey.Public()), "alg", "EdDSA"), p.claims()), "proof-key"},
		{"the agency's own token key", sign(t, w.private[keys.ES256], "ES256", with(p.head(), "jwk", w.key[keys.ES256].Public()), p.claims()), "proof-key"},
		{"the right key named, another one signs", sign(t, w.private[keys.ES256], "ES256", p.head(), p.claims()), "proof-signature"},
		{"kid of the right key", sign(t, w.private[keys.ES256], "ES256", with(p.head(), "kid", p.thumbprint(t)), p.claims()), "proof-signature"},
		{"no signature", strings.Join(segments(good())[:2], ".") + ".", "proof-signature"},
		{"signature of zeros", strings.Join(segments(good())[:2], ".") + "." + b64(make([]byte, 64)), "proof-signature"},
		{"claims of another proof", segments(good())[0] + "." + enc(t, p.claims()) + "." + segments(good())[2], "proof-signature"},
		{"no jti", sign(t, ec, "ES256", p.head(), without(p.claims(), "jti")), "proof-claims"},
		{"short jti", sign(t, ec, "ES256", p.head(), with2(p.claims(), "jti", "1")), "proof-claims"},
		{"long jti", sign(t, ec, "ES256", p.head(), with2(p.claims(), "jti", strings.Repeat("j", 201))), "proof-claims"},
		{"jti a number", sign(t, ec, "ES256", p.head(), with2(p.claims(), "jti", 1234567890123456)), "proof-claims"},
		{"no iat", sign(t, ec, "ES256", p.head(), without(p.claims(), "iat")), "proof-claims"},
		{"iat a text", sign(t, ec, "ES256", p.head(), with2(p.claims(), "iat", fmt.Sprint(start.Unix()))), "proof-claims"},
		{"no htm", sign(t, ec, "ES256", p.head(), without(p.claims(), "htm")), "proof-htm"},
		{"another method", sign(t, ec, "ES256", p.head(), with2(p.claims(), "htm", "GET")), "proof-htm"},
		{"method in lower case", sign(t, ec, "ES256", p.head(), with2(p.claims(), "htm", "post")), "proof-htm"},
		{"no htu", sign(t, ec, "ES256", p.head(), without(p.claims(), "htu")), "proof-htu"},
		{"no ath", sign(t, ec, "ES256", p.head(), without(p.claims(), "ath")), "proof-ath"},
		{"ath of another token", sign(t, ec, "ES256", p.head(), with2(p.claims(), "ath", b64(sum([]byte("other"))))), "proof-ath"},
		{"ath in base64 with padding", sign(t, ec, "ES256", p.head(), with2(p.claims(), "ath", b64(sum([]byte(p.token)))+"=")), "proof-ath"},
		{"no nonce", sign(t, ec, "ES256", p.head(), without(p.claims(), "nonce")), "proof-nonce"},
		{"a nonce of its own", sign(t, ec, "ES256", p.head(), with2(p.claims(), "nonce", b64(make([]byte, 32)))), "proof-nonce"},
		{"nonce empty", sign(t, ec, "ES256", p.head(), with2(p.claims(), "nonce", "")), "proof-nonce"},
		{"nonce in a list", sign(t, ec, "ES256", p.head(), with2(p.claims(), "nonce", []string{w.opener.Nonce()})), "proof-nonce"},
		{"iat long ago", sign(t, ec, "ES256", p.head(), with2(p.claims(), "iat", start.Unix()-91)), "proof-iat"},
		{"iat in the future", sign(t, ec, "ES256", p.head(), with2(p.claims(), "iat", start.Unix()+31)), "proof-iat"},
		{"exp passed", sign(t, ec, "ES256", p.head(), with2(p.claims(), "exp", start.Unix()-31)), "proof-iat"},
		{"nbf ahead", sign(t, ec, "ES256", p.head(), with2(p.claims(), "nbf", start.Unix()+31)), "proof-iat"},
		{"exp no number", sign(t, ec, "ES256", p.head(), with2(p.claims(), "exp", "never")), "proof-iat"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // a refused proof stays refused, for the same reason: it is not remembered
				if got := code(t, p.open(c.proof)); got != c.code {
					t.Errorf("code %q, want %q", got, c.code)
				}
			}
		})
	}
	for _, want := range seal.TokenCodes() {
		if strings.HasPrefix(want, "proof-") && want != "proof-replayed" &&
			!slices.ContainsFunc(cases, func(c struct{ name, proof, code string }) bool { return c.code == want }) {
			t.Errorf("no case for code %s", want)
		}
	}
}

func (p *prover) thumbprint(t testing.TB) string {
	t.Helper()
	k, err := keys.ParsePublic(p.public)
	if err != nil {
		t.Fatal(err)
	}
	return k.Thumbprint()
}

func publicOf(t testing.TB, private json.RawMessage) json.RawMessage {
	t.Helper()
	s, err := keys.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s.Public()
}

// The thumbprint is that of RFC 7638, computed here by hand.
func TestProofKeyIsTheThumbprint(t *testing.T) {
	var k struct{ Crv, Kty, X, Y string }
	p := newProver(t, newWorld(t))
	if err := json.Unmarshal(p.public, &k); err != nil {
		t.Fatal(err)
	}
	want := b64(sum([]byte(`{"crv":"` + k.Crv + `","kty":"` + k.Kty + `","x":"` + k.X + `","y":"` + k.Y + `"}`)))
	if got := p.thumbprint(t); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestProofsOfEveryAlgorithm(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	for alg, private := range proofKeys() {
		key, err := keys.ParseSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		token := p.bound(t, alg)
		proof, err := seal.SignProof(key, seal.ProofClaims{Token: token, Method: "POST", URL: asked, Nonce: w.opener.Nonce(), IssuedAt: start})
		if err != nil {
			t.Fatal(err)
		}
		if len(proof) > 4<<10 {
			t.Errorf("%s: a proof of %d bytes", alg, len(proof))
		}
		if err := w.openProved(token, proof); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// htu is compared as RFC 3986 says that URLs are the same, and no further.
func TestProofURL(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	for htu, want := range map[string]string{
		asked:                                    "",
		asked + "?bsn=1":                         "",
		asked + "#part":                          "",
		"HTTPS://Schakel.EXAMPLE/v1/disclosures": "",
		"https://schakel.example:443/v1/disclosures":                      "",
		"https://schakel.example:/v1/disclosures":                         "",
		"https://schakel.example/v1/./x/../disclosures":                   "",
		"https://schakel.example/v1/%64isclosures":                        "",
		"https://schakel.example/v1/%2e/disclosures":                      "",
		"http://schakel.example/v1/disclosures":                           "proof-htu",
		"https://schakel.example:8443/v1/disclosures":                     "proof-htu",
		"https://schakel.example:80/v1/disclosures":                       "proof-htu",
		"https://schakel.example443/v1/disclosures":                       "proof-htu",
		"https://schakel.example/v1/disclosures/":                         "proof-htu",
		"https://schakel.example/v1/Disclosures":                          "proof-htu",
		"https://schakel.example//v1/disclosures":                         "proof-htu",
		"https://schakel.example/v1%2fdisclosures":                        "proof-htu",
		"https://schakel.example/v1/catalog":                              "proof-htu",
		"https://schakel.example":                                         "proof-htu",
		"https://schakel.example.attacker.example/v1/disclosures":         "proof-htu",
		"https://user@schakel.example/v1/disclosures":                     "proof-htu",
		"https://schakel.example@attacker.example/v1/disclosures":         "proof-htu",
		"https://attacker.example/https://schakel.example/v1/disclosures": "proof-htu",
		"/v1/disclosures":                         "proof-htu",
		"//schakel.example/v1/disclosures":        "proof-htu",
		"https:schakel.example/v1/disclosures":    "proof-htu",
		"https://schakel.example/v1/disclosures ": "proof-htu",
		"https://ѕchakel.example/v1/disclosures":  "proof-htu", // a Cyrillic letter
		"https://[::1/v1/disclosures":             "proof-htu",
		"file:///v1/disclosures":                  "proof-htu",
		"":                                        "proof-htu",
	} {
		proof := sign(t, p.private, "ES256", p.head(), with(p.claims(), "htu", htu))
		if got := code(t, p.open(proof)); got != want {
			t.Errorf("htu %q: code %q, want %q", htu, got, want)
		}
	}
	// A server that does not know its own URL takes no proof at all.
	proof := sign(t, p.private, "ES256", p.head(), with(p.claims(), "htu", ""))
	_, err := w.opener.Open(t.Context(), p.token, broker.Channel{DPoP: true, Proof: proof, Method: "POST"})
	if code(t, err) != "proof-htu" {
		t.Errorf("without a URL of its own: %v", err)
	}
}

func TestProofReplayed(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	claims := p.claims()
	first := sign(t, p.private, "ES256", p.head(), claims)
	if err := p.open(first); err != nil {
		t.Fatal(err)
	}
	for name, proof := range map[string]string{
		"the same bytes":                first,
		"the other signature that fits": highS(t, first),
		"signed again":                  sign(t, p.private, "ES256", p.head(), claims),
		"other claims, the same jti":    sign(t, p.private, "ES256", p.head(), with(claims, "iat", start.Unix()-1)),
	} {
		if got := code(t, p.open(proof)); got != "proof-replayed" {
			t.Errorf("%s: code %q", name, got)
		}
	}
	// With another token of the same key too: ath is another, jti is not.
	token := p.bound(t, keys.ES256)
	again := sign(t, p.private, "ES256", p.head(), with(claims, "ath", b64(sum([]byte(token)))))
	if got := code(t, w.openProved(token, again)); got != "proof-replayed" {
		t.Errorf("with another token: code %q", got)
	}
	// It is remembered until its nonce is no good.
	for after, want := range map[time.Duration]string{59 * time.Second: "proof-replayed", 61 * time.Second: "proof-nonce", time.Hour: "token-expired"} {
		w.at(start.Add(after))
		if got := code(t, p.open(first)); got != want {
			t.Errorf("after %v: code %q, want %q", after, got, want)
		}
	}
}

// A nonce is good for a minute where it was given, for five seconds at the other gateways, and nowhere else.
func TestProofNonces(t *testing.T) {
	secret := func(key string) func(*seal.OpenerConfig) {
		return func(c *seal.OpenerConfig) {
			c.MACNonce = func(n []byte) []byte { return sum(append([]byte(key), n...)) }
		}
	}
	here, there, stranger := newWorld(t, secret("one")), newWorld(t, secret("one")), newWorld(t, secret("two"))
	p := newProver(t, here)
	proof := func() string { return sign(t, p.private, "ES256", p.head(), p.claims()) }
	for _, c := range []struct {
		name  string
		at    *world
		after time.Duration
		code  string
	}{
		{"here, at once", here, 0, ""},
		{"here, a minute later", here, time.Minute, ""},
		{"here, later", here, time.Minute + time.Millisecond, "proof-nonce"},
		{"at another gateway, at once", there, 0, ""},
		{"at another gateway, seconds later", there, 5 * time.Second, ""},
		{"at another gateway, later", there, 5*time.Second + time.Millisecond, "proof-nonce"},
		{"at another gateway whose clock is behind", there, -5 * time.Second, ""},
		{"at another gateway whose clock is far behind", there, -6 * time.Second, "proof-nonce"},
		{"at another deployment", stranger, 0, "proof-nonce"},
	} {
		here.at(start)
		s := proof()
		c.at.at(start.Add(c.after))
		if got := code(t, c.at.openProved(p.token, s)); got != c.code {
			t.Errorf("%s: code %q, want %q", c.name, got, c.code)
		}
	}
	// What was taken here can be taken once more elsewhere, within those seconds: that is what is left.
	here.at(start)
	there.at(start)
	s := proof()
	if err := here.openProved(p.token, s); err != nil {
		t.Fatal(err)
	}
	if err := there.openProved(p.token, s); err != nil {
		t.Fatal(err)
	}
	if got := code(t, there.openProved(p.token, s)); got != "proof-replayed" {
		t.Errorf("twice elsewhere: code %q", got)
	}
	// A changed nonce is none: who gave it and when stand under the MAC.
	for i := range 43 {
		nonce := []byte(here.opener.Nonce())
		nonce[i] = map[bool]byte{true: 'A', false: 'B'}[nonce[i] != 'A']
		proof := sign(t, p.private, "ES256", p.head(), with(p.claims(), "nonce", string(nonce)))
		if got := code(t, here.openProved(p.token, proof)); got != "proof-nonce" {
			t.Fatalf("with character %d changed: code %q", i, got)
		}
	}
}

// What the token says and what the register asks of its agency, against how it came.
func TestOpenBindsToAKey(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	free, err := seal.SignToken(w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
	if err != nil {
		t.Fatal(err)
	}
	both, err := seal.SignToken(w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start, KeyThumbprint: p.thumbprint(t), CertificateThumbprint: thumb})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		binding broker.Binding
		token   string
		dpop    bool
		proof   bool
		over    string // thumbprint of the certificate
		code    string
	}{
		{"bound, with its proof", "dpop", p.token, true, true, "", ""},
		{"bound, by its own choice", "", p.token, true, true, "", ""},
		{"bound, as a bearer token", "dpop", p.token, false, false, "", "token-dpop"},
		{"bound, as a bearer token, by its own choice", "", p.token, false, false, "", "token-dpop"},
		{"bound, as a bearer token with a proof", "dpop", p.token, false, true, "", "token-dpop"},
		{"bound, without a proof", "dpop", p.token, true, false, "", "proof-missing"},
		{"free, where the agency is held to DPoP", "dpop", free, false, false, "", "token-dpop"},
		{"free, as if it were bound", "", free, true, true, "", "token-dpop"},
		{"free, with a proof all the same", "", free, false, true, "", "token-dpop"},
		{"free, as before", "", free, false, false, "", ""},
		{"bound to a key, where the agency is held to its certificate", "mtls", p.token, true, true, thumb, "token-certificate"},
		{"bound to both", "mtls", both, true, true, thumb, ""},
		{"bound to both, another certificate", "dpop", both, true, true, otherThumb, "token-certificate"},
		{"bound to both, without a certificate", "dpop", both, true, true, "", "token-certificate"},
		{"bound to both, without a proof", "mtls", both, true, false, thumb, "proof-missing"},
		{"bound to both, as a bearer token", "mtls", both, false, false, thumb, "token-dpop"},
	} {
		w.turn(gemeente, func(a *broker.Agency) { a.Binding = c.binding })
		ch := broker.Channel{DPoP: c.dpop, Method: "POST", URL: asked, CertificateThumbprint: c.over}
		if c.proof {
			ch.Proof = sign(t, p.private, "ES256", p.head(), with(p.claims(), "ath", b64(sum([]byte(c.token)))))
		}
		_, err := w.opener.Open(t.Context(), c.token, ch)
		if code(t, err) != c.code {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
	}
}

// The memory of proofs is bounded for each agency; at the bound an agency waits, and others don't.
func TestProofMemoryIsBounded(t *testing.T) {
	memory := seal.NewProofs()
	id := func(i int) (out [16]byte) { copy(out[:], fmt.Sprintf("%016d", i)); return out }
	for i := range seal.MaxProofs {
		if fresh, full := memory.Claim(gemeente, id(i), start); !fresh || full {
			t.Fatalf("proof %d: fresh %v, full %v", i, fresh, full)
		}
	}
	if fresh, full := memory.Claim(gemeente, id(seal.MaxProofs), start); fresh || !full {
		t.Errorf("over the bound: fresh %v, full %v", fresh, full)
	}
	if fresh, full := memory.Claim(gemeente, id(0), start); fresh || full {
		t.Error("at the bound a replay is no longer known")
	}
	if fresh, _ := memory.Claim(corp, id(seal.MaxProofs), start); !fresh {
		t.Error("one agency shuts out another")
	}
	later := start.Add(seal.ProofMemory)
	if fresh, _ := memory.Claim(gemeente, id(1), later); fresh {
		t.Error("forgotten too soon")
	}
	if fresh, full := memory.Claim(gemeente, id(seal.MaxProofs+1), later); !fresh || full {
		t.Errorf("in the next generation: fresh %v, full %v", fresh, full)
	}
	if n := memory.Len(); n > 2*seal.MaxProofs {
		t.Errorf("%d proofs are kept", n)
	}
	if fresh, _ := memory.Claim(gemeente, id(2), start.Add(4*seal.ProofMemory)); !fresh {
		t.Error("never forgotten")
	}
	if n := memory.Len(); n != 1 {
		t.Errorf("after a pause %d proofs are kept", n)
	}
}

// highS turns an ES256 signature (r, s) into (r, n-s), which fits as well.
func highS(t testing.TB, compact string) string {
	t.Helper()
	parts := segments(compact)
	raw, err := b64url.DecodeString(parts[2])
	if err != nil || len(raw) != 64 {
		t.Fatal(errors.Join(err, errors.New("no ES256 signature")))
	}
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:]))
	s.FillBytes(raw[32:])
	return parts[0] + "." + parts[1] + "." + b64(raw)
}
