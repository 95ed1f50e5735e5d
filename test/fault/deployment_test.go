package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/journal/socket"
	"github.com/schakel/schakel/test/agencies"
)

// deployment is one gateway with its journal and agencies. It is a shorter copy of the world in test/e2e.
type deployment struct {
	dir     string
	writer  string
	args    []string          // that start the gateway
	redis   *redistest.Server // nil on bolt
	shard   string
	process *exec.Cmd
	gone    chan struct{} // closed when the process has ended
	output  syncBuffer
	info    info
	tokens  map[string]string // by worker
	renewed time.Time
}

// info is what demo.json tells.
type info struct {
	Server   string
	Agencies []struct{ OIN, Kind string }
	Workers  []struct{ Agency, ID, Role string }
	Cases    []struct {
		ID       string
		BSNs     []string
		Workers  []string
		Purposes []string
	}
}

// onBolt starts `schakel demo`.
func onBolt(t *testing.T) *deployment {
	t.Helper()
	port := freePort(t)
	d := &deployment{dir: filepath.Join(t.TempDir(), "data"), writer: "demo"}
	d.args = []string{"demo", "--listen", "127.0.0.1:" + strconv.Itoa(port), "--data", d.dir}
	return d.begin(t)
}

// onRedis starts a Redis, the agencies, and `schakel serve` after `schakel init`.
func onRedis(t *testing.T, redis *redistest.Server) *deployment {
	t.Helper()
	people, _, err := agencies.Open("")
	if err != nil {
		t.Fatal(err)
	}
	town, err := agencies.Start(agencies.Config{People: people, Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = town.Close() })
	d := &deployment{dir: filepath.Join(t.TempDir(), "data"), writer: "gw1", redis: redis, shard: people.Municipality()}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listen := "127.0.0.1:" + strconv.Itoa(freePort(t))
	var sources []map[string]any
	for _, a := range town.Agencies() {
		if a.Protocol == "" {
			continue
		}
		header := "apikey-" + string(a.Kind)
		d.write(t, header, a.Header["X-API-KEY"])
		fields := map[string]any{}
		for path, f := range a.Fields {
			fields[string(path)] = map[string]any{"name": f.Name, "type": string(f.Type)}
		}
		sources = append(sources, map[string]any{"holder": string(a.OIN), "protocol": a.Protocol, "address": a.BaseURL,
			"key": string(a.Key), "fields": fields, "headerFiles": map[string]any{"X-API-KEY": header}})
	}
	config, err := yaml.Marshal(map[string]any{
		"shard": d.shard, "writer": d.writer, "listen": listen, "audience": "http://" + listen, "data": ".",
		"keys":   map[string]any{"file": "keys.jwe", "passphraseFile": "passphrase"},
		"redis":  map[string]any{"addresses": []string{redis.Addr}},
		"limits": map[string]any{"requestsPerSecond": 100_000, "burst": 100_000, "shutdownTimeout": "2s"}, "sources": sources,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "schakel.yaml", string(config))
	d.write(t, "passphrase", "een lange zin die niemand raadt")
	file := filepath.Join(d.dir, "schakel.yaml")
	for try := 1; ; try++ {
		out, err := command("init", "--config", file, "--example", d.dir, "--server", "http://"+listen).CombinedOutput()
		if err == nil {
			break
		}
		if try == 3 {
			t.Fatalf("init: %v\n%s", err, out)
		}
		// A write to Redis has 200 ms, which a machine busy with other tests may not keep; an init that failed half-way
		// can't be taken up.
		t.Logf("init again, after: %s", out)
		redisDo(t, redis, "FLUSHALL")
		for _, name := range []string{"heads", "agencies", "keys.jwe", "demo.json"} {
			if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.args = []string{"serve", "--config", file}
	return d.begin(t)
}

func (d *deployment) begin(t *testing.T) *deployment {
	t.Helper()
	t.Cleanup(func() {
		if d.alive() {
			_ = d.process.Process.Kill()
			<-d.gone
		}
		if t.Failed() {
			t.Logf("the gateway wrote:\n%s", tail(d.output.String()))
		}
	})
	d.start(t)
	d.waitReady(t)
	data, err := os.ReadFile(filepath.Join(d.dir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(data, &d.info)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.renew(t)
	return d
}

// renew gets the workers tokens that are good for the minutes to come.
func (d *deployment) renew(t *testing.T) {
	t.Helper()
	if time.Since(d.renewed) < 2*time.Minute {
		return
	}
	d.tokens, d.renewed = map[string]string{}, time.Now()
	for _, w := range d.info.Workers {
		out, err := d.schakel("token", "--agency", w.Agency, "--worker", w.ID, "--role", w.Role)
		if err != nil {
			t.Fatalf("token: %s", out)
		}
		d.tokens[w.ID] = strings.TrimSpace(out)
	}
}

// command runs the binary on generated persons, whatever is at hand: nothing here depends on who they are.
func command(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env = append(os.Environ(), "SCHAKEL_BRP=")
	return c
}

// schakel runs a command on the deployment's folder.
func (d *deployment) schakel(args ...string) (string, error) {
	c := command(args...)
	c.Env = append(c.Env, "SCHAKEL_DATA="+d.dir)
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		out = append(out, exit.Stderr...)
	}
	return string(out), err
}

func (d *deployment) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the gateway's process, and does not wait for it.
func (d *deployment) start(t *testing.T) {
	t.Helper()
	c := command(d.args...)
	c.Stdout, c.Stderr = &d.output, &d.output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait() // how it ended is in its state
		close(gone)
	}()
	d.process, d.gone = c, gone
}

func (d *deployment) alive() bool {
	select {
	case <-d.gone:
		return false
	default:
		return true
	}
}

// kill ends the gateway with SIGKILL.
func (d *deployment) kill(t *testing.T) {
	t.Helper()
	if !d.alive() {
		t.Errorf("the gateway had ended by itself: %v\n%s", d.process.ProcessState, tail(d.output.String()))
	}
	_ = d.process.Process.Kill()
	<-d.gone
}

// end ends the gateway as an operator does, and expects it to end well.
func (d *deployment) end(t *testing.T) {
	t.Helper()
	_ = d.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.gone:
		if code := d.process.ProcessState.ExitCode(); code != 0 {
			t.Errorf("SIGTERM: exit %d\n%s", code, tail(d.output.String()))
		}
	case <-time.After(20 * time.Second):
		t.Error("the gateway does not end")
	}
}

// waitEnd waits until the gateway ends by itself, and gives its exit code.
func (d *deployment) waitEnd(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case <-d.gone:
		return d.process.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("the gateway goes on")
		return 0
	}
}

func (d *deployment) url() string {
	if d.info.Server != "" {
		return d.info.Server
	}
	var i info
	data, _ := os.ReadFile(filepath.Join(d.dir, "demo.json"))
	_ = json.Unmarshal(data, &i)
	return i.Server
}

func (d *deployment) ready() bool {
	url := d.url()
	if url == "" {
		return false
	}
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// waitReady waits until the gateway says that it is ready, and tells how long that took.
func (d *deployment) waitReady(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for !d.ready() {
		if time.Since(began) > 60*time.Second || !d.alive() {
			t.Fatalf("not ready:\n%s", tail(d.output.String()))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// store opens the running gateway's journal.
func (d *deployment) store(t *testing.T) journal.Store {
	t.Helper()
	s, err := socket.Dial(filepath.Join(d.dir, "schakel.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// redisURL is for commands on a gateway that is gone.
func (d *deployment) redisURL() string { return "redis://" + d.redis.Addr + "?shard=" + d.shard }

// redisDo sends one command to Redis and gives the first bytes of the answer.
func redisDo(t *testing.T, s *redistest.Server, words string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, words+"\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return string(buf[:n])
}

// held is what one answer handed out.
type held struct {
	status    int
	code      string // of a problem
	signature string
	body      []byte
	cut       bool // the connection broke after the signature came
	took      time.Duration
}

// post asks over HTTP. An error means that no answer began.
func (d *deployment) post(ctx context.Context, client *http.Client, token string, question any) (held, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return held{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.info.Server+"/v1/disclosures", bytes.NewReader(body))
	if err != nil {
		return held{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return held{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	h := held{status: resp.StatusCode, signature: resp.Header.Get("Payload-Signature")}
	h.body, err = io.ReadAll(resp.Body)
	h.cut, h.took = err != nil, time.Since(began)
	var p struct{ Code string }
	if json.Unmarshal(h.body, &p) == nil {
		h.code = p.Code
	}
	return h, nil
}

// question is one that a wijkteam asks; the number chooses case, worker and fields.
func (d *deployment) question(n int) (worker string, question map[string]any) {
	c := d.info.Cases[n%len(d.info.Cases)]
	worker = c.Workers[n/len(d.info.Cases)%len(c.Workers)]
	fields := [][]broker.Field{
		{"huur.achterstand.bedrag"}, {"huur.achterstand.bedrag", "ggz.behandelaar.contact"}, {"persoon.naam.voornamen"},
	}[n%3]
	return worker, map[string]any{"household": map[string]string{"case": c.ID}, "purpose": "ontruiming-voorkomen", "fields": fields}
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
