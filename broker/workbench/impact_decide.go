package workbench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// againDecided is a query, and what both revisions say to it.
type againDecided struct {
	bytes       string
	role        broker.Role
	base, draft broker.Decision
	same        bool // to the last reason
	trouble     broker.Text
}

// pair is the two revisions that are compared.
type pair struct {
	base, draft broker.Revision
	decider     *decide.Decider
	classes     map[broker.Field]broker.Class
}

func newPair(ctx context.Context, base, draft map[string][]byte) (*pair, error) {
	p := &pair{base: policies.Revision(base), draft: policies.Revision(draft), decider: decide.New(decide.Config{}),
		classes: map[broker.Field]broker.Class{}}
	for _, r := range []struct {
		name  broker.Revision
		files map[string][]byte
	}{{p.draft, draft}, {p.base, base}} { // of two classes of one field, that of the base
		if err := p.decider.Load(ctx, r.name, r.files); err != nil {
			return nil, err
		}
		catalog, err := p.decider.Catalog(r.name)
		if err != nil {
			return nil, err
		}
		for _, f := range catalog.Fields {
			p.classes[f.Path] = f.Class
		}
	}
	return p, nil
}

// decideAll decides every query by both revisions, on all cores. Queries that differ in their fields alone are decided
// one after the other, so that the decider still remembers what it said to each field.
func (p *pair) decideAll(ctx context.Context, queries []*againDecided, progress func(done int)) {
	order := slices.Clone(queries)
	slices.SortFunc(order, func(a, b *againDecided) int { return cmp.Compare(a.bytes, b.bytes) })
	var mu sync.Mutex
	done := 0
	progress(0)
	parallel(ctx, len(order), func(i int) {
		p.decide(ctx, order[i])
		mu.Lock()
		defer mu.Unlock()
		if done++; done%100 == 0 || done == len(order) {
			progress(done)
		}
	})
}

func (p *pair) decide(ctx context.Context, a *againDecided) {
	q, trouble := Replayable([]byte(a.bytes))
	a.role, a.trouble = q.Role, trouble
	if trouble != (broker.Text{}) {
		return
	}
	for _, by := range []struct {
		revision broker.Revision
		to       *broker.Decision
		name     broker.Text
	}{{p.base, &a.base, broker.Text{NL: "het beleid waarmee is vergeleken", EN: "the policy that was compared with"}},
		{p.draft, &a.draft, broker.Text{NL: "het voorstel", EN: "the draft"}}} {
		var err error
		if *by.to, err = p.decider.Decide(ctx, by.revision, q); err != nil {
			a.trouble = broker.Text{NL: by.name.NL + " geeft op een vraag geen geldig besluit", EN: by.name.EN + " has no valid decision to a query"}
			return
		}
	}
	a.same = bytes.Equal(a.base.Bytes(), a.draft.Bytes())
}

// Replayable reads the bytes of a recorded query strictly, or tells why it can't be decided again. Here an older version of the input gets the defaults that were declared for it;
// version 1 is the first, so that there are none yet.
func Replayable(text []byte) (broker.Query, broker.Text) {
	var version struct {
		V int `json:"v"`
	}
	var q broker.Query
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	switch {
	case json.Unmarshal(text, &version) != nil:
	case version.V != broker.QueryVersion:
		return q, broker.Text{NL: "een vraag van een versie die dit Schakel niet kent", EN: "a query of a version that this Schakel does not know"}
	case d.Decode(&q) == nil && bytes.Equal(q.Canonical().Bytes(), text):
		return q, broker.Text{}
	}
	return q, broker.Text{NL: "een vraag die niet te lezen is", EN: "a query that can't be read"}
}
