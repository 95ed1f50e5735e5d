package misuse

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/looks"
)

// size says how large a simulated year is.
type size struct {
	teams, perTeam int
	months         int
	incidents      int // planted, of each kind
}

// town is a simulated organisation: teams of workers, their cases, and what they looked at.
type town struct {
	size
	rand    *rand.Rand
	begin   time.Time
	days    int
	teams   [][]*staff
	all     []*staff
	files   []*dossier
	looks   []looks.Look
	label   map[string]*incident // by answer
	planted []*incident
	busy    map[*staff]bool // has a planted incident of the kind that goes on for weeks
}

// staff is a worker: how they work is theirs for the whole year.
type staff struct {
	looks.Worker
	team    int
	role    broker.Role
	share   float64 // of a full working week
	early   int     // first hour
	perDay  float64 // looks
	breadth int     // fields usually asked
	onCall  int     // every so many weeks an evening and weekend rota; 0 never
	own     []*dossier
}

// dossier is a case of a household.
type dossier struct {
	id       broker.CaseID
	team     int
	owner    *staff
	from, to int // days it is worked on
	closed   int // day it is closed in the register: a while later, or never where it was forgotten
}

// incident is one planted misuse.
type incident struct{ kind string }

// kinds of misuse that are planted. The last three are made to be hard: they look like work.
var kinds = []string{"fishing", "ex-partner", "celebrity", "harvest", "old-case", "breadth", "stale-colleague", "slow-harvest", "own-evening", "one-glance"}

const everything = 40 // fields that can be asked at once

func newTown(seed uint64, s size) *town {
	t := &town{size: s, rand: rand.New(rand.NewPCG(seed, 1)), begin: time.Date(2025, 1, 6, 0, 0, 0, 0, broker.Amsterdam()), days: s.months * 365 / 12,
		label: map[string]*incident{}, busy: map[*staff]bool{}}
	roles := []broker.Role{"wijkteammedewerker", "wijkteammedewerker", "wijkteammedewerker", "schuldhulpverlener"}
	for n := range s.teams {
		var team []*staff
		for i := range s.perTeam {
			w := &staff{Worker: looks.Worker{Agency: "00000001003214345000", ID: broker.WorkerID(fmt.Sprintf("m%02d%02d", n, i))},
				team: n, role: roles[i*len(roles)/s.perTeam], share: []float64{0.6, 0.8, 0.8, 1}[t.rand.IntN(4)], early: 7 + t.rand.IntN(3),
				perDay: 4 + 6*t.rand.Float64(), breadth: 6 + t.rand.IntN(10)}
			if t.rand.IntN(8) == 0 {
				w.onCall = 4 + t.rand.IntN(3)
			}
			if t.rand.IntN(40) == 0 {
				w.breadth = 30 // has the habit, and means nothing by it
			}
			team = append(team, w)
		}
		t.teams = append(t.teams, team)
		t.all = append(t.all, team...)
	}
	for _, w := range t.all {
		for range 8 + t.rand.IntN(10) { // at the begin each has a load, begun some time ago
			t.open(w, -t.rand.IntN(150))
		}
	}
	for day := range t.days {
		t.work(day)
	}
	t.plant()
	return t
}

// open gives a worker a case.
func (t *town) open(w *staff, day int) *dossier {
	d := &dossier{id: broker.CaseID(fmt.Sprintf("z%06d", len(t.files))), team: w.team, owner: w, from: day, to: day + 40 + t.rand.IntN(220)}
	d.closed = d.to + t.rand.IntN(40)
	if t.rand.IntN(12) == 0 {
		d.closed = t.days + 1 // forgotten: it stays open in the register
	}
	w.own = append(w.own, d)
	t.files = append(t.files, d)
	return d
}

// at gives a moment of a day.
func (t *town) at(day, hour int) time.Time {
	d := t.begin.AddDate(0, 0, day)
	return time.Date(d.Year(), d.Month(), d.Day(), hour, t.rand.IntN(60), t.rand.IntN(60), t.rand.IntN(1e9), broker.Amsterdam())
}

// office gives an hour at which a worker is at work, most of the time.
func (w *staff) office(r *rand.Rand) int { return w.early + r.IntN(9) }

func (w *staff) fields(r *rand.Rand) int { return min(everything, max(1, w.breadth+r.IntN(9)-4)) }

// look records one request. A case that is closed binds nobody, so it is refused without naming it.
func (t *town) look(w *staff, d *dossier, when time.Time, fields int) *looks.Look {
	l := looks.Look{Answer: fmt.Sprintf("e%07d", len(t.looks)), Time: when.UTC(), Worker: w.Worker, Role: w.role, Purpose: "ontruiming-voorkomen",
		Relation: broker.CaseNone, Refused: true, Fields: fields}
	day := int(when.Sub(t.begin).Hours() / 24)
	if d != nil && day < d.closed && d.team == w.team {
		l.Case, l.Refused, l.Relation = d.id, false, broker.CaseTeam
		if d.owner == w {
			l.Relation = broker.CaseAssigned
		}
	}
	t.looks = append(t.looks, l)
	return &t.looks[len(t.looks)-1]
}

// open cases of a worker that are worked on.
func (w *staff) active(day int) []*dossier {
	var out []*dossier
	for _, d := range w.own {
		if d.from <= day && day < d.to {
			out = append(out, d)
		}
	}
	return out
}

// work is a day of ordinary work by everybody, with what is odd in it and means nothing.
func (t *town) work(day int) {
	date := t.begin.AddDate(0, 0, day)
	weekend := date.Weekday() == time.Saturday || date.Weekday() == time.Sunday
	for _, team := range t.teams {
		var there []*staff
		for _, w := range team {
			duty := w.onCall > 0 && (day/7)%w.onCall == w.team%w.onCall
			if duty { // on call: others' cases, in the evening and at the weekend
				for range t.rand.IntN(4) {
					if d := t.ofTeam(w, day); d != nil {
						t.look(w, d, t.at(day, 18+t.rand.IntN(6)), w.fields(t.rand))
					}
				}
			}
			if weekend || t.rand.Float64() > w.share*0.92 { // part time, holidays, illness
				continue
			}
			there = append(there, w)
		}
		for _, w := range there {
			t.day(w, day, team)
		}
		if len(there) > 3 && date.Weekday() == time.Tuesday { // the team talks over a case or two: some look at it
			for range 1 + t.rand.IntN(2) {
				d := t.ofTeam(there[0], day)
				for i, n := 0, 2+t.rand.IntN(3); d != nil && i < n && i < len(there); i++ {
					t.look(there[i], d, t.at(day, 10), there[i].fields(t.rand))
				}
			}
		}
	}
}

func (t *town) day(w *staff, day int, team []*staff) {
	if len(w.active(day)) < 9 || t.rand.IntN(15) == 0 { // a new case: intake asks for more
		d := t.open(w, day)
		t.look(w, d, t.at(day, w.office(t.rand)), 20+t.rand.IntN(20))
	}
	mine := w.active(day)
	for range int(w.perDay*(0.5+t.rand.Float64()) + 0.5) {
		hour := w.office(t.rand)
		if t.rand.IntN(100) == 0 {
			hour = 19 + t.rand.IntN(3) // stays late
		}
		when := t.at(day, hour)
		switch dice := t.rand.IntN(1000); {
		case dice < 25: // a mistyped number, or a household without a case yet
			t.look(w, nil, when, w.fields(t.rand))
			if t.rand.IntN(3) == 0 { // and again
				t.look(w, nil, when.Add(time.Minute), w.fields(t.rand))
			}
		case dice < 45: // a case of their own that ended
			t.look(w, w.own[t.rand.IntN(len(w.own))], when, w.fields(t.rand))
		case dice < 180: // of a colleague who is away or asks to look along
			if d := t.ofTeam(w, day); d != nil {
				t.look(w, d, when, w.fields(t.rand))
			}
		default:
			t.look(w, mine[t.rand.IntN(len(mine))], when, w.fields(t.rand))
		}
	}
	if t.rand.IntN(1500) == 0 { // somebody is ill for two weeks, and this worker takes over all of it
		ill := team[t.rand.IntN(len(team))]
		for _, d := range ill.active(day) {
			for range 1 + t.rand.IntN(3) {
				t.look(w, d, t.at(min(day+t.rand.IntN(14), t.days-1), w.office(t.rand)), w.fields(t.rand))
			}
		}
	}
}

// ofTeam gives a case of a colleague that is worked on.
func (t *town) ofTeam(w *staff, day int) *dossier {
	team := t.teams[w.team]
	for range 10 {
		o := team[t.rand.IntN(len(team))]
		if cases := o.active(day); o != w && len(cases) > 0 {
			return cases[t.rand.IntN(len(cases))]
		}
	}
	return nil
}
