package search

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

var (
	benchEvents = flag.Int("search.events", 0, "how many events BenchmarkSearch puts in an index; 0: none")
	benchDir    = flag.String("search.dir", "", "folder of that index; default: a temporary one")
)

// made is a store that makes its events when they are read, and never holds one: two writers whose events differ in who
// asks, about which case, and in 60 queries with their decisions. Each event of a place is the same every time.
type made struct {
	n       uint64 // events of each writer
	vault   *keys.Vault
	begin   time.Time
	between time.Duration
	commons [][]byte
	staff   []broker.Staff

	mu      sync.Mutex
	wrapped map[string][]byte
}

// newMade makes one whose queries have from some fields to as many more.
func newMade(t testing.TB, n int, ring *keys.Ring, some, more int) *made {
	m := &made{n: uint64(n / 2), begin: time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC), wrapped: map[string][]byte{}}
	m.between = 10 * 365 * 24 * time.Hour / time.Duration(m.n)
	m.vault = keys.NewVault(m, ring)
	r := rand.New(rand.NewPCG(1, 1))
	all := make([]broker.Field, 80)
	for i := range all {
		all[i] = broker.Field(fmt.Sprintf("domein%d.groep.veld%d", i%8, i))
	}
	for range 60 {
		q := broker.Query{V: 1, Role: broker.Role(fmt.Sprintf("rol-%d", r.IntN(12))), Purpose: broker.Purpose(fmt.Sprintf("doel-%d", r.IntN(10))), Fields: slices.Clone(all)}
		r.Shuffle(len(all), func(i, j int) { q.Fields[i], q.Fields[j] = q.Fields[j], q.Fields[i] })
		q.Fields = q.Fields[:some+r.IntN(more)]
		q = q.Canonical()
		d := broker.Decision{Grants: map[broker.Field]broker.Grant{}, Refusals: map[broker.Field][]broker.Reason{}}
		for _, f := range q.Fields {
			if r.IntN(4) > 0 {
				d.Grants[f] = broker.Grant{Form: "exact", Basis: "wgs-8"}
			} else {
				d.Refusals[f] = []broker.Reason{broker.Reason(fmt.Sprintf("reden-%d", r.IntN(15)))}
			}
		}
		c, err := json.Marshal(broker.Common{Queries: []json.RawMessage{q.Bytes()}, Decisions: []json.RawMessage{d.Bytes()}, Refused: r.IntN(6) == 0,
			Policy: broker.PolicyRef{Revision: broker.Revision(fmt.Sprintf("%064x", r.IntN(5))), Engine: "opa"}, Subjects: []broker.SubjectQueries{{Subject: "household", Queries: []int{0}}}})
		if err != nil {
			t.Fatal(err)
		}
		m.commons = append(m.commons, c)
		m.staff = append(m.staff, broker.Staff{Role: q.Role, Purpose: q.Purpose})
	}
	return m
}

func (m *made) SwapKeys(context.Context, []journal.KeySwap) error { return nil } // nothing is erased here

func (m *made) Writers(context.Context) ([]string, error) { return []string{"gw1", "gw2"}, nil }
func (m *made) Head(_ context.Context, s journal.Stream) (journal.Head, error) {
	page, err := m.Read(context.Background(), s, journal.ID{Epoch: 1, Seq: m.n - 1}, 1)
	return journal.Head{ID: page[0].ID, Hash: page[0].Hash}, err
}
func (m *made) Keys(_ context.Context, ids []string) (out [][]byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		out = append(out, m.wrapped[id])
	}
	return out, nil
}
func (m *made) PutKeys(_ context.Context, all []journal.WrappedKey) (out [][]byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range all {
		if m.wrapped[k.ID] == nil {
			m.wrapped[k.ID] = k.Wrapped
		}
		out = append(out, m.wrapped[k.ID])
	}
	return out, nil
}

// event makes one: 1,500 workers of 20 agencies, one case for each 40 events.
func (m *made) event(s journal.Stream, seq uint64) (journal.Entry, error) {
	at := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s), seq))
	pick := func(i int, n uint64) uint64 { return uint64(binary.BigEndian.Uint32(at[4*i:])) % n }
	kind := pick(0, uint64(len(m.commons)))
	e := audit.Event{Writer: string(s[len("audit:"):]), ID: journal.ID{Epoch: 1, Seq: seq}, Time: m.begin.Add(time.Duration(seq) * m.between), Kind: audit.KindDisclosure, Common: m.commons[kind]}
	if s == journal.Audit("gw2") {
		e.Time = e.Time.Add(m.between / 3)
	}
	if err := m.sealStaff(&e, m.staff[kind], pick(1, 1500), pick(2, m.n/20+1)); err != nil {
		return journal.Entry{}, err
	}
	data := e.Encode()
	return journal.Entry{ID: e.ID, Hash: sha256.Sum256(data), Bytes: data}, nil
}

func (m *made) sealStaff(e *audit.Event, staff broker.Staff, worker, of uint64) error {
	staff.Agency, staff.Worker = broker.OIN(fmt.Sprintf("0000000123456789%04d", worker%20)), broker.WorkerID(fmt.Sprintf("worker-%d", worker))
	staff.Case, staff.Request = broker.CaseID(fmt.Sprintf("case-%d", of)), broker.RequestID(fmt.Sprintf("%s-%d", e.Writer, e.ID.Seq))
	text, err := json.Marshal(staff)
	if err != nil {
		return err
	}
	parts, err := m.vault.SealAll(context.Background(), []keys.Plain{{KeyID: audit.StaffKey(e.Time), Context: "staff", Text: text}})
	if err != nil {
		return err
	}
	e.Staff = &parts[0]
	return nil
}

func (m *made) Read(_ context.Context, s journal.Stream, after journal.ID, max int) (out []journal.Entry, err error) {
	seq := uint64(1)
	if after.Epoch == 1 {
		seq = after.Seq + 1
	}
	for ; after.Epoch <= 1 && seq <= m.n && len(out) < max; seq++ {
		e, err := m.event(s, seq)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// fewer is a store that has only the first events of another.
type fewer struct {
	*made
	n uint64
}

func (f *fewer) Head(ctx context.Context, s journal.Stream) (journal.Head, error) {
	e, err := f.event(s, f.n)
	return journal.Head{ID: e.ID, Hash: e.Hash}, err
}
func (f *fewer) Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	page, err := f.made.Read(ctx, s, after, max)
	end := slices.IndexFunc(page, func(e journal.Entry) bool { return e.ID.Seq > f.n })
	if end >= 0 {
		page = page[:end]
	}
	return page, err
}

// TestBlocks: an index that comes into another block, in pieces that end within a block, has every event once. It begins as
// if most of the first block was there.
func TestBlocks(t *testing.T) {
	ring, err := keys.Create(keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	const n, before = 1200, block - 700
	m := newMade(t, n, ring, 1, 2)
	store := &fewer{m, 0}
	x, err := Open(t.Context(), Config{Dir: t.TempDir(), Log: logID, Store: store, Vault: m.vault, Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	long := m.begin.AddDate(-1, 0, 0).UnixNano()
	_, err = x.db.Exec("INSERT INTO event VALUES (?, 0, 1, 1, ?)", before-1, long)
	if err == nil {
		_, err = x.db.Exec("INSERT INTO block VALUES (0, ?, ?, ?)", before, long, long)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, store.n = range []uint64{150, 400, n / 2} {
		if err := x.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{"": before + n, "revision:" + strings.Repeat("0", 12): n, "after:2016-01-01": n}
	for _, s := range []journal.Stream{"audit:gw1", "audit:gw2"} { // counted by going through the events
		for seq := uint64(1); seq <= n/2; seq++ {
			when := m.begin.Add(time.Duration(seq) * m.between)
			if s == "audit:gw2" {
				when = when.Add(m.between / 3)
			}
			at := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s), seq))
			worker := fmt.Sprintf("worker:worker-%d", binary.BigEndian.Uint32(at[4:])%1500)
			want[worker]++
			if !when.Before(time.Date(2025, 11, 30, 23, 0, 0, 0, time.UTC)) {
				want["na:2025-12-01"]++
			}
			if when.Year() == 2019 && when.Month() < 7 {
				want["na:2019-01-01T01:00 voor:2019-07-01T02:00"]++
			}
		}
	}
	for text, total := range want {
		if strings.HasPrefix(text, "worker") && total < 3 { // some will do
			continue
		}
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		f, err := x.Find(t.Context(), q, 0, 5)
		if err != nil || f.Total != total || total < 1 || len(f.Hits) != min(total, 5) {
			t.Errorf("%q: %d of %d, want %d: %v", text, len(f.Hits), f.Total, total, err)
		}
	}
	// Every event once, in pages over the border of the blocks.
	q, begin, seen := Query{After: m.begin}, uint64(0), map[string]bool{}
	for {
		f, err := x.Find(t.Context(), q, begin, 333)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range f.Hits {
			if seen[ids(f.Hits[i : i+1])[0]] || (i > 0 && h.Time.After(f.Hits[i-1].Time)) {
				t.Fatalf("%s comes twice, or is newer than the one before", h.ID)
			}
			seen[ids(f.Hits[i : i+1])[0]] = true
		}
		if begin = f.Next; begin == 0 {
			break
		}
	}
	if len(seen) != n {
		t.Errorf("%d events, want %d", len(seen), n)
	}
}

// BenchmarkSearch measures how long questions take: go test -run '^$' -bench Search -search.events 10000000 -search.dir DIR
func BenchmarkSearch(b *testing.B) {
	if *benchEvents == 0 {
		b.Skip("how many events? -search.events")
	}
	dir := *benchDir
	if dir == "" {
		dir = b.TempDir()
	}
	ring, err := keys.Create(keys.Config{})
	if err != nil {
		b.Fatal(err)
	}
	m := newMade(b, *benchEvents, ring, 4, 12)
	x, err := Open(b.Context(), Config{Dir: filepath.Join(dir, "search"), Log: logID, Store: m, Vault: m.vault, Ring: ring})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	began := time.Now()
	if err := x.Update(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("index of %d events made in %v", *benchEvents, time.Since(began).Round(time.Millisecond))
	if info, err := os.Stat(filepath.Join(dir, "search", indexFile)); err == nil {
		b.Logf("%d MB", info.Size()>>20)
	}
	r := rand.New(rand.NewPCG(3, 3))
	for name, ask := range map[string]func() string{
		"one-case": func() string { return fmt.Sprintf("case:case-%d", r.Uint64N(m.n/20+1)) },
		"worker":   func() string { return fmt.Sprintf("worker:worker-%d", r.IntN(1500)) },
		"worker-month": func() string {
			return fmt.Sprintf("worker:worker-%d after:2024-%02d-03 before:2024-%02d-28", r.IntN(1500), 1+r.IntN(12), 12)
		},
		"role-refused": func() string { return fmt.Sprintf("role:rol-%d decision:refused", r.IntN(12)) },
		"field-reason": func() string {
			return fmt.Sprintf("field:domein%d.groep.veld%d reason:reden-%d", 1, 8*r.IntN(10)+1, r.IntN(15))
		},
		"three-wide": func() string { return fmt.Sprintf("-role:rol-%d decision:partly revision:%012x", r.IntN(12), 0) },
		"newest":     func() string { return "" },
		"nobody":     func() string { return fmt.Sprintf("worker:nobody-%d", r.IntN(1000)) },
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				q, err := Parse(ask())
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if _, err := x.Find(b.Context(), q, 0, 50); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
