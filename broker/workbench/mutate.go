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
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

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
	first     int // line of its rule
}

// Mutate turns the conditions of the rules of a policy round, one at a time, and runs the tests until one fails. The
// policy is compiled once: it holds every variant of every rule, each guarded by its number, and the number is data. An
// error means that the policy does not compile, or that its tests fail as it is.
func Mutate(ctx context.Context, files map[string][]byte) (MutationReport, error) {
	source, err := decide.Read(files)
	if err != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", err)
	}
	s, mutants, skipped, err := variants(source, files)
	if err != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", err)
	}
	tests, err := s.watch(ctx)
	if err != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", err)
	}
	survived := s.survivors(ctx, mutants, tests)
	if ctx.Err() != nil {
		return MutationReport{}, fmt.Errorf("mutate policy: %w", ctx.Err())
	}
	return MutationReport{Tried: len(mutants), Survived: survived, Skipped: skipped}, nil
}

// watch runs the tests on the policy as written, and notes which lines each reaches and how long it takes. A test that
// fails anyway would notice everything, so it is an error.
func (s *suite) watch(ctx context.Context) ([]watched, error) {
	out := make([]watched, len(s.tests))
	errs := make([]error, len(s.tests))
	store := s.store(map[string]any{"mutant": "", "off": map[string]any{}})
	parallel(ctx, len(s.tests), func(i int) {
		lines, start := lineTracer{}, time.Now()
		ok, err := s.run(ctx, s.tests[i], store, lines)
		if !ok {
			errs[i] = fmt.Errorf("%s fails before anything is turned round; mend that first: %w", s.tests[i].name, cmp.Or(err, errUnheld))
		}
		out[i] = watched{i, lines, time.Since(start)}
	})
	return out, cmp.Or(ctx.Err(), errors.Join(errs...))
}

var errUnheld = errors.New("it does not hold")

// watched is what a test reaches.
type watched struct {
	test  int
	lines lineTracer
	took  time.Duration
}

// lineTracer notes the lines that are evaluated.
type lineTracer map[lineKey]bool

type lineKey struct {
	file string
	line int
}

// Enabled, Config and TraceEvent implement topdown.QueryTracer.
func (lineTracer) Enabled() bool               { return true }
func (lineTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }
func (l lineTracer) TraceEvent(e topdown.Event) {
	if e.Location != nil && e.Op == topdown.EvalOp {
		l[lineKey{e.Location.File, e.Location.Row}] = true
	}
}

// survivors tries each mutant on the tests that reach its rule, the quickest first, and then on all others.
func (s *suite) survivors(ctx context.Context, mutants []Mutant, tests []watched) []Mutant {
	unnoticed := make([]bool, len(mutants))
	parallel(ctx, len(mutants), func(i int) {
		m := mutants[i]
		order := slices.Clone(tests)
		slices.SortStableFunc(order, func(a, b watched) int {
			return cmp.Or(cmp.Compare(a.distance(m), b.distance(m)), cmp.Compare(a.took, b.took))
		})
		store := s.store(map[string]any{"mutant": strconv.Itoa(m.id), "off": map[string]any{strconv.Itoa(m.rule): true}})
		unnoticed[i] = !slices.ContainsFunc(order, func(w watched) bool {
			ok, _ := s.run(ctx, s.tests[w.test], store, nil)
			return !ok
		})
	})
	out := []Mutant{}
	for i, m := range mutants {
		if unnoticed[i] {
			out = append(out, m)
		}
	}
	return out
}

// distance is 0 for a test that reaches the condition, 1 for one that reaches its rule, 2 for others.
func (w watched) distance(m Mutant) int {
	switch {
	case w.lines[lineKey{m.File, m.Line}]:
		return 0
	case w.lines[lineKey{m.File, m.first}]:
		return 1
	}
	return 2
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

// variants compiles the policy with every variant of every rule in it. A variant that does not compile is skipped.
func variants(source *decide.Source, files map[string][]byte) (*suite, []Mutant, []Mutant, error) {
	skip := map[string]bool{}
	skipped := []Mutant{}
	for {
		modules, mutants := vary(source, files, skip)
		maps.Copy(modules, copies(source.Tests))
		c := ast.NewCompiler().WithCapabilities(decide.Capabilities(true)).WithEnablePrintStatements(false)
		c.Compile(modules)
		if !c.Failed() {
			s, err := newSuite(c, source)
			return s, mutants, skipped, err
		}
		before := len(skip)
		for _, m := range mutants {
			if slices.ContainsFunc(c.Errors, func(e *ast.Error) bool { return atPlace(e, m.Place) }) && !skip[m.key()] {
				skip[m.key()] = true
				skipped = append(skipped, m)
			}
		}
		if len(skip) == before {
			return nil, nil, nil, c.Errors
		}
	}
}

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
				mutant := Mutant{Place: placeIn(files, file, e.Location.Row), Condition: string(e.Location.Text), id: len(mutants) + 1, rule: rules, first: rule.Location.Row}
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

func (c condition) expr(r *ast.Rule) *ast.Expr {
	for range c.branch {
		r = r.Else
	}
	return r.Body[c.index]
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
