package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
)

// moved is the JSON of `audit archive`.
type moved struct {
	Moved *struct {
		Segments                int
		Events, Trimmed, Stored uint64
		Waiting                 int
	}
	Segments int
	Streams  []struct{ Writer, Archived, Trimmed string }
}

// verified is the JSON of `audit verify`.
type verified struct {
	OK         bool
	Register   struct{ Entries uint64 }
	Writers    []struct{ Entries, Epochs uint64 }
	Sealed     uint64
	Receipts   int
	Faults     []struct{ Code, Stream, ID, What string }
	Checkpoint *struct{ Size, Indexes, Segments uint64 }
	Archive    *struct {
		Segments, Sealed, Waiting int
		Events                    uint64
	}
}

// entries are those of all streams.
func (v verified) entries() uint64 {
	n := v.Register.Entries
	for _, w := range v.Writers {
		n += w.Entries
	}
	return n
}

// archived is a deployment whose older events are moved to files.
type archived struct {
	*world
	v map[string]string
}

// json runs a command with --json and tells its exit code.
func (a *archived) json(t *testing.T, to any, args ...string) (code int) {
	t.Helper()
	c := exec.Command(binary, append([]string{"audit"}, append(args, "--json")...)...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+a.dir)
	out, err := c.Output()
	if err := json.Unmarshal(out, to); err != nil {
		t.Fatalf("%v: %v, %s", args, err, out)
	}
	_ = err // the code tells
	return c.ProcessState.ExitCode()
}

// ask asks n times about a household, four at a time.
func (a *archived) ask(t *testing.T, n int) {
	t.Helper()
	token := a.token(t, a.v["SERVER"], a.v["GEMEENTE"], a.v["WORKER"], "wijkteammedewerker")
	body := fmt.Appendf(nil, `{"household":{"case":%q},"purpose":"ontruiming-voorkomen","fields":["huur.achterstand.bedrag"]}`, a.v["CASE"])
	var asks sync.WaitGroup
	for range 4 {
		asks.Go(func() {
			for range n / 4 {
				resp := a.post(t, a.v["SERVER"], token, body, nil)
				_, err := io.Copy(io.Discard, resp.Body) // or the connection is not used again
				if _ = resp.Body.Close(); resp.StatusCode != 200 || err != nil {
					t.Errorf("status %d, %v", resp.StatusCode, err)
				}
			}
		})
	}
	asks.Wait()
}

// held waits until everything is under a checkpoint, and verifies it.
func (a *archived) held(t *testing.T) (v verified) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		v = verified{}
		code := a.json(t, &v, "verify", "--receipt", filepath.Join(a.dir, "first.json"))
		if c := v.Checkpoint; code == 0 && v.OK && c != nil && c.Size == v.entries()+c.Indexes+c.Segments && v.Sealed == v.entries() {
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("not whole, or not sealed: exit %d, %+v", code, v)
		}
	}
}

// TestArchive: old events of a gateway on Redis move into files and are dropped there. Nobody who reads the log sees a
// difference: it is verified, replayed, answered from and gone on with, and its folder is verified elsewhere. What is done to the
// files is found and named.
func TestArchive(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	a := &archived{world: &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}}
	a.adjust = func(c map[string]any) {
		c["checkpoints"] = map[string]any{"folder": "checkpoints"}
		c["archive"] = map[string]any{"folder": "archive"}
	}
	startRedis(t, a.world)
	defer a.stop(t)
	a.v = a.vars(t)
	first := filepath.Join(a.dir, "first.json")
	if out, err := a.schakel("ask", "--agency", a.v["GEMEENTE"], "--worker", a.v["WORKER"], "--role", "wijkteammedewerker",
		"--purpose", "ontruiming-voorkomen", "--household", "case:"+a.v["CASE"], "--fields", "huur", "--save", first); err != nil {
		t.Fatal(out)
	}
	a.ask(t, 300)
	before := a.held(t)

	var m moved
	if code := a.json(t, &m, "archive", "--now", "--older", "0s"); code != 0 || m.Moved.Segments != 1 || m.Moved.Events == 0 || m.Moved.Trimmed != m.Moved.Events || m.Moved.Waiting != 0 {
		t.Fatalf("exit %d, %+v, %+v", code, m, m.Moved)
	}
	gone := m.Moved.Events
	if kept := a.redis.Do(t, "XLEN schakel:{"+a.people.Municipality()+"}:audit:gw1"); !strings.HasPrefix(kept, ":256") {
		t.Errorf("Redis keeps %s events of the gateway; want the last 256", kept)
	}
	t.Logf("%d events moved, %d bytes on disk", gone, m.Moved.Stored)

	// Whole, and as it was: every entry is still met once.
	after := a.held(t)
	if after.entries() != before.entries() || after.Archive == nil || after.Archive.Segments != 1 || after.Archive.Sealed != 1 || after.Archive.Events != gone || after.Receipts != 1 {
		t.Errorf("%+v, %+v; before %+v", after, after.Archive, before)
	}
	var r replayed
	if code := a.json(t, &r, "replay"); code != 0 || !r.OK || r.Events != 301 || r.Identical != r.Decisions {
		t.Errorf("replay: exit %d, %+v", code, r)
	}
	out, say, err := a.subject(a.v["BSN"], "subject", "--bsn", "-", "--officer", "fg-1", "--purpose", "inzage", "--ground", "AVG 15, dossier 1", "--json")
	var about audit.SubjectReport
	if err == nil {
		err = json.Unmarshal([]byte(out), &about)
	}
	if err != nil || len(about.Acts) != 301 {
		t.Errorf("the resident is told of %d looks: %v, %s", len(about.Acts), err, say)
	}

	a.restarts(t)
	a.elsewhere(t)
}

// restarts kills the gateway. The next start goes on from the epoch before and names nothing as lost, also where the newest head
// that was signed is of an event that was dropped.
func (a *archived) restarts(t *testing.T) {
	t.Helper()
	_ = a.process.Process.Kill()
	_ = a.process.Wait()
	a.run(t, "serve", "--config", filepath.Join(a.dir, "schakel.yaml"))
	log, err := a.schakel("audit", "log")
	starts := 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, " gw1 ") && strings.Contains(line, " start ") {
			starts++
		}
	}
	if err != nil || starts != 3 || strings.Contains(log, " lost=") || !strings.Contains(log, "after=crash") {
		t.Errorf("%d starts, of which none lost anything: %v\n%.3000s", starts, err, log)
	}
}

// elsewhere verifies copies of the archive, whole and bent.
func (a *archived) elsewhere(t *testing.T) {
	t.Helper()
	from := filepath.Join(a.dir, "archive")
	names, err := filepath.Glob(filepath.Join(from, "*.zst"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	name := filepath.Base(names[0])
	for _, c := range []struct {
		name  string
		first string // the first fault
		bend  func(dir string) error
	}{
		{"whole", "", func(string) error { return nil }},
		{"a byte", "archive audit:gw1 1-0 segment " + name, func(dir string) error { return flipByte(filepath.Join(dir, name), -200) }},
		{"away", "archive   segment 000000 is missing", func(dir string) error { return os.Remove(filepath.Join(dir, name)) }},
	} {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		if err := c.bend(dir); err != nil {
			t.Fatal(c.name, err)
		}
		var v verified
		code := a.json(t, &v, "verify", "--archive", dir)
		var said []string
		for _, f := range v.Faults {
			said = append(said, strings.Join([]string{f.Code, f.Stream, f.ID, f.What}, " "))
		}
		all := strings.Join(said, "\n")
		if (code == 0) != (c.first == "") || v.OK != (code == 0) || !strings.HasPrefix(all, c.first) {
			t.Errorf("%s: exit %d, want first %q:\n%s", c.name, code, c.first, all)
		}
		if c.name == "away" { // who reads on is told, and gets nothing that is not whole
			if out, err := a.schakel("audit", "log", "--archive", dir); err == nil || !strings.Contains(out, "moved to the archive") {
				t.Errorf("%s: the log is read over it: %v, %.300s", c.name, err, out)
			}
		}
		t.Logf("%s: %.300s", c.name, all)
	}
}

// flipByte changes one bit of a file; from the end where at is below zero.
func flipByte(path string, at int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	return os.WriteFile(path, data, 0o600)
}
