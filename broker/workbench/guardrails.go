package workbench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
)

// GuardrailReport is what the guardrails of a policy say about all that it gives.
type GuardrailReport struct {
	Revision    broker.Revision `json:"revision"`
	Evaluations int             `json:"evaluations"`
	Guardrails  []Guardrail     `json:"guardrails"`
	Broken      []Breach        `json:"broken"` // the worst class of field first

	Catalog *broker.Catalog `json:"-"` // the words for what a breach names
}

// OK tells whether there are guardrails and none is broken.
func (r GuardrailReport) OK() bool { return len(r.Guardrails) > 0 && len(r.Broken) == 0 }

// Guardrail is one rule about rules, of package schakel.guardrails: what no policy may give.
type Guardrail struct {
	Place
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Text  broker.Text `json:"text"`
	Basis string      `json:"basis"`
}

// Breach is a grant that breaks a guardrail: of one role, purpose and field, with a query that shows it.
type Breach struct {
	Guardrail string         `json:"guardrail"`
	Text      broker.Text    `json:"text"`
	Class     broker.Class   `json:"class"`
	Role      broker.Role    `json:"role"`
	Purpose   broker.Purpose `json:"purpose"`
	Field     broker.Field   `json:"field"`
	Grant     broker.Grant   `json:"grant"`
	Example   broker.Query   `json:"example"`
}

// Guardrails explores a policy and checks its guardrails over all that it gives.
func (x *Explorer) Guardrails(ctx context.Context, files map[string][]byte) (GuardrailReport, error) {
	e, err := x.open(ctx, files)
	if err != nil {
		return GuardrailReport{}, fmt.Errorf("check guardrails: %w", err)
	}
	r, err := e.guardrails(ctx, files)
	if err != nil {
		return GuardrailReport{}, fmt.Errorf("check guardrails: %w", err)
	}
	return r, nil
}

func (e *explored) guardrails(ctx context.Context, files map[string][]byte) (GuardrailReport, error) {
	r := GuardrailReport{Revision: e.revision, Guardrails: e.program.guardrails(files), Broken: []Breach{}, Catalog: e.catalog}
	if len(r.Guardrails) == 0 {
		return r, nil
	}
	texts := map[string]broker.Text{}
	for _, g := range r.Guardrails {
		texts[g.ID] = g.Text
	}
	granted := slices.DeleteFunc(slices.Clone(e.leaves), func(l leaf) bool { return !l.granted })
	const portion = 32 // leaves that one walker takes at a time
	var mu sync.Mutex
	var failed error
	found := map[string]int{}
	parallel(ctx, (len(granted)+portion-1)/portion, func(i int) {
		guard, err := e.watcher(ctx)
		if err == nil {
			defer guard.close()
			err = guard.check(granted[i*portion : min(len(granted), (i+1)*portion)])
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = err
			return
		}
		r.Evaluations += guard.evaluations
		for _, b := range guard.breaches {
			b.Text = texts[b.Guardrail]
			key := fmt.Sprint(b.Guardrail, b.Role, b.Purpose, b.Field, b.Grant)
			if at, ok := found[key]; !ok {
				found[key] = len(r.Broken)
				r.Broken = append(r.Broken, b)
			} else if bytes.Compare(b.Example.Bytes(), r.Broken[at].Example.Bytes()) < 0 { // the same whoever came first
				r.Broken[at] = b
			}
		}
	})
	if failed == nil {
		failed = ctx.Err()
	}
	slices.SortFunc(r.Broken, func(a, b Breach) int {
		return cmp.Or(severity(a.Class)-severity(b.Class), cmp.Compare(a.Guardrail, b.Guardrail), cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Role, b.Role), cmp.Compare(a.Purpose, b.Purpose), bytes.Compare(a.Example.Bytes(), b.Example.Bytes()))
	})
	return r, failed
}

// watcher walks what is given with the guardrails.
type watcher struct {
	*walker
	calm     ast.Body // asks what is given without the emergency
	breaches []Breach
}

func (e *explored) watcher(ctx context.Context) (*watcher, error) {
	w, err := newWalker(ctx, e.program, e.space, brokenRule)
	if err != nil {
		return nil, err
	}
	calm, err := e.program.query(givenRule)
	return &watcher{walker: w, calm: calm}, err
}

func (g *watcher) check(leaves []leaf) error {
	for _, l := range leaves {
		err := g.walk(l.region, func(part region) (func(region), error) { return g.broken(part, l.giving) })
		if err != nil {
			return err
		}
	}
	return nil
}

// broken asks which guardrails break where a region is given something.
func (g *watcher) broken(part region, gives giving) (func(region), error) {
	calm := true
	if active := g.space.facts[factActive]; part.box[active]&1 == 0 { // only in an emergency
		value, fault, err := g.eval(g.calm, region{part.box.with(active, 1), part.fields}, nil)
		if err != nil {
			return nil, err
		}
		calm = value != nil && fault == "" && readGiven(value).granted
	}
	obligations := ast.NewSet()
	for _, o := range gives.list() {
		obligations.Add(ast.StringTerm(string(o)))
	}
	value, fault, err := g.eval(g.query, part, map[string]*ast.Term{"grant.form": ast.StringTerm(string(gives.form)),
		"grant.basis": ast.StringTerm(string(gives.basis)), "obligations": ast.NewTerm(obligations), "calm": ast.BooleanTerm(calm)})
	if err == nil && fault != "" {
		err = errors.New(fault)
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	if value != nil {
		if err := decode(value, &ids); err != nil {
			return nil, fmt.Errorf("%s is no set of names: %w", brokenRule, err)
		}
	}
	return func(part region) {
		for _, id := range ids {
			for _, f := range part.fields {
				info := g.space.fields[f]
				q := g.space.example(part.box, info.Path)
				g.breaches = append(g.breaches, Breach{Guardrail: id, Class: info.Class, Role: q.Role, Purpose: q.Purpose, Field: info.Path,
					Grant: broker.Grant{Form: gives.form, Basis: gives.basis}, Example: q})
			}
		}
	}, nil
}

// guardrails lists the rules of the guardrails, with what they say of themselves.
func (p *program) guardrails(files map[string][]byte) []Guardrail {
	out := []Guardrail{}
	broken := ast.MustParseRef(brokenRule)
	for _, file := range slices.Sorted(maps.Keys(p.source.Modules)) {
		for _, r := range p.source.Modules[file].Rules {
			if !r.Ref().GroundPrefix().Equal(broken) || r.Head.Key == nil {
				continue
			}
			id, _ := r.Head.Key.Value.(ast.String)
			g := Guardrail{Place: placeIn(files, file, r.Location.Row), ID: string(id)}
			for _, a := range r.Annotations {
				if a.Scope == "rule" || a.Scope == "document" {
					g.Title, g.Text = a.Title, twoLanguages(a.Description)
					g.Basis, _ = a.Custom["basis"].(string)
				}
			}
			out = append(out, g)
		}
	}
	return out
}

// twoLanguages reads a description of METADATA: a line in Dutch and one in English.
func twoLanguages(description string) broker.Text {
	var t broker.Text
	for line := range strings.Lines(description) {
		if nl, ok := strings.CutPrefix(strings.TrimSpace(line), "NL:"); ok {
			t.NL = strings.TrimSpace(nl)
		}
		if en, ok := strings.CutPrefix(strings.TrimSpace(line), "EN:"); ok {
			t.EN = strings.TrimSpace(en)
		}
	}
	return t
}

// Text gives the report for a terminal.
func (r GuardrailReport) Text() string {
	var b strings.Builder
	for _, k := range r.Broken {
		fmt.Fprintf(&b, "%s: %s [%s] %s, %s: %s (%s)\n  %s\n  %s\n  %s\n\n", k.Guardrail, k.Field, k.Class, k.Role, k.Purpose, k.Grant.Form, k.Grant.Basis,
			k.Text.NL, k.Text.EN, k.Example.Bytes())
	}
	if len(r.Guardrails) == 0 {
		b.WriteString("Er zijn geen vangrails; zet ze in schakel/guardrails.\nThere are no guardrails; put them in schakel/guardrails.\n")
	}
	fmt.Fprintf(&b, "revision %.12s: %d guardrails over all combinations, %d broken\n", r.Revision, len(r.Guardrails), len(r.Broken))
	return b.String()
}
