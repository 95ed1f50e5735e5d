package workbench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
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
	held, errs, tracers := suite.all(ctx)
	if ctx.Err() != nil {
		return report, ctx.Err()
	}
	for i, t := range suite.tests {
		if held[i] {
			report.Passed++
			continue
		}
		f := Failure{Place: placeIn(files, t.file, t.line), Test: t.name}
		if errs[i] != nil {
			f.Error = errs[i].Error()
		}
		report.Failed = append(report.Failed, f)
	}
	report.Lines, report.Uncovered = uncovered(files, source.Modules, tracers)
	return report, nil
}

// all runs every test, on all cores, and gives which held and what they reached: a tracer is for one core at a time.
func (s *suite) all(ctx context.Context) (held []bool, errs []error, tracers []*cover.Cover) {
	held, errs = make([]bool, len(s.tests)), make([]error, len(s.tests))
	store, free := s.store(nil), make(chan *cover.Cover, runtime.GOMAXPROCS(0))
	for range cap(free) {
		tracers = append(tracers, cover.New())
		free <- tracers[len(tracers)-1]
	}
	parallel(ctx, len(s.tests), func(i int) {
		tracer := <-free
		held[i], errs[i] = s.run(ctx, s.tests[i], store, tracer)
		free <- tracer
	})
	return held, errs, tracers
}

// uncovered gives the number of lines, and those that one tracer saw missed and none saw reached.
func uncovered(files map[string][]byte, modules map[string]*ast.Module, tracers []*cover.Cover) (lines int, places []Place) {
	reached, missed := lineTracer{}, lineTracer{}
	mark := func(file string, parts []cover.Range, in lineTracer) {
		for _, part := range parts {
			for line := part.Start.Row; line <= part.End.Row; line++ {
				in[lineKey{file, line}] = true
			}
		}
	}
	for _, t := range tracers {
		for file, r := range t.Report(modules).Files {
			mark(file, r.Covered, reached)
			mark(file, r.NotCovered, missed)
		}
	}
	maps.DeleteFunc(missed, func(at lineKey, _ bool) bool { return reached[at] })
	places = []Place{}
	for _, at := range slices.SortedFunc(maps.Keys(missed), func(a, b lineKey) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
	}) {
		places = append(places, placeIn(files, at.file, at.line))
	}
	return len(reached) + len(missed), places
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
