package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// house is a journal with a register that changes, and gateways that write.
type house struct {
	t        testing.TB
	store    journal.Store
	ring     *keys.Ring
	log      string
	register *register.Register
	changes  int
}

func open(t testing.TB) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, store: open(t)}
	genesis, log, err := register.Genesis("x", time.Now())
	if err == nil {
		err = h.store.Init(t.Context(), genesis)
	}
	if err == nil {
		h.ring, err = keys.Create(keys.Config{})
	}
	if err == nil {
		h.log = log
		h.register, err = register.Open(t.Context(), register.Config{Store: h.store, Vault: keys.NewVault(h.store, h.ring), Touch: h.ring.Touch,
			VerifyAgreement: func(broker.Agency, register.Agreement) error { return nil }, MaxBehind: time.Hour})
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) writer(name string) *audit.Writer {
	h.t.Helper()
	w, err := audit.Open(h.t.Context(), audit.Config{Store: h.store, Writer: name, Log: h.log, Vault: keys.NewVault(h.store, h.ring),
		Pseudonym: h.ring.Pseudonym, View: h.register, Limit: 10 * time.Second})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// change makes changes of the register, all in one append.
func (h *house) change(w *audit.Writer, n int) {
	h.t.Helper()
	var commands []register.Command
	for range n {
		if h.changes++; h.changes%2 == 1 {
			commands = append(commands, register.BeginErasure{Erasure: h.changes/2 + 1, Of: register.ErasureExpired, Until: time.Now(), Selection: "x", Generations: []string{"2021Q1"}})
		} else {
			commands = append(commands, register.EndErasure{Erasure: h.changes / 2})
		}
	}
	err := h.register.DoAll(h.t.Context(), func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
		return w.Change(ctx, audit.Change{After: after, Entries: entries, Kind: kind, Staff: staff})
	}, register.Operator{Name: "test"}, commands)
	if err != nil {
		h.t.Error(err)
	}
}

func (h *house) ask(w *audit.Writer, n int) {
	for i := range n {
		e := broker.Event{Position: h.register.Position(), Staff: broker.Staff{Agency: "00000001234567890000", Worker: "w", Role: "r", Purpose: "p", Request: "r"}}
		e.Subjects = []broker.SubjectPart{{BSN: []broker.BSN{"999990019", "999990020"}[i%2], Subject: "p1", Agency: e.Staff.Agency, Purpose: "p"}}
		if _, err := w.Append(h.t.Context(), e); err != nil {
			h.t.Error(err)
			return
		}
	}
}

func filled(t testing.TB, asked int) (*house, *audit.Writer, *audit.Writer) {
	h := newHouse(t)
	admin, gw := h.writer("admin"), h.writer("gw-1")
	h.change(admin, 3)
	h.ask(gw, 5)
	h.change(admin, 1)
	h.change(gw, 2) // the demo's own stream records changes too
	h.ask(gw, asked)
	for name, data := range map[string]string{"policy/1": "one", "é \xff": "\x00\xff"} {
		if err := h.store.PutBlob(t.Context(), name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	return h, admin, gw
}

func (h *house) take(dir string) Manifest {
	h.t.Helper()
	m, digest, err := Take(h.t.Context(), Config{Store: h.store, Dir: dir, Log: h.log, Shard: "x", Now: time.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	read, again, err := Read(dir)
	if err == nil {
		err = Verify(dir, read)
	}
	if err != nil || again != digest || read.Log != h.log {
		h.t.Fatal(err, again, digest)
	}
	return m
}

func whole(t testing.TB, s journal.Store) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), audit.VerifyConfig{Store: s})
	if err != nil || !r.OK {
		t.Fatalf("not whole: %v, %v", err, r.Faults)
	}
	return r
}

// dump is all that a store has, but for notes.
func dump(t testing.TB, s journal.Store) string {
	t.Helper()
	var b bytes.Buffer
	writers, err := s.Writers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range append([]journal.Stream{journal.Register}, streamsOf(writers)...) {
		for after := (journal.ID{}); ; {
			page, err := s.Read(t.Context(), stream, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				fmt.Fprintf(&b, "%s %s %s %q %s\n", stream, e.ID, e.Hash, e.Touches, e.Bytes)
			}
			after = page[len(page)-1].ID
		}
	}
	var lines []string
	err = errors.Join(err, func() error {
		for from := ""; ; {
			page, next, err := s.ScanKeys(t.Context(), from, 7)
			for _, k := range page {
				lines = append(lines, fmt.Sprintf("key %s %x\n", k.ID, k.Wrapped))
			}
			if from = next; err != nil || from == "" {
				return err
			}
		}
	}())
	names, err2 := s.BlobNames(t.Context())
	for _, name := range names {
		data, err := s.Blob(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, restoredBlobs) {
			lines = append(lines, fmt.Sprintf("blob %q %x\n", name, data))
		}
	}
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return b.String() + strings.Join(slices.Compact(lines), "")
}

func streamsOf(writers []string) (out []journal.Stream) {
	for _, w := range writers {
		out = append(out, journal.Audit(w))
	}
	return out
}

// TestBackupAndRestore: what was copied comes back as it was, into a file and into a Redis.
func TestBackupAndRestore(t *testing.T) {
	h, admin, gw := filled(t, 270)
	dir := filepath.Join(t.TempDir(), "backup")
	m := h.take(dir)
	want := dump(t, h.store)
	folder := OpenFolder(dir, m)
	defer func() { _ = folder.Close() }()
	if r := whole(t, folder); r.Register.Entries != 7 || len(r.Writers) != 2 {
		t.Errorf("%+v", r)
	}
	h.ask(gw, 3) // what comes after is not in it
	h.change(admin, 1)
	server := redistest.Start(t)
	redis, err := redisstream.Open(t.Context(), redisstream.Config{Addrs: []string{server.Addr}, Shard: "x", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Close() }()
	for name, to := range map[string]journal.Store{"bolt": open(t), "redis": redis} {
		done, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: to})
		if err != nil || done.Number != 1 || done.Keys != m.Keys.Lines || done.Blobs != 2 || done.Entries != 7+m.Streams[1].Lines+m.Streams[2].Lines {
			t.Fatalf("%s: %+v, %v", name, done, err)
		}
		if got := dump(t, to); got != want {
			t.Errorf("%s: what came back is not what was copied: %d bytes, want %d", name, len(got), len(want))
		}
		whole(t, to)
		if unfinished, err := Unfinished(t.Context(), to); err != nil || !unfinished {
			t.Errorf("%s: finished before it is: %v", name, err)
		}
		if err := Finish(t.Context(), to, broker.Hash{}); err != nil {
			t.Fatal(err)
		}
		if unfinished, err := Unfinished(t.Context(), to); err != nil || unfinished {
			t.Errorf("%s: not finished: %v", name, err)
		}
		if called, err := Name(t.Context(), to); err != nil || called != done.Name || !IsName(called) {
			t.Errorf("%s: it goes by %q, %v; want %q", name, called, err, done.Name)
		}
		if _, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: to}); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("%s: into a journal that is not empty: %v", name, err)
		}
	}
}

// TestBackupBesideWriters: a backup that is made while gateways write and the register changes is whole, of some moment.
func TestBackupBesideWriters(t *testing.T) {
	h, admin, gw := filled(t, 20)
	other := h.writer("gw-2")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, work := range []func(){func() { h.ask(gw, 20) }, func() { h.ask(other, 20) }, func() { h.change(admin, 2) }} {
		running.Go(func() {
			for ctx.Err() == nil {
				work()
			}
		})
	}
	root := t.TempDir()
	var taken []string
	for i := range 5 {
		dir := filepath.Join(root, fmt.Sprint(i))
		h.take(dir)
		taken = append(taken, dir)
	}
	stop()
	running.Wait()
	for _, dir := range taken {
		to := open(t)
		if _, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: to}); err != nil {
			t.Fatal(err)
		}
		whole(t, to)
	}
}

// failing is a store of which the n-th write fails, after it was done or before.
type failing struct {
	journal.Store
	left int
	done bool
}

var errFailed = errors.New("the power went")

func (f *failing) step(do func() error) error {
	f.left--
	if f.left != 0 {
		return do()
	}
	if f.done {
		_ = do()
	}
	return fmt.Errorf("%w: %w", errFailed, errors.ErrUnsupported) // as if the process had ended: it does not try again
}

func (f *failing) Append(ctx context.Context, b journal.Batch) (o journal.Outcome, err error) {
	err = f.step(func() error { o, err = f.Store.Append(ctx, b); return err })
	return o, err
}

func (f *failing) PutKeys(ctx context.Context, k []journal.WrappedKey) (out [][]byte, err error) {
	err = f.step(func() error { out, err = f.Store.PutKeys(ctx, k); return err })
	return out, err
}

func (f *failing) PutBlob(ctx context.Context, name string, data []byte) error {
	return f.step(func() error { return f.Store.PutBlob(ctx, name, data) })
}

func (f *failing) PutNote(ctx context.Context, name string, note []byte) error {
	return f.step(func() error { return f.Store.PutNote(ctx, name, note) })
}

func (f *failing) Init(ctx context.Context, e journal.Entry) error {
	return f.step(func() error { return f.Store.Init(ctx, e) })
}

// TestInterruptedRestore stops a restore at each of its writes; the next one goes on, and brings back the same.
func TestInterruptedRestore(t *testing.T) {
	h, _, _ := filled(t, 20)
	dir := filepath.Join(t.TempDir(), "backup")
	h.take(dir)
	want := dump(t, h.store)
	for n, stopped := 1, true; stopped; n++ {
		for _, after := range []bool{false, true} {
			to := open(t)
			began := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
			_, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: &failing{Store: to, left: n, done: after}, Now: func() time.Time { return began }})
			if stopped = err != nil; stopped && !errors.Is(err, errFailed) {
				t.Fatalf("write %d: %v", n, err)
			}
			if stopped {
				got, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: to, Now: func() time.Time { return began.Add(time.Hour) }})
				if err != nil || (got.Name != "restored-20270102T030405Z") != (n == 1 && !after) { // which is when it began
					t.Fatalf("going on after write %d: %q, %v", n, got.Name, err)
				}
			}
			if dump(t, to) != want {
				t.Fatalf("after write %d: what came back is not what was copied", n)
			}
		}
		if n > 100 {
			t.Fatal("it never ends")
		}
	}
}

// TestRefused: what is not a whole backup is not put back, and what is not whole is not backed up.
func TestRefused(t *testing.T) {
	h, admin, _ := filled(t, 20)
	dir := filepath.Join(t.TempDir(), "backup")
	m := h.take(dir)
	for _, f := range m.files() {
		path := filepath.Join(dir, f.Name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string][]byte{"cut": data[:len(data)-1], "bent": append(append(bytes.Clone(data[:len(data)/2]), data[len(data)/2]^1), data[len(data)/2+1:]...)} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			to := open(t)
			_, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: to})
			if err == nil || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s %s: %v", name, f.Name, err)
			}
			if head, _ := to.Head(t.Context(), journal.Register); head != (journal.Head{}) {
				t.Errorf("%s %s: something was put back", name, f.Name)
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Take(t.Context(), Config{Store: h.store, Dir: dir, Now: time.Now}); err == nil || !strings.Contains(err.Error(), "new folder") {
		t.Errorf("into a folder with a backup: %v", err)
	}
	// Another backup may not go on where one was interrupted.
	to := open(t)
	if _, err := Restore(t.Context(), RestoreConfig{Dir: dir, Store: &failing{Store: to, left: 5}}); err == nil {
		t.Fatal("not interrupted")
	}
	h.change(admin, 1)
	later := filepath.Join(t.TempDir(), "later")
	h.take(later)
	if _, err := Restore(t.Context(), RestoreConfig{Dir: later, Store: to}); err == nil || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("another backup: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, manifestFile)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("without a manifest: %v", err)
	}
	// A key that nothing unwraps is left out, and counted.
	done, err := Restore(t.Context(), RestoreConfig{Dir: later, Store: open(t), Dead: func([]byte) bool { return true }})
	if err != nil || done.Keys != 0 || done.Dead == 0 {
		t.Errorf("%+v, %v", done, err)
	}
}
