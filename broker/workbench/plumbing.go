package workbench

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// plumbing is how the entry point must come to a decision from what is given of one field. A matrix explores
// answer.given alone: it speaks for the decision because nothing between the two is anybody's to change.
var plumbing = map[string]string{
	"data.schakel.access": `package schakel.access

import data.schakel.answer

decision := {
	"grants": {path: found.grant | some path, found in decided; found.granted},
	"refusals": {path: found.reasons | some path, found in decided; not found.granted},
	"obligations": {obligation | some found in decided; some obligation in found.obligations},
}

decided[path] := found if {
	some path in input.fields
	asked := question(path)
	found := answer.found with input as asked
}

question(path) := {
	"v": input.v,
	"agency": input.agency,
	"role": input.role,
	"purpose": input.purpose,
	"relation": input.relation,
	"subject": input.subject,
	"agreements": input.agreements,
	"emergency": input.emergency,
	"field": catalogued(path),
}

catalogued(path) := entry if {
	entry := entries[path]
} else := {"path": path, "domain": "", "class": "", "forms": [], "subject": ""}

entries := {entry.path: entry | some entry in data.schakel.catalog.fields}
`,
	"data.schakel.answer": `package schakel.answer

import data.schakel.reasons

found := {"granted": true, "grant": given.grant, "obligations": given.obligations} if {
	given
} else := {"granted": false, "reasons": reasons.found, "obligations": set()}
`,
}

// plumbing demands that the rules between answer.given and the decision are as they were, what they import too, and that
// no other rule adds to them.
func (c *checker) plumbing() {
	if givesNothing(c.source) {
		return
	}
	var left []*ast.Rule
	for _, pkg := range slices.Sorted(maps.Keys(plumbing)) {
		left = append(left, ast.MustParseModuleWithOpts(plumbing[pkg], ast.ParserOptions{RegoVersion: ast.RegoV1}).Rules...)
	}
	there := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(c.source.Modules)) {
		m := c.source.Modules[file]
		for _, r := range m.Rules {
			ref := r.Ref()
			there[ref.String()] = true
			i := slices.IndexFunc(left, func(w *ast.Rule) bool {
				return w.Ref().Equal(ref) && w.Compare(bare(r)) == 0 && imports(m, w.Module)
			})
			switch {
			case i >= 0:
				left = slices.Delete(left, i, i+1)
			case fixed(ref):
				c.plumbed(file, r.Location.Row, ref.String())
			}
		}
	}
	for _, w := range left {
		if !there[w.Ref().String()] {
			c.plumbed("", 0, w.Ref().String())
		}
	}
}

// imports tells whether a module imports what another does.
func imports(m, all *ast.Module) bool {
	return !slices.ContainsFunc(all.Imports, func(w *ast.Import) bool { return !slices.ContainsFunc(m.Imports, w.Equal) })
}

// fixed tells whether a rule is, or could reach into, what is fixed: package access and answer.found.
func fixed(ref ast.Ref) bool {
	path, plain := constant(ref)
	for _, at := range []string{"data.schakel.access", "data.schakel.answer.found"} {
		if path == at || strings.HasPrefix(path, at+".") || (!plain && strings.HasPrefix(at, path+".")) {
			return true
		}
	}
	return false
}

// givesNothing recognises a policy that refuses everything without looking: an emergency stop.
func givesNothing(s *decide.Source) bool {
	rules := 0
	nothing := false
	for _, m := range s.Modules {
		rules += len(m.Rules)
		for _, r := range m.Rules {
			if r.Ref().String() == decide.EntryPoint && r.Else == nil && r.Head.Value != nil {
				o, ok := r.Head.Value.Value.(ast.Object)
				nothing = ok && o.Get(ast.StringTerm("grants")).Equal(ast.ObjectTerm())
			}
		}
	}
	return nothing && rules == 1
}

func (c *checker) plumbed(file string, line int, rule string) {
	c.add(RulePlumbing, file, line,
		broker.Text{NL: "de regel " + rule + " moet zijn zoals in het meegeleverde beleid", EN: "the rule " + rule + " must be as in the shipped policy"},
		broker.Text{NL: "Zet deze regel terug. Wat wordt gegeven staat in answer.given en de regels daarachter; daarop rust de matrix.",
			EN: "Put this rule back. What is given stands in answer.given and the rules behind it; the matrix rests on that."})
}

// bare gives a rule without what is said about it.
func bare(r *ast.Rule) *ast.Rule {
	b := r.Copy()
	b.Annotations = nil
	return b
}
