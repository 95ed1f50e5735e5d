package register

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// TestEraseStaff: who an officer is goes once they are suspended, and who was in a team once nobody is. Until then it has no end;
// meanwhile nothing new is written under it; and then no view knows it any more, while what the officer did stands. The team may be
// made anew.
func TestEraseStaff(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers())...)
	name := Team{gemeente, wijkteam}
	team, suspended, acting := keyOfTeam(testTouch, name), keyOfOfficer(ref(petra)), keyOfOfficer(ref(jorien))
	begin := func(keys ...string) BeginErasure {
		return BeginErasure{Erasure: 1, Of: ErasureExpired, Until: noon, Selection: "opaque", Generations: []string{"2021Q1"}, Staff: keys}
	}
	refuses := func(says string, c Command) {
		t.Helper()
		if err := w.try(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want …%s…: %v", says, err)
		}
	}
	ended := func(key string) time.Time {
		t.Helper()
		list, err := w.Dossiers(t.Context(), newWrapper().OpenRef)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(d Dossier) bool { return d.Key == key })
		if i < 0 {
			t.Fatalf("no dossier %s in %v", key, list)
		}
		return list[i].Closed
	}
	for _, key := range []string{team, suspended, acting} {
		refuses("not suspended", begin(key))
		if !ended(key).IsZero() {
			t.Errorf("%s ended", key)
		}
	}
	w.do(SuspendOfficer{ref(petra)}, SetTeam{Team: name})
	for key, want := range map[string]bool{team: true, suspended: true, acting: false} {
		if got := ended(key); got.IsZero() == want {
			t.Errorf("%s ended %s", key, got)
		}
	}
	refuses("not suspended", begin(team, suspended, acting))
	w.do(begin(team, suspended))
	refuses("being erased", SetTeam{name, []broker.WorkerID{bram}})
	w.do(SetTeam{Team{elders, wijkteam}, []broker.WorkerID{bram}})
	delete(w.store.keys, team)
	delete(w.store.keys, suspended)
	w.do(EndErasure{Erasure: 1})
	for from, r := range map[string]*Register{"as it runs": w.Register, "from the start": w.fromStart(), "from a snapshot": w.restored(w.snapshot())} {
		o, known := r.Officer(ref(petra))
		if !known || o.ID != "" || !o.Suspended || o.Role != RolePrivacyOfficer || len(o.Key) == 0 {
			t.Errorf("%s: the suspended officer: %+v", from, o)
		}
		if o, _ := r.Officer(ref(jorien)); o.ID != jorien {
			t.Errorf("%s: another officer: %+v", from, o)
		}
		if teams := r.Teams(); len(teams) != 1 || teams[0].Agency != elders {
			t.Errorf("%s: teams %v", from, teams)
		}
	}
	for _, key := range []string{team, suspended} {
		if w.store.keys[key] != nil {
			t.Errorf("%s was made again by a snapshot", key)
		}
	}
	w.do(SetTeam{name, []broker.WorkerID{bram}})
	if len(w.Teams()) != 2 || !ended(team).IsZero() {
		t.Errorf("made anew: %v, ended %s", w.Teams(), ended(team))
	}
}
