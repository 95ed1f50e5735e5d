package broker

import (
	"context"
	"errors"
	"slices"
)

// question is one thing to ask of one holder about one data subject.
type question struct {
	holder  Holder
	source  Source
	key     KeyKind
	subject *subject
	person  int // whose BSN or identity is the key: the subject's, or the reference person's for the household
	fields  []Field
}

// fetched is what the questions brought.
type fetched struct {
	asked   []question
	records map[*subject]*Record
	from    map[*subject]map[Field]OIN // who was asked for a field
	missing map[*subject]map[Field]OIN // granted, but its holder failed
	kinds   map[OIN]AgencyKind         // of the holders in from and missing
}

// identityFields are what a holder without a BSN ground is asked by.
var identityFields = []Field{
	"persoon.naam.voornamen", "persoon.naam.voorvoegsel", "persoon.naam.geslachtsnaam", "persoon.geboorte.datum",
	"persoon.adressering.adresregel1", "persoon.adressering.adresregel2",
}

// fetch asks the named holders for what was granted, and nothing more. First those with a BSN ground, concurrently; if
// an answer shows a stricter fact, it is decided on again; then those that are asked by name, birth date and address,
// which may only be sent where that was decided too.
//
// Decisions are made under kept, which does not end when the asker goes away: what was asked must still be recorded.
func (b *Broker) fetch(ctx, kept context.Context, u *ruling) (*fetched, error) {
	got := &fetched{records: map[*subject]*Record{}, from: map[*subject]map[Field]OIN{}, missing: map[*subject]map[Field]OIN{},
		kinds: map[OIN]AgencyKind{}}
	if u.refusing() {
		return got, nil
	}
	byBSN, byIdentity := u.plan(b.cfg.Sources)
	byIdentity, err := b.lookups(kept, u, byIdentity)
	if err != nil {
		return nil, err
	}
	if u.refusing() { // asking is a disclosure too: nobody is asked for an answer that will not be given
		return got, nil
	}
	identities := map[int]*Record{}
	byBSN = u.askIdentity(b.cfg.Sources, byBSN, byIdentity)
	b.run(ctx, u, got, byBSN, identities)

	if u.observe() {
		if err := u.decide(kept, b.cfg.Decider, b.cfg.Now(), stricter); err != nil {
			return nil, err
		}
		if byIdentity, err = b.lookups(kept, u, still(byIdentity)); err != nil {
			return nil, err
		}
		if u.refusing() {
			return got, nil
		}
	}
	b.run(ctx, u, got, byIdentity, identities)
	if u.observe() {
		if err := u.decide(kept, b.cfg.Decider, b.cfg.Now(), stricter); err != nil {
			return nil, err
		}
	}
	u.compose(got, b.cfg.Now())
	return got, nil
}

// plan groups the granted fields into questions. A granted field for which no holder is named with an agreement, or
// none is configured, is withheld.
func (u *ruling) plan(sources Sources) (byBSN, byIdentity []question) {
	for _, s := range u.subjects {
		for _, f := range s.fields {
			if _, ok := s.grants[f]; !ok {
				continue
			}
			info, _ := u.catalog.Field(f)
			if slices.Contains(info.Holders, KindRegister) {
				continue
			}
			h, src, ok := u.holder(sources, info, s.person)
			if !ok {
				s.refuse(f, []Reason{ReasonNoAgreement})
				continue
			}
			list := &byBSN
			if src.Key() == KeyIdentity {
				list = &byIdentity
			}
			*list = u.put(*list, h, src, s, f)
		}
	}
	return byBSN, byIdentity
}

func (u *ruling) put(list []question, h Holder, src Source, s *subject, f Field) []question {
	for i := range list {
		q := &list[i]
		if q.holder.OIN == h.OIN && q.subject == s {
			if !slices.Contains(q.fields, f) {
				q.fields = append(q.fields, f)
			}
			return list
		}
	}
	return append(list, question{holder: h, source: src, key: src.Key(), subject: s, person: h.askedBy(s.person),
		fields: []Field{f}})
}

// holder picks the first kind in the catalog entry that is named for this person with an agreement. A BSN goes only
// to a holder with a ground.
func (u *ruling) holder(sources Sources, info FieldInfo, person int) (Holder, Source, bool) {
	for _, kind := range info.Holders {
		for _, h := range u.facts.Holders {
			if h.Kind != kind || !h.holds(person) || !slices.Contains(h.Domains, info.Domain) {
				continue
			}
			src, ok := sources.Source(h.OIN)
			if !ok || h.askedBy(person) >= len(u.facts.Household) {
				continue
			}
			if key := src.Key(); key == KeyIdentity || (key == KeyBSN && u.catalog.MayHaveBSN(h.Kind, h.Mandates)) {
				return h, src, true
			}
		}
	}
	return Holder{}, nil, false
}

// lookups decides, for each holder that is asked by name, birth date and address, whether it may be sent those. Where
// it may not, its fields are withheld for the reasons given.
func (b *Broker) lookups(ctx context.Context, u *ruling, qs []question) ([]question, error) {
	var allowed []question
	for _, q := range qs {
		key := &subject{person: q.person, decided: identityFields}
		in := u.query(key, b.cfg.Now())
		in.Agency = QueryAgency{q.holder.Kind, q.holder.Mandates}
		in.Role = RoleHolder
		in.Relation = Relation{Case: CaseAgency, Municipality: u.facts.Relation.Municipality}
		dec, n, err := u.ask(ctx, b.cfg.Decider, in.Canonical())
		if err != nil {
			return nil, err
		}
		if l := (lookup{q.subject, n, q.holder.Kind}); !slices.Contains(u.lookups, l) {
			u.lookups = append(u.lookups, l)
		}
		var reasons []Reason
		for _, f := range identityFields {
			switch g, ok := dec.Grants[f]; {
			case ok && g.Form == FormExact:
			case len(dec.Refusals[f]) == 0: // granted in part, or refused without a word: that must not pass for a grant
				reasons = append(reasons, ReasonForm)
			default:
				reasons = append(reasons, dec.Refusals[f]...)
			}
		}
		if _, _, ok := u.registry(b.cfg.Sources, q.person); !ok && len(reasons) == 0 {
			reasons = []Reason{ReasonNoAgreement}
		}
		if len(reasons) == 0 {
			allowed = append(allowed, q)
			continue
		}
		for _, f := range q.fields {
			q.subject.refuse(f, reasons)
		}
	}
	return allowed, nil
}

// registry finds the civil registry for a person.
func (u *ruling) registry(sources Sources, person int) (Holder, Source, bool) {
	info, ok := u.catalog.Field(identityFields[0])
	if !ok {
		return Holder{}, nil, false
	}
	return u.holder(sources, info, person)
}

// askIdentity adds to the questions for the civil registry what the allowed lookups need.
func (u *ruling) askIdentity(sources Sources, byBSN, byIdentity []question) []question {
	for _, q := range byIdentity {
		h, src, _ := u.registry(sources, q.person)
		about := q.subject
		for _, s := range u.subjects {
			if s.person == q.person {
				about = s
			}
		}
		for _, f := range identityFields {
			byBSN = u.put(byBSN, h, src, about, f)
		}
	}
	return byBSN
}

// still drops the questions whose every field was refused since, and the fields of the others likewise.
func still(qs []question) []question {
	var out []question
	for _, q := range qs {
		q.fields = slices.DeleteFunc(slices.Clone(q.fields), func(f Field) bool {
			_, ok := q.subject.grants[f]
			return !ok
		})
		if len(q.fields) > 0 {
			out = append(out, q)
		}
	}
	return out
}

// run asks all questions at once and waits for all, or for the time limit. A holder that fails or is late makes its
// own fields unavailable and fails nothing else.
func (b *Broker) run(ctx context.Context, u *ruling, got *fetched, qs []question, identities map[int]*Record) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.SourceTimeout)
	defer cancel()
	type answer struct {
		n   int
		rec Record
		err error
	}
	answers := make(chan answer, len(qs)) // a late answer finds room and is dropped
	waiting := 0
	failed := map[int]bool{}
	for n, q := range qs {
		if ctx.Err() != nil { // nobody waits any more, so nobody is asked any more
			failed[n] = true
			continue
		}
		ask := Ask{Fields: slices.Clone(q.fields), RequestID: u.request.ID, Trace: u.trace}
		if q.key == KeyIdentity {
			id, ok := identityOf(identities[q.person])
			if !ok {
				failed[n] = true
				continue
			}
			ask.Identity = id
		} else {
			ask.BSN = u.facts.Household[q.person].BSN
		}
		got.ask(q)
		waiting++
		go func() {
			a := answer{n: n, err: errors.New("source panicked")}
			defer func() {
				if recover() != nil {
					a.err = errors.New("source panicked")
				}
				answers <- a
			}()
			a.rec, a.err = q.source.Fetch(ctx, ask)
		}()
	}
	records := map[int]Record{}
	for waiting > 0 {
		select {
		case a := <-answers:
			waiting--
			if a.err == nil {
				records[a.n] = a.rec
			}
		case <-ctx.Done():
			waiting = 0
		}
	}
	for n, q := range qs {
		rec, ok := records[n]
		if ok && !failed[n] {
			u.see(q, rec)
			got.add(q, rec, identities)
			continue
		}
		got.miss(q)
	}
}

func (g *fetched) ask(q question) {
	g.asked = append(g.asked, q)
	if g.from[q.subject] == nil {
		g.from[q.subject] = map[Field]OIN{}
	}
	for _, f := range q.fields {
		g.from[q.subject][f] = q.holder.OIN
		g.kinds[q.holder.OIN] = q.holder.Kind
	}
}

func (g *fetched) add(q question, rec Record, identities map[int]*Record) {
	into := g.records[q.subject]
	if into == nil {
		into = &Record{Values: map[Field]any{}, Companions: map[Field]any{}}
		g.records[q.subject] = into
	}
	for _, f := range q.fields { // an allow-list already here: what was not asked is not looked at
		if v, ok := rec.Values[f]; ok {
			into.Values[f] = v
		}
	}
	if q.holder.Kind != KindRvIG {
		return
	}
	for f, v := range rec.Companions { // they come with fields of the civil registry, and from nobody else
		into.Companions[f] = v
	}
	if q.subject.person == q.person {
		identities[q.person] = into
	}
}

func (g *fetched) miss(q question) {
	if g.missing[q.subject] == nil {
		g.missing[q.subject] = map[Field]OIN{}
	}
	for _, f := range q.fields {
		if _, granted := q.subject.grants[f]; granted {
			g.missing[q.subject][f] = q.holder.OIN
			g.kinds[q.holder.OIN] = q.holder.Kind
		}
	}
}
