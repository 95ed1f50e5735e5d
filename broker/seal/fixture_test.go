package seal_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

var _ broker.Opener = (*seal.Opener)(nil)
var _ broker.Sealer = (*seal.Sealer)(nil)

const (
	gemeente = broker.OIN("00000001001234567000")
	corp     = broker.OIN("00000001009876543000")
	server   = "https://schakel.example"
)

var (
	start      = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	thumb      = b64(sum([]byte("client certificate of the gemeente")))
	otherThumb = b64(sum([]byte("another client certificate")))
)

var b64url = base64.RawURLEncoding

func b64(b []byte) string { return b64url.EncodeToString(b) }

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

// world is an Opener with two agencies, whose register and clock a test may turn.
type world struct {
	mu       sync.Mutex
	now      time.Time
	agencies map[broker.OIN]broker.Agency
	opener   *seal.Opener
	key      map[keys.Algorithm]keys.Signer // of the gemeente
	private  map[keys.Algorithm]json.RawMessage
	proof    map[keys.Algorithm]json.RawMessage // private keys that no register knows
	corpKey  keys.Signer

	corpPrivate json.RawMessage
}

// made once: generating RSA keys takes time.
var made = sync.OnceValue(func() *world {
	w := &world{key: map[keys.Algorithm]keys.Signer{}, private: map[keys.Algorithm]json.RawMessage{},
		proof: map[keys.Algorithm]json.RawMessage{}}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.PS256} {
		_, private, err := keys.NewAgencyKey(alg)
		if err != nil {
			panic(err)
		}
		w.private[alg] = private
		if _, w.proof[alg], err = keys.NewAgencyKey(alg); err != nil {
			panic(err)
		}
		if w.key[alg], err = keys.ParseSigner(private); err != nil {
			panic(err)
		}
	}
	_, private, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		panic(err)
	}
	w.corpPrivate = private
	if w.corpKey, err = keys.ParseSigner(private); err != nil {
		panic(err)
	}
	return w
})

func newWorld(t testing.TB, change ...func(*seal.OpenerConfig)) *world {
	t.Helper()
	m := made()
	w := &world{now: start, key: m.key, private: m.private, corpKey: m.corpKey, corpPrivate: m.corpPrivate}
	a := broker.Agency{OIN: gemeente, Kind: "gemeente", Roles: []broker.Role{"wijkteammedewerker", "casusregisseur"}}
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.PS256} {
		a.Keys = append(a.Keys, broker.AgencyKey{ID: m.key[alg].ID(), JWK: m.key[alg].Public()})
	}
	w.agencies = map[broker.OIN]broker.Agency{
		gemeente: a,
		corp: {OIN: corp, Kind: "woningcorporatie", Roles: []broker.Role{"medewerker-sociale-incasso"},
			Keys: []broker.AgencyKey{{ID: m.corpKey.ID(), JWK: m.corpKey.Public()}}},
	}
	cfg := seal.OpenerConfig{
		Agencies: func(oin broker.OIN) (broker.Agency, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			a, ok := w.agencies[oin]
			return a, ok
		},
		Audience: []string{server, "schakel"},
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.opener, err = seal.NewOpener(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) at(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

// turn changes an agency in the register.
func (w *world) turn(oin broker.OIN, f func(*broker.Agency)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.agencies[oin]
	a.Keys = append([]broker.AgencyKey(nil), a.Keys...)
	f(&a)
	w.agencies[oin] = a
}

func (w *world) open(token string) (broker.Caller, error) {
	return w.opener.Open(context.Background(), token, broker.Channel{})
}

func (w *world) openOver(token, thumbprint string) (broker.Caller, error) {
	return w.opener.Open(context.Background(), token, broker.Channel{CertificateThumbprint: thumbprint})
}

// code is the code of a 401, "" for no error. Any other error fails the test.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *broker.Error
	if !errors.As(err, &e) || e.Kind != broker.KindUnauthenticated {
		t.Fatalf("not an error of KindUnauthenticated: %v", err)
	}
	return e.Code
}

type object = map[string]any

// goodHeader and goodClaims are those of a token that opens; tests change one thing.
func (w *world) goodHeader(alg keys.Algorithm) object {
	return object{"typ": seal.TokenType, "alg": string(alg), "kid": w.key[alg].ID()}
}

func goodClaims() object {
	return object{"iss": string(gemeente), "sub": "m.jansen", "role": "wijkteammedewerker", "aud": server,
		"iat": start.Unix(), "exp": start.Unix() + 300, "jti": "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}
}

func with(o object, name string, v any) object {
	o = maps.Clone(o)
	o[name] = v
	return o
}

func without(o object, name string) object {
	o = maps.Clone(o)
	delete(o, name)
	return o
}

func enc(t testing.TB, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return b64([]byte(s)) // raw JSON, or what is meant to be none
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64(b)
}

// sign makes a compact JWS of any header and claims by hand, with a private JWK, so that attacks need no help of the
// code under test. alg is the algorithm really used.
func sign(t testing.TB, private json.RawMessage, alg string, header, claims any) string {
	t.Helper()
	input := enc(t, header) + "." + enc(t, claims)
	return input + "." + b64(signature(t, private, alg, input))
}

func signature(t testing.TB, private json.RawMessage, alg, input string) []byte {
	t.Helper()
	var k struct{ Kty, Crv, N, E, D, P, Q, X, Y string }
	if err := json.Unmarshal(private, &k); err != nil {
		t.Fatal(err)
	}
	digest := sum([]byte(input))
	switch alg {
	case "none":
		return nil
	case "ES256", "ES384":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}[k.Crv]
		d, _ := base64.RawURLEncoding.DecodeString(k.D)
		key, err := ecdsa.ParseRawPrivateKey(curve, d)
		if err != nil {
			t.Fatal(err)
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			t.Fatal(err)
		}
		size := (curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case "EdDSA":
		d, err := b64url.DecodeString(k.D)
		if err != nil {
			t.Fatal(err)
		}
		return ed25519.Sign(ed25519.NewKeyFromSeed(d), []byte(input))
	case "RS256", "PS256":
		key := rsaKey(t, private)
		var out []byte
		var err error
		if alg == "RS256" {
			out, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)
		} else {
			out, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatalf("no signing with %s here", alg)
	return nil
}

// ecdsaKey reads a public P-256 JWK by hand.
func ecdsaKey(t testing.TB, jwk json.RawMessage) *ecdsa.PublicKey {
	t.Helper()
	var k struct{ X, Y string }
	if err := json.Unmarshal(jwk, &k); err != nil {
		t.Fatal(err)
	}
	x, err1 := b64url.DecodeString(k.X)
	y, err2 := b64url.DecodeString(k.Y)
	key, err3 := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return key
}

func hs256(key []byte, input string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(input))
	return h.Sum(nil)
}

func segments(token string) []string { return strings.Split(token, ".") }
