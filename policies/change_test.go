package policies_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// The emergency stop refuses whatever the policy before it gave, of every field of the catalog, with its own reason.
func TestDenyAll(t *testing.T) {
	files := policies.Files()
	old := maps.Clone(files) // one of before there were stops
	const reasons = "schakel/catalog/reasons/data.json"
	lines := bytes.SplitAfter(old[reasons], []byte("\n"))
	old[reasons] = bytes.Join(slices.DeleteFunc(lines, func(l []byte) bool { return bytes.Contains(l, []byte("emergency-stop")) }), nil)
	if bytes.Equal(old[reasons], files[reasons]) {
		t.Fatal("the reason was not taken out")
	}
	for name, files := range map[string]map[string][]byte{"shipped": files, "older": old} {
		t.Run(name, func(t *testing.T) {
			before := policies.Revision(files)
			stop, err := policies.DenyAll(files)
			if err != nil {
				t.Fatal(err)
			}
			again, err := policies.DenyAll(files)
			if err != nil || policies.Revision(again) != policies.Revision(stop) || policies.Revision(files) != before {
				t.Fatalf("it is not the same each time, or changed what it was given: %v", err)
			}
			d := decide.New(decide.Config{})
			revision := policies.Revision(stop)
			if err := d.Load(t.Context(), revision, stop); err != nil {
				t.Fatal(err)
			}
			catalog, err := d.Catalog(revision)
			if err != nil {
				t.Fatal(err)
			}
			q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}},
				Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
				Subject: broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus}, Agreements: []broker.Domain{"huur", "contact"}}
			for _, f := range catalog.Fields {
				q.Fields = append(q.Fields, f.Path)
			}
			got, err := d.Decide(t.Context(), revision, q.Canonical())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Grants) != 0 || len(got.Refusals) != len(catalog.Fields) || len(catalog.Fields) < 50 {
				t.Fatalf("%d granted, %d refused of %d", len(got.Grants), len(got.Refusals), len(catalog.Fields))
			}
			for f, why := range got.Refusals {
				if !slices.Equal(why, []broker.Reason{"emergency-stop"}) {
					t.Errorf("%s: %v", f, why)
				}
			}
		})
	}
	if _, err := policies.DenyAll(map[string][]byte{}); err == nil || !strings.Contains(err.Error(), "reasons") {
		t.Errorf("of nothing: %v", err)
	}
}

func TestChanged(t *testing.T) {
	from := map[string][]byte{"a": []byte("1"), "b": []byte("1"), "gone": nil, policies.Signatures: []byte("x")}
	to := map[string][]byte{"a": []byte("1"), "b": []byte("2"), "schakel/guardrails/new.rego": nil}
	got := policies.Changed(from, to)
	if !slices.Equal(got, []string{"b", "gone", "schakel/guardrails/new.rego"}) {
		t.Errorf("changed: %v", got)
	}
	for _, tt := range []struct {
		changed           []string
		rules, guardrails bool
	}{{got, true, true}, {got[2:], false, true}, {got[:1], true, false}, {nil, false, false}, {[]string{"schakel/guardrails.rego"}, true, false}} {
		if r, g := policies.Part(tt.changed); r != tt.rules || g != tt.guardrails {
			t.Errorf("%v: rules %v, guardrails %v", tt.changed, r, g)
		}
	}
}
