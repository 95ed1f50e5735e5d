package fault

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// report is what `schakel audit verify --json` says.
type report struct {
	OK       bool
	Receipts int
	Faults   []struct{ Code, Stream, ID, What string }
}

func (r report) has(code, words string) bool {
	for _, f := range r.Faults {
		if f.Code == code && strings.Contains(f.Stream+" "+f.ID+" "+f.What, words) {
			return true
		}
	}
	return false
}

// verify runs the command that an auditor runs, with receipts.
func (d *deployment) verify(t *testing.T, receipts string, more ...string) report {
	t.Helper()
	out, err := d.schakel(append([]string{"audit", "verify", "--json", "--receipt", receipts}, more...)...)
	var r report
	if jsonErr := json.Unmarshal([]byte(out), &r); jsonErr != nil {
		t.Fatalf("audit verify: %v, %s", err, out)
	}
	if (err == nil) != r.OK {
		t.Errorf("audit verify says ok %v and ends with %v", r.OK, err)
	}
	return r
}

// clean verifies, and demands that all is well and every receipt there.
func (d *deployment) clean(t *testing.T, receipts string, more ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(receipts, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r := d.verify(t, receipts, more...); !r.OK || r.Receipts != len(files) {
		t.Errorf("audit verify: %d of %d receipts, faults %v", r.Receipts, len(files), r.Faults)
	}
}

// reader reads the writer's stream as it grows.
type reader struct {
	d      *deployment
	writer string // "": the deployment's own
	last   journal.Head
}

// chapter is what was added to a stream between two looks.
type chapter struct {
	events map[broker.Hash]int
	asked  int // disclosures among them
	starts []audit.Start
}

// read gives what a stream holds after an id.
func (d *deployment) read(t *testing.T, stream journal.Stream, after journal.ID, give func(journal.Entry)) {
	t.Helper()
	for store := d.store(t); ; {
		page, err := store.Read(t.Context(), stream, after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return
		}
		for _, e := range page {
			give(e)
			after = e.ID
		}
	}
}

// next reads on, and holds order and chain against what was read before.
func (r *reader) next(t *testing.T) chapter {
	t.Helper()
	c := chapter{events: map[broker.Hash]int{}}
	r.d.read(t, journal.Audit(cmp.Or(r.writer, r.d.writer)), r.last.ID, func(e journal.Entry) {
		ev, err := audit.Decode(e.Bytes)
		if err != nil {
			t.Errorf("event %s: %v", e.ID, err)
			return
		}
		if !e.ID.Follows(r.last.ID) || ev.Prev != r.last.Hash {
			t.Errorf("event %s does not follow %s", e.ID, r.last.ID)
		}
		r.last = journal.Head{ID: e.ID, Hash: e.Hash}
		c.events[e.Hash]++
		switch ev.Kind {
		case audit.KindDisclosure:
			c.asked++
		case audit.KindStart:
			var s audit.Start
			if err := json.Unmarshal(ev.Common, &s); err != nil {
				t.Errorf("start %s: %v", e.ID, err)
			}
			c.starts = append(c.starts, s)
		case audit.KindStop, audit.KindRegister:
		}
	})
	return c
}

// holds checks that each receipt is in what was added, once, and that no question was recorded twice.
func (c chapter) holds(t *testing.T, from *clients) {
	t.Helper()
	for hash := range from.receipts {
		if c.events[hash] != 1 {
			t.Errorf("%d events for the receipt %s", c.events[hash], hash)
		}
	}
	if sent := int(from.sent.Load()); c.asked > sent {
		t.Errorf("%d events for %d questions", c.asked, sent)
	}
}

// crashes checks that there are n new epochs, each telling of a crash, and of no loss.
func (c chapter) crashes(t *testing.T, n int) {
	t.Helper()
	if len(c.starts) != n {
		t.Errorf("%d new epochs, want %d", len(c.starts), n)
	}
	for _, s := range c.starts {
		if s.Reason != audit.ReasonCrash || len(s.Lost) > 0 || s.Previous == nil {
			t.Errorf("a start that says %q after %v, lost %v", s.Reason, s.Previous, s.Lost)
		}
	}
}

// onceEach reads the whole log, with its encrypted parts, and checks that every request stands in it once.
func (d *deployment) onceEach(t *testing.T) {
	t.Helper()
	home := cmp.Or(d.home, d.dir)
	passphrase, err := keys.Passphrase(filepath.Join(home, "passphrase"), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Load(keys.Config{Path: filepath.Join(home, "keys.jwe"), Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	store := d.store(t)
	seen := map[broker.RequestID]int{}
	for e, err := range audit.Log(t.Context(), audit.LogConfig{Store: store, Vault: keys.NewVault(store, ring)}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != audit.KindDisclosure {
			continue
		}
		if e.Staff == nil || e.Staff.Request == "" {
			t.Errorf("event %s: its staff part can't be read (%s)", e.ID, e.StaffState)
			continue
		}
		for _, s := range e.Subjects {
			if s.Part == nil {
				t.Errorf("event %s: a subject part can't be read (%s)", e.ID, s.State)
			}
		}
		seen[e.Staff.Request]++
	}
	if len(seen) == 0 {
		t.Error("no disclosures in the log")
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("request %s stands in the log %d times", id, n)
		}
	}
}
