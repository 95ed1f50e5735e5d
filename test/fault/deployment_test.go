package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/journal/socket"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/test/agencies"
)

// deployment is one gateway with its journal and agencies. It is a shorter copy of the world in test/e2e.
type deployment struct {
	dir      string
	home     string // with the key ring, where it is not in dir
	writer   string
	args     []string          // that start the gateway
	redis    *redistest.Server // where there is one that the test breaks
	redisURL string            // of its Redis, for commands while it is gone
	shard    string
	host     *host // the network it runs in; nil: the test's own
	process  *exec.Cmd
	gone     chan struct{} // closed when the process has ended
	output   syncBuffer
	info     info
	agencies []string                          // their addresses
	tokens   atomic.Pointer[map[string]string] // by worker
	renewed  time.Time
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
	port := redistest.FreePort(t)
	d := &deployment{dir: filepath.Join(t.TempDir(), "data"), writer: "demo"}
	d.args = []string{"demo", "--listen", "127.0.0.1:" + strconv.Itoa(port), "--data", d.dir}
	return d.begin(t)
}

// onRedis starts the agencies and, after `schakel init`, `schakel serve` on a Redis.
func onRedis(t *testing.T, redis *redistest.Server) *deployment {
	t.Helper()
	d := onStore(t, nil, map[string]any{"addresses": []string{redis.Addr}}, func() { redis.Do(t, "FLUSHALL") })
	d.redis, d.redisURL = redis, "redis://"+redis.Addr+"?shard="+d.shard
	return d
}

// onStore is onRedis with a section redis of the configuration, in a network. flush empties what it names, where that can
// be done.
func onStore(t *testing.T, h *host, redis map[string]any, flush func()) *deployment {
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
	d := &deployment{dir: filepath.Join(t.TempDir(), "data"), writer: "gw1", shard: people.Municipality(), host: h}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	listen := h.at() + ":" + strconv.Itoa(redistest.FreePort(t))
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
		d.agencies = append(d.agencies, a.BaseURL)
		sources = append(sources, map[string]any{"holder": string(a.OIN), "protocol": a.Protocol, "address": a.BaseURL,
			"key": string(a.Key), "fields": fields, "headerFiles": map[string]any{"X-API-KEY": header}})
	}
	h.reach(t, d.agencies)
	config, err := yaml.Marshal(map[string]any{
		"shard": d.shard, "writer": d.writer, "listen": listen, "audience": "http://" + listen, "data": ".",
		"keys":   map[string]any{"file": "keys.jwe", "passphraseFile": "passphrase"},
		"redis":  redis,
		"limits": map[string]any{"requestsPerSecond": 100_000, "burst": 100_000, "shutdownTimeout": "2s"}, "sources": sources,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "schakel.yaml", string(config))
	d.write(t, "passphrase", "een lange zin die niemand raadt")
	file := filepath.Join(d.dir, "schakel.yaml")
	for try := 1; ; try++ {
		out, err := h.command(binary, "init", "--config", file, "--example", d.dir, "--server", "http://"+listen).CombinedOutput()
		if err == nil {
			break
		}
		if try == 3 || flush == nil {
			t.Fatalf("init: %v\n%s", err, out)
		}
		// A write to Redis has a few seconds, which a machine busy with other tests may not keep; an init that failed
		// half-way can't be taken up.
		t.Logf("init again, after: %s", out)
		flush()
		for _, name := range []string{"heads", "agencies", "keys.jwe", "demo.json"} {
			if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.args = []string{"serve", "--config", file}
	return d.begin(t)
}

// beside makes a gateway of the same deployment, with a folder and a port of its own, in a network. It is not started.
func (d *deployment) beside(t *testing.T, writer string, h *host) *deployment {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "schakel.yaml"))
	var config map[string]any
	if err == nil {
		err = yaml.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := &deployment{dir: t.TempDir(), home: d.dir, writer: writer, redis: d.redis, redisURL: d.redisURL, shard: d.shard, host: h, info: d.info,
		agencies: d.agencies}
	n.share(d)
	listen := h.at() + ":" + strconv.Itoa(redistest.FreePort(t))
	n.info.Server = "http://" + listen
	config["writer"], config["data"], config["listen"] = writer, n.dir, listen
	if data, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	h.reach(t, d.agencies)
	file := filepath.Join(d.dir, filepath.Base(n.dir)+".yaml") // there, since it names other files of that folder
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	n.args = []string{"serve", "--config", file}
	n.cleanup(t)
	return n
}

// another is beside, with a stream of its own, running.
func (d *deployment) another(t *testing.T, writer string, h *host) *deployment {
	t.Helper()
	n := d.beside(t, writer, h)
	if out, err := h.command(binary, "init", "--config", n.args[2]).CombinedOutput(); err != nil {
		t.Fatalf("init %s: %v\n%s", writer, err, out)
	}
	n.start(t)
	n.waitReady(t)
	return n
}

func (d *deployment) begin(t *testing.T) *deployment {
	t.Helper()
	d.cleanup(t)
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

func (d *deployment) cleanup(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if d.process != nil {
			d.stopped()
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", d.writer, tail(d.output.String()))
		}
	})
}

// renew gets the workers tokens that are good for the minutes to come.
func (d *deployment) renew(t *testing.T) {
	t.Helper()
	if time.Since(d.renewed) < 2*time.Minute {
		return
	}
	tokens := map[string]string{}
	for _, w := range d.info.Workers {
		var signer keys.Signer
		jwk, err := os.ReadFile(filepath.Join(d.dir, "agencies", w.Agency+".jwk"))
		if err == nil {
			signer, err = keys.ParseSigner(jwk)
		}
		if err == nil {
			tokens[w.ID], err = seal.SignToken(signer, seal.TokenClaims{Agency: broker.OIN(w.Agency), Worker: broker.WorkerID(w.ID),
				Role: broker.Role(w.Role), Audience: d.info.Server, IssuedAt: time.Now()})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d.renewed = time.Now()
	d.tokens.Store(&tokens)
}

func (d *deployment) token(worker string) string { return (*d.tokens.Load())[worker] }

// share takes the tokens of another gateway of the deployment.
func (d *deployment) share(with *deployment) {
	d.renewed = with.renewed
	d.tokens.Store(with.tokens.Load())
}

// command runs the binary on generated persons, whatever is at hand: nothing here depends on who they are.
func command(args ...string) *exec.Cmd {
	return (*host)(nil).command(binary, args...)
}

// schakel runs a command on the deployment's folder.
func (d *deployment) schakel(args ...string) (string, error) {
	c := command(args...)
	c.Env = append(c.Env, "SCHAKEL_DATA="+d.dir)
	if d.home != "" {
		c.Env = append(c.Env, "SCHAKEL_KEYS="+filepath.Join(d.home, "keys.jwe"), "SCHAKEL_PASSPHRASE_FILE="+filepath.Join(d.home, "passphrase"))
	}
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
