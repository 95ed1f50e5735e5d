package register

import (
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// TestErasures: one at a time, each begun before it is ended, in order; also in a view that begins with a snapshot.
func TestErasures(t *testing.T) {
	w := newWorld(t)
	refuses := func(says string, c Command) {
		t.Helper()
		if err := w.try(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want …%s…: %v", says, err)
		}
	}
	begin := func(n int) BeginErasure {
		return BeginErasure{Erasure: n, Of: ErasureExpired, Until: noon, Selection: "opaque", Generations: []string{"2021Q1", "2021Q2.3"},
			Parts: []ErasedParts{{"ontruiming-voorkomen", 12}, {"staff", 3}}}
	}
	refuses("not under way", EndErasure{Erasure: 1})
	refuses("another erasure began", begin(2))
	for says, change := range map[string]func(*BeginErasure){
		"lacks":                 func(c *BeginErasure) { c.Generations = nil },
		"name of a generation":  func(c *BeginErasure) { c.Generations = []string{"999990019"} },
		"name of an activity":   func(c *BeginErasure) { c.Parts[0].Activity = "Jan Jansen" },
		"expired, of a subject": func(c *BeginErasure) { c.Of = "all" },
		"numbers of one person": func(c *BeginErasure) { c.Of = ErasureSubject },
	} {
		c := begin(1)
		change(&c)
		refuses(says, c)
	}
	w.do(begin(1))
	refuses("did not end", begin(2))
	refuses("not under way", EndErasure{Erasure: 2})
	if got := w.Erasures(); len(got) != 1 || !got[0].Ended.IsZero() || got[0].Begun.IsZero() {
		t.Errorf("%+v", got)
	}
	w.do(EndErasure{Erasure: 1})
	refuses("not under way", EndErasure{Erasure: 1})
	w.do(begin(2))
	refuses("number 2", RestoreLog{Number: 2, Backup: broker.Hash{1}, Taken: noon})
	w.do(RestoreLog{Number: 1, Backup: broker.Hash{1}, Taken: noon})
	for _, r := range []*Register{w.Register, w.fromStart(), w.restored(w.snapshot())} {
		got := r.Erasures()
		if len(got) != 2 || got[0].Ended.IsZero() || !got[1].Ended.IsZero() || got[1].Parts[0].Parts != 12 || r.Restores() != 1 {
			t.Errorf("%+v", got)
		}
	}
}

// TestDossiers: what the stream has of each case is known by the references of its parts, also after its key is gone.
func TestDossiers(t *testing.T) {
	w := newWorld(t, append(basics(), household("open", 0), household("closed", 2), household("erased", 4), CloseCase{"closed"}, CloseCase{"erased"},
		household("assigned", 6), Assign{Case: "assigned", Agency: gemeente, Worker: bram})...)
	if got := w.OpenCasesOf(bsns[0]); len(got) != 1 || got[0] != "open" || len(w.OpenCasesOf(bsns[2])) != 0 {
		t.Errorf("open cases: %v, %v", got, w.OpenCasesOf(bsns[2]))
	}
	delete(w.store.keys, w.CaseKey("erased"))
	got, err := w.Dossiers(t.Context(), newWrapper().OpenRef)
	got = slices.DeleteFunc(got, func(d Dossier) bool { return IsStaffKey(d.Key) }) // TestEraseStaff
	if err != nil || len(got) != 4 {
		t.Fatal(got, err)
	}
	for i, want := range []struct {
		id     broker.CaseID
		parts  int
		closed bool
	}{{"open", 1, false}, {"closed", 2, true}, {"erased", 2, true}, {"assigned", 2, false}} {
		if d := got[i]; d.Key != w.CaseKey(want.id) || d.Parts != want.parts || d.Closed.IsZero() == want.closed {
			t.Errorf("%s: %+v", want.id, d)
		}
	}
}
