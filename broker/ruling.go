package broker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// ruling is what all decisions made so far on one request allow together. The first round sets it; every later round
// can only take away.
type ruling struct {
	request  Request
	catalog  *Catalog
	facts    Facts
	subjects []*subject // the household first

	// As recorded: equal queries once.
	queries   []json.RawMessage
	decisions []json.RawMessage
	made      []Decision     // what decisions are the bytes of; not to be written in
	index     map[string]int // by revision and query
	lookups   []lookup
	revisions []Revision // one for each decision
	rounds    int
	trace     Trace // passed on to holders

	seen map[BSN]sighting // what the answers of holders showed, stricter than the register or not
}

// lookup is the decision whether a kind of holder may be sent a person's name, birth date and address.
type lookup struct {
	subject *subject
	query   int
	kind    AgencyKind
}

// subject is one data subject of a ruling.
type subject struct {
	ref         Subject
	person      int // index in facts.Household; -1 for the household, gone for one who left it
	bsn         BSN
	fields      []Field // asked, in the order of the request
	decided     []Field // those of them that the catalog in force knows
	grants      map[Field]Grant
	refused     map[Field][]Reason
	obligations []Obligation
	queries     []int
}

// Indexes that stand for no person.
const (
	wholeHousehold = -1
	gone           = -2
)

// why tells a later round which reason to give for what it takes away.
type why int

const (
	first    why = iota // the first round: the decision's own reasons
	stricter            // a source showed a stricter fact: the decision's own reasons
	stale               // the register moved: ReasonChanged
)

// newRuling lays out the data subjects of a request. Without a household there is one subject and one constant query
// over all fields, whatever they are about: what does not exist and what may not be known look the same.
func newRuling(r Request, c *Catalog, f Facts) *ruling {
	f = f.bound()
	u := &ruling{request: r, catalog: c, facts: f, index: map[string]int{}, seen: map[BSN]sighting{}}
	household := &subject{ref: Household, person: wholeHousehold}
	u.subjects = append(u.subjects, household)
	for i, p := range f.Household {
		u.subjects = append(u.subjects, &subject{person: i, bsn: p.BSN})
	}
	for _, path := range r.Fields {
		info, _ := c.Field(path)
		for _, s := range u.subjects {
			if len(f.Household) == 0 || (info.Subject == SubjectHousehold) == (s == household) {
				s.fields = append(s.fields, path)
			}
		}
	}
	for _, s := range u.subjects {
		s.decided = s.fields
	}
	return u
}

// bound gives f itself, or without a household where nothing binds the asker to one, whatever else the register says.
func (f Facts) bound() Facts {
	if f.Relation.None() && !f.Emergency.Active {
		f.Household, f.Holders = nil, nil
	}
	return f
}

// decide makes one round: a query for each data subject, on the facts as they are now.
func (u *ruling) decide(ctx context.Context, d Decider, now time.Time, because why) error {
	u.rounds++
	for _, s := range u.subjects {
		if len(s.fields) == 0 {
			continue
		}
		if s.person == gone || len(s.decided) == 0 {
			s.lose(Decision{}, because)
			continue
		}
		dec, n, err := u.ask(ctx, d, u.query(s, now))
		if err != nil {
			return err
		}
		if !slices.Contains(s.queries, n) {
			s.queries = append(s.queries, n)
		}
		s.obligations = append(s.obligations, dec.Obligations...)
		if because == first {
			s.grants, s.refused = make(map[Field]Grant, len(dec.Grants)), make(map[Field][]Reason, len(dec.Refusals))
			for _, f := range s.fields {
				if g, ok := dec.Grants[f]; ok {
					s.grants[f] = g
				} else {
					s.refused[f] = dec.Refusals[f]
				}
			}
		} else {
			s.lose(dec, because)
		}
		u.restrict(s, because)
	}
	return nil
}

// restrict takes every grant away from a person whose data may not be processed now, and from the household that they are in
// (AVG 18(1)). That is the law under any policy, so it is no query's fact. Where acute danger was declared, the domains that
// share in it are left to the policy: the rights of another may weigh more (AVG 18(2)).
func (u *ruling) restrict(s *subject, because why) {
	if !u.restricted(s) {
		return
	}
	reason := ReasonProcessingRestricted
	if because == stale {
		reason = ReasonChanged
	}
	for f := range s.grants {
		info, _ := u.catalog.Field(f)
		if e := u.facts.Emergency; e.Active && slices.Contains(e.Domains, info.Domain) {
			continue
		}
		s.refuse(f, []Reason{reason})
	}
}

func (u *ruling) restricted(s *subject) bool {
	if s.person >= 0 {
		return u.facts.Household[s.person].ProcessingRestricted
	}
	return slices.ContainsFunc(u.facts.Household, func(p Person) bool { return p.ProcessingRestricted })
}

// lose takes away every grant that dec does not give in the same form. What stays rests on the latest basis.
func (s *subject) lose(dec Decision, because why) {
	for f, g := range s.grants {
		if again, ok := dec.Grants[f]; ok && again.Form == g.Form {
			s.grants[f] = again
			continue
		}
		reasons := dec.Refusals[f]
		if because == stale || len(reasons) == 0 {
			reasons = []Reason{ReasonChanged}
		}
		s.refuse(f, reasons)
	}
}

func (s *subject) refuse(f Field, reasons []Reason) {
	delete(s.grants, f)
	s.refused[f] = set(append(slices.Clone(s.refused[f]), reasons...))
}

// ask decides one query and notes it for the record. Equal queries to one revision are asked once: members of a family
// are often the same to policy.
func (u *ruling) ask(ctx context.Context, d Decider, q Query) (Decision, int, error) {
	bytes := q.Bytes()
	key := string(u.facts.Revision) + string(bytes)
	if n, ok := u.index[key]; ok {
		return u.made[n], n, nil
	}
	dec, err := d.Decide(ctx, u.facts.Revision, q)
	if err == nil {
		err = complete(q, dec)
	}
	if err != nil {
		return Decision{}, 0, err
	}
	n := len(u.queries)
	u.index[key] = n
	u.queries = append(u.queries, bytes)
	u.decisions = append(u.decisions, dec.Bytes())
	u.made = append(u.made, dec)
	u.revisions = append(u.revisions, u.facts.Revision)
	return dec, n, nil
}

// complete holds a Decider to its contract: each field in exactly one of grants and refusals, and no grant where nothing
// binds the asker. A decision that breaks it is an error, never a quiet refusal.
func complete(q Query, d Decision) error {
	broken := func(how string) error { return Fail(KindInternal, "internal", errors.New("decide: "+how)) }
	for _, f := range q.Fields {
		_, granted := d.Grants[f]
		_, refused := d.Refusals[f]
		if granted == refused {
			return broken("a field is not in exactly one of grants and refusals")
		}
	}
	if len(d.Grants)+len(d.Refusals) != len(q.Fields) {
		return broken("a field that was not asked is decided on")
	}
	if len(d.Grants) > 0 && q.Relation.None() && !q.Emergency.Active {
		return broken("a grant where nothing binds the asker to the household")
	}
	return nil
}

// query makes the policy input for a subject.
func (u *ruling) query(s *subject, now time.Time) Query {
	q := Query{
		V:         QueryVersion,
		Agency:    QueryAgency{u.facts.Agency.Kind, u.facts.Agency.Mandates},
		Role:      u.request.Role,
		Purpose:   u.request.Purpose,
		Relation:  u.facts.Relation,
		Emergency: u.facts.Emergency,
		Fields:    s.decided,
	}
	if len(u.facts.Household) == 0 {
		q.Relation = Relation{Case: CaseNone, Municipality: MunicipalityUnknown}
		q.Subject = QuerySubject{Kind: SubjectHousehold, Age: AgeUnknown}
		q.Emergency = QueryEmergency{}
		return q.Canonical()
	}
	q.Subject = u.subjectFacts(s, now)
	q.Agreements = u.agreements(s.person)
	return q.Canonical()
}

// subjectFacts: a household is restricted when one member is, and has consented when every member has.
func (u *ruling) subjectFacts(s *subject, now time.Time) QuerySubject {
	if s.person >= 0 {
		p := u.facts.Household[s.person]
		return QuerySubject{SubjectPerson, p.Birth.AgeBand(now), p.Restricted, p.Consent, p.Release}
	}
	q := QuerySubject{Kind: SubjectHousehold, Age: AgeUnknown}
	for i, p := range u.facts.Household {
		q.DisclosureRestricted = q.DisclosureRestricted || p.Restricted
		if i == 0 {
			q.Consent, q.Release = p.Consent, p.Release
			continue
		}
		q.Consent, q.Release = both(q.Consent, p.Consent), both(q.Release, p.Release)
	}
	return q
}

func both(a, b []Domain) []Domain {
	var out []Domain
	for _, d := range a {
		if slices.Contains(b, d) {
			out = append(out, d)
		}
	}
	return out
}

// agreements lists the domains for which a holder named here has a valid agreement with the asker. What the register
// itself holds needs none.
func (u *ruling) agreements(person int) []Domain {
	var out []Domain
	for _, h := range u.facts.Holders {
		if h.holds(person) {
			out = append(out, h.Domains...)
		}
	}
	for _, f := range u.catalog.Fields {
		if slices.Contains(f.Holders, KindRegister) {
			out = append(out, f.Domain)
		}
	}
	return out
}

// refresh takes newer facts into the ruling. Nobody is added: a person who joined was not decided on before, and
// nothing more is fetched. A person who left keeps nothing.
//
// What holders showed stays seen, and a policy activated meanwhile decides by its own catalog.
func (u *ruling) refresh(f Facts, c *Catalog) {
	u.facts, u.catalog = f.bound(), c
	for _, s := range u.subjects {
		s.decided = slices.DeleteFunc(slices.Clone(s.fields), func(f Field) bool {
			_, known := c.Field(f)
			return !known
		})
		if s.person == wholeHousehold {
			continue
		}
		s.person = slices.IndexFunc(u.facts.Household, func(p Person) bool { return p.BSN == s.bsn })
		if s.person < 0 {
			s.person = gone
		}
	}
	u.observe()
}

// granted counts the grants left.
func (u *ruling) granted() int {
	n := 0
	for _, s := range u.subjects {
		n += len(s.grants)
	}
	return n
}

// refusing tells whether the answer must be a refusal.
func (u *ruling) refusing() bool {
	if u.granted() == 0 {
		return true
	}
	if u.request.OnRefusal != OnRefusalFail {
		return false
	}
	for _, s := range u.subjects {
		if len(s.refused) > 0 {
			return true
		}
	}
	return false
}

// portError makes sure an error of a port has a Kind, so that nothing unknown leaves with detail.
func portError(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return Fail(KindInternal, "internal", err)
}
