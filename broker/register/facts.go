package register

import (
	"context"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// lookedAt is how many cases are looked at for every request, there or not, so that an unknown person takes the work of a
// known one. (Few persons are in more open cases; for those it takes a little more.)
const lookedAt = 4

// Facts gives what is true about one request at one position.
//
// A household is looked for by a person in it, or by a case. Where the request names a working case, that one counts, and
// must have the person. Otherwise the case counts that binds this worker most: assigned, a team of theirs, a signal or
// claim of theirs, in an emergency a colleague's; of equals the one opened last. Facts come from that case alone: who has a signal and a
// case on one household says which one is meant.
//
// Where nothing binds the asker to the household, where it does not exist, or where the asker is no agency that takes
// part, the answer is the same and takes the same way: constant facts, which rest on who asks and what was asked.
func (r *Register) Facts(_ context.Context, q broker.Request) (broker.Facts, error) {
	now := r.cfg.Now()
	asked := r.state.index.keys.ofSubject(q.Household.BSN)
	touches := r.asked(q)

	r.mu.RLock()
	defer r.mu.RUnlock()
	if err := r.ready(now); err != nil {
		return broker.Facts{}, err
	}
	f := broker.Facts{
		Position: positionAt(r.head),
		Touches:  touches,
		Revision: r.state.revision,
	}
	asker := stranger
	if a := r.state.agencies.get(q.Agency); a != nil && !a.Suspended {
		asker = a
	}
	f.Agency = asker.Agency

	records := r.state.openCases(asked)
	if q.Case != "" {
		records = []string{r.state.cases.record(q.Case)}
	}
	file, relation, err := r.state.nearest(records, packBSN(q.Household.BSN), Worker{asker.OIN, q.Worker}, now)
	if err != nil {
		return broker.Facts{}, err
	}
	if f.Relation = relation; relation.None() {
		return f, nil
	}
	f.Relation.Municipality = sameMunicipality(asker.Municipality, file.municipality)
	f.Case = file.id
	f.Household = file.household(q.Agency, q.Purpose, now)
	r.state.markRestricted(f.Household, r.cfg.Touch)
	f.Holders, f.Touches = r.state.holders(file, q, now, append(touches, r.cfg.Touch.ofCase(file.id)))
	if file.inEmergency(now) {
		f.Emergency = broker.QueryEmergency{Active: true, Domains: slices.Clone(file.emergency.domains)}
	}
	return f, nil
}

// stranger stands for whoever is no agency that takes part; nothing binds it to anything.
var stranger = &agency{}

// asked gives what constant facts rest on. It depends on the request alone, and is the same in kind whatever is there.
//
// An entry that could bind the asker to the household is about the asker's agency, about the worker (a team changes), or
// about a case: the one asked for, or one with the person asked for in it, and such an entry touches that person.
func (r *Register) asked(q broker.Request) []broker.Touch {
	t := append(make([]broker.Touch, 0, 12), r.cfg.Touch.ofAgency(q.Agency), r.cfg.Touch.ofWorker(Worker{q.Agency, q.Worker}))
	if q.Household.BSN != "" {
		t = append(t, r.cfg.Touch.ofSubject(q.Household.BSN))
	}
	if q.Case != "" {
		t = append(t, r.cfg.Touch.ofCase(q.Case))
	}
	return t
}

// openCases gives the records of the open cases of a person.
func (s *state) openCases(k indexKey) []string {
	records := make([]string, 0, lookedAt)
	for _, slot := range s.index.slots(k) {
		records = append(records, s.cases.records[slot])
	}
	return records
}

// nearest finds which of these cases binds the worker most; "" is none. bsn 0 stands for any person. Where there is none, a
// case is looked at that has about what a case has, and is nobody's.
func (s *state) nearest(records []string, bsn uint32, w Worker, now time.Time) (*caseFile, broker.Relation, error) {
	nearest, opened := "", broker.Position(0)
	file := &caseFile{members: make([]member, 0, 8), workers: make([]Worker, 0, 8), teams: make([]Team, 0, 4)}
	file.emergency.domains = make([]broker.Domain, 0, 4)
	u := s.cases.unpack("")
	relation := broker.Relation{Case: broker.CaseNone, Municipality: broker.MunicipalityUnknown}
	for i := range max(len(records), lookedAt) {
		record := s.cases.nothing
		if i < len(records) && records[i] != "" {
			record = records[i]
		}
		u.b = record
		if u.binding(file); u.err != nil {
			return nil, relation, u.err
		}
		here := s.relation(file, w, now)
		if bsn != 0 && file.member(bsn) < 0 {
			here.Case, here.Coordinator, here.Signal, here.Claim = broker.CaseNone, false, false, false
		}
		is, was := strength(here), strength(relation)
		if is > was || (is == was && is > 0 && file.opened > opened) {
			nearest, opened, relation = record, file.opened, here
		}
	}
	if nearest == "" {
		return nil, relation, nil
	}
	u.b = nearest
	file = u.caseFile()
	return file, relation, u.err
}

// relation says what binds a worker to a case. A worker without an agency is bound to nothing. A colleague's case binds in
// an emergency only: otherwise a worker could learn, from the clear part of the log or by the clock, which households
// colleagues have cases of (invariant 6).
func (s *state) relation(f *caseFile, w Worker, now time.Time) broker.Relation {
	r := broker.Relation{Case: broker.CaseNone, Municipality: broker.MunicipalityUnknown}
	coordinates := f.coordinator == w
	assigned := coordinates || slices.Contains(f.workers, w)
	inTeam, atAgency := false, f.agency == w.Agency
	for _, t := range f.teams {
		atAgency = atAgency || t.Agency == w.Agency
		inTeam = inTeam || (t.Agency == w.Agency && s.teams.get(t).has(w.Worker))
	}
	atAgency = atAgency || f.coordinator.Agency == w.Agency ||
		slices.ContainsFunc(f.workers, func(o Worker) bool { return o.Agency == w.Agency })
	switch {
	case f.closed || w.Agency == "":
	case f.kind == KindSignal:
		r.Signal = assigned || inTeam
	case f.kind == KindClaim:
		r.Claim = assigned && f.agency == w.Agency
	case assigned:
		r.Case, r.Coordinator = broker.CaseAssigned, coordinates
	case inTeam:
		r.Case = broker.CaseTeam
	case atAgency && f.inEmergency(now):
		r.Case = broker.CaseAgency
	}
	return r
}

func (f *caseFile) inEmergency(now time.Time) bool {
	return now.Before(f.emergency.until)
}

func strength(r broker.Relation) int {
	switch {
	case r.Case == broker.CaseAssigned:
		return 4
	case r.Case == broker.CaseTeam:
		return 3
	case r.Signal || r.Claim:
		return 2
	case r.Case == broker.CaseAgency:
		return 1
	}
	return 0
}

func sameMunicipality(a, b string) broker.Municipality {
	switch {
	case a == "" || b == "":
		return broker.MunicipalityUnknown
	case a == b:
		return broker.MunicipalitySame
	}
	return broker.MunicipalityOther
}

// household gives the persons of a case, with what each allows this recipient for this purpose.
func (f *caseFile) household(recipient broker.OIN, purpose broker.Purpose, now time.Time) []broker.Person {
	out := make([]broker.Person, len(f.members))
	for i, m := range f.members {
		out[i] = broker.Person{BSN: m.reveal(), Birth: m.birth(), Restricted: m.restricted, Deceased: m.deceased}
	}
	day := today(now)
	for _, c := range f.consents {
		if c.Recipient != recipient || !slices.Contains(c.Purposes, purpose) || !covers(c.From, c.Until, day) {
			continue
		}
		p := &out[f.member(packBSN(c.Person))] // it has them, see GiveConsent
		if c.Kind == KindRelease {
			p.Release = addTo(p.Release, c.Domain)
		} else {
			p.Consent = addTo(p.Consent, c.Domain)
		}
	}
	return out
}

// holders gives the holders that the case names, each with the domains it agreed to disclose to the asker for this
// purpose; none for a suspended one. What they are rests on them, so their touches are added.
func (s *state) holders(f *caseFile, q broker.Request, now time.Time, touches []broker.Touch) ([]broker.Holder, []broker.Touch) {
	out := make([]broker.Holder, 0, len(f.holders))
	day := today(now)
	for _, h := range f.holders {
		a := s.agencies.get(h.oin)
		if a == nil {
			continue
		}
		touches = append(touches, a.touch)
		holder := broker.Holder{OIN: a.OIN, Kind: a.Kind, Mandates: a.Mandates, Persons: slices.Clone(h.members)}
		for _, id := range s.index.given[pair{h.oin, q.Agency}] {
			g := s.agreements.get(id)
			if a.Suspended || !slices.Contains(g.Purposes, q.Purpose) || !covers(g.From, g.Until, day) {
				continue
			}
			for _, d := range g.Domains {
				holder.Domains = addTo(holder.Domains, d)
			}
		}
		out = append(out, holder)
	}
	return out, touches
}

// addTo adds to a sorted set.
func addTo[T ~string](set []T, v T) []T {
	i, there := slices.BinarySearch(set, v)
	if there {
		return set
	}
	return slices.Insert(set, i, v)
}
