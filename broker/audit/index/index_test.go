package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/keys"
)

const (
	logID  = "0123456789abcdef0123456789abcdef"
	origin = "schakel.example/log"
)

// residents have valid BSNs.
var residents = []broker.BSN{"999990019", "999990020", "999990032", "999990044", "999990056", "999990068"}

// fixedView knows a register that nobody changes.
type fixedView struct{}

func (fixedView) Validate(p broker.Position, _ []broker.Touch) (broker.Position, bool) {
	return p, true
}
func (fixedView) Refresh(context.Context) error { return nil }

// town is a journal on disk with a gateway's writer, a ring, indexes and a Merkle log.
type town struct {
	t      testing.TB
	store  *bolt.Store
	ring   *keys.Ring
	vault  *keys.Vault
	writer *audit.Writer
	cfg    Config
	merkle string
	name   string          // of the writer
	folder *archive.Folder // nil: nothing is archived
	alarms []checkpoint.Alarm
	mu     sync.Mutex
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
	w := &town{t: t, name: "gw", store: store, ring: ring, vault: keys.NewVault(store, ring), merkle: filepath.Join(dir, "checkpoints")}
	w.cfg = Config{Dir: filepath.Join(dir, "index"), Log: logID, Store: store, Ring: ring, Vault: w.vault}
	w.open()
	return w
}

func (w *town) open() {
	w.t.Helper()
	var err error
	w.writer, err = audit.Open(w.t.Context(), audit.Config{Store: w.store, Writer: w.name, Log: logID, Version: "test", Vault: w.vault,
		Pseudonym: w.ring.Pseudonym, View: fixedView{}, Limit: 10 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.writer.Close(context.Background()) })
}

// ask records a disclosure about residents and gives the event's hash.
func (w *town) ask(about ...broker.BSN) broker.Hash {
	w.t.Helper()
	e := broker.Event{Position: 1, Staff: broker.Staff{Agency: "00000001234567890000", Worker: "w", Role: "r", Purpose: "p", Request: "r"}}
	for i, b := range about {
		e.Subjects = append(e.Subjects, broker.SubjectPart{BSN: b, Subject: broker.Subject(fmt.Sprintf("p%d", i+1)), Agency: e.Staff.Agency, Purpose: "p"})
	}
	r, err := w.writer.Append(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Hash
}

func (w *town) build() Manifest {
	w.t.Helper()
	m, err := Build(w.t.Context(), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// seal runs a checkpointer until the last index is in the Merkle log.
func (w *town) seal() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	sealed := make(chan checkpoint.Seal, 100)
	c, err := checkpoint.New(checkpoint.Config{
		Dir: w.merkle, Origin: origin, Streams: w.streams(), Every: 100 * time.Millisecond, Grace: 10 * time.Millisecond,
		Key: func() (checkpoint.Key, error) {
			k, err := w.ring.CheckpointKey()
			return checkpoint.Key{Public: k.Public, Sign: k.Sign}, err
		},
		Keys:       func() (checkpoint.Keys, error) { return w.keys(), nil },
		Lease:      func(context.Context) (uint64, time.Time, error) { return 1, time.Now().Add(time.Hour), nil },
		Remembered: func(context.Context) ([]byte, error) { return nil, nil },
		Sealed: func(_ context.Context, s checkpoint.Seal) error {
			sealed <- s
			return nil
		},
		Alarm:  func(a checkpoint.Alarm) { w.mu.Lock(); defer w.mu.Unlock(); w.alarms = append(w.alarms, a) },
		Failed: func(err error) { w.t.Log(err) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	last, err := lastManifest(w.cfg.Dir)
	if err != nil || last == nil {
		w.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()
	archived, err := w.streams().Head(w.t.Context(), checkpoint.Archive)
	if w.folder != nil && err != nil {
		w.t.Fatal(err)
	}
	for deadline := time.After(15 * time.Second); ; {
		select {
		case s := <-sealed:
			if s.Streams[checkpoint.Index].ID == last.id() && (w.folder == nil || s.Streams[checkpoint.Archive] == archived) {
				return
			}
		case <-deadline:
			w.t.Fatal("the index was not sealed in time")
		}
	}
}

func (w *town) streams() checkpoint.Streams {
	streams := Streams{w.store, w.cfg.Dir}
	if w.folder == nil {
		return streams
	}
	return archive.Streams{Streams: streams, Folder: w.folder}
}

func (w *town) keys() checkpoint.Keys {
	k, err := checkpoint.NewKeys(origin, w.ring.CheckpointKeys(), nil, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

func (w *town) prover() Prover {
	return Prover{Dir: w.cfg.Dir, Merkle: checkpoint.OpenLog(w.merkle, w.keys()), Ring: w.ring}
}

// mentions reads the whole log.
func (w *town) mentions(of broker.BSN) []audit.Mention {
	w.t.Helper()
	out, err := Mentions(w.t.Context(), w.cfg, nil, audit.MentionsConfig{Of: w.ring.Pseudonyms(of)})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *town) prove(of broker.BSN) []byte {
	w.t.Helper()
	file, err := w.prover().Prove(w.t.Context(), of, w.mentions(of))
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

// days makes three indexes: residents 0 and 1 on the first day, 2 to 4 on the second, 0 twice on the third, with a rotation of
// the pseudonym key before it.
func (w *town) days() (mine []broker.Hash) {
	w.t.Helper()
	mine = append(mine, w.ask(residents[0], residents[1]))
	w.build()
	w.ask(residents[2], residents[3])
	w.ask(residents[4])
	w.build()
	if _, err := w.ring.RotatePseudonyms(); err != nil {
		w.t.Fatal(err)
	}
	mine = append(mine, w.ask(residents[0]), w.ask(residents[0], residents[1]))
	w.build()
	w.seal()
	return mine
}

// TestResidentsFile: it proves exactly the events about its bearer, over days and versions of the key, to who has the public keys
// alone; also that there are none. It serves nobody else, no other log and no other keys.
func TestResidentsFile(t *testing.T) {
	w := newTown(t)
	mine := w.days()
	file, public := w.prove(residents[0]), w.ring.PseudonymKeys()
	got, err := Verify(file, w.keys(), public, residents[0])
	if err != nil || got.Indexes != 3 || !slices.Equal(got.Events, sorted(mine)) || got.Unreadable != 0 || got.Log != logID || got.Checkpoint.Origin != origin {
		t.Fatalf("%+v, %v; want %v", got, err, mine)
	}
	t.Logf("%d bytes for %d indexes", len(file), got.Indexes)
	if got, err := Verify(w.prove(residents[5]), w.keys(), public, residents[5]); err != nil || len(got.Events) != 0 {
		t.Errorf("nobody asked about them: %+v, %v", got, err)
	}
	other := newTown(t)
	for what, v := range map[string]func() (Verified, error){
		"another resident":       func() (Verified, error) { return Verify(file, w.keys(), public, residents[1]) },
		"another log":            func() (Verified, error) { return Verify(file, other.keys(), public, residents[0]) },
		"another ring":           func() (Verified, error) { return Verify(file, w.keys(), other.ring.PseudonymKeys(), residents[0]) },
		"one version of the key": func() (Verified, error) { return Verify(file, w.keys(), public[:1], residents[0]) },
		"no file":                func() (Verified, error) { return Verify([]byte(`{"v":1}`), w.keys(), public, residents[0]) },
	} {
		if _, err := v(); err == nil {
			t.Errorf("the file serves %s", what)
		}
	}
	if n, err := Check(t.Context(), w.cfg, w.sealedManifests()); n != 3 || err != nil {
		t.Errorf("checked %d: %v", n, err)
	}
	if len(w.alarms) > 0 {
		t.Errorf("%v", w.alarms)
	}
}

// sealedManifests gives what the Merkle log has of the indexes.
func (w *town) sealedManifests() map[uint64]broker.Hash {
	w.t.Helper()
	log := checkpoint.OpenLog(w.merkle, w.keys())
	c, err := log.Latest(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[uint64]broker.Hash{}
	for leaf, err := range log.Leaves(w.t.Context(), c) {
		if err != nil {
			w.t.Fatal(err)
		}
		if leaf.Stream == checkpoint.Index {
			out[leaf.ID.Seq] = leaf.Hash
		}
	}
	return out
}

// TestFileIsBent: no part of a file can be changed, left out, or moved to another resident's.
func TestFileIsBent(t *testing.T) {
	w := newTown(t)
	w.days()
	file, public := w.prove(residents[0]), w.ring.PseudonymKeys()
	want, err := Verify(file, w.keys(), public, residents[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(file); i += 7 {
		bent := bytes.Clone(file)
		bent[i] ^= 1
		if got, err := Verify(bent, w.keys(), public, residents[0]); err == nil && !slices.Equal(got.Events, want.Events) {
			t.Fatalf("byte %d: %s proves %v", i, bent[max(0, i-40):i+1], got.Events)
		}
	}
	var theirs File
	if err := json.Unmarshal(w.prove(residents[5]), &theirs); err != nil {
		t.Fatal(err)
	}
	for what, bend := range map[string]func(*File){
		"an index is left out":        func(f *File) { f.Indexes = slices.Delete(f.Indexes, 1, 2) },
		"the first is left out":       func(f *File) { f.Indexes = f.Indexes[1:] },
		"the last is left out":        func(f *File) { f.Indexes = f.Indexes[:2] },
		"absence of somebody else":    func(f *File) { f.Indexes = theirs.Indexes },
		"pseudonyms of somebody else": func(f *File) { f.Pseudonyms = theirs.Pseudonyms },
		"all of somebody else":        func(f *File) { *f = theirs },
		"a version is not shown":      func(f *File) { delete(f.Indexes[2].Shown, "2") },
		"nothing is shown at all":     func(f *File) { f.Indexes[2].Shown["2"] = Shown{} },
		"an event is left out":        func(f *File) { s := f.Indexes[2].Shown["2"]; s.Events = s.Events[:1]; f.Indexes[2].Shown["2"] = s },
		"one neighbour alone": func(f *File) {
			s := f.Indexes[1].Shown["1"]
			s.Before = nil
			s.After = nil
			f.Indexes[1].Shown["1"] = s
		},
		"the place without its events":   func(f *File) { s := f.Indexes[0].Shown["1"]; s.Events = nil; f.Indexes[0].Shown["1"] = s },
		"the events without the place":   func(f *File) { s := f.Indexes[0].Shown["1"]; s.Here = nil; f.Indexes[0].Shown["1"] = s },
		"the seal of nothing":            func(f *File) { f.Seal = "" },
		"the proof of a version is gone": func(f *File) { delete(f.Pseudonyms, "1") },
	} {
		var f File
		if err := json.Unmarshal(file, &f); err != nil {
			t.Fatal(err)
		}
		bend(&f)
		bent, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(bent, w.keys(), public, residents[0]); err == nil {
			t.Errorf("%s: it verifies", what)
		}
	}
}

// forge puts another index in the place of one, as its keeper could: whole in itself, with a manifest to it.
func (w *town) forge(seq uint64, change func([]entry) []entry) {
	w.t.Helper()
	m, tr, err := readFile(w.cfg.Dir, seq)
	if err != nil {
		w.t.Fatal(err)
	}
	forged, err := newTree(change(slices.Clone(tr.entries)))
	if err != nil {
		w.t.Fatal(err)
	}
	var before *Manifest
	if seq > 0 {
		b, err := readManifest(w.cfg.Dir, seq-1)
		if err != nil {
			w.t.Fatal(err)
		}
		before = &b
	}
	got, err := w.cfg.read(w.t.Context(), m, before)
	if err != nil {
		w.t.Fatal(err)
	}
	got.tree = forged
	places, err := w.cfg.sealPlaces(w.t.Context(), got)
	if err != nil {
		w.t.Fatal(err)
	}
	m.Size, m.Root = uint64(len(forged.entries)), forged.root
	if err := os.Remove(filepath.Join(w.cfg.Dir, fileName(seq))); err != nil {
		w.t.Fatal(err)
	}
	if err := writeFile(w.cfg.Dir, m, forged, []byte("{}"), places); err != nil {
		w.t.Fatal(err)
	}
}

// TestLeftOut: a resident whose entry was dropped from an index can't be given a proof, nor one about whom it says too much;
// whoever checks the index finds it. After it was sealed it can't be changed any more.
func TestLeftOut(t *testing.T) {
	w := newTown(t)
	w.ask(residents[0], residents[1])
	w.ask(residents[0])
	m := w.build()
	me := keyOf(logID, 0, w.ring.Pseudonym(residents[0]))
	w.forge(0, func(list []entry) []entry { return slices.DeleteFunc(list, func(e entry) bool { return e.key == me }) })
	w.seal()
	if file, err := w.prover().Prove(t.Context(), residents[0], w.mentions(residents[0])); !errors.Is(err, ErrDiffers) || file != nil {
		t.Errorf("they were dropped, and get a proof: %s, %v", file, err)
	}
	if _, err := Verify(w.prove(residents[1]), w.keys(), w.ring.PseudonymKeys(), residents[1]); err != nil {
		t.Errorf("the others are served: %v", err)
	}
	if n, err := Check(t.Context(), w.cfg, nil); n != 0 || err == nil || !strings.Contains(err.Error(), "other events") {
		t.Errorf("the index is not what the log says, and passes: %d, %v", n, err)
	}
	// Put right afterwards, it is another than was sealed.
	right, err := m.treeOf(map[string][]broker.Hash{
		w.ring.Pseudonym(residents[0]): {w.mentions(residents[0])[0].Hash, w.mentions(residents[0])[1].Hash},
		w.ring.Pseudonym(residents[1]): {w.mentions(residents[1])[0].Hash}})
	if err != nil {
		t.Fatal(err)
	}
	w.forge(0, func([]entry) []entry { return right.entries })
	if _, err := w.prover().Prove(t.Context(), residents[0], w.mentions(residents[0])); !errors.Is(err, ErrNotSealed) {
		t.Errorf("an index that was changed after it was sealed: %v", err)
	}
	if _, err := Check(t.Context(), w.cfg, w.sealedManifests()); err == nil || !strings.Contains(err.Error(), "Merkle log") {
		t.Errorf("changed after it was sealed, and it passes: %v", err)
	}
}

// TestFewerEventsThanThereAre: an entry with fewer events than the log has is as good as none.
func TestFewerEventsThanThereAre(t *testing.T) {
	w := newTown(t)
	first := w.ask(residents[0])
	w.ask(residents[0])
	w.build()
	w.forge(0, func([]entry) []entry {
		return []entry{newEntry(logID, 0, w.ring.Pseudonym(residents[0]), []broker.Hash{first})}
	})
	w.seal()
	if _, err := w.prover().Prove(t.Context(), residents[0], w.mentions(residents[0])); !errors.Is(err, ErrDiffers) {
		t.Errorf("%v", err)
	}
}

// hide makes that these events are not named.
func (w *town) hide(hashes ...broker.Hash) {
	w.cfg.NotNamed = func(_ context.Context, m audit.Mention) (bool, error) { return slices.Contains(hashes, m.Hash), nil }
}

func hashesOf(list []audit.Mention) (out []broker.Hash) {
	for _, m := range list {
		out = append(out, m.Hash)
	}
	return sorted(out)
}

// TestNotNamed: what the law permits not to name stands in an index of its own, which only the vault opens; whether there is
// something in it shows neither in the manifest, nor in the length, nor in the resident's file, nor in how much is read for it.
func TestNotNamed(t *testing.T) {
	w := newTown(t)
	named := w.ask(residents[1])
	hidden := []broker.Hash{w.ask(residents[0], residents[1]), w.ask(residents[1]), w.ask(residents[1])}
	w.hide(hidden...)
	m := w.build()
	if got, err := NotNamed(t.Context(), w.cfg, 0); err != nil || !slices.Equal(hashesOf(got), sorted(hidden)) || len(got[0].Pseudonyms) != 2 || got[0].Time.IsZero() || m.Size != 1 {
		t.Errorf("%+v not named, %d named, %v", got, m.Size, err)
	}
	second, third := w.build(), w.build()
	if second.Withheld == third.Withheld || len(w.sealedLine(0))/1000 != len(w.sealedLine(1))/1000 {
		t.Errorf("that nothing is withheld shows: %s, %s, %d, %d bytes", second.Withheld, third.Withheld, len(w.sealedLine(0)), len(w.sealedLine(1)))
	}
	w.seal()
	var reads []int
	for of, want := range map[broker.BSN][]broker.Hash{residents[0]: nil, residents[1]: {named}, residents[2]: nil} {
		if got, err := Verify(w.prove(of), w.keys(), w.ring.PseudonymKeys(), of); err != nil || !slices.Equal(got.Events, want) {
			t.Errorf("%+v, %v; want %v", got, err, want)
		}
		source := &counted{Source: w.cfg.Store}
		c := w.cfg
		c.Store = source
		quick, err := Mentions(t.Context(), c, checkpoint.OpenLog(w.merkle, w.keys()), audit.MentionsConfig{Of: w.ring.Pseudonyms(of)})
		if err != nil || !reflect.DeepEqual(quick, w.mentions(of)) || !slices.Equal(hashesOf(quick), want) {
			t.Errorf("by the index %+v, of the whole log %+v, %v; want %v", quick, w.mentions(of), err, want)
		}
		reads = append(reads, source.entries-len(want))
	}
	if reads[0] != reads[1] || reads[1] != reads[2] {
		t.Errorf("how much is read tells: %v", reads)
	}
	if _, err := Check(t.Context(), w.cfg, w.sealedManifests()); err != nil {
		t.Error(err)
	}

	theirs, own := w.sealedLine(0), w.sealedLine(1)
	w.put(1, bytes.Replace(w.file(1), own, theirs, 1))
	if _, err := NotNamed(t.Context(), w.cfg, 1); !errors.Is(err, errNotNamed) {
		t.Errorf("the index of another day is taken for this one's: %v", err)
	}
	if n, err := Check(t.Context(), w.cfg, nil); n != 1 || !errors.Is(err, errNotNamed) {
		t.Errorf("it passes the check: %d, %v", n, err)
	}
	w.put(1, bytes.Replace(w.file(1), theirs, own, 1))
	w.hide(hidden[0])
	if n, err := Check(t.Context(), w.cfg, nil); n != 0 || err == nil {
		t.Errorf("two events are left out without a reason, and it passes the check: %d, %v", n, err)
	}
}

func (w *town) sealedLine(seq uint64) []byte {
	w.t.Helper()
	line, err := readSealed(w.cfg.Dir, seq)
	if err != nil {
		w.t.Fatal(err)
	}
	return line
}

// TestNotKnownWhatIsNotNamed: where it can't be told whether an event is named, no index is made, nothing is found and nothing
// proved of who it is about. Others are told what is theirs.
func TestNotKnownWhatIsNotNamed(t *testing.T) {
	w := newTown(t)
	lost := w.ask(residents[0])
	w.ask(residents[1])
	unknown := errors.New("unknown")
	w.cfg.NotNamed = func(_ context.Context, m audit.Mention) (bool, error) {
		if m.Hash == lost {
			return false, unknown
		}
		return false, nil
	}
	if _, err := Build(t.Context(), w.cfg); !errors.Is(err, unknown) {
		t.Errorf("built: %v", err)
	}
	if made, err := Made(w.cfg.Dir); made != 0 || err != nil {
		t.Errorf("%d made, %v", made, err)
	}
	for of, want := range map[broker.BSN]error{residents[0]: unknown, residents[1]: nil} {
		if got, err := Mentions(t.Context(), w.cfg, nil, audit.MentionsConfig{Of: w.ring.Pseudonyms(of)}); !errors.Is(err, want) || (err == nil) != (len(got) == 1) {
			t.Errorf("%+v, %v; want %v", got, err, want)
		}
	}
}

// halfRing can't read one reference.
type halfRing struct {
	Ring
	lost []byte
}

func (r halfRing) OpenRef(ref []byte) (string, error) {
	if bytes.Equal(ref, r.lost) {
		return "", errors.New("lost")
	}
	return r.Ring.OpenRef(ref)
}

// TestHalfReadNotNamed: an event of which a part can't be read counts as unreadable, to who is in the other part too: that what is
// not named is theirs does not show.
func TestHalfReadNotNamed(t *testing.T) {
	w := newTown(t)
	hidden := w.ask(residents[0], residents[1])
	page, err := w.store.Read(t.Context(), journal.Audit("gw"), journal.ID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	e, err := audit.Decode(page[len(page)-1].Bytes)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Ring = halfRing{w.cfg.Ring, e.Subjects[1].Ref}
	w.hide(hidden)
	if m := w.build(); m.Unreadable != 1 || m.Size != 0 {
		t.Errorf("%+v", m)
	}
	w.seal()
	for _, of := range residents[:3] {
		got := w.mentions(of)
		if len(got) != 1 || !got[0].Damaged || len(got[0].Pseudonyms) != 0 {
			t.Errorf("%+v", got)
		}
		if got, err := Verify(w.prove(of), w.keys(), w.ring.PseudonymKeys(), of); err != nil || len(got.Events) != 0 || got.Unreadable != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := NotNamed(t.Context(), w.cfg, 0); err != nil || !slices.Equal(hashesOf(got), []broker.Hash{hidden}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func (w *town) file(seq uint64) []byte {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.cfg.Dir, fileName(seq)))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

func (w *town) put(seq uint64, data []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.cfg.Dir, fileName(seq)), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestBuildOnce: two that build the same index at the same time: one wins. A file that was altered is found, one that is missing
// is named, and a journal that was put back makes no index.
func TestBuildOnce(t *testing.T) {
	w := newTown(t)
	w.ask(residents[0])
	var wait sync.WaitGroup
	results := make(chan error, 8)
	for range 8 {
		wait.Go(func() { _, err := Build(context.Background(), w.cfg); results <- err })
	}
	wait.Wait()
	close(results)
	for err := range results {
		if err != nil && !errors.Is(err, ErrBuilt) {
			t.Error(err)
		}
	}
	list, err := numbers(w.cfg.Dir)
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	if n, err := Check(t.Context(), w.cfg, nil); n != len(list) || err != nil {
		t.Errorf("%d of %d, %v", n, len(list), err)
	}
	w.build()
	last, err := lastManifest(w.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	empty := w.cfg
	empty.Store = none{}
	if _, err := Build(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "put back") {
		t.Errorf("built from a journal that lacks what was indexed: %v", err)
	}
	whole := w.file(0)
	for i := 0; i < bytes.Index(whole, []byte("\n{"))-1; i += 5 {
		bent := bytes.Clone(whole)
		bent[i] ^= 1
		w.put(0, bent)
		if m, _, err := readFile(w.cfg.Dir, 0); err == nil && m.Hash() == sha256.Sum256(whole[:bytes.Index(whole, []byte("\n\n"))+1]) {
			t.Fatalf("byte %d of the file does not matter", i)
		}
	}
	if err := os.Remove(filepath.Join(w.cfg.Dir, fileName(0))); err != nil {
		t.Fatal(err)
	}
	if _, err := numbers(w.cfg.Dir); err == nil || last.Seq == 0 {
		t.Errorf("a missing index is not named: %v", err)
	}
}

// TestKeep: one index a day, the first at once, and what fails is told.
func TestKeep(t *testing.T) {
	w := newTown(t)
	now := time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)
	w.cfg.Now = func() time.Time { return now }
	for day, want := range []int{1, 1, 2} { // the second time it is still the same day
		if day == 2 {
			now = now.Add(2 * time.Minute)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		Keep(ctx, w.cfg, func(err error) { t.Error(err) })
		cancel()
		if list, err := numbers(w.cfg.Dir); err != nil || len(list) != want {
			t.Errorf("%d indexes, want %d; %v", len(list), want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	now, w.cfg.Store = now.AddDate(0, 0, 1), away{}
	var told error
	Keep(ctx, w.cfg, func(err error) { told = err; cancel() })
	if !errors.Is(told, errAway) {
		t.Errorf("told %v", told)
	}
}

// away is a journal that can't be reached.
type away struct{ none }

var errAway = errors.New("the store is away")

func (away) Writers(context.Context) ([]string, error) { return nil, errAway }

// none is a journal without a writer.
type none struct{}

func (none) Writers(context.Context) ([]string, error) { return nil, nil }
func (none) Head(context.Context, journal.Stream) (journal.Head, error) {
	return journal.Head{}, nil
}
func (none) Read(context.Context, journal.Stream, journal.ID, int) ([]journal.Entry, error) {
	return nil, nil
}

// TestForgottenKey: what stands under a key that was forgotten can't be shown, and a file does not do as if.
func TestForgottenKey(t *testing.T) {
	w := newTown(t)
	w.days()
	if err := w.ring.ForgetPseudonyms("1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.prover().Prove(t.Context(), residents[0], w.mentions(residents[0])); err == nil || !strings.Contains(err.Error(), "forgotten") {
		t.Errorf("%v", err)
	}
	older, err := keys.Create(keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Ring = older // whose references it can't read, so it knows not whom events are about
	w.ask(residents[0])
	if m := w.build(); m.Unreadable != 1 {
		t.Errorf("%d events can't be read, want 1", m.Unreadable)
	}
}

// TestAnyIndex: in any index, what it has of a key is proved and nothing else, by the code of others too.
func TestAnyIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		who := rapid.SliceOfNDistinct(rapid.StringMatching(`1\.[a-z]{3}`), 0, 20, rapid.ID[string]).Draw(t, "pseudonyms")
		m := Manifest{Log: "l", Seq: rapid.Uint64Range(0, 3).Draw(t, "seq")}
		about := map[string][]broker.Hash{}
		for i, p := range who {
			about[p] = []broker.Hash{{1}, {byte(i)}}
		}
		tr, err := m.treeOf(about)
		if err != nil {
			t.Fatal(err)
		}
		m.Size, m.Root = uint64(len(who)), tr.root
		for _, p := range append(who, "1.nobody", "1.stranger", "2.x") {
			s, err := show(tr, keyOf(m.Log, m.Seq, p))
			if err != nil {
				t.Fatal(err)
			}
			s.Events = about[p]
			if err := s.verify(m, p); err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			if s.verify(m, p+"x") == nil && s.Here != nil {
				t.Fatalf("%s: the place serves another", p)
			}
			wrong := s
			wrong.Events = append(slices.Clone(s.Events), broker.Hash{9, 9})
			if wrong.verify(m, p) == nil {
				t.Fatalf("%s: an event more passes", p)
			}
			for _, place := range []*Place{s.Here, s.Before, s.After} {
				if place == nil {
					continue
				}
				hashes := make([][]byte, len(place.Proof))
				for i, h := range place.Proof {
					hashes[i] = h[:]
				}
				leaf := rfc6962.DefaultHasher.HashLeaf(entry{place.Key, place.Digest}.text())
				if err := proof.VerifyInclusion(rfc6962.DefaultHasher, place.Index, m.Size, leaf, hashes, m.Root[:]); err != nil {
					t.Fatalf("another program does not find the place: %v", err)
				}
			}
			// Neighbours of somebody else prove nothing here, unless nothing stands between them.
			for _, q := range who {
				other, err := show(tr, keyOf(m.Log, m.Seq, q))
				if err != nil {
					t.Fatal(err)
				}
				if other.Events = nil; q != p && other.verify(m, p) == nil {
					t.Fatal("a place of another proves absence")
				}
			}
			if _, in := about[p]; in {
				for _, q := range []string{"1.nobody", "1.stranger", "2.x"} {
					absent, err := show(tr, keyOf(m.Log, m.Seq, q))
					if err != nil {
						t.Fatal(err)
					}
					if absent.verify(m, p) == nil {
						t.Fatalf("%s is in the index, and the absence of %s proves that it is not", p, q)
					}
				}
			}
		}
	})
}

// TestNoAbsenceOfWhoIsThere: whoever is in an index can't be shown to be absent by entries around theirs that leave it out.
func TestNoAbsenceOfWhoIsThere(t *testing.T) {
	m := Manifest{Log: "l"}
	about := map[string][]broker.Hash{}
	for i := range 9 {
		about[fmt.Sprintf("1.%d", i)] = []broker.Hash{{1}}
	}
	tr, err := m.treeOf(about)
	if err != nil {
		t.Fatal(err)
	}
	m.Size, m.Root = uint64(len(tr.entries)), tr.root
	at := func(i int) *Place {
		if i < 0 || i >= len(tr.entries) {
			return nil
		}
		p, err := placeOf(tr, i)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for p := range about {
		i := slices.IndexFunc(tr.entries, func(e entry) bool { return e.key == keyOf("l", 0, p) })
		for _, s := range []Shown{{Before: at(i - 1), After: at(i + 1)}, {Before: at(i - 1)}, {After: at(i + 1)}, {Before: at(i), After: at(i + 1)}, {Before: at(i - 1), After: at(i)}, {}} {
			if err := s.verify(m, p); err == nil {
				t.Errorf("entry %d of %d is not there, says %+v", i, m.Size, s)
			}
		}
	}
}

// TestManifestsAreAChain: the last manifest is sealed, and binds all before it: none can be put in the place of another.
func TestManifestsAreAChain(t *testing.T) {
	w := newTown(t)
	w.days()
	var f File
	if err := json.Unmarshal(w.prove(residents[0]), &f); err != nil {
		t.Fatal(err)
	}
	first, err := parseManifest([]byte(f.Indexes[0].Manifest))
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := newTree(nil)
	if err != nil {
		t.Fatal(err)
	}
	empty := first
	empty.Size, empty.Root = 0, nobody.root
	f.Indexes[0] = Indexed{Manifest: string(empty.Text()), Shown: map[string]Shown{"1": {}}}
	bent, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(bent, w.keys(), w.ring.PseudonymKeys(), residents[0]); err == nil {
		t.Errorf("an empty index in the place of the first: %v", got.Events)
	}
	// A version that the reader was not given the key of can't be passed over.
	if err := json.Unmarshal(w.prove(residents[0]), &f); err != nil {
		t.Fatal(err)
	}
	m, tr, err := readFile(w.cfg.Dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if f.Indexes[2].Shown["2"], err = show(tr, keyOf(m.Log, m.Seq, "")); err != nil {
		t.Fatal(err)
	}
	if bent, err = json.Marshal(f); err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(bent, w.keys(), w.ring.PseudonymKeys()[:1], residents[0]); err == nil {
		t.Errorf("nothing stands under no pseudonym, and that passes: %v", got.Events)
	}
	second := first
	second.Seq, second.Prev = 1, first.Hash()
	if err := second.follows(&first, 1); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Manifest){
		"another before it":  func(m *Manifest) { m.Prev = broker.Hash{1} },
		"another log":        func(m *Manifest) { m.Log = "other" },
		"another number":     func(m *Manifest) { m.Seq = 2 },
		"less of the stream": func(m *Manifest) { m.UpTo = nil },
	} {
		m := second
		change(&m)
		if m.follows(&first, 1) == nil {
			t.Errorf("%s: it follows", what)
		}
	}
	if first.Prev = (broker.Hash{1}); first.follows(nil, 0) == nil {
		t.Error("a first that says that there was one before")
	}
}

// TestNeighboursShowNothing: who sees an entry of somebody else can't find its events by trying those of the log, nor tell
// that two entries of two days are of one person.
func TestNeighboursShowNothing(t *testing.T) {
	events := []broker.Hash{{1}, {2}}
	mine, theirs, tomorrow := newEntry("l", 1, "1.me", events), newEntry("l", 1, "1.them", events), newEntry("l", 2, "1.me", events)
	if mine.digest == theirs.digest || mine.digest == tomorrow.digest || mine.key == tomorrow.key || mine.key == mine.digest {
		t.Errorf("%s\n%s\n%s", mine.text(), theirs.text(), tomorrow.text())
	}
	if again := newEntry("l", 1, "1.me", []broker.Hash{{2}, {1}, {2}}); again != mine {
		t.Error("the order of events matters")
	}
}

func BenchmarkFile(b *testing.B) {
	w := newTown(b)
	const days, people = 30, 2000
	for day := range uint64(days) {
		if day%3 == 0 {
			w.ask(residents[0])
		}
		w.build()
		w.forge(day, func(list []entry) []entry {
			for i := range people {
				list = append(list, newEntry(logID, day, fmt.Sprintf("1.%d", i), []broker.Hash{{byte(i)}}))
			}
			slices.SortFunc(list, func(a, b entry) int { return compare(a.key, b.key) })
			return list
		})
	}
	w.seal()
	mine := w.mentions(residents[0])
	file := w.prove(residents[0])
	b.Run("prove", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.prover().Prove(b.Context(), residents[0], mine); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(file))/days, "B/day")
	})
	b.Run("find", func(b *testing.B) {
		log := checkpoint.OpenLog(w.merkle, w.keys())
		for b.Loop() {
			got, err := Mentions(b.Context(), w.cfg, log, audit.MentionsConfig{Of: w.ring.Pseudonyms(residents[0])})
			if err != nil || len(got) != len(mine) {
				b.Fatal(len(got), err)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N)/days, "ms/day")
	})
	b.Run("verify", func(b *testing.B) {
		k, public := w.keys(), w.ring.PseudonymKeys()
		for b.Loop() {
			if _, err := Verify(file, k, public, residents[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
