package console

import (
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

// whyForm is the form that a question is put together with: every choice is from the catalog of the chosen revision.
type whyForm struct {
	Revisions                          []choice
	Roles, Purposes, Kinds, Mandates   []choice
	Cases, Municipalities, Ages, About []choice
	Coordinator, Signal, Claim         bool
	Restricted, Emergency              bool
	Domains                            []whyDomain
}

// choice is one of a list.
type choice struct {
	Value, Text string
	Chosen      bool
}

// whyDomain is a domain with what a question can say about it.
type whyDomain struct {
	broker.Term
	Consent, Release, Agreed, Sharing bool
	Fields                            []fieldChoice
	Chosen                            int // of Fields
}

type fieldChoice struct {
	broker.FieldInfo
	Chosen bool
}

// commonQuestion is what the form begins with: an adult whose case is the asker's, with every agreement, and nothing asked yet.
func commonQuestion(k *broker.Catalog) broker.Query {
	q := broker.Query{V: broker.QueryVersion, Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
		Subject: broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus}}
	for _, d := range k.Domains {
		q.Agreements = append(q.Agreements, broker.Domain(d.ID))
	}
	return q.Canonical()
}

// The closed lists of a query that stand in no catalog.
var (
	allCases          = []broker.CaseRelation{broker.CaseAssigned, broker.CaseTeam, broker.CaseAgency, broker.CaseNone}
	allMunicipalities = []broker.Municipality{broker.MunicipalitySame, broker.MunicipalityOther, broker.MunicipalityUnknown}
	allAges           = []broker.AgeBand{broker.Age0to11, broker.Age12to15, broker.Age16to17, broker.Age18Plus, broker.AgeUnknown}
	allSubjects       = []broker.SubjectKind{broker.SubjectPerson, broker.SubjectHousehold}
)

// within leaves out of a question what a catalog does not have, and names it.
func within(k *broker.Catalog, q broker.Query) (broker.Query, []string) {
	var unknown []string
	q.V = broker.QueryVersion
	one(&q.Role, ids[broker.Role](k.Roles), &unknown)
	one(&q.Purpose, ids[broker.Purpose](k.Purposes), &unknown)
	one(&q.Agency.Kind, kindIDs(k), &unknown)
	one(&q.Relation.Case, allCases, &unknown)
	one(&q.Relation.Municipality, allMunicipalities, &unknown)
	one(&q.Subject.Kind, allSubjects, &unknown)
	one(&q.Subject.Age, allAges, &unknown)
	some(&q.Agency.Mandates, ids[broker.Mandate](k.Mandates), &unknown)
	domains := ids[broker.Domain](k.Domains)
	for _, set := range []*[]broker.Domain{&q.Subject.Consent, &q.Subject.Release, &q.Agreements, &q.Emergency.Domains} {
		some(set, domains, &unknown)
	}
	fields := make([]broker.Field, len(k.Fields))
	for i, f := range k.Fields {
		fields[i] = f.Path
	}
	some(&q.Fields, fields, &unknown)
	return q.Canonical(), unknown
}

func ids[T ~string](list []broker.Term) []T {
	out := make([]T, len(list))
	for i, t := range list {
		out[i] = T(t.ID)
	}
	return out
}

func kindIDs(k *broker.Catalog) []broker.AgencyKind {
	out := make([]broker.AgencyKind, len(k.AgencyKinds))
	for i, kind := range k.AgencyKinds {
		out[i] = kind.ID
	}
	return out
}

func one[T ~string](word *T, list []T, unknown *[]string) {
	if *word != "" && !slices.Contains(list, *word) {
		*unknown, *word = append(*unknown, string(*word)), ""
	}
}

func some[T ~string](set *[]T, list []T, unknown *[]string) {
	*set = slices.DeleteFunc(slices.Clone(*set), func(word T) bool {
		gone := !slices.Contains(list, word)
		if gone && !slices.Contains(*unknown, string(word)) {
			*unknown = append(*unknown, string(word))
		}
		return gone
	})
}

// whyForm fills the form in with a question.
func (k *Console) whyForm(c *call, r broker.Revision, catalog *broker.Catalog, q broker.Query) (*whyForm, error) {
	f := &whyForm{Coordinator: q.Relation.Coordinator, Signal: q.Relation.Signal, Claim: q.Relation.Claim,
		Restricted: q.Subject.DisclosureRestricted, Emergency: q.Emergency.Active,
		Roles: c.terms(catalog.Roles, string(q.Role)), Purposes: c.terms(catalog.Purposes, string(q.Purpose)),
		Cases:          facts(c, catalog, "relation.case", allCases, q.Relation.Case),
		Municipalities: facts(c, catalog, "relation.municipality", allMunicipalities, q.Relation.Municipality),
		Ages:           facts(c, catalog, "subject.age", allAges, q.Subject.Age),
		About:          facts(c, catalog, "subject.kind", allSubjects, q.Subject.Kind)}
	for _, kind := range catalog.AgencyKinds {
		f.Kinds = append(f.Kinds, choice{string(kind.ID), c.Text(kind.Text), kind.ID == q.Agency.Kind})
	}
	for _, m := range catalog.Mandates {
		f.Mandates = append(f.Mandates, choice{m.ID, c.Text(m.Text), slices.Contains(q.Agency.Mandates, broker.Mandate(m.ID))})
	}
	for _, d := range catalog.Domains {
		id := broker.Domain(d.ID)
		one := whyDomain{Term: d, Consent: slices.Contains(q.Subject.Consent, id), Release: slices.Contains(q.Subject.Release, id),
			Agreed: slices.Contains(q.Agreements, id), Sharing: slices.Contains(q.Emergency.Domains, id)}
		for _, info := range catalog.Fields {
			if info.Domain == id {
				chosen := slices.Contains(q.Fields, info.Path)
				one.Fields = append(one.Fields, fieldChoice{info, chosen})
				if chosen {
					one.Chosen++
				}
			}
		}
		f.Domains = append(f.Domains, one)
	}
	var err error
	f.Revisions, err = k.revisionChoices(c, r)
	return f, err
}

func (c *call) terms(list []broker.Term, chosen string) []choice {
	out := make([]choice, len(list))
	for i, t := range list {
		out[i] = choice{t.ID, c.Text(t.Text), t.ID == chosen}
	}
	return out
}

// facts says the words of a closed list as the matrix says them.
func facts[T ~string](c *call, k *broker.Catalog, fact string, list []T, chosen T) []choice {
	out := make([]choice, len(list))
	for i, word := range list {
		text := workbench.Condition{Fact: fact, OneOf: []string{string(word)}}.Text(k)
		out[i] = choice{string(word), c.Text(text), word == chosen}
	}
	return out
}

// revisionChoices are all that can be asked: what is in force, drafts, and all that is kept.
func (k *Console) revisionChoices(c *call, chosen broker.Revision) ([]choice, error) {
	var out []choice
	add := func(r broker.Revision, text string) {
		if r != "" && !slices.ContainsFunc(out, func(o choice) bool { return o.Value == string(r) }) {
			out = append(out, choice{string(r), text + " (" + c.Short(r) + ")", r == chosen})
		}
	}
	p := k.cfg.Desk.Policy()
	add(p.Live, c.say("Geldend beleid", "Policy in force"))
	list, err := k.drafts.list()
	if err != nil {
		return nil, err
	}
	for _, own := range []bool{true, false} {
		for _, d := range list {
			if (d.Author == c.person.ID) != own {
				continue
			}
			base, err := k.cfg.Desk.Files(c.r.Context(), d.Base)
			if err != nil {
				return nil, fmt.Errorf("read base %.12s of draft: %w", d.Base, err)
			}
			text := c.say("Ontwerp: ", "Draft: ")
			if own {
				text = c.say("Uw ontwerp: ", "Your draft: ")
			}
			add(revisionOf(d.over(base)), text+d.Title)
		}
	}
	for _, d := range slices.Backward(p.Drafts) {
		add(d.Revision, fmt.Sprintf("%s %d: %s", c.say("Voorstel", "Proposal"), d.Number, d.Title))
	}
	for _, a := range slices.Backward(p.History) {
		text := c.say("Gold vanaf ", "In force from ")
		if a.Stop {
			text = c.say("Noodstop van ", "Emergency stop of ")
		}
		add(a.Revision, text+c.When(a.When))
	}
	return out, nil
}
