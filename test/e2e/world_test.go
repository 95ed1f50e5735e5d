package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/test/agencies"
)

// soon is how long a test waits for what must come, on a machine however busy.
const soon = 2 * time.Minute

// world is one server with its journal and agencies.
type world struct {
	tb      testing.TB
	people  agencies.Population
	brp     string // file, "" for generated persons
	dir     string
	process *exec.Cmd
	output  syncBuffer     // what the process wrote
	town    *agencies.Town // on Redis; on bolt the agencies live in the demo's process
	before  int            // how often agencies had been asked when the story began
	redis   *redistest.Server

	adjust func(config map[string]any) // changes what `schakel serve` is configured with; may be nil
	hold   agencies.Config             // how the agencies on Redis are: Patience and Mark

	passphrase string       // of the ring; "" is one that all have
	client     *http.Client // that trusts the server
}

// startBolt starts `schakel demo`.
func startBolt(t testing.TB, w *world) {
	args := []string{"demo", "--listen", "127.0.0.1:0", "--data", w.dir}
	if w.brp != "" {
		args = append(args, "--brp", w.brp)
	}
	w.run(t, args...)
}

// startRedis starts a Redis, the agencies, and `schakel serve` after `schakel init`.
func startRedis(t testing.TB, w *world) {
	if w.redis == nil {
		w.redis = redistest.Start(t)
	}
	if w.hold.Patience == 0 {
		w.hold.Patience = 2 * time.Second
	}
	w.hold.People = w.people
	var err error
	if w.town, err = agencies.Start(w.hold); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	port := redistest.FreePort(t)
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	config := map[string]any{
		"shard": w.people.Municipality(), "writer": "gw1", "listen": "127.0.0.1:" + strconv.Itoa(port), "audience": url, "data": ".",
		"keys":   map[string]any{"file": "keys.jwe", "passphraseFile": "passphrase"},
		"redis":  map[string]any{"addresses": []string{w.redis.Addr}},
		"limits": map[string]any{"requestsPerSecond": 1000, "burst": 1000},
	}
	var sources []map[string]any
	for _, a := range w.town.Agencies() {
		if a.Protocol == "" {
			continue
		}
		header := "apikey-" + string(a.Kind)
		w.write(t, header, a.Header["X-API-KEY"])
		fields := map[string]any{}
		for path, f := range a.Fields {
			fields[string(path)] = map[string]any{"name": f.Name, "type": string(f.Type)}
		}
		sources = append(sources, map[string]any{"holder": string(a.OIN), "protocol": a.Protocol, "address": a.BaseURL,
			"key": string(a.Key), "fields": fields, "headerFiles": map[string]any{"X-API-KEY": header}})
	}
	config["sources"] = sources
	if w.adjust != nil {
		w.adjust(config)
	}
	if config["tls"] != nil {
		url = "https" + strings.TrimPrefix(url, "http")
		config["audience"] = url
	}
	data, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "schakel.yaml", string(data))
	if w.passphrase == "" {
		w.passphrase = "een lange zin die niemand raadt"
	}
	w.write(t, "passphrase", w.passphrase)
	file := filepath.Join(w.dir, "schakel.yaml")
	args := []string{"init", "--config", file, "--example", w.dir, "--server", url}
	if w.brp != "" {
		args = append(args, "--brp", w.brp)
	}
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	w.run(t, "serve", "--config", file)
}

func (w *world) write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts the server and waits until it is ready.
func (w *world) run(t testing.TB, args ...string) {
	t.Helper()
	out := &w.output
	w.process = exec.Command(binary, args...)
	w.process.Stdout, w.process.Stderr = out, out
	if err := w.process.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(soon)
	for time.Now().Before(deadline) {
		if info, err := w.info(); err == nil && info.Server != "" {
			if resp, err := w.http().Get(info.Server + "/readyz"); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.stop(t)
	t.Fatalf("not ready in time:\n%s", out.String())
}

func (w *world) http() *http.Client {
	if w.client != nil {
		return w.client
	}
	return http.DefaultClient
}

func (w *world) stop(t testing.TB) {
	if w.process != nil && w.process.Process != nil {
		_ = w.journalStart()
		_ = w.process.Process.Signal(syscall.SIGINT)
		done := make(chan error, 1)
		go func() { done <- w.process.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the server did not end well: %v", err)
			}
		case <-time.After(soon):
			_ = w.process.Process.Kill()
			t.Error("the server did not end")
		}
		w.process = nil
	}
	if w.town != nil {
		_ = w.town.Close()
	}
}

type info struct {
	Server   string
	Agencies []struct{ OIN, Kind string }
	Cases    []struct {
		ID      string
		BSNs    []broker.BSN
		Workers []string
	}
}

func (w *world) info() (info, error) {
	var i info
	data, err := os.ReadFile(filepath.Join(w.dir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(data, &i)
	}
	return i, err
}

// vars names what the scripts need. It picks cases by what is true of the persons in them.
func (w *world) vars(t testing.TB) map[string]string {
	t.Helper()
	i, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{"SERVER": i.Server, "UNKNOWN_BSN": w.unknownBSN(), "MUNICIPALITY": w.people.Municipality()}
	for _, a := range i.Agencies {
		switch a.Kind {
		case "gemeente":
			v["GEMEENTE"] = a.OIN
		case "woningcorporatie":
			v["CORPORATIE"] = a.OIN
		case "ggz-aanbieder":
			v["GGZ"] = a.OIN
		case "rvig":
			v["RVIG"] = a.OIN
		}
	}
	now := time.Now()
	for _, c := range i.Cases {
		if len(c.ID) < 4 || c.ID[:4] != "zaak" || (len(c.ID) == 8 && (c.ID[7]-'0')%2 == 0) { // the even ones have given consent
			continue
		}
		head, _ := w.people.Person(c.BSNs[0])
		plain, minors := head.Birth.AgeBand(now) == broker.Age18Plus, false
		for _, b := range c.BSNs {
			p, _ := w.people.Person(b)
			band := p.Birth.AgeBand(now)
			plain = plain && !p.Restricted && !p.Deceased && band != broker.AgeUnknown
			minors = minors || (band != broker.AgeUnknown && band != broker.Age18Plus)
		}
		if plain && minors && v["CASE"] == "" && w.hasAddress(head) {
			v["CASE"], v["BSN"], v["WORKER"] = c.ID, c.BSNs[0].Reveal(), c.Workers[0]
		}
		if plain && !minors && v["OTHER_CASE"] == "" {
			v["OTHER_CASE"], v["OTHER_WORKER"] = c.ID, c.Workers[0]
		}
		if head.Restricted && v["RESTRICTED_CASE"] == "" && w.hasAddress(head) {
			v["RESTRICTED_CASE"], v["RESTRICTED_WORKER"] = c.ID, c.Workers[0]
		}
	}
	for _, k := range []string{"CASE", "RESTRICTED_CASE"} {
		if v[k] == "" {
			t.Fatalf("no case among the persons serves as %s", k)
		}
	}
	v["OUTSIDER"] = "wijkteam-1" // a wijkteammedewerker who is not on CASE
	if v["WORKER"] == v["OUTSIDER"] {
		v["OUTSIDER"] = "wijkteam-2"
	}
	return v
}

func (w *world) hasAddress(p agencies.Person) bool { return p.Identity().AddressLine != "" }

// unknownBSN gives a valid BSN that nobody has.
func (w *world) unknownBSN() string {
	for n := 999900000; ; n++ {
		if b, err := broker.ParseBSN(strconv.Itoa(n)); err == nil {
			if _, ok := w.people.Person(b); !ok {
				return b.Reveal()
			}
		}
	}
}

// asked gives every question that reached an agency since the story began.
func (w *world) asked(ts *testscript.TestScript) []agencies.Entry {
	all, err := w.everAsked()
	ts.Check(err)
	return all[w.before:]
}

// everAsked gives every question that reached an agency.
func (w *world) everAsked() (out []agencies.Entry, err error) {
	if w.town != nil {
		return w.town.Log(), nil
	}
	f, err := os.Open(filepath.Join(w.dir, "asked.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for lines := json.NewDecoder(f); ; {
		var e agencies.Entry
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// journalStop takes the journal away: Redis is paused, and the file may not be written any more (a full disk, to the
// server).
func (w *world) journalStop() error {
	if w.redis != nil {
		w.redis.Pause(w.tb)
		return nil
	}
	return w.fileLimit("0")
}

func (w *world) journalStart() error {
	if w.redis != nil {
		w.redis.Resume(w.tb)
		return nil
	}
	return w.fileLimit("unlimited")
}

func (w *world) fileLimit(size string) error {
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(w.process.Process.Pid), "--fsize="+size+":unlimited").CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("prlimit: %s", out), err)
	}
	return nil
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

func (b *syncBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

func (b *syncBuffer) String() string { return string(b.Bytes()) }
