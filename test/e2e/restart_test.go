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
		out, err := w.once("ask", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker",
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
	deadline := time.Now().Add(soon)
	for ask("after.json") != nil {
		if time.Now().After(deadline) {
			t.Fatal("no recovery")
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

// unrecorded tells that an answer could not be recorded in time, on a busy machine: nothing was given, and one asks again.
func unrecorded(said string) bool { return strings.Contains(said, "journal-unavailable") }

// schakel runs the binary against the world's folder.
func (w *world) schakel(args ...string) (out string, err error) {
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		if out, err = w.once(args...); err == nil || args[0] != "ask" || !unrecorded(out) || time.Now().After(end) {
			return out, err
		}
	}
}

// opened is the log with its encrypted parts open, as an auditor reads it, who is in it too: that they look is recorded first.
func (w *world) opened(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.schakel(append([]string{"audit", "log", "--officer", "auditor-1", "--purpose", "controle", "--ground", "AVG 32, steekproef"}, args...)...)
	if err != nil {
		t.Fatal(out)
	}
	return out
}

// once is schakel for a server that may not be able to record.
func (w *world) once(args ...string) (string, error) {
	c := exec.Command(binary, args...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	out, err := c.CombinedOutput()
	return string(out), err
}
