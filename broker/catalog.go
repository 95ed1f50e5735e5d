package broker

import (
	"slices"
	"strings"
)

// Catalog is what a policy revision says exists: fields, and the closed lists of words with their texts. Everything an
// integrator needs to build a screen from.
type Catalog struct {
	Fields      []FieldInfo `json:"fields"`
	Companions  []Companion `json:"companions"`
	AgencyKinds []KindInfo  `json:"agencyKinds"`
	Mandates    []Term      `json:"mandates"`
	Roles       []Term      `json:"roles"`
	Purposes    []Term      `json:"purposes"`
	Domains     []Term      `json:"domains"`
	Forms       []Term      `json:"forms"`
	Classes     []Term      `json:"classes"`
	Reasons     []Term      `json:"reasons"`
	Bases       []Term      `json:"bases"`
	Obligations []Term      `json:"obligations"`
}

// Text is said in Dutch and in English.
type Text struct {
	NL string `json:"nl"`
	EN string `json:"en"`
}

// Term is one word of a closed list.
type Term struct {
	ID   string `json:"id"`
	Text Text   `json:"text"`
}

// FieldInfo describes one field.
type FieldInfo struct {
	Path    Field        `json:"path"`
	Label   Text         `json:"label"`
	Class   Class        `json:"class"`
	Forms   []Form       `json:"forms"` // the forms it can be given in
	Subject SubjectKind  `json:"subject"`
	Domain  Domain       `json:"domain"`
	Holders []AgencyKind `json:"holders"` // kinds of agency that hold it, the first that is named is asked
}

// Companion is a BRP field that comes by itself with others and may not be asked for. It is released only together
// with a field under With (a path or a group path).
type Companion struct {
	Path  Field `json:"path"`
	With  Field `json:"with"`
	Label Text  `json:"label"`
}

// KindInfo describes one kind of agency.
type KindInfo struct {
	ID   AgencyKind `json:"id"`
	Text Text       `json:"text"`
	BSN  BSNGround  `json:"bsn"`
}

// BSNGround says whether a kind of agency has a legal ground to process BSNs (UAVG 46).
type BSNGround string

// Closed list of BSNGround.
const (
	BSNAlways   BSNGround = "always"
	BSNMandated BSNGround = "mandated" // only an agency that carries out a mandate
	BSNNever    BSNGround = "never"
)

// Field finds a field by its path.
func (c *Catalog) Field(path Field) (FieldInfo, bool) {
	i := slices.IndexFunc(c.Fields, func(f FieldInfo) bool { return f.Path == path })
	if i < 0 {
		return FieldInfo{}, false
	}
	return c.Fields[i], true
}

// Expand gives the fields a path names: itself, or all fields of the group. Nothing for an unknown path.
func (c *Catalog) Expand(path Field) []Field {
	var out []Field
	for _, f := range c.Fields {
		if under(f.Path, path) {
			out = append(out, f.Path)
		}
	}
	return out
}

// IsCompanion tells whether path names a companion.
func (c *Catalog) IsCompanion(path Field) bool {
	return slices.ContainsFunc(c.Companions, func(k Companion) bool { return k.Path == path })
}

// MayHaveBSN tells whether an agency of this kind with these mandates has a ground to process BSNs. An unknown kind
// has none.
func (c *Catalog) MayHaveBSN(kind AgencyKind, mandates []Mandate) bool {
	for _, k := range c.AgencyKinds {
		if k.ID == kind {
			return k.BSN == BSNAlways || (k.BSN == BSNMandated && len(mandates) > 0)
		}
	}
	return false
}

// HasTerm tells whether id is in a closed list.
func HasTerm(list []Term, id string) bool {
	return slices.ContainsFunc(list, func(t Term) bool { return t.ID == id })
}

// under tells whether path is group or lies in it.
func under(path, group Field) bool {
	rest, ok := strings.CutPrefix(string(path), string(group))
	return ok && (rest == "" || rest[0] == '.')
}
