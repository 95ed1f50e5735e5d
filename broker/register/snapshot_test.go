package register

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// fromStart opens the register as if there were no snapshot.
func (w *world) fromStart() *Register {
	w.t.Helper()
	bare := &memory{entries: w.store.entries, keys: w.store.keys, grown: w.store.grown}
	r, err := Open(w.t.Context(), config(bare, w.clock))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) snapshot() broker.Position {
	w.t.Helper()
	at, err := w.WriteSnapshot(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return at
}

// restored opens the register and demands that it began with the snapshot made at a position.
func (w *world) restored(at broker.Position) *Register {
	w.t.Helper()
	r := w.reopen()
	if from, ignored := r.Snapshot(); from != at || ignored != nil {
		w.t.Fatalf("began at %d, %v; want %d", from, ignored, at)
	}
	return r
}

// sameView demands that two views know the same, and index the same.
func sameView(t interface{ Fatalf(string, ...any) }, a, b *Register) {
	if a.head != b.head || a.origin != b.origin || !reflect.DeepEqual(a.state.policyState, b.state.policyState) {
		t.Fatalf("heads %v and %v, policies %+v and %+v", a.head, b.head, a.state.policyState, b.state.policyState)
	}
	byID := func(r *Register) map[broker.CaseID]caseFile {
		out := map[broker.CaseID]caseFile{}
		for _, f := range r.state.cases.all() {
			out[f.id] = *f
		}
		return out
	}
	for what, pair := range map[string][2]any{
		"agencies":   {a.state.agencies.own, b.state.agencies.own},
		"teams":      {a.state.teams.own, b.state.teams.own},
		"agreements": {a.state.agreements.own, b.state.agreements.own},
		"officers":   {a.state.officers.own, b.state.officers.own},
		"drafts":     {a.state.drafts.own, b.state.drafts.own},
		"requests":   {a.Requests(), b.Requests()},
		"represents": {a.Representations(), b.Representations()},
		"restricted": {a.halted(), b.halted()},
		"cases":      {byID(a), byID(b)},
		"by person":  {a.byPerson(), b.byPerson()},
		"given":      {a.givenSorted(), b.givenSorted()},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Fatalf("%s differ:\n%+v\n%+v", what, pair[0], pair[1])
		}
	}
	for _, r := range []*Register{a, b} {
		if _, ok := r.Validate(r.Position(), nil); !ok {
			t.Fatalf("facts of now do not hold")
		}
		if s := r.state.cases; len(s.records) != len(s.slots) {
			t.Fatalf("%d records for %d cases", len(s.records), len(s.slots))
		}
		for i, f := range r.state.cases.all() {
			if again := r.state.cases.get(f.id); again == nil || int(again.slot) != i {
				t.Fatalf("slot %d holds another case", i)
			}
		}
	}
}

// byPerson gives the cases under each of the persons of these tests; keys of the index differ between registers.
func (r *Register) byPerson() map[broker.BSN][]broker.CaseID {
	out := map[broker.BSN][]broker.CaseID{}
	for _, b := range bsns {
		if ids := r.OpenCasesOf(b); len(ids) > 0 {
			out[b] = slices.Sorted(slices.Values(ids))
		}
	}
	if len(out) != len(r.state.index.first) {
		out["others"] = nil
	}
	return out
}

func (r *Register) halted() map[broker.Touch]bool {
	out := map[broker.Touch]bool{}
	for subject, halted := range r.state.restricted.own {
		if halted {
			out[subject] = true
		}
	}
	return out
}

func (r *Register) givenSorted() map[pair][]string {
	out := map[pair][]string{}
	for p, ids := range r.state.index.given {
		out[p] = slices.Sorted(slices.Values(ids))
	}
	return out
}

// Whatever happened before and after a snapshot, and whatever was erased since, beginning with it gives the view that
// reading everything gives.
func TestSnapshotIsTheView(t *testing.T) {
	erasures := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, append(basics(), residents()...)...)
		if rapid.Bool().Draw(rt, "officers") {
			w.do(append(officers(), drafted(1, revision, second, petra, nil), checked(1, revision, second, widened))...)
		}
		play := func(steps int, label string) {
			for i := range rapid.IntRange(0, steps).Draw(rt, label) {
				_ = w.try(draw(rt, i))
			}
		}
		play(25, "before")
		if w.Position() < 2 {
			return
		}
		at := w.snapshot()
		play(10, "after")
		if rapid.Bool().Draw(rt, "erase") {
			ids := slices.Sorted(maps.Keys(w.store.keys))
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == snapshotKey })
			if len(ids) > 0 {
				delete(w.store.keys, rapid.SampledFrom(ids).Draw(rt, "erased"))
				erasures++
			}
		}
		whole, r := w.fromStart(), w.restored(at)
		sameView(rt, whole, r)
		for _, q := range questions() {
			a, _ := told(rt, whole, q)
			b, _ := told(rt, r, q)
			if a != b {
				rt.Fatalf("one tells %s, the other %s", a, b)
			}
		}
		// It can be copied again, and followed.
		w.Register = r
		at = w.snapshot()
		sameView(rt, whole, w.restored(at))
		play(5, "more")
		sameView(rt, w.fromStart(), w.Register)
	})
	if erasures == 0 {
		t.Error("nothing was erased: the property says nothing about it")
	}
}

// Many chunks, read by several at a time.
func TestSnapshotLarge(t *testing.T) {
	w := newWorld(t, append(append(basics(), someHouseholds(4000)...), samples()[len(basics()):]...)...)
	at := w.snapshot()
	if w.store.snap.Chunks < 3 {
		t.Fatalf("%d chunks say nothing about more than one", w.store.snap.Chunks)
	}
	w.do(household("later", 4))
	sameView(t, w.fromStart(), w.restored(at))
}

// A snapshot that is not wholly right, or not of this log as it is, is not used: everything is read, and it is said why.
func TestSnapshotRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(t *testing.T, w *world)
		want   string
	}{
		"chunk changed": {func(_ *testing.T, w *world) {
			for k := range w.store.chunks {
				w.store.chunks[k][20] ^= 1
			}
		}, "a chunk of it was changed"},
		"chunk gone":   {func(_ *testing.T, w *world) { clear(w.store.chunks) }, "took its place"},
		"head changed": {func(_ *testing.T, w *world) { w.store.snap.Head[len(w.store.snap.Head)/2] ^= 1 }, ""},
		"head gone":    {func(_ *testing.T, w *world) { w.store.snap.Head = nil }, "not a keys.Part"},
		"cut short":    {func(_ *testing.T, w *world) { w.store.snap.Chunks-- }, "number of chunks"},
		"key erased":   {func(_ *testing.T, w *world) { delete(w.store.keys, snapshotKey) }, "erased"},
		"not by the ring": {func(t *testing.T, w *world) {
			forge(t, w, w.cfg.Vault, snapshotKey, func(h *snapshotHead) {})
			p, err := decode[keys.Part](w.store.snap.Head)
			if err != nil {
				t.Fatal(err)
			}
			p.Box[20] ^= 1
			w.store.snap.Head, _ = encode(p)
		}, "altered"},
		"another key": {func(t *testing.T, w *world) {
			forge(t, w, w.cfg.Vault, "case:other", func(*snapshotHead) {})
		}, "under another key"},
		"format": {func(t *testing.T, w *world) {
			forge(t, w, w.cfg.Vault, snapshotKey, func(h *snapshotHead) { h.V = 1 })
		}, "format 1"},
		"position": {func(t *testing.T, w *world) {
			forge(t, w, w.cfg.Vault, snapshotKey, func(h *snapshotHead) { h.Seq-- })
		}, "does not hold the entry"},
		"a word": {func(t *testing.T, w *world) {
			forge(t, w, w.cfg.Vault, snapshotKey, func(h *snapshotHead) { h.Words = h.Words[:2] })
		}, "form that records have"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(basics(), household("c1", 0))...)
			w.snapshot()
			tt.change(t, w)
			w.do(household("c2", 2))
			refused(t, w, tt.want)
		})
	}
}

func refused(t *testing.T, w *world, want string) {
	t.Helper()
	r := w.reopen()
	at, ignored := r.Snapshot()
	if at != 0 || ignored == nil || !strings.Contains(ignored.Error(), want) {
		t.Fatalf("began at %d, %v; want %q", at, ignored, want)
	}
	sameView(t, w.fromStart(), r)
}

// forge changes the head of the snapshot and seals it again.
func forge(t *testing.T, w *world, v Vault, keyID string, change func(*snapshotHead)) {
	t.Helper()
	h, _, err := w.readSnapshotHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	change(&h)
	text, err := encode(h)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := v.SealAll(t.Context(), []keys.Plain{{KeyID: keyID, Context: snapshotHeading, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	if w.store.snap.Head, err = encode(parts[0]); err != nil {
		t.Fatal(err)
	}
}

// The log lost entries, went on with others, or is another log.
func TestSnapshotOfAnotherPast(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), household("c2", 2))...)
	w.snapshot()
	n := len(w.store.entries)
	w.store.entries = w.store.entries[: n-1 : n-1] // rolled back
	refused(t, w, "entries were lost")
	w.Register = w.fromStart()
	w.Register.cfg.Store = w.store
	w.do(household("c3", 4), household("c4", 6)) // and on
	if len(w.store.entries) <= n {
		t.Fatal("it must be longer than at the snapshot")
	}
	refused(t, w, "entries were lost")

	wiped := newWorld(t, append(basics(), household("c1", 0), household("c2", 2))...)
	wiped.store.chunks, wiped.store.snap = w.store.chunks, w.store.snap
	wiped.store.keys[snapshotKey] = w.store.keys[snapshotKey]
	refused(t, wiped, "another log")

	// A tail that is not chained to the snapshot stops the view, as it would without one.
	w = newWorld(t, append(basics(), household("c1", 0))...)
	w.snapshot()
	w.do(household("c2", 2), household("c3", 4))
	w.store.entries = slices.Delete(slices.Clone(w.store.entries), len(w.store.entries)-2, len(w.store.entries)-1)
	if _, err := Open(t.Context(), config(w.store, w.clock)); err == nil || !strings.Contains(err.Error(), "does not follow") {
		t.Errorf("opened over a gap after the snapshot: %v", err)
	}
}

// Erasure holds in snapshots too: in an old one, in one made since, and in the bytes of either.
func TestSnapshotErased(t *testing.T) {
	w := newWorld(t, samples()...)
	w.do(household("zaak-xyzzy", 4))
	at := w.snapshot()
	for k, data := range w.store.chunks {
		for _, secret := range append(personal(), "zaak-xyzzy", wijkteam, "afgewogen") {
			if bytes.Contains(data, []byte(secret)) || bytes.Contains(w.store.snap.Head, []byte(secret)) {
				t.Errorf("chunk %s or the head holds %q in clear", k, secret)
			}
		}
	}
	h, _, err := w.readSnapshotHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range h.Words { // the head's key is not erased with a person's
		for _, secret := range append(personal(), "zaak-xyzzy", wijkteam) {
			if strings.Contains(word, secret) {
				t.Errorf("the dictionary holds %q", secret)
			}
		}
	}
	delete(w.store.keys, "case:"+string(testTouch("case", "zaak-xyzzy")))
	r := w.restored(at)
	if _, there := r.Case("zaak-xyzzy"); there {
		t.Error("an erased case is read from an old snapshot")
	}
	if _, there := r.Case("c1"); !there {
		t.Error("another case was lost with it")
	}
	size := 0
	for _, data := range w.store.chunks {
		size += len(data)
	}
	w.cfg.Vault.(*keys.Vault).Forget("case:" + string(testTouch("case", "zaak-xyzzy")))
	w.snapshot() // by a process that still has the case in memory
	for _, data := range w.store.chunks {
		size -= len(data)
	}
	if size <= 0 || w.store.keys["case:"+string(testTouch("case", "zaak-xyzzy"))] != nil {
		t.Error("an erased case is in a new snapshot, or its key was made again")
	}
}

// A store that fails while a snapshot is read costs the snapshot, not the register.
func TestSnapshotStoreFails(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	w.snapshot()
	cfg := config(w.store, w.clock)
	cfg.Store = &noChunks{w.store}
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if at, ignored := r.Snapshot(); at != 0 || !errors.Is(ignored, errChunks) {
		t.Errorf("began at %d, %v", at, ignored)
	}
	sameView(t, w.fromStart(), r)
}

type noChunks struct{ *memory }

var errChunks = errors.New("no connection")

func (noChunks) Chunk(_ context.Context, _ string, _ int) ([]byte, error) { return nil, errChunks }

func FuzzRecord(f *testing.F) {
	w := newWorld(f, samples()...)
	words := w.state.cases.pack.words
	for _, record := range w.state.cases.records {
		f.Add([]byte(record))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u := &unpacker{b: string(data), words: words}
		file := u.caseFile()
		if u.err != nil || len(u.b) > 0 {
			return
		}
		again := newPacker(words)
		again.caseFile(file)
		v := &unpacker{b: string(again.b), words: again.words}
		if back := v.caseFile(); v.err != nil || !reflect.DeepEqual(file, back) {
			t.Error("a case is not read back as it was written")
		}
		file.household(gemeente, voorkomen, noon.Add(time.Hour))
	})
}
