package register

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Only so many entries after the last snapshot is another one due, also when another gateway made it.
func TestSnapshotDue(t *testing.T) {
	w := newWorld(t, basics()...)
	other := w.reopen()
	due := func(want bool) {
		t.Helper()
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := other.snapshotDue(t.Context(), 8); got != want {
			t.Errorf("due at %d: %v", other.Position(), got)
		}
	}
	if w.Position() != 8 {
		t.Fatalf("position %d", w.Position())
	}
	due(true)
	w.snapshot()
	due(false)
	for i := range 7 {
		w.do(household(broker.CaseID(fmt.Sprint("n", i)), 0))
	}
	due(false)
	w.do(household("last", 0))
	due(true)
	w.snapshot()
	due(false)
	forge(t, w, w.cfg.Vault, snapshotKey, func(h *snapshotHead) { h.Log.Log = "another" })
	due(true)
	w.store.snap = journal.Snapshot{ID: "x"}
	due(true)
}

// Two gateways keep snapshots for an hour while the register grows: one is made whenever it is due, by either, and whoever
// opens the register then begins with it.
func TestKeepSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basics()...)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		var mu sync.Mutex
		var made []broker.Position
		for range 2 {
			cfg := config(w.store, &clock{now: noon})
			cfg.Now = time.Now
			r, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				if err := r.Follow(ctx); err != nil {
					t.Error(err)
				}
			})
			wait.Go(func() {
				r.KeepSnapshots(ctx, 20, func(at broker.Position, err error) {
					mu.Lock()
					defer mu.Unlock()
					if made = append(made, at); err != nil {
						t.Error(err)
					}
				})
			})
		}
		for i := range 60 {
			time.Sleep(time.Minute)
			w.do(household(broker.CaseID(fmt.Sprint("n", i)), 0))
		}
		cancel()
		wait.Wait()
		if len(made) < 3 || len(made) > 2*3 {
			t.Errorf("snapshots at %d: three were due", made)
		}
		r, err := Open(t.Context(), config(w.store, &clock{now: noon}))
		if err != nil {
			t.Fatal(err)
		}
		if at, ignored := r.Snapshot(); at < 60 || ignored != nil {
			t.Errorf("began at %d, %v; snapshots were made at %d", at, ignored, made)
		}
	})
}
