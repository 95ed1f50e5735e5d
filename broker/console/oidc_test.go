package console_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/console"
)

// issuer is an identity provider that says what a test wants.
type issuer struct {
	*httptest.Server
	key       *rsa.PrivateKey
	challenge string         // PKCE, of the last one who came
	nonce     string         // same
	change    map[string]any // claims other than they should be
	used      bool
	end       string // where people sign out; "" nowhere
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		offers := map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}}
		if i.end != "" {
			offers["end_session_endpoint"] = i.end
		}
		answer(w, offers)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != i.challenge || r.PostFormValue("code") != "code" || i.used {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]any{"error": "invalid_grant"})
			return
		}
		i.used = true
		claims := map[string]any{"iss": i.URL, "aud": "schakel", "sub": "u-1", "name": "Someone", "nonce": i.nonce,
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "groups": []string{"other", "privacy"}}
		maps.Copy(claims, i.change)
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.sign(t, claims)})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]string{"alg": "RS256", "kid": "k"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (i *issuer) site(t *testing.T) *site {
	return start(t, func(c *console.Config) {
		c.Personas = nil
		c.OIDC = &console.OIDC{Issuer: i.URL, ClientID: "schakel", ClientSecret: "secret", RolesClaim: "groups",
			Roles: map[string]console.Role{"privacy": console.PrivacyOfficer, "toezicht": console.FG}}
	})
}

// leave begins a sign-in and gives what the provider is asked.
func (i *issuer) leave(v *visitor) url.Values {
	resp, body := v.get("/aanmelden/oidc")
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		v.t.Fatalf("go to provider: %d %.200s", resp.StatusCode, body)
	}
	q := to.Query()
	i.challenge, i.nonce, i.used = q.Get("code_challenge"), q.Get("nonce"), false
	if q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || i.nonce == "" {
		v.t.Fatalf("asked of the provider: %v", q)
	}
	return q
}

func TestOIDC(t *testing.T) {
	i := newIssuer(t)
	s := i.site(t)
	v := s.visitor()
	v.get("/beleid")
	q := i.leave(v)
	back := "/callback?code=code&state=" + url.QueryEscape(q.Get("state"))
	if resp, body := v.get(back); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/beleid" {
		t.Fatalf("came back: %d %.300s", resp.StatusCode, body)
	}
	if resp, _ := v.get("/beleid"); resp.StatusCode != http.StatusOK {
		t.Errorf("signed in: %d", resp.StatusCode)
	}
	if resp, _ := v.get(back); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time: %d", resp.StatusCode)
	}
}

// TestOIDCRefused: one thing wrong, and nobody is signed in.
func TestOIDCRefused(t *testing.T) {
	i := newIssuer(t)
	s := i.site(t)
	for name, change := range map[string]map[string]any{
		"issuer": {"iss": "https://elsewhere.example"}, "audience": {"aud": "other"}, "nonce": {"nonce": "other"},
		"expired": {"exp": time.Now().Add(-time.Hour).Unix()}, "no role": {"groups": []string{"other"}},
	} {
		v := s.visitor()
		i.change = change
		q := i.leave(v)
		v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state")))
		if resp, _ := v.get("/beleid"); resp.StatusCode == http.StatusOK {
			t.Errorf("%s: signed in", name)
		}
	}
	i.change = nil
	v := s.visitor()
	i.leave(v)
	v.get("/callback?code=code&state=other")
	if resp, _ := v.get("/beleid"); resp.StatusCode == http.StatusOK {
		t.Error("another state: signed in")
	}
	// The state of somebody else's session: signing a victim in as the attacker.
	victim := s.visitor()
	q := i.leave(v)
	victim.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state")))
	if resp, _ := victim.get("/beleid"); resp.StatusCode == http.StatusOK {
		t.Error("a state of another session: signed in")
	}
	v = s.visitor()
	q = i.leave(v)
	i.challenge = "other"
	v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state")))
	if resp, _ := v.get("/beleid"); resp.StatusCode == http.StatusOK {
		t.Error("another verifier: signed in")
	}
}

// TestSignOutAtProvider: who signs out is led to sign out at the provider too, without a word about them in the address; where
// that can't be, they are told.
func TestSignOutAtProvider(t *testing.T) {
	for end, want := range map[string]string{
		"https://idp.example/logout?realm=x": "https://idp.example/logout?client_id=schakel&post_logout_redirect_uri=%s%%2Faanmelden&realm=x",
		"":                                   "", "javascript:alert(1)": "", "/logout": "",
	} {
		i := newIssuer(t)
		i.end = end
		s := i.site(t)
		v := s.visitor()
		v.get("/beleid")
		q := i.leave(v)
		v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state")))
		if resp, _ := v.get("/afgemeld"); resp.Header.Get("Location") != "/" || resp.Header.Get("Refresh") != "" {
			t.Errorf("%s: who is signed in goes to %v", end, resp.Header)
		}
		if resp, _ := v.send("/afmelden", nil); resp.Header.Get("Location") != "/afgemeld" {
			t.Errorf("%s: signed out to %q", end, resp.Header.Get("Location"))
		}
		if want != "" {
			want = fmt.Sprintf(want, url.QueryEscape(s.URL))
		}
		resp, body := v.get("/afgemeld")
		if got := strings.TrimPrefix(resp.Header.Get("Refresh"), "0; url="); got != want {
			t.Errorf("%s: goes on to %q, want %q", end, got, want)
		}
		if want == "" != strings.Contains(body, "misschien nog aangemeld") {
			t.Errorf("%s: %s", end, body)
		}
		if resp, _ := v.get("/beleid"); resp.StatusCode == http.StatusOK {
			t.Errorf("%s: signed in still", end)
		}
		i.Close()
		if resp, body := s.visitor().get("/afgemeld"); want == "" && resp.StatusCode != http.StatusOK {
			t.Errorf("%s, away: %d %s", end, resp.StatusCode, body)
		}
	}
	if resp, _ := start(t, nil).visitor().get("/afgemeld"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without a provider: %d", resp.StatusCode)
	}
}
