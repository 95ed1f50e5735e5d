package register

import (
	"cmp"
	"slices"

	"github.com/schakel/schakel/broker"
)

// CaseInfo is a case in a list: what an operator needs to find it, and how many persons are in it, not who.
type CaseInfo struct {
	ID           broker.CaseID `json:"id"`
	Kind         CaseKind      `json:"kind"`
	Agency       broker.OIN    `json:"agency"`
	Municipality string        `json:"municipality,omitempty"`
	Workers      []Worker      `json:"workers"`
	Teams        []Team        `json:"teams"`
	Coordinator  Worker        `json:"coordinator,omitzero"`
	Persons      int           `json:"persons"`
	Emergency    bool          `json:"emergency,omitempty"`
	Closed       bool          `json:"closed,omitempty"`
}

// Agencies lists all agencies by OIN.
func (r *Register) Agencies() []broker.Agency {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]broker.Agency, 0, len(r.state.agencies.own))
	for _, a := range r.state.agencies.own {
		out = append(out, a.Agency)
	}
	slices.SortFunc(out, func(a, b broker.Agency) int { return cmp.Compare(a.OIN, b.OIN) })
	return out
}

// Teams lists all teams with who is in them.
func (r *Register) Teams() []SetTeam {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]SetTeam, 0, len(r.state.teams.own))
	for name, t := range r.state.teams.own {
		if t == nil {
			continue // erased
		}
		out = append(out, SetTeam{Team: name, Workers: t.workers})
	}
	slices.SortFunc(out, func(a, b SetTeam) int {
		return cmp.Or(cmp.Compare(a.Agency, b.Agency), cmp.Compare(a.Team.Team, b.Team.Team))
	})
	return out
}

// CaseOpened gives the position at which a case was opened, also of one that was closed since; not known for one that was erased,
// or never was.
func (r *Register) CaseOpened(id broker.CaseID) (at broker.Position, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := r.state.cases.get(id)
	if f == nil {
		return 0, false
	}
	return f.opened, true
}

// Cases lists all cases in the order in which they were opened.
func (r *Register) Cases() []CaseInfo {
	r.mu.RLock()
	defer r.mu.RUnlock()
	files := slices.SortedFunc(slices.Values(r.state.cases.all()), func(a, b *caseFile) int { return cmp.Compare(a.opened, b.opened) })
	now := r.cfg.Now()
	out := make([]CaseInfo, 0, len(files))
	for _, f := range files {
		out = append(out, CaseInfo{
			ID: f.id, Kind: f.kind, Agency: f.agency, Municipality: f.municipality,
			Workers: f.workers, Teams: f.teams, Coordinator: f.coordinator,
			Persons: len(f.members), Closed: f.closed,
			Emergency: f.inEmergency(now),
		})
	}
	return out
}

// Case gives one open case with the persons in it.
func (r *Register) Case(id broker.CaseID) (Case, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := r.state.cases.get(id)
	if f == nil || f.closed {
		return Case{}, false
	}
	c := Case{
		ID: f.id, Kind: f.kind, Agency: f.agency, Municipality: f.municipality,
		Workers: f.workers, Teams: f.teams, Coordinator: f.coordinator,
	}
	for _, m := range f.members {
		c.Persons = append(c.Persons, Person{BSN: m.reveal(), Birth: m.birth(), Restricted: m.restricted, Deceased: m.deceased})
	}
	for _, h := range f.holders {
		holder := Holder{OIN: h.oin}
		for _, i := range h.members {
			holder.Persons = append(holder.Persons, f.members[i].reveal())
		}
		c.Holders = append(c.Holders, holder)
	}
	return c, true
}

// Agreements lists the agreements that were not withdrawn, by id.
func (r *Register) Agreements() []Agreement {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := []Agreement{}
	for _, a := range r.state.agreements.own {
		if !a.withdrawn {
			out = append(out, a.Agreement)
		}
	}
	slices.SortFunc(out, func(a, b Agreement) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Consents lists what was given in an open case and not withdrawn, in the order given.
func (r *Register) Consents(id broker.CaseID) []Consent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := r.state.cases.get(id)
	if f == nil {
		return nil
	}
	return f.consents
}
