package workbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// Explorer finds what policies give in every combination of facts there can be: exactly, without sampling.
//
// It evaluates a policy on a part of all queries at once. Whatever the evaluation looks at that is not the same all
// over that part divides it, and each division is evaluated by itself, until nothing that was looked at is open: then
// all queries of the part have that one answer, since evaluation depends on nothing but what it looks at. It explores
// what is given and not the reasons of refusals.
//
// It remembers the last policies it explored. Its methods may be called concurrently.
type Explorer struct {
	progress func(done, of int)
	memory   *memory
}

// memory is the explored policies that were used last, the oldest first.
type memory struct {
	mu   sync.Mutex
	kept []*explored
}

// keptPolicies is how many explored policies an Explorer remembers: the live one and some drafts.
const keptPolicies = 4

// NewExplorer makes an Explorer that has explored nothing yet.
func NewExplorer() *Explorer {
	return (&Explorer{memory: &memory{}}).Telling(nil)
}

// Telling gives an Explorer that shares the memory of this one, and tells how many parts of its work are done, of how many.
// progress is called from one goroutine at a time and must not block; where it is nil nobody is told.
func (x *Explorer) Telling(progress func(done, of int)) *Explorer {
	if progress == nil {
		progress = func(int, int) {}
	}
	return &Explorer{progress: progress, memory: x.memory}
}

// find gives a policy as it was explored in a space, or nil.
func (m *memory) find(revision broker.Revision, space string) *explored {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.kept, func(e *explored) bool { return e.revision == revision && e.space.key() == space })
	if i < 0 {
		return nil
	}
	e := m.kept[i]
	m.kept = append(slices.Delete(m.kept, i, i+1), e)
	return e
}

func (m *memory) keep(e *explored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, e)
	if len(m.kept) > keptPolicies {
		m.kept = slices.Delete(m.kept, 0, 1)
	}
}

// The documents that are explored: what is given of one field, and which rules about rules that breaks.
const (
	givenRule  = "data.schakel.answer.given"
	brokenRule = "data.schakel.guardrails.broken"
)

var errNotThere = errors.New("not in the input")

// outcome is what a policy gives of a field: a grant, nothing (refused), or no decision at all.
type outcome struct {
	granted bool
	giving
	fault string // why the engine gives no decision
}

// giving is a grant with its obligations; comparable.
type giving struct {
	form        broker.Form
	basis       broker.Basis
	obligations string // sorted, separated by spaces
}

// leaf is a region all of whose queries have one outcome.
type leaf struct {
	region
	outcome
}

// explored is a policy with its leaves. They divide the whole space.
type explored struct {
	revision    broker.Revision
	space       *space
	catalog     *broker.Catalog
	program     *program
	leaves      []leaf
	evaluations int
}

// program is a policy as read and compiled.
type program struct {
	source   *decide.Source
	compiler *ast.Compiler
	store    storage.Store
}

// compile reads and compiles a policy, and refuses what can't be explored.
func compile(files map[string][]byte) (*program, error) {
	serving := maps.Clone(files)
	maps.DeleteFunc(serving, func(file string, _ []byte) bool { return decide.IsTest(file) })
	source, err := decide.Read(serving)
	if err != nil {
		return nil, err
	}
	c := &checker{files: serving, source: source}
	for _, file := range slices.Sorted(maps.Keys(source.Modules)) {
		c.lint(file, source.Modules[file])
	}
	c.plumbing()
	for _, f := range c.report.Findings {
		if f.Rule == RuleSet || f.Rule == RuleFields || f.Rule == RulePlumbing {
			return nil, broker.Told(fmt.Sprintf("%s:%d: %s; ‘Klopt het?’ zegt wat u doet.", f.File, f.Line, f.Problem.NL),
				fmt.Sprintf("%s:%d: %s; `schakel policy check` says what to do", f.File, f.Line, f.Problem.EN))
		}
	}
	compiler, err := source.Compile(source.Modules, false)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(source.Data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	return &program{source, compiler, store}, nil
}

// explore explores a policy in a space, or remembers it.
func (x *Explorer) explore(ctx context.Context, revision broker.Revision, p *program, s *space) (*explored, error) {
	if e := x.memory.find(revision, s.key()); e != nil {
		return e, nil
	}
	e := &explored{revision: revision, space: s, catalog: p.source.Catalog, program: p}
	roles, purposes := len(s.dims[dimRole].values), len(s.dims[dimPurpose].values)
	var known, unknown []int
	nothing := givesNothing(p.source)
	for i, f := range s.fields {
		if _, ok := e.catalog.Field(f.Path); ok && !nothing {
			known = append(known, i)
		} else {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 { // fields of another policy, or a stop: given to nobody
		e.leaves = append(e.leaves, leaf{region: region{s.all(), unknown}})
	}
	var mu sync.Mutex
	done, failed := 0, error(nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(known) == 0 {
		roles = 0
	}
	parallel(ctx, roles*purposes, func(i int) {
		w, err := newWalker(ctx, p, s, givenRule)
		if err == nil {
			defer w.close()
			part := s.all().with(dimRole, 1<<(i/purposes)).with(dimPurpose, 1<<(i%purposes))
			err = w.walk(region{part, known}, w.gives)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if failed == nil {
				failed = err
			}
			cancel()
			return
		}
		e.leaves = append(e.leaves, w.leaves...)
		e.evaluations += w.evaluations
		done++
		x.progress(done, roles*purposes)
	})
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		return nil, failed
	}
	slices.SortFunc(e.leaves, func(a, b leaf) int {
		if c := slices.Compare(a.fields, b.fields); c != 0 {
			return c
		}
		return slices.Compare(a.box, b.box)
	})
	x.memory.keep(e)
	return e, nil
}

// open reads, compiles and explores one policy.
func (x *Explorer) open(ctx context.Context, files map[string][]byte) (*explored, error) {
	p, err := compile(files)
	if err != nil {
		return nil, err
	}
	s, err := newSpace(p.source.Catalog)
	if err != nil {
		return nil, err
	}
	return x.explore(ctx, policies.Revision(files), p, s)
}

// walker explores one part of a space with one document of a policy.
type walker struct {
	ctx         context.Context
	program     *program
	space       *space
	reader      *reader
	query       ast.Body
	txn         storage.Transaction
	cancel      topdown.Cancel
	stop        func() bool
	leaves      []leaf
	evaluations int
}

func newWalker(ctx context.Context, p *program, s *space, document string) (*walker, error) {
	query, err := p.query(document)
	if err != nil {
		return nil, err
	}
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("read policy data: %w", err)
	}
	cancel := topdown.NewCancel()
	return &walker{ctx: ctx, program: p, space: s, reader: newReader(s), query: query, txn: txn, cancel: cancel,
		stop: context.AfterFunc(ctx, cancel.Cancel)}, nil
}

// query compiles the question for a document.
func (p *program) query(document string) (ast.Body, error) {
	query, err := p.compiler.QueryCompiler().Compile(ast.MustParseBody("x = " + document))
	if err != nil {
		return nil, fmt.Errorf("compile query %s: %w", document, err)
	}
	return query, nil
}

func (w *walker) close() {
	w.stop()
	w.program.store.Abort(w.ctx, w.txn)
}

// walk divides a region until each part has one answer. answer evaluates what is asked about a region, through eval,
// and says what to do with a part that has one answer.
func (w *walker) walk(g region, answer func(region) (func(region), error)) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.reader.log = nil
	keep, err := answer(g)
	if err != nil {
		return err
	}
	log := w.reader.log
	for _, by := range log {
		parts := w.reader.split(g, by)
		for _, p := range parts[1:] {
			if err := w.walk(p, answer); err != nil {
				return err
			}
		}
		g = parts[0]
	}
	keep(g)
	return nil
}

// gives asks what the policy gives.
func (w *walker) gives(g region) (func(region), error) {
	value, fault, err := w.eval(w.query, g, nil)
	if err != nil {
		return nil, err
	}
	out := outcome{fault: fault}
	if value != nil {
		out = readGiven(value)
	}
	return func(part region) { w.leaves = append(w.leaves, leaf{part, out}) }, nil
}

// eval evaluates a document on a region: its value, nil where it has none, or why the engine can't say.
func (w *walker) eval(query ast.Body, g region, extra map[string]*ast.Term) (value ast.Value, fault string, err error) {
	w.evaluations++
	log := w.reader.log
	input := w.reader.about(g, extra)
	w.reader.log = log // two evaluations about one region are divided by what both read
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w (%v)", broker.Told("Een regel leest de invoer in haar geheel. Lees haar feit voor feit, en verzamelingen met `in`.",
				"a rule looks at the input as a whole; read it fact by fact, and sets by `in`"), r)
		}
	}()
	q := topdown.NewQuery(query).WithCompiler(w.program.compiler).WithStore(w.program.store).WithTransaction(w.txn).
		WithInput(input).WithStrictBuiltinErrors(true).WithCancel(w.cancel).WithIndexing(false)
	results, err := q.Run(w.ctx)
	switch {
	case w.ctx.Err() != nil:
		return nil, "", w.ctx.Err()
	case err != nil:
		return nil, err.Error(), nil
	case len(results) == 0:
		return nil, "", nil
	}
	return results[0]["x"].Value, "", nil
}

// readGiven reads a value of givenRule as the entry point does: what is not whole gives nothing.
func readGiven(v ast.Value) outcome {
	o, ok := v.(ast.Object)
	if !ok || o.Get(ast.StringTerm("grant")) == nil || o.Get(ast.StringTerm("obligations")) == nil {
		return outcome{}
	}
	var got struct {
		Grant       broker.Grant        `json:"grant"`
		Obligations []broker.Obligation `json:"obligations"`
	}
	whole := ast.NewObject([2]*ast.Term{ast.StringTerm("grant"), o.Get(ast.StringTerm("grant"))},
		[2]*ast.Term{ast.StringTerm("obligations"), o.Get(ast.StringTerm("obligations"))})
	err := decode(whole, &got)
	if err != nil {
		return outcome{fault: "it is given something that is no grant: " + err.Error()}
	}
	words := make([]string, len(got.Obligations))
	for i, o := range got.Obligations {
		words[i] = string(o)
	}
	slices.Sort(words)
	return outcome{granted: true, giving: giving{got.Grant.Form, got.Grant.Basis, strings.Join(slices.Compact(words), " ")}}
}

// decode reads a value of the engine, strictly; a set becomes a list.
func decode(v ast.Value, into any) error {
	plain, err := ast.JSON(v)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
