package checkpoint

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// TestSeals: everything of every stream comes into the log once, over ends and starts.
func TestSeals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add(journal.Register, 3)
	d.add(journal.Audit("gw-1"), 700)
	stop := d.run("one")
	d.until("what was there", func() bool { return d.size() == 703 })
	d.add(journal.Audit("gw-2"), 1)
	d.add(journal.Audit("gw-1"), 20)
	d.until("what came since", func() bool { return d.size() == 724 })
	d.add(journal.Register, 1)
	stop() // seals what is there
	if d.size() != 725 {
		t.Errorf("%d leaves at the end", d.size())
	}
	d.holds()
	d.mu.Lock()
	if head := d.sealed.Streams[journal.Audit("gw-1")]; head.ID.Seq != 719 || len(d.sealed.Streams) != 3 {
		t.Errorf("sealed up to %v", d.sealed.Streams)
	}
	d.holder = ""
	d.mu.Unlock()
	d.add(journal.Audit("gw-1"), 5)
	if err := os.Remove(filepath.Join(d.dir, progressFile)); err != nil { // it is only a help
		t.Fatal(err)
	}
	d.run("two")
	d.until("what came between", func() bool { return d.size() == 730 })
	d.holds()
	if len(d.alarmed()) > 0 {
		t.Error(d.alarmed())
	}
}

// TestLeavesThatNobodySigned: a process that dies between adding to the log and signing leaves leaves behind. The next one
// reads them back, holds them against the journal, and signs.
func TestLeavesThatNobodySigned(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"still there": false, "gone from the journal": true} {
		t.Run(name, func(t *testing.T) {
			d := newDeployment(t)
			s := journal.Audit("gw-1")
			d.add(s, 10)
			stop := d.run("one")
			d.until("the first", func() bool { return d.size() == 10 })
			// From now on it gives to the log, and can't sign: as if it died in between.
			fence := filepath.Join(d.dir, fenceFile)
			if err := os.WriteFile(fence, []byte("99"), 0o600); err != nil {
				t.Fatal(err)
			}
			d.add(s, 10)
			d.until("the leaves in the tiles", func() bool {
				_, err := os.Stat(filepath.Join(d.dir, "tile/entries/000.p/20"))
				return err == nil
			})
			stop()
			if d.size() != 10 {
				t.Fatalf("signed %d leaves under another's fence", d.size())
			}
			if gone {
				d.bend(s, func(e []journal.Entry) []journal.Entry { return e[:15] })
			}
			d.mu.Lock()
			d.holder, d.fence = "", 99
			d.mu.Unlock()
			d.run("two")
			d.until("the leaves that were left", func() bool { return d.size() == 20 })
			if !gone {
				d.holds()
			}
			if alarms := d.alarmed(); gone != (len(alarms) > 0) {
				t.Errorf("alarms: %v", alarms)
			}
		})
	}
}

// TestContradictions: what was sealed and is another thing now, or is gone, raises an alarm that names the entry; the other
// streams are sealed all the same.
func TestContradictions(t *testing.T) {
	t.Parallel()
	s := journal.Audit("gw-1")
	other := func(e journal.Entry) journal.Entry {
		e.Bytes = append([]byte("other "), e.Bytes...)
		return journal.Entry{ID: e.ID, Hash: hashOf(e.Bytes), Bytes: e.Bytes}
	}
	for name, c := range map[string]struct {
		bend func([]journal.Entry) []journal.Entry
		at   journal.ID
	}{
		"rolled back":        {func(e []journal.Entry) []journal.Entry { return e[:5] }, journal.ID{Epoch: 1, Seq: 9}},
		"last one rewritten": {func(e []journal.Entry) []journal.Entry { e[9] = other(e[9]); return e }, journal.ID{Epoch: 1, Seq: 9}},
		"a gap":              {func(e []journal.Entry) []journal.Entry { return append(e[:10], shift(e, 2)...) }, journal.ID{Epoch: 1, Seq: 12}},
		"altered bytes": {func(e []journal.Entry) []journal.Entry {
			next := shift(e, 0)
			next[0].Bytes = append(next[0].Bytes, '!')
			return append(e, next...)
		}, journal.ID{Epoch: 1, Seq: 10}},
		"wiped": {func([]journal.Entry) []journal.Entry { return nil }, journal.ID{Epoch: 1, Seq: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDeployment(t)
			d.add(s, 10)
			d.add(journal.Audit("gw-2"), 1)
			d.run("one")
			d.until("the beginning", func() bool { return d.size() == 11 })
			d.bend(s, c.bend)
			d.until("an alarm", func() bool { return len(d.alarmed()) > 0 })
			if a := d.alarmed()[0]; a.Stream != s || a.ID != c.at {
				t.Errorf("alarm: %v; want one at %s", a, c.at)
			}
			d.add(journal.Audit("gw-2"), 1)
			d.until("the other stream", func() bool { return d.size() == 12 })
			if n := len(d.alarmed()); n != 1 {
				t.Errorf("%d alarms of one thing", n)
			}
		})
	}
}

// shift gives an entry that goes on from the end, some ids further.
func shift(e []journal.Entry, by uint64) []journal.Entry {
	last := e[len(e)-1]
	data := []byte("further")
	return []journal.Entry{{ID: journal.ID{Epoch: last.ID.Epoch, Seq: last.ID.Seq + 1 + by}, Hash: hashOf(data), Bytes: data}}
}

// TestFolderPutBack: an old copy of the folder signs nothing, since it would sign another log under the same name.
func TestFolderPutBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add(journal.Audit("gw-1"), 10)
	stop := d.run("one")
	d.until("the beginning", func() bool { return d.size() == 10 })
	stop()
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	d.add(journal.Audit("gw-1"), 10)
	d.hand("")
	stop = d.run("two")
	d.until("more", func() bool { return d.size() == 20 })
	stop()
	for what, dir := range map[string]string{"an old copy": old, "an empty folder": t.TempDir()} {
		d.dir = dir
		d.add(journal.Audit("gw-1"), 1)
		d.hand("")
		d.mu.Lock()
		d.failed = nil
		d.mu.Unlock()
		stop := d.run("three " + what)
		d.until("a refusal", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.failed) > 0 })
		time.Sleep(300 * time.Millisecond)
		stop()
		d.mu.Lock()
		if !strings.Contains(d.failed[0], "put back") {
			t.Errorf("%s: %v", what, d.failed)
		}
		d.mu.Unlock()
		if d.size() != 20 {
			t.Errorf("%s was signed: %d leaves", what, d.size())
		}
	}
}

// TestOneLeads: who loses the lease signs nothing more, even where it does not know yet; the next one goes on.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add(journal.Audit("gw-1"), 10)
	d.run("one")
	d.run("two")
	d.until("the beginning", func() bool { return d.size() == 10 })
	d.mu.Lock()
	next := map[string]string{"one": "two", "two": "one"}[d.holder]
	d.mu.Unlock()
	d.hand(next)
	d.add(journal.Audit("gw-1"), 10)
	d.until("the other to go on", func() bool { return d.size() == 20 })
	d.holds()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder != next {
		t.Errorf("%s leads", d.holder)
	}
}

// TestKeyRotated: checkpoints go on under the next key, and those of before still open.
func TestKeyRotated(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add(journal.Audit("gw-1"), 10)
	d.run("one")
	d.until("the beginning", func() bool { return d.size() == 10 })
	before, err := d.log().Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh := newKey(t)
	d.mu.Lock()
	d.own = append(d.own, fresh.Public)
	d.key = fresh
	d.mu.Unlock()
	d.add(journal.Audit("gw-1"), 1)
	d.until("the next", func() bool { return d.size() == 11 })
	after, err := d.log().Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.log().Consistent(t.Context(), before, after); err != nil {
		t.Error(err)
	}
	only, err := NewKeys(origin, []ed25519.PublicKey{fresh.Public}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := only.Open(after.Signed); err != nil {
		t.Errorf("not signed by the new key: %v", err)
	}
	if _, err := only.Open(before.Signed); err == nil {
		t.Error("a checkpoint of the old key opens with the new one")
	}
}

// TestStoreAway: a store that is away for a while stops nothing for good.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.add(journal.Audit("gw-1"), 3)
	d.run("one")
	d.until("the beginning", func() bool { return d.size() == 3 })
	d.setAway(true)
	d.until("a failure", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.failed) > 0 })
	d.setAway(false)
	d.add(journal.Audit("gw-1"), 3)
	d.until("more", func() bool { return d.size() == 6 })
	d.holds()
}

func (j *journals) setAway(away bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.away = away
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("made a checkpointer of nothing")
	}
	if !errors.Is(func() error { _, err := OpenLog(t.TempDir(), Keys{}).Latest(t.Context()); return err }(), ErrNoCheckpoint) {
		t.Error("an empty folder has a checkpoint")
	}
}

// TestReadsBack: what stands in the tiles is not signed for being there: a leaf that was changed on the disk, before a
// checkpoint covered it, is found.
func TestReadsBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := journal.Audit("gw-1")
	d.add(s, 10)
	d.run("one")
	d.until("the beginning", func() bool { return d.size() == 10 })
	fence := filepath.Join(d.dir, fenceFile)
	if err := os.WriteFile(fence, []byte("99"), 0o600); err != nil { // signs nothing meanwhile
		t.Fatal(err)
	}
	d.add(s, 10)
	entries := filepath.Join(d.dir, "tile/entries/000.p/20")
	var data []byte
	d.until("the leaves in the tiles", func() (ok bool) {
		var err error
		data, err = os.ReadFile(entries)
		_, tree := os.Stat(filepath.Join(d.dir, "tile/0/000.p/20"))
		return err == nil && tree == nil
	})
	last := data[len(data)-1]
	data[len(data)-1] = map[bool]byte{true: '1', false: '0'}[last == '0'] // of the last leaf's hash
	if err := os.WriteFile(entries, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fence, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if d.size() != 10 {
		t.Fatalf("signed a tree of %d leaves, one of which is not what was given", d.size())
	}
	data[len(data)-1] = last
	if err := os.WriteFile(entries, data, 0o600); err != nil {
		t.Fatal(err)
	}
	d.until("the leaves as they were", func() bool { return d.size() == 20 })
	d.holds()
}
