package looks

import (
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// Window is how far back a worker's own rhythm, and that of peers, is looked at.
const Window = 56 // days

const (
	onlookDays = 7 // see CaseFacts.Onlookers
	fewPeers   = 5 // in a team; with fewer the whole agency is compared with
	topPercent = 1000
	manyLooks  = 100
	hours      = 24
	weekend    = hours // the slot after those of weekdays
	friday     = 5
	nearby     = 2 // hours
)

// history is what was seen so far.
type history struct {
	cfg     Config
	first   int // day of the first look
	today   int
	workers map[Worker]*worker
	cases   map[broker.CaseID]*file
	most    map[post]int // fields that were asked at once in this role for this purpose
	usual   map[group]usual
}

type post struct {
	role    broker.Role
	purpose broker.Purpose
}

// group is who are compared with each other; without a team, all of the agency.
type group struct {
	agency broker.OIN
	role   broker.Role
	team   string
}

// usual is what is usual in a group: medians.
type usual struct{ workers, others, breadth int }

// worker is what one worker did in the window.
type worker struct {
	id      Worker
	role    broker.Role
	past    []past // oldest first
	slots   [hours + 1]int
	breadth int // sum of the percentages
	others  map[broker.CaseID]int
	week    int // of the last look
	refused int // in a row
	day     int // of the last look
}

// past is one look of a worker.
type past struct {
	day     int
	slot    int
	breadth int
	other   broker.CaseID // a case of somebody else
}

// file is what was seen of one case.
type file struct {
	last      int // day somebody looked
	assigned  []seen
	onlookers []seen
}

// seen is when a worker last looked.
type seen struct {
	worker Worker
	day    int
}

func newHistory(c Config) *history {
	return &history{cfg: c, workers: map[Worker]*worker{}, cases: map[broker.CaseID]*file{}, most: map[post]int{}}
}

// add gives the facts of a look, and counts it in for those after it.
func (h *history) add(l Look) Facts {
	local := l.Time.In(broker.Amsterdam())
	day := int(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
	if len(h.workers) == 0 {
		h.first = day
	}
	if day != h.today {
		h.today = day
		h.compare()
	}
	w := h.workers[l.Worker]
	if w == nil {
		w = &worker{id: l.Worker, others: map[broker.CaseID]int{}}
		h.workers[l.Worker] = w
	}
	w.role = l.Role
	week := (day + 3) / 7 // the first day of all, 1 January 1970, was a Thursday
	weekday := (int(local.Weekday())+6)%7 + 1
	facts := Facts{V: 1, Look: LookFacts{Relation: l.Relation, Signal: l.Signal, Claim: l.Claim, Emergency: l.Emergency,
		Refused: l.Refused, Hour: local.Hour(), Weekday: weekday, FirstOfWeek: week != w.week}}
	own := l.Relation == broker.CaseAssigned || l.Signal || l.Claim

	facts.Worker = h.ofWorker(w, local.Hour(), weekday, facts.Look.FirstOfWeek)
	facts.Worker.RefusedInRow = w.row(l, day)
	p := past{day: day, slot: slot(local.Hour(), weekday)}
	at := post{l.Role, l.Purpose}
	h.most[at] = max(h.most[at], l.Fields, 1)
	p.breadth = 100 * l.Fields / h.most[at]
	if !own {
		p.other = l.Case
	}
	w.take(p)
	w.week, w.day = week, day

	if facts.Look.FirstOfWeek { // with this look counted in: a worker who looks at many cases does so with this one
		u := h.usual[h.group(w)]
		facts.Worker.Others = len(w.others)
		facts.Worker.OthersPercent = min(100*len(w.others)/max(u.others, 1), topPercent)
		facts.Worker.PeersBreadth, facts.Worker.Peers = u.breadth, u.workers
	}

	facts.Case = CaseFacts{ColleagueDays: -1, QuietDays: -1}
	if l.Case != "" {
		facts.Case = h.ofCase(l, own, day)
	}
	return facts
}

func (h *history) ofWorker(w *worker, hour, weekday int, first bool) WorkerFacts {
	f := WorkerFacts{HistoryDays: min(h.today-h.first, Window), Looks: min(len(w.past), manyLooks)}
	if len(w.past) > 0 {
		for near := hour - nearby; near <= hour+nearby; near++ {
			f.Habit += w.slots[slot((near+hours)%hours, weekday)]
		}
		if weekday > friday {
			f.Habit = w.slots[weekend]
		}
		f.Habit = min(f.Habit, manyLooks)
		if first {
			f.BreadthPercent = w.breadth / len(w.past)
		}
	}
	return f
}

// ofCase gives the facts of a case and counts the look in.
func (h *history) ofCase(l Look, own bool, day int) CaseFacts {
	f := CaseFacts{ColleagueDays: -1, QuietDays: -1}
	c := h.cases[l.Case]
	if c == nil {
		c = &file{last: -1}
		h.cases[l.Case] = c
	}
	if c.last >= 0 {
		f.QuietDays = day - c.last
	}
	c.last = day
	for _, s := range c.assigned {
		if s.worker != l.Worker && (f.ColleagueDays < 0 || day-s.day < f.ColleagueDays) {
			f.ColleagueDays = day - s.day
		}
	}
	f.Staffed = len(c.assigned) > 0 || len(h.cfg.On(l.Case)) > 0
	if own {
		c.assigned = note(c.assigned, l.Worker, day)
	} else {
		c.onlookers = note(c.onlookers, l.Worker, day)
	}
	c.onlookers = slices.DeleteFunc(c.onlookers, func(s seen) bool { return s.day <= day-onlookDays })
	f.Onlookers = len(c.onlookers)
	return f
}

func note(list []seen, w Worker, day int) []seen {
	i := slices.IndexFunc(list, func(s seen) bool { return s.worker == w })
	if i < 0 {
		return append(list, seen{w, day})
	}
	list[i].day = day
	return list
}

// row counts refusals without a tie that follow each other on one day.
func (w *worker) row(l Look, day int) int {
	if day != w.day || !l.Refused || l.Case != "" {
		w.refused = 0
	}
	if l.Refused && l.Case == "" {
		w.refused++
	}
	return w.refused
}

// slot is an hour of a weekday, or the weekend.
func slot(hour, weekday int) int {
	if weekday > friday {
		return weekend
	}
	return hour
}

func (w *worker) take(p past) {
	w.past = append(w.past, p)
	w.slots[p.slot]++
	w.breadth += p.breadth
	if p.other != "" {
		w.others[p.other]++
	}
}

// forget drops what happened before a day.
func (w *worker) forget(before int) {
	n := 0
	for ; n < len(w.past) && w.past[n].day < before; n++ {
		p := w.past[n]
		w.slots[p.slot]--
		w.breadth -= p.breadth
		if p.other == "" {
			continue
		}
		if w.others[p.other]--; w.others[p.other] == 0 {
			delete(w.others, p.other)
		}
	}
	w.past = w.past[n:]
}

// group finds whom a worker is compared with.
func (h *history) group(w *worker) group {
	g := group{w.id.Agency, w.role, h.cfg.Team(w.id)}
	if h.usual[g].workers < fewPeers {
		g.team = ""
	}
	return g
}

// compare lets go of what lies before the window, and works out what is usual, once a day, from the days before it.
func (h *history) compare() {
	others, breadth := map[group][]int{}, map[group][]int{}
	for _, w := range h.workers {
		if w.forget(h.today - Window); len(w.past) == 0 {
			continue
		}
		team := group{w.id.Agency, w.role, h.cfg.Team(w.id)}
		all := team
		all.team = ""
		for _, g := range slices.Compact([]group{team, all}) {
			others[g] = append(others[g], len(w.others))
			breadth[g] = append(breadth[g], w.breadth/len(w.past))
		}
	}
	h.usual = make(map[group]usual, len(others))
	for g, list := range others {
		h.usual[g] = usual{workers: len(list), others: median(list), breadth: median(breadth[g])}
	}
}

func median(list []int) int {
	slices.Sort(list)
	return list[len(list)/2]
}
