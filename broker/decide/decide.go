package decide

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/version"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

// DefaultMemo is how many single-field decisions are remembered unless Config says otherwise; some 300 bytes each.
const DefaultMemo = 100_000

// Config is what a Decider is made of. The zero Config works.
type Config struct {
	// Memo is how many single-field decisions to remember; 0 is DefaultMemo, less than 0 remembers none.
	Memo int
}

// Decider implements broker.Decider. Its methods may be called concurrently.
type Decider struct {
	memo *memo

	mu     sync.RWMutex
	loaded map[broker.Revision]*revision
}

var _ broker.Decider = (*Decider)(nil)

// revision is a policy that is ready to answer.
type revision struct {
	name    broker.Revision
	catalog *broker.Catalog
	query   rego.PreparedEvalQuery
}

// New makes a Decider that has no revision yet.
func New(c Config) *Decider {
	if c.Memo == 0 {
		c.Memo = DefaultMemo
	}
	return &Decider{memo: newMemo(c.Memo), loaded: map[broker.Revision]*revision{}}
}

// Engine names the engine and its version, as recorded with each decision.
func (*Decider) Engine() string { return "opa " + version.Version }

// Load compiles a revision and keeps it beside those loaded before. Loading one again is no work. It fails when the
// files have another digest than the revision says, do not compile, or grant anything where nothing binds the asker.
func (d *Decider) Load(ctx context.Context, name broker.Revision, files map[string][]byte) error {
	if real := policies.Revision(files); real != name {
		return fmt.Errorf("load revision %s: its files are revision %s; fetch them again", name, real)
	}
	if _, err := d.revision(name); err == nil {
		return nil
	}
	r, err := load(ctx, name, files)
	if err != nil {
		return fmt.Errorf("load revision %s: %w", name, err)
	}
	if err := d.checkUnrelated(ctx, r); err != nil {
		return fmt.Errorf("load revision %s: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loaded[name] = r
	return nil
}

func load(ctx context.Context, name broker.Revision, files map[string][]byte) (*revision, error) {
	serving := maps.Clone(files)
	maps.DeleteFunc(serving, func(file string, _ []byte) bool { return IsTest(file) }) // tests decide nothing
	source, err := Read(serving)
	if err != nil {
		return nil, err
	}
	compiler, err := source.Compile(source.Modules, false)
	if err != nil {
		return nil, err
	}
	if len(compiler.GetRulesExact(ast.MustParseRef(EntryPoint))) == 0 {
		return nil, fmt.Errorf("no rule %s", EntryPoint)
	}
	store := inmem.NewFromObjectWithOpts(source.Data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	query, err := rego.New(rego.Query(EntryPoint), rego.Compiler(compiler), rego.Store(store), rego.Strict(true),
		rego.StrictBuiltinErrors(true), rego.Capabilities(Capabilities(false)), rego.EnablePrintStatements(false)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return &revision{name, source.Catalog, query}, nil
}

// checkUnrelated asks the one query of a household that nobody may know of about every field of the catalog.
func (d *Decider) checkUnrelated(ctx context.Context, r *revision) error {
	for _, f := range r.catalog.Fields {
		if _, err := r.eval(ctx, Unrelated(f.Path), f.Path); err != nil {
			return err
		}
	}
	return nil
}

// Unrelated is the one constant query of design's "unknown = forbidden", for an asker about whom nothing is known.
func Unrelated(fields ...broker.Field) broker.Query {
	return broker.Query{
		V:        broker.QueryVersion,
		Relation: broker.Relation{Case: broker.CaseNone, Municipality: broker.MunicipalityUnknown},
		Subject:  broker.QuerySubject{Kind: broker.SubjectHousehold, Age: broker.AgeUnknown},
		Fields:   fields,
	}.Canonical()
}

func (d *Decider) revision(name broker.Revision) (*revision, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.loaded[name]
	if !ok {
		return nil, broker.Fail(broker.KindUnavailable, "revision-not-loaded", nil)
	}
	return r, nil
}

// Catalog gives the catalog of a revision. The caller must not change it.
func (d *Decider) Catalog(name broker.Revision) (*broker.Catalog, error) {
	r, err := d.revision(name)
	if err != nil {
		return nil, err
	}
	return r.catalog, nil
}

// Decide implements broker.Decider.
func (d *Decider) Decide(ctx context.Context, name broker.Revision, q broker.Query) (broker.Decision, error) {
	r, err := d.revision(name)
	if err != nil {
		return broker.Decision{}, err
	}
	if q.V != broker.QueryVersion {
		return broker.Decision{}, broker.Fail(broker.KindInternal, "query-version-unknown", nil)
	}
	q = q.Canonical()
	base := digest(name, q)
	out := broker.Decision{Grants: make(map[broker.Field]broker.Grant, len(q.Fields)), Refusals: make(map[broker.Field][]broker.Reason, len(q.Fields))}
	for _, f := range q.Fields {
		key := memoKey{base, f}
		one, ok := d.memo.get(key)
		if !ok {
			if one, err = r.eval(ctx, q, f); err != nil {
				return broker.Decision{}, err
			}
			d.memo.put(key, one)
		}
		if one.granted {
			out.Grants[f] = one.grant
		} else {
			out.Refusals[f] = slices.Clone(one.reasons) // what is remembered is nobody's to change
		}
		out.Obligations = append(out.Obligations, one.obligations...)
	}
	return out.Canonical(), nil
}

// Remembered counts the single-field decisions so far that came from memory, and those that the engine made.
func (d *Decider) Remembered() (hits, misses uint64) { return d.memo.counts() }

// digest stands for the revision and the whole query but its fields.
func digest(name broker.Revision, q broker.Query) [sha256.Size]byte {
	q.Fields = nil
	return sha256.Sum256(append([]byte(name+"\n"), q.Bytes()...))
}

// eval asks the engine about one field. One at a time: obligations come for the whole result, so an answer about more
// fields could not be taken apart again.
func (r *revision) eval(ctx context.Context, q broker.Query, f broker.Field) (ruling, error) {
	q.Fields = []broker.Field{f}
	var plain any
	if err := json.Unmarshal(q.Bytes(), &plain); err != nil {
		return ruling{}, broker.Fail(broker.KindInternal, "query-malformed", err)
	}
	input, err := ast.InterfaceToValue(plain)
	if err != nil {
		return ruling{}, broker.Fail(broker.KindInternal, "query-malformed", err)
	}
	results, err := r.query.Eval(ctx, rego.EvalParsedInput(input))
	switch {
	case ctx.Err() != nil:
		return ruling{}, broker.Fail(broker.KindUnavailable, "policy-interrupted", ctx.Err())
	case err != nil:
		return ruling{}, malformed(err)
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return ruling{}, malformed(errors.New("the decision is undefined"))
	}
	return parse(results[0].Expressions[0].Value, q, r.catalog)
}
