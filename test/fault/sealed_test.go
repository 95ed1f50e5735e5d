package fault

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// fewSealed is the rounds of a short run: each victim once.
const fewSealed = 4

// TestSealedUnderKills kills who seals and who cosigns at random moments: the gateway that leads, the one that would take over,
// the witness, and all of them. Every entry comes under a cosigned checkpoint once, and each checkpoint extends all before. A
// Redis that is put back to before what was sealed is found by the checkpoint.
func TestSealedUnderKills(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	w := newWitness(t, d)
	d.reconfigure(t, func(c map[string]any) {
		c["checkpoints"] = map[string]any{"folder": "checkpoints", "witnesses": []map[string]any{{"verifierKey": w.key, "url": "http://" + w.address}}}
	})
	other := d.another(t, "gw2", nil)
	chance := newChance(t)
	kept := t.TempDir()
	aof, backup := filepath.Join(d.redis.Dir, "appendonlydir"), filepath.Join(t.TempDir(), "backup")
	rounds := many(fewSealed)
	for round := range rounds {
		if round == rounds-1 {
			if err := os.CopyFS(backup, os.DirFS(aof)); err != nil {
				t.Fatal(err)
			}
		}
		d.renew(t)
		other.share(d)
		c, c2 := d.ask(t, 2, 4*lead), other.ask(t, 2, 4*lead)
		time.Sleep(chance.between(30*time.Millisecond, 1500*time.Millisecond))
		away := chance.between(0, time.Second)
		victim := []string{"one gateway", "witness", "other gateway and witness", "all"}[round%4]
		killed := map[string][]*deployment{"one gateway": {d}, "other gateway and witness": {other}, "all": {d, other}}[victim]
		for _, g := range killed {
			g.kill(t)
		}
		if strings.Contains(victim, "witness") || victim == "all" {
			w.kill()
			time.Sleep(away)
			w.start(t)
		}
		for _, g := range killed {
			g.start(t)
		}
		for _, g := range killed {
			g.waitReady(t)
		}
		c.more(t, 10)
		c2.more(t, 10)
		c.stop(t)
		c2.stop(t)
		size := d.sealed(t, w.key, kept)
		d.clean(t, c.dir)
		d.clean(t, c2.dir)
		t.Logf("round %d, %s: %d entries sealed; %v; %v", round, victim, size, c, c2)
		if t.Failed() {
			t.FailNow()
		}
	}
	other.end(t)
	d.end(t)

	d.redis.Kill(t)
	if err := errors.Join(os.RemoveAll(aof), os.CopyFS(aof, os.DirFS(backup))); err != nil {
		t.Fatal(err)
	}
	d.redis.Restart(t)
	out, err := d.schakel("audit", "verify", "--json", "--redis", d.redisURL, "--witness", w.key, "--quorum", "1", "--checkpoints", filepath.Join(d.dir, "checkpoints"))
	var r report
	if json.Unmarshal([]byte(out), &r) != nil || err == nil || r.OK {
		t.Fatalf("Redis put back: %v, %.3000s", err, out)
	}
	for _, writer := range []string{"gw1", "gw2"} {
		named := false
		for _, f := range r.Faults {
			named = named || f.Code == "missing" && f.Stream == "audit:"+writer && strings.Contains(f.What, "a checkpoint vouches for entries up to")
		}
		if !named {
			t.Errorf("Redis put back, and what %s recorded since is not missed: %v", writer, r.Faults)
		}
	}
}

// sealed waits until a checkpoint that the witness cosigned covers the whole log and extends every one that was kept; keeps it
// too, and gives its size.
func (d *deployment) sealed(t *testing.T, witness, kept string) uint64 {
	t.Helper()
	args := []string{"audit", "verify", "--json", "--witness", witness, "--quorum", "1", "--checkpoints", filepath.Join(d.dir, "checkpoints")}
	files, err := filepath.Glob(filepath.Join(kept, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		args = append(args, "--since-checkpoint", f)
	}
	for end := time.Now().Add(soon); ; time.Sleep(time.Second) {
		out, err := d.schakel(args...)
		var r struct {
			OK         bool
			Register   struct{ Entries uint64 }
			Writers    []struct{ Entries uint64 }
			Sealed     uint64
			Checkpoint struct{ Size, Indexes uint64 }
		}
		_ = json.Unmarshal([]byte(out), &r)
		total := r.Register.Entries
		for _, s := range r.Writers {
			total += s.Entries
		}
		if err == nil && r.OK && r.Sealed == total && r.Checkpoint.Size == total+r.Checkpoint.Indexes && total > 0 {
			data, err := os.ReadFile(filepath.Join(d.dir, "checkpoints", "checkpoint"))
			if err == nil {
				err = os.WriteFile(filepath.Join(kept, strconv.Itoa(len(files))), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return total
		}
		if time.Now().After(end) {
			t.Fatalf("not all is sealed, or not whole: %v, %.3000s", err, out)
		}
	}
}

// reconfigure ends the gateway and starts it with another configuration.
func (d *deployment) reconfigure(t *testing.T, change func(config map[string]any)) {
	t.Helper()
	file := d.args[2]
	data, err := os.ReadFile(file)
	var config map[string]any
	if err == nil {
		err = yaml.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	change(config)
	if data, err = yaml.Marshal(config); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.end(t)
	d.start(t)
	d.waitReady(t)
}

// neighbour is a `schakel witness` of another organisation.
type neighbour struct {
	key, address string
	args         []string
	process      *exec.Cmd
}

func newWitness(t *testing.T, d *deployment) *neighbour {
	t.Helper()
	dir := t.TempDir()
	secret, log := filepath.Join(dir, "key"), filepath.Join(dir, "log")
	key, err := d.schakel("witness", "key", "getuige.example", "--out", secret)
	if err != nil {
		t.Fatal(key)
	}
	own, err := d.schakel("audit", "key")
	if err == nil {
		err = os.WriteFile(log, []byte(own), 0o600)
	}
	if err != nil {
		t.Fatalf("%v, %s", err, own)
	}
	w := &neighbour{key: strings.TrimSpace(key), address: "127.0.0.1:" + strconv.Itoa(redistest.FreePort(t))}
	w.args = []string{"witness", "--listen", w.address, "--key", secret, "--folder", filepath.Join(dir, "state"), "--log", log}
	w.start(t)
	t.Cleanup(w.kill)
	return w
}

func (w *neighbour) start(t *testing.T) {
	t.Helper()
	w.process = command(w.args...)
	said, err := w.process.StderrPipe()
	if err == nil {
		err = w.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(said).ReadString('\n'); !strings.Contains(line, "witness on") {
		t.Fatalf("the witness says %q", line)
	}
}

func (w *neighbour) kill() {
	_ = w.process.Process.Kill()
	_ = w.process.Wait()
}
