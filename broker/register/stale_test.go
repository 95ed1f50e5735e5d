package register

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// One change of each kind that changes what an asker is told, and each makes what they were told before stale.
func TestStale(t *testing.T) {
	team := household("c1", 0)
	team.Workers, team.Teams = nil, []Team{{gemeente, wijkteam}}
	moved := basics()[0].(AddAgency)
	moved.Municipality = "0599"
	holder := basics()[3].(AddAgency)
	holder.Mandates = []broker.Mandate{"wgs"}
	emergency := DeclareEmergency{"c1", []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar, afgewogen"}
	withdraw := WithdrawConsent{Case: "c1", Person: bsns[0], Kind: KindConsent, Domain: "schulden"}
	for name, tt := range map[string]struct {
		before []Command
		worker broker.WorkerID
		change Command
	}{
		"opened":             {nil, anna, household("c1", 0)},
		"opened another":     {[]Command{household("c1", 0)}, anna, household("c2", 1)},
		"closed":             {[]Command{household("c1", 0)}, anna, CloseCase{"c1"}},
		"assigned":           {[]Command{household("c1", 0)}, bram, Assign{Case: "c1", Agency: gemeente, Worker: bram}},
		"unassigned":         {[]Command{household("c1", 0)}, anna, Unassign{Case: "c1", Agency: gemeente, Worker: anna}},
		"coordinates":        {[]Command{household("c1", 0)}, anna, Assign{Case: "c1", Agency: gemeente, Worker: anna, Coordinator: true}},
		"team assigned":      {[]Command{household("c1", 0)}, bram, Assign{Case: "c1", Agency: gemeente, Team: wijkteam}},
		"joined the team":    {[]Command{team}, carla, SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{bram, carla}}},
		"left the team":      {[]Command{team}, bram, SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{carla}}},
		"suspended":          {[]Command{household("c1", 0)}, anna, SuspendAgency{gemeente}},
		"resumed":            {[]Command{household("c1", 0), SuspendAgency{gemeente}}, anna, ResumeAgency{gemeente}},
		"agency replaced":    {[]Command{household("c1", 0)}, anna, moved},
		"key suspended":      {[]Command{household("c1", 0)}, anna, SuspendKey{gemeente, "k1"}},
		"holder replaced":    {[]Command{household("c1", 0)}, anna, holder},
		"holder suspended":   {[]Command{household("c1", 0), agreed("a1", kliniek, "ggz")}, anna, SuspendAgency{kliniek}},
		"agreement added":    {[]Command{household("c1", 0)}, anna, agreed("a1", kliniek, "ggz")},
		"agreement gone":     {[]Command{household("c1", 0), agreed("a1", kliniek, "ggz")}, anna, WithdrawAgreement{"a1"}},
		"consent given":      {[]Command{household("c1", 0)}, anna, consented("c1", 0, KindConsent)},
		"consent withdrawn":  {[]Command{household("c1", 0), consented("c1", 0, KindConsent)}, anna, withdraw},
		"emergency declared": {[]Command{household("c1", 0)}, anna, emergency},
		"emergency ended":    {[]Command{household("c1", 0), emergency}, anna, EndEmergency{"c1"}},
		"policy":             {append([]Command{household("c1", 0)}, approved(1, revision, second)...), anna, activate(1, revision, second)},
		"policy stopped":     {append([]Command{household("c1", 0)}, officers()...), anna, stop(revision, second)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(basics(), tt.before...)...)
			by := map[string]broker.Request{"person": ask(gemeente, tt.worker, 1)}
			if name != "opened another" { // of which who asks by case is told nothing
				by["case"] = askCase(gemeente, tt.worker, "c1")
			}
			before := map[string]broker.Facts{}
			for how, q := range by {
				before[how] = w.facts(q)
			}
			w.do(tt.change)
			for how, q := range by {
				was, is := before[how], w.facts(q)
				if _, ok := w.Validate(was.Position, was.Touches); ok {
					t.Errorf("by %s: the facts pass as valid", how)
				}
				was.Position, was.Touches, is.Position, is.Touches = 0, nil, 0, nil
				if a, b := mustJSON(t, was), mustJSON(t, is); a == b {
					t.Errorf("by %s: nothing changed, so nothing was shown", how)
				}
			}
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
