package decide_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

func words(list []broker.Term) []string {
	var out []string
	for _, t := range list {
		out = append(out, t.ID)
	}
	return append(out, "onbekend")
}

func pick[T ~string](list []string) *rapid.Generator[T] {
	return rapid.Map(rapid.SampledFrom(list), func(s string) T { return T(s) })
}

// rows are some of the table, so that grants are not rare.
var rows = []struct {
	role    broker.Role
	purpose broker.Purpose
	kind    broker.AgencyKind
	mandate broker.Mandate
}{
	{},
	{"wijkteammedewerker", "ontruiming-voorkomen", "gemeente", "wgs"},
	{"casusregisseur", "ontruiming-voorkomen", "welzijnsorganisatie", "wgs"},
	{"schuldhulpverlener", "schuldhulp-uitvoering", "gemeente", "wgs"},
	{"jeugdconsulent", "jeugdhulp-toegang", "gemeente", "jeugdwet"},
	{"gegevenshouder", "vroegsignalering", "woningcorporatie", "wmo"},
	{"medewerker-invordering", "invordering-opschorten", "belastingdienst", "wgs"},
}

// queries draws any query over the closed lists, with words beside them; sets unsorted and with duplicates.
func queries(c *broker.Catalog) *rapid.Generator[broker.Query] {
	var kinds, fields []string
	for _, k := range c.AgencyKinds {
		kinds = append(kinds, string(k.ID))
	}
	for _, f := range c.Fields {
		fields = append(fields, string(f.Path))
	}
	domains := rapid.SliceOfN(pick[broker.Domain](words(c.Domains)), 0, 8)
	all := func() []broker.Domain {
		var out []broker.Domain
		for _, d := range c.Domains {
			out = append(out, broker.Domain(d.ID))
		}
		return out
	}()
	mostly := rapid.OneOf(rapid.Just(all), domains)
	return rapid.Custom(func(t *rapid.T) broker.Query {
		q := broker.Query{
			V: 1,
			Agency: broker.QueryAgency{
				Kind:     rapid.OneOf(rapid.Just(broker.AgencyKind("gemeente")), pick[broker.AgencyKind](kinds)).Draw(t, "kind"),
				Mandates: rapid.SliceOfN(pick[broker.Mandate](words(c.Mandates)), 0, 6).Draw(t, "mandates"),
			},
			Role:    pick[broker.Role](words(c.Roles)).Draw(t, "role"),
			Purpose: pick[broker.Purpose](words(c.Purposes)).Draw(t, "purpose"),
			Relation: broker.Relation{
				Case:         rapid.SampledFrom([]broker.CaseRelation{broker.CaseAssigned, broker.CaseTeam, broker.CaseAgency, broker.CaseNone}).Draw(t, "case"),
				Coordinator:  rapid.Bool().Draw(t, "coordinator"),
				Signal:       rapid.Bool().Draw(t, "signal"),
				Claim:        rapid.Bool().Draw(t, "claim"),
				Municipality: rapid.SampledFrom([]broker.Municipality{broker.MunicipalitySame, broker.MunicipalityOther, broker.MunicipalityUnknown}).Draw(t, "municipality"),
			},
			Subject: broker.QuerySubject{
				Kind:                 rapid.SampledFrom([]broker.SubjectKind{broker.SubjectPerson, broker.SubjectHousehold}).Draw(t, "subject"),
				Age:                  rapid.SampledFrom([]broker.AgeBand{broker.Age18Plus, broker.Age16to17, broker.Age12to15, broker.Age0to11, broker.AgeUnknown}).Draw(t, "age"),
				DisclosureRestricted: rapid.Bool().Draw(t, "restricted"),
				Consent:              mostly.Draw(t, "consent"),
				Release:              mostly.Draw(t, "release"),
			},
			Agreements: mostly.Draw(t, "agreements"),
			Emergency:  broker.QueryEmergency{Active: rapid.Bool().Draw(t, "emergency"), Domains: mostly.Draw(t, "agreed")},
			Fields:     rapid.SliceOfN(pick[broker.Field](append(fields, "huur.hond")), 0, 6).Draw(t, "fields"),
		}
		if row := rapid.SampledFrom(rows).Draw(t, "row"); row.role != "" { // else any role with any purpose
			q.Role, q.Purpose, q.Agency.Kind = row.role, row.purpose, row.kind
			q.Agency.Mandates = append(q.Agency.Mandates, row.mandate)
			if rapid.Bool().Draw(t, "fits") { // everything a row asks for, so that grants are common
				q.Relation = broker.Relation{Case: broker.CaseAssigned, Coordinator: true, Signal: true, Claim: true,
					Municipality: broker.MunicipalitySame}
				q.Subject.Age, q.Subject.DisclosureRestricted, q.Agreements = broker.Age18Plus, false, all
			}
		}
		return q
	})
}

// Invariant 4: the same query gives the same bytes, whichever engine decides and whatever it remembers; and a decision
// about fields is the union of the decisions about each.
func TestSameBytes(t *testing.T) {
	remembering, name := shipped(t, 0)
	forgetting, _ := shipped(t, -1)
	small, _ := shipped(t, 40)
	c, err := remembering.Catalog(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	granted := 0
	rapid.Check(t, func(t *rapid.T) {
		q := queries(c).Draw(t, "query")
		want, err := forgetting.Decide(ctx, name, q)
		if err != nil {
			t.Fatal(err)
		}
		granted += len(want.Grants)
		turned := q
		turned.Fields, turned.Agreements = slices.Clone(q.Fields), slices.Clone(q.Agreements)
		slices.Reverse(turned.Fields)
		slices.Reverse(turned.Agreements)
		for range 2 {
			for _, d := range []broker.Decider{remembering, small} {
				got, err := d.Decide(ctx, name, turned)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Fatalf("got  %s\nwant %s", got.Bytes(), want.Bytes())
				}
			}
		}
		union := broker.Decision{Grants: map[broker.Field]broker.Grant{}, Refusals: map[broker.Field][]broker.Reason{}}
		for _, f := range q.Fields {
			one := q
			one.Fields = []broker.Field{f}
			part, err := remembering.Decide(ctx, name, one)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(union.Grants, part.Grants)
			maps.Copy(union.Refusals, part.Refusals)
			union.Obligations = append(union.Obligations, part.Obligations...)
		}
		if !bytes.Equal(union.Bytes(), want.Bytes()) {
			t.Fatalf("union %s\nwhole %s", union.Bytes(), want.Bytes())
		}
		if q.Relation.None() && !q.Emergency.Active && len(want.Grants) > 0 {
			t.Fatalf("granted to nobody: %s", want.Bytes())
		}
	})
	if granted == 0 {
		t.Error("nothing was ever granted: the queries prove little")
	}
}

// A caller may do what it likes with a decision; the next gets the same.
func TestDecisionsAreNotShared(t *testing.T) {
	d, name := shipped(t, 0)
	ctx, q := context.Background(), example()
	first, err := d.Decide(ctx, name, q)
	if err != nil {
		t.Fatal(err)
	}
	want := first.Bytes()
	first.Refusals["ggz.behandelaar.contact"][0] = "changed"
	first.Obligations[0] = "changed"
	clear(first.Grants)
	again, err := d.Decide(ctx, name, q)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), want) {
		t.Errorf("got  %s\nwant %s", again.Bytes(), want)
	}
}

func TestConcurrentUse(t *testing.T) {
	d, name := shipped(t, 64)
	files := policies.Files()
	files["schakel/extra/data.json"] = []byte("{}\n")
	other := policies.Revision(files)
	want, err := d.Decide(context.Background(), name, example())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i == 0 {
				if err := d.Load(context.Background(), other, files); err != nil {
					t.Error(err)
				}
			}
			for range 20 {
				got, err := d.Decide(context.Background(), name, example())
				if err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("got %s, %v", got.Bytes(), err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := d.Decide(context.Background(), other, example()); err != nil {
		t.Error(err)
	}
}
