// Package misuse measures how well looks that nothing explains are found: a simulated organisation works for a year, misuse
// is planted in it and labelled, and the rules that judge the real log judge it too. It holds tests only; see README.md.
package misuse

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/looks"
	"github.com/schakel/schakel/policies"
)

var (
	year = flag.Bool("year", false, "the whole: 200 workers, a year")
	dice = flag.Uint64("dice", seed, "another seed")
)

// seed is chosen by nobody: it is the begin of the name of the commit (860ddcad1af7…) that the thresholds are in.
const seed = 0x860ddcad1af754b7

// figures are what was measured.
type figures struct {
	looks, given, listed, right int
	planted, found              map[string]int    // incidents by kind
	alarms                      map[string][2]int // by pattern: listed looks, and those of misuse
}

func measure(t *testing.T, seed uint64, s size) figures {
	town := newTown(seed, s)
	rules, err := decide.LoadRules(t.Context(), policies.Looks(policies.Files()), policies.LooksJudgement, policies.LooksComplete)
	if err != nil {
		t.Fatal(err)
	}
	teams, on := map[looks.Worker]string{}, map[broker.CaseID][]looks.Worker{}
	for _, w := range town.all {
		teams[w.Worker] = fmt.Sprint(w.team)
	}
	for _, d := range town.files {
		if d.closed > town.days { // of a closed case the register keeps no workers
			on[d.id] = []looks.Worker{d.owner.Worker}
		}
	}
	judged, err := looks.Judge(t.Context(), looks.Config{Rules: rules.Ask, Since: town.begin.AddDate(0, 0, town.days/4),
		Team: func(w looks.Worker) string { return teams[w] }, On: func(c broker.CaseID) []looks.Worker { return on[c] }}, town.looks)
	if err != nil {
		t.Fatal(err)
	}
	f := figures{planted: map[string]int{}, found: map[string]int{}, alarms: map[string][2]int{}}
	for _, i := range town.planted {
		f.planted[i.kind]++
	}
	hit := map[*incident]bool{}
	long := map[looks.Worker]*incident{} // the misuse of weeks that a worker has begun, and the last look of it
	last := map[looks.Worker]time.Time{}
	for _, j := range judged {
		f.looks++
		if !j.Refused {
			f.given++
		}
		i := town.label[j.Answer]
		if i != nil && (i.kind == "harvest" || i.kind == "slow-harvest" || i.kind == "breadth") {
			long[j.Worker], last[j.Worker] = i, j.Time
		}
		if !j.Judgement.Listed {
			continue
		}
		f.listed++
		right := i
		for _, p := range j.Judgement.Patterns {
			// What is said of a worker over weeks is right while that misuse is within these weeks, whichever look it is said at.
			if w := long[j.Worker]; (p.ID == "volume" || p.ID == "breadth") && w != nil && j.Time.Sub(last[j.Worker]) < looks.Window*24*time.Hour {
				right = w
			}
		}
		if right != nil {
			f.right++
			hit[right] = true
		}
		for _, p := range j.Judgement.Patterns {
			n := f.alarms[p.ID]
			n[0]++
			if right != nil {
				n[1]++
			}
			f.alarms[p.ID] = n
		}
	}
	for i := range hit {
		f.found[i.kind]++
	}
	return f
}

func (f figures) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d looks judged, of which %d gave something; %d on the list (%.1f per 1,000 disclosures), %d of them planted misuse (precision %.0f%%).\n\n",
		f.looks, f.given, f.listed, 1000*float64(f.listed)/float64(f.given), f.right, 100*float64(f.right)/float64(max(f.listed, 1)))
	b.WriteString("| Planted | Incidents | Found | Recall |\n|---|---|---|---|\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %d | %d | %d%% |\n", k, f.planted[k], f.found[k], 100*f.found[k]/max(f.planted[k], 1))
	}
	b.WriteString("\n| Pattern | On the list | Of misuse | Precision | Alarms per 1,000 disclosures |\n|---|---|---|---|---|\n")
	var ids []string
	for id := range f.alarms {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		n := f.alarms[id]
		fmt.Fprintf(&b, "| %s | %d | %d | %d%% | %.2f |\n", id, n[0], n[1], 100*n[1]/n[0], 1000*float64(n[0])/float64(f.given))
	}
	return b.String()
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	s := size{teams: 3, perTeam: 10, months: 6, incidents: 2}
	if *year {
		s = size{teams: 20, perTeam: 10, months: 12, incidents: 20}
	}
	f := measure(t, *dice, s)
	t.Log(f)
	if *dice != seed {
		return
	}
	if *year {
		readme, err := os.ReadFile("README.md")
		if err != nil || !strings.Contains(string(readme), f.String()) {
			t.Errorf("README.md has other figures (%v)", err)
		}
	}
	for _, kind := range []string{"fishing", "ex-partner", "celebrity", "harvest", "breadth", "stale-colleague"} {
		if f.planted[kind] == 0 || 2*f.found[kind] < f.planted[kind] {
			t.Errorf("%s: found %d of %d", kind, f.found[kind], f.planted[kind])
		}
	}
	if n := 1000 * f.listed / f.given; n > 10 || 4*f.right < f.listed {
		t.Errorf("%d of 1,000 disclosures on the list; %d of %d are misuse", n, f.right, f.listed)
	}
}
