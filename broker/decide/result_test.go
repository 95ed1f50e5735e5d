package decide

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

func catalog(t testing.TB) *broker.Catalog {
	t.Helper()
	s, err := Read(policies.Files())
	if err != nil {
		t.Fatal(err)
	}
	return s.Catalog
}

// about asks about one field; bound or with nothing that binds the asker to the household.
func about(f broker.Field, bound bool) broker.Query {
	q := Unrelated(f)
	if bound {
		q.Relation.Case = broker.CaseAssigned
	}
	return q
}

const rent = "huur.achterstand.bedrag"

func TestParseRuling(t *testing.T) {
	c := catalog(t)
	for name, tt := range map[string]struct {
		result string
		loose  bool // nothing binds the asker
		bad    string
	}{
		"grant":             {result: `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},"refusals":{},"obligations":["inform-household"]}`},
		"refusal":           {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":[]}`, loose: true},
		"undefined":         {result: `null`, bad: "object with exactly"},
		"a key too many":    {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":[],"debug":1}`, bad: "object with exactly"},
		"a key too few":     {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":["no-relation"]}}`, bad: "object with exactly"},
		"in neither":        {result: `{"grants":{},"refusals":{},"obligations":[]}`, bad: "and no other"},
		"in both":           {result: `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":[]}`, bad: "and no other"},
		"another field":     {result: `{"grants":{"ggz.diagnose":{"form":"exact","basis":"wgs-8"}},"refusals":{},"obligations":[]}`, bad: "and no other"},
		"one more field":    {result: `{"grants":{"ggz.diagnose":{"form":"exact","basis":"wgs-8"}},"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":[]}`, bad: "and no other"},
		"grants a list":     {result: `{"grants":[],"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":[]}`, bad: "must be objects"},
		"wrong form":        {result: `{"grants":{"huur.achterstand.bedrag":{"form":"yes-no","basis":"wgs-8"}},"refusals":{},"obligations":[]}`, bad: "form"},
		"wrong basis":       {result: `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"omdat-het-kan"}},"refusals":{},"obligations":[]}`, bad: "basis"},
		"grant with more":   {result: `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8","value":7}},"refusals":{},"obligations":[]}`, bad: "object with exactly"},
		"no reason":         {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":[]},"obligations":[]}`, bad: "without a reason"},
		"wrong reason":      {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":["zomaar"]},"obligations":[]}`, bad: "closed list"},
		"reason a string":   {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":"no-relation"},"obligations":[]}`, bad: "must be a list"},
		"wrong obligation":  {result: `{"grants":{},"refusals":{"huur.achterstand.bedrag":["no-relation"]},"obligations":["bel-de-burgemeester"]}`, bad: "closed list"},
		"grant to a nobody": {result: `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},"refusals":{},"obligations":[]}`, loose: true, bad: "nothing binds"},
	} {
		t.Run(name, func(t *testing.T) {
			var v any
			if err := json.Unmarshal([]byte(tt.result), &v); err != nil {
				t.Fatal(err)
			}
			_, err := parse(v, about(rent, !tt.loose), c)
			if tt.bad == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *broker.Error
			if !errors.As(err, &e) || e.Kind != broker.KindInternal || e.Code != "policy-result-malformed" || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("got %v, want a malformed result: %s", err, tt.bad)
			}
		})
	}
}

func TestGrantWithoutTieInAnEmergency(t *testing.T) {
	q := about(rent, false)
	q.Emergency.Active = true
	v := map[string]any{"grants": map[string]any{rent: map[string]any{"form": "exact", "basis": "wgs-8"}},
		"refusals": map[string]any{}, "obligations": []any{}}
	if _, err := parse(v, q, catalog(t)); err != nil {
		t.Error(err)
	}
}

// Whatever the engine says, what comes through is one grant or one refusal in words of the closed lists.
func FuzzParseRuling(f *testing.F) {
	c := catalog(f)
	f.Add([]byte(`{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},"refusals":{},"obligations":["inform-household"]}`), true)
	f.Add([]byte(`{"grants":{},"refusals":{"huur.achterstand.bedrag":["no-relation","no-relation"]},"obligations":[]}`), false)
	f.Add([]byte(`{"grants":{},"refusals":{},"obligations":[]}`), true)
	f.Add([]byte(`[1]`), true)
	f.Fuzz(func(t *testing.T, data []byte, bound bool) {
		var v any
		if json.Unmarshal(data, &v) != nil {
			return
		}
		q := about(rent, bound)
		r, err := parse(v, q, c)
		if err != nil {
			return
		}
		info, _ := c.Field(rent)
		switch {
		case r.granted && (!bound || !slices.Contains(info.Forms, r.grant.Form) || !broker.HasTerm(c.Bases, string(r.grant.Basis)) || r.reasons != nil):
			t.Errorf("came through: %+v", r)
		case !r.granted && (len(r.reasons) == 0 || r.grant != broker.Grant{}):
			t.Errorf("came through: %+v", r)
		}
		for _, reason := range r.reasons {
			if !broker.HasTerm(c.Reasons, string(reason)) {
				t.Errorf("reason %q came through", reason)
			}
		}
	})
}

func TestMemoIsBounded(t *testing.T) {
	const entries = 320
	m := newMemo(entries)
	for i := range 10_000 {
		k := memoKey{field: rent}
		k.base[0], k.base[1], k.base[2] = byte(i), byte(i>>8), byte(i>>16)
		m.put(k, ruling{granted: true})
		if _, ok := m.get(k); !ok {
			t.Fatal("just put, and gone")
		}
	}
	total := 0
	for i := range m.shard {
		total += len(m.shard[i].young) + len(m.shard[i].old)
	}
	if total > entries || total < entries/4 {
		t.Errorf("remembers %d, bound %d", total, entries)
	}
}

func TestMemoKeepsWhatIsAsked(t *testing.T) {
	m := newMemo(64)
	kept := memoKey{field: "kept"}
	m.put(kept, ruling{granted: true})
	for i := range 1000 {
		m.put(memoKey{field: broker.Field(rune(i))}, ruling{})
		if r, ok := m.get(kept); !ok || !r.granted {
			t.Fatalf("forgotten after %d others", i)
		}
	}
}
