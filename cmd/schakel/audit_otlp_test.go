package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPush: what a collector puts off is sent again, byte for byte, until it acknowledges; what it rejects or refuses ends the push;
// records arrive in order, none left out.
func TestPush(t *testing.T) {
	const records = 2*otlpRecords + 50
	var text strings.Builder
	for n := range records {
		fmt.Fprintf(&text, `{"resourceSpans":[{"n":%d}]}`+"\n", n)
	}
	file := filepath.Join(t.TempDir(), ldvFile)
	header := filepath.Join(t.TempDir(), "header")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(header, []byte("Authorization: Bearer geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		second func(w http.ResponseWriter) (took bool) // what comes of the second request; not took: as if it had not come
		want   int
		says   string
	}{
		"acknowledged": {nil, records, ""},
		"put off":      {func(w http.ResponseWriter) bool { w.Header().Set("Retry-After", "0"); w.WriteHeader(503); return false }, records, ""},
		"cut off":      {func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) }, records, ""},
		"rejected": {func(w http.ResponseWriter) bool {
			_, _ = io.WriteString(w, `{"partialSuccess":{"rejectedSpans":"3"}}`)
			return false
		}, otlpRecords, "rejected 3"},
		"refused": {func(w http.ResponseWriter) bool { w.WriteHeader(401); return false }, otlpRecords, "401"},
		"redirected": {func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(307)
			return false
		}, otlpRecords, "307"},
		"something else": {func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "<html>"); return false }, otlpRecords, "not that of OTLP"},
	} {
		t.Run(name, func(t *testing.T) {
			requests, next := 0, 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer geheim" {
					t.Errorf("%s %v", r.URL, r.Header)
				}
				var body struct{ ResourceSpans []struct{ N int } }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				if requests == 2 && tt.second != nil && !tt.second(w) {
					return
				}
				for _, s := range body.ResourceSpans {
					if s.N != next {
						t.Errorf("record %d came in the place of %d", s.N, next)
					}
					next++
				}
			}))
			defer server.Close()
			n, err := collector{server.URL, header}.push(t.Context(), file)
			if n != tt.want || (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) || next != tt.want {
				t.Errorf("%d acknowledged, %d came, %v", n, next, err)
			}
		})
	}
	for _, bad := range []string{"", "logboek.example", "http://logboek.example", "ftp://127.0.0.1", "https://u:p@logboek.example", "https://logboek.example?x=1"} {
		if n, err := (collector{url: bad}).push(t.Context(), file); n != 0 || err == nil {
			t.Errorf("%q: %d, %v", bad, n, err)
		}
	}
}
