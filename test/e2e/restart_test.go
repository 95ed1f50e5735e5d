package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRedisKilled: Redis is killed and comes back while a gateway runs. The gateway goes on by itself, and every receipt
// handed out before and after is in the log, once.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer w.stop(t)
	v := w.vars(t)
	var receipts []string
	ask := func(name string) error {
		file := filepath.Join(w.dir, name)
		out, err := w.schakel("ask", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker",
			"--purpose", "ontruiming-voorkomen", "--household", "case:"+v["CASE"], "--fields", "huur.achterstand.bedrag", "--save", file)
		if err == nil {
			receipts = append(receipts, "--receipt", file)
		} else if !strings.Contains(out, "503") {
			t.Fatalf("not a 503: %s", out)
		}
		return err
	}
	if err := ask("before.json"); err != nil {
		t.Fatal("no answer before")
	}
	w.redis.Kill(t)
	if ask("during.json") == nil {
		t.Fatal("an answer without a journal")
	}
	w.redis.Restart(t)
	deadline := time.Now().Add(30 * time.Second)
	for ask("after.json") != nil {
		if time.Now().After(deadline) {
			t.Fatal("no recovery in 30 s")
		}
		time.Sleep(200 * time.Millisecond)
	}
	out, err := w.schakel(append([]string{"audit", "verify", "--json"}, receipts...)...)
	if err != nil {
		t.Fatalf("verify: %s", out)
	}
	var report struct {
		OK       bool
		Receipts int
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.OK || report.Receipts != 2 {
		t.Errorf("report %s, %v", out, err)
	}
}

// schakel runs the binary against the world's folder.
func (w *world) schakel(args ...string) (string, error) {
	c := exec.Command(binary, args...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	out, err := c.CombinedOutput()
	return string(out), err
}
