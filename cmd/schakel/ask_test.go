package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/keys"
)

// TestAskTrustsNothing: what a server says without a signature that holds is never shown as an answer.
func TestAskTrustsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public, private, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	const oin = "00000099000000011000"
	if err := os.MkdirAll(filepath.Join(dir, agenciesFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, agenciesFolder, oin+".jwk"), private, 0o600); err != nil {
		t.Fatal(err)
	}
	const answer = `{"id":"x","household":{"huur":{"achterstand":{"bedrag":77}}},"granted":[{"field":"huur.achterstand.bedrag","subject":"household","form":"exact","basis":"wgs-8"}]}`
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed, with the token") }))
	defer elsewhere.Close()
	for _, c := range []struct {
		name string
		code int
		say  string
		do   func(w http.ResponseWriter)
	}{
		{"no signature", 4, "NOT VERIFIED", func(w http.ResponseWriter) { _, _ = w.Write([]byte(answer)) }},
		{"no JWS", 4, "NOT VERIFIED", func(w http.ResponseWriter) {
			w.Header().Set("Payload-Signature", "abc..def")
			_, _ = w.Write([]byte(answer))
		}},
		{"a refusal without signature", 1, "no-relation", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"title":"t","code":"no-relation"}`))
		}},
		{"a page of a proxy", 1, "is --server right?", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html>bedrag 77"))
		}},
		{"another server", 4, "NOT VERIFIED", func(w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/disclosures" {
				c.do(w)
				return
			}
			_, _ = w.Write([]byte(`{"keys":[` + string(public) + `]}`))
		}))
		var out, errOut bytes.Buffer
		code := run(t.Context(), []string{"ask", "--data", dir, "--server", server.URL, "--agency", oin, "--worker", "w", "--role", "r", "--purpose", "p",
			"--household", "bsn:-", "--fields", "huur.achterstand.bedrag"}, strings.NewReader("999990019\n"), &out, &errOut)
		server.Close()
		if code != c.code || !strings.Contains(errOut.String(), c.say) || out.Len() > 0 || strings.Contains(errOut.String(), "77") ||
			strings.Contains(errOut.String(), "999990019") {
			t.Errorf("%s: exit %d, out %q, err %q; want %d and %q", c.name, code, out.String(), errOut.String(), c.code, c.say)
		}
	}
}
