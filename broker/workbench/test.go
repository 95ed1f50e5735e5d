package workbench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/schakel/schakel/broker/decide"
)

// TestReport is what the tests of a policy say about it.
type TestReport struct {
	Passed    int       `json:"passed"`
	Failed    []Failure `json:"failed"`
	Lines     int       `json:"lines"`     // of rules, tests not counted
	Uncovered []Place   `json:"uncovered"` // lines no test reaches
}

// Failure is one test that did not hold.
type Failure struct {
	Place
	Test  string `json:"test"`
	Error string `json:"error,omitempty"` // where the engine gave up rather than say no
}

// OK tells whether there are tests, all of them hold, and they reach every line.
func (r TestReport) OK() bool { return r.Passed > 0 && len(r.Failed) == 0 && len(r.Uncovered) == 0 }

// Suite is a policy with its tests, read and compiled once for all that is asked of it. It is for one goroutine at a time.
type Suite struct {
	suite
	files  map[string][]byte
	source *decide.Source
	rules  []*ast.Rule // as compiled; the label of each is its place here
	runs   []run       // what each test came to, once they ran
	varied func() varied
}

// NewSuite reads and compiles a policy with its tests. An error means that it does not compile: run Check.
func NewSuite(files map[string][]byte) (*Suite, error) {
	source, err := decide.Read(files)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	vary := sync.OnceValue(func() varied { return variants(source, files) })
	go vary() // one core compiles what Mutate asks for later
	modules := maps.Clone(source.Modules)
	maps.Copy(modules, source.Tests)
	compiler, err := source.Compile(modules, true)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	tests, err := testRules(compiler, source)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	data, err := ast.InterfaceToValue(source.Data)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	rules, err := label(compiler)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	return &Suite{suite: suite{compiler, data.(ast.Object), tests}, files: files, source: source, rules: rules, varied: vary}, nil
}

// Test runs every rule test_… of the *_test.rego files and reports the lines of the policy that none reaches.
func (s *Suite) Test(ctx context.Context) (TestReport, error) {
	report := TestReport{Failed: []Failure{}, Uncovered: []Place{}}
	if err := s.runAll(ctx); err != nil {
		return report, fmt.Errorf("test policy: %w", err)
	}
	for i, t := range s.tests {
		if s.runs[i].held {
			report.Passed++
			continue
		}
		f := Failure{Place: placeIn(s.files, t.file, t.line), Test: t.name}
		if err := s.runs[i].err; err != nil {
			f.Error = err.Error()
		}
		report.Failed = append(report.Failed, f)
	}
	report.Lines = len(s.missed(cover.New()))
	uncovered, err := s.uncovered(ctx)
	if err != nil {
		return report, fmt.Errorf("test policy: %w", err)
	}
	report.Uncovered = uncovered
	return report, nil
}

// run is what a test came to.
type run struct {
	held bool
	err  error
	seen seen
}

// runAll runs every test, on all cores, once: what each showed serves the coverage and the conditions.
func (s *Suite) runAll(ctx context.Context) error {
	if s.runs != nil {
		return nil
	}
	runs, store := make([]run, len(s.tests)), s.store(nil)
	parallel(ctx, len(s.tests), func(i int) {
		labels := &topdown.EvaluatedRuleTracker{}
		r := &runs[i]
		r.seen = seen{gave: map[lineKey]*ast.Rule{}, nothing: map[int]bool{}}
		r.held, r.err = s.run(ctx, s.tests[i], store, func(q *topdown.Query) {
			q.WithVirtualCache(noted{topdown.NewVirtualCache(), &r.seen}).WithEvaluatedRuleTracker(labels)
		})
		for _, l := range labels.Labels {
			rule := s.rules[l[ruleLabel].(int)]
			r.seen.gave[lineOf(rule.Location)] = rule
		}
	})
	if ctx.Err() == nil {
		s.runs = runs
	}
	return ctx.Err()
}

// suite is a compiled policy with its tests.
type suite struct {
	compiler *ast.Compiler
	data     ast.Object
	tests    []testRule
}

// testRule is one test.
type testRule struct {
	file  string
	line  int
	name  string
	query ast.Body
}

// testRules finds the tests of a compiled policy.
func testRules(c *ast.Compiler, s *decide.Source) ([]testRule, error) {
	var out []testRule
	for _, file := range slices.Sorted(maps.Keys(s.Tests)) {
		for _, rule := range c.Modules[file].Rules {
			name := string(rule.Head.Name)
			if !strings.HasPrefix(name, "test_") {
				continue
			}
			full := c.Modules[file].Package.Path.String() + "." + name
			query, err := c.QueryCompiler().Compile(ast.MustParseBody(full + " == true"))
			if err != nil {
				return nil, fmt.Errorf("compile test %s: %w", full, err)
			}
			out = append(out, testRule{file, rule.Location.Row, full, query})
		}
	}
	return out, nil
}

// store makes the data the tests run on; extra stands beside it at data.workbench. What all have is shared: turning it into the
// engine's terms takes longer than a test.
func (s *suite) store(extra map[string]any) storage.Store {
	data := ast.NewObjectWithCapacity(s.data.Len() + 1)
	s.data.Foreach(data.Insert)
	if extra != nil {
		data.Insert(ast.InternedTerm("workbench"), ast.NewTerm(ast.MustInterfaceToValue(extra)))
	}
	return inmem.NewFromASTObject(data)
}

// run tells whether a test holds; watch may be nil.
func (s *suite) run(ctx context.Context, t testRule, store storage.Store, watch func(*topdown.Query)) (bool, error) {
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return false, err
	}
	defer store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	q := topdown.NewQuery(t.query).WithCompiler(s.compiler).WithStore(store).WithTransaction(txn).
		WithStrictBuiltinErrors(true).WithCancel(cancel)
	if watch != nil {
		watch(q)
	}
	results, err := q.Run(ctx)
	return len(results) > 0 && err == nil, err
}
