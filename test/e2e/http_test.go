package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// TestHTTPEndToEnd: what an integrator's own client sees, without the schakel command in between.
func TestHTTPEndToEnd(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startBolt(t, w)
	defer w.stop(t)
	v := w.vars(t)
	token := w.token(t, v["SERVER"], v["GEMEENTE"], v["WORKER"], "wijkteammedewerker")
	body := []byte(`{"household":{"case":"` + v["CASE"] + `"},"purpose":"ontruiming-voorkomen","fields":["huur.achterstand"]}`)
	post := func(header map[string]string) (*http.Response, []byte) {
		resp := w.post(t, v["SERVER"], token, body, header)
		defer func() { _ = resp.Body.Close() }()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, data
	}
	jwks := fetch(t, v["SERVER"]+"/.well-known/jwks.json")

	t.Run("compact", func(t *testing.T) {
		resp, data := post(map[string]string{"Accept": "application/jose"})
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/jose" || resp.Header.Get("Payload-Signature") != "" {
			t.Fatalf("status %d, headers %v", resp.StatusCode, resp.Header)
		}
		got, err := seal.Verify(seal.Evidence{Compact: string(data)}, jwks)
		if err != nil || got.Kind != seal.Answer || !strings.Contains(string(got.Body), `"huur"`) {
			t.Errorf("%v, %s", err, got.Body)
		}
	})

	t.Run("encrypted for an agency that registered a key", func(t *testing.T) {
		public, private, err := keys.NewEncryptionKey()
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, "encryption.jwk", string(public))
		if out, err := w.schakel("register", "agency", "add", "--oin", v["GEMEENTE"],
			"--encryption-key", filepath.Join(w.dir, "encryption.jwk")); err != nil { // the rest of it stays
			t.Fatal(out)
		}
		resp, data := post(map[string]string{"Accept": "application/jose"})
		if resp.StatusCode != 200 || strings.Count(string(data), ".") != 4 {
			t.Fatalf("status %d, not a JWE: %s", resp.StatusCode, data)
		}
		inner, err := seal.Decrypt(string(data), private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Verify(seal.Evidence{Compact: inner}, jwks); err != nil {
			t.Error(err)
		}
		if resp, data = post(nil); resp.Header.Get("Content-Type") != "application/json" || !json.Valid(data) {
			t.Error("a JSON answer is no longer JSON")
		}
	})

	t.Run("a repeat is decided and recorded again, linked to the first", func(t *testing.T) {
		header := map[string]string{"Idempotency-Key": "herhaling-1"}
		_, first := post(header)
		_, second := post(header)
		if id(t, first) == id(t, second) {
			t.Error("an answer was kept and given again")
		}
		events := w.events(t)
		one, two := events[len(events)-2], events[len(events)-1]
		if two.RepeatOf != one.Hash || one.RepeatOf != (broker.Hash{}) {
			t.Errorf("first %+v, repeat %+v", one, two)
		}
	})

	t.Run("languages and headers", func(t *testing.T) {
		resp := w.post(t, v["SERVER"], token, []byte(`{}`), map[string]string{"Accept-Language": "en"})
		data, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var p struct {
			Code          string
			InvalidParams []struct{ Name, Reason string }
		}
		if err := json.Unmarshal(data, &p); err != nil || resp.StatusCode != 400 || len(p.InvalidParams) != 3 {
			t.Errorf("%d %s", resp.StatusCode, data)
		}
		if resp.Header.Get("API-Version") == "" || resp.Header.Get("Content-Language") != "en" || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("headers %v", resp.Header)
		}
	})
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return data
}

func id(t *testing.T, body []byte) string {
	t.Helper()
	var a struct{ ID string }
	if err := json.Unmarshal(body, &a); err != nil || a.ID == "" {
		t.Fatalf("no id in %s", body)
	}
	return a.ID
}
