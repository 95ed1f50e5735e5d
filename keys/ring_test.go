package keys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/schakel/schakel/keys"
)

var _ keys.Wrapper = (*keys.Ring)(nil)

// clock is a fake clock.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func inMemory(t testing.TB, c *clock) *keys.Ring {
	t.Helper()
	r, err := keys.Create(keys.Config{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signer(t testing.TB, r *keys.Ring, u keys.Use) keys.Signer {
	t.Helper()
	s, err := r.Signer(u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t testing.TB, r *keys.Ring, kid string) keys.KeyInfo {
	t.Helper()
	for _, k := range r.List() {
		if k.ID == kid {
			return k
		}
	}
	t.Fatalf("no key %s in the list", kid)
	return keys.KeyInfo{}
}

func kid(t testing.TB, r *keys.Ring, u keys.Use, s keys.State) string {
	t.Helper()
	var found []string
	for _, k := range r.List() {
		if k.Use == u && k.State == s {
			found = append(found, k.ID)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d keys for %s are %s", len(found), u, s)
	}
	return found[0]
}

func TestLifeOfASigningKey(t *testing.T) {
	c := newClock()
	r := inMemory(t, c)
	first, second := kid(t, r, keys.Answers, keys.Active), kid(t, r, keys.Answers, keys.Next)
	heads := kid(t, r, keys.Heads, keys.Active)
	if signer(t, r, keys.Answers).ID() != first {
		t.Fatal("another than the active key signs")
	}
	signed, err := signer(t, r, keys.Answers).Sign(nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}

	c.t = c.t.Add(time.Hour)
	active, err := r.Rotate(keys.Answers)
	if err != nil {
		t.Fatal(err)
	}
	if active != second || signer(t, r, keys.Answers).ID() != second {
		t.Error("the next key did not become active")
	}
	if k := find(t, r, first); k.State != keys.Retired || !k.Retired.Equal(c.t) {
		t.Errorf("the active key became %+v", k)
	}
	if third := kid(t, r, keys.Answers, keys.Next); third == first || third == second {
		t.Error("no fresh next key")
	}
	if kid(t, r, keys.Heads, keys.Active) != heads {
		t.Error("another use was rotated too")
	}
	if !verifies(t, r.JWKS(keys.Answers), signed) {
		t.Error("a retired key verifies no more")
	}
	if verifies(t, r.JWKS(keys.Heads), signed) {
		t.Error("a key for answers is among those for heads")
	}
	if _, err := r.Rotate("letters"); err == nil {
		t.Error("rotated a use that does not exist")
	}
	if _, err := r.Signer("letters"); err == nil {
		t.Error("a signer for a use that does not exist")
	}
}

func TestRetire(t *testing.T) {
	r := inMemory(t, newClock())
	active, next := kid(t, r, keys.Answers, keys.Active), kid(t, r, keys.Answers, keys.Next)
	if err := r.Retire(next); err != nil {
		t.Fatal(err)
	}
	if find(t, r, next).State != keys.Retired || kid(t, r, keys.Answers, keys.Next) == next || kid(t, r, keys.Answers, keys.Active) != active {
		t.Error("the next key was not replaced")
	}
	fresh := kid(t, r, keys.Answers, keys.Next)
	if err := r.Retire(active); err != nil {
		t.Fatal(err)
	}
	if find(t, r, active).State != keys.Retired || kid(t, r, keys.Answers, keys.Active) != fresh {
		t.Error("the active key did not make way")
	}
	for _, id := range []string{active, "unknown"} {
		if err := r.Retire(id); err == nil {
			t.Errorf("retired %s", id)
		}
	}
	if n := len(r.List()); n != 8+2 {
		t.Errorf("%d keys", n)
	}
}

// What is published holds no private member, and says what each key may sign.
func TestJWKS(t *testing.T) {
	r := inMemory(t, newClock())
	if _, err := r.Rotate(keys.Answers); err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != len(r.List()) {
		t.Errorf("%d keys published of %d", len(set.Keys), len(r.List()))
	}
	for _, k := range set.Keys {
		for member := range k {
			if !slices.Contains([]string{"kty", "crv", "x", "y", "kid", "alg", "use", "schakel_use"}, member) {
				t.Errorf("member %s is published", member)
			}
		}
		info := find(t, r, k["kid"].(string))
		if k["schakel_use"] != string(info.Use) || k["use"] != "sig" || k["alg"] != string(info.Algorithm) {
			t.Errorf("published as %v", k)
		}
	}
	parsed, err := keys.ParseJWKS(r.JWKS(keys.Heads))
	if err != nil || len(parsed) != 2 || parsed[0].Use != keys.Heads {
		t.Errorf("%v, %v", parsed, err)
	}
}

// Checkpoints are signed by Ed25519 whatever the ring's algorithm; a ring that was made before there were any gets keys for
// them by being rotated, and serves everything else before that.
func TestCheckpointKeys(t *testing.T) {
	r := inMemory(t, newClock())
	k, err := r.CheckpointKey()
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(k.Public, []byte("text"), k.Sign([]byte("text"))) || len(r.CheckpointKeys()) != 2 {
		t.Error("it does not sign, or is not among two that are published")
	}
	if _, err := r.Rotate(keys.Checkpoints); err != nil || len(r.CheckpointKeys()) != 3 {
		t.Errorf("rotated: %v, %d keys", err, len(r.CheckpointKeys()))
	}
	if err := r.Forget(keys.Checkpoints); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CheckpointKey(); err == nil || !strings.Contains(err.Error(), "schakel keys rotate") || len(r.CheckpointKeys()) != 0 {
		t.Errorf("an older ring: %v", err)
	}
	signer(t, r, keys.Answers)
	active, err := r.Rotate(keys.Checkpoints)
	if err != nil || kid(t, r, keys.Checkpoints, keys.Active) != active || kid(t, r, keys.Checkpoints, keys.Next) == active {
		t.Errorf("an older ring, rotated: %v", err)
	}
	if err := r.Forget(keys.Heads); err == nil {
		t.Error("a ring without keys for heads")
	}
}

func TestAlgorithmOfFreshKeys(t *testing.T) {
	r, err := keys.Create(keys.Config{Algorithm: keys.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	if a := signer(t, r, keys.Answers).Algorithm(); a != keys.EdDSA {
		t.Errorf("signs with %s", a)
	}
	if _, err := keys.Create(keys.Config{Algorithm: "RS256"}); err == nil {
		t.Error("made a ring with RS256")
	}
}

// verifies tells whether a key of the set verifies a compact JWS.
func verifies(t testing.TB, jwks []byte, compact string) bool {
	t.Helper()
	set, err := keys.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(set, func(k keys.PublicKey) bool {
		_, err := k.Verify(compact)
		return err == nil
	})
}

func TestAgencyKeys(t *testing.T) {
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.PS256} {
		public, private, err := keys.NewAgencyKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		s, err := keys.ParseSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		p, err := keys.ParsePublic(public)
		if err != nil {
			t.Fatal(err)
		}
		if p.ID != s.ID() || p.Algorithm != alg || s.Algorithm() != alg || len(p.ID) != 43 || string(s.Public()) != string(public) {
			t.Errorf("%s: %+v beside %s %s", alg, p, s.ID(), s.Algorithm())
		}
		signed, err := s.Sign(map[string]any{"typ": "x"}, []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Verify(signed); err != nil || string(got) != "text" {
			t.Errorf("%s: %q, %v", alg, got, err)
		}
		if _, err := p.Verify(signed[:len(signed)-8] + "AAAAAAAA"); err == nil {
			t.Errorf("%s: a changed signature verifies", alg)
		}
		if _, err := keys.ParseSigner(public); err == nil || !strings.Contains(err.Error(), "public key") {
			t.Errorf("a public key signs: %v", err)
		}
		if _, err := keys.ParsePublic(private); err == nil || !strings.Contains(err.Error(), "private") {
			t.Errorf("a private key was taken for public: %v", err)
		}
	}
}

// The example of RFC 7638, section 3.1: an RSA key and its thumbprint.
func TestThumbprintIsThatOfRFC7638(t *testing.T) {
	const jwk = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}`
	k, err := keys.ParsePublic([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	if k.ID != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" || k.Algorithm != keys.PS256 {
		t.Errorf("%+v", k)
	}
}

func TestParseRefuses(t *testing.T) {
	public, _, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	good := string(public)
	key384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := jose.JSONWebKey{Key: key384.Public()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, jwk := range map[string]string{
		"none":            "",
		"list":            "[]",
		"symmetric":       `{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}`,
		"unknown kind":    `{"kty":"new"}`,
		"alg of another":  strings.Replace(good, `"ES256"`, `"PS256"`, 1),
		"RS256":           `{"kty":"RSA","alg":"RS256","n":"` + strings.Repeat("_", 342) + `","e":"AQAB"}`,
		"short RSA":       `{"kty":"RSA","n":"` + strings.Repeat("_", 171) + `","e":"AQAB"}`,
		"for encryption":  strings.Replace(good, `"sig"`, `"enc"`, 1),
		"member twice":    strings.Replace(good, `{`, `{"kid":"x",`, 1),
		"use no text":     strings.Replace(good, `{`, `{"schakel_use":1,`, 1),
		"off the curve":   `{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`,
		"another curve":   string(p384),
		"X25519":          `{"kty":"OKP","crv":"X25519","x":"` + strings.Repeat("A", 43) + `"}`,
		"text after it":   good + "{}",
		"key set instead": `{"keys":[` + good + `]}`,
	} {
		if k, err := keys.ParsePublic([]byte(jwk)); err == nil {
			t.Errorf("%s: parsed as %+v", name, k)
		}
		if _, err := keys.ParseSigner([]byte(jwk)); err == nil {
			t.Errorf("%s: parsed as a signer", name)
		}
	}
}
