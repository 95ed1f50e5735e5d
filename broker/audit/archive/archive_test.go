package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// TestMove: what is moved reads as it did, from every place and in pages of every size; the journal keeps the last batch, and the
// segments hold everything else once.
func TestMove(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 90, false)
	d.add("a", 256, true) // so that what is dropped ends with the epoch
	d.add("b", 100, false)
	d.seal()
	whole, other := all(t, d.journal, journal.Audit("a")), all(t, d.journal, journal.Audit("b"))
	if m := d.move(); m.Events != 90 || m.Trimmed != 90 || m.Segments < 2 || m.Bytes == 0 || m.Stored == 0 {
		t.Fatalf("%+v", m)
	}
	if kept := all(t, d.journal, journal.Audit("a")); len(kept) != journal.MaxEvents || kept[0].ID != (journal.ID{Epoch: 2}) {
		t.Fatalf("the journal keeps %d events from %s", len(kept), kept[0].ID)
	}
	d.once("a", whole[:90])
	d.once("b", nil)
	d.same("b", other)
	for _, store := range []*Store{d.store, NewStore(d.journal, OpenFolder(d.at("archive"))), d.store.Loose()} {
		for _, i := range []int{0, 5, 46, 88, 89, 90, 91, 200, 344, 345} {
			for _, after := range []journal.ID{{}, {Epoch: 1, Seq: 1 << 40}, whole[i].ID, whole[i].ID.Before()} {
				for _, limit := range []int{1, 45, 1000} {
					if limit == 45 { // one that knows nothing yet
						store = NewStore(d.journal, OpenFolder(d.at("archive")))
					}
					want := slices.DeleteFunc(slices.Clone(whole), func(e journal.Entry) bool { return !after.Less(e.ID) })
					got, err := store.Read(t.Context(), journal.Audit("a"), after, limit)
					if err != nil || !slices.EqualFunc(got, want[:min(limit, len(want))], equal) {
						t.Fatalf("%d after %s: %d events, %v; want %d", limit, after, len(got), err, min(limit, len(want)))
					}
				}
			}
		}
	}
	if c := d.checked(d.at("archive")); len(c.Faults) > 0 || c.Events != 90 || c.Sealed != c.Segments || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}

	// It goes on from there, with what came since, and each time with nothing that is there already.
	d.add("a", 70, true)
	d.add("b", 200, false)
	d.seal()
	whole, other = all(t, d.store, journal.Audit("a")), all(t, d.store, journal.Audit("b"))
	if m := d.move(); m.Events != 70+44 || m.Trimmed != m.Events {
		t.Fatalf("%+v", m)
	}
	d.same("a", whole)
	d.same("b", other)
	d.once("a", whole[:160])
	d.once("b", other[:44])
	d.open()
	d.same("a", whole)
	if m := d.move(); m != (Moved{}) {
		t.Errorf("there was nothing left: %+v", m)
	}
	if c := d.checked(d.at("archive")); len(c.Faults) > 0 || c.Events != 160+44 {
		t.Errorf("%+v", c)
	}
	d.readable(whole)
}

// readable: a segment is what any zstd reads, and its lines what any reader of JSON does.
func (d *deployment) readable(whole []journal.Entry) {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.at("archive"), "*_a_*"+suffix))
	if err != nil || len(names) == 0 {
		d.t.Fatal(names, err)
	}
	slices.Sort(names)
	out, err := exec.Command("zstd", append([]string{"-dc"}, names...)...).Output()
	if err != nil {
		d.t.Fatalf("zstd (Debian: apt-get install zstd): %v", err)
	}
	for i, line := range slices.Collect(strings.Lines(string(out))) {
		e := whole[i]
		if want := fmt.Sprintf(`{"id":"%s","hash":"%s","event":%s}`+"\n", e.ID, e.Hash, e.Bytes); line != want {
			d.t.Fatalf("line %d is %s; want %s", i, line, want)
		}
	}
}

// TestWhatIsMoved: only what is old, only whole segments unless one waits too long, and only what is under a checkpoint.
func TestWhatIsMoved(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 500, false)
	cfg := d.config()
	if _, err := Move(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("nothing was sealed yet: %v", err)
	}
	d.seal()
	move := func(want uint64, change func(*Config)) {
		t.Helper()
		cfg := d.config()
		change(&cfg)
		if m, err := Move(t.Context(), cfg); err != nil || m.Events != want || m.Trimmed != 0 {
			t.Fatalf("%+v, %v; want %d events", m, err, want)
		}
	}
	move(0, func(c *Config) { c.Old = func(journal.Entry) bool { return false } })
	move(0, func(c *Config) { c.full, c.Due = fullSize, func(journal.Entry) bool { return false } })
	move(100, func(c *Config) { // the first hundred are old, and what does not fill a segment waits long enough
		c.Old = func(e journal.Entry) bool { return e.ID.Seq < 100 }
		c.Due = func(e journal.Entry) bool { return true }
	})
	d.add("a", 300, false)
	before := all(t, d.store, journal.Audit("a"))
	move(400, func(*Config) {}) // of the 544 that may be moved none after the 500th is under a checkpoint
	if m, err := Move(t.Context(), d.config()); err != nil || m.Trimmed != 0 || m.Waiting < 2 {
		t.Errorf("no manifest is sealed yet: %+v, %v", m, err)
	}
	if kept := all(t, d.journal, journal.Audit("a")); len(kept) != 800 {
		t.Errorf("the journal has %d events", len(kept))
	}
	d.once("a", before[:500])

	// A checkpoint that the witnesses did not cosign is none.
	d.seal()
	d.witness = []string{"getuige.example+0ab0d599+BKxHYOg0gTpHowgSjhwfLvT/DViz3juncqCiopD+OR9E"}
	if m, err := Move(t.Context(), d.config()); err == nil || !strings.Contains(err.Error(), "0 of the 1 witnesses") || m.Trimmed != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	d.witness = nil
	if m := d.move(); m.Events != 44 || m.Trimmed != 544 {
		t.Errorf("%+v", m)
	}
}

// TestDies stops at every step, as a process that dies there, and goes on with a new one: nothing is lost, nothing is twice.
func TestDies(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 400, false)
	d.add("b", 330, false)
	d.seal()
	whole, other := all(t, d.store, journal.Audit("a")), all(t, d.store, journal.Audit("b"))
	died := errors.New("died")
	steps := map[string]int{}
	for stop := 0; ; stop++ {
		cfg := d.config()
		n := 0
		cfg.step = func(step string) error {
			if n++; n > stop%3 {
				steps[step]++
				return died
			}
			return nil
		}
		if err := os.MkdirAll(d.at("archive"), 0o700); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(d.at("archive"), unfinished+"left")
		if err := os.WriteFile(left, []byte("half a segment"), 0o600); err != nil { // as a kill leaves it
			t.Fatal(err)
		}
		m, err := Move(t.Context(), cfg)
		if _, there := os.Stat(left); !os.IsNotExist(there) {
			t.Error("what nobody finished stays")
		}
		d.open()
		d.same("a", whole)
		d.same("b", other)
		if err == nil && m == (Moved{}) {
			break
		}
		if err != nil && !errors.Is(err, died) {
			t.Fatal(err)
		}
		d.seal()
	}
	for _, step := range []string{"written", "named", "read back", "dropped"} {
		if steps[step] == 0 {
			t.Errorf("never stopped at %q: %v", step, steps)
		}
	}
	d.once("a", whole[:400-256])
	d.once("b", other[:330-256])
	if c := d.checked(d.at("archive")); len(c.Faults) > 0 {
		t.Errorf("%+v", c)
	}
	t.Logf("stopped %v", steps)
}

// TestReadBack: a segment that is not what was written, by the time its events would be dropped, keeps them in the journal.
func TestReadBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 400, false)
	d.seal()
	cfg := d.config()
	if m, err := Move(t.Context(), cfg); err != nil || m.Waiting == 0 {
		t.Fatal(m, err)
	}
	d.seal()
	places, err := d.store.folder.list()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(d.at("archive"), places[0].name())
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{"altered": flip(good, len(good)-100), "cut off": good[:len(good)-9], "empty": nil} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := Move(t.Context(), d.config()); err == nil || m.Trimmed != 0 || !strings.Contains(err.Error(), places[0].name()) {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	// Another segment of the same events, that nobody sealed.
	m, entries, err := load(d.at("archive"), places[1])
	if err != nil {
		t.Fatal(err)
	}
	m.Made = m.Made.AddDate(0, 0, 1)
	if err := errors.Join(os.WriteFile(name, good, 0o600), os.WriteFile(filepath.Join(d.at("archive"), places[1].name()), packed(t, m, entries), 0o600)); err != nil {
		t.Fatal(err)
	}
	if moved, err := Move(t.Context(), d.config()); err != nil || moved.Waiting != len(places)-1 {
		t.Errorf("%+v, %v", moved, err)
	}
	if kept := all(t, d.journal, journal.Audit("a")); kept[0].ID != places[1].first {
		t.Errorf("the journal begins at %s", kept[0].ID)
	}
}

// TestForged: segments that hold other events than the log, and of which the manifest was sealed all the same, drop nothing.
func TestForged(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(m *Manifest, entries []journal.Entry) []journal.Entry{
		"another event in one's place": func(_ *Manifest, entries []journal.Entry) []journal.Entry {
			entries[3] = entryOf(entries[3].ID, `{"other":true}`)
			return entries
		},
		"the first left out": func(m *Manifest, entries []journal.Entry) []journal.Entry {
			m.Before, m.First = journal.Head{ID: entries[0].ID, Hash: entries[0].Hash}, entries[1].ID
			return entries[1:]
		},
	} {
		d := newDeployment(t)
		d.add("a", 400, false)
		d.seal()
		m := Manifest{Log: testLog, Writer: "a", First: journal.ID{Epoch: 1}}
		entries := forge(&m, all(t, d.journal, journal.Audit("a"))[:100])
		last := entries[len(entries)-1]
		m.Last, m.Count = journal.Head{ID: last.ID, Hash: last.Hash}, uint64(len(entries))
		var lines []byte
		for _, e := range entries {
			var err error
			if lines, err = appendLine(lines, e); err != nil {
				t.Fatal(err)
			}
		}
		m.Size, m.Digest = uint64(len(lines)), sha256.Sum256(lines)
		if err := os.MkdirAll(d.at("archive"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.at("archive"), m.place().name()), packed(t, m, entries), 0o600); err != nil {
			t.Fatal(err)
		}
		d.seal()
		moved, err := Move(t.Context(), d.config())
		if moved.Trimmed != 0 || (err == nil && moved.Waiting == 0) {
			t.Errorf("%s: %+v, %v", name, moved, err)
		}
		if kept := all(t, d.journal, journal.Audit("a")); len(kept) != 400 {
			t.Errorf("%s: the journal keeps %d events", name, len(kept))
		}
		t.Logf("%s: %+v, %v", name, moved, err)
	}
}

func flip(data []byte, at int) []byte {
	out := slices.Clone(data)
	out[at] ^= 1 << (at % 8)
	return out
}

func packed(t *testing.T, m Manifest, entries []journal.Entry) []byte {
	t.Helper()
	var lines []byte
	for _, e := range entries {
		var err error
		if lines, err = appendLine(lines, e); err != nil {
			t.Fatal(err)
		}
	}
	file, err := pack(m, lines)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPutBack: a journal from before events were dropped, in the place of the one after. What it has is read from it, and is
// dropped again without being moved again; what it lacks is not there, whatever the archive holds.
func TestPutBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 400, false)
	d.seal()
	if err := d.journal.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(d.at("journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	d.open()
	whole := all(t, d.store, journal.Audit("a"))
	d.move()
	if err := d.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.at("journal.db"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	d.journal = nil
	d.open()
	d.same("a", whole)
	if m := d.move(); m.Events != 0 || m.Trimmed != 144 {
		t.Errorf("%+v", m)
	}
	d.same("a", whole)

	// Another history in its place is not gone on with.
	if err := d.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.at("journal.db")); err != nil {
		t.Fatal(err)
	}
	d.journal = nil
	d.open()
	if err := d.journal.Init(t.Context(), entryOf(journal.ID{Epoch: 1}, "{}")); err != nil {
		t.Fatal(err)
	}
	d.add("a", 50, false)
	if got := all(t, d.store, journal.Audit("a")); len(got) != 50 {
		t.Errorf("%d events; those of the archive are not of this journal", len(got))
	}
	if m, err := Move(t.Context(), d.config()); err == nil || !strings.Contains(err.Error(), "put back or rewritten") {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestCheckBesideMove: what moves on while somebody checks is no fault, though the checkpoint that they read does not have it.
func TestCheckBesideMove(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 300, false)
	d.seal()
	d.move()
	dropped, sealed := d.dropped(), d.manifests()
	d.add("a", 90, false)
	d.seal()
	d.move()
	if c := d.checkedTo(d.at("archive"), dropped, sealed); len(c.Faults) > 0 || c.Waiting == 0 || c.Sealed != len(sealed) {
		t.Errorf("beside one that moves: %+v", c)
	}
	if c := d.checkedTo(d.at("archive"), d.dropped(), sealed); len(c.Faults) == 0 {
		t.Error("events were dropped that no checkpoint covers, and it finds nothing")
	}
}

// TestCheck bends a copy of an archive in every way there is; the first fault names what.
func TestCheck(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 390, false)
	d.add("b", 330, false)
	d.seal()
	d.move()
	whole := all(t, d.store, journal.Audit("a"))
	places, err := d.store.folder.list()
	if err != nil || len(places) < 5 || places[1].writer != "a" || places[2].writer != "a" || places[len(places)-1].writer != "b" {
		t.Fatal(places, err)
	}
	one, two, last := places[1], places[2], places[len(places)-1]
	file := func(dir string, p place) string { return filepath.Join(dir, p.name()) }
	rewrite := func(dir string, p place, change func(*Manifest, []journal.Entry)) error {
		m, entries, err := load(dir, p)
		if err != nil {
			return err
		}
		change(&m, entries)
		if err := os.Remove(file(dir, p)); err != nil {
			return err
		}
		return os.WriteFile(file(dir, m.place()), packed(t, m, entries), 0o600)
	}
	segment := func(p place) string { return fmt.Sprintf("audit:%s %s segment %s", p.writer, p.first, p.name()) }
	for name, c := range map[string]struct {
		says string
		gap  bool // reading over it is refused
		bend func(dir string) error
	}{
		"one away":      {" 0-0 segment 000001 is missing", true, func(dir string) error { return os.Remove(file(dir, one)) }},
		"two away":      {" 0-0 segments 000001 to 000002 are missing", true, func(dir string) error { return errors.Join(os.Remove(file(dir, one)), os.Remove(file(dir, two))) }},
		"the last away": {fmt.Sprintf(" 0-0 segment %06d is missing", last.seq), false, func(dir string) error { return os.Remove(file(dir, last)) }},
		"all away":      {fmt.Sprintf(" 0-0 segments 000000 to %06d are missing", last.seq), true, os.RemoveAll},
		"another's data": {segment(one), true, func(dir string) error {
			data, err := os.ReadFile(file(dir, two))
			return errors.Join(err, os.WriteFile(file(dir, one), data, 0o600))
		}},
		"not a segment": {segment(one), true, func(dir string) error { return os.WriteFile(file(dir, one), []byte("not a segment"), 0o600) }},
		"made anew": {segment(one) + " is not the one that the Merkle log has", false, func(dir string) error {
			return rewrite(dir, one, func(m *Manifest, _ []journal.Entry) { m.Made = m.Made.AddDate(0, 0, 1) })
		}},
		"of another log": {segment(one) + " is of log", false, func(dir string) error {
			return rewrite(dir, one, func(m *Manifest, _ []journal.Entry) { m.Log = "another" })
		}},
		"an event changed": {segment(one) + ": its lines are not those of its manifest", true, func(dir string) error {
			return rewrite(dir, one, func(_ *Manifest, entries []journal.Entry) { entries[3] = entryOf(entries[3].ID, `{"other":true}`) })
		}},
		"renamed": {segment(place{one.seq, one.writer, one.first, two.last}), true, func(dir string) error {
			return os.Rename(file(dir, one), file(dir, place{one.seq, one.writer, one.first, two.last}))
		}},
	} {
		dir := d.copied()
		if err := c.bend(dir); err != nil {
			t.Fatal(name, err)
		}
		got := d.checked(dir)
		if len(got.Faults) == 0 || !strings.HasPrefix(said(got.Faults[0]), c.says) {
			t.Errorf("%s: %v; want first %q", name, got.Faults, c.says)
			continue
		}
		t.Logf("%-15s %s", name, said(got.Faults[0]))
		store := NewStore(d.journal, OpenFolder(dir))
		_, err := store.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1000)
		if errors.Is(err, ErrMissing) != c.gap || (err != nil) != c.gap {
			t.Errorf("%s: reading: %v", name, err)
		}
		if loose := all(t, store.Loose(), journal.Audit("a")); c.gap == slices.EqualFunc(loose, whole, equal) {
			t.Errorf("%s: loosely %d of %d events are read", name, len(loose), len(whole))
		}
	}
	// What is put back is read again, by a process that runs.
	dir := d.copied()
	store := NewStore(d.journal, OpenFolder(dir))
	if err := os.Rename(file(dir, one), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1000); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "away"), file(dir, one)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1000); err != nil || len(got) != len(whole) {
		t.Errorf("%d events, %v", len(got), err)
	}
	// Without an archive nothing is read as if it were whole.
	if _, err := NewStore(d.journal, OpenFolder("")).Read(t.Context(), journal.Audit("a"), journal.ID{}, 1); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	// A segment beside those that are sealed, with a number of its own.
	dir = d.copied()
	m, entries, err := load(dir, last)
	if err != nil {
		t.Fatal(err)
	}
	m.Prev, m.Seq = m.Hash(), m.Seq+1
	if err := os.WriteFile(file(dir, m.place()), packed(t, m, entries), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := d.checked(dir); len(got.Faults) != 1 || !strings.HasPrefix(said(got.Faults[0]), segment(m.place())) {
		t.Errorf("a segment beside: %v", got.Faults)
	}
}

func said(f Fault) string { return fmt.Sprintf("%s %s %s", f.Stream, f.ID, f.What) }

// TestEveryByte turns a bit of each byte of a segment: Check names it each time, unless the lines come out as they were, and who
// reads gets the events that were there or none.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add("a", 262, false)
	d.seal()
	d.move()
	whole := all(t, d.store, journal.Audit("a"))[:6]
	places, err := d.store.folder.list()
	if err != nil || len(places) != 1 {
		t.Fatal(places, err)
	}
	p := places[0]
	dir := d.copied()
	file := filepath.Join(dir, p.name())
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := load(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	sealed := map[uint64]broker.Hash{0: m.Hash()}
	unread, asItWas := 0, 0
	for i := range good {
		if err := os.WriteFile(file, flip(good, i), 0o600); err != nil {
			t.Fatal(err)
		}
		store := NewStore(d.journal, OpenFolder(dir))
		got, err := Check(t.Context(), store, testLog, d.dropped(), sealed)
		if err == nil && len(got.Faults) == 0 {
			_, entries, err := load(dir, p)
			if asItWas++; err != nil || !slices.EqualFunc(entries, whole, equal) {
				t.Fatalf("byte %d: no fault is found, and it reads as others: %v", i, err)
			}
			continue
		}
		if err != nil || !strings.Contains(got.Faults[0].What, p.name()) || got.Faults[0].ID != p.first {
			t.Fatalf("byte %d: %+v, %v", i, got, err)
		}
		entries, err := store.Read(t.Context(), journal.Audit("a"), journal.ID{}, 6)
		if err == nil && !slices.EqualFunc(entries, whole, equal) {
			t.Fatalf("byte %d: other events are read", i)
		}
		if err != nil {
			unread++
		}
		if _, err := store.Loose().Read(t.Context(), journal.Audit("a"), journal.ID{}, 6); err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if asItWas > len(good)/50 {
		t.Errorf("%d of %d bits make no difference", asItWas, len(good))
	}
	t.Logf("of %d files with one bit turned %d were not read; in %d the lines were as before", len(good), unread, asItWas)
}

// TestRefuses: what is not an event as it was recorded is not moved; a folder that another process works in is left alone, and
// so is one that lacks a segment or is of another log.
func TestRefuses(t *testing.T) {
	t.Parallel()
	id := journal.ID{Epoch: 1}
	for name, e := range map[string]journal.Entry{
		"altered":    {ID: id, Hash: entryOf(id, "{}").Hash, Bytes: []byte(`{"a":1}`)},
		"unreadable": {ID: id},
		"no JSON":    entryOf(id, "{nothing}"),
		"two lines":  entryOf(id, "{\n}"),
		"two values": entryOf(id, "{} {}"),
		"a space":    entryOf(id, "{} "),
		"touches":    {ID: id, Hash: entryOf(id, "{}").Hash, Bytes: []byte("{}"), Touches: []broker.Touch{"x"}},
	} {
		if lines, err := appendLine(nil, e); err == nil {
			t.Errorf("%s is moved: %s", name, lines)
		}
	}

	d := newDeployment(t)
	d.add("a", 400, false)
	d.seal()
	release, err := lock(d.at("archive"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Move(t.Context(), d.config()); !errors.Is(err, ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	d.move()
	cfg := d.config()
	cfg.Log = "another"
	if _, err := Move(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another log") {
		t.Errorf("of another log: %v", err)
	}
	places, err := d.store.folder.list()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(d.at("archive"), places[0].name())); err != nil {
		t.Fatal(err)
	}
	d.add("a", 100, false)
	if _, err := Move(t.Context(), d.config()); err == nil || !strings.Contains(err.Error(), "one is missing") {
		t.Errorf("with a segment missing: %v", err)
	}
	if err := os.RemoveAll(d.at("archive")); err != nil {
		t.Fatal(err)
	}
	if _, err := Move(t.Context(), d.config()); !errors.Is(err, ErrMissing) {
		t.Errorf("into a folder that does not have what was moved before: %v", err)
	}
}
