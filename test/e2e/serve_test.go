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
	"strings"
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
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	pki := newPKI(t, filepath.Join(t.TempDir(), "pki"))
	mine, other := pki.issue(t, "gemeente"), pki.issue(t, "een ander")
	serverCert, sourceCert := pki.issue(t, "schakel"), pki.issue(t, "bron")
	showed := ""
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
				showed = r.TLS.PeerCertificates[0].Subject.CommonName
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
	if showed != "schakel" {
		t.Errorf("the source saw certificate %q", showed)
	}
	if out, err := w.schakel(askArgs(v, "--ca", pki.ca)...); err != nil {
		t.Errorf("an unbound token, where none is demanded: %s", out)
	}
	if out, err := w.schakel(askArgs(v)...); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("a server that is not trusted was asked: %s", out)
	}

	bound := w.token401(t, v, withMine)
	free := w.token401(t, v, nil)
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

func (w *world) token401(t *testing.T, v map[string]string, more []string) string {
	t.Helper()
	out, err := w.schakel(append([]string{"token", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker"}, more...)...)
	if err != nil {
		t.Fatal(out)
	}
	return strings.TrimSpace(out)
}

func holder(t *testing.T, town *agencies.Town, kind broker.AgencyKind) broker.OIN {
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

func (w *world) reconfigure(t *testing.T, change func(map[string]any)) {
	t.Helper()
	w.write(t, "schakel.yaml", w.variant(t, change))
}

// variant gives the configuration with a change.
func (w *world) variant(t *testing.T, change func(map[string]any)) string {
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
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
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
	time.Sleep(700 * time.Millisecond) // the corporation keeps the question for 2 s
	jwks := filepath.Join(w.dir, "jwks.json")
	w.write(t, "jwks.json", string(fetch(t, v["SERVER"]+"/.well-known/jwks.json")))
	signalled := time.Now()
	w.halt(t)
	took := time.Since(signalled)
	err := c.Wait()
	if took < 500*time.Millisecond {
		t.Fatalf("ended in %v: nothing was in flight", took)
	}
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
		!strings.Contains(lines[n-2], v["WORKER"]) {
		t.Errorf("the end of the log: %v, %s", err, strings.Join(lines[max(0, n-3):], "\n"))
	}
	// Without the ring all but the encrypted parts can be read and verified.
	bare := exec.Command(binary, "audit", "log", "--redis", redis)
	bare.Env = append(bare.Environ(), "SCHAKEL_DATA=")
	data, err := bare.Output()
	if err != nil || !strings.Contains(string(data), "disclosure") || strings.Contains(string(data), v["WORKER"]) {
		t.Errorf("the log without the ring: %v, %s", err, data)
	}
}

// TestTwoGateways: one Redis, two gateways, each begun by init. A consent withdrawn through one is honoured by the other
// at once. A gateway whose stream another process claims ends with an error.
func TestTwoGateways(t *testing.T) {
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	dir2 := filepath.Join(t.TempDir(), "gw2")
	if err := os.MkdirAll(dir2, 0o700); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	second := func(writer string) func(map[string]any) {
		return func(config map[string]any) {
			config["writer"], config["data"] = writer, dir2
			config["listen"] = fmt.Sprintf("127.0.0.1:%d", port)
		}
	}
	config2 := filepath.Join(w.dir, "gw2.yaml")
	w.write(t, "gw2.yaml", w.variant(t, second("gw2")))
	// A second start of gw1 in its own folder and on its own port does not disturb it.
	if out, err := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "schakel.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "already in use") {
		t.Fatalf("a second start: %v, %s", err, out)
	}
	w.write(t, "same-folder.yaml", w.variant(t, func(c map[string]any) { c["listen"] = "127.0.0.1:0" }))
	if out, err := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "same-folder.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "another server has it") {
		t.Fatalf("a second start in the folder: %v, %s", err, out)
	}
	if out, err := w.schakel(askArgs(v)...); err != nil {
		t.Fatalf("gw1 after a second start: %s", out)
	}
	out, err := exec.Command(binary, "serve", "--config", config2).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "schakel init") {
		t.Fatalf("serve made a stream that was absent: %v, %s", err, out)
	}
	for range 2 { // the second time it finds nothing to do
		if out, err := exec.Command(binary, "init", "--config", config2).CombinedOutput(); err != nil {
			t.Fatalf("init of gw2: %s", out)
		}
	}
	gw2 := exec.Command(binary, "serve", "--config", config2)
	var log bytes.Buffer
	gw2.Stderr = &log
	if err := gw2.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- gw2.Wait() }()
	defer func() { _ = gw2.Process.Kill() }()
	url2 := fmt.Sprintf("http://127.0.0.1:%d", port)
	waitReady(t, url2)

	ggz := func() (string, error) {
		return w.schakel("ask", "--server", url2, "--audience", v["SERVER"], "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role",
			"wijkteammedewerker", "--purpose", "ontruiming-voorkomen", "--household", "case:"+v["CASE"], "--fields", "ggz.behandelaar.contact")
	}
	consent := func(act string, more ...string) {
		t.Helper()
		if out, err := w.schakel(append([]string{"register", "consent", act, "--case", v["CASE"], "--person", "bsn:" + v["BSN"], "--kind", "release",
			"--domain", "ggz"}, more...)...); err != nil {
			t.Fatal(out)
		}
	}
	for range 5 {
		consent("give", "--recipient", v["GEMEENTE"], "--purposes", "ontruiming-voorkomen")
		if out, err := ggz(); err != nil {
			t.Fatalf("given through gw1, not used by gw2: %s", out)
		}
		consent("withdraw")
		if out, err := ggz(); err == nil || !strings.Contains(out, "release-missing") {
			t.Fatalf("withdrawn through gw1, used by gw2: %s", out)
		}
	}

	// A second gateway that takes gw1 for its name pushes gw1 out: it must not go on.
	port3 := freePort(t)
	w.write(t, "gw1-again.yaml", w.variant(t, func(c map[string]any) {
		c["data"], c["listen"] = t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port3)
	}))
	usurper := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "gw1-again.yaml"))
	if err := usurper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = usurper.Process.Kill(); _ = usurper.Wait() }()
	waitReady(t, fmt.Sprintf("http://127.0.0.1:%d", port3))
	if out, err := w.schakel(askArgs(v)...); err == nil {
		t.Errorf("an answer from a gateway whose stream is another's: %s", out)
	}
	first := w.process
	w.process = nil
	time.AfterFunc(20*time.Second, func() { _ = first.Process.Kill() })
	_ = first.Wait()
	if code := first.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the gateway whose stream was claimed ended with %d", code)
	}

	// gw2 goes on, and ends well.
	if out, err := ggz(); err == nil || !strings.Contains(out, "release-missing") {
		t.Errorf("gw2 after that: %s", out)
	}
	_ = gw2.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("gw2: %v, %s", err, log.String())
	}
	if strings.Contains(log.String(), v["BSN"]) || strings.Contains(log.String(), v["WORKER"]) {
		t.Errorf("the log of gw2 names persons: %s", log.String())
	}
}

func waitReady(t *testing.T, server string) {
	t.Helper()
	for range 1000 {
		if resp, err := http.Get(server + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("not ready in time")
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
