package workbench

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// sets are the sets of the input. They are read by membership only: a loop, a count or an index would let a rule see
// what else is in them, and a decision would rest on more than the question.
var sets = []string{"input.agency.mandates", "input.subject.consent", "input.subject.release", "input.agreements",
	"input.emergency.domains", "input.field.forms"}

// lint walks one module.
func (c *checker) lint(file string, m *ast.Module) {
	entry := m.Package.Path.Equal(ast.MustParseRef(decide.EntryPoint)[:len(m.Package.Path)])
	l := &linter{checker: c, file: file, entry: entry, allowed: decide.Capabilities(false)}
	for _, r := range m.Rules {
		l.rule(r)
	}
}

type linter struct {
	*checker
	file    string
	entry   bool // the module of the entry point: it alone hands on the input
	allowed *ast.Capabilities
}

func (l *linter) rule(r *ast.Rule) {
	l.ruleWords(r)
	members := map[*ast.Term]bool{} // refs that stand where membership is asked
	heads := map[*ast.Term]bool{}   // the first step of a ref; a bare `input` is none
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		l.comparison(e)
		if e.IsCall() {
			l.builtin(e.OperatorTerm(), e.Location.Row)
			if isMember(e.Operator()) {
				members[e.Operand(1)] = true
			}
		}
		return false
	})
	ast.WalkTerms(r, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Call:
			l.builtin(v[0], t.Location.Row)
			l.compared(v)
			if isMember(v[0].Value.(ast.Ref)) {
				members[v[2]] = true
			}
		case ast.Object:
			l.objectWords(v)
		case ast.Ref:
			heads[v[0]] = true
		case ast.Var:
			if v.Equal(ast.InputRootDocument.Value) && !heads[t] {
				l.wholeInput(t)
			}
		}
		return false
	})
	// `some x in set` is a declaration and no membership: it walks the set.
	ast.WalkNodes(r, func(n ast.Node) bool {
		if d, ok := n.(*ast.SomeDecl); ok {
			for _, s := range d.Symbols {
				if call, ok := s.Value.(ast.Call); ok {
					delete(members, call[len(call)-1])
				}
			}
		}
		return false
	})
	l.refs(r, members)
}

func isMember(op ast.Ref) bool { return op.String() == "internal.member_2" }

func (l *linter) refs(r *ast.Rule, members map[*ast.Term]bool) {
	ast.WalkTerms(r, func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		if !ok || l.entry || !ref.HasPrefix(ast.InputRootRef) {
			return false
		}
		path, plain := constant(ref)
		switch {
		case path == "input" || strings.HasPrefix(path, "input.fields"):
			l.wholeInput(t)
		case members[t] && plain:
		case slices.ContainsFunc(sets, func(set string) bool { return path == set || (strings.HasPrefix(set, path+".")) }):
			l.add(RuleSet, l.file, t.Location.Row,
				broker.Text{NL: path + " wordt voor meer gebruikt dan de vraag of iets erin zit", EN: path + " is used for more than asking whether something is in it"},
				broker.Text{NL: `Schrijf: "woord" in ` + path + ".", EN: `Write: "word" in ` + path + "."})
		}
		return false
	})
}

// constant gives the part of a ref before its first step that is not a plain name, and whether that is all of it.
func constant(ref ast.Ref) (path string, all bool) {
	path = ref[0].Value.String()
	for _, step := range ref[1:] {
		name, ok := step.Value.(ast.String)
		if !ok {
			return path, false
		}
		path += "." + string(name)
	}
	return path, true
}

// wholeInput: a rule that sees the list of fields, or the input as a whole, could let one field depend on another.
func (l *linter) wholeInput(t *ast.Term) {
	if l.entry {
		return
	}
	l.add(RuleFields, l.file, t.Location.Row,
		broker.Text{NL: "deze regel kan meer dan één veld zien", EN: "this rule can see more than one field"},
		broker.Text{NL: "Lees input.field; alleen " + decide.EntryPoint + " leest input.fields.", EN: "Read input.field; only " + decide.EntryPoint + " reads input.fields."})
}

// builtin demands that a call to the engine is on the allow-list.
func (l *linter) builtin(op *ast.Term, line int) {
	name := op.Value.String()
	if _, known := ast.BuiltinMap[name]; !known || slices.ContainsFunc(l.allowed.Builtins, func(b *ast.Builtin) bool { return b.Name == name }) {
		return
	}
	l.add(RuleBuiltin, l.file, line,
		broker.Text{NL: name + " mag een beleidsregel niet gebruiken", EN: name + " may not be used by a policy rule"},
		broker.Text{NL: "Gebruik alleen functies zonder netwerk, tijd of toeval; een feit hoort in de vraag of in data.json.",
			EN: "Use only functions without network, time or chance; a fact belongs in the query or in data.json."})
}
