package workbench

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/schakel/schakel/broker"
)

// explainer asks the compiled rules of a policy, line by line, what they say to one question.
type explainer struct {
	*program
	ctx    context.Context
	files  map[string][]byte
	names  map[lineKey]Named
	txn    storage.Transaction
	input  *ast.Term
	cancel topdown.Cancel
}

func newExplainer(ctx context.Context, p *program, files map[string][]byte) (*explainer, error) {
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	return &explainer{program: p, ctx: ctx, files: files, names: titled(p, files), txn: txn, cancel: topdown.NewCancel()}, nil
}

func (e *explainer) close() { e.store.Abort(e.ctx, e.txn) }

func (e *explainer) ask(q broker.Query) (err error) {
	root, _ := e.source.Data["schakel"].(map[string]any)
	catalog, _ := root["catalog"].(map[string]any)
	e.input, err = question(q, catalog["fields"])
	return err
}

// binding is what the variables of a compiled rule stand for.
type binding map[ast.Var]*ast.Term

// solve gives every way in which compiled lines hold, given what is bound.
func (e *explainer) solve(bound binding, lines ...*ast.Expr) ([]binding, error) {
	body := make(ast.Body, 0, len(bound)+len(lines))
	for _, v := range slices.Sorted(maps.Keys(bound)) {
		body.Append(ast.Equality.Expr(ast.NewTerm(v), bound[v]))
	}
	for _, line := range lines {
		body.Append(line.Copy())
	}
	defer context.AfterFunc(e.ctx, e.cancel.Cancel)()
	results, err := topdown.NewQuery(body).WithCompiler(e.compiler).WithStore(e.store).WithTransaction(e.txn).
		WithInput(e.input).WithStrictBuiltinErrors(true).WithCancel(e.cancel).Run(e.ctx)
	if err != nil {
		return nil, err
	}
	out := make([]binding, 0, len(results))
	for _, r := range results {
		b := maps.Clone(bound)
		for v, t := range r {
			b[v] = t
		}
		out = append(out, b)
	}
	return out, nil
}

// attempts finds the rules behind the document that could give the field: what its branches take their value from, and
// otherwise the branches themselves. An attempt that a row's own words rule out is none.
func (e *explainer) attempts() ([]Attempt, error) {
	out := []Attempt{}
	for _, rule := range e.compiler.GetRulesExact(ast.MustParseRef(givenDocument)) {
		for ; rule != nil; rule = rule.Else {
			from := []*ast.Rule{}
			for _, line := range rule.Body {
				if doc, _, ok := drawn(line); ok {
					from = append(from, e.compiler.GetRulesExact(doc)...)
				}
			}
			if len(from) == 0 {
				from = append(from, rule)
			}
			for _, r := range from {
				found, err := e.tries(r)
				if err != nil {
					return nil, err
				}
				out = append(out, found...)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Attempt) int { return cmp.Compare(len(a.Failed), len(b.Failed)) })
	return out, nil
}

// tries judges a rule for each row it draws.
func (e *explainer) tries(r *ast.Rule) ([]Attempt, error) {
	lines, err := e.judge(r, binding{})
	if err != nil {
		return nil, err
	}
	var out []Attempt
	for _, j := range lines {
		a := Attempt{Rule: e.named(r), Rows: []Named{}, Holds: j.holds(), Conditions: j.conditions, Failed: failures([]WhyCondition{}, j.conditions)}
		if slices.ContainsFunc(a.Conditions, func(c WhyCondition) bool { return c.strays || (!c.Holds && !c.reads) }) {
			continue
		}
		for _, line := range r.Body {
			doc, v, ok := drawn(line)
			if row, bound := j.bound[v]; ok && bound {
				rows, err := e.sources(doc, row, 0)
				if err != nil {
					return nil, err
				}
				a.Rows = append(a.Rows, rows...)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// judged is a rule's lines under one binding.
type judged struct {
	bound      binding
	read       map[ast.Var]bool // bound to something of the question or the data, and not of a row
	lost       map[ast.Var]bool // would have been bound by a line that gave nothing
	conditions []WhyCondition
}

func (j judged) holds() bool {
	return !slices.ContainsFunc(j.conditions, func(c WhyCondition) bool { return !c.Holds })
}

// and gives j with one condition more.
func (j judged) and(c WhyCondition) judged {
	j.conditions = append(slices.Clone(j.conditions), c)
	return j
}

// judge asks each line of a rule. Lines that bind a variable multiply the bindings; other lines are all asked, whether
// those before hold or not.
func (e *explainer) judge(r *ast.Rule, bound binding) ([]judged, error) {
	out := []judged{{bound: bound, read: map[ast.Var]bool{}, lost: map[ast.Var]bool{}}}
	for _, line := range r.Body {
		var next []judged
		for _, j := range out {
			more, err := e.line(line, j)
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		out = next
	}
	return out, nil
}

func (e *explainer) line(line *ast.Expr, j judged) ([]judged, error) {
	fresh, read := []ast.Var{}, reads(line)
	for v := range variables(line) {
		_, bound := j.bound[v]
		switch {
		case j.lost[v]:
			fresh = nil
			for v := range variables(line) { // what rests on what was lost is lost too
				if _, bound := j.bound[v]; !bound {
					j.lost = maps.Clone(j.lost)
					j.lost[v] = true
				}
			}
			return []judged{j}, nil
		case !bound && !line.Negated:
			fresh = append(fresh, v)
		}
		read = read || j.read[v]
	}
	found, err := e.solve(j.bound, line)
	if err != nil {
		return nil, err
	}
	_, _, row := drawn(line)
	switch {
	case len(fresh) > 0 && len(found) > 0:
		if read && !row {
			j.read = maps.Clone(j.read)
			for _, v := range fresh {
				j.read[v] = true
			}
		}
		out := make([]judged, len(found))
		for i, b := range found {
			out[i] = judged{b, j.read, j.lost, j.conditions}
		}
		return out, nil
	case len(fresh) > 0:
		j.lost = maps.Clone(j.lost)
		for _, v := range fresh {
			j.lost[v] = true
		}
		c := WhyCondition{Place: e.place(line), reads: read, strays: row}
		if err := e.name(&c, line.Operand(1), nil, j.bound); err != nil { // v = a rule that gives nothing
			return nil, err
		}
		return []judged{j.and(c)}, nil
	}
	c := WhyCondition{Place: e.place(line), Not: line.Negated, Holds: len(found) > 0, reads: read}
	if line.IsCall() {
		err = e.name(&c, line.OperatorTerm(), line.Operands(), j.bound)
	} else if t, ok := line.Terms.(*ast.Term); ok {
		err = e.name(&c, t, nil, j.bound)
	}
	return []judged{j.and(c)}, err
}

// name adds the title and the parts of the rule that a line names, if it names one.
func (e *explainer) name(c *WhyCondition, what *ast.Term, operands []*ast.Term, bound binding) error {
	var rules []*ast.Rule
	if what != nil {
		if ref, ok := what.Value.(ast.Ref); ok {
			rules = e.compiler.GetRulesExact(ref)
		}
	}
	if len(rules) == 0 {
		return nil
	}
	c.reads = true
	c.OneOf = len(rules) > 1 || rules[0].Else != nil
	for _, r := range rules {
		for branch := r; branch != nil; branch = branch.Else {
			args := binding{}
			for i, a := range branch.Head.Args {
				if v, ok := a.Value.(ast.Var); ok && i < len(operands) {
					args[v] = resolve(operands[i], bound)
				}
			}
			ways, err := e.judge(branch, args)
			if err != nil {
				return err
			}
			best := slices.MaxFunc(ways, func(a, b judged) int { return a.holding() - b.holding() })
			if !c.OneOf {
				c.Parts = best.conditions
				continue
			}
			c.Parts = append(c.Parts, WhyCondition{Place: placeIn(e.files, branch.Location.File, branch.Location.Row),
				Title: e.named(branch).Title, Holds: best.holds(), reads: true, Parts: best.conditions})
		}
	}
	c.Title = e.named(rules[0]).Title
	if c.OneOf {
		c.Title = either(c.Parts)
	}
	return nil
}

// either names rules of one name by those of them that this row does not rule out.
func either(parts []WhyCondition) broker.Text {
	var nl, en []string
	for _, all := range []bool{false, true} {
		for _, part := range parts {
			if (all || part.applies()) && !slices.Contains(nl, part.Title.NL) {
				nl, en = append(nl, part.Title.NL), append(en, part.Title.EN)
			}
		}
		if len(nl) > 0 {
			break
		}
	}
	return broker.Text{NL: strings.Join(nl, " / "), EN: strings.Join(en, " / ")}
}

// applies tells whether nothing that a rule asks of the row alone keeps it from holding.
func (c WhyCondition) applies() bool {
	return !slices.ContainsFunc(c.Parts, func(part WhyCondition) bool { return !part.Holds && !part.reads })
}

// holding orders bindings: one under which all holds, or else the one under which most does.
func (j judged) holding() int {
	n := 0
	for _, c := range j.conditions {
		if !c.Holds {
			n--
		}
	}
	return n
}

func resolve(t *ast.Term, bound binding) *ast.Term {
	if v, ok := t.Value.(ast.Var); ok && bound[v] != nil {
		return bound[v]
	}
	return t
}

// drawn recognises `some x in document`: the document, and the variable.
func drawn(line *ast.Expr) (ast.Ref, ast.Var, bool) {
	if line.Negated || !line.IsEquality() {
		return nil, "", false
	}
	v, isVar := line.Operand(0).Value.(ast.Var)
	ref, isRef := line.Operand(1).Value.(ast.Ref)
	if !isVar || !isRef || len(ref) < 3 || !ref.HasPrefix(ast.DefaultRootRef) {
		return nil, "", false
	}
	last, isVarLast := ref[len(ref)-1].Value.(ast.Var)
	return ref[:len(ref)-1], v, isVarLast && last != v
}

// sources finds the rules that put a value into a set: those that write it down, and not those that hand it on.
func (e *explainer) sources(doc ast.Ref, value *ast.Term, depth int) ([]Named, error) {
	out := []Named{}
	for _, r := range e.compiler.GetRulesExact(doc) {
		key := r.Head.Key
		if key == nil || depth > 8 {
			continue
		}
		found, err := e.solve(binding{}, append(slices.Clone([]*ast.Expr(r.Body)), ast.Equality.Expr(key, value))...)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		handed := false
		for _, line := range r.Body {
			if from, v, ok := drawn(line); ok && found[0][v] != nil && found[0][v].Equal(value) {
				handed = true
				deeper, err := e.sources(from, value, depth+1)
				if err != nil {
					return nil, err
				}
				out = append(out, deeper...)
			}
		}
		if !handed {
			out = append(out, e.named(r))
		}
	}
	return out, nil
}

func (e *explainer) named(r *ast.Rule) Named {
	return e.names[lineKey{r.Location.File, r.Location.Row}]
}

func (e *explainer) place(line *ast.Expr) Place {
	return placeIn(e.files, line.Location.File, line.Location.Row)
}

// variables gives the variables of a compiled line itself, and not of what is closed within it.
func variables(line *ast.Expr) map[ast.Var]bool {
	out := map[ast.Var]bool{}
	if _, closed := line.Terms.(*ast.Every); closed {
		return out
	}
	v := ast.NewVarVisitor().WithParams(ast.VarVisitorParams{SkipClosures: true, SkipRefCallHead: true})
	v.Walk(line)
	for name := range v.Vars() {
		if !ast.RootDocumentNames.Contains(ast.NewTerm(name)) {
			out[name] = true
		}
	}
	return out
}

// reads tells whether a line looks at the question or the data itself.
func reads(line *ast.Expr) bool {
	found := false
	ast.WalkRefs(line, func(r ast.Ref) bool {
		found = found || ast.RootDocumentNames.Contains(r[0])
		return false
	})
	return found
}
