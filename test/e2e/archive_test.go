package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	Folder   string
	Segments int
	Streams  []struct{ Writer, Archived, Trimmed string }
}

// verified is the JSON of `audit verify`.
type verified struct {
	OK         bool
	Register   struct{ Entries uint64 }
	Writers    []struct{ Entries, Epochs uint64 }
	Sealed     uint64
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
func (w *world) json(t *testing.T, to any, args ...string) (code int) {
	t.Helper()
	c := exec.Command(binary, append([]string{"audit"}, append(args, "--json")...)...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	out, err := c.Output()
	if err := json.Unmarshal(out, to); err != nil {
		t.Fatalf("%v: %v, %s", args, err, out)
	}
	_ = err // the code tells
	return c.ProcessState.ExitCode()
}

// ask asks n times about a household, four at a time. A role that is refused is answered without asking anybody.
func (a *archived) ask(t *testing.T, n int, worker, role, purpose string, status int) {
	t.Helper()
	token := a.token(t, a.v["SERVER"], a.v["GEMEENTE"], worker, role)
	body := fmt.Appendf(nil, `{"household":{"case":%q},"purpose":%q,"fields":["huur.achterstand.bedrag"]}`, a.v["CASE"], purpose)
	var asks sync.WaitGroup
	for range 4 {
		asks.Go(func() {
			for left, busy := n/4, 0; left > 0; {
				resp := a.post(t, a.v["SERVER"], token, body, nil)
				_, err := io.Copy(io.Discard, resp.Body) // or the connection is not used again
				if _ = resp.Body.Close(); resp.StatusCode == http.StatusServiceUnavailable && busy < 20 {
					busy++ // it says that it could not record it now
					time.Sleep(time.Second)
					continue
				}
				if left--; resp.StatusCode != status || err != nil {
					t.Errorf("status %d, %v; want %d", resp.StatusCode, err, status)
				}
			}
		})
	}
	asks.Wait()
}

// held waits until everything is under a checkpoint, and verifies it.
func (w *world) held(t *testing.T, more ...string) (v verified) {
	t.Helper()
	for end := time.Now().Add(soon); ; {
		before := w.checkpoint()
		v = verified{}
		code := w.json(t, &v, append([]string{"verify"}, more...)...)
		if c := v.Checkpoint; code == 0 && v.OK && c != nil && c.Size == v.entries()+c.Indexes+c.Segments && v.Sealed == v.entries() {
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("not whole, or not sealed: exit %d, %+v", code, v)
		}
		for look := time.Now().Add(5 * time.Second); w.checkpoint() == before && time.Now().Before(look); {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// checkpoint gives the newest one; "" where there is none yet.
func (w *world) checkpoint() string {
	data, _ := os.ReadFile(filepath.Join(w.dir, "checkpoints", "checkpoint"))
	return string(data)
}

// TestArchive: old events of a gateway on Redis move into files and are dropped there. Nobody who reads the log sees a
// difference: it is verified, replayed and answered from, also with the files elsewhere. What is done to them is found and named.
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
	a.ask(t, 20, a.v["WORKER"], "wijkteammedewerker", "ontruiming-voorkomen", 200)
	a.ask(t, 260, "recherche-1", "sociaal-rechercheur", "handhaving", 403)
	a.held(t)

	var m moved
	if code := a.json(t, &m, "archive", "--now", "--older", "0s"); code != 0 || m.Moved.Segments != 1 || m.Moved.Events == 0 || m.Moved.Trimmed != m.Moved.Events || m.Moved.Waiting != 0 {
		t.Fatalf("exit %d, %+v, %+v", code, m, m.Moved)
	}
	gone := m.Moved.Events
	if kept := a.redis.Do(t, "XLEN schakel:{"+a.people.Municipality()+"}:audit:gw1"); !strings.HasPrefix(kept, ":256") {
		t.Errorf("Redis keeps %s events of the gateway; want the last 256", kept)
	}
	t.Logf("%d events moved, %d bytes on disk", gone, m.Moved.Stored)

	// Whole, and as it was: every entry is still met once. The files may be read elsewhere.
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(a.dir, "archive"))); err != nil {
		t.Fatal(err)
	}
	after := a.held(t, "--archive", copied)
	if after.Archive == nil || after.Archive.Segments != 1 || after.Archive.Sealed != 1 || after.Archive.Events != gone {
		t.Errorf("%+v, %+v", after, after.Archive)
	}
	var r replayed
	if code := a.json(t, &r, "replay"); code != 0 || !r.OK || r.Events < 280 || r.Identical != r.Decisions { // more where an answer that failed was recorded
		t.Errorf("replay: exit %d, %+v", code, r)
	}
	out, say, err := a.subject(a.v["BSN"], "subject", "--bsn", "-", "--officer", "fg-1", "--purpose", "inzage", "--ground", "AVG 15, dossier 1", "--json")
	var about audit.SubjectReport
	if err == nil {
		err = json.Unmarshal([]byte(out), &about)
	}
	if err != nil || len(about.Acts) != r.Events {
		t.Errorf("the resident is told of %d looks of %d: %v, %s", len(about.Acts), r.Events, err, say)
	}

	a.bent(t)
}

// bent: what is done to a copy of the files is named.
func (a *archived) bent(t *testing.T) {
	t.Helper()
	from := filepath.Join(a.dir, "archive")
	names, err := filepath.Glob(filepath.Join(from, "*.zst"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	name := filepath.Base(names[0])
	for _, c := range []struct {
		first string // the first fault
		bend  func(dir string) error
	}{
		{"archive audit:gw1 1-0 segment " + name, func(dir string) error { return flipByte(filepath.Join(dir, name), -200) }},
		{"archive   segment 000000 is missing", func(dir string) error { return os.Remove(filepath.Join(dir, name)) }},
	} {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		if err := c.bend(dir); err != nil {
			t.Fatal(err)
		}
		var v verified
		code := a.json(t, &v, "verify", "--archive", dir)
		var said []string
		for _, f := range v.Faults {
			said = append(said, strings.Join([]string{f.Code, f.Stream, f.ID, f.What}, " "))
		}
		all := strings.Join(said, "\n")
		if code != 1 || v.OK || !strings.HasPrefix(all, c.first) || !strings.Contains(all, "\nmissing audit:gw1 ") {
			t.Errorf("exit %d, want first %q:\n%s", code, c.first, all)
		}
		t.Logf("%.300s", all)
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
