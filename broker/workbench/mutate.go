package workbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// MutationReport says which conditions the tests keep watch over.
type MutationReport struct {
	Tried    int      `json:"tried"`
	Survived []Mutant `json:"survived"` // conditions that can be turned round without a test failing
	Skipped  []Mutant `json:"skipped"`  // conditions that can't be turned round: they also give a variable its value
}

// OK tells whether conditions were turned round, and each time a test failed.
func (r MutationReport) OK() bool { return r.Tried > 0 && len(r.Survived) == 0 }

// Mutant is one condition, turned round.
type Mutant struct {
	Place
	Condition string `json:"condition"` // as written
	id        int
	rule      int
	branch    lineKey // where its rule stands, or the else it is in
	document  int     // hash of the reference to what its rule adds to
}

// Mutate turns the conditions of the rules of a policy round, one at a time, and runs the tests until one fails. The
// policy is compiled once: it holds every variant of every rule, each guarded by its number, and the number is data. An
// error means that its tests fail as it is: they would notice everything.
func (s *Suite) Mutate(ctx context.Context) (MutationReport, error) {
	if err := s.runAll(ctx); err != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", err)
	}
	for i, r := range s.runs {
		if !r.held {
			return MutationReport{}, fmt.Errorf("mutate policy: %w: %w", broker.Told(s.tests[i].name+" slaagt niet, ook zonder dat er iets is omgedraaid; herstel die test eerst.",
				s.tests[i].name+" fails before anything is turned round; mend that first"), cmp.Or(r.err, errUnheld))
		}
	}
	v := s.varied()
	if v.err != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", v.err)
	}
	survived := newWatch(&suite{v.compiler, s.data, s.tests}, s.runs).survivors(ctx, v.mutants)
	if ctx.Err() != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", ctx.Err())
	}
	return MutationReport{Tried: len(v.mutants), Survived: survived, Skipped: v.skipped}, nil
}

var errUnheld = errors.New("it does not hold")

// watch seeks a test that notices a mutant. What it tries first changes how long that takes, never what is found: a mutant
// survives when every test holds.
type watch struct {
	*suite
	runs     []run
	lightest []int // tests
}

func newWatch(s *suite, runs []run) *watch { return &watch{s, runs, lightest(runs)} }

// survivors tries each mutant until a test notices it.
func (w *watch) survivors(ctx context.Context, mutants []Mutant) []Mutant {
	var rules [][]Mutant
	for i, m := range mutants {
		if i == 0 || m.rule != mutants[i-1].rule {
			rules = append(rules, nil)
		}
		rules[len(rules)-1] = append(rules[len(rules)-1], m)
	}
	survived := make([][]Mutant, len(rules))
	parallel(ctx, len(rules), func(i int) {
		var noticed []int // tests that noticed another condition of this rule, the last first
		for _, m := range rules[i] {
			test, ok := w.noticedBy(ctx, m, noticed)
			if !ok {
				survived[i] = append(survived[i], m)
				continue
			}
			noticed = append([]int{test}, slices.DeleteFunc(noticed, func(t int) bool { return t == test })...)
		}
	})
	return append([]Mutant{}, slices.Concat(survived...)...)
}

// noticedBy gives a test that fails with a mutant.
func (w *watch) noticedBy(ctx context.Context, m Mutant, first []int) (int, bool) {
	store := w.store(map[string]any{"mutant": strconv.Itoa(m.id), "off": map[string]any{strconv.Itoa(m.rule): true}})
	tried := map[int]bool{}
	for _, test := range slices.Concat(first, w.order(m)) {
		if tried[test] {
			continue
		}
		tried[test] = true
		if ok, _ := w.run(ctx, w.tests[test], store, nil); !ok {
			return test, true
		}
	}
	return 0, false
}

// order gives the tests: by turns one in which the rule gave something, so that the condition held, and one in which it did
// not; of those first where the document was asked for and there was nothing. Each time the lightest first.
func (w *watch) order(m Mutant) []int {
	var gave, nothing, rest, order []int
	for _, i := range w.lightest {
		switch seen := w.runs[i].seen; {
		case seen.gave[m.branch] != nil:
			gave = append(gave, i)
		case seen.nothing[m.document]:
			nothing = append(nothing, i)
		default:
			rest = append(rest, i)
		}
	}
	others := slices.Concat(nothing, rest)
	for i := range max(len(gave), len(others)) {
		order = append(order, gave[min(i, len(gave)):min(i+1, len(gave))]...)
		order = append(order, others[min(i, len(others)):min(i+1, len(others))]...)
	}
	return order
}

// parallel calls do(0) to do(n-1), on every core, until ctx ends.
func parallel(ctx context.Context, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// varied is a policy with every variant of every rule in it.
type varied struct {
	compiler *ast.Compiler
	mutants  []Mutant
	skipped  []Mutant
	err      error
}

// variants compiles a policy that compiles as it is, with every variant of every rule in it. A variant that does not compile is
// skipped. Turning round and guards on data call no rule, so that no rule can come to call itself: looking for that is more work
// than all else.
func variants(source *decide.Source, files map[string][]byte) varied {
	skip := map[string]bool{}
	skipped := []Mutant{}
	for {
		modules, mutants := vary(source, files, skip)
		maps.Copy(modules, copies(source.Tests))
		c := ast.NewCompiler().WithCapabilities(decide.Capabilities(true)).WithEnablePrintStatements(false)
		if !slices.ContainsFunc(slices.Collect(maps.Values(modules)), named) {
			c.WithSkipStages(ast.StageCheckRecursion)
		}
		c.Compile(modules)
		if !c.Failed() {
			return varied{c, mutants, skipped, nil}
		}
		before := len(skip)
		for _, m := range mutants {
			if slices.ContainsFunc(c.Errors, func(e *ast.Error) bool { return atPlace(e, m.Place) }) && !skip[m.key()] {
				skip[m.key()] = true
				skipped = append(skipped, m)
			}
		}
		if len(skip) == before {
			return varied{err: c.Errors}
		}
	}
}

// named tells whether a module could make rules of what the guards look at.
func named(m *ast.Module) bool { return m.Package.Path.HasPrefix(ast.MustParseRef("data.workbench")) }

func atPlace(e *ast.Error, p Place) bool {
	return e.Location != nil && e.Location.File == p.File && e.Location.Row == p.Line
}

func (m Mutant) key() string { return m.File + ":" + strconv.Itoa(m.Line) + ":" + m.Condition }

func copies(modules map[string]*ast.Module) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	for file, m := range modules {
		out[file] = m.Copy()
	}
	return out
}

// vary puts beside each rule its variants. A rule counts unless data.workbench.off has its number; a variant counts
// when data.workbench.mutant is its number.
func vary(source *decide.Source, files map[string][]byte, skip map[string]bool) (map[string]*ast.Module, []Mutant) {
	modules := copies(source.Modules)
	var mutants []Mutant
	rules := 0
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		m := modules[file]
		for _, rule := range slices.Clone(m.Rules) {
			if rule.Default {
				continue
			}
			rules++
			original := rule.Copy()
			found := conditions(original)
			if len(found) == 0 {
				continue
			}
			guard(rule, "not data.workbench.off["+strconv.Quote(strconv.Itoa(rules))+"]")
			for _, at := range found {
				e := at.expr(original)
				mutant := Mutant{Place: placeIn(files, file, e.Location.Row), Condition: string(e.Location.Text), id: len(mutants) + 1, rule: rules,
					branch: lineOf(at.rule(original).Location), document: original.Ref().GroundPrefix().Hash()}
				if skip[mutant.key()] {
					continue
				}
				variant := original.Copy()
				turned := at.expr(variant)
				turned.Negated = !turned.Negated
				guard(variant, "data.workbench.mutant == "+strconv.Quote(strconv.Itoa(mutant.id)))
				variant.Module = m
				m.Rules = append(m.Rules, variant)
				mutants = append(mutants, mutant)
			}
		}
	}
	return modules, mutants
}

// condition is the place of an expression in a rule: which else, which expression.
type condition struct{ branch, index int }

func (c condition) expr(r *ast.Rule) *ast.Expr { return c.rule(r).Body[c.index] }

func (c condition) rule(r *ast.Rule) *ast.Rule {
	for range c.branch {
		r = r.Else
	}
	return r
}

// conditions lists what can be true or false in a rule: not what only names or walks a value.
func conditions(r *ast.Rule) []condition {
	var out []condition
	for branch := 0; r != nil; r, branch = r.Else, branch+1 {
		for i, e := range r.Body {
			switch t := e.Terms.(type) {
			case *ast.SomeDecl, *ast.Every:
				continue
			case *ast.Term:
				if t.Equal(ast.BooleanTerm(true)) { // the body of a rule without one
					continue
				}
			}
			if !e.IsAssignment() {
				out = append(out, condition{branch, i})
			}
		}
	}
	return out
}

func guard(r *ast.Rule, text string) {
	for ; r != nil; r = r.Else {
		e := ast.MustParseExpr(text)
		setPlace(e, r.Location)
		r.Body = append(ast.Body{e}, r.Body...)
		for i := range r.Body {
			r.Body[i].Index = i
		}
	}
}

func setPlace(e *ast.Expr, at *ast.Location) {
	e.Location = at
	ast.WalkTerms(e, func(t *ast.Term) bool {
		t.Location = at
		return false
	})
}
