package audit

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
)

// TestVerifyNamesWhatCannotBeRead: an entry that the store can't decode is one fault that names it, wherever it stands.
func TestVerifyNamesWhatCannotBeRead(t *testing.T) {
	s, c := smallLog(t)
	c.Heads, c.Receipts = nil, []broker.Receipt{{Log: testLog}} // a receipt of no hash is none of an unreadable event
	for stream, whole := range s.streams {
		for i := range whole {
			s.streams[stream] = slices.Clone(whole)
			s.streams[stream][i] = journal.Entry{ID: whole[i].ID}
			rep := verify(t, c)
			f := rep.Faults
			if stream == "audit:cli" && i == 1 { // the event of two register changes
				if len(f) < 2 || !names(rep, stream, whole[i].ID) {
					t.Errorf("%s %s: faults %v", stream, whole[i].ID, f)
				}
				continue
			}
			if len(f) != 2 || f[0].Code != FaultAltered || f[0].Stream != stream || !names(rep, stream, whole[i].ID) || f[1].Code != FaultReceipt {
				t.Errorf("%s %s: faults %v", stream, whole[i].ID, f)
			}
		}
		s.streams[stream] = whole
	}
}

// TestVerifyABentFile does it on a real file, where each way of bending a stored value is a fault and never an error.
func TestVerifyABentFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	store, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Init(t.Context(), registerEntry(journal.Head{}, "genesis")); err != nil {
		t.Fatal(err)
	}
	w := open(t, config(store, "gw", freshView{}))
	for i := range 3 {
		if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, w)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	id := journal.ID{Epoch: 1, Seq: 2}
	key := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id.Epoch), id.Seq)
	var good []byte
	for what, bend := range map[string]func([]byte) []byte{
		"version":           func(v []byte) []byte { v[0]++; return v },
		"nothing":           func([]byte) []byte { return nil },
		"cut in the hash":   func(v []byte) []byte { return v[:20] },
		"number of touches": func(v []byte) []byte { v[33] = 0xff; return v },
		"bytes":             func(v []byte) []byte { v[60] ^= 1; return v },
	} {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("audit")).Bucket([]byte("gw"))
			if good == nil {
				good = bytes.Clone(b.Get(key))
			}
			return b.Put(key, bend(bytes.Clone(good)))
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		store, err := bolt.Open(bolt.Config{Path: path, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		rep := verify(t, VerifyConfig{Store: store})
		if len(rep.Faults) != 1 || !names(rep, "audit:gw", id) || rep.Writers[0].Entries != 5 {
			t.Errorf("%s: %+v", what, rep)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyNamesAStreamOfNoWriter: a stream that no writer can have is a fault too.
func TestVerifyNamesAStreamOfNoWriter(t *testing.T) {
	s, c := smallLog(t)
	s.streams["audit:No Writer"] = s.streams["audit:gw"]
	if rep := verify(t, c); len(rep.Faults) != 1 || rep.Faults[0].Code != FaultOrder || !strings.Contains(rep.Faults[0].String(), "No Writer") {
		t.Errorf("%v", rep.Faults)
	}
}
