package workbench

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// seen is what the engine shows of a query as it goes: a trace of it takes longer than the query.
type seen struct {
	gave    map[lineKey]*ast.Rule // rules that gave something, by where they stand
	nothing map[int]bool          // hashes of references to documents that turned out undefined
	cost    int                   // documents that were worked out; the same whenever it runs
}

// noted is the engine's own memory of what it worked out, with an eye on what goes in.
type noted struct {
	topdown.VirtualCache
	seen *seen
}

// Put remembers what a document came to, nil where it is undefined.
func (n noted) Put(ref ast.Ref, value *ast.Term) {
	n.seen.cost++
	if value == nil {
		n.seen.nothing[ref.Hash()] = true
	}
	n.VirtualCache.Put(ref, value)
}

// ruleLabel is the label that tells a rule.
const ruleLabel = "rule"

// label gives each rule its place in the list for a label, and no rule another: the engine tells the labels of the rules that
// gave something. What METADATA says of them has served by now.
func label(c *ast.Compiler) ([]*ast.Rule, error) {
	var rules []*ast.Rule
	labels := &ast.Module{}
	for _, file := range slices.Sorted(maps.Keys(c.Modules)) {
		ast.WalkRules(c.Modules[file], func(r *ast.Rule) bool {
			a := &ast.Annotations{Scope: "rule", Location: r.Location, Labels: map[string]any{ruleLabel: len(rules)}}
			labels.Annotations = append(labels.Annotations, a.Copy(r)) // the copy is about r
			rules = append(rules, r)
			return false
		})
	}
	set, errs := ast.BuildAnnotationSet([]*ast.Module{labels})
	if len(errs) > 0 {
		return nil, errs
	}
	*c.GetAnnotationSet() = *set
	return rules, nil
}

type lineKey struct {
	file string
	line int
}

func lineOf(at *ast.Location) lineKey { return lineKey{at.File, at.Row} }

// parts are expressions that were evaluated, and heads of rules that gave something: what the engine's own coverage notes.
type parts map[*ast.Location]bool

// Enabled, Config and TraceEvent implement topdown.QueryTracer.
func (parts) Enabled() bool               { return true }
func (parts) Config() topdown.TraceConfig { return topdown.TraceConfig{} }
func (p parts) TraceEvent(e topdown.Event) {
	switch n := e.Node.(type) {
	case *ast.Expr:
		if e.Op == topdown.EvalOp {
			p[n.Location] = true
		}
	case *ast.Rule:
		if e.Op == topdown.ExitOp {
			p[n.Head.Location] = true
		}
	}
}

// uncovered gives the lines of rules that no test reached. Of a rule that gave something the head and every expression of the
// body were reached. Where that leaves lines, tests are traced, the lightest first, until it leaves none.
func (s *Suite) uncovered(ctx context.Context) ([]Place, error) {
	reached, found := cover.New(), parts{}
	add := func(p *ast.Location) {
		if p != nil && s.source.Modules[p.File] != nil && !found[p] {
			found[p] = true
			reached.TraceEvent(topdown.Event{Op: topdown.EvalOp, Node: &ast.Expr{Location: p}})
		}
	}
	for _, r := range s.runs {
		for _, rule := range r.seen.gave {
			add(rule.Head.Location)
			for _, e := range rule.Body {
				add(e.Location)
			}
		}
	}
	missed := s.missed(reached)
	var one sync.Mutex
	done := func() bool {
		one.Lock()
		defer one.Unlock()
		return len(missed) == 0
	}
	order, store := lightest(s.runs), s.store(nil)
	parallel(ctx, len(order), func(i int) {
		if done() {
			return
		}
		more := parts{}
		_, _ = s.run(ctx, s.tests[order[i]], store, func(q *topdown.Query) { q.WithQueryTracer(more) }) // what it comes to is known
		one.Lock()
		defer one.Unlock()
		before := len(found)
		for p := range more {
			add(p)
		}
		if len(found) > before {
			missed = s.missed(reached)
		}
	})
	places := []Place{}
	for _, at := range slices.SortedFunc(maps.Keys(missed), func(a, b lineKey) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	}) {
		places = append(places, placeIn(s.files, at.file, at.line))
	}
	return places, ctx.Err()
}

// lightest gives the tests in the order of what they cost.
func lightest(runs []run) []int {
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(runs[a].seen.cost, runs[b].seen.cost) })
	return order
}

// missed gives the lines of rules, tests not counted, in which nothing was reached.
func (s *Suite) missed(c *cover.Cover) lineSet {
	reached, missed := lineSet{}, lineSet{}
	report := c.Report(s.source.Modules)
	for file := range s.source.Modules {
		reached.add(file, report.Files[file].Covered)
		missed.add(file, report.Files[file].NotCovered)
	}
	maps.DeleteFunc(missed, func(at lineKey, _ bool) bool { return reached[at] })
	return missed
}

// lineSet is a set of lines.
type lineSet map[lineKey]bool

func (s lineSet) add(file string, parts []cover.Range) {
	for _, part := range parts {
		for line := part.Start.Row; line <= part.End.Row; line++ {
			s[lineKey{file, line}] = true
		}
	}
}
