package workbench

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// WhyReport says of each field of one query why it is given or withheld.
type WhyReport struct {
	Revision broker.Revision `json:"revision"`
	Query    broker.Query    `json:"query"`
	Fields   []WhyField      `json:"fields"`
}

// WhyField is one field.
type WhyField struct {
	Field   broker.Field  `json:"field"`
	Label   broker.Text   `json:"label"`
	Class   broker.Class  `json:"class"`
	Grant   *broker.Grant `json:"grant,omitempty"`
	Basis   broker.Text   `json:"basis,omitzero"`
	Reasons []broker.Term `json:"reasons,omitempty"` // of a refusal

	// Attempts are the rules that could give the field, each for every row of the table that speaks of it; the nearest to
	// holding first. None: no row does.
	Attempts []Attempt `json:"attempts"`
	// Failed is what kept the nearest attempts from holding, each once.
	Failed []WhyCondition `json:"failed"`
	// Changes are the single changes of the question that would have had the field given, the easiest to explain first. Facts
	// are those that would, and that nobody can change.
	Changes []WhyChange `json:"changes"`
	Facts   []WhyChange `json:"facts"`
}

// Attempt is one rule that could give a field, with the row it does it for.
type Attempt struct {
	Rule       Named          `json:"rule"`
	Rows       []Named        `json:"rows"` // the rules that put the row in the table
	Holds      bool           `json:"holds"`
	Conditions []WhyCondition `json:"conditions"`
	Failed     []WhyCondition `json:"failed"` // the innermost named conditions that do not hold
}

// Named is a rule by what its METADATA calls it.
type Named struct {
	Place
	Title broker.Text `json:"title"`
	Basis string      `json:"basis,omitempty"` // as its METADATA says: the law
}

// WhyCondition is a line of a rule, and whether it holds for this question. A line that names another rule has that rule's
// title, and its parts: the lines of that rule, or where there are more rules of that name, each of them; one is enough.
type WhyCondition struct {
	Place
	Title  broker.Text    `json:"title,omitzero"`
	Not    bool           `json:"not,omitempty"`   // the rule must not hold
	Holds  bool           `json:"holds"`           // as the line asks it, with Not
	OneOf  bool           `json:"oneOf,omitempty"` // the parts are rules of one name
	Parts  []WhyCondition `json:"parts,omitempty"`
	reads  bool           // something of the question or the data, not only of the row
	strays bool           // can't be judged, since an earlier line gave nothing
}

// givenDocument is what is given of one field, or undefined: see plumbing.
const givenDocument = "data.schakel.answer.given"

// Why explains what a policy says to a query. It asks the policy's own named rules, one by one, what they say to the same
// question; it doesn't translate a trace. An error means that the policy does not load or pass Check, or that the query is
// no query.
func Why(ctx context.Context, files map[string][]byte, q broker.Query) (WhyReport, error) {
	r, err := why(ctx, files, q)
	if err != nil {
		return WhyReport{}, fmt.Errorf("explain decision: %w", err)
	}
	return r, nil
}

func why(ctx context.Context, files map[string][]byte, q broker.Query) (WhyReport, error) {
	q = q.Canonical()
	report := WhyReport{Revision: policies.Revision(files), Query: q, Fields: []WhyField{}}
	p, err := compile(files)
	if err != nil {
		return report, err
	}
	d := decide.New(decide.Config{})
	if err := d.Load(ctx, report.Revision, files); err != nil {
		return report, err
	}
	e, err := newExplainer(ctx, p, files)
	if err != nil {
		return report, err
	}
	defer e.close()
	for _, f := range q.Fields {
		one := q
		one.Fields = []broker.Field{f}
		dec, err := d.Decide(ctx, report.Revision, one)
		if err != nil {
			return report, err
		}
		info, _ := p.source.Catalog.Field(f)
		w := WhyField{Field: f, Label: info.Label, Class: info.Class, Attempts: []Attempt{}, Failed: []WhyCondition{}}
		if g, ok := dec.Grants[f]; ok {
			w.Grant, w.Basis = &g, wordOf(p.source.Catalog.Bases, string(g.Basis)).Text
		}
		for _, reason := range dec.Refusals[f] {
			w.Reasons = append(w.Reasons, wordOf(p.source.Catalog.Reasons, string(reason)))
		}
		if err := e.ask(one); err != nil {
			return report, err
		}
		if w.Attempts, err = e.attempts(); err != nil {
			return report, err
		}
		for _, a := range w.Attempts {
			if w.Grant == nil && len(a.Failed) == len(w.Attempts[0].Failed) {
				for _, c := range a.Failed {
					w.Failed = addCondition(w.Failed, c)
				}
			}
		}
		if w.Changes, w.Facts, err = singleChanges(ctx, d, report.Revision, p.source.Catalog, one, w.Grant != nil); err != nil {
			return report, err
		}
		report.Fields = append(report.Fields, w)
	}
	return report, ctx.Err()
}

func wordOf(list []broker.Term, id string) broker.Term {
	if i := slices.IndexFunc(list, func(t broker.Term) bool { return t.ID == id }); i >= 0 {
		return list[i]
	}
	return broker.Term{ID: id, Text: broker.Text{NL: id, EN: id}}
}

// failures adds the innermost named conditions that do not hold: what a rule is called says more than its lines, and a
// rule that only gathers others says less than they do.
func failures(out []WhyCondition, list []WhyCondition) []WhyCondition {
	for _, c := range list {
		if c.Holds || c.strays {
			continue
		}
		if inner := failures(nil, c.Parts); !c.Not && !c.OneOf && slices.ContainsFunc(inner, func(i WhyCondition) bool { return i.Title != (broker.Text{}) }) {
			for _, i := range inner {
				out = addCondition(out, i)
			}
			continue
		}
		out = addCondition(out, c)
	}
	return out
}

func addCondition(list []WhyCondition, c WhyCondition) []WhyCondition {
	if slices.ContainsFunc(list, func(have WhyCondition) bool { return have.Place == c.Place }) {
		return list
	}
	return append(list, c)
}

// question is the document a rule sees: see plumbing.
func question(q broker.Query, catalog any) (*ast.Term, error) {
	var doc map[string]any
	if err := json.Unmarshal(q.Bytes(), &doc); err != nil {
		return nil, err
	}
	delete(doc, "fields")
	doc["field"] = map[string]any{"path": string(q.Fields[0]), "domain": "", "class": "", "forms": []any{}, "subject": ""}
	fields, _ := catalog.([]any)
	for _, f := range fields {
		if entry, _ := f.(map[string]any); entry["path"] == string(q.Fields[0]) {
			doc["field"] = entry
		}
	}
	v, err := ast.InterfaceToValue(doc)
	return ast.NewTerm(v), err
}

// titled reads the METADATA of every rule, by where it stands.
func titled(p *program, files map[string][]byte) map[lineKey]Named {
	out := map[lineKey]Named{}
	for _, file := range slices.Sorted(maps.Keys(p.source.Modules)) {
		for _, r := range p.source.Modules[file].Rules {
			n := Named{Place: placeIn(files, file, r.Location.Row)}
			for _, a := range r.Annotations {
				if a.Scope == "rule" || a.Scope == "document" {
					nl, en, both := strings.Cut(a.Title, " – ")
					if !both {
						en = nl
					}
					n.Title = broker.Text{NL: nl, EN: en}
					n.Basis, _ = a.Custom["basis"].(string)
				}
			}
			for ; r != nil; r = r.Else {
				out[lineKey{file, r.Location.Row}] = n
			}
		}
	}
	return out
}
