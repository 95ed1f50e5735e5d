package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func anyQuery(t *rapid.T) Query {
	return Query{V: QueryVersion, Agency: QueryAgency{"gemeente", fewOf(t, "mandate", []Mandate{"wgs", "wmo", "jeugdwet"})},
		Role: "wijkteammedewerker", Purpose: rapid.SampledFrom([]Purpose{"handhaving", "ontruiming-voorkomen"}).Draw(t, "purpose"),
		Relation: Relation{Case: rapid.SampledFrom([]CaseRelation{CaseAssigned, CaseNone}).Draw(t, "case"), Signal: rapid.Bool().Draw(t, "signal"),
			Municipality: MunicipalitySame},
		Subject:    QuerySubject{SubjectPerson, Age18Plus, rapid.Bool().Draw(t, "restricted"), fewOf(t, "consent", testDomains), fewOf(t, "release", testDomains)},
		Agreements: fewOf(t, "agreement", testDomains), Emergency: QueryEmergency{Domains: fewOf(t, "emergency", testDomains)},
		Fields: fewOf(t, "field", []Field{"a.b", "a.c", "a<b", "é"})}
}

// scrambled is the same query with every set in another order and with doubles.
func scrambled(q Query, r *rand.Rand) Query {
	q.Agency.Mandates, q.Subject.Consent, q.Subject.Release = mixed(q.Agency.Mandates, r), mixed(q.Subject.Consent, r), mixed(q.Subject.Release, r)
	q.Agreements, q.Emergency.Domains, q.Fields = mixed(q.Agreements, r), mixed(q.Emergency.Domains, r), mixed(q.Fields, r)
	return q
}

func mixed[T any](in []T, r *rand.Rand) []T {
	out := append(slices.Clone(in), in...)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestQueryBytes: equal queries have equal bytes whatever the order of their sets, other queries other bytes, and the
// bytes read back to the same query.
func TestQueryBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyQuery(t), anyQuery(t)
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order")))
		before := fmt.Sprint(a)
		if !bytes.Equal(a.Bytes(), scrambled(a, r).Bytes()) {
			t.Errorf("order or doubles change the bytes: %s", a.Bytes())
		}
		if fmt.Sprint(a) != before {
			t.Errorf("Bytes changed its query")
		}
		if reflect.DeepEqual(a.Canonical(), b.Canonical()) != bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("two queries, one text: %s", a.Bytes())
		}
		var back Query
		if err := json.Unmarshal(a.Bytes(), &back); err != nil || !reflect.DeepEqual(back, a.Canonical()) {
			t.Errorf("read back: %v %v", back, err)
		}
		if bytes.Contains(a.Bytes(), []byte("null")) {
			t.Errorf("a set that is null: %s", a.Bytes())
		}
	})
}

// TestDecisionBytes: likewise for decisions.
func TestDecisionBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := anyQuery(t)
		d := anyTable(t, 50)(rev1, Query{Relation: Relation{Case: CaseAssigned}, Fields: []Field{"contact.telefoonnummer", "contact.emailadres", "persoon.leeftijd"}})
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order")))
		e := Decision{Grants: d.Grants, Refusals: map[Field][]Reason{}, Obligations: mixed(d.Obligations, r)}
		for f, reasons := range d.Refusals {
			e.Refusals[f] = mixed(reasons, r)
		}
		if !bytes.Equal(d.Bytes(), e.Bytes()) {
			t.Errorf("order or doubles change the bytes: %s\n%s", d.Bytes(), e.Bytes())
		}
		var back Decision
		if err := json.Unmarshal(d.Bytes(), &back); err != nil || !bytes.Equal(back.Bytes(), d.Bytes()) || len(q.Fields) > 4 {
			t.Errorf("read back: %v", err)
		}
	})
	if got := string(Decision{}.Bytes()); got != `{"grants":{},"refusals":{},"obligations":[]}` {
		t.Errorf("empty decision: %s", got)
	}
}

// TestSecretsPrintAsDots: whatever prints a BSN or a birth date.
func TestSecretsPrintAsDots(t *testing.T) {
	p := Person{BSN: testBSNs[0], Birth: Date{1980, 2, 3}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{p, &p, p.BSN, p.Birth, []Person{p}, map[BSN]Date{p.BSN: p.Birth}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "999990007") || strings.Contains(text, "1980") || strings.Contains(text, "393939") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
	for _, v := range []string{p.BSN.LogValue().String(), p.Birth.LogValue().String()} {
		if strings.ContainsAny(v, "0123456789") {
			t.Errorf("a log takes %s", v)
		}
	}
}
