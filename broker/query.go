package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Query is the whole input of one policy decision, about one data subject. It holds no identifier: only what may matter
// to a rule, from small closed sets. So it can be recorded in clear, replayed, memoised and enumerated.
type Query struct {
	V          int            `json:"v"` // QueryVersion
	Agency     QueryAgency    `json:"agency"`
	Role       Role           `json:"role"`
	Purpose    Purpose        `json:"purpose"`
	Relation   Relation       `json:"relation"`
	Subject    QuerySubject   `json:"subject"`
	Agreements []Domain       `json:"agreements"` // domains whose holders here have a valid agreement with this agency
	Emergency  QueryEmergency `json:"emergency"`
	Fields     []Field        `json:"fields"`
}

// QueryVersion is the version of the input this code asks.
const QueryVersion = 1

// QueryAgency is what policy may know of the agency that receives.
type QueryAgency struct {
	Kind     AgencyKind `json:"kind"`
	Mandates []Mandate  `json:"mandates"`
}

// Relation is what binds the asker to the household.
type Relation struct {
	Case         CaseRelation `json:"case"`
	Coordinator  bool         `json:"coordinator"`  // the worker is the casusregisseur of this case
	Signal       bool         `json:"signal"`       // an open early signal (vroegsignalering) is this worker's
	Claim        bool         `json:"claim"`        // the agency has a claim of its own on this household
	Municipality Municipality `json:"municipality"` // does the agency work for the household's municipality
}

// CaseRelation says how near the worker stands to the case.
type CaseRelation string

// Closed list of CaseRelation, nearest first.
const (
	CaseAssigned CaseRelation = "assigned" // the case is this worker's
	CaseTeam     CaseRelation = "team"     // it is a team's this worker is in
	CaseAgency   CaseRelation = "agency"   // it is a colleague's at the same agency
	CaseNone     CaseRelation = "none"
)

// Municipality says whether the agency works for the household's municipality: same, other or unknown.
type Municipality string

// Closed list of Municipality.
const (
	MunicipalitySame    Municipality = "same"
	MunicipalityOther   Municipality = "other"
	MunicipalityUnknown Municipality = "unknown"
)

// None tells that nothing binds the asker to the household: such a query is the one constant query, and nothing may be
// granted from it.
func (r Relation) None() bool { return r.Case == CaseNone && !r.Signal && !r.Claim }

// SubjectKind tells whether a field is about the household as a whole or about one person in it.
type SubjectKind string

// Closed list of SubjectKind.
const (
	SubjectHousehold SubjectKind = "household"
	SubjectPerson    SubjectKind = "person"
)

// QuerySubject is what policy may know of the data subject.
type QuerySubject struct {
	Kind                 SubjectKind `json:"kind"`
	Age                  AgeBand     `json:"age"`                   // unknown is the strictest
	DisclosureRestricted bool        `json:"disclosure_restricted"` // verstrekkingsbeperking, BRP 07.70.10
	Consent              []Domain    `json:"consent"`               // AVG consent for this agency and purpose
	Release              []Domain    `json:"release"`               // release from professional secrecy, likewise
}

// QueryEmergency is a declared acute danger and the domains whose holders agreed to share in it.
type QueryEmergency struct {
	Active  bool     `json:"active"`
	Domains []Domain `json:"domains"`
}

// Canonical gives q with every set sorted, without duplicates and never nil: the form that is decided and recorded.
func (q Query) Canonical() Query {
	q.Agency.Mandates = set(q.Agency.Mandates)
	q.Subject.Consent = set(q.Subject.Consent)
	q.Subject.Release = set(q.Subject.Release)
	q.Agreements = set(q.Agreements)
	q.Emergency.Domains = set(q.Emergency.Domains)
	q.Fields = set(q.Fields)
	return q
}

// Grant says in which form a field may be given, and on which legal basis.
type Grant struct {
	Form  Form  `json:"form"`
	Basis Basis `json:"basis"`
}

// Decision is the answer of policy to one Query. Every asked field is in exactly one of Grants and Refusals.
type Decision struct {
	Grants      map[Field]Grant    `json:"grants"`
	Refusals    map[Field][]Reason `json:"refusals"`
	Obligations []Obligation       `json:"obligations"`
}

// Canonical gives d with reasons and obligations sorted, without duplicates, nothing nil.
func (d Decision) Canonical() Decision {
	c := Decision{Grants: d.Grants, Refusals: d.Refusals, Obligations: set(d.Obligations)}
	if c.Grants == nil {
		c.Grants = map[Field]Grant{}
	}
	if c.Refusals == nil {
		c.Refusals = map[Field][]Reason{}
	}
	for _, reasons := range d.Refusals {
		if !isSet(reasons) {
			c.Refusals = make(map[Field][]Reason, len(d.Refusals))
			for f, reasons := range d.Refusals {
				c.Refusals[f] = set(reasons)
			}
			break
		}
	}
	return c
}

// set sorts and drops duplicates, and is never nil. What is a set already is given back as it is, and nobody may write
// in it; anything else is copied.
func set[T ~string](in []T) []T {
	if isSet(in) {
		return in
	}
	out := make([]T, 0, len(in))
	out = append(out, in...)
	slices.Sort(out)
	return slices.Compact(out)
}

// isSet tells whether a list is sorted, without duplicates and not nil.
func isSet[T ~string](in []T) bool {
	for i := 1; i < len(in); i++ {
		if in[i-1] >= in[i] {
			return false
		}
	}
	return in != nil
}

// mustJSON encodes values of our own types, which can't fail: no channels, functions or cycles.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
