package audit

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
)

// freshView knows a register that nobody else changes.
type freshView struct{ stuckView }

// TestOnBolt runs the whole room on a real store: two writers at once, a restart, heads, log and verification.
func TestOnBolt(t *testing.T) {
	dir := t.TempDir()
	path, heads := filepath.Join(dir, "journal.db"), filepath.Join(dir, "heads")
	store, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	genesis := registerEntry(journal.Head{}, "genesis")
	if err := store.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	const callers, each = 8, 5
	var mu sync.Mutex
	var receipts []broker.Receipt
	for range 2 {
		w := open(t, withHeads(config(store, "gw", freshView{}), heads))
		cli := open(t, config(store, "cli", nil))
		var wait sync.WaitGroup
		for c := range callers {
			wait.Go(func() {
				for i := range each {
					r, err := w.Append(t.Context(), disclosureEvent(c*each+i))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					receipts = append(receipts, r)
					mu.Unlock()
				}
			})
		}
		head, err := store.Head(t.Context(), journal.Register)
		if err != nil {
			t.Fatal(err)
		}
		c := Change{After: head, Entries: []journal.Entry{registerEntry(head, "case.opened", "x")}, Kind: "case.opened"}
		if outcome, err := cli.Change(t.Context(), c); outcome != journal.Appended || err != nil {
			t.Error(outcome, err)
		}
		wait.Wait()
		mustClose(t, cli)
		mustClose(t, w)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = bolt.Open(bolt.Config{Path: path, ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	rep := verify(t, VerifyConfig{Store: store, Heads: readHeads(t, heads, ""), VerifyHead: verifyHead, Receipts: receipts})
	if !rep.OK || rep.Receipts != 2*callers*each || rep.Register.Entries != 3 || rep.Writers[1].Epochs != 2 {
		t.Errorf("%+v", rep)
	}
	if got := len(readLog(t, LogConfig{Store: store, Vault: newVault(store)})); got != 2*callers*each+4+6 {
		t.Errorf("%d events in the log", got)
	}
}
