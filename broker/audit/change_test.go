package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

func changeAfter(s *fakeStore, touches ...broker.Touch) Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := headOf(s.streams[journal.Register])
	s.made++ // no two changes are the same
	first := registerEntry(head, fmt.Sprint("case.opened.", s.made), touches...)
	second := registerEntry(headOf([]journal.Entry{first}), "case.assigned", touches...)
	return Change{
		After: head, Entries: []journal.Entry{first, second}, Kind: "case.opened", Staff: broker.Staff{Worker: "beheer"},
	}
}

func TestChangeIsRecordedWithItsEntries(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "cli", nil))
	c := changeAfter(s, broker.TouchAll)
	if outcome, err := w.Change(t.Context(), c); outcome != journal.Appended || err != nil {
		t.Fatal(outcome, err)
	}
	if outcome, err := w.Change(t.Context(), c); outcome != journal.Moved || err != nil {
		t.Fatalf("a change for an old head: %s %v", outcome, err)
	}
	if outcome, err := w.Change(t.Context(), changeAfter(s)); outcome != journal.Appended || err != nil {
		t.Fatal(outcome, err)
	}
	mustClose(t, w)
	wantWhole(t, s)
	e := s.events("cli")[1]
	var rec Recorded
	if err := json.Unmarshal(e.Common, &rec); err != nil {
		t.Fatal(err)
	}
	if e.Kind != KindRegister || e.Staff == nil || rec.Kind != "case.opened" || len(rec.Entries) != 2 ||
		rec.Entries[1].Hash != c.Entries[1].Hash || rec.Entries[1].ID != (ID{1, 2}) || e.Position != 1 {
		t.Errorf("event %s at %d says %+v", e.Kind, e.Position, rec)
	}
}

func TestChangeRefusesWhatIsNoChange(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "cli", nil))
	defer mustClose(t, w)
	empty, order, hash, big := changeAfter(s), changeAfter(s), changeAfter(s), changeAfter(s)
	empty.Entries = nil
	order.Entries[0], order.Entries[1] = order.Entries[1], order.Entries[0]
	hash.Entries[0].Hash[0] ^= 1
	big.Entries[1] = entry(big.Entries[1].ID, make([]byte, journal.MaxBytes))
	for name, c := range map[string]Change{"empty": empty, "order": order, "hash": hash, "big": big} {
		if _, err := w.Change(t.Context(), c); err == nil || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.streams[journal.Register]) != 1 {
		t.Error("something was added")
	}
}

// TestChangeOutcomeUnknown: a caller that stops waiting learns whether its change may have been added.
func TestChangeOutcomeUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "cli", nil))
		s.fail = func(int, journal.Batch) (error, bool) { return errLost, false }
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		c := changeAfter(s)
		go func() { // not sent before its caller gives up
			time.Sleep(time.Millisecond)
			if _, err := w.Change(ctx, c); err == nil || errors.Is(err, ErrUnknown) {
				t.Errorf("waiting: %v", err)
			}
		}()
		if _, err := w.Change(ctx, c); !errors.Is(err, ErrUnknown) {
			t.Errorf("sent: %v", err)
		}
		synctest.Wait()
		s.failWith(nil)
		mustClose(t, w)
		wantWhole(t, s)
		if got := len(s.streams[journal.Register]); got != 3 {
			t.Errorf("%d register entries, want 3", got)
		}
	})
}

// TestChangeFencedAfterUnknown: fenced on the second attempt, the first may have been added.
func TestChangeFencedAfterUnknown(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			w := open(t, config(s, "gw", nil))
			c := changeAfter(s)
			s.fail = func(n int, _ journal.Batch) (error, bool) {
				if n > 2 {
					return nil, true
				}
				go func() { mustClose(t, open(t, config(s, "gw", nil))) }()
				return errLost, persisted
			}
			outcome, err := w.Change(t.Context(), c)
			if outcome != journal.Fenced || !errors.Is(err, ErrUnknown) {
				t.Errorf("%s %v", outcome, err)
			}
			_ = w.Close(t.Context())
			wantWhole(t, s)
		})
	}
}
