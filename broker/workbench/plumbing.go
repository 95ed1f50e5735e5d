package workbench

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
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
	some entry in data.schakel.catalog.fields
	entry.path == path
} else := {"path": path, "domain": "", "class": "", "forms": [], "subject": ""}
`,
	"data.schakel.answer": `package schakel.answer

import data.schakel.reasons

found := {"granted": true, "grant": given.grant, "obligations": given.obligations} if {
	given
} else := {"granted": false, "reasons": reasons.found, "obligations": set()}
`,
}

// plumbing demands that the rules between answer.given and the decision are as they were.
func (c *checker) plumbing() {
	for _, pkg := range slices.Sorted(maps.Keys(plumbing)) {
		want := ast.MustParseModuleWithOpts(plumbing[pkg], ast.ParserOptions{RegoVersion: ast.RegoV1})
		for _, file := range slices.Sorted(maps.Keys(c.source.Modules)) {
			m := c.source.Modules[file]
			if m.Package.Path.String() != pkg {
				continue
			}
			left := slices.Clone(want.Rules)
			for _, r := range m.Rules {
				i := slices.IndexFunc(left, func(w *ast.Rule) bool { return w.Head.Ref().Equal(r.Head.Ref()) })
				switch {
				case i >= 0 && left[i].Compare(bare(r)) == 0:
					left = slices.Delete(left, i, i+1)
				case i >= 0 || pkg != "data.schakel.answer" || r.Head.Ref().String() == "found":
					c.plumbed(file, r.Location.Row, r.Head.Ref().String(), pkg)
				}
			}
			for _, w := range left {
				if !slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return w.Head.Ref().Equal(r.Head.Ref()) }) {
					c.plumbed(file, m.Package.Location.Row, w.Head.Ref().String(), pkg)
				}
			}
		}
	}
}

func (c *checker) plumbed(file string, line int, rule, pkg string) {
	c.add(RulePlumbing, file, line,
		broker.Text{NL: "de regel " + rule + " in " + pkg + " moet zijn zoals in het meegeleverde beleid", EN: "the rule " + rule + " in " + pkg + " must be as in the shipped policy"},
		broker.Text{NL: "Zet deze regel terug. Wat wordt gegeven staat in answer.given en de regels daarachter; daarop rust de matrix.",
			EN: "Put this rule back. What is given stands in answer.given and the rules behind it; the matrix rests on that."})
}

// bare gives a rule without what is said about it.
func bare(r *ast.Rule) *ast.Rule {
	b := r.Copy()
	b.Annotations = nil
	return b
}
