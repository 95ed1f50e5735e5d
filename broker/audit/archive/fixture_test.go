package archive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
)

const (
	testLog = "0123456789abcdef0123456789abcdef"
	origin  = "schakel.example/log"
)

// deployment is a journal in a file, its archive, and who seals both.
type deployment struct {
	t       *testing.T
	dir     string
	journal *bolt.Store
	store   *Store
	key     checkpoint.Key
	witness []string // whose cosignatures are demanded
	sealed  checkpoint.Seal
	mu      sync.Mutex
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{t: t, dir: t.TempDir()}
	d.key = checkpoint.Key{Public: public, Sign: func(text []byte) []byte { return ed25519.Sign(private, text) }}
	d.open()
	genesis := entryOf(journal.ID{Epoch: 1}, fmt.Sprintf(`{"v":1,"seq":0,"prev":"%s","kind":"genesis","body":{"log":%q}}`, broker.Hash{}, testLog))
	if err := d.journal.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *deployment) at(name string) string { return filepath.Join(d.dir, name) }

// open opens the journal anew, as a process does that starts.
func (d *deployment) open() {
	d.t.Helper()
	if d.journal != nil {
		if err := d.journal.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	var err error
	if d.journal, err = bolt.Open(bolt.Config{Path: d.at("journal.db")}); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = d.journal.Close() })
	d.store = NewStore(d.journal, OpenFolder(d.at("archive")))
}

func entryOf(id journal.ID, text string) journal.Entry {
	return journal.Entry{ID: id, Hash: sha256.Sum256([]byte(text)), Bytes: []byte(text)}
}

// add appends n events to a writer's stream, in its last epoch or the next.
func (d *deployment) add(writer string, n int, nextEpoch bool) {
	d.t.Helper()
	for n > 0 {
		head, err := d.journal.Head(d.t.Context(), journal.Audit(writer))
		if err != nil {
			d.t.Fatal(err)
		}
		b := journal.Batch{Writer: writer, After: head, Position: 1}
		id := journal.ID{Epoch: head.ID.Epoch, Seq: head.ID.Seq + 1}
		if nextEpoch || head == (journal.Head{}) {
			id, nextEpoch = journal.ID{Epoch: head.ID.Epoch + 1}, false
		}
		for range min(n, 200) {
			b.Events = append(b.Events, entryOf(id, fmt.Sprintf(`{"writer":%q,"id":"%s","prev":"%s"}`, writer, id, head.Hash)))
			head, id.Seq, n = journal.Head{ID: id, Hash: b.Events[len(b.Events)-1].Hash}, id.Seq+1, n-1
		}
		if o, err := d.journal.Append(d.t.Context(), b); err != nil || o != journal.Appended {
			d.t.Fatal(o, err)
		}
	}
}

// seal runs a checkpointer until everything is sealed that is there now.
func (d *deployment) seal() {
	d.t.Helper()
	defer d.sealing()()
	want := map[journal.Stream]journal.Head{}
	writers, err := d.journal.Writers(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	streams := Streams{d.journal, d.store.folder}
	for _, s := range append([]string{checkpoint.ArchiveWriter}, writers...) {
		stream := journal.Audit(s)
		if s == checkpoint.ArchiveWriter {
			stream = checkpoint.Archive
		}
		head, err := streams.Head(d.t.Context(), stream)
		if err != nil {
			d.t.Fatal(err)
		}
		if head != (journal.Head{}) {
			want[stream] = head
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		d.mu.Lock()
		done := true
		for stream, head := range want {
			done = done && d.sealed.Streams[stream] == head
		}
		d.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("not sealed: %+v, want %+v", d.sealed.Streams, want)
		}
	}
}

// sealing runs a checkpointer until stop is called.
func (d *deployment) sealing() (stop func()) {
	d.t.Helper()
	var fence uint64
	c, err := checkpoint.New(checkpoint.Config{
		Dir: d.at("checkpoints"), Origin: origin, Streams: Streams{d.store, d.store.folder}, Every: 100 * time.Millisecond, Grace: 5 * time.Second,
		Key:  func() (checkpoint.Key, error) { return d.key, nil },
		Keys: func() (checkpoint.Keys, error) { return checkpoint.NewKeys(origin, d.own(), nil, 0) },
		Lease: func(context.Context) (uint64, time.Time, error) {
			fence = 1
			return fence, time.Now().Add(time.Hour), nil
		},
		Remembered: func(context.Context) ([]byte, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.sealed.Checkpoint.Signed, nil
		},
		Sealed: func(_ context.Context, s checkpoint.Seal) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.sealed = s
			return nil
		},
		Alarm: func(a checkpoint.Alarm) { d.t.Errorf("alarm: %s", a) },
		Failed: func(err error) {
			if !errors.Is(err, context.Canceled) { // it may be stopped in the middle of a look
				d.t.Errorf("sealing failed: %v", err)
			}
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	d.t.Cleanup(stop)
	return stop
}

func (d *deployment) own() []ed25519.PublicKey { return []ed25519.PublicKey{d.key.Public} }

// config moves everything, in segments of some 40 events.
func (d *deployment) config() Config {
	return Config{
		Log: testLog, Store: d.store, Old: func(journal.Entry) bool { return true }, full: 10_000,
		Merkle: func() (*checkpoint.Log, error) {
			k, err := checkpoint.NewKeys(origin, d.own(), d.witness, len(d.witness))
			return checkpoint.OpenLog(d.at("checkpoints"), k), err
		},
	}
}

// move moves, seals what was moved, and drops it.
func (d *deployment) move() Moved {
	d.t.Helper()
	m, err := Move(d.t.Context(), d.config())
	if err != nil {
		d.t.Fatal(err)
	}
	d.seal()
	again, err := Move(d.t.Context(), d.config())
	if err != nil || again.Events != 0 || again.Waiting != 0 {
		d.t.Fatalf("%+v, %v", again, err)
	}
	m.Trimmed, m.Waiting = m.Trimmed+again.Trimmed, 0
	return m
}

// all reads a stream to its end.
func all(t *testing.T, s interface {
	Read(ctx context.Context, stream journal.Stream, after journal.ID, limit int) ([]journal.Entry, error)
}, stream journal.Stream) []journal.Entry {
	t.Helper()
	var out []journal.Entry
	for after := (journal.ID{}); ; after = out[len(out)-1].ID {
		page, err := s.Read(t.Context(), stream, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		out = append(out, page...)
	}
}

func equal(a, b journal.Entry) bool {
	return a.ID == b.ID && a.Hash == b.Hash && bytes.Equal(a.Bytes, b.Bytes) && len(a.Touches) == len(b.Touches)
}

// same demands that a stream reads as it did.
func (d *deployment) same(writer string, want []journal.Entry) {
	d.t.Helper()
	if got := all(d.t, d.store, journal.Audit(writer)); !slices.EqualFunc(got, want, equal) {
		d.t.Fatalf("%s reads as %d events, and was %d", writer, len(got), len(want))
	}
}

// once demands that the segments hold each of these events once, in order, and nothing else of the stream.
func (d *deployment) once(writer string, want []journal.Entry) {
	d.t.Helper()
	places, err := OpenFolder(d.at("archive")).list()
	if err != nil {
		d.t.Fatal(err)
	}
	var got []journal.Entry
	for _, p := range places {
		if p.writer == writer {
			_, entries, err := load(d.at("archive"), p)
			if err != nil {
				d.t.Fatal(err)
			}
			got = append(got, entries...)
		}
	}
	if !slices.EqualFunc(got, want, equal) {
		d.t.Fatalf("the segments of %s hold %d events; want %d", writer, len(got), len(want))
	}
}

// dropped is how far the streams were dropped now.
func (d *deployment) dropped() Dropped {
	d.t.Helper()
	dropped, err := DroppedFrom(d.t.Context(), d.store)
	if err != nil {
		d.t.Fatal(err)
	}
	return dropped
}

// checked holds the archive of a folder against the Merkle log.
func (d *deployment) checked(dir string) Checked {
	d.t.Helper()
	return d.checkedTo(dir, d.dropped(), d.manifests())
}

// manifests gives the segments that the Merkle log has.
func (d *deployment) manifests() map[uint64]broker.Hash {
	d.t.Helper()
	log, err := d.config().Merkle()
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := log.Latest(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	sealed := map[uint64]broker.Hash{}
	for leaf, err := range log.Leaves(d.t.Context(), c) {
		if err != nil {
			d.t.Fatal(err)
		}
		if leaf.Stream == checkpoint.Archive {
			sealed[leaf.ID.Seq] = leaf.Hash
		}
	}
	return sealed
}

func (d *deployment) checkedTo(dir string, dropped Dropped, sealed map[uint64]broker.Hash) Checked {
	d.t.Helper()
	found, err := Check(d.t.Context(), NewStore(d.journal, OpenFolder(dir)).Loose(), testLog, dropped, sealed)
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

// copied copies the archive.
func (d *deployment) copied() string {
	d.t.Helper()
	dir := filepath.Join(d.t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(d.at("archive"))); err != nil {
		d.t.Fatal(err)
	}
	return dir
}
