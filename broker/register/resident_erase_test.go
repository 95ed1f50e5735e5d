package register

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// TestEraseResidents: what a resident asked goes when nothing of it is in use: no request that waits, no restriction, nobody who
// represents them. Meanwhile nothing new is taken about them, of others it is; then no view knows it any more, and they may ask anew.
func TestEraseResidents(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{household("c1", 0), request("r1", 1), request("r2", 2), child("p1", 0, 1)})...)
	begin := func(n int, person int) BeginErasure {
		return BeginErasure{Erasure: n, Of: ErasureSubject, Until: noon, Selection: "opaque", Generations: []string{"2021Q1"}, Residents: []broker.Touch{subjectOf(person)}}
	}
	refuses := func(says string, c Command) {
		t.Helper()
		if err := w.try(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want …%s…: %v", says, err)
		}
	}
	ended := func(person int) time.Time {
		t.Helper()
		list, err := w.Dossiers(t.Context(), newWrapper().OpenRef)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Key == w.ResidentKey(bsns[person]) {
				return d.Closed
			}
		}
		t.Fatal("no such dossier")
		return time.Time{}
	}
	inUse := func(says string) {
		t.Helper()
		refuses(says, begin(1, 1))
		if err := w.ResidentInUse(bsns[1]); err == nil || !strings.Contains(err.Error(), says) || !ended(1).IsZero() {
			t.Errorf("want …%s…: %v, ended %s", says, err, ended(1))
		}
	}
	inUse("waits for an answer")
	r1, _ := w.Request("r1")
	w.do(w.Restrict(r1, ref(petra)), AnswerRequest{"r1", bsns[1], ref(petra), OutcomeGranted, "goed"})
	inUse("lift that first")
	w.do(w.Lift(r1, ref(petra)))
	inUse("represents this person")
	w.do(EndRepresentation{"p1", bsns[1], ref(petra)})
	if err := w.ResidentInUse(bsns[1]); err != nil || ended(1).IsZero() || !ended(2).IsZero() {
		t.Errorf("%v, %s, %s", err, ended(1), ended(2))
	}
	w.do(begin(1, 1))
	refuses("being erased", request("r3", 1))
	refuses("being erased", child("p2", 0, 1))
	w.do(request("r4", 2))
	delete(w.store.keys, w.ResidentKey(bsns[1]))
	w.do(EndErasure{Erasure: 1})
	for name, v := range map[string]*Register{"as it runs": w.Register, "from the start": w.fromStart(), "from a snapshot": w.restored(w.snapshot())} {
		if got := v.Requests(); len(got) != 2 || got[0].About != bsns[2] || got[1].About != bsns[2] || len(v.RequestsOf(bsns[1])) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w.do(request("r5", 1))
	if got := w.RequestsOf(bsns[1]); len(got) != 1 || got[0].ID != "r5" {
		t.Errorf("asked anew: %+v", got)
	}
}
