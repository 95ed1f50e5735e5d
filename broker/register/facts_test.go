package register

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

func TestRelation(t *testing.T) {
	open := func(change func(*OpenCase)) Command {
		c := household("c1", 0)
		change(&c)
		return c
	}
	none := broker.Relation{Case: broker.CaseNone, Municipality: broker.MunicipalityUnknown}
	here := func(r broker.Relation) broker.Relation {
		if r.Case == "" {
			r.Case = broker.CaseNone
		}
		if r.Municipality == "" {
			r.Municipality = broker.MunicipalitySame
		}
		return r
	}
	signal := func(c *OpenCase) {
		c.Kind, c.Teams = KindSignal, []Team{{gemeente, wijkteam}}
	}
	claim := func(c *OpenCase) { c.Kind, c.Agency, c.Workers = KindClaim, verhuurT, []Worker{{verhuurT, carla}} }
	for _, tt := range []struct {
		name     string
		commands []Command
		agency   broker.OIN
		worker   broker.WorkerID
		want     broker.Relation
	}{
		{"assigned", []Command{household("c1", 0)}, gemeente, anna, here(broker.Relation{Case: broker.CaseAssigned})},
		{"coordinator", []Command{household("c1", 0), Assign{Case: "c1", Agency: gemeente, Worker: carla, Coordinator: true}},
			gemeente, carla, here(broker.Relation{Case: broker.CaseAssigned, Coordinator: true})},
		{"coordinator replaced", []Command{
			open(func(c *OpenCase) { c.Coordinator = Worker{gemeente, carla} }),
			Assign{Case: "c1", Agency: gemeente, Worker: anna, Coordinator: true},
		}, gemeente, carla, here(broker.Relation{Case: broker.CaseAgency})},
		{"coordinator ended, still assigned", []Command{
			open(func(c *OpenCase) { c.Coordinator = Worker{gemeente, anna} }),
			Unassign{Case: "c1", Agency: gemeente, Worker: anna, Coordinator: true},
		}, gemeente, anna, here(broker.Relation{Case: broker.CaseAssigned})},
		{"team", []Command{open(func(c *OpenCase) { c.Teams = []Team{{gemeente, wijkteam}} })}, gemeente, bram,
			here(broker.Relation{Case: broker.CaseTeam})},
		{"team assigned later", []Command{household("c1", 0), Assign{Case: "c1", Agency: gemeente, Team: wijkteam}}, gemeente, bram,
			here(broker.Relation{Case: broker.CaseTeam})},
		{"a namesake in another agency's team", []Command{open(func(c *OpenCase) {
			c.Workers, c.Teams = []Worker{{elders, carla}}, []Team{{gemeente, wijkteam}}
		})}, elders, bram, here(broker.Relation{Case: broker.CaseAgency, Municipality: broker.MunicipalityOther})},
		{"left the team", []Command{
			open(func(c *OpenCase) { c.Teams = []Team{{gemeente, wijkteam}} }),
			SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{carla}},
		}, gemeente, bram, here(broker.Relation{Case: broker.CaseAgency})},
		{"agency", []Command{household("c1", 0)}, gemeente, bram, here(broker.Relation{Case: broker.CaseAgency})},
		{"agency of a worker", []Command{open(func(c *OpenCase) { c.Workers = []Worker{{elders, anna}} })}, elders, bram,
			here(broker.Relation{Case: broker.CaseAgency, Municipality: broker.MunicipalityOther})},
		{"a namesake elsewhere", []Command{household("c1", 0)}, elders, anna, none},
		{"unassigned", []Command{household("c1", 0), Unassign{Case: "c1", Agency: gemeente, Worker: anna}}, gemeente, anna,
			here(broker.Relation{Case: broker.CaseAgency})},
		{"closed", []Command{household("c1", 0), CloseCase{"c1"}}, gemeente, anna, none},
		{"other household", []Command{household("c2", 4)}, gemeente, anna, none},
		{"a holder has no relation", []Command{household("c1", 0)}, kliniek, anna, none},
		{"agency without municipality", []Command{open(func(c *OpenCase) { c.Workers = []Worker{{kliniek, carla}} })}, kliniek, carla,
			here(broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalityUnknown})},
		{"household without municipality", []Command{open(func(c *OpenCase) { c.Municipality = "" })}, gemeente, anna,
			here(broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalityUnknown})},
		{"signal of a worker", []Command{open(signal)}, gemeente, anna, here(broker.Relation{Signal: true})},
		{"signal of a team", []Command{open(signal)}, gemeente, bram, here(broker.Relation{Signal: true})},
		{"signal of a colleague", []Command{open(signal)}, gemeente, carla, none},
		{"claim", []Command{open(claim)}, verhuurT, carla, here(broker.Relation{Claim: true, Municipality: broker.MunicipalityUnknown})},
		{"claim of a colleague", []Command{open(claim)}, verhuurT, anna, none},
		{"claim of another agency", []Command{open(claim)}, gemeente, carla, none},
		{"suspended", []Command{household("c1", 0), SuspendAgency{gemeente}}, gemeente, anna, none},
		{"resumed", []Command{household("c1", 0), SuspendAgency{gemeente}, ResumeAgency{gemeente}}, gemeente, anna,
			here(broker.Relation{Case: broker.CaseAssigned})},
		{"replaced while suspended", []Command{household("c1", 0), SuspendAgency{gemeente}, basics()[0]}, gemeente, anna, none},
		{"unknown agency", []Command{household("c1", 0)}, vreemd, anna, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, append(basics(), tt.commands...)...)
			if tt.want.Case == broker.CaseAgency { // a colleague's case binds in an emergency only
				if f := w.facts(ask(tt.agency, tt.worker, 1)); f.Relation != none || f.Case != "" || f.Household != nil {
					t.Errorf("without an emergency: %+v, case %q", f.Relation, f.Case)
				}
				w.do(DeclareEmergency{"c1", []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar, afgewogen met de arts"})
			}
			for name, q := range map[string]broker.Request{
				"by person": ask(tt.agency, tt.worker, 1), "by case": askCase(tt.agency, tt.worker, "c1"),
			} {
				f := w.facts(q)
				if f.Relation != tt.want {
					t.Errorf("%s: got %+v, want %+v", name, f.Relation, tt.want)
				}
				if found := f.Case == "c1" && len(f.Household) == 2 && len(f.Holders) == 2; found == tt.want.None() {
					t.Errorf("%s: relation %+v came with case %q, %d persons and %d holders", name, f.Relation, f.Case, len(f.Household), len(f.Holders))
				}
				if tt.want.None() && (f.Case != "" || f.Household != nil || f.Holders != nil || f.Emergency.Active) {
					t.Errorf("%s: an asker who is nobody learns something", name)
				}
			}
		})
	}
}

func TestHousehold(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), agreed("a1", verhuurT, "huur"))...)
	f := w.facts(ask(gemeente, anna, 0))
	want := []broker.Person{
		{BSN: bsns[0], Birth: broker.Date{Year: 1985, Month: 2, Day: 3}},
		{BSN: bsns[1], Birth: broker.Date{Year: 2015}, Restricted: true},
	}
	if !reflect.DeepEqual(f.Household, want) {
		t.Error("the household is not as it was given")
	}
	holders := []broker.Holder{
		{OIN: verhuurT, Kind: "woningcorporatie", Domains: []broker.Domain{"huur"}, Persons: []int{0}},
		{OIN: kliniek, Kind: "ggz-aanbieder"},
	}
	if !reflect.DeepEqual(f.Holders, holders) {
		t.Errorf("got holders %+v, want %+v", f.Holders, holders)
	}
	if f.Revision != revision || f.Position != w.Position() || f.Agency.OIN != gemeente {
		t.Errorf("got revision %s, position %d, agency %s", f.Revision, f.Position, f.Agency.OIN)
	}
}

func TestConsent(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	got := func(q broker.Request) [4][]broker.Domain {
		h := w.facts(q).Household
		return [4][]broker.Domain{h[0].Consent, h[0].Release, h[1].Consent, h[1].Release}
	}
	q := ask(gemeente, anna, 0)
	check := func(when string, want [4][]broker.Domain) {
		t.Helper()
		if got := got(q); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	schulden := []broker.Domain{"schulden"}
	check("at first", [4][]broker.Domain{})

	w.do(consented("c1", 0, KindConsent))
	check("given", [4][]broker.Domain{0: schulden})
	other := q
	other.Purpose = signalen
	if !reflect.DeepEqual(got(other), [4][]broker.Domain{}) {
		t.Error("a consent counts for another purpose")
	}

	w.do(consented("c1", 1, KindRelease), consented("c1", 1, KindRelease))
	check("released too", [4][]broker.Domain{0: schulden, 3: schulden})

	w.do(WithdrawConsent{Case: "c1", Person: bsns[1], Kind: KindRelease, Domain: "schulden"})
	check("both releases withdrawn", [4][]broker.Domain{0: schulden})

	elsewhere := consented("c1", 1, KindConsent)
	elsewhere.Recipient = elders
	w.do(elsewhere)
	check("given to another agency", [4][]broker.Domain{0: schulden})

	twice := consented("c1", 1, KindConsent)
	twice.Purposes = []broker.Purpose{signalen, voorkomen}
	w.do(twice, WithdrawConsent{Case: "c1", Person: bsns[1], Kind: KindConsent, Domain: "schulden", Purposes: []broker.Purpose{signalen}})
	check("withdrawn for another purpose", [4][]broker.Domain{0: schulden, 2: schulden})

	w.do(WithdrawConsent{Case: "c1", Person: bsns[1], Kind: KindConsent, Domain: "schulden", Recipient: gemeente})
	check("withdrawn for us", [4][]broker.Domain{0: schulden})
	if list := w.Consents("c1"); len(list) != 2 {
		t.Errorf("%d consents stand, want ours and that to another agency", len(list))
	}

	if err := w.try(WithdrawConsent{Case: "c1", Person: bsns[1], Kind: KindRelease, Domain: "schulden"}); err == nil {
		t.Error("what was withdrawn can be withdrawn again")
	}
}

// A calendar day begins and ends at midnight in Amsterdam, in winter an hour before UTC's and in summer two.
func TestDays(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	day := func(m, d int) broker.Date { return broker.Date{Year: 2026, Month: m, Day: d} }
	a := agreed("winter", verhuurT, "huur")
	a.From, a.Until = day(3, 20), day(3, 24)
	b := agreed("summer", verhuurT, "schulden")
	b.From, b.Until = day(7, 1), day(7, 1)
	c := consented("c1", 0, KindConsent)
	c.From, c.Until = day(3, 20), day(3, 24)
	w.do(AddAgreement{sign(a.Agreement)}, AddAgreement{sign(b.Agreement)}, c)
	for _, tt := range []struct {
		at        string
		agreement []broker.Domain
		consent   bool
	}{
		{"2026-03-19T22:59:59Z", nil, false},
		{"2026-03-19T23:00:00Z", []broker.Domain{"huur"}, true},
		{"2026-03-24T22:59:59Z", []broker.Domain{"huur"}, true},
		{"2026-03-24T23:00:00Z", nil, false},
		{"2026-06-30T21:59:59Z", nil, false},
		{"2026-06-30T22:00:00Z", []broker.Domain{"schulden"}, false},
		{"2026-07-01T21:59:59Z", []broker.Domain{"schulden"}, false},
		{"2026-07-01T22:00:00Z", nil, false},
	} {
		now, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.set(now)
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := w.facts(ask(gemeente, anna, 0))
		if !reflect.DeepEqual(f.Holders[0].Domains, tt.agreement) || (len(f.Household[0].Consent) > 0) != tt.consent {
			t.Errorf("at %s: domains %v, consent %v", tt.at, f.Holders[0].Domains, f.Household[0].Consent)
		}
	}
}

func TestAgreement(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0),
		agreed("a1", verhuurT, "huur"), agreed("a2", verhuurT, "schulden", "huur"), agreed("a3", kliniek, "ggz"))...)
	check := func(when string, want ...[]broker.Domain) {
		t.Helper()
		for i, h := range w.facts(ask(gemeente, anna, 0)).Holders {
			if !reflect.DeepEqual(h.Domains, want[i]) {
				t.Errorf("%s: %s gives %v, want %v", when, h.OIN, h.Domains, want[i])
			}
		}
	}
	check("at first", []broker.Domain{"huur", "schulden"}, []broker.Domain{"ggz"})
	q := ask(gemeente, anna, 0)
	if q.Purpose = signalen; w.facts(q).Holders[0].Domains != nil {
		t.Error("an agreement counts for another purpose")
	}
	w.do(SuspendAgency{verhuurT})
	check("suspended", nil, []broker.Domain{"ggz"})
	w.do(ResumeAgency{verhuurT}, WithdrawAgreement{"a2"})
	check("one withdrawn", []broker.Domain{"huur"}, []broker.Domain{"ggz"})
	w.do(WithdrawAgreement{"a1"}, WithdrawAgreement{"a3"})
	check("all withdrawn", nil, nil)
	if n := len(w.Agreements()); n != 0 {
		t.Errorf("%d agreements are listed", n)
	}
	forged := agreed("a4", verhuurT, "huur")
	forged.Domains = append(forged.Domains, "ggz")
	if err := w.try(forged); err == nil {
		t.Error("an agreement that its holder did not sign was taken")
	}
}

func TestEmergency(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0),
		DeclareEmergency{"c1", []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar, afgewogen met de arts"})...)
	if e := w.facts(ask(gemeente, anna, 0)).Emergency; !e.Active || !slices.Equal(e.Domains, []broker.Domain{"ggz"}) {
		t.Errorf("declared: got %+v", e)
	}
	w.clock.set(noon.Add(time.Hour))
	w.Refresh(t.Context())
	if e := w.facts(ask(gemeente, anna, 0)).Emergency; e.Active || e.Domains != nil {
		t.Errorf("past its time: got %+v", e)
	}
	w.clock.set(noon.Add(time.Minute))
	w.do(EndEmergency{"c1"})
	if w.facts(ask(gemeente, anna, 0)).Emergency.Active {
		t.Error("it was ended")
	}
}

func TestSeveralCases(t *testing.T) {
	agencyOnly := household("agency", 0)
	agencyOnly.Workers = nil
	signal := household("signal", 0)
	signal.Kind = KindSignal
	team := household("team", 0)
	team.Workers, team.Teams = nil, []Team{{gemeente, wijkteam}}
	later := household("later", 1) // shares one person
	w := newWorld(t, append(basics(), SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{anna}})...)
	for _, step := range []struct {
		do   Command
		want broker.CaseID
	}{
		{agencyOnly, ""}, // a colleague's
		{signal, "signal"},
		{team, "team"},
		{household("assigned", 0), "assigned"},
		{later, "later"},
		{CloseCase{"later"}, "assigned"},
		{Unassign{Case: "assigned", Agency: gemeente, Worker: anna}, "team"},
		{Unassign{Case: "team", Agency: gemeente, Team: wijkteam}, "signal"},
		{CloseCase{"signal"}, ""}, // three are colleagues' now
	} {
		w.do(step.do)
		if got := w.facts(ask(gemeente, anna, 1)).Case; got != step.want {
			t.Errorf("after %s: facts of case %q, want %q", step.do.kind(), got, step.want)
		}
	}

	w.do(DeclareEmergency{"agency", []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar, afgewogen met de arts"})
	if f := w.facts(ask(gemeente, anna, 1)); f.Case != "agency" || !f.Emergency.Active {
		t.Errorf("of colleagues' cases that with an emergency counts, not %q", f.Case)
	}
	q := ask(gemeente, anna, 1)
	q.Case = "agency"
	if f := w.facts(q); f.Case != "agency" || f.Relation.Case != broker.CaseAgency {
		t.Errorf("the working case does not count: %q", f.Case)
	}
	q = ask(gemeente, anna, 5) // not in it
	q.Case = "agency"
	if f := w.facts(q); !f.Relation.None() || f.Household != nil {
		t.Error("a working case gives a person who is not in it")
	}
}

// Invariant 6: what comes of an unknown household and of a forbidden one is the same, and so is the work.
func TestUnknownIsForbidden(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), household("c2", 0), agreed("a1", verhuurT, "huur"),
		consented("c1", 0, KindConsent))...)
	working := func(q broker.Request, id broker.CaseID) broker.Request { q.Case = id; return q }
	for _, tt := range []struct {
		name               string
		unknown, forbidden broker.Request
	}{
		{"by person", ask(elders, anna, 9), ask(elders, anna, 0)},
		{"by case", askCase(elders, anna, "c9"), askCase(elders, anna, "c1")},
		{"by person in a case", working(ask(elders, anna, 9), "c9"), working(ask(elders, anna, 0), "c1")},
		{"person not in the case", working(ask(gemeente, anna, 0), "c9"), working(ask(gemeente, anna, 5), "c1")},
		{"a colleague's case", ask(gemeente, carla, 9), ask(gemeente, carla, 0)},
		{"agency unknown", ask(vreemd, anna, 9), ask(vreemd, anna, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := w.facts(tt.unknown), w.facts(tt.forbidden)
			if len(a.Touches) != len(b.Touches) {
				t.Errorf("they rest on %d and %d touches", len(a.Touches), len(b.Touches))
			}
			constant := broker.Facts{
				Position: w.Position(), Revision: revision, Agency: a.Agency,
				Relation: broker.Relation{Case: broker.CaseNone, Municipality: broker.MunicipalityUnknown},
			}
			a.Touches, b.Touches = nil, nil
			if !reflect.DeepEqual(a, constant) || !reflect.DeepEqual(b, constant) {
				t.Errorf("not the constant facts: %+v and %+v", a, b)
			}
			allocs := func(q broker.Request) float64 {
				least := math.MaxFloat64
				for range 100 { // what others allocate meanwhile is counted too, and the race detector empties pools at random
					least = min(least, testing.AllocsPerRun(1, func() {
						if _, err := w.Facts(t.Context(), q); err != nil {
							t.Error(err)
						}
					}))
				}
				return least
			}
			if a, b := allocs(tt.unknown), allocs(tt.forbidden); a != b {
				t.Errorf("they take %v and %v allocations", a, b)
			}
		})
	}
}

func TestFactsRefused(t *testing.T) {
	code := func(err error) string {
		var e *broker.Error
		if !errors.As(err, &e) || e.Kind != broker.KindUnavailable {
			return ""
		}
		return e.Code
	}
	w := newWorld(t, basics()[:2]...)
	if _, err := w.Facts(t.Context(), ask(gemeente, anna, 0)); code(err) != "no-policy" {
		t.Errorf("without a policy: %v", err)
	}
	if _, ok := w.Revision(); ok {
		t.Error("there is a revision")
	}
	w.do(ActivatePolicy{Revision: revision})
	w.facts(ask(gemeente, anna, 0))

	w.clock.set(noon.Add(6 * time.Second))
	if _, err := w.Facts(t.Context(), ask(gemeente, anna, 0)); code(err) != "register-behind" || w.Ready() == nil {
		t.Errorf("when it was last seen complete 6 s ago: %v", err)
	}
	if err := w.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.facts(ask(gemeente, anna, 0))
}

// No command gives consent for somebody who is not in a case, but an entry might: it counts for nobody, and the case can be read.
func TestConsentOfAStranger(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	for _, person := range []int{5, 1} {
		c := consented("c1", person, KindRelease)
		if err := c.apply(w.env(w.state), w.Position()); err != nil {
			t.Fatal(err)
		}
	}
	f := w.facts(ask(gemeente, anna, 0))
	if len(f.Household) != 2 || len(f.Household[0].Release) != 0 || len(f.Household[1].Release) != 1 {
		t.Errorf("the household is %+v", f.Household)
	}
}
