package index

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// counted tells how many entries were read, and may alter one.
type counted struct {
	Source
	entries int
	alter   broker.Hash
}

func (c *counted) Read(ctx context.Context, s journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	page, err := c.Source.Read(ctx, s, after, limit)
	c.entries += len(page)
	for i, e := range page {
		if e.Hash == c.alter {
			page[i].Bytes = append(bytes.Clone(e.Bytes), ' ')
		}
	}
	return page, err
}

// again starts a writer of that name: a new epoch.
func (w *town) again(writer string) {
	w.t.Helper()
	if err := w.writer.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.name = writer
	w.open()
}

// archived moves what there is into segments.
func (w *town) archived() {
	w.t.Helper()
	dir := filepath.Join(filepath.Dir(w.merkle), "archive")
	w.folder = archive.OpenFolder(dir)
	both := archive.NewStore(w.store, w.folder)
	for n := range 2 { // a checkpoint must cover the segments before anything is dropped
		if _, err := archive.Move(w.t.Context(), archive.Config{Log: logID, Store: both, Old: func(journal.Entry) bool { return true },
			Merkle: func() (*checkpoint.Log, error) { return checkpoint.OpenLog(w.merkle, w.keys()), nil }}); err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			w.seal()
		}
	}
	if done, err := w.store.Trimmed(w.t.Context(), journal.Audit("gw")); err != nil || done == (journal.Head{}) {
		w.t.Fatal(done, err)
	}
	w.cfg.Store = both
}

// years makes a log of two writers and four epochs: two days of one writer in the archive, others in the journal, one without any
// event, and a tail that is in no index. Others are asked about all the time; residents 0 and 1 now and then, resident 5 never.
func (w *town) years() (about0 []broker.Hash) {
	w.t.Helper()
	crowd := func(n int) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() { w.ask(residents[2], residents[3]) })
		}
		all.Wait()
	}
	crowd(30)
	about0 = append(about0, w.ask(residents[0], residents[1]))
	w.build()
	w.again("gw2")
	crowd(10)
	about0 = append(about0, w.ask(residents[4], residents[0]), w.ask(residents[0]))
	w.again("gw")
	if _, err := w.ring.RotatePseudonyms(); err != nil {
		w.t.Fatal(err)
	}
	crowd(10)
	about0 = append(about0, w.ask(residents[0]))
	crowd(2 * journal.MaxEvents) // the last of a writer stay in the journal
	w.build()
	w.build()
	w.seal()
	w.archived()
	crowd(30)
	about0 = append(about0, w.ask(residents[0]))
	w.again("gw2")
	w.ask(residents[1])
	w.build()
	w.seal()
	crowd(3)
	return append(about0, w.ask(residents[0]))
}

// find gives what is found by the indexes and what the whole log has, and how many entries the first read.
func (w *town) find(of broker.BSN, source *counted, since, until time.Time) (quick, whole []audit.Mention, read int) {
	w.t.Helper()
	want := audit.MentionsConfig{Of: w.ring.Pseudonyms(of), Since: since, Until: until}
	source.Source, source.entries = w.cfg.Store, 0
	c := w.cfg
	c.Store = source
	quick, err := Mentions(w.t.Context(), c, checkpoint.OpenLog(w.merkle, w.keys()), want)
	if err != nil {
		w.t.Fatal(err)
	}
	read = source.entries
	want.Store, want.KeyOf = source, w.ring.OpenRef
	for m, err := range audit.Mentions(w.t.Context(), want) {
		if err != nil {
			w.t.Fatal(err)
		}
		whole = append(whole, m)
	}
	return quick, whole, read
}

// TestMentionsByTheIndex: of everybody and in any window, by the indexes the same is found as in the whole log, from journal and
// archive, over epochs and versions of pseudonyms, with what is in no index yet; and little else is read. An index that was
// altered, or one of another journal, hides nothing.
func TestMentionsByTheIndex(t *testing.T) {
	w := newTown(t)
	mine := w.years()
	same := func(what string, of broker.BSN, source *counted, since, until time.Time) (found []audit.Mention, read int) {
		t.Helper()
		quick, whole, read := w.find(of, source, since, until)
		if !reflect.DeepEqual(quick, whole) {
			t.Errorf("%s: found %d, the log has %d:\n%+v\n%+v", what, len(quick), len(whole), quick, whole)
		}
		return quick, read
	}
	var times []time.Time
	for _, r := range residents {
		found, read := same("everybody", r, &counted{}, time.Time{}, time.Time{})
		if read > 40+2*len(found) && len(found) < 10 {
			t.Errorf("%d entries were read to find %d", read, len(found))
		}
		for _, m := range found {
			times = append(times, m.Time)
		}
	}
	found, _ := same("one", residents[0], &counted{}, time.Time{}, time.Time{})
	var hashes []broker.Hash
	for _, m := range found {
		hashes = append(hashes, m.Hash)
	}
	if !slices.Equal(sorted(hashes), sorted(mine)) {
		t.Errorf("found %d of %d", len(hashes), len(mine))
	}
	for i := 0; i < len(times); i += 1 + len(times)/5 {
		same("a window", residents[0], &counted{}, times[i], time.Time{})
		same("a window", residents[1], &counted{}, time.Time{}, times[i])
		same("a window", residents[4], &counted{}, times[i], times[min(i+20, len(times)-1)].Add(time.Nanosecond))
	}
	if got, err := Verify(w.prove(residents[0]), w.keys(), w.ring.PseudonymKeys(), residents[0]); err != nil || len(got.Events) != len(mine)-1 {
		t.Errorf("the proof: %+v, %v", got, err)
	}

	same("one of their events was altered since", residents[0], &counted{alter: mine[1]}, time.Time{}, time.Time{})
	first := w.file(0)
	notNamedAt := bytes.IndexByte(first, '{')
	for i := 5; i < len(first); i += 131 {
		if i > notNamedAt && i < len(first)-700 {
			continue
		}
		bent := bytes.Clone(first)
		bent[i] ^= 1
		w.put(0, bent)
		same("an index was altered", residents[0], &counted{}, time.Time{}, time.Time{})
	}
	for _, end := range []int{10, len(first) / 2, len(first) - 1, bytes.LastIndex(first, []byte("{"))} {
		w.put(0, first[:end])
		same("an index ends early", residents[1], &counted{}, time.Time{}, time.Time{})
	}
	blob := func(seq uint64) []byte {
		d, err := openDay(w.cfg.Dir, seq)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.close() }()
		data, err := d.readPlaces()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	w.put(0, first)
	w.put(0, append(bytes.TrimSuffix(bytes.Clone(first), blob(0)), blob(3)...))
	same("the places of another day", residents[0], &counted{}, time.Time{}, time.Time{})
	_, tr, err := readFile(w.cfg.Dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	notNamed := w.sealedLine(1)
	m, err := readManifest(w.cfg.Dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	old := []byte(string(m.Text()) + "\n")
	for _, e := range tr.entries {
		old = append(append(old, e.text()...), '\n')
	}
	w.put(0, first)
	w.put(1, append(append(append(old, '\n'), notNamed...), '\n'))
	same("a file of before", residents[0], &counted{}, time.Time{}, time.Time{})
	if _, err := Verify(w.prove(residents[0]), w.keys(), w.ring.PseudonymKeys(), residents[0]); err != nil {
		t.Errorf("a file of before proves nothing: %v", err)
	}
	if err := os.Remove(filepath.Join(w.cfg.Dir, fileName(1))); err != nil {
		t.Fatal(err)
	}
	same("an index is gone", residents[0], &counted{}, time.Time{}, time.Time{})
}

// TestUnreadableDayIsRead: what nobody can read may be about anybody, so its day is read whole.
func TestUnreadableDayIsRead(t *testing.T) {
	w := newTown(t)
	bad := w.ask(residents[0])
	w.ask(residents[1])
	source := &counted{Source: w.cfg.Store, alter: bad}
	plain := w.cfg
	w.cfg.Store = source
	if m := w.build(); m.Unreadable != 1 {
		t.Fatalf("%+v", m)
	}
	w.cfg = plain
	w.seal()
	for _, r := range residents[:3] {
		quick, whole, _ := w.find(r, &counted{alter: bad}, time.Time{}, time.Time{})
		if !reflect.DeepEqual(quick, whole) || len(quick) == 0 || !quick[0].Damaged {
			t.Errorf("%+v\n%+v", quick, whole)
		}
	}
}

// TestKeepHoldsTheLastAgainstTheLog: reports go by what an index says, so one from which somebody was left out before it was
// sealed is told of when the next is made.
func TestKeepHoldsTheLastAgainstTheLog(t *testing.T) {
	w := newTown(t)
	w.ask(residents[0], residents[1])
	w.build()
	me := keyOf(logID, 0, w.ring.Pseudonym(residents[0]))
	w.forge(0, func(list []entry) []entry { return slices.DeleteFunc(list, func(e entry) bool { return e.key == me }) })
	w.seal()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	w.cfg.Now = func() time.Time { return time.Now().AddDate(0, 0, 1) }
	var told error
	Keep(ctx, w.cfg, func(err error) { told = err })
	if told == nil || !strings.Contains(told.Error(), "check index 0: the log has other events") {
		t.Errorf("told %v", told)
	}
}
