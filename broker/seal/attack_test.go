package seal_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// More tokens that open but for one thing: what is known of attacks on tokens elsewhere. TestOpenAttacks has the plain
// faults.
func TestOpenKnownAttacks(t *testing.T) {
	w := newWorld(t)
	es, ed := w.private[keys.ES256], w.private[keys.EdDSA]
	head, claims := w.goodHeader(keys.ES256), goodClaims()
	good := sign(t, es, "ES256", head, claims)
	if _, err := w.open(good); err != nil {
		t.Fatalf("the token every case starts from does not open: %v", err)
	}
	h := func(name string, v any) string { return sign(t, es, "ES256", with(head, name, v), claims) }
	c := func(name string, v any) string { return sign(t, es, "ES256", head, with(claims, name, v)) }
	// raw puts a value into the claims as it stands, where encoding/json would write another.
	raw := func(name, value string) string {
		return sign(t, es, "ES256", head, strings.Replace(jsonOf(t, with(claims, name, "?")), `"?"`, value, 1))
	}
	signed := func(signature []byte) string { return strings.Join(segments(good)[:2], ".") + "." + b64(signature) }
	rs, err := b64url.DecodeString(segments(good)[2])
	if err != nil {
		t.Fatal(err)
	}
	r, s := rs[:32], rs[32:]
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	spki, asPEM := spkiOf(t, w.key[keys.ES256].Public())
	var x struct{ X string }
	if err := json.Unmarshal(w.key[keys.ES256].Public(), &x); err != nil {
		t.Fatal(err)
	}
	rawX, _ := b64url.DecodeString(x.X)
	cases := []struct {
		name, token, code string
	}{
		// Algorithm confusion.
		{"alg NONE", sign(t, es, "none", with(head, "alg", "NONE"), claims), "token-alg"},
		{"alg none, with a space", sign(t, es, "none", with(head, "alg", "none "), claims), "token-alg"},
		{"alg empty", h("alg", ""), "token-alg"},
		{"alg null", h("alg", nil), "token-alg"},
		{"alg in a list", h("alg", []string{"ES256"}), "token-alg"},
		{"alg in lower case", h("alg", "es256"), "token-alg"},
		{"alg with a space", h("alg", "ES256 "), "token-alg"},
		{"alg with NUL", h("alg", "ES256\x00"), "token-alg"},
		{"alg with a look-alike", h("alg", "ЕS256"), "token-alg"}, // a Cyrillic letter
		{"ES256K", h("alg", "ES256K"), "token-alg"},
		{"Ed25519 by its newer name", sign(t, ed, "EdDSA", with(w.goodHeader(keys.EdDSA), "alg", "Ed25519"), claims), "token-alg"},
		{"PS384", sign(t, w.private[keys.PS256], "PS256", with(w.goodHeader(keys.PS256), "alg", "PS384"), claims), "token-alg"},
		{"dir, of encryption", h("alg", "dir"), "token-alg"},
		{"HS256 with the key in PEM", hmacToken(t, with(head, "alg", "HS256"), claims, asPEM), "token-alg"},
		{"HS256 with the key in DER", hmacToken(t, with(head, "alg", "HS256"), claims, spki), "token-alg"},
		{"HS256 with the key's x", hmacToken(t, with(head, "alg", "HS256"), claims, rawX), "token-alg"},
		{"HS256 with nothing", hmacToken(t, with(head, "alg", "HS256"), claims, nil), "token-alg"},
		{"HMAC called ES256", hmacToken(t, head, claims, w.key[keys.ES256].Public()), "token-signature"},
		{"PS256 for an Ed25519 key", h("kid", w.key[keys.EdDSA].ID()), "token-alg"},
		{"ES256 for an Ed25519 key", sign(t, ed, "EdDSA", with(w.goodHeader(keys.EdDSA), "alg", "ES256"), claims), "token-alg"},

		// Signatures that are none.
		{"the signature in DER", signed(der), "token-signature"},
		{"r and s zero", signed(make([]byte, 64)), "token-signature"},
		{"r zero", signed(append(make([]byte, 32), s...)), "token-signature"},
		{"s zero", signed(append(append([]byte{}, r...), make([]byte, 32)...)), "token-signature"},
		{"r and s of the order", signed(append(n.Bytes(), n.Bytes()...)), "token-signature"},
		{"r and s one", signed(append(one(), one()...)), "token-signature"},
		{"r and s the other way round", signed(append(append([]byte{}, s...), r...)), "token-signature"},
		{"a byte short", signed(rs[:63]), "token-signature"},
		{"a byte more", signed(append(append([]byte{}, rs...), 0)), "token-signature"},
		{"a zero before", signed(append([]byte{0}, rs...)), "token-signature"},
		{"twice the signature", signed(append(append([]byte{}, rs...), rs...)), "token-signature"},
		{"Ed25519 with S over the order", overOrder(t, sign(t, ed, "EdDSA", w.goodHeader(keys.EdDSA), claims)), "token-signature"},
		{"Ed25519 with a signature of zeros", strings.Join(segments(sign(t, ed, "EdDSA", w.goodHeader(keys.EdDSA), claims))[:2], ".") + "." + b64(make([]byte, 64)), "token-signature"},

		// Keys that are not the agency's.
		{"another agency's key under this kid", sign(t, w.corpPrivate, "ES256", head, claims), "token-signature"},
		{"kid null", h("kid", nil), "token-kid"},
		{"kid a number", h("kid", 0), "token-kid"},
		{"kid in a list", h("kid", []string{w.key[keys.ES256].ID()}), "token-kid"},
		{"kid a path", h("kid", "../../../../dev/null"), "token-kid"},
		{"kid a file", h("kid", "/proc/self/environ"), "token-kid"},
		{"kid in SQL", h("kid", "x' UNION SELECT 'secret'--"), "token-kid"},
		{"kid a command", h("kid", "|id; $(id) `id`"), "token-kid"},
		{"kid a URL", h("kid", "https://attacker.example/key.jwk"), "token-kid"},
		{"kid with NUL", h("kid", w.key[keys.ES256].ID()+"\x00"), "token-kid"},
		{"kid with a space", h("kid", w.key[keys.ES256].ID()+" "), "token-kid"},
		{"kid in capitals", h("kid", strings.ToUpper(w.key[keys.ES256].ID())), "token-kid"},
		{"kid very long", h("kid", strings.Repeat("k", 4<<10)), "token-kid"},
		{"jwk of the agency itself", h("jwk", w.key[keys.ES256].Public()), "token-embedded-key"},
		{"jwk of a stranger, who signs", sign(t, w.corpPrivate, "ES256", with(head, "jwk", w.corpKey.Public()), claims), "token-embedded-key"},
		{"x5u of this machine", h("x5u", "http://127.0.0.1:1/x"), "token-embedded-key"},
		{"x5c empty", h("x5c", []string{}), "token-embedded-key"},
		{"crit with what is known", h("crit", []string{"alg"}), "token-crit"},
		{"crit null", h("crit", nil), "token-crit"},
		{"b64 true", h("b64", true), "token-crit"},

		// Another form of JWS, or none.
		{"JWE of five parts", good + "." + good[:10] + "." + good[:10], "token-malformed"},
		{"JSON, flattened", `{"protected":"` + segments(good)[0] + `","payload":"` + segments(good)[1] + `","signature":"` + segments(good)[2] + `"}`, "token-malformed"},
		{"detached", segments(good)[0] + ".." + segments(good)[2], "token-malformed"},
		{"base64, not base64url", strings.NewReplacer("-", "+", "_", "/").Replace(sign(t, es, "ES256", head, with(claims, "x", "???>>>~~~"))), "token-malformed"},
		{"padded signature", good + "==", "token-malformed"},
		{"tab inside", good[:20] + "\t" + good[20:], "token-malformed"},
		{"NUL after", good + "\x00", "token-malformed"},
		{"bytes after the claims", sign(t, es, "ES256", head, jsonOf(t, claims)+"\x00"), "token-malformed"},
		{"a comma after the claims", sign(t, es, "ES256", head, strings.TrimSuffix(jsonOf(t, claims), "}")+",}"), "token-malformed"},
		{"a comment in the claims", sign(t, es, "ES256", head, strings.TrimSuffix(jsonOf(t, claims), "}")+"/**/}"), "token-malformed"},
		{"a mark of byte order", sign(t, es, "ES256", head, "\xef\xbb\xbf"+jsonOf(t, claims)), "token-malformed"},
		{"claims in UTF-16", sign(t, es, "ES256", head, "\xff\xfe{\x00}\x00"), "token-malformed"},
		{"claims a list", sign(t, es, "ES256", head, "["+jsonOf(t, claims)+"]"), "token-malformed"},
		{"claims a token", sign(t, es, "ES256", head, good), "token-malformed"},
		{"header nested nine deep", h("x", json.RawMessage(strings.Repeat("[", 8)+strings.Repeat("]", 8))), "token-malformed"},
		{"duplicate iss", sign(t, es, "ES256", head, doubled(t, claims, "iss", string(corp))), "token-duplicate-claim"},
		{"duplicate aud", sign(t, es, "ES256", head, doubled(t, claims, "aud", "other")), "token-duplicate-claim"},
		{"duplicate exp", sign(t, es, "ES256", head, doubled(t, claims, "exp", "0")), "token-duplicate-claim"},
		{"duplicate kid", sign(t, es, "ES256", doubled(t, head, "kid", "x"), claims), "token-duplicate-claim"},
		{"duplicate of what nobody reads", sign(t, es, "ES256", head, doubled(t, with(claims, "x", 1), "x", "2")), "token-duplicate-claim"},
		{"duplicate deep inside", sign(t, es, "ES256", head, strings.Replace(jsonOf(t, with(claims, "act", "?")), `"?"`, `{"a":[{"b":1,"b":2}]}`, 1)), "token-duplicate-claim"},
		{"typ as a media type", h("typ", "application/"+seal.TokenType), "token-typ"},
		{"typ in capitals", h("typ", strings.ToUpper(seal.TokenType)), "token-typ"},
		{"typ null", h("typ", nil), "token-typ"},

		// Whom it is for.
		{"aud with a slash", c("aud", server+"/"), "token-audience"},
		{"aud in capitals", c("aud", strings.ToUpper(server)), "token-audience"},
		{"aud with a port", c("aud", server+":443"), "token-audience"},
		{"aud that begins alike", c("aud", server+".attacker.example"), "token-audience"},
		{"aud that is part of it", c("aud", server[:len(server)-1]), "token-audience"},
		{"aud of two in one text", c("aud", server+" https://other.example"), "token-audience"},
		{"aud with a space", c("aud", " "+server), "token-audience"},
		{"aud with a look-alike", c("aud", strings.Replace(server, "a", "а", 1)), "token-audience"}, // Cyrillic
		{"aud any", c("aud", "*"), "token-audience"},
		{"aud empty", c("aud", ""), "token-audience"},
		{"aud null", c("aud", nil), "token-claims"},
		{"aud an object", c("aud", object{server: true}), "token-claims"},
		{"aud in a list of lists", c("aud", []any{[]any{server}}), "token-claims"},

		// When.
		{"exp at iat", c("exp", start.Unix()), "token-lifetime"},
		{"exp half a second too far", raw("exp", fmt.Sprintf("%d.5", start.Unix()+300)), "token-lifetime"},
		{"exp a century ahead", c("exp", start.Unix()+3_153_600_000), "token-lifetime"},
		{"exp by an exponent", raw("exp", "1e11"), "token-lifetime"},
		{"exp over all numbers", raw("exp", "1e999999"), "token-claims"},
		{"exp over 64 bits", raw("exp", "18446744073709551617"), "token-claims"},
		{"exp in milliseconds", c("exp", start.UnixMilli()+300_000), "token-claims"},
		{"exp close to zero", raw("exp", "1e-300"), "token-lifetime"},
		{"exp of 300 digits", raw("exp", strings.Repeat("9", 300)), "token-claims"},
		{"exp in hex", raw("exp", "0x7fffffff"), "token-malformed"},
		{"exp with zeros before", raw("exp", "0"+fmt.Sprint(start.Unix()+300)), "token-malformed"},
		{"exp not a number", raw("exp", "NaN"), "token-malformed"},
		{"exp true", c("exp", true), "token-claims"},
		{"exp null", c("exp", nil), "token-claims"},
		{"exp in a list", c("exp", []any{start.Unix() + 300}), "token-claims"},
		{"exp a date", c("exp", start.Add(time.Minute).Format(time.RFC3339)), "token-claims"},
		{"iat long past, exp with it", sign(t, es, "ES256", head, with(with(claims, "iat", 0), "exp", 300)), "token-expired"},
		{"iat long past, exp now", c("iat", 0), "token-lifetime"},
		{"iat negative", c("iat", -1), "token-claims"},
		{"iat far ahead", sign(t, es, "ES256", head, with(with(claims, "iat", start.Unix()+1e6), "exp", start.Unix()+1e6+300)), "token-not-yet-valid"},
		{"nbf after exp", c("nbf", start.Unix()+1e6), "token-not-yet-valid"},
		{"nbf negative", c("nbf", -1), "token-claims"},
		{"nbf null", c("nbf", nil), "token-claims"},

		// Who.
		{"iss with a space", c("iss", string(gemeente)+" "), "token-claims"},
		{"iss in other digits", c("iss", strings.Replace(string(gemeente), "1", "１", 1)), "token-claims"},
		{"iss in a list", c("iss", []string{string(gemeente)}), "token-claims"},
		{"iss a URL", c("iss", "https://gemeente.example/"+string(gemeente)), "token-claims"},
		{"sub of another, by half a character", raw("sub", `"m.jansen\ud800"`), "token-claims"},
		{"sub that turns the text round", c("sub", "m.jansen\u202e"), "token-claims"},
		{"sub with what is not seen", c("sub", "m.\u200bjansen"), "token-claims"},
		{"sub with a space of another width", c("sub", "m.\u00a0jansen"), "token-claims"},
		{"sub with NUL", c("sub", "m.jansen\x00"), "token-claims"},
		{"sub a number", c("sub", 7), "token-claims"},
		{"sub an object", c("sub", object{"id": "m.jansen"}), "token-claims"},
		{"role with a space", c("role", "wijkteammedewerker "), "token-role"},
		{"role in capitals", c("role", "Wijkteammedewerker"), "token-role"},
		{"role with a look-alike", c("role", "wijkteаmmedewerker"), "token-role"}, // Cyrillic
		{"two roles in one text", c("role", "wijkteammedewerker,casusregisseur"), "token-role"},
		{"jti a number", raw("jti", "1234567890123456789012"), "token-claims"},
		{"jti of 201", c("jti", strings.Repeat("a", 201)), "token-claims"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			caller, err := w.open(c.token)
			if got := code(t, err); got != c.code || caller != (broker.Caller{}) {
				t.Errorf("code %q, want %q (%v)", got, c.code, err)
			}
		})
	}
}

func one() []byte { return append(make([]byte, 31), 1) }

func spkiOf(t *testing.T, jwk json.RawMessage) (der, asPEM []byte) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(ecdsaKey(t, jwk))
	if err != nil {
		t.Fatal(err)
	}
	return der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// overOrder adds the order of the group to S of an Ed25519 signature, which a lenient verifier takes as well.
func overOrder(t *testing.T, token string) string {
	t.Helper()
	raw, err := b64url.DecodeString(segments(token)[2])
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	s := new(big.Int)
	for i := 63; i >= 32; i-- { // little-endian
		s.Lsh(s, 8).Or(s, big.NewInt(int64(raw[i])))
	}
	s.Add(s, order)
	for i := 32; i < 64; i++ {
		raw[i] = byte(new(big.Int).And(s, big.NewInt(255)).Int64())
		s.Rsh(s, 8)
	}
	return strings.Join(segments(token)[:2], ".") + "." + b64(raw)
}

// What is odd and right: an agency's library may do so.
func TestOpenOddButRight(t *testing.T) {
	w := newWorld(t)
	es, head, claims := w.private[keys.ES256], w.goodHeader(keys.ES256), goodClaims()
	good := sign(t, es, "ES256", head, claims)
	for name, c := range map[string]struct{ token, worker string }{
		// (r, s) and (r, n-s) both fit, and standard libraries make either. Nothing rests on the bytes of a token, and
		// proofs are remembered by their jti.
		"the other signature that fits": {highS(t, good), "m.jansen"},
		"spaces in the JSON":            {sign(t, es, "ES256", head, " \n"+jsonOf(t, claims)+"\t "), "m.jansen"},
		"escapes in the JSON":           {sign(t, es, "ES256", head, strings.Replace(jsonOf(t, claims), "m.jansen", `\u006d.jansen`, 1)), "m.jansen"},
		"a time by an exponent":         {sign(t, es, "ES256", head, strings.Replace(jsonOf(t, with(claims, "exp", "?")), `"?"`, fmt.Sprintf("%de0", start.Unix()+300), 1)), "m.jansen"},
		// No worker is another by the way it is written: what is compared are the bytes.
		"a look-alike is another": {sign(t, es, "ES256", head, with(claims, "sub", "m.jаnsen")), "m.jаnsen"},
		"é of one character":      {sign(t, es, "ES256", head, with(claims, "sub", "ren\u00e9")), "ren\u00e9"},
		"é of two":                {sign(t, es, "ES256", head, with(claims, "sub", "rene\u0301")), "rene\u0301"},
	} {
		caller, err := w.open(c.token)
		if err != nil || string(caller.Worker) != c.worker {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two agencies may call their keys alike. A kid names a key of the agency in iss, and of no other.
func TestOpenSameKidAtTwoAgencies(t *testing.T) {
	w := newWorld(t)
	kid := w.key[keys.ES256].ID()
	w.turn(corp, func(a *broker.Agency) { a.Keys = []broker.AgencyKey{{ID: kid, JWK: w.corpKey.Public()}} })
	head := w.goodHeader(keys.ES256)
	ofCorp := with(with(goodClaims(), "iss", string(corp)), "role", "medewerker-sociale-incasso")
	for _, c := range []struct {
		name    string
		private json.RawMessage
		claims  object
		code    string
		agency  broker.OIN
	}{
		{"the municipality's own", w.private[keys.ES256], goodClaims(), "", gemeente},
		{"the corporation's own", w.corpPrivate, ofCorp, "", corp},
		{"the corporation as the municipality", w.corpPrivate, goodClaims(), "token-signature", ""},
		{"the municipality as the corporation", w.private[keys.ES256], ofCorp, "token-signature", ""},
	} {
		for range 2 { // also once they are remembered
			caller, err := w.open(sign(t, c.private, "ES256", head, c.claims))
			if code(t, err) != c.code || caller.Agency != c.agency {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// A registered RSA key with an exponent that anyone can invert opens nothing.
func TestOpenWeakExponent(t *testing.T) {
	w := newWorld(t)
	for _, e := range []string{"AQ", "Ag", "AA"} { // 1, 2, 0
		w.turn(gemeente, func(a *broker.Agency) {
			for i, k := range a.Keys {
				var jwk map[string]any
				if err := json.Unmarshal(k.JWK, &jwk); err != nil {
					t.Fatal(err)
				}
				if jwk["kty"] == "RSA" {
					jwk["e"] = e
					a.Keys[i].JWK, _ = json.Marshal(jwk)
				}
			}
		})
		token := sign(t, w.private[keys.PS256], "PS256", w.goodHeader(keys.PS256), goodClaims())
		if _, err := w.open(token); err == nil {
			t.Errorf("opened with exponent %s", e)
		}
	}
}

// Everything signed says what it is: none passes for another, even signed by the same key and with the very content of
// what it is taken for.
func TestNothingPassesForAnother(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	jwks := []byte(`{"keys":[` + string(w.key[keys.ES256].Public()) + `]}`)
	agreement := []byte(`{"id":"a"}`)
	receipt := object{"log": "l", "hash": broker.Hash{}.String()}
	head := object{"alg": "ES256", "kid": w.key[keys.ES256].ID(), "iat": start.Unix(), "receipt": receipt, "nonce": b64(make([]byte, 16))}
	headClaims := object{"log": "l", "writer": "w", "epoch": 1, "seq": 1, "hash": broker.Hash{}.String(), "time": start}
	types := []string{seal.TokenType, seal.ProofType, seal.AnswerType, seal.RefusalType, seal.HeadType, seal.AgreementType,
		seal.PolicyDraftType, seal.PolicyApprovalType, seal.PolicyAgreementType, seal.PolicyStopType, seal.PolicyBundleType, "JWT"}
	step := func(step string) func(typ string) error {
		return func(typ string) error {
			return seal.VerifyPolicyStep(step, []json.RawMessage{w.key[keys.ES256].Public()}, agreement,
				sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), string(agreement)))
		}
	}
	for _, taker := range []struct {
		name  string
		takes []string
		try   func(typ string) error
	}{
		{"policy draft", []string{seal.PolicyDraftType}, step(seal.PolicyDrafted)},
		{"policy approval", []string{seal.PolicyApprovalType}, step(seal.PolicyApproved)},
		{"policy agreement", []string{seal.PolicyAgreementType}, step(seal.PolicyAgreed)},
		{"policy stop", []string{seal.PolicyStopType}, step(seal.PolicyStopped)},
		{"no step", nil, step("policy.activated")},
		{"policy bundle", []string{seal.PolicyBundleType}, func(typ string) error {
			_, err := seal.VerifyBundle(sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), string(agreement)), jwks)
			return err
		}},
		{"token", []string{seal.TokenType}, func(typ string) error {
			_, err := w.open(sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), goodClaims()))
			return err
		}},
		{"proof", []string{seal.ProofType}, func(typ string) error {
			return p.open(sign(t, p.private, "ES256", with(with(head, "typ", typ), "jwk", p.public), p.claims()))
		}},
		{"answer", []string{seal.AnswerType, seal.RefusalType}, func(typ string) error {
			_, err := seal.Verify(seal.Evidence{Compact: sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), `{"id":"x"}`)}, jwks)
			return err
		}},
		{"head", []string{seal.HeadType}, func(typ string) error {
			_, err := seal.VerifyHead(sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), headClaims), jwks)
			return err
		}},
		{"agreement", []string{seal.AgreementType}, func(typ string) error {
			return seal.VerifyAgreement(sign(t, w.private[keys.ES256], "ES256", with(head, "typ", typ), string(agreement)), agreement,
				[]json.RawMessage{w.key[keys.ES256].Public()})
		}},
	} {
		for _, typ := range types {
			takes := false
			for _, want := range taker.takes {
				takes = takes || want == typ
			}
			if err := taker.try(typ); (err == nil) != takes {
				t.Errorf("%s as %s: %v", typ, taker.name, err)
			}
		}
	}
	// And the real ones, as they are.
	token, proof := sign(t, w.private[keys.ES256], "ES256", w.goodHeader(keys.ES256), goodClaims()), p.proof(t)
	answer := mustSeal(t, sealer(t, ring(t, keys.ES256)), sealing())
	for _, other := range []string{proof, answer.Signature, string(answer.Body)} {
		if _, err := w.open(other); err == nil {
			t.Error("something else opens as a token")
		}
	}
	for _, other := range []string{token, p.token, answer.Signature} {
		if err := p.open(other); err == nil {
			t.Error("something else passes for a proof")
		}
	}
	if _, err := seal.Verify(seal.Evidence{Compact: token}, jwks); err == nil {
		t.Error("a token passes for an answer")
	}
}

// What is refused costs little, however large it is: nothing of what is too large is decoded, and
// nothing that is nested too deep is followed down.
func TestRefusalsAreCheap(t *testing.T) {
	w := newWorld(t)
	p := newProver(t, w)
	deep := sign(t, w.private[keys.ES256], "ES256", w.goodHeader(keys.ES256), `{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)
	wide := sign(t, w.private[keys.ES256], "ES256", w.goodHeader(keys.ES256), `{"a":[`+strings.Repeat("0,", 2500)+`0]}`)
	for _, c := range []struct {
		name   string
		try    func() error
		code   string
		allocs float64
	}{
		{"token of 1 MB", func() error { _, err := w.open(strings.Repeat("A", 1<<20)); return err }, "token-too-large", 20},
		{"token of 1 MB that is well-formed", func() error { _, err := w.open(wide + strings.Repeat("A", 1<<20)); return err }, "token-too-large", 20},
		{"token of dots", func() error { _, err := w.open(strings.Repeat(".", 8<<10)); return err }, "token-malformed", 30},
		{"deep token", func() error { _, err := w.open(deep); return err }, "token-too-large", 20},
		{"deep token that is not too large", func() error { _, err := w.open(deepToken(t, w)); return err }, "token-malformed", 12_000},
		{"wide token", func() error { _, err := w.open(wide); return err }, "token-claims", 20_000},
		{"proof of 1 MB", func() error { return p.open(strings.Repeat("A", 1<<20)) }, "proof-malformed", 20},
	} {
		if got := code(t, c.try()); got != c.code {
			t.Errorf("%s: code %q, want %q", c.name, got, c.code)
		}
		if got := testing.AllocsPerRun(5, func() { _ = c.try() }); got > c.allocs {
			t.Errorf("%s: %.0f allocations, want at most %.0f", c.name, got, c.allocs)
		}
	}
}

func deepToken(t *testing.T, w *world) string {
	t.Helper()
	return sign(t, w.private[keys.ES256], "ES256", w.goodHeader(keys.ES256), `{"a":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500)+`}`)
}
