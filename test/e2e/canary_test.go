package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/test/agencies"
)

// TestCanary: a distinctive value in every field of every stand-in, in tokens, requests and every secret of the
// configuration. Stories are told to real processes, with errors, refusals, timeouts and crashes; afterwards none of the
// values stands where it must not: invariant 5. Each is found where it should be, or the test would prove nothing.
func TestCanary(t *testing.T) {
	t.Parallel()
	c := newCanaries(*seed)
	brp := filepath.Join(t.TempDir(), "personen.csv")
	if err := os.WriteFile(brp, c.people(), 0o600); err != nil {
		t.Fatal(err)
	}
	people, _, err := agencies.Open(brp)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{tb: t, people: people, brp: brp, dir: filepath.Join(t.TempDir(), "data"), hold: agencies.Config{Patience: 3 * time.Second, Mark: c.mark}}
	b := &birdcage{canaries: c, w: w, rnd: rand.New(rand.NewPCG(*seed, 1)), places: map[string][]byte{}}
	b.configure(t)
	startRedis(t, w)
	defer w.stop(t)
	if b.info, err = w.info(); err != nil {
		t.Fatal(err)
	}
	b.enrol(t)
	b.questions(t, 120)
	b.rubbish(t)
	b.faults(t)
	b.look(t)
}

// birdcage tells the stories and keeps what every place held.
type birdcage struct {
	*canaries
	w        *world
	rnd      *rand.Rand
	info     info
	password string
	worker   string
	tokens   map[string]string // by role
	places   map[string][]byte
	given    []byte // everything in answers that were granted
	status   map[int]int
}

// process keeps what any other account of the machine can see of the processes, and what only ours can.
func (b *birdcage) process(t *testing.T) {
	t.Helper()
	for name, pid := range map[string]int{"gateway": b.w.process.Process.Pid, "redis": b.w.redis.PID()} {
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
			if err != nil {
				t.Fatal(err)
			}
			b.places[name+" "+file] = append(b.places[name+" "+file], data...)
		}
	}
	resp, err := b.w.http().Get(b.info.Server + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || len(data) < 1000 {
		t.Fatalf("metrics: %v", err)
	}
	b.places["metrics"] = append(b.places["metrics"], data...)
}

// look searches every place, and makes sure that what is looked for can be found.
func (b *birdcage) look(t *testing.T) {
	b.places["log"] = b.w.output.Bytes()
	questions := []byte{}
	for _, q := range b.w.town.Log() {
		questions = append(questions, q.Body...)
		b.places["URLs and traces at holders"] = fmt.Appendln(b.places["URLs and traces at holders"], q.Path, q.Trace, q.State, q.RequestID)
	}
	for _, dir := range []string{b.w.redis.Dir, filepath.Join(b.w.dir, "heads")} {
		if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				b.places[filepath.Base(path)], err = os.ReadFile(path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	b.places["keys of Redis"] = b.redis(t)
	f := b.finder()
	total := 0
	for _, place := range sorted(b.places) {
		total += len(b.places[place])
		for what, i := range f.find(b.places[place]) {
			text := b.places[place]
			t.Errorf("%s holds %s, after %q", place, what, text[max(0, i-80):i])
		}
	}
	t.Logf("%d canaries looked for in %d places, %d bytes; answers by status: %v", len(b.what), len(b.places), total, b.status)

	// Where they should be.
	found := f.find(b.given)
	for _, what := range []string{"huur.contactpersoon of woningcorporatie, as it is", "ggz.behandelaar.contact of ggz-aanbieder, as it is",
		"huur.achterstand.bedrag of woningcorporatie, as it is", "energie.afsluiting.datum of energieleverancier, as it is", "a given name, as it is", "a street, as it is",
		"a town, in capitals"} {
		if _, ok := found[what]; !ok {
			t.Errorf("no answer has %s, which was granted; found are %v", what, sorted(found))
		}
	}
	if n := len(found); n < 12 {
		t.Errorf("only %d kinds of values were given", n)
	}
	if _, ok := f.find(questions)["a BSN, as it is"]; !ok {
		t.Error("no holder was asked by BSN")
	}
	if _, ok := f.find([]byte(b.w.opened(t, "--json")))["a worker, as it is"]; !ok {
		t.Error("the log, opened by an auditor, does not name the worker")
	}
	if len(f.find([]byte(b.w.passphrase))) == 0 || b.status[200] < 30 || b.status[403] < 5 || b.status[503] < 1 || b.status[400] < 10 || b.status[401] < 5 {
		t.Errorf("too little happened: %v", b.status)
	}
}

// redis reads every key of a Redis, as any client with the password can.
func (b *birdcage) redis(t *testing.T) []byte {
	t.Helper()
	_, port, err := net.SplitHostPort(b.w.redis.Addr)
	if err != nil {
		t.Fatal(err)
	}
	cli := func(args ...string) []byte {
		c := exec.Command("redis-cli", append([]string{"-p", port, "--raw", "--no-auth-warning"}, args...)...)
		c.Env = append(c.Environ(), "REDISCLI_AUTH="+b.password)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("redis-cli %v: %v", args, err)
		}
		return out
	}
	out := cli("INFO")
	keys := strings.Fields(string(cli("KEYS", "*")))
	for _, key := range keys {
		out = append(out, key...)
		switch kind := strings.TrimSpace(string(cli("TYPE", key))); kind {
		case "stream":
			out = append(out, cli("XRANGE", key, "-", "+")...)
		case "hash":
			out = append(out, cli("HGETALL", key)...)
		case "set":
			out = append(out, cli("SMEMBERS", key)...)
		case "string":
			out = append(out, cli("GET", key)...)
		default:
			t.Errorf("key of kind %s: extend this test", kind)
		}
	}
	if len(keys) < 4 || len(out) < 100_000 {
		t.Fatalf("%d keys, %d bytes: this is not the journal", len(keys), len(out))
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestCanaryOnBolt: the embedded journal, and what lies beside it, names nobody in clear either.
func TestCanaryOnBolt(t *testing.T) {
	c := newCanaries(*seed + 1)
	brp := filepath.Join(t.TempDir(), "personen.csv")
	if err := os.WriteFile(brp, c.people(), 0o600); err != nil {
		t.Fatal(err)
	}
	people, _, err := agencies.Open(brp)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{tb: t, people: people, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startBolt(t, w)
	worker := c.word("a worker")
	const municipality = "00000099000000011000"
	if out, err := w.schakel("register", "case", "assign", "--case", "zaak-001", "--agency", municipality, "--worker", worker); err != nil {
		t.Fatal(out)
	}
	said := ""
	for _, household := range []string{"case:zaak-001", "bsn:" + people.Households()[0].Persons[0].BSN.Reveal(), "case:zaak-002"} {
		out, _ := w.schakel("ask", "--agency", municipality, "--worker", worker, "--role", "wijkteammedewerker", "--purpose", "ontruiming-voorkomen",
			"--household", household, "--fields", "persoon.naam,persoon.adressering,huur,schulden")
		said += out
	}
	w.stop(t)
	c.add("the passphrase of the ring", strings.TrimSpace(readFile(t, filepath.Join(w.dir, "passphrase"))))
	f := c.finder()
	for _, place := range []string{"journal.db", "log.jsonl", "heads/demo.jsonl", "heads/admin.jsonl", "keys.jwe"} {
		text := readFile(t, filepath.Join(w.dir, place))
		for what, i := range f.find([]byte(text)) {
			t.Errorf("%s holds %s, after %q", place, what, text[max(0, i-80):i])
		}
	}
	for _, what := range []string{"a given name, as it is", "a street, as it is"} {
		if _, ok := f.find([]byte(said))[what]; !ok {
			t.Errorf("no answer has %s: %s", what, said)
		}
	}
	if _, ok := f.find([]byte(readFile(t, filepath.Join(w.dir, "asked.jsonl"))))["a BSN, as it is"]; !ok {
		t.Error("no stand-in was asked by BSN")
	}
}
