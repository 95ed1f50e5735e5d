package misuse

import (
	"time"

	"github.com/schakel/schakel/broker/looks"
)

// plant adds misuse, after a first quarter without any.
func (t *town) plant() {
	for _, kind := range kinds {
		for range t.incidents {
			i := &incident{kind: kind}
			for range 50 { // until the moment fits
				before := len(t.looks)
				changed := t.plantOne(kind)
				for k := before; k < len(t.looks); k++ {
					changed = append(changed, k)
				}
				for _, k := range changed {
					t.label[t.looks[k].Answer] = i
				}
				if len(changed) > 0 {
					t.planted = append(t.planted, i)
					break
				}
			}
		}
	}
}

// plantOne adds looks, or changes those it gives; nothing where the worker and day that chance chose do not fit.
func (t *town) plantOne(kind string) (changed []int) {
	w := t.all[t.rand.IntN(len(t.all))]
	from := t.days / 4
	day := from + t.rand.IntN(t.days-from-10)
	if late := int(t.begin.AddDate(0, 0, day).Weekday()+6)%7 - 5; late >= 0 {
		day += 2 - late // to Monday: what is misuse at noon is not to be found by its being a Sunday
	}
	switch kind {
	case "fishing": // tries numbers of people they know
		for k := range 3 + t.rand.IntN(5) {
			t.look(w, nil, t.at(day, 12).Truncate(time.Hour).Add(time.Duration(k)*time.Minute), w.fields(t.rand))
		}
	case "ex-partner": // follows one household that a colleague works on, in the evenings
		if d := t.ofTeam(w, day); d != nil && w.onCall == 0 {
			for k := range 3 + t.rand.IntN(4) {
				t.look(w, d, t.at(min(day+2*k, t.days-1), 20+t.rand.IntN(3)), w.fields(t.rand))
			}
		}
	case "celebrity": // a household in the news: colleagues look, each once, by day
		d := t.ofTeam(w, day)
		if d == nil {
			return nil
		}
		for _, o := range t.teams[w.team] {
			if o != d.owner && t.rand.IntN(10) < 9 {
				t.look(o, d, t.at(day+t.rand.IntN(3), o.office(t.rand)), o.fields(t.rand))
			}
		}
	case "harvest", "slow-harvest": // goes through the team's cases for four weeks
		perDay := 4
		if kind == "slow-harvest" {
			perDay = 1
		}
		if day+28 > t.days || t.busy[w] {
			return nil
		}
		t.busy[w] = true
		for k := range 28 {
			for range perDay {
				if d := t.ofTeam(w, day+k); d != nil && t.begin.AddDate(0, 0, day+k).Weekday()%6 != 0 {
					t.look(w, d, t.at(day+k, w.office(t.rand)), w.fields(t.rand))
				}
			}
		}
	case "old-case": // one of their own, forgotten in the register, on which no work is done any more
		for _, d := range w.own {
			if d.closed > t.days && day-d.to > 185 {
				t.look(w, d, t.at(day, w.office(t.rand)), w.fields(t.rand))
				return nil
			}
		}
	case "breadth": // from some day on asks for everything there is, in every look
		if t.busy[w] || day+60 > t.days {
			return nil
		}
		t.busy[w] = true
		for k := range t.looks {
			l := &t.looks[k]
			if at := t.dayOf(l); l.Worker == w.Worker && at >= day && at < day+60 && t.label[l.Answer] == nil {
				l.Fields = everything
				changed = append(changed, k)
			}
		}
	case "stale-colleague": // a colleague's case that nobody works on, still open
		for range 200 {
			if d := t.files[t.rand.IntN(len(t.files))]; d.team == w.team && d.owner != w && day-d.to > 35 && day-d.to < 150 && d.closed > day {
				t.look(w, d, t.at(day, w.office(t.rand)), w.fields(t.rand))
				return nil
			}
		}
	case "own-evening": // their own case, at night, out of curiosity: only they know
		if mine := w.active(day); len(mine) > 0 {
			t.look(w, mine[0], t.at(day, 22), w.fields(t.rand))
		}
	case "one-glance": // a colleague's case that is worked on, once, at noon
		if d := t.ofTeam(w, day); d != nil {
			t.look(w, d, t.at(day, 12), w.fields(t.rand))
		}
	}
	return changed
}

func (t *town) dayOf(l *looks.Look) int { return int(l.Time.Sub(t.begin).Hours() / 24) }
