package workbench

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/schakel/schakel/broker"
)

// gained is a field that a change is about.
type gained struct {
	field    broker.Field
	from, to broker.Form
}

// tally is what is counted of one change.
type tally struct {
	requests        int
	roles           map[broker.Role]bool
	agencies, cases bitset
}

// count fills in the report.
func (g *gathering) count(r *ImpactReport, p *pair) {
	words := make([]string, len(g.words))
	for text, n := range g.words {
		words[n] = text
	}
	changed, quietly := 0, 0
	tallies := map[gained]*tally{}
	troubles := map[broker.Text]*NotReplayed{}
	if g.damaged.Requests > 0 {
		g.damaged.Reason = broker.Text{NL: "de gebeurtenis is beschadigd; `schakel audit verify` wijst haar aan", EN: "the event is damaged; `schakel audit verify` points at it"}
		troubles[g.damaged.Reason] = &g.damaged
	}
	for _, s := range g.shapes {
		if why := g.trouble(s); why != (broker.Text{}) {
			if troubles[why] == nil {
				troubles[why] = &NotReplayed{Reason: why}
			}
			troubles[why].add(s.requests, s.event)
			continue
		}
		r.Replayed += s.requests
		r.Closed += s.closed
		otherwise, unlike, same := false, false, true
		for _, sub := range s.subjects {
			for _, n := range sub.rulings {
				ruling := g.rulings[n]
				q := g.queries[ruling.query]
				same = same && q.same
				switch again := map[broker.Revision]*broker.Decision{p.draft: &q.draft, p.base: &q.base}[broker.Revision(words[ruling.revision])]; {
				case again == nil:
					otherwise = true
				case string(again.Bytes()) != words[ruling.decision]:
					unlike = true
				}
			}
		}
		r.Decisions += s.requests * s.decisions()
		if otherwise {
			r.Otherwise += s.requests
		}
		if unlike {
			r.Unlike += s.requests
		}
		if same {
			continue
		}
		if g.changes(s, tallies) {
			changed += s.requests
		} else {
			quietly += s.requests
		}
	}
	r.Changed, r.Quietly = CountOf(changed), CountOf(quietly)
	r.NotReplayed, r.Changes = []NotReplayed{}, []ImpactChange{}
	for _, t := range troubles {
		r.NotReplayed = append(r.NotReplayed, *t)
	}
	slices.SortFunc(r.NotReplayed, func(a, b NotReplayed) int { return cmp.Compare(a.Reason.EN, b.Reason.EN) })
	for c, t := range tallies {
		r.Changes = append(r.Changes, ImpactChange{Field: c.field, Class: p.classes[c.field], From: c.from, To: c.to,
			Roles: slices.Sorted(maps.Keys(t.roles)), Requests: CountOf(t.requests), Agencies: CountOf(t.agencies.count()), Cases: CountOf(t.cases.count())})
	}
	slices.SortFunc(r.Changes, ImpactChange.worst)
}

// add counts requests in, and names an event of theirs while few are named.
func (r *NotReplayed) add(requests int, event string) {
	r.Requests += requests
	if len(r.Events) < Fewest {
		r.Events = append(r.Events, event)
	}
}

func (g *gathering) trouble(s *shape) broker.Text {
	for _, sub := range s.subjects {
		for _, n := range sub.rulings {
			if why := g.queries[g.rulings[n].query].trouble; why != (broker.Text{}) {
				return why
			}
		}
	}
	return broker.Text{}
}

// decisions counts the recorded decisions of one such request: one that is about two subjects is one.
func (s *shape) decisions() int {
	seen := map[uint32]bool{}
	for _, sub := range s.subjects {
		for _, n := range sub.rulings {
			seen[n] = true
		}
	}
	return len(seen)
}

// changes counts what the requests of a shape gain and lose, each field once for a request. It tells whether they do.
func (g *gathering) changes(s *shape, tallies map[gained]*tally) bool {
	found := map[gained]map[broker.Role]bool{}
	asker := map[gained]bool{} // the asking agency receives it
	for _, sub := range s.subjects {
		before := g.given(sub, func(q *againDecided) *broker.Decision { return &q.base })
		after := g.given(sub, func(q *againDecided) *broker.Decision { return &q.draft })
		fields := maps.Clone(before)
		maps.Copy(fields, after)
		for f := range fields {
			if before[f] == after[f] {
				continue
			}
			c := gained{f, before[f], after[f]}
			if found[c] == nil {
				found[c] = map[broker.Role]bool{}
			}
			found[c][g.queries[g.rulings[sub.rulings[0]].query].role] = true
			asker[c] = asker[c] || !sub.lookup
		}
	}
	for c, roles := range found {
		t := tallies[c]
		if t == nil {
			t = &tally{roles: map[broker.Role]bool{}}
			tallies[c] = t
		}
		t.requests += s.requests
		maps.Copy(t.roles, roles)
		t.cases.add(s.cases)
		if asker[c] {
			t.agencies.add(s.agencies)
		}
	}
	return len(found) > 0
}

// given gives what all decisions about a subject grant in the same form: a request that was decided more than once, since
// facts changed under it, releases no more than that.
func (g *gathering) given(s shapeSubject, pick func(*againDecided) *broker.Decision) map[broker.Field]broker.Form {
	out := map[broker.Field]broker.Form{}
	for i, n := range s.rulings {
		grants := pick(g.queries[g.rulings[n].query]).Grants
		if i == 0 {
			for f, grant := range grants {
				out[f] = grant.Form
			}
			continue
		}
		maps.DeleteFunc(out, func(f broker.Field, form broker.Form) bool { return grants[f].Form != form })
	}
	return out
}

// bitset is a set of numbers.
type bitset []uint64

func (b *bitset) add(list []uint32) {
	for _, n := range list {
		if int(n/64) >= len(*b) {
			*b = append(*b, make([]uint64, int(n/64)+1-len(*b))...)
		}
		(*b)[n/64] |= 1 << (n % 64)
	}
}

func (b bitset) count() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}
