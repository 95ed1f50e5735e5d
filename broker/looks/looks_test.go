package looks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

func moment(day, hour int) time.Time {
	return time.Date(2026, 3, day, hour, 30, 0, 0, broker.Amsterdam()) // 2 March is a Monday
}

func of(id string, c broker.CaseID, relation broker.CaseRelation, when time.Time) Look {
	return Look{Answer: fmt.Sprint(when.UnixNano(), id, c), Time: when, Worker: Worker{"1", broker.WorkerID(id)}, Role: "r", Purpose: "p", Case: c,
		Relation: relation, Fields: 5, Refused: relation == broker.CaseNone}
}

// alone is an organisation without teams, of which the register knows nothing.
func alone() Config {
	return Config{Rules: good, Team: func(Worker) string { return "" }, On: func(broker.CaseID) []Worker { return nil }}
}

func good(context.Context, any, any) error { return nil }

func judge(t *testing.T, c Config, all ...Look) []Judged {
	t.Helper()
	out, err := Judge(t.Context(), c, all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCaseFacts(t *testing.T) {
	out := judge(t, alone(),
		of("a", "z", broker.CaseTeam, moment(2, 10)),
		of("a", "z", broker.CaseTeam, moment(4, 10)),
		of("b", "z", broker.CaseAssigned, moment(5, 10)),
		of("c", "z", broker.CaseTeam, moment(8, 10)),
		of("b", "z", broker.CaseAssigned, moment(8, 11)),
		of("d", "z", broker.CaseTeam, moment(10, 23)), // a's looks are of eight and six days ago
		of("d", "z", broker.CaseTeam, moment(11, 0)),  // the next calendar day, half an hour later
		of("d", "other", broker.CaseTeam, moment(11, 1)),
		of("d", "", broker.CaseNone, moment(11, 2)),
	)
	for i, want := range []CaseFacts{
		{false, -1, -1, 1}, {false, -1, 2, 1}, {false, -1, 1, 1}, {true, 3, 3, 2}, {true, -1, 0, 2}, {true, 2, 2, 3}, {true, 3, 1, 2},
		{false, -1, -1, 1}, {false, -1, -1, 0},
	} {
		if got := out[i].Facts.Case; got != want {
			t.Errorf("look %d: %+v, want %+v", i, got, want)
		}
	}
	c := alone()
	c.On = func(broker.CaseID) []Worker { return []Worker{{"1", "b"}} }
	if out := judge(t, c, of("a", "z", broker.CaseTeam, moment(2, 10))); !out[0].Facts.Case.Staffed {
		t.Error("who the register has on the case does not count")
	}
}

// TestOwnPastIsNoColleague: that the case was once their own explains no look of today.
func TestOwnPastIsNoColleague(t *testing.T) {
	out := judge(t, alone(), of("a", "z", broker.CaseAssigned, moment(2, 10)), of("a", "z", broker.CaseTeam, moment(3, 10)))
	if got := out[1].Facts.Case; got.ColleagueDays != -1 || !got.Staffed {
		t.Errorf("%+v", got)
	}
}

func TestOwnTies(t *testing.T) {
	signal, claim := of("b", "z", broker.CaseNone, moment(2, 9)), of("c", "z", broker.CaseNone, moment(2, 9))
	signal.Signal, claim.Claim = true, true
	out := judge(t, alone(), signal, claim, of("a", "z", broker.CaseTeam, moment(3, 10)))
	if got := out[2].Facts.Case; got.ColleagueDays != 1 || got.Onlookers != 1 {
		t.Errorf("a signal or claim of one's own makes nobody an onlooker: %+v", got)
	}
}

func TestClock(t *testing.T) {
	for when, want := range map[time.Time]LookFacts{
		time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC): {Hour: 0, Weekday: 7}, // Sunday, in winter time
		time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC):  {Hour: 3, Weekday: 7}, // an hour later on the clock than in UTC plus one
		time.Date(2026, 7, 3, 22, 0, 0, 0, time.UTC):   {Hour: 0, Weekday: 6},
	} {
		l := of("a", "z", broker.CaseAssigned, when)
		if got := judge(t, alone(), l)[0].Facts.Look; got.Hour != want.Hour || got.Weekday != want.Weekday || !got.FirstOfWeek {
			t.Errorf("%s: %+v", when, got)
		}
	}
	out := judge(t, alone(), of("a", "z", broker.CaseAssigned, moment(2, 9)), of("a", "z", broker.CaseAssigned, moment(8, 23)),
		of("a", "z", broker.CaseAssigned, moment(9, 0)))
	if out[1].Facts.Look.FirstOfWeek || !out[2].Facts.Look.FirstOfWeek {
		t.Error("the week begins on Monday")
	}
}

func TestRefusalsInRow(t *testing.T) {
	none := func(day, hour int) Look { return of("a", "", broker.CaseNone, moment(day, hour)) }
	given := of("a", "z", broker.CaseAssigned, moment(2, 13))
	refusedInCase := of("a", "z", broker.CaseAssigned, moment(3, 11))
	refusedInCase.Refused = true
	out := judge(t, alone(), none(2, 9), none(2, 10), of("b", "", broker.CaseNone, moment(2, 11)), none(2, 12), given, none(2, 14), none(3, 9),
		none(3, 10), refusedInCase, none(3, 12))
	var got []int
	for _, j := range out {
		got = append(got, j.Facts.Worker.RefusedInRow)
	}
	if want := []int{1, 2, 1, 3, 0, 1, 1, 2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRhythm(t *testing.T) {
	var all []Look
	for day := 2; day <= 6; day++ { // a week of mornings and one evening
		all = append(all, of("a", "z", broker.CaseAssigned, moment(day, 9)))
	}
	all = append(all, of("a", "z", broker.CaseAssigned, moment(6, 20)))
	at := func(day, hour int) int {
		return judge(t, alone(), append(slices.Clone(all), of("a", "z", broker.CaseAssigned, moment(day, hour)))...)[6].Facts.Worker.Habit
	}
	for _, tt := range [][3]int{{9, 9, 5}, {9, 7, 5}, {9, 11, 5}, {9, 12, 0}, {9, 6, 0}, {9, 22, 1}, {9, 23, 0}, {14, 9, 0}, {15, 23, 0}} {
		if got := at(tt[0], tt[1]); got != tt[2] {
			t.Errorf("day %d hour %d: %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
	if got := judge(t, alone(), append(slices.Clone(all), of("a", "z", broker.CaseAssigned, moment(8, 3)), of("a", "z", broker.CaseAssigned, moment(14, 22)))...)[7].Facts.Worker.Habit; got != 1 {
		t.Errorf("weekends: %d", got)
	}
	late := of("a", "z", broker.CaseAssigned, moment(6, 9).AddDate(0, 0, Window+1))
	if f := judge(t, alone(), append(slices.Clone(all), late)...)[6].Facts.Worker; f.Looks != 0 || f.HistoryDays != Window {
		t.Errorf("what lies before the window counts: %+v", f)
	}
}

func TestPeers(t *testing.T) {
	var all []Look
	for w := range 6 { // worker n looks at n+1 cases of others and asks for 10(n+1) fields
		for k := range w + 1 {
			l := of(fmt.Sprint("w", w), broker.CaseID(fmt.Sprint(w, k)), broker.CaseTeam, moment(2, 9))
			l.Fields = 10 * (w + 1)
			all = append(all, l)
		}
	}
	monday := of("w5", "new", broker.CaseTeam, moment(9, 9))
	monday.Fields = 60
	for name, tt := range map[string]struct {
		team func(Worker) string
		want WorkerFacts
	}{
		"agency": {func(Worker) string { return "" }, WorkerFacts{HistoryDays: 7, Looks: 6, Habit: 6, Others: 7, OthersPercent: 175, BreadthPercent: 100, PeersBreadth: 100, Peers: 6}},
		"team too small": {func(w Worker) string { return map[bool]string{true: "small"}[w.ID > "w2"] },
			WorkerFacts{HistoryDays: 7, Looks: 6, Habit: 6, Others: 7, OthersPercent: 175, BreadthPercent: 100, PeersBreadth: 100, Peers: 6}},
		"team": {func(w Worker) string { return map[bool]string{true: "large"}[w.ID > "w0"] },
			WorkerFacts{HistoryDays: 7, Looks: 6, Habit: 6, Others: 7, OthersPercent: 175, BreadthPercent: 100, PeersBreadth: 100, Peers: 5}},
	} {
		c := alone()
		c.Team = tt.team
		out := judge(t, c, append(slices.Clone(all), monday)...)
		if got := out[len(out)-1].Facts.Worker; got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	again := of("w5", "new", broker.CaseTeam, moment(9, 10))
	out := judge(t, alone(), append(slices.Clone(all), monday, again)...)
	if f := out[len(out)-1].Facts.Worker; f.Others != 0 || f.BreadthPercent != 0 || f.Peers != 0 {
		t.Errorf("told twice a week: %+v", f)
	}
}

// TestLaterLooksChangeNothing: the facts of a look are the same whatever comes after it, and in whatever order looks are given.
func TestLaterLooksChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	var all []Look
	for n := range 400 {
		l := of(fmt.Sprint("w", r.IntN(7)), broker.CaseID(fmt.Sprint("z", r.IntN(20))),
			[]broker.CaseRelation{broker.CaseAssigned, broker.CaseTeam, broker.CaseNone}[r.IntN(3)], moment(2, 0).Add(time.Duration(r.IntN(100*24*60))*time.Minute))
		if l.Answer = fmt.Sprint(n); l.Relation == broker.CaseNone {
			l.Case = ""
		}
		l.Fields = 1 + r.IntN(20)
		all = append(all, l)
	}
	whole := judge(t, alone(), slices.Clone(all)...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if again := judge(t, alone(), slices.Clone(all)...); fmt.Sprint(whole) != fmt.Sprint(again) {
		t.Error("the order in which looks are given matters")
	}
	half := make([]Look, 200)
	for i := range half {
		half[i] = whole[i].Look
	}
	if part := judge(t, alone(), half...); fmt.Sprint(part) != fmt.Sprint(whole[:200]) {
		t.Error("a later look changed the facts of an earlier one")
	}
	c := alone()
	c.Since = whole[200].Time
	if part := judge(t, c, slices.Clone(all)...); fmt.Sprint(part) != fmt.Sprint(whole[200:]) {
		t.Error("what lies before Since is no history")
	}
}

func TestRankedAndCounted(t *testing.T) {
	c := alone()
	c.Rules = func(_ context.Context, facts, judgement any) error {
		f, j := facts.(Facts), judgement.(*Judgement)
		if f.Look.Hour >= 20 {
			j.Patterns, j.Score = []Named{{ID: "late"}}, f.Look.Hour
			j.Listed = f.Look.Hour > 20
		}
		return nil
	}
	out := judge(t, c, of("a", "z", broker.CaseTeam, moment(2, 9)), of("a", "z", broker.CaseTeam, moment(2, 20)), of("a", "z", broker.CaseTeam, moment(3, 21)),
		of("b", "z", broker.CaseTeam, moment(4, 21)), of("b", "z", broker.CaseTeam, moment(2, 23)), of("a", "", broker.CaseNone, moment(2, 8)))
	var got []string
	for _, j := range Ranked(out) {
		got = append(got, fmt.Sprint(j.Time.In(broker.Amsterdam()).Day(), j.Judgement.Score))
	}
	if want := []string{"2 23", "4 21", "3 21"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	tally := Count(out)
	want := Tally{Looks: 6, Given: 5, Listed: 3, Workers: 2, Patterns: []PatternTally{{Named{ID: "late"}, 3, 2}}}
	if fmt.Sprint(tally) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", tally, want)
	}
	broken := errors.New("no rules")
	c.Rules = func(context.Context, any, any) error { return broken }
	if _, err := Judge(t.Context(), c, []Look{of("a", "z", broker.CaseTeam, moment(2, 9))}); !errors.Is(err, broken) {
		t.Errorf("%v: a look that could not be judged passed for a good one", err)
	}
}

// TestSchema holds the facts to the schema that the rules are compiled against.
func TestSchema(t *testing.T) {
	type schema struct {
		Required   []string
		Properties map[string]schema
	}
	var whole schema
	if err := json.Unmarshal(policies.Files()["schemas/look.json"], &whole); err != nil {
		t.Fatal(err)
	}
	var facts map[string]json.RawMessage
	text, _ := json.Marshal(Facts{})
	_ = json.Unmarshal(text, &facts)
	agree := func(name string, s schema, has map[string]json.RawMessage) {
		for k := range has {
			if _, ok := s.Properties[k]; !ok || !slices.Contains(s.Required, k) {
				t.Errorf("%s.%s is not in the schema", name, k)
			}
		}
		if len(has) != len(s.Properties) || len(has) != len(s.Required) {
			t.Errorf("%s: the schema has more", name)
		}
	}
	agree("facts", whole, facts)
	for name, part := range facts {
		if inner := map[string]json.RawMessage{}; bytes.HasPrefix(part, []byte("{")) {
			_ = json.Unmarshal(part, &inner)
			agree(name, whole.Properties[name], inner)
		}
	}
}
