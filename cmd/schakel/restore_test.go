package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/keys"
)

// TestHalfRestoredServesNobody: a server does not start on a journal that is being put back.
func TestHalfRestoredServesNobody(t *testing.T) {
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), journalFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.PutNote(t.Context(), backup.Note, []byte("begun "+broker.Hash{}.String())); err != nil {
		t.Fatal(err)
	}
	if _, err := newServer(t.Context(), serverConfig{store: archive.NewStore(store, archive.OpenFolder(t.TempDir()))}); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("it starts: %v", err)
	}
	if err := backup.Finish(t.Context(), store, broker.Hash{}); err != nil {
		t.Fatal(err)
	}
	if err := refuseUnfinished(t.Context(), store); err != nil {
		t.Errorf("after it was finished: %v", err)
	}
}

// TestRingFits: a ring that lacks a generation of the backup is older, or another; one that has destroyed it since will do.
func TestRingFits(t *testing.T) {
	ring, err := keys.Create(keys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	own := ring.Generations()[0]
	m := backup.Manifest{Keys: backup.Keys{Generations: map[string]int{own: 3}}}
	if err := ringFits(m, ring); err != nil {
		t.Error(err)
	}
	if _, err := ring.Supersede(own); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ring.Destroy(own), ringFits(m, ring)); err != nil {
		t.Errorf("after an erasure: %v", err)
	}
	m.Keys.Generations["2031Q1"] = 1
	if err := ringFits(m, ring); err == nil || !strings.Contains(err.Error(), "2031Q1") {
		t.Errorf("an older ring: %v", err)
	}
}

// TestNameAfterRestore: a log that was put back goes by a name of its own, in a folder of that name, whoever asks for it.
func TestNameAfterRestore(t *testing.T) {
	data := t.TempDir()
	first, second := "restored-20261130T071500Z", "restored-20270101T000000Z"
	for _, c := range []struct{ restored, origin, folder string }{
		{"", "schakel/x", "f"}, {first, "schakel/x/" + first, filepath.Join("f", first)},
	} {
		origin := originAfter("schakel/x", c.restored)
		if origin != c.origin || restoredIn(origin) != c.restored || folderAfter("f", c.restored) != c.folder || folderAfter(c.folder, c.restored) != c.folder {
			t.Errorf("after %q: %s, %s, %s", c.restored, origin, restoredIn(origin), folderAfter("f", c.restored))
		}
		if got := (&where{}).merkleFolder(c.folder, origin); got != c.folder {
			t.Errorf("the folder itself is given: %s", got)
		}
	}
	if folderAfter("", first) != "" || (&where{}).merkleFolder("", "schakel/x/"+first) != "" {
		t.Error("a folder where there is none")
	}
	for _, name := range []string{first, second, "tile", "restored-by-hand"} {
		if err := os.Mkdir(filepath.Join(data, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if lastIn(data, second) != first || lastIn(data, first) != second || lastIn(filepath.Join(data, second), first) != second || lastIn(filepath.Join(data, "none"), "") != "" {
		t.Error("the last restore of before is another")
	}
}
