//go:build !race

package workbench_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// teamAsks is a question of a wijkteam worker whose case it is, about one field.
func teamAsks(field broker.Field, change func(*broker.Query)) broker.Query {
	q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}},
		Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen",
		Relation:   broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
		Subject:    broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus},
		Agreements: []broker.Domain{"contact", "ggz", "huur", "persoon", "schulden"}, Fields: []broker.Field{field}}
	change(&q)
	return q
}

// TestWhy: the named conditions that failed are those that were broken, and the single changes are those that mend it.
func TestWhy(t *testing.T) {
	d := shippedDecider(t)
	for _, c := range []struct {
		name   string
		field  broker.Field
		change func(*broker.Query)
		rows   string   // title of the row
		failed []string // titles
		mend   []string // among the changes
		fact   string
	}{
		{"given", "huur.achterstand.bedrag", func(*broker.Query) {}, "Ontruiming voorkomen, persoon, contact en huur", nil, nil, ""},
		{"release missing", "ggz.behandelaar.contact", func(*broker.Query) {}, "Ontruiming voorkomen, contact met de ggz", []string{"Instemming"},
			[]string{"with release from secrecy for", "in an emergency"}, ""},
		{"other municipality", "huur.achterstand.bedrag", func(q *broker.Query) { q.Relation.Municipality = broker.MunicipalityOther },
			"Ontruiming voorkomen, persoon, contact en huur", []string{"De gemeente van dit huishouden"}, []string{"works for this municipality"}, ""},
		{"a colleague's case", "huur.achterstand.bedrag", func(q *broker.Query) { q.Relation.Case = broker.CaseAgency },
			"Ontruiming voorkomen, persoon, contact en huur", []string{"Er is een band met dit huishouden"}, []string{"the case assigned to the asker", "the asker's team"}, ""},
		{"never", "ggz.diagnose", func(q *broker.Query) { q.Subject.Release = []broker.Domain{"ggz"} }, "Ontruiming voorkomen, contact met de ggz",
			[]string{"Nooit gedeeld"}, nil, ""},
		{"no row", "zorgverzekering.wanbetalersregeling", func(q *broker.Query) { q.Role, q.Purpose = "ggz-behandelaar", "behandeling-afstemmen" }, "", nil, nil, ""},
		{"BSN", "persoon.burgerservicenummer", func(q *broker.Query) { q.Agency.Kind = "welzijnsorganisatie"; q.Agency.Mandates = nil },
			"Ontruiming voorkomen, persoon, contact en huur", []string{"De organisatie heeft het mandaat", "Het BSN door een mandaat"}, []string{"with the mandate: "}, ""},
		{"a child", "ggz.behandelaar.contact", func(q *broker.Query) { q.Subject.Age = broker.Age12to15; q.Subject.Release = []broker.Domain{"ggz"} },
			"Ontruiming voorkomen, contact met de ggz", []string{"Instemming"}, []string{"in an emergency"}, "at another age: 18+"},
		{"no agreement", "huur.achterstand.bedrag", func(q *broker.Query) { q.Agreements = nil }, "Ontruiming voorkomen, persoon, contact en huur",
			[]string{"afspraak"}, []string{"with an agreement of a holder for"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := workbench.Why(context.Background(), policies.Files(), teamAsks(c.field, c.change))
			if err != nil {
				t.Fatal(err)
			}
			f := r.Fields[0]
			t.Logf("%s", r.Text())
			if (f.Grant != nil) != (c.name == "given") || (f.Grant == nil) == (len(f.Reasons) == 0) {
				t.Errorf("grant %v, reasons %v", f.Grant, f.Reasons)
			}
			if c.rows == "" && len(f.Attempts) > 0 {
				t.Errorf("an attempt: %+v", f.Attempts)
			}
			if c.rows != "" && !slices.ContainsFunc(f.Attempts, func(a workbench.Attempt) bool {
				return slices.ContainsFunc(a.Rows, func(n workbench.Named) bool {
					return n.Title.NL == c.rows && strings.HasPrefix(n.File, "schakel/law/") && n.Line > 0
				})
			}) {
				t.Errorf("no attempt for row %q: %+v", c.rows, f.Attempts)
			}
			for _, want := range c.failed {
				if !slices.ContainsFunc(f.Failed, func(x workbench.WhyCondition) bool {
					return strings.Contains(x.Title.NL, want) && x.Source != "" && x.Line > 0
				}) {
					t.Errorf("%q is not among the failed conditions: %+v", want, f.Failed)
				}
			}
			if c.failed == nil && len(f.Failed) > 0 {
				t.Errorf("failed: %+v", f.Failed)
			}
			for _, want := range c.mend {
				if !slices.ContainsFunc(f.Changes, func(x workbench.WhyChange) bool { return strings.Contains(x.What.EN, want) }) {
					t.Errorf("%q is not among the changes: %+v", want, f.Changes)
				}
			}
			if c.fact != "" && !slices.ContainsFunc(f.Facts, func(x workbench.WhyChange) bool { return x.What.EN == c.fact }) {
				t.Errorf("%q is not among the facts: %+v", c.fact, f.Facts)
			}
			changesHold(t, d, r)
		})
	}
}

// changesHold: every change that is named really has the field given.
func changesHold(t *testing.T, d *decide.Decider, r workbench.WhyReport) {
	t.Helper()
	for _, f := range r.Fields {
		for _, c := range slices.Concat(f.Changes, f.Facts) {
			dec, err := d.Decide(context.Background(), r.Revision, c.Query)
			if err != nil || dec.Grants[f.Field] != c.Grant || len(c.Query.Fields) != 1 {
				t.Errorf("%s: %+v, %v", c.What.EN, dec, err)
			}
		}
	}
}

// TestWhyAgreesWithTheDecision: over the whole catalog an attempt holds where, and only where, the field is given.
func TestWhyAgreesWithTheDecision(t *testing.T) {
	d := shippedDecider(t)
	catalog, err := d.Catalog(policies.Revision(policies.Files()))
	if err != nil {
		t.Fatal(err)
	}
	given, refused := 0, 0
	for _, change := range []func(*broker.Query){
		func(q *broker.Query) {
			q.Role, q.Relation.Coordinator, q.Subject.Release = "casusregisseur", true, []broker.Domain{"ggz", "jeugd"}
		},
		func(q *broker.Query) {
			q.Emergency = broker.QueryEmergency{Active: true, Domains: []broker.Domain{"ggz", "wmo"}}
		},
		func(q *broker.Query) {
			q.Role, q.Purpose, q.Agency.Kind = "schuldhulpverlener", "schuldhulp-toegang", "kredietbank"
		},
	} {
		q := teamAsks("", change)
		q.Fields = nil
		for _, f := range catalog.Fields {
			q.Fields = append(q.Fields, f.Path)
		}
		for _, domain := range catalog.Domains {
			q.Agreements = append(q.Agreements, broker.Domain(domain.ID))
		}
		r, err := workbench.Why(context.Background(), policies.Files(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Fields {
			holds := slices.ContainsFunc(f.Attempts, func(a workbench.Attempt) bool { return a.Holds })
			for _, x := range f.Failed {
				if x.Title == (broker.Text{}) {
					t.Errorf("%s: %s:%d has no name: %s", f.Field, x.File, x.Line, x.Source)
				}
			}
			switch {
			case f.Grant != nil && holds:
				given++
			case f.Grant == nil && !holds && (len(f.Attempts) == 0) == (len(f.Failed) == 0):
				refused++
			default:
				t.Errorf("%s: grant %v, attempts %+v, failed %+v", f.Field, f.Grant, f.Attempts, f.Failed)
			}
		}
		changesHold(t, d, r)
	}
	if given < 20 || refused < 60 {
		t.Errorf("%d given, %d refused", given, refused)
	}
}

func shippedDecider(t *testing.T) *decide.Decider {
	t.Helper()
	files := policies.Files()
	d := decide.New(decide.Config{})
	if err := d.Load(context.Background(), policies.Revision(files), files); err != nil {
		t.Fatal(err)
	}
	return d
}
