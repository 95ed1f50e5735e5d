package search

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/keys"
)

const logID = "0123456789abcdef0123456789abcdef"

// fixedView knows a register that nobody changes.
type fixedView struct{}

func (fixedView) Validate(p broker.Position, _ []broker.Touch) (broker.Position, bool) {
	return p, true
}
func (fixedView) Refresh(context.Context) error { return nil }

// town is a journal on disk, with gateways that write in it and an index of it.
type town struct {
	t       testing.TB
	store   *bolt.Store
	ring    *keys.Ring
	cfg     Config
	now     time.Time
	writers map[string]*audit.Writer
	random  *rand.Rand
	asked   int
}

func newTown(t testing.TB) *town {
	dir := t.TempDir()
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	genesis := []byte(`{"log":"` + logID + `"}`)
	if err := store.Init(t.Context(), journal.Entry{ID: journal.ID{Epoch: 1}, Hash: sha256.Sum256(genesis), Bytes: genesis}); err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Create(keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, store: store, ring: ring, now: time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC), writers: map[string]*audit.Writer{}, random: rand.New(rand.NewPCG(1, 2))}
	w.cfg = Config{Dir: filepath.Join(dir, "search"), Log: logID, Store: store, Vault: keys.NewVault(store, ring), Ring: ring}
	return w
}

func (w *town) writer(name string) *audit.Writer {
	w.t.Helper()
	if w.writers[name] == nil {
		var err error
		w.writers[name], err = audit.Open(w.t.Context(), audit.Config{Store: w.store, Writer: name, Log: logID, Version: "test", Vault: keys.NewVault(w.store, w.ring),
			Pseudonym: w.ring.Pseudonym, View: fixedView{}, Limit: time.Minute, Now: func() time.Time { return w.now }})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = w.writers[name].Close(context.Background()) })
	}
	return w.writers[name]
}

// Words that tests ask by.
var (
	roles   = []broker.Role{"wijkteammedewerker", "casusregisseur"}
	fields  = []broker.Field{"huur.achterstand.bedrag", "ggz.behandelaar.contact", "persoon.leeftijd"}
	reasons = []broker.Reason{"consent-missing", "release-missing", "no-agreement"}
)

// ask records n disclosures that differ in everything, by one gateway at one moment.
func (w *town) ask(writer string, n int) {
	w.t.Helper()
	var wait sync.WaitGroup
	for range n {
		w.asked++
		q := broker.Query{V: 1, Role: roles[w.random.IntN(2)], Purpose: "ontruiming-voorkomen", Fields: fields[w.random.IntN(3):]}.Canonical()
		d := broker.Decision{Grants: map[broker.Field]broker.Grant{}, Refusals: map[broker.Field][]broker.Reason{}}
		for _, f := range q.Fields {
			if w.random.IntN(2) == 0 {
				d.Grants[f] = broker.Grant{Form: "exact", Basis: "wgs-8"}
			} else {
				d.Refusals[f] = reasons[w.random.IntN(3):]
			}
		}
		at := uint64(w.now.UnixMilli())
		e := broker.Event{Position: 1, Common: broker.Common{Queries: []json.RawMessage{q.Bytes()}, Decisions: []json.RawMessage{d.Bytes()}, Refused: len(d.Grants) == 0,
			Policy: broker.PolicyRef{Revision: broker.Revision(strings.Repeat(fmt.Sprint(w.random.IntN(2)), 64)), Engine: "opa"}, Subjects: []broker.SubjectQueries{{Subject: "household", Queries: []int{0}}}},
			Staff: broker.Staff{Agency: broker.OIN(fmt.Sprintf("0000000123456789%04d", w.random.IntN(3))), Worker: broker.WorkerID(fmt.Sprintf("canary-worker-%d", w.random.IntN(20))), Role: q.Role, Purpose: q.Purpose,
				Case: broker.CaseID(fmt.Sprintf("canary-case-%d", w.random.IntN(30))), Request: broker.RequestID(fmt.Sprintf("%08x-%04x-7000-8000-%012x", at>>16, at&0xffff, w.asked))}}
		wait.Go(func() {
			if _, err := w.writer(writer).Append(w.t.Context(), e); err != nil {
				w.t.Error(err)
			}
		})
	}
	wait.Wait()
}

// fill records n moments of a few events each, by two gateways in turn, a few hours apart.
func (w *town) fill(n int) {
	for i := range n {
		w.writer("gw1")
		w.writer("gw2")
		w.now = w.now.Add(time.Duration(1+w.random.IntN(8)) * time.Hour)
		w.ask([]string{"gw1", "gw2"}[i%2], 1+w.random.IntN(4))
	}
}

func (w *town) index() *Index {
	w.t.Helper()
	x, err := Open(w.t.Context(), w.cfg)
	if err == nil {
		err = x.Update(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = x.Close() })
	return x
}

// logged reads the whole log, newest first.
func (w *town) logged() (all []Hit) {
	w.t.Helper()
	for r, err := range audit.Requests(w.t.Context(), audit.RequestsConfig{Store: w.store, Vault: w.cfg.Vault}) {
		if err != nil {
			w.t.Fatal(err)
		}
		var d reader
		all = append(all, d.hit(r))
	}
	slices.SortStableFunc(all, func(a, b Hit) int { return a.Time.Compare(b.Time) })
	slices.Reverse(all)
	return all
}

func ids(hits []Hit) (out []string) {
	for _, h := range hits {
		out = append(out, h.Writer+" "+h.ID.String())
	}
	return out
}

// all pages through what a question finds.
func (w *town) all(x *Index, text string, page int) (out []string) {
	w.t.Helper()
	q, err := Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	begin, total := uint64(0), -1
	for {
		f, err := x.Find(w.t.Context(), q, begin, page)
		if err != nil {
			w.t.Fatal(err)
		}
		if total >= 0 && f.Total != total || len(f.Hits) > page {
			w.t.Errorf("%s: %d in all, and %d on the page before; %d on a page of %d", text, f.Total, total, len(f.Hits), page)
		}
		out, begin, total = append(out, ids(f.Hits)...), f.Next, f.Total
		if begin == 0 {
			break
		}
	}
	if total != len(out) {
		w.t.Errorf("%s: it counts %d and finds %d", text, total, len(out))
	}
	return out
}

var questions = []string{
	"", "role:casusregisseur", "rol:casusregisseur worker:canary-worker-3", "case:canary-case-7", "-case:canary-case-7 veld:persoon.leeftijd",
	"field:huur.achterstand.bedrag field:ggz.behandelaar.contact", "decision:refused", "besluit:deels -reason:consent-missing", "reden:no-agreement agency:00000001234567890001",
	"after:2026-10-03", "before:2026-10-02T12:00", "after:2026-10-02 before:2026-10-04 decision:given", "revision:" + strings.Repeat("1", 14), "revision:000000000000 -role:casusregisseur",
	"worker:nobody", "purpose:ontruiming-voorkomen", "-purpose:ontruiming-voorkomen",
}

// TestFind: what the index finds is what reading the whole log finds, in pages of any size; and so after a restart, after
// more was recorded, and after it was made again.
func TestFind(t *testing.T) {
	w := newTown(t)
	w.fill(15)
	x := w.index()
	compare := func(when string) {
		t.Helper()
		found, logged := 0, w.logged()
		for i, text := range questions {
			q, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			var meet []Hit
			for _, h := range logged {
				if q.meets(h) {
					meet = append(meet, h)
				}
			}
			want := ids(meet)
			if got := w.all(x, text, []int{1000, 7, 13}[i%3]); !slices.Equal(sorted(got), sorted(want)) {
				t.Errorf("%s, %q: found %v, want %v", when, text, got, want)
			}
			found += len(want)
		}
		if found < 100 {
			t.Fatalf("%d found: this test tests nothing", found)
		}
		if got, want := w.all(x, "", 10), ids(logged); got[0][:4] != want[0][:4] || got[len(got)-1][:4] != want[len(want)-1][:4] {
			t.Errorf("%s: not the newest first", when)
		}
	}
	compare("new")
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	w.fill(6)
	x = w.index()
	compare("after a restart")
	w.fill(3)
	if err := x.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	compare("after more")
	if err := x.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	compare("made again")
	if s, err := x.State(t.Context()); err != nil || s.Events != w.asked || !s.Current || !s.Until.Equal(w.now) {
		t.Errorf("state %+v %v", s, err)
	}
}

func sorted(list []string) []string { slices.Sort(list); return list }

// TestFieldGroup: a group of fields finds what asked one of them.
func TestFieldGroup(t *testing.T) {
	w := newTown(t)
	w.fill(8)
	x := w.index()
	for group, field := range map[string]string{"huur": "huur.achterstand.bedrag", "huur.achterstand": "huur.achterstand.bedrag", "ggz.behandelaar": "ggz.behandelaar.contact"} {
		for _, not := range []string{"", "-"} {
			got, want := w.all(x, not+"field:"+group, 50), w.all(x, not+"field:"+field, 50)
			if len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("%sfield:%s: %v, want %v", not, group, got, want)
			}
		}
	}
	if got := w.all(x, "field:huu", 50); len(got) != 0 {
		t.Errorf("part of a name: %v", got)
	}
}

// TestAnswer: an answer is found by its id alone.
func TestAnswer(t *testing.T) {
	w := newTown(t)
	w.fill(6)
	x := w.index()
	all, err := x.Find(t.Context(), Query{}, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all.Hits {
		if got := w.all(x, "decision:"+strings.ToUpper(string(h.Answer)), 5); len(got) != 1 || got[0] != ids([]Hit{h})[0] {
			t.Errorf("%s: %v", h.Answer, got)
		}
	}
	if got := w.all(x, "decision:0193a2b4-0000-7000-8000-000000000000", 5); len(got) != 0 {
		t.Errorf("an answer that is not there: %v", got)
	}
}

// TestNothingInClear: the files of the index hold no word of the log, and only their owner can read them.
func TestNothingInClear(t *testing.T) {
	w := newTown(t)
	w.fill(5)
	x := w.index()
	h, err := x.Find(t.Context(), Query{}, 0, 1)
	if err != nil || len(h.Hits) != 1 {
		t.Fatal(err)
	}
	read := 0
	err = filepath.WalkDir(w.cfg.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
		if e.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		read += len(data)
		for _, text := range []string{"canary", "0000000123456789", "wijkteam", "casusregisseur", "ontruiming", "leeftijd", "missing", string(h.Hits[0].Answer)} {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	})
	if err != nil || read < 10_000 {
		t.Fatal(read, err)
	}
}

// TestMadeAgain: an index that is not of this log as it is now, or that has what was erased, is made again; and only then.
func TestMadeAgain(t *testing.T) {
	w := newTown(t)
	w.fill(10)
	w.now = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	w.fill(4)
	marker := func(x *Index) int64 { // a file is known by its key
		t.Helper()
		return token(x.key, word{Role, "x"})
	}
	x := w.index()
	was := marker(x)
	spoil := func() {}
	again := func(name string, want bool) {
		t.Helper()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		spoil()
		x = w.index()
		if now := marker(x); (now != was) != want {
			t.Errorf("%s: made again: %v", name, now != was)
		}
		was = marker(x)
		if s, err := x.State(t.Context()); err != nil || s.Events != w.asked {
			t.Errorf("%s: %+v %v, want %d events", name, s, err, w.asked)
		}
	}
	again("as it was", false)
	if _, err := x.db.Exec("UPDATE writer SET hash = zeroblob(32) WHERE name = 'gw1'"); err != nil {
		t.Fatal(err)
	}
	again("another log by the hash of what was read last", true)
	if _, err := x.db.Exec("UPDATE writer SET seq = seq + 1 WHERE name = 'gw2'"); err != nil {
		t.Fatal(err)
	}
	again("ahead of its log", true)
	if _, err := x.db.Exec("UPDATE meta SET value = 'x' WHERE name = 'log'"); err != nil {
		t.Fatal(err)
	}
	again("of another log", true)
	if _, err := x.db.Exec("UPDATE meta SET value = 'x' WHERE name = 'key'"); err != nil {
		t.Fatal(err)
	}
	again("under a key that the ring can't open", true)
	if _, err := x.db.Exec("DROP TABLE staff"); err != nil {
		t.Fatal(err)
	}
	again("damaged", true)
	spoil = func() {
		if err := os.WriteFile(filepath.Join(w.cfg.Dir, indexFile), []byte("no database"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again("no database", true)
	spoil = func() {}

	// What is erased is taken out, and the rest stays: also where the vault remembers the key that was deleted.
	worker, role := "worker:canary-worker-1 after:2026-11-01", "worker:canary-worker-1 before:2026-11-01"
	before, kept := w.all(x, worker, 10), w.all(x, role, 10)
	erased := audit.StaffKey(w.now.AddDate(0, -1, 0))
	inIndex := func() (events, under int) { // those that have the worker's name, and blocks with words from under the key
		t.Helper()
		var packed []byte
		if err := x.db.QueryRow("SELECT events FROM word WHERE token = ?", token(x.key, word{Worker, "canary-worker-1"})).Scan(&packed); err != nil {
			t.Fatal(err)
		}
		var s set
		s.unpack(packed)
		if err := x.db.QueryRow("SELECT count(*) FROM staff WHERE key = ?", erased).Scan(&under); err != nil {
			t.Fatal(err)
		}
		return s.count(), under
	}
	if events, under := inIndex(); events != len(before)+len(kept) || under != 1 {
		t.Fatalf("%d events and %d blocks, want %d and 1", events, under, len(before)+len(kept))
	}
	if err := w.store.DeleteKeys(t.Context(), []string{erased}); err != nil {
		t.Fatal(err)
	}
	if len(kept) == 0 || len(before) == 0 {
		t.Fatalf("%d and %d found: this test tests nothing", len(kept), len(before))
	}
	again("erased", false)
	if events, under := inIndex(); events != len(before) || under != 0 {
		t.Errorf("%d events have the worker's name in the index, want %d; %d blocks from under the key", events, len(before), under)
	}
	if got := w.all(x, role, 10); len(got) > 0 {
		t.Errorf("what was erased is found: %v", got)
	}
	if got := w.all(x, worker, 10); !slices.Equal(got, before) {
		t.Errorf("the other month: %v, want %v", got, before)
	}
	if got := len(w.all(x, "purpose:ontruiming-voorkomen before:2026-11-01", 100)); got == 0 {
		t.Error("what stands in clear in the log is not found any more")
	}
	again("nothing more erased", false)
}

// TestFollow: what is recorded is found soon, and a request to make the index again is heard.
func TestFollow(t *testing.T) {
	w := newTown(t)
	w.fill(3)
	x := w.index()
	if other, err := Open(t.Context(), w.cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v %v", other, err)
	}
	was := token(x.key, word{Role, "x"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); x.Follow(ctx, func(err error) { t.Error(err) }) }()
	w.fill(2)
	if err := RequestRebuild(w.cfg.Dir); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := x.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		x.mu.RLock()
		now := token(x.key, word{Role, "x"})
		x.mu.RUnlock()
		if s.Events == w.asked && now != was {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v, want %d events; made again: %v", s, w.asked, now != was)
		}
	}
	stop()
	<-done
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`  ROLE:a  -veld:"b c"` + "\tzaak:z-1 ":                    `role:a -field:"b c" case:z-1`,
		`besluit:geweigerd decision:given`:                         `decision:refused decision:given`,
		`na:2026-11-01 voor:2026-11-02T10:30`:                      `after:2026-11-01T00:00:00+01:00 before:2026-11-02T10:30:00+01:00`,
		`after:2026-03-29T12:00:00Z`:                               `after:2026-03-29T12:00:00Z`,
		`decision:0193A2B4-0000-7000-8000-000000000000 worker:x:y`: `worker:x:y decision:0193a2b4-0000-7000-8000-000000000000`,
		``: ``,
	} {
		q, err := Parse(text)
		if err != nil || q.String() != want {
			t.Errorf("%q: %q %v, want %q", text, q, err, want)
		}
		if again, err := Parse(q.String()); err != nil || again.String() != q.String() {
			t.Errorf("%q read again: %q %v", q, again, err)
		}
	}
	for _, text := range []string{"x", "role:", ":x", "who:x", `role:"x`, "decision:maybe", "after:yesterday", "-after:2026-11-01", "revision:123", "revision:xyzxyzxyzxyz",
		"after:2026-11-02 before:2026-11-02", strings.Repeat("role:x ", 21)} {
		var f Fault
		if q, err := Parse(text); !errors.As(err, &f) || f.NL == f.EN || f.NL == "" || strings.Contains(f.NL+f.EN, "%!") {
			t.Errorf("%q: %v %v", text, q, err)
		}
	}
}

// TestSets: a stored set is the set, in either form.
func TestSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 10, full/2 - 1, full / 2}).Draw(t, "n")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		have := map[uint16]bool{}
		for len(have) < n {
			have[uint16(r.IntN(block))] = true
		}
		var list []uint16
		for p := range block {
			if have[uint16(p)] {
				list = append(list, uint16(p))
			}
		}
		var a, b set
		a.unpack(packList(list))
		b.unpack(a.pack())
		var got []uint16
		for p := range b.down {
			got = append(got, uint16(p))
		}
		slices.Reverse(got)
		if a != b || a.count() != n || !slices.Equal(got, list) {
			t.Fatalf("%d places are %d", n, len(got))
		}
		var f set
		f.fill(n)
		if f.count() != n || (n > 0 && f[(n-1)/64]&(1<<((n-1)%64)) == 0) {
			t.Fatalf("the first %d are %d", n, f.count())
		}
	})
}
