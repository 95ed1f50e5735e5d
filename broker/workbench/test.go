package workbench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

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

// Test runs every rule test_… of the *_test.rego files and reports the lines of the policy that none reaches. An error
// means that the policy does not compile: run Check.
func Test(ctx context.Context, files map[string][]byte) (TestReport, error) {
	source, err := decide.Read(files)
	if err != nil {
		return TestReport{}, fmt.Errorf("test policy: %w", err)
	}
	modules := maps.Clone(source.Modules)
	maps.Copy(modules, source.Tests)
	compiler, err := source.Compile(modules, true)
	if err != nil {
		return TestReport{}, fmt.Errorf("test policy: %w", err)
	}
	suite, err := newSuite(compiler, source)
	if err != nil {
		return TestReport{}, fmt.Errorf("test policy: %w", err)
	}
	report := TestReport{Failed: []Failure{}, Uncovered: []Place{}}
	tracer, store := cover.New(), suite.store(nil)
	for _, t := range suite.tests {
		ok, err := suite.run(ctx, t, store, tracer)
		switch {
		case ctx.Err() != nil:
			return report, ctx.Err()
		case ok:
			report.Passed++
		default:
			f := Failure{Place: placeIn(files, t.file, t.line), Test: t.name}
			if err != nil {
				f.Error = err.Error()
			}
			report.Failed = append(report.Failed, f)
		}
	}
	report.Lines, report.Uncovered = uncovered(files, source.Modules, tracer)
	return report, nil
}

func uncovered(files map[string][]byte, modules map[string]*ast.Module, tracer *cover.Cover) (int, []Place) {
	got := tracer.Report(modules)
	places := []Place{}
	for _, file := range slices.Sorted(maps.Keys(got.Files)) {
		for _, r := range got.Files[file].NotCovered {
			for line := r.Start.Row; line <= r.End.Row; line++ {
				places = append(places, placeIn(files, file, line))
			}
		}
	}
	return got.CoveredLines + got.NotCoveredLines, places
}

// suite is a compiled policy with its tests.
type suite struct {
	compiler *ast.Compiler
	data     map[string]any
	tests    []testRule
}

// testRule is one test.
type testRule struct {
	file  string
	line  int
	name  string
	query ast.Body
}

func newSuite(c *ast.Compiler, s *decide.Source) (*suite, error) {
	out := &suite{compiler: c, data: s.Data}
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
			out.tests = append(out.tests, testRule{file, rule.Location.Row, full, query})
		}
	}
	return out, nil
}

// store makes the data the tests run on; extra stands beside it at data.workbench.
func (s *suite) store(extra map[string]any) storage.Store {
	data := maps.Clone(s.data)
	if extra != nil {
		data["workbench"] = extra
	}
	return inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
}

// run tells whether a test holds.
func (s *suite) run(ctx context.Context, t testRule, store storage.Store, tracer topdown.QueryTracer) (bool, error) {
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return false, err
	}
	defer store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	q := topdown.NewQuery(t.query).WithCompiler(s.compiler).WithStore(store).WithTransaction(txn).
		WithStrictBuiltinErrors(true).WithCancel(cancel)
	if tracer != nil {
		q = q.WithQueryTracer(tracer)
	}
	results, err := q.Run(ctx)
	return len(results) > 0 && err == nil, err
}
