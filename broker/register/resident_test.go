package register

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// request is a request of one of the persons.
func request(id string, person int) MakeRequest {
	return MakeRequest{ResidentRequest{ID: id, About: bsns[person], Kind: RequestObjection, Text: "ik wil dit niet"}}
}

func subjectOf(person int) broker.Touch { return testTouch("subject", bsns[person].Reveal()) }

func child(id string, by, about int) AddRepresentation {
	return AddRepresentation{Representation{ID: id, By: bsns[by], About: bsns[about], Name: "Sanne", Kind: ByAuthority, Birth: broker.Date{Year: 2015, Month: 6, Day: 1},
		From: broker.Date{Year: 2026, Month: 1, Day: 1}, Until: broker.Date{Year: 2031, Month: 5, Day: 31}, Proof: "uittreksel gezagsregister", Officer: ref(petra)}}
}

// TestRestriction: whatever a request names, a case or a person in it, what is restricted since stands in its facts, and what
// was true before passes as stale. It lasts until it is lifted, also in cases that are opened later, and over an erased key.
func TestRestriction(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{household("c1", 0), household("c2", 0), request("r1", 1)})...)
	questions := []broker.Request{askCase(gemeente, anna, "c1"), askCase(gemeente, anna, "c2"), ask(gemeente, anna, 0), ask(gemeente, anna, 1)}
	restricted := func(r *world, want bool) {
		t.Helper()
		for i, q := range questions {
			for n, p := range r.facts(q).Household {
				if p.ProcessingRestricted != (want && n == 1) {
					t.Errorf("question %d, person %d: %v", i, n, p.ProcessingRestricted)
				}
			}
		}
		if r.Restricted(bsns[1]) != want || r.Restricted(bsns[0]) {
			t.Errorf("restricted: %v, %v", r.Restricted(bsns[0]), r.Restricted(bsns[1]))
		}
	}
	var before []broker.Facts
	for _, q := range questions {
		before = append(before, w.facts(q))
	}
	stale := func(want bool) {
		t.Helper()
		for i, f := range before {
			if _, ok := w.Validate(f.Position, f.Touches); ok == want {
				t.Errorf("question %d: still valid is %v", i, ok)
			}
			before[i] = w.facts(questions[i])
		}
	}
	restricted(w, false)
	r1, _ := w.Request("r1")
	w.do(w.Restrict(r1, ref(petra)))
	stale(true)
	restricted(w, true)
	w.do(household("c3", 4)) // of others
	stale(false)
	w.do(CloseCase{"c2"}, household("c4", 0))
	questions[1] = askCase(gemeente, anna, "c4")
	restricted(w, true)

	keyID, _ := keyOfResident(testTouch, bsns[1])
	delete(w.store.keys, keyID)
	anew := &world{Register: w.reopen(), t: t, store: w.store, clock: w.clock}
	restricted(anew, true)
	if _, there := anew.Request("r1"); there {
		t.Error("an erased request is there")
	}
	at := anew.snapshot()
	restored := &world{Register: anew.restored(at), t: t, store: w.store, clock: w.clock}
	restricted(restored, true)
	restored.do(request("r2", 1))
	r2, _ := restored.Request("r2")
	for i, q := range questions {
		before[i] = restored.facts(q)
	}
	restored.do(restored.Lift(r2, ref(pieter)))
	w = restored
	stale(true)
	restricted(restored, false)
}

// TestRestrictionAtOnce: a restriction made in one step with the opening of a case touches that case too.
func TestRestrictionAtOnce(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{request("r1", 1)})...)
	w.do(household("c1", 0), RestrictProcessing{subjectOf(1), "r1", ref(petra)})
	entries := w.store.entries
	if last := entries[len(entries)-1]; !slices.Contains(last.Touches, testTouch("case", "c1")) || !slices.Contains(last.Touches, subjectOf(1)) {
		t.Errorf("touches %v", last.Touches)
	}
}

// TestResidentCommandsRefused: what can't be is refused, in words that say what to do and name no person.
func TestResidentCommandsRefused(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{household("c1", 0), request("open", 0), request("closed", 0),
		AnswerRequest{"closed", bsns[0], ref(petra), OutcomeRefused, "wij doen dit niet"}, child("p1", 0, 1)})...)
	make := func(change func(*MakeRequest)) Command { c := request("new", 0); change(&c); return c }
	represent := func(change func(*AddRepresentation)) Command { c := child("new", 0, 1); change(&c); return c }
	answer := AnswerRequest{"open", bsns[0], ref(petra), OutcomeGranted, "goed"}
	with := func(change func(*AnswerRequest)) Command { c := answer; change(&c); return c }
	for name, tt := range map[string]struct {
		command Command
		want    string
	}{
		"bsn":                {make(func(c *MakeRequest) { c.About = "123456789" }), "fails the 11-test"},
		"representative":     {make(func(c *MakeRequest) { c.By = "1" }), "9 digits"},
		"themselves":         {make(func(c *MakeRequest) { c.By = c.About }), "represents themselves"},
		"kind":               {make(func(c *MakeRequest) { c.Kind = "vraag" }), "correction or restriction"},
		"empty":              {make(func(c *MakeRequest) { c.Text = "" }), "1 to 4000"},
		"long":               {make(func(c *MakeRequest) { c.Text = strings.Repeat("é", 4001) }), "1 to 4000"},
		"no text":            {make(func(c *MakeRequest) { c.Text = "\xff" }), "1 to 4000"},
		"event":              {make(func(c *MakeRequest) { c.Event = "x" }), "64 hex"},
		"number in use":      {make(func(c *MakeRequest) { c.ID = "open" }), "draw another"},
		"number of another":  {make(func(c *MakeRequest) { c.ID = "p1" }), "draw another"},
		"number is a BSN":    {make(func(c *MakeRequest) { c.ID = bsns[0].Reveal() }), "may not be a BSN"},
		"taken by nobody":    {make(func(c *MakeRequest) { c.TakenBy = ref("niemand") }), "unknown"},
		"taken by a jurist":  {make(func(c *MakeRequest) { c.TakenBy = ref(jorien) }), "may not take"},
		"answer of nobody":   {with(func(c *AnswerRequest) { c.Officer = "" }), "unknown"},
		"answer of a jurist": {with(func(c *AnswerRequest) { c.Officer = ref(jorien) }), "may not answer"},
		"answer to nothing":  {with(func(c *AnswerRequest) { c.ID = "r9" }), "request list"},
		"about another":      {with(func(c *AnswerRequest) { c.About = bsns[1] }), "about another"},
		"twice":              {with(func(c *AnswerRequest) { c.ID = "closed" }), "answered already"},
		"outcome":            {with(func(c *AnswerRequest) { c.Outcome = "misschien" }), "granted or partly"},
		"no answer":          {with(func(c *AnswerRequest) { c.Text = "" }), "for the resident"},
		"extend no why":      {ExtendRequest{"open", bsns[0], ref(petra), ""}, "why it takes longer"},
		"extend answered":    {ExtendRequest{"closed", bsns[0], ref(petra), "veel"}, "answered already"},
		"restrict another":   {RestrictProcessing{subjectOf(1), "open", ref(petra)}, "about another"},
		"restrict nothing":   {RestrictProcessing{subjectOf(1), "r9", ref(petra)}, "request list"},
		"restrict, jurist":   {RestrictProcessing{subjectOf(0), "open", ref(jorien)}, "may not decide"},
		"lift none":          {LiftRestriction{subjectOf(0), "open", ref(petra)}, "no restriction"},
		"child of sixteen":   {represent(func(c *AddRepresentation) { c.Until = broker.Date{Year: 2031, Month: 6, Day: 1} }), "the child is 16"},
		"child, year known":  {represent(func(c *AddRepresentation) { c.Birth = broker.Date{Year: 2015} }), "the child is 16"},
		"child, no birth":    {represent(func(c *AddRepresentation) { c.Birth = broker.Date{} }), "date of birth"},
		"birth of an adult":  {represent(func(c *AddRepresentation) { c.Kind = ByMentor }), "gezag alone"},
		"no end":             {represent(func(c *AddRepresentation) { c.Until = broker.Date{} }), "until which day"},
		"ends before":        {represent(func(c *AddRepresentation) { c.Until = broker.Date{Year: 2025, Month: 1, Day: 1} }), "until which day"},
		"kind of it":         {represent(func(c *AddRepresentation) { c.Kind = "oom" }), "gezag or curatele"},
		"no name":            {represent(func(c *AddRepresentation) { c.Name = "" }), "name by which"},
		"no proof":           {represent(func(c *AddRepresentation) { c.Proof = "" }), "which document"},
		"nobody represents":  {represent(func(c *AddRepresentation) { c.By = "" }), "name the representative"},
		"of themselves":      {represent(func(c *AddRepresentation) { c.By = c.About }), "represents themselves"},
		"by a jurist":        {represent(func(c *AddRepresentation) { c.Officer = ref(jorien) }), "may not record"},
		"end of none":        {EndRepresentation{"p9", bsns[1], ref(petra)}, "represent list"},
		"end of another":     {EndRepresentation{"p1", bsns[0], ref(petra)}, "represent list"},
	} {
		err := w.Would(tt.command)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s…", name, err, tt.want)
		}
		if slices.Contains([]string{"twice", "extend answered", "lift none"}, name) { // an officer comes to these on a page
			inDutch(t, err)
		}
		for _, b := range bsns {
			if err != nil && strings.Contains(err.Error(), b.Reveal()) {
				t.Errorf("%s names a person", name)
			}
		}
	}
	for i := range openAtMost - 1 {
		w.do(request("n"+string(rune('a'+i)), 0))
	}
	if err := w.Would(request("new", 0)); err == nil || !strings.Contains(err.Error(), "wait for an answer") {
		t.Errorf("too many: %v", err)
	}
	w.do(answer)
	if err := w.Would(request("new", 0)); err != nil {
		t.Errorf("after one was answered: %v", err)
	}
	w.do(RestrictProcessing{subjectOf(0), "open", ref(petra)})
	if err := w.Would(RestrictProcessing{subjectOf(0), "open", ref(petra)}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("restricted twice: %v", err)
	} else {
		inDutch(t, err)
	}
}

// TestRequestTerm: an answer is due a month after, three where that was told in time, and never on a Saturday, a Sunday or a holiday.
func TestRequestTerm(t *testing.T) {
	at := func(day string) time.Time {
		made, err := time.ParseInLocation("2006-01-02", day, broker.Amsterdam())
		if err != nil {
			t.Fatal(err)
		}
		return made.Add(23 * time.Hour)
	}
	for made, want := range map[string][2]string{
		"2026-03-10": {"20260410", "20260610"}, // a Friday, a Wednesday
		"2026-01-31": {"20260302", "20260430"}, // there is no 31 February; the 28th is a Saturday
		"2026-11-30": {"20261230", "20270301"}, // no 30 February; the 28th is a Sunday
		"2024-01-31": {"20240229", "20240430"},
		"2025-03-21": {"20250422", "20250623"}, // Easter Monday
		"2026-04-05": {"20260506", "20260706"}, // 5 May, and a Sunday
		"2025-11-25": {"20251229", "20260225"}, // both days of Christmas, and a weekend
		"2026-03-03": {"20260407", "20260603"}, // Good Friday and all of Easter
		"2026-04-14": {"20260515", "20260714"}, // Ascension Day
		"2027-03-27": {"20270428", "20270628"}, // the King's birthday
	} {
		r := RequestState{Made: at(made)}
		if got := r.Due().Digits(); got != want[0] {
			t.Errorf("%s: %s, want %s", made, got, want[0])
		}
		if r.Extended = "veel"; r.Due().Digits() != want[1] {
			t.Errorf("%s, extended: %s, want %s", made, r.Due().Digits(), want[1])
		}
	}
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{request("r1", 0), request("r2", 0)})...)
	w.do(ExtendRequest{"r1", bsns[0], ref(petra), "het is veel werk"})
	if err := w.Would(ExtendRequest{"r1", bsns[0], ref(petra), "nog meer"}); err == nil || !strings.Contains(err.Error(), "once") {
		t.Errorf("extended twice: %v", err)
	} else {
		inDutch(t, err)
	}
	w.clock.set(noon.AddDate(0, 1, 1))
	if err := w.Would(ExtendRequest{"r2", bsns[0], ref(petra), "veel"}); err == nil || !strings.Contains(err.Error(), "its term is over") {
		t.Errorf("extended too late: %v", err)
	} else {
		inDutch(t, err)
	}
	if r, _ := w.Request("r1"); r.Extended != "het is veel werk" || r.Made != noon || len(w.RequestsOf(bsns[0])) != 2 || len(w.RequestsOf(bsns[1])) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRepresents: a representation counts on the days that it is for, and for who has it.
func TestRepresents(t *testing.T) {
	w := newWorld(t, slices.Concat(basics(), officers(), []Command{child("p1", 0, 1)})...)
	for day, want := range map[string]int{"2025-12-31": 0, "2026-01-01": 1, "2031-05-31": 1, "2031-06-01": 0} {
		at, _ := time.ParseInLocation("2006-01-02", day, broker.Amsterdam())
		w.clock.set(at)
		if got := w.Represents(bsns[0]); len(got) != want || len(w.Represents(bsns[1])) != 0 {
			t.Errorf("%s: %v", day, got)
		}
	}
	w.clock.set(noon)
	w.do(EndRepresentation{"p1", bsns[1], ref(petra)})
	if got := w.Represents(bsns[0]); len(got) != 0 || len(w.reopen().Represents(bsns[0])) != 0 {
		t.Errorf("ended: %v", got)
	}
	if err := w.Would(child("p1", 0, 1)); err != nil {
		t.Errorf("its number: %v", err)
	}
	for range 1000 {
		if id := ResidentNumber(); len(id) != 9 || checkID("a request", id) != nil {
			t.Fatalf("number %q", id)
		}
	}
}
