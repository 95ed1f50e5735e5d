package workbench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// Difference is what a draft changes of what a live policy gives, in every combination of facts. What is in no change
// stays as it is.
type Difference struct {
	Live        broker.Revision `json:"live"`
	Draft       broker.Revision `json:"draft"`
	Evaluations int             `json:"evaluations"`
	// Changes are the cells that change, the worst class of field first, and gains before losses.
	Changes []Change `json:"changes"`
	// Widens are the fields of which more is given than before, with the kinds of agency that hold them: their
	// agreement to the draft is needed.
	Widens  []Widening      `json:"widens"`
	Catalog *broker.Catalog `json:"-"` // of the draft
}

// OK tells whether nothing changes.
func (d Difference) OK() bool { return len(d.Changes) == 0 }

// Widening is a field of which a draft gives more, in whatever cell.
type Widening struct {
	Field   broker.Field        `json:"field"`
	Holders []broker.AgencyKind `json:"holders"`
}

// ChangeKind says what kind of change a Change is.
type ChangeKind string

// Closed list of ChangeKind.
const (
	ChangeGained      ChangeKind = "gained"      // refused before
	ChangeLost        ChangeKind = "lost"        // refused now
	ChangeForm        ChangeKind = "form"        // given in another form
	ChangeBasis       ChangeKind = "basis"       // given in the same form on another basis
	ChangeObligations ChangeKind = "obligations" // only what comes with it changes
	ChangeFault       ChangeKind = "fault"       // live or draft gives no decision at all
)

// Change is one way in which one cell changes.
type Change struct {
	Kind    ChangeKind     `json:"kind"`
	Class   broker.Class   `json:"class"`
	Role    broker.Role    `json:"role"`
	Purpose broker.Purpose `json:"purpose"`
	Field   broker.Field   `json:"field"`
	Before  *broker.Grant  `json:"before"` // nil: refused
	After   *broker.Grant  `json:"after"`
	// When lists where this change holds: one of these lists, all conditions of it together.
	When [][]Condition `json:"when"`
	// Example is a query that shows the change, and what live and draft answer; nil where one gives no decision.
	Example broker.Query     `json:"example"`
	Live    *broker.Decision `json:"live"`
	Draft   *broker.Decision `json:"draft"`

	widens bool
}

// Difference explores two policies and compares what they give, in the queries of both together.
func (x *Explorer) Difference(ctx context.Context, live, draft map[string][]byte) (Difference, error) {
	d, err := x.difference(ctx, live, draft)
	if err != nil {
		return Difference{}, fmt.Errorf("compare policies: %w", err)
	}
	return d, nil
}

func (x *Explorer) difference(ctx context.Context, live, draft map[string][]byte) (Difference, error) {
	before, err := compile(live)
	if err != nil {
		return Difference{}, fmt.Errorf("live: %w", err)
	}
	after, err := compile(draft)
	if err != nil {
		return Difference{}, fmt.Errorf("draft: %w", err)
	}
	s, err := newSpace(after.source.Catalog, before.source.Catalog)
	if err != nil {
		return Difference{}, err
	}
	out := Difference{Live: policies.Revision(live), Draft: policies.Revision(draft), Changes: []Change{}, Widens: []Widening{}, Catalog: after.source.Catalog}
	a, err := x.explore(ctx, out.Live, before, s)
	if err != nil {
		return Difference{}, err
	}
	b, err := x.explore(ctx, out.Draft, after, s)
	if err != nil {
		return Difference{}, err
	}
	out.Evaluations = a.evaluations + b.evaluations
	for _, c := range changes(a, b) {
		out.Changes = append(out.Changes, c.change(s, a, b))
	}
	slices.SortStableFunc(out.Changes, func(a, b Change) int {
		return cmp.Or(severity(a.Class)-severity(b.Class), rank(a)-rank(b), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Purpose, b.Purpose),
			cmp.Compare(a.Field, b.Field))
	})
	for _, c := range out.Changes {
		if c.widens && !slices.ContainsFunc(out.Widens, func(w Widening) bool { return w.Field == c.Field }) {
			out.Widens = append(out.Widens, Widening{c.Field, holders(c.Field, after.source.Catalog, before.source.Catalog)})
		}
	}
	slices.SortFunc(out.Widens, func(a, b Widening) int { return cmp.Compare(a.Field, b.Field) })
	return out, answer(ctx, out.Changes, live, draft)
}

// rank puts more before other, and other before less.
func rank(c Change) int {
	switch {
	case c.widens:
		return 0
	case c.Kind == ChangeLost:
		return 2
	}
	return 1
}

// holders are the kinds of agency that hold a field, by the draft and by the live policy.
func holders(f broker.Field, catalogs ...*broker.Catalog) []broker.AgencyKind {
	out := []broker.AgencyKind{}
	for _, c := range catalogs {
		info, _ := c.Field(f)
		for _, h := range info.Holders {
			if !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// changed is where a cell changes from one outcome to another.
type changed struct {
	cellKey
	before, after outcome
	boxes         []box
}

// changes holds every leaf of one policy against every leaf of the other that it overlaps.
func changes(a, b *explored) []changed {
	type key struct {
		cellKey
		before, after outcome
	}
	found := map[key][]box{}
	all := a.space.all()
	old, new := a.byCell(), b.byCell()
	for cell, leaves := range old {
		if slices.EqualFunc(leaves, new[cell], func(l, m *leaf) bool { return l.outcome == m.outcome && slices.Equal(l.box, m.box) }) {
			continue
		}
		for _, l := range leaves {
			for _, m := range new[cell] {
				if l.outcome == m.outcome {
					continue
				}
				if both, ok := l.box.meet(m.box); ok {
					both[dimRole], both[dimPurpose] = all[dimRole], all[dimPurpose]
					k := key{cell, l.outcome, m.outcome}
					found[k] = append(found[k], both)
				}
			}
		}
	}
	var out []changed
	for k, boxes := range found {
		out = append(out, changed{k.cellKey, k.before, k.after, merge(boxes)})
	}
	slices.SortFunc(out, func(a, b changed) int {
		return cmp.Or(a.role-b.role, a.purpose-b.purpose, a.field-b.field, cmp.Compare(fmt.Sprint(a.before, a.after), fmt.Sprint(b.before, b.after)))
	})
	return out
}

// byCell sorts leaves by the cells they lie in.
func (e *explored) byCell() map[cellKey][]*leaf {
	out := map[cellKey][]*leaf{}
	for i := range e.leaves {
		l := &e.leaves[i]
		for roles := l.box[dimRole]; roles != 0; roles &= roles - 1 {
			for purposes := l.box[dimPurpose]; purposes != 0; purposes &= purposes - 1 {
				for _, f := range l.fields {
					key := cellKey{bits.TrailingZeros64(roles), bits.TrailingZeros64(purposes), f}
					out[key] = append(out[key], l)
				}
			}
		}
	}
	return out
}

func (c changed) change(s *space, a, b *explored) Change {
	info := s.fields[c.field]
	out := Change{Class: info.Class, Role: broker.Role(s.dims[dimRole].values[c.role]), Purpose: broker.Purpose(s.dims[dimPurpose].values[c.purpose]),
		Field: info.Path, Before: c.before.grant(), After: c.after.grant(), When: [][]Condition{}}
	simple := simplify(s, c.boxes, nil)
	for _, b := range simple {
		out.When = append(out.When, s.conditions(b))
	}
	at := simple[0].with(dimRole, 1<<c.role)
	at[dimPurpose] = 1 << c.purpose
	out.Example = s.example(at, info.Path)
	switch {
	case c.before.faultOf(info, a.catalog) != "" || c.after.faultOf(info, b.catalog) != "":
		out.Kind = ChangeFault
		out.widens = c.after.granted
	case !c.before.granted:
		out.Kind, out.widens = ChangeGained, true
	case !c.after.granted:
		out.Kind = ChangeLost
	case c.before.form != c.after.form:
		// The exact value tells all that another form tells. Which of two other forms tells more is not for us to say.
		out.Kind, out.widens = ChangeForm, c.before.form != broker.FormExact
	case c.before.basis != c.after.basis:
		out.Kind = ChangeBasis
	default:
		out.Kind = ChangeObligations
	}
	return out
}

func (o outcome) grant() *broker.Grant {
	if !o.granted {
		return nil
	}
	return &broker.Grant{Form: o.form, Basis: o.basis}
}

// answer asks both policies each example. What they say must be what was explored.
func answer(ctx context.Context, all []Change, live, draft map[string][]byte) error {
	d := decide.New(decide.Config{})
	for _, files := range []map[string][]byte{live, draft} {
		if err := d.Load(ctx, policies.Revision(files), maps.Clone(files)); err != nil {
			return err
		}
	}
	for i := range all {
		c := &all[i]
		for _, side := range []struct {
			revision broker.Revision
			into     **broker.Decision
			explored *broker.Grant
		}{{policies.Revision(live), &c.Live, c.Before}, {policies.Revision(draft), &c.Draft, c.After}} {
			got, err := d.Decide(ctx, side.revision, c.Example)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				c.Kind = ChangeFault // nor would serve get one: a refusal without a reason, a grant where nothing binds the asker
				continue
			}
			*side.into = &got
			grant, granted := got.Grants[c.Field]
			if granted != (side.explored != nil) || (granted && grant != *side.explored) {
				return fmt.Errorf("the engine answers %s otherwise than was explored; report this", c.Example.Bytes())
			}
		}
	}
	return nil
}

// Text gives the difference for a terminal, or a page.
func (d Difference) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "live %.12s, draft %.12s: %d changes\n", d.Live, d.Draft, len(d.Changes))
	say := func(g *broker.Grant) string {
		if g == nil {
			return "geweigerd/refused"
		}
		return fmt.Sprintf("%s (%s)", g.Form, g.Basis)
	}
	for _, c := range d.Changes {
		t := Way{When: c.When}.Text(d.Catalog)
		fmt.Fprintf(&b, "\n%s %s [%s] %s, %s: %s -> %s\n  %s\n  %s\n  %s\n", c.Kind, c.Field, c.Class, c.Role, c.Purpose, say(c.Before), say(c.After),
			t.NL, t.EN, c.Example.Bytes())
	}
	for _, w := range d.Widens {
		fmt.Fprintf(&b, "\nmeer van/more of %s: akkoord van/agreement of %s", w.Field, list(w.Holders))
	}
	if len(d.Widens) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}
