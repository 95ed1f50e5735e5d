package workbench

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Matrix is what a policy gives in every combination of facts: a cell for each role, purpose and field of which
// something is given. What has no cell is never given.
type Matrix struct {
	Revision broker.Revision `json:"revision"`
	// Combinations is how many different queries about one field there are; the matrix holds for each of them.
	Combinations string       `json:"combinations"`
	Evaluations  int          `json:"evaluations"` // how often the engine was asked to know that
	Cells        []MatrixCell `json:"cells"`
	// Faults are parts of the space in which the engine can give no decision.
	Faults  []MatrixFault   `json:"faults"`
	Catalog *broker.Catalog `json:"-"`
	// Terms are for how long what is recorded for a purpose may be read (ISO 8601); none where the policy does not say.
	Terms map[broker.Purpose]string `json:"-"`
}

// OK tells whether there is a decision for every query.
func (m Matrix) OK() bool { return len(m.Faults) == 0 }

// MatrixCell is what one role gets of one field for one purpose.
type MatrixCell struct {
	Role    broker.Role    `json:"role"`
	Purpose broker.Purpose `json:"purpose"`
	Field   broker.Field   `json:"field"`
	Always  bool           `json:"always"` // whatever else holds
	// Ways are what is given and when. The first that holds counts; where none does the field is refused.
	Ways []Way `json:"ways"`
}

// Way is one thing that is given, and when.
type Way struct {
	Form        broker.Form         `json:"form"`
	Basis       broker.Basis        `json:"basis"`
	Obligations []broker.Obligation `json:"obligations"`
	// When lists what is enough: one of these lists, all conditions of it together. An empty list holds always.
	When [][]Condition `json:"when"`
}

// Condition is a demand on one fact of the query.
type Condition struct {
	Fact  string   `json:"fact"`            // below input: agency.kind, relation.case, subject.consent, …
	OneOf []string `json:"oneOf,omitempty"` // for a word or a boolean: the values that will do
	Has   string   `json:"has,omitempty"`   // for a set: what must be in it
	Lacks string   `json:"lacks,omitempty"` // for a set: what must not be in it
}

// MatrixFault is a query that gets no decision, and why.
type MatrixFault struct {
	Field   broker.Field `json:"field"`
	Example broker.Query `json:"example"`
	Why     string       `json:"why"`
}

// Matrix explores a policy and folds what it gives into a table.
func (x *Explorer) Matrix(ctx context.Context, files map[string][]byte) (Matrix, error) {
	e, err := x.open(ctx, files)
	if err != nil {
		return Matrix{}, fmt.Errorf("explore policy: %w", err)
	}
	return e.matrix(), nil
}

func (e *explored) matrix() Matrix {
	m := Matrix{Revision: e.revision, Combinations: e.space.size(), Evaluations: e.evaluations, Cells: []MatrixCell{},
		Faults: e.faults(), Catalog: e.catalog, Terms: termsOf(e.program.source.Data)}
	for _, c := range e.cells() {
		m.Cells = append(m.Cells, e.cell(c))
	}
	return m
}

// size counts the queries about one field.
func (s *space) size() string {
	n := 1.0
	for _, d := range s.dims {
		n *= float64(len(d.values))
	}
	return fmt.Sprintf("%.1e", n*float64(len(s.fields)))
}

// cellKey names a cell: indexes in the space.
type cellKey struct{ role, purpose, field int }

// cellBoxes is where in a cell what is given.
type cellBoxes struct {
	cellKey
	gives map[giving][]box
}

// cells gathers what is given by cell. The roles and purposes of its boxes are all of them: the cell names its own.
func (e *explored) cells() []cellBoxes {
	found := map[cellKey]*cellBoxes{}
	all := e.space.all()
	for _, l := range e.leaves {
		if !l.granted {
			continue
		}
		for roles := l.box[dimRole]; roles != 0; roles &= roles - 1 {
			for purposes := l.box[dimPurpose]; purposes != 0; purposes &= purposes - 1 {
				for _, f := range l.fields {
					key := cellKey{bits.TrailingZeros64(roles), bits.TrailingZeros64(purposes), f}
					if found[key] == nil {
						found[key] = &cellBoxes{key, map[giving][]box{}}
					}
					b := l.box.with(dimRole, all[dimRole])
					b[dimPurpose] = all[dimPurpose]
					found[key].gives[l.giving] = append(found[key].gives[l.giving], b)
				}
			}
		}
	}
	out := make([]cellBoxes, 0, len(found))
	for _, c := range found {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b cellBoxes) int {
		return cmp.Or(a.role-b.role, a.purpose-b.purpose, a.field-b.field)
	})
	return out
}

// cell folds one cell: the ways that need no emergency first, then the shortest.
func (e *explored) cell(c cellBoxes) MatrixCell {
	s := e.space
	out := MatrixCell{Role: broker.Role(s.dims[dimRole].values[c.role]), Purpose: broker.Purpose(s.dims[dimPurpose].values[c.purpose]),
		Field: s.fields[c.field].Path, Ways: []Way{}}
	type folded struct {
		giving
		boxes []box
	}
	var ways []folded
	for g, boxes := range c.gives {
		ways = append(ways, folded{g, merge(boxes)})
	}
	active := s.facts[factActive]
	slices.SortFunc(ways, func(a, b folded) int {
		late := func(f folded) int {
			if slices.ContainsFunc(f.boxes, func(b box) bool { return b[active]&1 != 0 }) {
				return 0
			}
			return 1
		}
		return cmp.Or(late(a)-late(b), len(a.boxes)-len(b.boxes), cmp.Compare(a.basis, b.basis), cmp.Compare(a.form, b.form),
			cmp.Compare(a.obligations, b.obligations))
	})
	var before []box
	for _, w := range ways {
		way := Way{Form: w.form, Basis: w.basis, Obligations: w.list(), When: [][]Condition{}}
		for _, b := range simplify(s, w.boxes, before) {
			way.When = append(way.When, s.conditions(b))
		}
		out.Ways = append(out.Ways, way)
		before = append(before, w.boxes...)
	}
	out.Always = covered(s.all(), before)
	return out
}

// list gives the obligations one by one.
func (g giving) list() []broker.Obligation {
	out := []broker.Obligation{}
	for _, word := range strings.Fields(g.obligations) {
		out = append(out, broker.Obligation(word))
	}
	return out
}

// conditions says what a box demands.
func (s *space) conditions(b box) []Condition {
	out := []Condition{}
	all := s.all()
	for dim, d := range s.dims {
		if b[dim] == all[dim] {
			continue
		}
		switch c := (Condition{Fact: d.path}); {
		case d.element == "":
			c.OneOf = s.words(b, dim)
			out = append(out, c)
		case b[dim] == 1:
			c.Lacks = d.element
			out = append(out, c)
		default:
			c.Has = d.element
			out = append(out, c)
		}
	}
	return out
}

// faults gives an example of each fault, by field and reason.
func (e *explored) faults() []MatrixFault {
	out := []MatrixFault{}
	seen := map[string]bool{}
	for _, l := range e.leaves {
		for _, f := range l.fields {
			info := e.space.fields[f]
			why := l.faultOf(info, e.catalog)
			if key := string(info.Path) + why; why != "" && !seen[key] {
				seen[key] = true
				out = append(out, MatrixFault{info.Path, e.space.example(l.box, info.Path), why})
			}
		}
	}
	return out
}

// faultOf says why the engine would refuse what a policy gives of a field; empty where it does not.
func (o outcome) faultOf(f broker.FieldInfo, c *broker.Catalog) string {
	switch {
	case o.fault != "" || !o.granted:
		return o.fault
	case !slices.Contains(f.Forms, o.giving.form):
		return fmt.Sprintf("it is given in the form %q, which the catalog does not have for it", o.giving.form)
	case !broker.HasTerm(c.Bases, string(o.giving.basis)):
		return fmt.Sprintf("it is given on the basis %q, which is not in the list of bases", o.giving.basis)
	}
	for _, word := range o.giving.list() {
		if !broker.HasTerm(c.Obligations, string(word)) {
			return fmt.Sprintf("it comes with the obligation %q, which is not in the list of obligations", word)
		}
	}
	return ""
}
