//go:build !race

package workbench_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// Like shipped_test.go, these compute much; what runs at once in them runs in matrix_test.go too.

// agrees asks the policy and the matrix the same.
func agrees(t *testing.T, d broker.Decider, revision broker.Revision, m workbench.Matrix, q broker.Query) (granted bool) {
	t.Helper()
	got, err := d.Decide(context.Background(), revision, q)
	if err != nil {
		t.Fatalf("%s: %v", q.Bytes(), err)
	}
	for _, f := range q.Fields {
		grant, asked := got.Grants[f]
		way, ok := m.Given(q, f)
		if ok != asked || way.Form != grant.Form || way.Basis != grant.Basis {
			t.Fatalf("%s\npolicy %+v\nmatrix %v %+v", q.Bytes(), got.Grants[f], ok, way)
		}
		if asked && len(q.Fields) == 1 && !slices.Equal(way.Obligations, got.Obligations) {
			t.Fatalf("%s\npolicy %v\nmatrix %v", q.Bytes(), got.Obligations, way.Obligations)
		}
		granted = granted || asked
	}
	return granted
}

// The matrix of a small policy says what the policy says, in every combination of the facts that its rules read, one by
// one.
func TestMatrixIsBruteForce(t *testing.T) {
	files := fewer(t)
	m, err := short.Matrix(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	d, revision := loaded(t, files)
	queries, granted := 0, 0
	sets := func(domain broker.Domain) [][]broker.Domain { return [][]broker.Domain{nil, {domain}} }
	var ask func(q broker.Query, rest []func(broker.Query, func(broker.Query)))
	ask = func(q broker.Query, rest []func(broker.Query, func(broker.Query))) {
		if len(rest) > 0 {
			rest[0](q, func(q broker.Query) { ask(q, rest[1:]) })
			return
		}
		if q.Relation.None() && !q.Emergency.Active {
			return // the one constant query stands for these; decide.Load asks it
		}
		queries++
		if agrees(t, d, revision, m, q) {
			granted++
		}
	}
	facts := []func(broker.Query, func(broker.Query)){
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Fields = range [][]broker.Field{{"persoon.burgerservicenummer"}, {"ggz.behandelaar.contact"}} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, rp := range [][2]string{{"wijkteammedewerker", "ontruiming-voorkomen"}, {"jeugdbeschermer", "ondertoezichtstelling"},
				{"sociaal-rechercheur", "handhaving"}} {
				q.Role, q.Purpose = broker.Role(rp[0]), broker.Purpose(rp[1])
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Agency.Kind = range []broker.AgencyKind{"welzijnsorganisatie", "gecertificeerde-instelling"} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Agency.Mandates = range [][]broker.Mandate{nil, {"wgs"}} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Relation.Case = range []broker.CaseRelation{"team", "agency", "none"} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Relation.Municipality = range []broker.Municipality{"same", "other"} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Subject.Kind = range []broker.SubjectKind{"person", "household"} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Subject.Age = range []broker.AgeBand{"18+", "12-15"} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Subject.DisclosureRestricted = range []bool{false, true} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Subject.Release = range sets("ggz") {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Agreements = range [][]broker.Domain{nil, {"persoon", "ggz"}} {
				next(q)
			}
		},
		func(q broker.Query, next func(broker.Query)) {
			for _, q.Emergency = range []broker.QueryEmergency{{}, {Active: true}, {Active: true, Domains: []broker.Domain{"ggz"}}} {
				next(q)
			}
		},
	}
	ask(broker.Query{V: broker.QueryVersion}, facts)
	t.Logf("%d queries, %d granted; %d evaluations for the matrix", queries, granted, m.Evaluations)
	if queries < 8_000 || granted < 100 {
		t.Error("too few to prove anything")
	}
}

// Of the whole shipped policy, the matrix agrees with the engine on random queries, most of them a step or two from one
// that is granted, and on every example of its own.
func TestMatrixOfShipped(t *testing.T) {
	files := policies.Files()
	x := shipped
	m, err := x.Matrix(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if !m.OK() {
		t.Errorf("faults: %+v", m.Faults)
	}
	rails, err := x.Guardrails(context.Background(), files)
	if err != nil || !rails.OK() {
		t.Errorf("%v, %s", err, rails.Text())
	}
	if m.Evaluations > 30_000 || rails.Evaluations > 10_000 {
		t.Errorf("%d and %d evaluations: too many to be quick", m.Evaluations, rails.Evaluations)
	}
	d, revision := loaded(t, files)
	r := rand.New(rand.NewPCG(1, 2))
	granted := 0
	const n = 1500
	for range n {
		c := m.Cells[r.IntN(len(m.Cells))]
		q := sample(r, m.Catalog, c)
		if q.Relation.None() && !q.Emergency.Active {
			continue
		}
		if agrees(t, d, revision, m, q) {
			granted++
		}
	}
	t.Logf("%s combinations, %d evaluations, %d cells; %d random queries, %d granted", m.Combinations, m.Evaluations, len(m.Cells), n, granted)
	if granted < n/10 || granted > n*9/10 {
		t.Errorf("%d of %d granted: the sample is one-sided", granted, n)
	}
	for _, want := range []string{"Nooit – Never", "`wijkteammedewerker` `ontruiming-voorkomen`",
		"mandaat Wet gemeentelijke schuldhulpverlening; afspraak met de houder van Huur", "justitie.detentie.einddatum"} {
		if !strings.Contains(m.Markdown(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if lines := strings.Count(m.CSV(), "\n"); lines < len(m.Cells) {
		t.Errorf("%d lines of CSV for %d cells", lines, len(m.Cells))
	}
	for _, p := range m.Register() {
		if p.Purpose == "wmo-onderzoek" && (!slices.Contains(p.Recipients, "gemeente") || !slices.Contains(p.Bases, "wmo-5.1.1") || len(p.Data) < 4 || p.Retention != "P5Y") {
			t.Errorf("register of processing: %+v", p)
		}
	}
}

// sample makes a query that meets one way of a cell, and then mostly changes a fact or two.
func sample(r *rand.Rand, k *broker.Catalog, c workbench.MatrixCell) broker.Query {
	w := c.Ways[r.IntN(len(c.Ways))]
	q := broker.Query{V: broker.QueryVersion, Role: c.Role, Purpose: c.Purpose, Fields: []broker.Field{c.Field}}
	facts := []string{"agency.kind", "relation.case", "relation.coordinator", "relation.signal", "relation.claim", "relation.municipality",
		"subject.kind", "subject.age", "subject.disclosure_restricted", "emergency.active"}
	for _, f := range facts {
		any := values(k, f)
		set(&q, f, any[r.IntN(len(any))], false)
	}
	for _, f := range []string{"agency.mandates", "agreements", "subject.consent", "subject.release", "emergency.domains"} {
		for _, element := range values(k, f) {
			if r.IntN(2) == 0 {
				set(&q, f, element, false)
			}
		}
	}
	for _, cond := range w.When[r.IntN(len(w.When))] {
		switch {
		case cond.Has != "":
			set(&q, cond.Fact, cond.Has, false)
		case cond.Lacks != "":
			set(&q, cond.Fact, cond.Lacks, true)
		default:
			set(&q, cond.Fact, cond.OneOf[r.IntN(len(cond.OneOf))], false)
		}
	}
	for range r.IntN(3) {
		f := facts[r.IntN(len(facts))]
		any := values(k, f)
		set(&q, f, any[r.IntN(len(any))], false)
	}
	switch r.IntN(6) {
	case 0:
		set(&q, "agreements", string(domainOf(c.Field)), true)
	case 1:
		q.Role = broker.Role(k.Roles[r.IntN(len(k.Roles))].ID)
	case 2:
		q.Purpose = broker.Purpose(k.Purposes[r.IntN(len(k.Purposes))].ID)
	case 3:
		q.Fields = []broker.Field{k.Fields[r.IntN(len(k.Fields))].Path}
	}
	return q.Canonical()
}

func domainOf(f broker.Field) broker.Domain {
	first, _, _ := strings.Cut(string(f), ".")
	return broker.Domain(first)
}

func values(k *broker.Catalog, fact string) []string {
	var out []string
	switch fact {
	case "agency.kind":
		for _, t := range k.AgencyKinds {
			out = append(out, string(t.ID))
		}
	case "relation.case":
		return []string{"assigned", "team", "agency", "none"}
	case "relation.municipality":
		return []string{"same", "other", "unknown"}
	case "subject.kind":
		return []string{"person", "household"}
	case "subject.age":
		return []string{"0-11", "12-15", "16-17", "18+", "unknown"}
	case "agency.mandates":
		for _, t := range k.Mandates {
			out = append(out, t.ID)
		}
	case "agreements", "subject.consent", "subject.release", "emergency.domains":
		for _, t := range k.Domains {
			out = append(out, t.ID)
		}
	default:
		return []string{"false", "true"}
	}
	return out
}

func set(q *broker.Query, fact, value string, remove bool) {
	yes := value == "true"
	domains := func(s *[]broker.Domain) {
		*s = slices.DeleteFunc(slices.Clone(*s), func(d broker.Domain) bool { return string(d) == value })
		if !remove {
			*s = append(*s, broker.Domain(value))
		}
	}
	switch fact {
	case "agency.kind":
		q.Agency.Kind = broker.AgencyKind(value)
	case "relation.case":
		q.Relation.Case = broker.CaseRelation(value)
	case "relation.coordinator":
		q.Relation.Coordinator = yes
	case "relation.signal":
		q.Relation.Signal = yes
	case "relation.claim":
		q.Relation.Claim = yes
	case "relation.municipality":
		q.Relation.Municipality = broker.Municipality(value)
	case "subject.kind":
		q.Subject.Kind = broker.SubjectKind(value)
	case "subject.age":
		q.Subject.Age = broker.AgeBand(value)
	case "subject.disclosure_restricted":
		q.Subject.DisclosureRestricted = yes
	case "emergency.active":
		q.Emergency.Active = yes
	case "agency.mandates":
		q.Agency.Mandates = slices.DeleteFunc(slices.Clone(q.Agency.Mandates), func(m broker.Mandate) bool { return string(m) == value })
		if !remove {
			q.Agency.Mandates = append(q.Agency.Mandates, broker.Mandate(value))
		}
	case "agreements":
		domains(&q.Agreements)
	case "subject.consent":
		domains(&q.Subject.Consent)
	case "subject.release":
		domains(&q.Subject.Release)
	case "emergency.domains":
		domains(&q.Emergency.Domains)
	}
}
