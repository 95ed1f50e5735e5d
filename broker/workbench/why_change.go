package workbench

import (
	"context"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// WhyChange is one change of a question, and what it would have given.
type WhyChange struct {
	What  broker.Text  `json:"what"`
	Query broker.Query `json:"query"` // the question as changed
	Grant broker.Grant `json:"grant"`
}

// variation is a way to change a question in one thing.
type variation struct {
	what   broker.Text
	change func(*broker.Query)
	fact   bool // nobody can change it
}

// singleChanges tries every single change of a question about one refused field: each other word of each closed list, each
// element added to or taken from each set. Nothing is tried for a field that is given.
func singleChanges(ctx context.Context, d *decide.Decider, r broker.Revision, c *broker.Catalog, q broker.Query, given bool) (changes, facts []WhyChange, err error) {
	changes, facts = []WhyChange{}, []WhyChange{}
	if given {
		return changes, facts, nil
	}
	for _, v := range variations(c, q) {
		try := clone(q)
		v.change(&try)
		try = try.Canonical()
		dec, err := d.Decide(ctx, r, try)
		if err != nil && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		} // a question to which the policy has no valid answer would have given nothing
		g, ok := dec.Grants[q.Fields[0]]
		switch {
		case !ok:
		case v.fact:
			facts = append(facts, WhyChange{v.what, try, g})
		default:
			changes = append(changes, WhyChange{v.what, try, g})
		}
	}
	return changes, facts, nil
}

// clone gives a query whose sets can be changed.
func clone(q broker.Query) broker.Query {
	q.Agency.Mandates = slices.Clone(q.Agency.Mandates)
	q.Subject.Consent, q.Subject.Release = slices.Clone(q.Subject.Consent), slices.Clone(q.Subject.Release)
	q.Agreements, q.Emergency.Domains = slices.Clone(q.Agreements), slices.Clone(q.Emergency.Domains)
	return q
}

// variations lists what can be changed, the easiest to explain first: what the person can say, what agencies can agree, how
// the asker stands to the case, then who asks and what for; facts last.
func variations(c *broker.Catalog, q broker.Query) []variation {
	var out []variation
	add := func(nl, en string, change func(*broker.Query)) {
		out = append(out, variation{broker.Text{NL: nl, EN: en}, change, false})
	}
	for _, d := range c.Domains {
		domain, text := broker.Domain(d.ID), d.Text
		element(add, q.Subject.Consent, domain, text, "met toestemming voor", "with consent for", "zonder toestemming voor", "without consent for",
			func(q *broker.Query) *[]broker.Domain { return &q.Subject.Consent })
		element(add, q.Subject.Release, domain, text, "met instemming om te delen over", "with release from secrecy for", "zonder instemming om te delen over", "without release from secrecy for",
			func(q *broker.Query) *[]broker.Domain { return &q.Subject.Release })
		element(add, q.Agreements, domain, text, "met een afspraak met een houder voor", "with an agreement of a holder for", "zonder afspraak voor", "without an agreement for",
			func(q *broker.Query) *[]broker.Domain { return &q.Agreements })
	}
	for _, tie := range []struct {
		id   broker.CaseRelation
		text broker.Text
	}{{broker.CaseAssigned, broker.Text{NL: "als de zaak aan de vrager is toegewezen", EN: "with the case assigned to the asker"}},
		{broker.CaseTeam, broker.Text{NL: "als de zaak van het team van de vrager is", EN: "with the case of the asker's team"}},
		{broker.CaseAgency, broker.Text{NL: "als de zaak van een collega bij dezelfde organisatie is", EN: "with the case of a colleague at the same agency"}},
		{broker.CaseNone, broker.Text{NL: "zonder zaak", EN: "without a case"}}} {
		if tie.id != q.Relation.Case {
			add(tie.text.NL, tie.text.EN, func(q *broker.Query) { q.Relation.Case = tie.id })
		}
	}
	flip(add, q.Relation.Coordinator, "als casusregisseur van deze zaak", "as the coordinator of this case", func(q *broker.Query) *bool { return &q.Relation.Coordinator })
	flip(add, q.Relation.Signal, "met een open signaal van de vrager", "with an open signal of the asker's", func(q *broker.Query) *bool { return &q.Relation.Signal })
	flip(add, q.Relation.Claim, "met een eigen vordering op dit huishouden", "with a claim of the agency's own on this household", func(q *broker.Query) *bool { return &q.Relation.Claim })
	for _, m := range []struct {
		id   broker.Municipality
		text broker.Text
	}{{broker.MunicipalitySame, broker.Text{NL: "als de organisatie voor deze gemeente werkt", EN: "with an agency that works for this municipality"}},
		{broker.MunicipalityOther, broker.Text{NL: "als de organisatie voor een andere gemeente werkt", EN: "with an agency that works for another municipality"}},
		{broker.MunicipalityUnknown, broker.Text{NL: "als onbekend is voor welke gemeente de organisatie werkt", EN: "with an agency of which it is unknown for which municipality it works"}}} {
		if m.id != q.Relation.Municipality {
			add(m.text.NL, m.text.EN, func(q *broker.Query) { q.Relation.Municipality = m.id })
		}
	}
	for _, m := range c.Mandates {
		element(add, q.Agency.Mandates, broker.Mandate(m.ID), m.Text, "met het mandaat", "with the mandate", "zonder het mandaat", "without the mandate",
			func(q *broker.Query) *[]broker.Mandate { return &q.Agency.Mandates })
	}
	for _, p := range c.Purposes {
		if broker.Purpose(p.ID) != q.Purpose {
			add("voor het doel: "+p.Text.NL, "for the purpose: "+p.Text.EN, func(q *broker.Query) { q.Purpose = broker.Purpose(p.ID) })
		}
	}
	for _, r := range c.Roles {
		if broker.Role(r.ID) != q.Role {
			add("in de rol: "+r.Text.NL, "in the role: "+r.Text.EN, func(q *broker.Query) { q.Role = broker.Role(r.ID) })
		}
	}
	for _, k := range c.AgencyKinds {
		if k.ID != q.Agency.Kind {
			add("voor een organisatie van de soort: "+k.Text.NL, "for an agency of the kind: "+k.Text.EN, func(q *broker.Query) { q.Agency.Kind = k.ID })
		}
	}
	if info, ok := c.Field(q.Fields[0]); ok && !(q.Emergency.Active && slices.Contains(q.Emergency.Domains, info.Domain)) {
		// Declared as it is: with the agreement of the holder of what is asked.
		add("in een noodsituatie waarin de houder ermee akkoord gaat", "in an emergency in which the holder agrees", func(q *broker.Query) {
			q.Emergency.Active = true
			q.Emergency.Domains = append(q.Emergency.Domains, info.Domain)
		})
	}
	facts := len(out)
	for _, age := range []broker.AgeBand{broker.Age0to11, broker.Age12to15, broker.Age16to17, broker.Age18Plus, broker.AgeUnknown} {
		if age != q.Subject.Age {
			add("bij een andere leeftijd: "+string(age), "at another age: "+string(age), func(q *broker.Query) { q.Subject.Age = age })
		}
	}
	flip(add, q.Subject.DisclosureRestricted, "bij een persoon met verstrekkingsbeperking", "of a person who restricted disclosure",
		func(q *broker.Query) *bool { return &q.Subject.DisclosureRestricted })
	if q.Subject.Kind == broker.SubjectHousehold {
		add("als het over een persoon gaat", "about a person", func(q *broker.Query) { q.Subject.Kind = broker.SubjectPerson })
	} else {
		add("als het over het huishouden gaat", "about the household", func(q *broker.Query) { q.Subject.Kind = broker.SubjectHousehold })
	}
	for i := range out[facts:] {
		out[facts+i].fact = true
	}
	return out
}

func element[T ~string](add func(nl, en string, change func(*broker.Query)), now []T, word T, text broker.Text, withNL, withEN, withoutNL, withoutEN string,
	set func(*broker.Query) *[]T) {
	if i := slices.Index(now, word); i >= 0 {
		add(withoutNL+": "+text.NL, withoutEN+": "+text.EN, func(q *broker.Query) { *set(q) = slices.Delete(*set(q), i, i+1) })
		return
	}
	add(withNL+": "+text.NL, withEN+": "+text.EN, func(q *broker.Query) { *set(q) = append(*set(q), word) })
}

func flip(add func(nl, en string, change func(*broker.Query)), now bool, nl, en string, value func(*broker.Query) *bool) {
	if now {
		nl, en = "niet "+nl, "not "+en
	}
	add(nl, en, func(q *broker.Query) { *value(q) = !now })
}
