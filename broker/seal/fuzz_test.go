package seal_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// FuzzToken: whatever the bytes, an Opener answers with a caller or a 401 with a known code, and never opens a text
// but the signed one.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	good, err := seal.SignToken(w.key[keys.EdDSA], seal.TokenClaims{Agency: gemeente, Worker: "m.jansen",
		Role: "wijkteammedewerker", Audience: server, IssuedAt: start, ID: "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"})
	if err != nil {
		f.Fatal(err)
	}
	p := segments(good)
	for _, s := range []string{good, "", ".", "..", "...", "e30.e30.", p[0] + "." + p[1] + ".", p[0] + ".." + p[2],
		good + ".", " " + good, good + "\n", p[0] + "=." + p[1] + "." + p[2], p[1] + "." + p[0] + "." + p[2], "e30.e30.e30",
		b64([]byte(`{"typ":"`+seal.TokenType+`","alg":"none"}`)) + ".e30.", strings.Repeat("A", 9000)} {
		f.Add(s)
	}
	codes := map[string]bool{}
	for _, c := range seal.TokenCodes() {
		codes[c] = true
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := w.open(token)
		if err == nil {
			if token != good {
				t.Fatal("opened what was never signed")
			}
			return
		}
		var e *broker.Error
		if !errors.As(err, &e) || e.Kind != broker.KindUnauthenticated || !codes[e.Code] {
			t.Fatalf("not a 401 with a known code: %v", err)
		}
		if caller != (broker.Caller{}) {
			t.Fatal("a caller beside an error")
		}
	})
}

// FuzzClaims puts any claims and header under a good signature: the parsers behind it are reached, and a caller only
// comes out with a role the agency may assert and a worker of 1 to 100 characters.
func FuzzClaims(f *testing.F) {
	w := newWorld(f)
	f.Add(`{"iss":"`+string(gemeente)+`","sub":"w","role":"wijkteammedewerker","aud":"schakel","iat":1796126400,"exp":1796126700,"jti":"aaaaaaaaaaaaaaaaaaaaaa"}`, "")
	f.Add(`{"iss":1}`, `,"crit":["x"]`)
	f.Add(`{"aud":[[[[[[[[[[[]]]]]]]]]]]}`, `,"alg":"none"`)
	f.Add(`{"iat":1e308,"exp":-0,"cnf":{"x5t#S256":{}}}`, `,"kid":null`)
	f.Fuzz(func(t *testing.T, claims, more string) {
		header := `{"typ":"` + seal.TokenType + `","alg":"ES256","kid":"` + w.key[keys.ES256].ID() + `"` + more + `}`
		caller, err := w.open(sign(t, w.private[keys.ES256], "ES256", header, claims))
		if err != nil {
			_ = code(t, err)
			return
		}
		if n := len([]rune(string(caller.Worker))); caller.Agency != gemeente || n < 1 || n > 100 ||
			(caller.Role != "wijkteammedewerker" && caller.Role != "casusregisseur") {
			t.Fatalf("opened with agency %v, role %v", caller.Agency, caller.Role)
		}
	})
}

// FuzzProof puts any claims and header under a good signature of the key the token is bound to: a proof is only taken once,
// and only when it says what it must.
func FuzzProof(f *testing.F) {
	w := newWorld(f)
	p := newProver(f, w)
	good := jsonOf(f, p.claims())
	f.Add(good, "", asked)
	f.Add(strings.Replace(good, `"POST"`, `"GET"`, 1), `,"jku":"x"`, asked)
	f.Add(`{"jti":"aaaaaaaaaaaaaaaa","htm":"POST","htu":"`+asked+`","iat":1e400}`, `,"crit":[]`, "")
	f.Add(`{"htu":"https://[::1]:443/%2e%2e/%zz/./v1"}`, "", "https://user@schakel.example:443//v1/../%64#x")
	f.Fuzz(func(t *testing.T, claims, more, url string) {
		header := strings.TrimSuffix(jsonOf(t, p.head()), "}") + more + `}`
		proof := sign(t, p.private, "ES256", header, claims)
		try := func() error {
			_, err := w.opener.Open(t.Context(), p.token, broker.Channel{DPoP: true, Proof: proof, Method: "POST", URL: url})
			return err
		}
		if err := try(); err != nil {
			_ = code(t, err)
			return
		}
		var said struct{ Htm, Ath, Nonce, Jti string }
		if err := json.Unmarshal([]byte(claims), &said); err != nil || said.Htm != "POST" || said.Ath != b64(sum([]byte(p.token))) || len(said.Jti) < 16 {
			t.Fatal("taken, and it does not say what it must")
		}
		if code(t, try()) != "proof-replayed" {
			t.Fatal("taken twice")
		}
	})
}

// FuzzEvidence: no bytes make the reader or the verifier fail in another way than an error, and none verify.
func FuzzEvidence(f *testing.F) {
	r := ring(f, keys.EdDSA)
	jwks := r.JWKS()
	f.Add([]byte(`{"body":"{}","signature":"e30..AAAA"}`))
	f.Add([]byte(`{"compact":"e30.e30.AAAA"}`))
	f.Add([]byte("e30.e30.AAAA"))
	f.Add([]byte("e30..AAAA"))
	f.Fuzz(func(t *testing.T, file []byte) {
		e, err := seal.ReadEvidence(file)
		if err != nil {
			return
		}
		if _, err := seal.Verify(e, jwks); err == nil {
			t.Fatal("verified what was never signed")
		}
	})
}
