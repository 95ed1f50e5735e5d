//go:build !race

package workbench_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// A planted change is found, whole and nothing else, with a query that shows it and the right judgement on whether a
// holder gives more.
func TestDifference(t *testing.T) {
	const wgs = "schakel/law/wgs.rego"
	x := short
	live := fewer(t)
	for name, tt := range map[string]struct {
		file, old, new string
		kind           workbench.ChangeKind
		role           broker.Role
		field          broker.Field
		holder         broker.AgencyKind // whose agreement it takes
	}{
		"a condition dropped": {"schakel/grants.rego", "	field.contact\n	subject.agreed\n	conditions.met(row)", "	field.contact\n	conditions.met(row)",
			workbench.ChangeGained, "wijkteammedewerker", "ggz.behandelaar.contact", "ggz-aanbieder"},
		"a refusal without a reason": {"schakel/grants.rego", "	field.contact\n	conditions.met(row)", "	field.contact\n	subject.agreed\n	conditions.met(row)",
			workbench.ChangeFault, "jeugdbeschermer", "ggz.behandelaar.contact", ""},
		"a condition added": {"schakel/law/jeugd.rego", `"give": "contact", "basis"`, `"give": "contact-on-release", "basis"`,
			workbench.ChangeLost, "jeugdbeschermer", "ggz.behandelaar.contact", ""},
		"another basis": {wgs, `"give": "contact-on-release", "basis": "wgbo-7-457"`, `"give": "contact-on-release", "basis": "wgs-8"`,
			workbench.ChangeBasis, "wijkteammedewerker", "ggz.behandelaar.contact", ""},
		"another obligation": {"schakel/law/noodsituatie.rego", `obligations := {"inform-directly", "record-balance"}`, `obligations := {"inform-directly"}`,
			workbench.ChangeObligations, "", "ggz.behandelaar.contact", ""},
		"an age": {"schakel/settings/data.json", "\"ggz\": [\n      \"16-17\"", "\"ggz\": [\n      \"12-15\",\n      \"16-17\"",
			workbench.ChangeGained, "wijkteammedewerker", "ggz.behandelaar.contact", "ggz-aanbieder"},
		"nothing": {wgs, "package schakel.law.wgs", "package schakel.law.wgs\n\n# nothing", "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			draft := replace(t, live, tt.file, tt.old, tt.new)
			d, err := x.Difference(context.Background(), live, draft)
			if err != nil {
				t.Fatal(err)
			}
			if d.OK() != (tt.kind == "") {
				t.Fatalf("got %+v", d.Changes)
			}
			for _, c := range d.Changes {
				if c.Field != tt.field || (tt.role != "" && c.Role != tt.role) {
					t.Errorf("another cell changes too: %+v", c)
				}
				if c.Kind == workbench.ChangeFault {
					continue
				}
				if c.Live == nil || c.Draft == nil || bytes.Equal(c.Live.Bytes(), c.Draft.Bytes()) {
					t.Errorf("the example shows no change: %s", c.Example.Bytes())
				}
			}
			if !d.OK() && !slices.ContainsFunc(d.Changes, func(c workbench.Change) bool { return c.Kind == tt.kind }) {
				t.Errorf("no %s in %+v", tt.kind, d.Changes)
			}
			asks := len(d.Widens) == 1 && d.Widens[0].Field == tt.field && slices.Contains(d.Widens[0].Holders, tt.holder)
			if asks != (tt.holder != "") || len(d.Widens) > 1 {
				t.Errorf("widens %+v", d.Widens)
			}
			if !d.OK() && !strings.Contains(d.Text(), string(d.Changes[0].Example.Bytes())) {
				t.Errorf("the page lacks the example: %s", d.Text())
			}
		})
	}
}

// A field, role or purpose that only one of the two policies knows counts too; the worst class comes first.
func TestDifferenceOfCatalogs(t *testing.T) {
	x := short
	draft := fewer(t)
	live := maps.Clone(draft)
	keep(t, live, "fields", "ggz.diagnose")
	keep(t, live, "roles", "sociaal-rechercheur", "jeugdbeschermer")
	d, err := x.Difference(context.Background(), live, draft)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Changes) < 3 || len(d.Widens) != 2 || d.Changes[0].Class != broker.ClassSpecial || d.Changes[len(d.Changes)-1].Class != broker.ClassBSN {
		t.Errorf("got %+v, widens %+v", d.Changes, d.Widens)
	}
	back, err := x.Difference(context.Background(), draft, live)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Changes) != len(d.Changes) || len(back.Widens) != 0 || back.Changes[0].Kind != workbench.ChangeLost {
		t.Errorf("got %+v, widens %+v", back.Changes, back.Widens)
	}
}

// An emergency stop takes everything away, and going back gives it again.
func TestDifferenceOfStop(t *testing.T) {
	x := short
	live := fewer(t)
	stop, err := policies.DenyAll(live)
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.Matrix(context.Background(), live)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, to map[string][]byte
		kind     workbench.ChangeKind
		widens   int
	}{{live, stop, workbench.ChangeLost, 0}, {stop, live, workbench.ChangeGained, 2}} {
		d, err := x.Difference(context.Background(), tt.from, tt.to)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Changes) < len(m.Cells) || len(d.Widens) != tt.widens {
			t.Errorf("%d changes, widens %v", len(d.Changes), d.Widens)
		}
		for _, c := range d.Changes {
			if c.Kind != tt.kind {
				t.Errorf("got %+v", c)
			}
		}
	}
}
