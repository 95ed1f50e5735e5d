package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/test/agencies"
)

// askArgs is a question that is granted.
func askArgs(v map[string]string, more ...string) []string {
	return append([]string{"ask", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker", "--purpose",
		"ontruiming-voorkomen", "--household", "case:" + v["CASE"], "--fields", "huur.achterstand.bedrag"}, more...)
}

// TestServeTLS: the listener speaks TLS, a token is good only with the client certificate it is bound to, and the
// corporation is reached over TLS with a client certificate from the configuration.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	pki := newPKI(t, filepath.Join(t.TempDir(), "pki"))
	mine, other := pki.issue(t, "gemeente"), pki.issue(t, "een ander")
	serverCert, sourceCert := pki.issue(t, "schakel"), pki.issue(t, "bron")
	var showed atomic.Value
	w.client = pki.client(t, "")
	w.adjust = func(config map[string]any) {
		config["tls"] = map[string]any{"certificate": serverCert + ".pem", "key": serverCert + ".key", "clientCA": pki.ca}
		for _, s := range config["sources"].([]map[string]any) {
			if s["holder"] != string(holder(t, w.town, "woningcorporatie")) {
				continue
			}
			behind, err := url.Parse(s["address"].(string))
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind.Host})
			front := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				showed.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
				proxy.ServeHTTP(rw, r)
			}))
			front.TLS = pki.server(t, sourceCert)
			front.StartTLS()
			t.Cleanup(front.Close)
			s["address"] = strings.Replace(front.URL, "http://", "https://", 1) + behind.Path
			s["certificate"], s["certificateKey"], s["ca"] = serverCert+".pem", serverCert+".key", pki.ca
		}
	}
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	if !strings.HasPrefix(v["SERVER"], "https://") {
		t.Fatalf("server %s", v["SERVER"])
	}
	withMine := []string{"--ca", pki.ca, "--certificate", mine + ".pem", "--certificate-key", mine + ".key"}

	out, err := w.schakel(askArgs(v, append(withMine, "--json")...)...)
	if err != nil || !strings.Contains(out, `"unavailable":[]`) {
		t.Errorf("with its certificate: %v, %s", err, out)
	}
	if showed.Load() != "schakel" {
		t.Errorf("the source saw certificate %v", showed.Load())
	}
	if out, err := w.schakel(askArgs(v, "--ca", pki.ca)...); err != nil {
		t.Errorf("an unbound token, where none is demanded: %s", out)
	}
	if out, err := w.schakel(askArgs(v)...); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("a server that is not trusted was asked: %s", out)
	}

	bound, free := w.tokenWith(t, v, withMine), w.tokenWith(t, v, nil)
	try := func(client *http.Client, token string) string {
		t.Helper()
		body := fmt.Sprintf(`{"household":{"case":%q},"purpose":"ontruiming-voorkomen","fields":["huur.achterstand.bedrag"]}`, v["CASE"])
		req, err := http.NewRequest(http.MethodPost, v["SERVER"]+"/v1/disclosures", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return "no connection"
		}
		defer func() { _ = resp.Body.Close() }()
		var p struct{ Code string }
		_ = json.NewDecoder(resp.Body).Decode(&p)
		return fmt.Sprint(resp.StatusCode, " ", p.Code)
	}
	none, same, wrong := pki.client(t, ""), pki.client(t, mine), pki.client(t, other)
	foreign := newPKI(t, filepath.Join(t.TempDir(), "foreign"))
	stranger := pki.client(t, "")
	stranger.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = foreign.client(t, foreign.issue(t, "vreemd")).Transport.(*http.Transport).TLSClientConfig.GetClientCertificate
	for _, c := range []struct {
		name   string
		client *http.Client
		token  string
		want   string
	}{
		{"its certificate", same, bound, "200 "},
		{"no certificate", none, bound, "401 token-certificate"},
		{"another certificate", wrong, bound, "401 token-certificate"},
		{"a certificate of another root", stranger, bound, "no connection"},
	} {
		if got := try(c.client, c.token); got != c.want {
			t.Errorf("bound token, %s: %s, want %s", c.name, got, c.want)
		}
	}

	// Required: no connection without a certificate, and no answer to a token that is not bound.
	w.halt(t)
	w.reconfigure(t, func(config map[string]any) {
		config["tls"].(map[string]any)["requireClientCertificate"] = true
	})
	w.client = same
	w.run(t, "serve", "--config", filepath.Join(w.dir, "schakel.yaml"))
	for _, c := range []struct {
		name   string
		client *http.Client
		token  string
		want   string
	}{
		{"bound, its certificate", pki.client(t, mine), bound, "200 "},
		{"bound, no certificate", pki.client(t, ""), bound, "no connection"},
		{"not bound", pki.client(t, mine), free, "401 token-certificate"},
	} {
		if got := try(c.client, c.token); got != c.want {
			t.Errorf("required, %s: %s, want %s", c.name, got, c.want)
		}
	}
}

func (w *world) tokenWith(t *testing.T, v map[string]string, more []string) string {
	t.Helper()
	out, err := w.schakel(append([]string{"token", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker"}, more...)...)
	if err != nil {
		t.Fatal(out)
	}
	return strings.TrimSpace(out)
}

func holder(t testing.TB, town *agencies.Town, kind broker.AgencyKind) broker.OIN {
	t.Helper()
	for _, a := range town.Agencies() {
		if a.Kind == kind {
			return a.OIN
		}
	}
	t.Fatalf("no %s", kind)
	return ""
}

// halt ends the server alone, and keeps its journal and agencies.
func (w *world) halt(t *testing.T) {
	t.Helper()
	_ = w.process.Process.Signal(syscall.SIGTERM)
	if err := w.process.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	w.process = nil
}

func (w *world) reconfigure(t testing.TB, change func(map[string]any)) {
	t.Helper()
	w.write(t, "schakel.yaml", w.variant(t, change))
}

// variant gives the configuration with a change.
func (w *world) variant(t testing.TB, change func(map[string]any)) string {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(w.dir, "schakel.yaml"))), &config); err != nil {
		t.Fatal(err)
	}
	change(config)
	data, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestServeFinishes: what is in flight at SIGTERM is answered and recorded, and the end is recorded after it.
func TestServeFinishes(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	w.hold.Patience = 5 * time.Second
	w.adjust = func(config map[string]any) { config["limits"].(map[string]any)["sourceTimeout"] = "1m" }
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	jwks := filepath.Join(w.dir, "jwks.json")
	w.write(t, "jwks.json", string(fetch(t, v["SERVER"]+"/.well-known/jwks.json")))
	corporation := holder(t, w.town, "woningcorporatie")
	w.town.Set(corporation, agencies.Slow)
	kept := filepath.Join(w.dir, "kept.json")
	c := exec.Command(binary, askArgs(v, "--save", kept, "--json")...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- c.Wait() }()
	for end := time.Now().Add(soon); !slices.ContainsFunc(w.town.Log(), func(e agencies.Entry) bool { return e.Kind == "woningcorporatie" }); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the corporation is not asked")
		}
	}
	select { // the corporation keeps the question for five seconds
	case err := <-answered:
		t.Fatalf("nothing is in flight: %v, %s", err, out.String())
	default:
	}
	w.halt(t)
	err := <-answered
	// The listener is closed by now, so ask can't fetch the keys; what it got is kept all the same, and verifies.
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if text, err := w.schakel("verify", kept, "--jwks", jwks); err != nil {
		t.Fatalf("the answer in flight: %s; ask said %s", text, out.String())
	}
	// The server is gone: the journal is read in Redis, the ring lies in the folder.
	redis := "redis://" + w.redis.Addr + "?shard=" + population.Municipality()
	text, err := w.schakel("audit", "verify", "--redis", redis, "--receipt", kept)
	if err != nil || !strings.Contains(text, "receipts that match: 1") {
		t.Errorf("audit verify: %v, %s", err, text)
	}
	text, err = w.schakel("audit", "log", "--redis", redis)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if n := len(lines); err != nil || n < 2 || !strings.Contains(lines[n-2], "disclosure") || !strings.Contains(lines[n-1], " stop") ||
		strings.Contains(text, v["WORKER"]) {
		t.Errorf("the end of the log: %v, %s", err, strings.Join(lines[max(0, n-3):], "\n"))
	}
	// It is read the same without the ring.
	bare := exec.Command(binary, "audit", "log", "--redis", redis)
	bare.Env = append(bare.Environ(), "SCHAKEL_DATA=")
	data, err := bare.Output()
	if err != nil || string(data) != text {
		t.Errorf("the log without the ring: %v, %s", err, data)
	}
}

// TestServeRefuses: what is not safe or not known is named before anything is done.
func TestServeRefuses(t *testing.T) {
	unsafe := redistest.Start(t, "--appendfsync", "everysec")
	safe := redistest.Start(t)
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("passphrase", "een lange zin die niemand raadt\n")
	text := func(redis string) string {
		return "shard: '0599'\nwriter: gw1\nlisten: 127.0.0.1:0\naudience: https://schakel.example\ndata: data\n" +
			"keys: {file: keys.jwe, passphraseFile: passphrase}\nredis: {addresses: ['" + redis + "']}\n"
	}
	write("unsafe.yaml", text(unsafe.Addr))
	write("safe.yaml", text(safe.Addr))
	write("unknown.yaml", text(safe.Addr)+"requireTLS: true\n")
	write("gone.yaml", text("127.0.0.1:1"))
	for _, c := range []struct{ command, config, want string }{
		{"serve", "absent.yaml", "absent.yaml"},
		{"serve", "unknown.yaml", "requireTLS"},
		{"serve", "safe.yaml", "schakel init"}, // no ring yet
		{"init", "unsafe.yaml", "appendfsync"},
		{"init", "gone.yaml", "127.0.0.1:1"},
		{"init", "safe.yaml", ""},
		{"serve", "unsafe.yaml", "appendfsync"},
	} {
		out, err := exec.Command(binary, c.command, "--config", filepath.Join(dir, c.config)).CombinedOutput()
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "niemand raadt") {
			t.Errorf("%s %s: %v, want %q: %s", c.command, c.config, err, c.want, out)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "keys.jwe")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the ring: %v, %v", info, err)
	}
}

// TestInitAgain: what starts a deployment is run at every start of it (docker compose up), and changes nothing then.
func TestInitAgain(t *testing.T) {
	dir := t.TempDir()
	config := "shard: '0599'\nwriter: gw1\nlisten: 127.0.0.1:0\naudience: https://schakel.example\ndata: data\n" +
		"keys: {file: keys.jwe}\nredis: {addresses: ['" + redistest.Start(t).Addr + "']}\n"
	if err := os.WriteFile(filepath.Join(dir, "schakel.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example filled in", "nothing to do"} {
		c := exec.Command(binary, "init", "--config", filepath.Join(dir, "schakel.yaml"), "--example", filepath.Join(dir, "example"))
		c.Env = append(c.Environ(), "SCHAKEL_PASSPHRASE=een lange zin die niemand raadt")
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, want %q: %s", err, want, out)
		}
	}
}
