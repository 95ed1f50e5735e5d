package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/test/agencies"
)

// TestDemoGrants asks, in the running demo, for every field as every worker for every purpose of his role in several of
// his cases. Each row of the policy's table that a worker of the demo can use gives something; nothing but a signed
// answer or a signed refusal ever comes back.
func TestDemoGrants(t *testing.T) {
	t.Parallel()
	data, brp := t.TempDir(), os.Getenv("SCHAKEL_BRP")
	if brp == "" {
		brp = agencies.Beside(".")
	}
	ctx, cancel := context.WithCancel(t.Context())
	guide := &guideWriter{ready: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		ended <- (&demo{listen: "127.0.0.1:0", console: "127.0.0.1:0", residents: "127.0.0.1:0", data: data, brp: brp, out: guide}).run(ctx)
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-guide.ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	info, err := readDemo(data)
	if err != nil {
		t.Fatal(err)
	}
	checkKeys(t, filepath.Join(data, demoFile))
	jwks := httpGet(t, info.Server+"/.well-known/jwks.json")
	var catalog broker.Catalog
	if err := json.Unmarshal(httpGet(t, info.Server+"/v1/catalog"), &catalog); err != nil {
		t.Fatal(err)
	}
	var fields []broker.Field
	for _, f := range catalog.Fields {
		fields = append(fields, f.Path)
	}

	usable := tableRows(t)
	summary := map[string]*[3]int{} // role and purpose: cases asked, granted anything, fields granted
	for _, w := range info.Workers {
		signer, err := agencySigner(data, "", w.Agency)
		if err != nil {
			t.Fatal(err)
		}
		token, err := seal.SignToken(signer, seal.TokenClaims{Agency: w.Agency, Worker: w.ID, Role: w.Role, Audience: info.Server, IssuedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(posts(), func(p post) bool { return p.role == w.Role })
		for _, purpose := range posts()[i].purposes {
			row := string(w.Role) + " / " + string(purpose)
			if summary[row] == nil {
				summary[row] = &[3]int{}
			}
			asked := 0
			for _, c := range info.Cases {
				if asked == 6 || !slices.Contains(c.Workers, w.ID) || !slices.Contains(c.Purposes, purpose) {
					continue
				}
				asked++
				summary[row][0]++
				if n := askAll(t, info.Server, token, jwks, c.ID, purpose, fields); n > 0 {
					summary[row][1]++
					summary[row][2] += n
				}
			}
		}
	}
	for _, p := range posts() {
		for _, purpose := range p.purposes {
			row := string(p.role) + " / " + string(purpose)
			n := summary[row]
			t.Logf("%-50s %2d cases, something granted in %2d, %4d fields", row, n[0], n[1], n[2])
			switch {
			case n[0] == 0:
				t.Errorf("%s: no case to ask about", row)
			case usable[row] && n[1] == 0:
				t.Errorf("%s: a row of the table, and never anything granted", row)
			case !usable[row] && n[1] > 0:
				t.Errorf("%s: no row of the table, and something granted", row)
			}
			delete(usable, row)
		}
	}
	for row := range usable {
		if !strings.HasPrefix(row, "gegevenshouder") { // no worker: what a holder is told of a household, to find it
			t.Errorf("%s: a row of the table that no worker of the demo can show", row)
		}
	}
}

// askAll gives how many fields were granted.
func askAll(t *testing.T, server, token string, jwks []byte, id broker.CaseID, purpose broker.Purpose, fields []broker.Field) int {
	t.Helper()
	body, err := json.Marshal(map[string]any{"household": map[string]any{"case": id}, "purpose": purpose, "fields": fields})
	if err != nil {
		t.Fatal(err)
	}
	resp, data := httpPost(t, server+"/v1/disclosures", token, body)
	for end := time.Now().Add(2 * time.Minute); resp.StatusCode == http.StatusServiceUnavailable && time.Now().Before(end); {
		resp, data = httpPost(t, server+"/v1/disclosures", token, body) // a machine too busy for the limits of a gateway
	}
	v, err := seal.Verify(seal.Evidence{Body: data, Signature: resp.Header.Get("Payload-Signature")}, jwks)
	if err != nil {
		t.Fatalf("%s, %s: status %d, %v: %s", id, purpose, resp.StatusCode, err, data)
	}
	var answer answerView
	if err := json.Unmarshal(v.Body, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Unavailable) > 0 {
		t.Errorf("%s, %s: unavailable %v", id, purpose, answer.Unavailable)
	}
	if (resp.StatusCode == http.StatusOK) != (len(answer.Granted) > 0) || (resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusForbidden) {
		t.Errorf("%s, %s: status %d with %d granted", id, purpose, resp.StatusCode, len(answer.Granted))
	}
	return len(answer.Granted)
}

func httpPost(t *testing.T, url, token string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

// tableRows reads which roles get something for which purposes, from the page made of the policy.
func tableRows(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("../../policies/TABLE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) != 9 || strings.Contains(cells[1], "---") || strings.HasPrefix(strings.TrimSpace(cells[1]), "rol ") {
			continue
		}
		rows[strings.TrimSpace(cells[1])+" / "+strings.TrimSpace(cells[2])] = true
	}
	if len(rows) < 15 {
		t.Fatalf("read %d rows of the table", len(rows))
	}
	return rows
}

// checkKeys holds demo.json against what is documented of it: these keys and no others.
func checkKeys(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	keysOf := func(v any) string {
		m, _ := v.(map[string]any)
		var out []string
		for k := range m {
			out = append(out, k)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	want := map[string]string{"agencies": "kind mandates name oin", "workers": "agency id role", "cases": "bsns id purposes workers"}
	if keysOf(got) != "agencies cases checkpoints residents server workers" {
		t.Errorf("keys of demo.json: %s", keysOf(got))
	}
	for list, keys := range want {
		items, _ := got[list].([]any)
		if len(items) == 0 {
			t.Errorf("demo.json: no %s", list)
		}
		for _, item := range items {
			if keysOf(item) != keys {
				t.Errorf("demo.json: %s has %s, want %s", list, keysOf(item), keys)
			}
			for k, v := range item.(map[string]any) {
				if v == nil {
					t.Errorf("demo.json: %s of %s is null", k, list)
				}
			}
		}
	}
}

func httpGet(t *testing.T, url string) []byte {
	t.Helper()
	data, err := get(t.Context(), http.DefaultClient, url, "")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// guideWriter waits for the end of the guide.
type guideWriter struct {
	ready chan struct{}
	once  sync.Once
}

func (g *guideWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("Ctrl-C")) {
		g.once.Do(func() { close(g.ready) })
	}
	return len(p), nil
}
