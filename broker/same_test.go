package broker

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestUnknownIsForbidden: invariant 6. A household that does not exist, one that the asker is not bound to, and one that a
// careless register tells of all the same: same answer, same clear record, same calls on every port.
func TestUnknownIsForbidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decide := anyTable(t, 97)
		body := anyRequest(t)
		real := anyFacts(t)
		real.Relation = Relation{Case: CaseNone, Municipality: rapid.SampledFrom([]Municipality{MunicipalitySame, MunicipalityOther, MunicipalityUnknown}).Draw(t, "municipality"),
			Coordinator: rapid.Bool().Draw(t, "coordinator")}
		real.Emergency = QueryEmergency{} // which binds
		nothing := real
		nothing.Relation = Relation{Case: CaseNone, Municipality: MunicipalityUnknown}
		nothing.Household, nothing.Holders, nothing.Case = nil, nil, ""
		stale := rapid.IntRange(0, 3).Draw(t, "stale")
		type result struct {
			body   []byte
			common Common
			parts  int
			calls  map[string]int
			err    string
		}
		run := func(f Facts, asked string) result {
			w := newWorld(t)
			w.decide, w.facts = decide, []Facts{f}
			for range stale {
				w.appends = append(w.appends, ErrStale)
			}
			env, err := w.disclose(context.Background(), asked)
			last := w.events[len(w.events)-1]
			last.Common.Request = Hash{} // of two bodies that differ in the BSN alone
			if err == nil && !env.Refusal {
				t.Fatal("an answer about a household that nothing binds the asker to")
			}
			return result{env.Body, last.Common, len(last.Subjects), w.calls, fmt.Sprint(err)}
		}
		a := run(nothing, string(bytes.Replace([]byte(body), []byte("999990007"), []byte("999990056"), 1)))
		b := run(real, body)
		if !bytes.Equal(a.body, b.body) || a.err != b.err {
			t.Errorf("two answers: %s %s\n%s %s", a.body, a.err, b.body, b.err)
		}
		if !bytes.Equal(mustJSON(a.common), mustJSON(b.common)) || a.parts+b.parts != 0 {
			t.Errorf("two records: %s\n%s", mustJSON(a.common), mustJSON(b.common))
		}
		if !maps.Equal(a.calls, b.calls) {
			t.Errorf("other work: %v\n%v", a.calls, b.calls)
		}
		if n := len(a.common.Queries); n != 1 {
			t.Errorf("%d queries, want the one constant query", n)
		}
	})
}

// TestGrantFromNothing: a policy that grants where nothing binds the asker is an error, and no refusal.
func TestGrantFromNothing(t *testing.T) {
	for name, decide := range map[string]func(Revision, Query) Decision{
		"grants": func(_ Revision, q Query) Decision {
			d := Decision{Grants: map[Field]Grant{}}
			for _, f := range q.Fields {
				d.Grants[f] = Grant{FormExact, "wgs-8"}
			}
			return d
		},
		"says nothing": func(Revision, Query) Decision { return Decision{} },
		"says both": func(_ Revision, q Query) Decision {
			d := Decision{Grants: map[Field]Grant{}, Refusals: map[Field][]Reason{}}
			for _, f := range q.Fields {
				d.Grants[f], d.Refusals[f] = Grant{FormExact, "wgs-8"}, []Reason{"no-relation"}
			}
			return d
		},
		"says more": func(_ Revision, q Query) Decision {
			d := Decision{Refusals: map[Field][]Reason{"persoon.leeftijd": {"no-relation"}}}
			for _, f := range q.Fields {
				d.Refusals[f] = []Reason{"no-relation"}
			}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.decide = decide
			w.facts = []Facts{{Revision: rev1, Relation: Relation{Case: CaseNone, Municipality: MunicipalityUnknown}}}
			_, err := w.disclose(context.Background(), `{"household":{"bsn":"999990007"},"purpose":"handhaving","fields":["contact"]}`)
			if e, ok := err.(*Error); !ok || e.Kind != KindInternal || len(w.events)+len(w.sealed) > 0 {
				t.Errorf("got %v with %d events, want an internal error and nothing recorded", err, len(w.events))
			}
		})
	}
}
