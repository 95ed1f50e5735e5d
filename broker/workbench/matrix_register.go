package workbench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Given says what a query gets of a field, by the matrix alone: nothing where the second value is false.
func (m Matrix) Given(q broker.Query, f broker.Field) (Way, bool) {
	for _, c := range m.Cells {
		if c.Role != q.Role || c.Purpose != q.Purpose || c.Field != f {
			continue
		}
		for _, w := range c.Ways {
			if slices.ContainsFunc(w.When, func(all []Condition) bool {
				return !slices.ContainsFunc(all, func(c Condition) bool { return !c.holds(q) })
			}) {
				return w, true
			}
		}
	}
	return Way{}, false
}

// holds tells whether a query meets a condition.
func (c Condition) holds(q broker.Query) bool {
	word := ""
	switch c.Fact {
	case setMandates:
		return in(c, q.Agency.Mandates)
	case setAgreed:
		return in(c, q.Agreements)
	case setConsent:
		return in(c, q.Subject.Consent)
	case setRelease:
		return in(c, q.Subject.Release)
	case setSharing:
		return in(c, q.Emergency.Domains)
	case factKind:
		word = string(q.Agency.Kind)
	case "relation.case":
		word = string(q.Relation.Case)
	case "relation.coordinator":
		word = fmt.Sprint(q.Relation.Coordinator)
	case "relation.signal":
		word = fmt.Sprint(q.Relation.Signal)
	case "relation.claim":
		word = fmt.Sprint(q.Relation.Claim)
	case "relation.municipality":
		word = string(q.Relation.Municipality)
	case "subject.kind":
		word = string(q.Subject.Kind)
	case "subject.age":
		word = string(q.Subject.Age)
	case "subject.disclosure_restricted":
		word = fmt.Sprint(q.Subject.DisclosureRestricted)
	case factActive:
		word = fmt.Sprint(q.Emergency.Active)
	}
	return slices.Contains(c.OneOf, word)
}

func in[T ~string](c Condition, set []T) bool {
	if c.Lacks != "" {
		return !slices.Contains(set, T(c.Lacks))
	}
	return slices.Contains(set, T(c.Has))
}

// Processing is one entry of the register of processing (AVG 30): a purpose, and what is done with data for it.
type Processing struct {
	Purpose  broker.Purpose  `json:"purpose"`
	Subjects []string        `json:"subjects"` // categories of data subjects: persoon, huishouden
	Data     []ProcessedData `json:"data"`
	// Recipients are the kinds of agency that receive something, in which roles.
	Recipients []broker.AgencyKind `json:"recipients"`
	Roles      []broker.Role       `json:"roles"`
	Bases      []broker.Basis      `json:"bases"`
	// Retention is for how long what the log says of it may be read (ISO 8601); "" where the policy does not say.
	Retention string `json:"retention,omitempty"`
}

// ProcessedData is a category of data: a domain, with the most sensitive class of what is given of it.
type ProcessedData struct {
	Domain broker.Domain  `json:"domain"`
	Class  broker.Class   `json:"class"`
	Fields []broker.Field `json:"fields"`
}

// termsOf reads data.schakel.retention.purposes.
func termsOf(data map[string]any) map[broker.Purpose]string {
	root, _ := data["schakel"].(map[string]any)
	retention, _ := root["retention"].(map[string]any)
	purposes, _ := retention["purposes"].(map[string]any)
	out := map[broker.Purpose]string{}
	for purpose, term := range purposes {
		if text, ok := term.(string); ok {
			out[broker.Purpose(purpose)] = text
		}
	}
	return out
}

// Register gives the part of the register of processing (AVG 30(1)) that follows from the policy. Measures and the controller
// are not in a policy: the page says so.
func (m Matrix) Register() []Processing {
	out := []Processing{}
	for _, p := range m.Catalog.Purposes {
		entry := Processing{Purpose: broker.Purpose(p.ID), Retention: m.Terms[broker.Purpose(p.ID)]}
		for _, c := range m.Cells {
			if c.Purpose == entry.Purpose {
				m.enter(&entry, c)
			}
		}
		if len(entry.Data) > 0 {
			slices.Sort(entry.Bases)
			out = append(out, entry)
		}
	}
	return out
}

func (m Matrix) enter(p *Processing, c MatrixCell) {
	f, _ := m.Catalog.Field(c.Field)
	if subject := map[broker.SubjectKind]string{broker.SubjectHousehold: "huishouden"}[f.Subject]; subject != "" {
		p.Subjects = add(p.Subjects, subject)
	} else {
		p.Subjects = add(p.Subjects, "persoon")
	}
	i := slices.IndexFunc(p.Data, func(d ProcessedData) bool { return d.Domain == f.Domain })
	if i < 0 {
		i = len(p.Data)
		p.Data = append(p.Data, ProcessedData{Domain: f.Domain, Class: f.Class})
	}
	d := &p.Data[i]
	if severity(f.Class) < severity(d.Class) {
		d.Class = f.Class
	}
	if !slices.Contains(d.Fields, c.Field) {
		d.Fields = append(d.Fields, c.Field)
	}
	if !slices.Contains(p.Roles, c.Role) {
		p.Roles = append(p.Roles, c.Role)
	}
	for _, w := range c.Ways {
		if !slices.Contains(p.Bases, w.Basis) {
			p.Bases = append(p.Bases, w.Basis)
		}
		for _, all := range w.When {
			for _, kind := range m.kinds(all) {
				if !slices.Contains(p.Recipients, kind) {
					p.Recipients = append(p.Recipients, kind)
				}
			}
		}
	}
}

// kinds are the kinds of agency that conditions leave.
func (m Matrix) kinds(all []Condition) []broker.AgencyKind {
	var out []broker.AgencyKind
	for _, k := range m.Catalog.AgencyKinds {
		if !slices.ContainsFunc(all, func(c Condition) bool { return c.Fact == factKind && !slices.Contains(c.OneOf, string(k.ID)) }) {
			out = append(out, k.ID)
		}
	}
	return out
}

// severity orders classes, worst first: criminal and special, BSN, sensitive, the rest.
func severity(c broker.Class) int {
	i := slices.Index([]broker.Class{broker.ClassCriminal, broker.ClassSpecial, broker.ClassBSN, broker.ClassSensitive}, c)
	if i < 0 {
		return 4
	}
	return i
}

// RegisterMarkdown gives the register of processing as a page.
func (m Matrix) RegisterMarkdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Register van verwerkingen (AVG 30) – Register of processing (GDPR 30)

Beleid – policy: %s

Dit is wat uit het beleid volgt. Vul aan: de verwerkingsverantwoordelijke en de functionaris, en beveiligingsmaatregelen. De
bewaartermijn is die van het logboek, zoals het beleid die noemt; houders hebben hun eigen termijnen. Een jurist beoordeelt
het register voordat het wordt gebruikt.
This is what follows from the policy. Add: the controller and the data protection officer, and measures of security. The term
is that of the log, as the policy has it; holders have their own. A lawyer reviews the register before use.

| doel – purpose | betrokkenen – data subjects | soorten gegevens – categories of data | ontvangers – recipients | grondslag – basis | bewaartermijn – term |
|---|---|---|---|---|---|
`, m.Revision)
	for _, p := range m.Register() {
		var data, kinds, bases []string
		for _, d := range p.Data {
			data = append(data, fmt.Sprintf("%s (%s)", term(m.Catalog.Domains, string(d.Domain)).NL, term(m.Catalog.Classes, string(d.Class)).NL))
		}
		for _, r := range p.Recipients {
			kinds = append(kinds, Condition{Fact: factKind, OneOf: []string{string(r)}}.Text(m.Catalog).NL)
		}
		for _, basis := range p.Bases {
			bases = append(bases, term(m.Catalog.Bases, string(basis)).NL)
		}
		purpose := term(m.Catalog.Purposes, string(p.Purpose))
		fmt.Fprintf(&b, "| %s<br>*%s* | %s | %s | %s<br>(%s) | %s | %s |\n", purpose.NL, purpose.EN, strings.Join(p.Subjects, ", "),
			strings.Join(data, "; "), strings.Join(kinds, ", "), list(p.Roles), strings.Join(bases, "; "), cmp.Or(p.Retention, "–"))
	}
	return b.String()
}
