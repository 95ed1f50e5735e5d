package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestBackupDrill: a demo is backed up while it runs; more is asked, and then its journal is gone. The backup is put back, the
// demo starts again, and whatever was recorded in between is named: by the signed heads, the kept answers and the Merkle log of
// before. The rest is whole. The same backup goes into a Redis.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	defer w.stop(t)
	startBolt(t, w)
	v := w.vars(t)
	apart, kept := t.TempDir(), t.TempDir()
	answers := 0
	ask := func() string {
		t.Helper()
		answers++
		file := filepath.Join(kept, string(rune('a'-1+answers))+".json")
		if out, err := w.schakel("ask", "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role", "wijkteammedewerker",
			"--purpose", "ontruiming-voorkomen", "--household", "case:"+v["CASE"], "--fields", "huur", "--save", file); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return file
	}
	ask()
	folder, ring := filepath.Join(apart, "backup"), filepath.Join(apart, "ring.jwe")
	out, err := w.schakel("backup", "--out", folder, "--ring", filepath.Join(folder, "ring.jwe"))
	if err == nil || !strings.Contains(out, "does not belong") {
		t.Errorf("the ring beside the backup: %v, %s", err, out)
	}
	if out, err = w.schakel("backup", "--out", folder, "--ring", ring); err != nil || !strings.Contains(out, "keep it apart") {
		t.Fatalf("%v, %s", err, out)
	}
	away := exec.Command(binary, "backup", "verify", folder) // no folder, no ring, no server
	away.Dir, away.Env = t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}
	if out, err := away.CombinedOutput(); err != nil || !strings.Contains(string(out), "the log is whole") {
		t.Errorf("verify the backup: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(folder, "keys.jwe")); err == nil {
		t.Error("the key ring is in the backup")
	}

	lost := []string{ask(), ask()}
	w.sealedAll(t)
	w.stop(t)
	before := w.dir
	w.dir = filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"passphrase", "demo.json", "agencies", "officers"} { // what is no journal, and kept elsewhere
		if err := os.Rename(filepath.Join(before, name), filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(ring, filepath.Join(w.dir, "keys.jwe")); err != nil {
		t.Fatal(err)
	}
	out, err = w.schakel("restore", folder, "--json", "--heads", filepath.Join(before, "heads"), "--receipt", kept, "--checkpoints", filepath.Join(before, "checkpoints"))
	var r struct {
		Missing []struct{ Code, Stream, What string }
		Held    map[string]int
		Number  int
	}
	if err != nil || json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r) != nil {
		t.Fatalf("%v, %s", err, out)
	}
	named := map[string]int{}
	for _, f := range r.Missing {
		named[f.Code+" "+f.Stream]++
	}
	if r.Number != 1 || named["receipt "] != len(lost) || named["missing audit:demo"] != 2 || r.Held["receipts"] != 1 || r.Held["sealed"] == 0 {
		t.Errorf("what is missing: %v, held %v: %+v", named, r.Held, r)
	}

	// The demo starts again in a new epoch, which names what its own heads say is lost, and the log goes on.
	startBolt(t, w)
	ask()
	w.sealedAllBut(t, "lost")
	log, err := w.schakel("audit", "log")
	if err != nil || strings.Count(log, " lost=1-2..1-4") != 1 || !strings.Contains(log, "register log.restored ") {
		t.Errorf("the new epoch does not name what is lost: %v\n%s", err, log)
	}
	if name, _, _ := strings.Cut(readFile(t, filepath.Join(w.dir, "checkpoints", "checkpoint")), "\n"); !strings.HasSuffix(name, "/restored-1") {
		t.Errorf("the log goes by the name of before: %s", name)
	}
	out, err = w.schakel("audit", "receipts", kept)
	if err == nil || !strings.Contains(out, "2 of 4 kept answers") || strings.Count(out, "MISSING") != 2 ||
		!strings.Contains(out, lost[0]) || !strings.Contains(out, lost[1]) {
		t.Errorf("the lost answers are not named: %v, %s", err, out)
	}

	server := redistest.Start(t)
	redis := "redis://" + server.Addr + "?shard=" + v["MUNICIPALITY"]
	c := exec.Command(binary, "restore", folder, "--redis", redis, "--keys", filepath.Join(w.dir, "keys.jwe"), "--passphrase-file", filepath.Join(w.dir, "passphrase"))
	c.Env = append(os.Environ(), "SCHAKEL_DATA=")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "is not known") || strings.Contains(string(out), "MISSING") {
		t.Errorf("in Redis: %v, %s", err, out)
	}
}

// sealedAllBut waits until a checkpoint covers the whole log, and verifies it: no fault but of one code.
func (w *world) sealedAllBut(t *testing.T, code string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		out, _ := w.schakel("audit", "verify", "--json")
		var r struct {
			Faults     []struct{ Code string }
			Register   struct{ Entries uint64 }
			Writers    []struct{ Entries uint64 }
			Sealed     uint64
			Checkpoint struct{ Size, Indexes uint64 }
		}
		if i := strings.Index(out, "{"); i >= 0 {
			_ = json.Unmarshal([]byte(out[i:]), &r)
		}
		total, other := r.Register.Entries, 0
		for _, s := range r.Writers {
			total += s.Entries
		}
		for _, f := range r.Faults {
			if f.Code != code {
				other++
			}
		}
		if len(r.Faults) > 0 && other == 0 && r.Sealed == total && total > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not sealed, or not whole: %.3000s", out)
		}
	}
}
