package broker

import (
	"slices"
	"time"
)

// sighting is what the answers of holders showed of one person.
type sighting struct {
	restricted, deceased bool
	birth                Date // by the civil registry only
}

// see notes what an answer shows about the person it is about. It stays noted when the register moves: it need not know.
func (u *ruling) see(q question, rec Record) {
	bsn := u.facts.Household[q.person].BSN
	s := u.seen[bsn]
	s.restricted = s.restricted || rec.Restricted
	s.deceased = s.deceased || rec.Deceased
	if q.holder.Kind == KindRvIG && rec.Birth.Known() && rec.Birth.valid() {
		s.birth = rec.Birth
	}
	u.seen[bsn] = s
}

// observe takes what was seen into the facts, and tells whether that changed any.
func (u *ruling) observe() bool {
	changed := false
	household := make([]Person, len(u.facts.Household)) // the register's own slice is not ours to write in
	for i, p := range u.facts.Household {
		s := u.seen[p.BSN]
		was := p.Restricted == (p.Restricted || s.restricted) && p.Deceased == (p.Deceased || s.deceased)
		p.Restricted, p.Deceased = p.Restricted || s.restricted, p.Deceased || s.deceased
		if s.birth.Known() && s.birth != p.Birth {
			p.Birth, was = s.birth, false
		}
		household[i], changed = p, changed || !was
	}
	u.facts.Household = household
	return changed
}

// withdrawn takes away what came from a holder that is no longer named for this household with an agreement. Another
// holder of the same domain may still be, so the decision alone does not tell.
func (u *ruling) withdrawn(got *fetched) {
	for _, s := range u.subjects {
		for f := range s.grants {
			oin, asked := got.from[s][f]
			info, _ := u.catalog.Field(f)
			if asked && !u.agreed(oin, info.Domain, s.person) {
				s.refuse(f, []Reason{ReasonChanged})
			}
		}
	}
}

func (u *ruling) agreed(holder OIN, d Domain, person int) bool {
	for _, h := range u.facts.Holders {
		if h.OIN == holder && h.holds(person) && slices.Contains(h.Domains, d) {
			return true
		}
	}
	return false
}

// compose answers the fields that Schakel's own register holds: the composition of the household.
func (u *ruling) compose(got *fetched, now time.Time) {
	if len(u.facts.Household) == 0 {
		return
	}
	living, minor, unknown := 0, false, false
	children := []any{}
	for _, p := range u.facts.Household {
		if p.Deceased {
			continue
		}
		living++
		switch band := p.Birth.AgeBand(now); band {
		case AgeUnknown:
			unknown = true
		case Age0to11, Age12to15, Age16to17:
			minor = true
			children = append(children, string(band))
		}
	}
	values := map[Field]any{"huishouden.aantalPersonen": float64(living), "huishouden.leeftijdenKinderen": children,
		"huishouden.minderjarigenAanwezig": minor}
	if unknown { // an unknown age leaves open what rests on it: no value
		values["huishouden.leeftijdenKinderen"] = nil
		if !minor {
			values["huishouden.minderjarigenAanwezig"] = nil
		}
	}
	s := u.subjects[0]
	if got.records[s] == nil {
		got.records[s] = &Record{Values: map[Field]any{}, Companions: map[Field]any{}}
	}
	for f, v := range values {
		got.records[s].Values[f] = v
	}
}

// identityOf reads the identity from what the civil registry answered. Without a family name, or an address, nobody
// can be found by it.
func identityOf(rec *Record) (*Identity, bool) {
	if rec == nil {
		return nil, false
	}
	text := func(f Field) string { s, _ := rec.Values[f].(string); return s }
	birth, _ := dateOf(rec.Values[identityFields[3]])
	id := &Identity{text(identityFields[0]), text(identityFields[1]), text(identityFields[2]), birth,
		text(identityFields[4]), text(identityFields[5])}
	return id, id.FamilyName != "" && id.AddressLine != ""
}
