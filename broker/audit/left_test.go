package audit

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// TestLeft: after an append of unknown outcome the stream may end before or after it, and nowhere else.
func TestLeft(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t)
			w := open(t, config(s, "gw", &storeView{s: s}))
			var down atomic.Bool
			s.fail = func(int, journal.Batch) (error, bool) {
				if down.Load() {
					return errLost, persisted
				}
				return nil, true
			}
			if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
				t.Fatal(err)
			}
			before := w.Head()
			down.Store(true)
			_, err := w.Append(t.Context(), disclosureEvent(2))
			wantCode(t, err, "journal-unavailable")
			there, err := s.Head(t.Context(), journal.Audit("gw"))
			if err != nil {
				t.Fatal(err)
			}
			if !w.Left(there) || !w.Left(before) {
				t.Errorf("persisted=%v: the stream as it was left is not recognised", persisted)
			}
			if persisted == (there == before) {
				t.Error("the fake store did not do as told")
			}
			if w.Left(journal.Head{}) || w.Left(journal.Head{ID: before.ID}) {
				t.Error("an emptied or changed stream passes")
			}
			down.Store(false)
			time.Sleep(10 * time.Second)
			if now := w.Head(); !w.Left(now) || now == before || w.Left(before) {
				t.Error("after the outcome is known only the new head is left")
			}
			mustClose(t, w)
		})
	}
}
