package seal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

func TestOpenTakesWhatAnAgencySigns(t *testing.T) {
	w := newWorld(t)
	for _, alg := range []keys.Algorithm{keys.ES256, keys.EdDSA, keys.PS256} {
		for _, aud := range []string{server, "schakel"} {
			token, err := seal.SignToken(w.key[alg], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
				Role: "casusregisseur", Audience: aud, IssuedAt: start})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // reusable until exp
				got, err := w.open(token)
				if want := (broker.Caller{Agency: gemeente, Worker: "m.jansen", Role: "casusregisseur", Key: w.key[alg].ID()}); err != nil || got != want {
					t.Fatalf("%s: %v, %v", alg, got, err)
				}
			}
		}
	}
}

// Each case is a token that opens but for one thing, made by hand.
func TestOpenAttacks(t *testing.T) {
	w := newWorld(t)
	es := w.private[keys.ES256]
	head, claims := w.goodHeader(keys.ES256), goodClaims()
	good := func() string { return sign(t, es, "ES256", head, claims) }
	if _, err := w.open(good()); err != nil {
		t.Fatalf("the token every case starts from does not open: %v", err)
	}
	cases := []struct {
		name, token, code string
	}{
		{"no token", "", "token-missing"},
		{"giant", sign(t, es, "ES256", head, with(claims, "x", strings.Repeat("x", 8<<10))), "token-too-large"},
		{"no JWS", "Zm9v", "token-malformed"},
		{"two parts", strings.Join(segments(good())[:2], "."), "token-malformed"},
		{"four parts", good() + ".e30", "token-malformed"},
		{"JSON serialisation", `{"payload":"e30","protected":"e30","signature":"e30"}`, "token-malformed"},
		{"space before", " " + good(), "token-malformed"},
		{"line break after", good() + "\n", "token-malformed"},
		{"line break inside", strings.Replace(good(), ".", "\n.", 1), "token-malformed"},
		{"padding", segments(good())[0] + "=." + strings.Join(segments(good())[1:], "."), "token-malformed"},
		{"stray bits in the signature", stray(good()), "token-malformed"},
		{"header no object", sign(t, es, "ES256", `[]`, claims), "token-malformed"},
		{"header null", sign(t, es, "ES256", `null`, claims), "token-malformed"},
		{"claims no JSON", sign(t, es, "ES256", head, `{"iss"`), "token-malformed"},
		{"claims not UTF-8", sign(t, es, "ES256", head, "{\"iss\":\"\xff\"}"), "token-malformed"},
		{"claims very deep", sign(t, es, "ES256", head, `{"a":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`}`), "token-malformed"},
		{"text after claims", sign(t, es, "ES256", head, `{}{}`), "token-malformed"},
		{"duplicate claim", sign(t, es, "ES256", head, doubled(t, claims, "role", "casusregisseur")), "token-duplicate-claim"},
		{"duplicate claim, escaped", sign(t, es, "ES256", head, doubled(t, claims, `\u0072ole`, "casusregisseur")), "token-duplicate-claim"},
		{"duplicate inside cnf", sign(t, es, "ES256", head, strings.Replace(jsonOf(t, with(claims, "cnf", "?")), `"?"`,
			`{"x5t#S256":"`+thumb+`","x5t#S256":"`+otherThumb+`"}`, 1)), "token-duplicate-claim"},
		{"duplicate header member", sign(t, es, "ES256", doubled(t, head, "alg", "ES256"), claims), "token-duplicate-claim"},
		{"no typ", sign(t, es, "ES256", without(head, "typ"), claims), "token-typ"},
		{"typ JWT", sign(t, es, "ES256", with(head, "typ", "JWT"), claims), "token-typ"},
		{"typ of an answer", sign(t, es, "ES256", with(head, "typ", seal.AnswerType), claims), "token-typ"},
		{"typ no text", sign(t, es, "ES256", with(head, "typ", []string{seal.TokenType}), claims), "token-typ"},
		{"alg none", sign(t, es, "none", with(head, "alg", "none"), claims), "token-alg"},
		{"alg nOnE", sign(t, es, "none", with(head, "alg", "nOnE"), claims), "token-alg"},
		{"alg none with a signature", sign(t, es, "ES256", with(head, "alg", "none"), claims), "token-alg"},
		{"HS256 with the public key", hmacToken(t, with(head, "alg", "HS256"), claims, w.key[keys.ES256].Public()), "token-alg"},
		{"RS256", sign(t, w.private[keys.PS256], "RS256", with(w.goodHeader(keys.PS256), "alg", "RS256"), claims), "token-alg"},
		{"RS256 called PS256", sign(t, w.private[keys.PS256], "RS256", w.goodHeader(keys.PS256), claims), "token-signature"},
		{"ES384", sign(t, es, "ES256", with(head, "alg", "ES384"), claims), "token-alg"},
		{"EdDSA for an EC key", sign(t, es, "ES256", with(head, "alg", "EdDSA"), claims), "token-alg"},
		{"ES256 for an RSA key", sign(t, w.private[keys.PS256], "PS256", with(w.goodHeader(keys.PS256), "alg", "ES256"), claims), "token-alg"},
		{"no alg", sign(t, es, "ES256", without(head, "alg"), claims), "token-alg"},
		{"jwk", sign(t, es, "ES256", with(head, "jwk", json.RawMessage(w.key[keys.ES256].Public())), claims), "token-embedded-key"},
		{"jku", sign(t, es, "ES256", with(head, "jku", "https://attacker.example/jwks"), claims), "token-embedded-key"},
		{"x5u", sign(t, es, "ES256", with(head, "x5u", "https://attacker.example/cert"), claims), "token-embedded-key"},
		{"x5c", sign(t, es, "ES256", with(head, "x5c", []string{"MIIB"}), claims), "token-embedded-key"},
		{"jwk null", sign(t, es, "ES256", with(head, "jwk", nil), claims), "token-embedded-key"},
		{"crit", sign(t, es, "ES256", with(with(head, "crit", []string{"urn:x"}), "urn:x", 1), claims), "token-crit"},
		{"crit b64", sign(t, es, "ES256", with(with(head, "crit", []string{"b64"}), "b64", true), claims), "token-crit"},
		{"crit empty", sign(t, es, "ES256", with(head, "crit", []string{}), claims), "token-crit"},
		{"b64 without crit", sign(t, es, "ES256", with(head, "b64", false), claims), "token-crit"},
		{"no kid", sign(t, es, "ES256", without(head, "kid"), claims), "token-kid"},
		{"unknown kid", sign(t, es, "ES256", with(head, "kid", "other"), claims), "token-kid"},
		{"kid of another agency", sign(t, es, "ES256", with(head, "kid", w.corpKey.ID()), claims), "token-kid"},
		{"another of its kids", sign(t, es, "ES256", with(head, "kid", w.key[keys.PS256].ID()), claims), "token-alg"},
		{"iss of another agency", sign(t, es, "ES256", head, with(claims, "iss", string(corp))), "token-kid"},
		{"another agency's kid and iss", sign(t, es, "ES256", with(head, "kid", w.corpKey.ID()), with(claims, "iss", string(corp))), "token-signature"},
		{"unknown agency", sign(t, es, "ES256", head, with(claims, "iss", "00000001000000000000")), "agency-unknown"},
		{"iss no OIN", sign(t, es, "ES256", head, with(claims, "iss", "gemeente")), "token-claims"},
		{"no iss", sign(t, es, "ES256", head, without(claims, "iss")), "token-claims"},
		{"iss a number", sign(t, es, "ES256", head, with(claims, "iss", 1)), "token-claims"},
		{"no signature", strings.Join(segments(good())[:2], ".") + ".", "token-signature"},
		{"signature of other claims", segments(good())[0] + "." + enc(t, with(claims, "role", "casusregisseur")) + "." + segments(good())[2], "token-signature"},
		{"signature of another header", enc(t, with(head, "x", 1)) + "." + strings.Join(segments(good())[1:], "."), "token-signature"},
		{"signature in DER", segments(good())[0] + "." + segments(good())[1] + "." + b64([]byte("0E\x02 ...")), "token-signature"},
		{"signature of zeros", segments(good())[0] + "." + segments(good())[1] + "." + b64(make([]byte, 64)), "token-signature"},
		{"aud of another", sign(t, es, "ES256", head, with(claims, "aud", "https://other.example")), "token-audience"},
		{"aud a prefix", sign(t, es, "ES256", head, with(claims, "aud", server+"/x")), "token-audience"},
		{"aud empty list", sign(t, es, "ES256", head, with(claims, "aud", []string{})), "token-audience"},
		{"aud list with a number", sign(t, es, "ES256", head, with(claims, "aud", []any{server, 1})), "token-claims"},
		{"no aud", sign(t, es, "ES256", head, without(claims, "aud")), "token-claims"},
		{"lives 301 s", sign(t, es, "ES256", head, with(claims, "exp", start.Unix()+301)), "token-lifetime"},
		{"exp before iat", sign(t, es, "ES256", head, with(claims, "exp", start.Unix()-1)), "token-lifetime"},
		{"expired", sign(t, es, "ES256", head, with(with(claims, "iat", start.Unix()-331), "exp", start.Unix()-31)), "token-expired"},
		{"from the future", sign(t, es, "ES256", head, with(with(claims, "iat", start.Unix()+31), "exp", start.Unix()+60)), "token-not-yet-valid"},
		{"nbf in the future", sign(t, es, "ES256", head, with(claims, "nbf", start.Unix()+31)), "token-not-yet-valid"},
		{"exp a text", sign(t, es, "ES256", head, with(claims, "exp", "9999999999")), "token-claims"},
		{"exp beyond reason", sign(t, es, "ES256", head, strings.Replace(jsonOf(t, with(claims, "exp", 0)), `"exp":0`, `"exp":1e400`, 1)), "token-claims"},
		{"exp negative", sign(t, es, "ES256", head, with(claims, "exp", -1)), "token-claims"},
		{"no exp", sign(t, es, "ES256", head, without(claims, "exp")), "token-claims"},
		{"no iat", sign(t, es, "ES256", head, without(claims, "iat")), "token-claims"},
		{"nbf a text", sign(t, es, "ES256", head, with(claims, "nbf", "now")), "token-claims"},
		{"role it may not assert", sign(t, es, "ES256", head, with(claims, "role", "medewerker-sociale-incasso")), "token-role"},
		{"role of holders", sign(t, es, "ES256", head, with(claims, "role", string(broker.RoleHolder))), "token-role"},
		{"no role", sign(t, es, "ES256", head, without(claims, "role")), "token-claims"},
		{"roles in a list", sign(t, es, "ES256", head, with(claims, "role", []string{"wijkteammedewerker"})), "token-claims"},
		{"Role in capitals", sign(t, es, "ES256", head, with(without(claims, "role"), "Role", "wijkteammedewerker")), "token-claims"},
		{"no sub", sign(t, es, "ES256", head, without(claims, "sub")), "token-claims"},
		{"sub of 101", sign(t, es, "ES256", head, with(claims, "sub", strings.Repeat("é", 101))), "token-claims"},
		{"sub with a line break", sign(t, es, "ES256", head, with(claims, "sub", "a\nb")), "token-claims"},
		{"no jti", sign(t, es, "ES256", head, without(claims, "jti")), "token-claims"},
		{"short jti", sign(t, es, "ES256", head, with(claims, "jti", strings.Repeat("a", 21))), "token-claims"},
		{"jti with odd characters", sign(t, es, "ES256", head, with(claims, "jti", strings.Repeat("a", 21)+"+")), "token-claims"},
		{"cnf without a certificate", sign(t, es, "ES256", head, with(claims, "cnf", object{"x5t#S256": thumb})), "token-certificate"},
		{"cnf of another kind", sign(t, es, "ES256", head, with(claims, "cnf", object{"kid": thumb})), "token-claims"},
		{"cnf of another kind beside", sign(t, es, "ES256", head, with(claims, "cnf", object{"x5t#S256": thumb, "jwk": object{}})), "token-claims"},
		{"cnf.jkt no thumbprint", sign(t, es, "ES256", head, with(claims, "cnf", object{"jkt": "key"})), "token-claims"},
		{"cnf.jkt as a bearer token", sign(t, es, "ES256", head, with(claims, "cnf", object{"jkt": thumb})), "token-dpop"},
		{"cnf no object", sign(t, es, "ES256", head, with(claims, "cnf", thumb)), "token-claims"},
		{"cnf null", sign(t, es, "ES256", head, with(claims, "cnf", nil)), "token-claims"},
		{"cnf empty", sign(t, es, "ES256", head, with(claims, "cnf", object{"x5t#S256": ""})), "token-claims"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // a refused token stays refused
				_, err := w.open(c.token)
				if got := code(t, err); got != c.code {
					t.Errorf("code %q, want %q (%v)", got, c.code, err)
				}
			}
		})
	}
	// Every code there is has a case here or in a test of its own.
	own := []string{"agency-suspended", "key-suspended"}
	for _, want := range seal.TokenCodes() {
		if !strings.HasPrefix(want, "proof-") && !slices.Contains(own, want) && !slices.ContainsFunc(cases, func(c struct{ name, token, code string }) bool { return c.code == want }) {
			t.Errorf("no case for code %s", want)
		}
	}
}

func TestOpenTakesTheEdges(t *testing.T) {
	w := newWorld(t)
	es, head, claims := w.private[keys.ES256], w.goodHeader(keys.ES256), goodClaims()
	for name, token := range map[string]string{
		"aud list":              sign(t, es, "ES256", head, with(claims, "aud", []string{"https://other.example", server})),
		"expired 30 s ago":      sign(t, es, "ES256", head, with(with(claims, "iat", start.Unix()-330), "exp", start.Unix()-30)),
		"30 s from the future":  sign(t, es, "ES256", head, with(with(claims, "iat", start.Unix()+30), "exp", start.Unix()+330)),
		"nbf 30 s ahead":        sign(t, es, "ES256", head, with(claims, "nbf", start.Unix()+30)),
		"sub of 100":            sign(t, es, "ES256", head, with(claims, "sub", strings.Repeat("é", 100))),
		"jti of 22":             sign(t, es, "ES256", head, with(claims, "jti", strings.Repeat("a", 22))),
		"unknown claims":        sign(t, es, "ES256", head, with(with(claims, "azp", "x"), "act", object{"sub": "y"})),
		"unknown header member": sign(t, es, "ES256", with(head, "x5t#S256", thumb), claims),
		"fraction of a second":  sign(t, es, "ES256", head, with(claims, "iat", float64(start.Unix())+0.5)),
	} {
		if _, err := w.open(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenChecksWhatMayChangeAtEveryCall(t *testing.T) {
	token := func(w *world) string {
		s, err := seal.SignToken(w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
			Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, c := range map[string]struct {
		turn func(w *world)
		code string
	}{
		"agency suspended": {func(w *world) { w.turn(gemeente, func(a *broker.Agency) { a.Suspended = true }) }, "agency-suspended"},
		"key suspended":    {func(w *world) { w.turn(gemeente, func(a *broker.Agency) { a.Keys[0].Suspended = true }) }, "key-suspended"},
		"key removed":      {func(w *world) { w.turn(gemeente, func(a *broker.Agency) { a.Keys = a.Keys[1:] }) }, "token-kid"},
		"key replaced under its kid": {func(w *world) {
			w.turn(gemeente, func(a *broker.Agency) { a.Keys[0].JWK = w.corpKey.Public() })
		}, "token-signature"},
		"role taken away":        {func(w *world) { w.turn(gemeente, func(a *broker.Agency) { a.Roles = a.Roles[1:] }) }, "token-role"},
		"certificate now needed": {func(w *world) { w.turn(gemeente, func(a *broker.Agency) { a.Binding = broker.BindingCertificate }) }, "token-certificate"},
		"agency gone":            {func(w *world) { w.mu.Lock(); delete(w.agencies, gemeente); w.mu.Unlock() }, "agency-unknown"},
		"time passed":            {func(w *world) { w.at(start.Add(331 * time.Second)) }, "token-expired"},
		"clock set back":         {func(w *world) { w.at(start.Add(-31 * time.Second)) }, "token-not-yet-valid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := token(w)
			if _, err := w.open(s); err != nil {
				t.Fatal(err)
			}
			c.turn(w)
			if _, err := w.open(s); code(t, err) != c.code {
				t.Errorf("after the change: %v, want %s", err, c.code)
			}
		})
	}
}

func TestSuspensionIsToldToKeyHoldersOnly(t *testing.T) {
	w := newWorld(t)
	w.turn(gemeente, func(a *broker.Agency) { a.Suspended = true; a.Keys[0].Suspended = true })
	forged := sign(t, w.private[keys.ES256], "ES256", w.goodHeader(keys.ES256), goodClaims())
	parts := segments(forged)
	forged = parts[0] + "." + parts[1] + "." + b64(make([]byte, 64))
	if _, err := w.open(forged); code(t, err) != "token-signature" {
		t.Errorf("a stranger learns of a suspension: %v", err)
	}
}

func TestOpenBindsToTheCertificate(t *testing.T) {
	w := newWorld(t)
	bound, err := seal.SignToken(w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start, CertificateThumbprint: thumb})
	if err != nil {
		t.Fatal(err)
	}
	free, err := seal.SignToken(w.key[keys.ES256], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
	if err != nil {
		t.Fatal(err)
	}
	strict := newWorld(t, func(c *seal.OpenerConfig) { c.RequireCertificate = true })
	demanding := newWorld(t)
	demanding.turn(gemeente, func(a *broker.Agency) { a.Binding = broker.BindingCertificate })
	for _, c := range []struct {
		name, token, over, code string
		w                       *world
	}{
		{"its own certificate", bound, thumb, "", w},
		{"replayed over another certificate", bound, otherThumb, "token-certificate", w},
		{"replayed without a certificate", bound, "", "token-certificate", w},
		{"free over a certificate", free, thumb, "", w},
		{"bound where the server demands it", bound, thumb, "", strict},
		{"free where the server demands it", free, thumb, "token-certificate", strict},
		{"bound where the agency is held to it", bound, thumb, "", demanding},
		{"free where the agency is held to it", free, thumb, "token-certificate", demanding},
	} {
		for range 2 { // the second time from the cache
			if _, err := c.w.openOver(c.token, c.over); code(t, err) != c.code {
				t.Errorf("%s: %v, want %q", c.name, err, c.code)
			}
		}
	}
}

func TestOpenRefusesUnfitRegisteredKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := p384.PublicKey.Bytes()
	d, _ := p384.Bytes()
	public384 := fmt.Sprintf(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`, b64(raw[1:49]), b64(raw[49:]))
	private384 := fmt.Sprintf(`{"kty":"EC","crv":"P-384","d":%q}`, b64(d))
	w := newWorld(t)
	es := string(w.key[keys.ES256].Public())
	for name, jwk := range map[string]string{
		"another curve":  public384,
		"alg of another": strings.Replace(es, `"alg":"ES256"`, `"alg":"ES384"`, 1),
		"use enc":        strings.Replace(es, `"use":"sig"`, `"use":"enc"`, 1),
		"private":        string(w.private[keys.ES256]),
		"symmetric":      `{"kty":"oct","k":"` + b64(make([]byte, 32)) + `"}`,
		"no JSON":        `{`,
		"duplicates":     strings.Replace(es, `{`, `{"kty":"EC",`, 1),
	} {
		w.turn(gemeente, func(a *broker.Agency) { a.Keys[0].JWK = json.RawMessage(jwk) })
		private := string(w.private[keys.ES256])
		if name == "another curve" {
			private = private384
		}
		token := sign(t, json.RawMessage(private), "ES256", w.goodHeader(keys.ES256), goodClaims())
		if _, err := w.open(token); code(t, err) != "token-kid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewOpenerWantsAnAudience(t *testing.T) {
	none := func(broker.OIN) (broker.Agency, bool) { return broker.Agency{}, false }
	for _, c := range []seal.OpenerConfig{{}, {Agencies: none}, {Agencies: none, Audience: []string{""}}, {Audience: []string{"x"}}} {
		if _, err := seal.NewOpener(c); err == nil {
			t.Errorf("made an opener of %+v", c.Audience)
		}
	}
}

// No byte of a signed token can be changed, and none of its errors repeats what it says.
func TestOpenAnyByteCounts(t *testing.T) {
	w := newWorld(t)
	canary := "canary-worker-4711"
	token, err := seal.SignToken(w.key[keys.EdDSA], seal.TokenClaims{Agency: gemeente, Worker: broker.WorkerID(canary),
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		i := rapid.IntRange(0, len(token)-1).Draw(r, "at")
		b := rapid.Byte().Draw(r, "byte")
		changed := token[:i] + string([]byte{b}) + token[i+1:]
		_, err := w.open(changed)
		if changed == token {
			if err != nil {
				r.Fatalf("the token itself: %v", err)
			}
			return
		}
		if err == nil {
			r.Fatalf("opened with byte %d changed", i)
		}
		if strings.Contains(err.Error(), canary) {
			r.Fatalf("the error repeats the worker: %v", err)
		}
	})
}

func TestOpenConcurrently(t *testing.T) {
	w := newWorld(t, func(c *seal.OpenerConfig) { c.CacheSize = 3 })
	var tokens []string
	for i := range 8 {
		s, err := seal.SignToken(w.key[keys.EdDSA], seal.TokenClaims{Agency: gemeente, Worker: broker.WorkerID(fmt.Sprint("w", i)),
			Role: "wijkteammedewerker", Audience: server, IssuedAt: start})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, s)
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range 40 {
				n := (i*(g+1) + g) % len(tokens)
				c, err := w.open(tokens[n])
				if err != nil || c.Worker != broker.WorkerID(fmt.Sprint("w", n)) {
					t.Errorf("token %d opened as %v, %v", n, c.Worker == "", err)
				}
			}
		})
	}
	group.Wait()
}

// stray sets a bit of the last character of the signature that no byte uses: lenient decoders take both.
func stray(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// doubled gives the JSON of o with one more member at its end, name as it stands.
func doubled(t *testing.T, o object, name, value string) string {
	return strings.TrimSuffix(jsonOf(t, o), "}") + `,"` + name + `":"` + value + `"}`
}

func hmacToken(t *testing.T, header, claims object, key []byte) string {
	input := enc(t, header) + "." + enc(t, claims)
	return input + "." + b64(hs256(key, input))
}
