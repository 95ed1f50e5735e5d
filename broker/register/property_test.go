package register

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
)

// questions are requests from everyone about everything in a small world.
func questions() []broker.Request {
	var out []broker.Request
	for _, agency := range []broker.OIN{gemeente, elders, verhuurT} {
		for _, worker := range []broker.WorkerID{anna, bram} {
			if worker == bram && agency != gemeente {
				continue
			}
			for i := range 4 {
				out = append(out, ask(agency, worker, i))
				q := ask(agency, worker, i)
				q.Case = "c1"
				out = append(out, q)
			}
			for i := range 4 {
				out = append(out, askCase(agency, worker, broker.CaseID(fmt.Sprintf("c%d", i))))
			}
		}
	}
	return out
}

// draw gives a command in that small world; many of them make no sense where things stand.
func draw(t *rapid.T, step int) Command {
	agency := rapid.SampledFrom([]broker.OIN{gemeente, gemeente, elders, verhuurT}).Draw(t, "agency")
	worker := rapid.SampledFrom([]broker.WorkerID{anna, bram}).Draw(t, "worker")
	id := broker.CaseID(fmt.Sprintf("c%d", rapid.IntRange(0, 3).Draw(t, "case")))
	person := rapid.IntRange(0, 3).Draw(t, "person")
	other := (person + rapid.IntRange(1, 3).Draw(t, "other")) % 4
	team := Team{agency, rapid.SampledFrom([]string{"noord", "zuid"}).Draw(t, "team")}
	kind := rapid.SampledFrom([]ConsentKind{KindConsent, KindRelease}).Draw(t, "consent")
	holder := rapid.SampledFrom([]broker.OIN{verhuurT, kliniek}).Draw(t, "holder")
	yes := rapid.Bool().Draw(t, "yes")
	day := broker.Date{Year: 2026, Month: 1, Day: 1}
	switch rapid.IntRange(0, 24).Draw(t, "kind") {
	case 22, 23, 24:
		return drawResident(t, step, person, other)
	case 18, 19, 20, 21:
		return drawPolicy(t)
	case 0, 1, 2:
		c := Case{
			ID: id, Kind: rapid.SampledFrom([]CaseKind{KindCase, KindCase, KindSignal, KindClaim}).Draw(t, "of"), Agency: agency,
			Municipality: "0363", Holders: []Holder{{OIN: holder}},
			Persons: []Person{{BSN: bsns[person]}, {BSN: bsns[other]}},
		}
		if yes {
			c.Workers = []Worker{{agency, worker}}
		}
		return OpenCase{c}
	case 3:
		return CloseCase{id}
	case 4:
		return Assign{Case: id, Agency: agency, Worker: worker, Coordinator: yes}
	case 5:
		return Assign{Case: id, Agency: agency, Team: team.Team}
	case 6:
		return Unassign{Case: id, Agency: agency, Worker: worker, Coordinator: yes}
	case 7:
		return Unassign{Case: id, Agency: agency, Team: team.Team}
	case 8, 9:
		workers := []broker.WorkerID{}
		if yes {
			workers = append(workers, worker)
		}
		if rapid.Bool().Draw(t, "carla") {
			workers = append(workers, carla)
		}
		return SetTeam{team, workers}
	case 10:
		a := agreed(fmt.Sprintf("a%d", step), holder, "huur")
		a.Recipient = agency
		return AddAgreement{sign(a.Agreement)}
	case 11:
		return WithdrawAgreement{fmt.Sprintf("a%d", rapid.IntRange(0, step).Draw(t, "agreement"))}
	case 12:
		return GiveConsent{Consent{Case: id, Person: bsns[person], Kind: kind, Domain: "huur", Recipient: agency,
			Purposes: []broker.Purpose{voorkomen}, From: day, GivenBy: BySelf}}
	case 13:
		return WithdrawConsent{Case: id, Person: bsns[person], Kind: kind, Domain: "huur"}
	case 14:
		return DeclareEmergency{id, []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar, afgewogen"}
	case 15:
		return EndEmergency{id}
	case 16:
		if yes {
			return SuspendAgency{rapid.SampledFrom([]broker.OIN{gemeente, holder}).Draw(t, "suspended")}
		}
		return ResumeAgency{rapid.SampledFrom([]broker.OIN{gemeente, holder}).Draw(t, "resumed")}
	}
	a := basics()[rapid.IntRange(0, 3).Draw(t, "which")].(AddAgency)
	if yes {
		a.Municipality = "0344"
	}
	return a
}

// drawPolicy gives a step in a revision's life, of the first drafts between three revisions.
func drawPolicy(t *rapid.T) Command {
	all := []broker.Revision{revision, second, third}
	base, to := rapid.SampledFrom(all).Draw(t, "base"), rapid.SampledFrom(all).Draw(t, "to")
	n := rapid.IntRange(1, 3).Draw(t, "draft")
	by := rapid.SampledFrom([]OfficerID{petra, pieter}).Draw(t, "officer")
	switch rapid.IntRange(0, 8).Draw(t, "step") {
	case 0:
		return AddOfficer{ref(by), RolePrivacyOfficer, keyOf(by)}
	case 1:
		return NameOfficer{ref(by), by}
	case 2, 3:
		return drafted(n, base, to, by, nil)
	case 4:
		return checked(n, base, to, widened)
	case 5:
		return approve(n, base, to, by)
	case 6:
		return activate(n, base, to)
	case 7:
		return SuspendOfficer{ref(by)}
	}
	return stop(base, to)
}

// residents are an officer, and a request about each of the first persons.
func residents() []Command {
	out := []Command{AddOfficer{ref(petra), RolePrivacyOfficer, keyOf(petra)}}
	for i := range 4 {
		out = append(out, MakeRequest{ResidentRequest{ID: fmt.Sprintf("r%d", i), About: bsns[i], Kind: RequestRestriction, Text: "geef niets"}})
	}
	return out
}

// drawResident gives a step about what a resident asked.
func drawResident(t *rapid.T, step, person, other int) Command {
	id, subject := fmt.Sprintf("r%d", person), testTouch("subject", bsns[person].Reveal())
	switch rapid.IntRange(0, 8).Draw(t, "resident") {
	case 0:
		return MakeRequest{ResidentRequest{ID: fmt.Sprintf("n%d", step), About: bsns[person], By: bsns[other], Kind: RequestObjection, Text: "ik maak bezwaar"}}
	case 1:
		return ExtendRequest{id, bsns[person], ref(petra), "het is veel"}
	case 2:
		return AnswerRequest{id, bsns[person], ref(petra), OutcomeGranted, "dat doen wij"}
	case 3, 4:
		return LiftRestriction{subject, id, ref(petra)}
	case 5:
		return AddRepresentation{Representation{ID: fmt.Sprintf("p%d", step), By: bsns[other], About: bsns[person], Name: "Kind", Kind: ByMentor,
			From: broker.Date{Year: 2026, Month: 1, Day: 1}, Until: broker.Date{Year: 2027, Month: 1, Day: 1}, Proof: "beschikking", Officer: ref(petra)}}
	case 6:
		return EndRepresentation{fmt.Sprintf("p%d", rapid.IntRange(0, step).Draw(t, "representation")), bsns[person], ref(petra)}
	}
	return RestrictProcessing{subject, id, ref(petra)}
}

// told are facts without what every entry moves.
func told(t *rapid.T, r *Register, q broker.Request) (string, broker.Facts) {
	f, err := r.Facts(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	bare := f
	bare.Position, bare.Touches = 0, nil
	data, err := json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), f
}

// Whatever happens: facts that changed are known to be stale by their touches; a view that followed, one that made the
// changes and one read from scratch tell the same; and nobody without a relation learns anything.
func TestFactsNeverSilentlyStale(t *testing.T) {
	type seen struct {
		text  string
		facts broker.Facts
	}
	asked := questions()
	changed, valid := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, append(basics(), residents()...)...)
		followed := w.reopen()
		look := func() []seen {
			out := make([]seen, len(asked))
			for i, q := range asked {
				out[i].text, out[i].facts = told(rt, w.Register, q)
				if f := out[i].facts; f.Relation.None() && (f.Case != "" || len(f.Household)+len(f.Holders) > 0 || f.Emergency.Active) {
					rt.Fatal("facts without a relation")
				}
			}
			return out
		}
		history := [][]seen{look()}
		for step := range 20 {
			if w.try(draw(rt, step)) != nil {
				continue
			}
			if err := followed.Refresh(rt.Context()); err != nil {
				rt.Fatal(err)
			}
			now := look()
			for i := range asked {
				if i%4 == step%4 {
					if text, _ := told(rt, followed, asked[i]); text != now[i].text {
						rt.Fatalf("the view that followed tells something else about question %d", i)
					}
				}
				for _, before := range history {
					_, ok := followed.Validate(before[i].facts.Position, before[i].facts.Touches)
					switch differs := before[i].text != now[i].text; {
					case differs && ok:
						rt.Fatalf("facts changed and pass as valid: question %d, position %d\n%s\n%s", i,
							before[i].facts.Position, before[i].text, now[i].text)
					case differs:
						changed++
					case ok:
						valid++
					}
				}
			}
			history = append(history, now)
		}
		anew := w.reopen()
		for i, q := range asked {
			if text, _ := told(rt, anew, q); text != history[len(history)-1][i].text {
				rt.Fatalf("the view read from scratch tells something else about question %d", i)
			}
		}
		for name, both := range map[string][2]any{
			"cases": {w.Cases(), anew.Cases()}, "agencies": {w.Agencies(), anew.Agencies()}, "teams": {w.Teams(), anew.Teams()},
			"agreements": {w.Agreements(), anew.Agreements()}, "consents": {w.Consents("c1"), anew.Consents("c1")},
			"policy": {w.Policy(), anew.Policy()}, "officers": {w.Officers(), anew.Officers()},
			"requests": {w.Requests(), anew.Requests()}, "representations": {w.Representations(), anew.Representations()},
			"what was touched": {w.recent.at, anew.recent.at},
		} {
			if !same(both[0], both[1]) {
				rt.Fatalf("the view read from scratch has other %s", name)
			}
		}
		if !same(w.byPerson(), anew.byPerson()) || !reflect.DeepEqual(w.state.index.given, anew.state.index.given) {
			rt.Fatal("the view read from scratch has another index")
		}
	})
	if changed == 0 || valid == 0 {
		t.Errorf("nothing was shown: %d changed, %d stayed valid", changed, valid)
	}
	t.Logf("%d facts changed and were seen to; %d stayed valid", changed, valid)
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
