package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestBackupDrill: a demo is backed up while it runs, with an archive; more is asked and archived, and then its journal and its key
// ring are gone. One command puts the backup back in that folder, and whatever was recorded in between is named: by the signed
// heads, the kept answers and the Merkle log of before. The demo starts again, seals and archives on in folders of their own, and
// the rest is whole; nothing of before was touched. The same backup goes into a Redis.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	a := &archived{world: &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}}
	w := a.world
	defer w.stop(t)
	startBolt(t, w)
	a.v = w.vars(t)
	apart, kept := t.TempDir(), t.TempDir()
	answers := 0
	ask := func() string {
		t.Helper()
		answers++
		file := filepath.Join(kept, string(rune('a'-1+answers))+".json")
		if out, err := w.schakel("ask", "--agency", a.v["GEMEENTE"], "--worker", a.v["WORKER"], "--role", "wijkteammedewerker",
			"--purpose", "ontruiming-voorkomen", "--household", "case:"+a.v["CASE"], "--fields", "huur", "--save", file); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return file
	}
	archiveNow := func() (m moved) {
		t.Helper()
		if code := a.json(t, &m, "archive", "--now", "--older", "0s"); code != 0 || m.Moved.Events == 0 || m.Moved.Trimmed != m.Moved.Events {
			t.Fatalf("exit %d, %+v, %+v", code, m, m.Moved)
		}
		return m
	}
	const refused = 264 // more than a last batch, which is never archived
	ask()
	a.ask(t, refused, "recherche-1", "sociaal-rechercheur", "handhaving", 403)
	w.sealedTo(t, "checkpoints", refused)
	archiveNow()
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
	a.ask(t, refused, "recherche-1", "sociaal-rechercheur", "handhaving", 403)
	a.held(t)
	last := archiveNow().archivedUpTo("demo") // beyond what the backup has
	w.stop(t)
	if err := errors.Join(os.Remove(filepath.Join(w.dir, "journal.db")), os.Rename(ring, filepath.Join(w.dir, "keys.jwe"))); err != nil {
		t.Fatal(err)
	}
	before := w.evidence(t)
	var r struct {
		Missing         []struct{ Code, Stream, What string }
		More            int
		Held            map[string]int
		Number          int
		Before          []string
		Archived        map[string]string
		Name, Origin    string
		NewVerifierKeys []string
	}
	out, err = w.schakel("restore", folder, "--json", "--receipt", kept)
	if err != nil || json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r) != nil {
		t.Fatalf("%v, %s", err, out)
	}
	named := map[string]int{}
	for _, f := range r.Missing {
		named[f.Code+" "+f.Stream]++
	}
	if r.Number != 1 || named["receipt "] != len(lost) || named["missing audit:demo"] != 2 || // by the heads, and by the Merkle log
		r.Held["receipts"] != 1 || r.Held["sealed"] == 0 || r.Held["heads"] == 0 {
		t.Errorf("what is missing: %v and %d more, held %v: %.3000s", named, r.More, r.Held, out)
	}
	if len(r.Before) != 2 || r.Archived["audit:demo"] != last || !strings.HasSuffix(r.Origin, "/"+r.Name) || len(r.NewVerifierKeys) == 0 || !strings.HasPrefix(r.NewVerifierKeys[0], r.Origin+"+") {
		t.Errorf("what stays, and how it goes on: %v, %v, %s, %v", r.Before, r.Archived, r.Origin, r.NewVerifierKeys)
	}

	// The demo starts again in a new epoch, which names what its own heads say is lost, and the log goes on.
	startBolt(t, w)
	ask()
	log, err := w.schakel("audit", "log")
	if err != nil || strings.Count(log, " lost=1-") != 1 || !strings.Contains(log, "register log.restored ") {
		t.Errorf("the new epoch does not name what is lost: %v\n%.3000s", err, log)
	}
	w.sealedTo(t, filepath.Join("checkpoints", r.Name), 2*refused)
	if m := archiveNow(); m.Folder != filepath.Join(w.dir, "archive", r.Name) {
		t.Errorf("archived in %s", m.Folder)
	}
	w.sealedAllBut(t, "lost")
	if name, _, _ := strings.Cut(readFile(t, filepath.Join(w.dir, "checkpoints", r.Name, "checkpoint")), "\n"); name != r.Origin {
		t.Errorf("the log goes by %s; want %s", name, r.Origin)
	}
	if now := w.evidence(t); !maps.Equal(now, before) {
		t.Errorf("what there was before is not as it was: %v; want %v", now, before)
	}
	var v verified
	if code := a.json(t, &v, "verify", "--origin", strings.TrimSuffix(r.Origin, "/"+r.Name)); code != 1 || len(v.Faults) == 0 || v.Sealed == 0 {
		t.Errorf("against the Merkle log of before: exit %d, %+v", code, v)
	}
	out, err = w.schakel("audit", "receipts", kept)
	if err == nil || !strings.Contains(out, "2 of 4 kept answers") || strings.Count(out, "MISSING") != 2 ||
		!strings.Contains(out, lost[0]) || !strings.Contains(out, lost[1]) {
		t.Errorf("the lost answers are not named: %v, %s", err, out)
	}

	server := redistest.Start(t)
	redis := "redis://" + server.Addr + "?shard=" + a.v["MUNICIPALITY"]
	c := exec.Command(binary, "restore", folder, "--redis", redis, "--keys", filepath.Join(w.dir, "keys.jwe"), "--passphrase-file", filepath.Join(w.dir, "passphrase"))
	c.Env = append(os.Environ(), "SCHAKEL_DATA=")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "is not known") || strings.Contains(string(out), "MISSING") {
		t.Errorf("in Redis: %v, %s", err, out)
	}
}

// sealedTo waits until the Merkle log in a folder has a checkpoint of so many entries.
func (w *world) sealedTo(t *testing.T, folder string, n int) {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(50 * time.Millisecond) {
		data, _ := os.ReadFile(filepath.Join(w.dir, folder, "checkpoint")) // there is none at first
		if lines := strings.Split(string(data), "\n"); len(lines) > 1 {
			if size, err := strconv.Atoi(lines[1]); err == nil && size >= n {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no checkpoint of %d entries in %s: %s", n, folder, data)
		}
	}
}

// archivedUpTo gives the last event of a stream that is in a segment.
func (m moved) archivedUpTo(writer string) string {
	for _, s := range m.Streams {
		if s.Writer == writer {
			return s.Archived
		}
	}
	return ""
}

// evidence gives the digest of each file of the Merkle log and the archive that is in no folder of a restore.
func (w *world) evidence(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, folder := range []string{"checkpoints", "archive"} {
		err := filepath.WalkDir(filepath.Join(w.dir, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && strings.HasPrefix(d.Name(), "restored-"):
				return fs.SkipDir
			case d.IsDir():
				return nil
			}
			data, err := os.ReadFile(path)
			out[path] = fmt.Sprintf("%x", sha256.Sum256(data))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// sealedAllBut waits until a checkpoint covers the whole log, and verifies it: no fault but of one code.
func (w *world) sealedAllBut(t *testing.T, code string) {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(500 * time.Millisecond) {
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
