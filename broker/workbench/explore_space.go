package workbench

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
)

// space is every query there can be about one field: each fact with its closed list of values, and each element of
// each set as a fact of its own, in it or not. The first value of a fact is the one an example shows where any will do.
type space struct {
	dims   []dimension
	facts  map[string]int            // path of a plain fact to its dimension
	sets   map[string]map[string]int // path of a set, then its element, to a dimension
	fields []broker.FieldInfo
}

// dimension is one fact, or one element of a set.
type dimension struct {
	path    string // role, agency.kind, …: below input
	element string // of a set; then the values are no and yes
	values  []string
	terms   []*ast.Term
}

// The two plain facts that make the rows of a matrix come first.
const (
	dimRole = iota
	dimPurpose
)

// Paths of facts that are more than a word to somebody.
const (
	factActive  = "emergency.active"
	factKind    = "agency.kind"
	setMandates = "agency.mandates"
	setConsent  = "subject.consent"
	setRelease  = "subject.release"
	setAgreed   = "agreements"
	setSharing  = "emergency.domains"
)

// maxValues is how many values a fact can have: a box keeps them as bits.
const maxValues = 64

// newSpace makes the space of one catalog, or of several together.
func newSpace(catalogs ...*broker.Catalog) (*space, error) {
	s := &space{facts: map[string]int{}, sets: map[string]map[string]int{}}
	terms := func(pick func(*broker.Catalog) []broker.Term) []string {
		var out []string
		for _, c := range catalogs {
			for _, t := range pick(c) {
				out = add(out, t.ID)
			}
		}
		return out
	}
	var kinds []string
	for _, c := range catalogs {
		for _, k := range c.AgencyKinds {
			kinds = add(kinds, string(k.ID))
		}
		for _, f := range c.Fields {
			if !slices.ContainsFunc(s.fields, func(have broker.FieldInfo) bool { return have.Path == f.Path }) {
				s.fields = append(s.fields, f)
			}
		}
	}
	s.plain("role", terms(func(c *broker.Catalog) []broker.Term { return c.Roles })...)
	s.plain("purpose", terms(func(c *broker.Catalog) []broker.Term { return c.Purposes })...)
	s.plain(factKind, kinds...)
	s.plain("relation.case", string(broker.CaseAssigned), string(broker.CaseTeam), string(broker.CaseAgency), string(broker.CaseNone))
	s.plain("relation.coordinator", "false", "true")
	s.plain("relation.signal", "false", "true")
	s.plain("relation.claim", "false", "true")
	s.plain("relation.municipality", string(broker.MunicipalitySame), string(broker.MunicipalityOther), string(broker.MunicipalityUnknown))
	s.plain("subject.kind", string(broker.SubjectPerson), string(broker.SubjectHousehold))
	s.plain("subject.age", string(broker.Age18Plus), string(broker.Age16to17), string(broker.Age12to15), string(broker.Age0to11), string(broker.AgeUnknown))
	s.plain("subject.disclosure_restricted", "false", "true")
	s.plain(factActive, "false", "true")
	domains := terms(func(c *broker.Catalog) []broker.Term { return c.Domains })
	s.set(setMandates, terms(func(c *broker.Catalog) []broker.Term { return c.Mandates }))
	s.set(setAgreed, domains)
	s.set(setConsent, domains)
	s.set(setRelease, domains)
	s.set(setSharing, domains)
	for _, d := range s.dims {
		if len(d.values) > maxValues {
			return nil, broker.Told(fmt.Sprintf("%s heeft %d waarden; er kunnen er hooguit %d worden nagegaan, dus maak die lijst korter.", d.path, len(d.values), maxValues),
				fmt.Sprintf("%s has %d values; at most %d can be explored, so shorten its list", d.path, len(d.values), maxValues))
		}
	}
	return s, nil
}

func add(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

func (s *space) plain(path string, values ...string) {
	d := dimension{path: path, values: values}
	for _, v := range values {
		if b, err := strconv.ParseBool(v); err == nil {
			d.terms = append(d.terms, ast.BooleanTerm(b))
		} else {
			d.terms = append(d.terms, ast.StringTerm(v))
		}
	}
	s.facts[path] = len(s.dims)
	s.dims = append(s.dims, d)
}

func (s *space) set(path string, elements []string) {
	s.sets[path] = map[string]int{}
	for _, e := range elements {
		s.sets[path][e] = len(s.dims)
		s.dims = append(s.dims, dimension{path: path, element: e, values: []string{"no", "yes"}})
	}
}

// key is the same for two spaces when what was explored in one holds in the other.
func (s *space) key() string {
	key := ""
	for _, d := range s.dims {
		key += fmt.Sprintf("%s %s %q\n", d.path, d.element, d.values)
	}
	for _, f := range s.fields {
		key += string(f.Path) + "\n"
	}
	return key
}

// box is a part of a space: for each dimension the values that are in it, as bits.
type box []uint64

// all is the whole space.
func (s *space) all() box {
	b := make(box, len(s.dims))
	for i, d := range s.dims {
		b[i] = 1<<len(d.values) - 1
	}
	return b
}

// with gives b with other values of one dimension.
func (b box) with(dim int, values uint64) box {
	c := slices.Clone(b)
	c[dim] = values
	return c
}

// meet gives what lies in both; false where nothing does.
func (b box) meet(c box) (box, bool) {
	for i := range b {
		if b[i]&c[i] == 0 {
			return nil, false
		}
	}
	m := make(box, len(b))
	for i := range b {
		m[i] = b[i] & c[i]
	}
	return m, true
}

// example gives one query of a box, about one field: of each fact the first value that is in it, so that a set holds
// nothing that it need not hold.
func (s *space) example(b box, field broker.Field) broker.Query {
	word := func(path string) string {
		dim := s.facts[path]
		return s.dims[dim].values[bits.TrailingZeros64(b[dim])]
	}
	yes := func(path string) bool { return word(path) == "true" }
	q := broker.Query{
		V:       broker.QueryVersion,
		Agency:  broker.QueryAgency{Kind: broker.AgencyKind(word(factKind)), Mandates: held[broker.Mandate](s, b, setMandates)},
		Role:    broker.Role(word("role")),
		Purpose: broker.Purpose(word("purpose")),
		Relation: broker.Relation{Case: broker.CaseRelation(word("relation.case")), Coordinator: yes("relation.coordinator"),
			Signal: yes("relation.signal"), Claim: yes("relation.claim"), Municipality: broker.Municipality(word("relation.municipality"))},
		Subject: broker.QuerySubject{Kind: broker.SubjectKind(word("subject.kind")), Age: broker.AgeBand(word("subject.age")),
			DisclosureRestricted: yes("subject.disclosure_restricted"),
			Consent:              held[broker.Domain](s, b, setConsent), Release: held[broker.Domain](s, b, setRelease)},
		Agreements: held[broker.Domain](s, b, setAgreed),
		Emergency:  broker.QueryEmergency{Active: yes(factActive), Domains: held[broker.Domain](s, b, setSharing)},
		Fields:     []broker.Field{field},
	}
	return q.Canonical()
}

func held[T ~string](s *space, b box, set string) []T {
	var out []T
	for element, dim := range s.sets[set] {
		if bits.TrailingZeros64(b[dim]) == 1 {
			out = append(out, T(element))
		}
	}
	return out
}
