//go:build !race

package workbench_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// fact is one thing that a made-up policy can look at: how it is asked, and the values that it can have in a query.
type fact struct {
	lines  []string // each true for some values and false for others
	values []func(*broker.Query)
}

func is[T any](at func(*broker.Query) *T, values ...T) (set []func(*broker.Query)) {
	for _, v := range values {
		set = append(set, func(q *broker.Query) { *at(q) = v })
	}
	return set
}

var domainSets = [][]broker.Domain{nil, {"ggz"}, {"huur"}, {"ggz", "huur"}}

// facts are those that a made-up policy can look at, each with every value that matters to its lines.
var facts = []fact{
	{[]string{`input.role == "wijkteammedewerker"`, `input.role != "wijkteammedewerker"`, `input.role in {"wijkteammedewerker", "casusregisseur"}`},
		is(func(q *broker.Query) *broker.Role { return &q.Role }, "wijkteammedewerker", "casusregisseur", "wmo-consulent")},
	{[]string{`input.purpose == "ontruiming-voorkomen"`, `not input.purpose in {"handhaving", "ontruiming-voorkomen"}`},
		is(func(q *broker.Query) *broker.Purpose { return &q.Purpose }, "ontruiming-voorkomen", "handhaving", "wmo-onderzoek")},
	{[]string{`input.agency.kind == "gemeente"`, `not input.agency.kind == "ggz-aanbieder"`},
		is(func(q *broker.Query) *broker.AgencyKind { return &q.Agency.Kind }, "gemeente", "ggz-aanbieder", "woningcorporatie")},
	{[]string{`input.relation.case == "team"`, `input.relation.case in {"assigned", "agency"}`},
		is(func(q *broker.Query) *broker.CaseRelation { return &q.Relation.Case }, broker.CaseAssigned, broker.CaseTeam, broker.CaseAgency)},
	{[]string{`input.relation.coordinator`, `not input.relation.coordinator`}, is(func(q *broker.Query) *bool { return &q.Relation.Coordinator }, false, true)},
	{[]string{`input.relation.claim`, `input.relation.claim == false`}, is(func(q *broker.Query) *bool { return &q.Relation.Claim }, false, true)},
	{[]string{`input.subject.age in {"12-15", "16-17"}`, `input.subject.age != "unknown"`},
		is(func(q *broker.Query) *broker.AgeBand { return &q.Subject.Age }, broker.Age18Plus, broker.Age16to17, broker.AgeUnknown)},
	{[]string{`not input.subject.disclosure_restricted`, `input.subject.disclosure_restricted`},
		is(func(q *broker.Query) *bool { return &q.Subject.DisclosureRestricted }, false, true)},
	{[]string{`input.emergency.active`, `not input.emergency.active`}, is(func(q *broker.Query) *bool { return &q.Emergency.Active }, false, true)},
	{[]string{`"wgs" in input.agency.mandates`, `not "wgs" in input.agency.mandates`},
		is(func(q *broker.Query) *[]broker.Mandate { return &q.Agency.Mandates }, nil, []broker.Mandate{"wgs"}, []broker.Mandate{"wmo"})},
	{[]string{`input.field.domain in input.agreements`, `"huur" in input.agreements`, `not "ggz" in input.agreements`},
		is(func(q *broker.Query) *[]broker.Domain { return &q.Agreements }, domainSets...)},
	{[]string{`input.field.domain in input.subject.consent`, `not "huur" in input.subject.consent`},
		is(func(q *broker.Query) *[]broker.Domain { return &q.Subject.Consent }, domainSets...)},
	{[]string{`input.field.class == "bijzonder"`, `not input.field.subject == "person"`, `"amount-band" in input.field.forms`}, nil},
}

// madeUp is a policy of rows, rules that read them, and rules that stand in the way: rows are a partial set, over which partial
// evaluation would be wrong. Two rows may hold at once; then there is no decision.
func madeUp(t *rapid.T, look []fact) string {
	var lines []string
	for _, f := range look {
		lines = append(lines, f.lines...)
	}
	all := func(name string, most int) string {
		return "\n\t" + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(lines), 1, most, rapid.ID).Draw(t, name), "\n\t") + "\n"
	}
	var b strings.Builder
	b.WriteString("package schakel.grants\n\n")
	for i := range rapid.IntRange(1, 3).Draw(t, "rows") {
		form := rapid.SampledFrom([]string{"exact", "amount-band"}).Draw(t, "form")
		fmt.Fprintf(&b, "rows contains {\"form\": %q, \"kind\": %d} if {%s}\n\n", form, i%2, all("row", 2))
	}
	for range rapid.IntRange(0, 2).Draw(t, "blocks") {
		fmt.Fprintf(&b, "blocked if {%s}\n\n", all("block", 2))
	}
	b.WriteString("default blocked := false\n\n")
	for i := range rapid.IntRange(1, 2).Draw(t, "rules") {
		not := rapid.SampledFrom([]string{"not blocked\n\t", ""}).Draw(t, "not")
		fmt.Fprintf(&b, "allowed contains {\"form\": row.form, \"basis\": \"wgs-8\"} if {\n\tinput.relation.case != \"none\"\n\t%ssome row in rows\n\trow.kind == %d%s}\n\n",
			not, i, all("rule", 1))
	}
	return b.String()
}

// TestMatrixOfMadeUpPolicies: of any policy, the matrix says what the policy says, in every combination of what its rules look
// at, one by one.
func TestMatrixOfMadeUpPolicies(t *testing.T) {
	base := policiestest.Small()
	maps.DeleteFunc(base, func(file string, _ []byte) bool { return decide.IsTest(file) })
	keep(t, base, "roles", "wijkteammedewerker", "casusregisseur", "wmo-consulent")
	keep(t, base, "purposes", "ontruiming-voorkomen", "handhaving", "wmo-onderzoek")
	keep(t, base, "domains", "ggz", "huur")
	keep(t, base, "fields", "huur.achterstand.bedrag", "ggz.behandelaar.contact")
	tried, queries, granted, faults := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		look := rapid.SliceOfNDistinct(rapid.SampledFrom(facts), 2, 5, func(f fact) string { return f.lines[0] }).Draw(t, "facts")
		rules := madeUp(t, look)
		t.Log(rules)
		files := maps.Clone(base)
		files["schakel/grants.rego"] = []byte(rules)
		m, err := workbench.NewExplorer().Matrix(context.Background(), files)
		if err != nil {
			t.Fatal(err)
		}
		d, revision := decide.New(decide.Config{Memo: -1}), policies.Revision(files)
		if err := d.Load(context.Background(), revision, files); err != nil {
			t.Fatal(err)
		}
		tried++
		faulty := false
		q := broker.Query{V: broker.QueryVersion, Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Agency: broker.QueryAgency{Kind: "gemeente"},
			Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame}, Subject: broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus}}
		var ask func(q broker.Query, rest []fact)
		ask = func(q broker.Query, rest []fact) {
			if len(rest) > 0 {
				for _, set := range rest[0].values {
					set(&q)
					ask(q, rest[1:])
				}
				if rest[0].values == nil {
					ask(q, rest[1:])
				}
				return
			}
			for _, f := range []broker.Field{"huur.achterstand.bedrag", "ggz.behandelaar.contact"} {
				q.Fields = []broker.Field{f}
				q := q.Canonical()
				queries++
				got, err := d.Decide(context.Background(), revision, q)
				faulty = faulty || err != nil
				grant, asked := got.Grants[f]
				way, ok := m.Given(q, f)
				switch {
				case err != nil && ok && !m.OK(): // given in a form that the field does not have: the matrix says so, in Faults too
				case ok != asked || way.Form != grant.Form || way.Basis != grant.Basis:
					t.Fatalf("%s\npolicy %v %+v %v\nmatrix %v %+v", q.Bytes(), asked, grant, err, ok, way)
				}
				if asked {
					granted++
				}
			}
		}
		ask(q, look)
		if faulty {
			faults++
		}
		if faulty && m.OK() {
			t.Fatal("some query has no decision, and the matrix names none")
		}
	})
	t.Logf("%d policies, %d queries, %d granted; in %d policies some query has no decision", tried, queries, granted, faults)
	if granted < queries/50 || faults == 0 {
		t.Error("the policies are too simple")
	}
}
