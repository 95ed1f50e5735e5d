package workbench

import (
	"math/bits"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
)

// region is a part of the space, about some of the fields: what one evaluation is about.
type region struct {
	box    box
	fields []int // indexes in space.fields
}

// read is one thing that an evaluation looked at and that is not the same all over the region.
type read struct {
	dim       int    // of the box, or
	attribute string // of the field, or
	form      string // whether the field can be given in it
}

// reader is the input of evaluations. It gives the first value of each fact in the region and notes which facts were
// asked for that have more than one. The engine can look at the input only through it: what a rule could see without
// its being noted is not given at all.
type reader struct {
	space *space
	attrs []map[string]*ast.Term // by field
	root  *ast.Term

	region region
	extra  map[string]*ast.Term // facts that stand beside the query, all of one value
	log    []read
}

func newReader(s *space) *reader {
	r := &reader{space: s}
	for _, f := range s.fields {
		r.attrs = append(r.attrs, map[string]*ast.Term{
			"path": ast.StringTerm(string(f.Path)), "domain": ast.StringTerm(string(f.Domain)),
			"class": ast.StringTerm(string(f.Class)), "subject": ast.StringTerm(string(f.Subject)),
			"label":   ast.NewTerm(ast.MustInterfaceToValue(map[string]any{"nl": f.Label.NL, "en": f.Label.EN})),
			"holders": ast.NewTerm(words2array(f.Holders)),
		})
	}
	object := func(path string, sets ...string) *ast.Term {
		n := &node{reader: r, path: path + ".", inner: map[string]*ast.Term{}}
		for _, name := range sets {
			n.inner[name] = ast.NewTerm(&members{reader: r, set: path + "." + name})
		}
		return ast.NewTerm(n)
	}
	r.root = ast.NewTerm(&node{reader: r, inner: map[string]*ast.Term{
		"v": ast.IntNumberTerm(broker.QueryVersion), "agency": object("agency", "mandates"), "relation": object("relation"),
		"subject": object("subject", "consent", "release"), "emergency": object("emergency", "domains"),
		"field": object("field", "forms"), "grant": object("grant"), "agreements": ast.NewTerm(&members{reader: r, set: setAgreed})}})
	return r
}

func words2array[T ~string](list []T) *ast.Array {
	var out []*ast.Term
	for _, w := range list {
		out = append(out, ast.StringTerm(string(w)))
	}
	return ast.NewArray(out...)
}

// about starts anew, for another region.
func (r *reader) about(g region, extra map[string]*ast.Term) *ast.Term {
	r.region, r.extra, r.log = g, extra, nil
	return r.root
}

// fact gives a value and notes that it was asked; nil for a path that is no fact.
func (r *reader) fact(path string) *ast.Term {
	if t, ok := r.extra[path]; ok {
		return t
	}
	if dim, ok := r.space.facts[path]; ok {
		return r.space.dims[dim].terms[r.value(dim)]
	}
	const field = "field."
	if len(path) <= len(field) || path[:len(field)] != field {
		return nil
	}
	name := path[len(field):]
	first := r.attrs[r.region.fields[0]][name]
	if first == nil {
		return nil
	}
	for _, f := range r.region.fields[1:] {
		if !r.attrs[f][name].Equal(first) {
			r.log = append(r.log, read{dim: -1, attribute: name})
			break
		}
	}
	return first
}

func (r *reader) value(dim int) int {
	values := r.region.box[dim]
	if bits.OnesCount64(values) > 1 {
		r.log = append(r.log, read{dim: dim})
	}
	return bits.TrailingZeros64(values)
}

// member tells whether an element is in a set, and notes that it was asked.
func (r *reader) member(set, element string) bool {
	if set == "field.forms" {
		first := r.form(r.region.fields[0], element)
		for _, f := range r.region.fields[1:] {
			if r.form(f, element) != first {
				r.log = append(r.log, read{dim: -1, form: element})
				break
			}
		}
		return first
	}
	dim, ok := r.space.sets[set][element]
	return ok && r.value(dim) == 1
}

func (r *reader) form(field int, form string) bool {
	for _, f := range r.space.fields[field].Forms {
		if string(f) == form {
			return true
		}
	}
	return false
}

// split divides a region by what was read; the first part is the one that was evaluated. One part, where an earlier
// division decided it.
func (r *reader) split(g region, by read) []region {
	if by.dim >= 0 {
		var out []region
		for rest := g.box[by.dim]; rest != 0; rest &= rest - 1 {
			out = append(out, region{g.box.with(by.dim, rest&-rest), g.fields})
		}
		return out
	}
	var parts [][]int
	for _, f := range g.fields {
		found := false
		for i, p := range parts {
			same := r.form(f, by.form) == r.form(p[0], by.form)
			if by.attribute != "" {
				same = r.attrs[f][by.attribute].Equal(r.attrs[p[0]][by.attribute])
			}
			if same {
				parts[i], found = append(p, f), true
				break
			}
		}
		if !found {
			parts = append(parts, []int{f})
		}
	}
	out := make([]region, len(parts))
	for i, p := range parts {
		out[i] = region{g.box, p}
	}
	return out
}

// node is the input, or an object in it, as the engine sees it: a step at a time. Whatever else the engine tries with
// it (walk it, count it, compare it) meets the nil that it embeds and ends the exploration with an error.
type node struct {
	ast.Object
	reader *reader
	path   string
	inner  map[string]*ast.Term
}

// Get implements ast.Object.
func (n *node) Get(key *ast.Term) *ast.Term {
	name, ok := key.Value.(ast.String)
	if !ok {
		return nil
	}
	if t, ok := n.inner[string(name)]; ok {
		return t
	}
	return n.reader.fact(n.path + string(name))
}

// Find implements ast.Value.
func (n *node) Find(path ast.Ref) (ast.Value, error) {
	if len(path) == 0 {
		return n, nil
	}
	t := n.Get(path[0])
	if t == nil {
		return nil, errNotThere
	}
	return t.Value.Find(path[1:])
}

// IsGround implements ast.Value.
func (*node) IsGround() bool { return true }

// members is a set in the input: it can be asked whether something is in it, and nothing else.
type members struct {
	ast.Set
	reader *reader
	set    string
}

// Contains implements ast.Set.
func (m *members) Contains(t *ast.Term) bool {
	word, ok := t.Value.(ast.String)
	return ok && m.reader.member(m.set, string(word))
}

// Find implements ast.Value.
func (m *members) Find(path ast.Ref) (ast.Value, error) {
	if len(path) == 0 {
		return m, nil
	}
	return nil, errNotThere
}

// IsGround implements ast.Value.
func (*members) IsGround() bool { return true }
