//go:build !race

package workbench_test

import (
	"context"
	"testing"
)

// Each guardrail is broken by a draft that a policy author could write, and shows a query that gets what it forbids.
func TestGuardrails(t *testing.T) {
	x := short
	const noRow = "package schakel.law.ggz\n"
	row := func(give, basis, conditions string) string {
		return noRow + "\nrows contains {\"give\": \"" + give + "\", \"basis\": \"" + basis + "\", \"mandate\": \"none\"} if {\n\t" + conditions + "\n}\n"
	}
	type edit struct{ file, old, new string }
	for name, edits := range map[string][]edit{
		"": nil,
		"special-category-exception": {{"schakel/law/ggz.rego", noRow, row("exact-with-special", "wgs-8",
			"input.role == \"wijkteammedewerker\"\n\tinput.field.path == \"ggz.behandelaar.contact\"\n\tinput.purpose == \"ondertoezichtstelling\"")}},
		"bsn-ground": {{"schakel/field.rego", `bsn_ground if input.field.class != "bsn"`, `bsn_ground if input.field.class != ""`},
			{"schakel/asker.rego", "right_kind if input.agency.kind in data.schakel.settings.roles[input.role].kinds", `right_kind if input.agency.kind != ""`}},
		"no-relation":     {{"schakel/asker.rego", `	input.relation.case in {"assigned", "team"}`, `	input.relation.case in {"assigned", "team", "none"}`}},
		"form-in-catalog": {{"schakel/field.rego", "full := \"exact\" if {\n\t\"exact\" in input.field.forms", "full := \"yes-no\" if {\n\t\"exact\" in input.field.forms"}},
		"care-not-for-enforcement": {{"schakel/settings/data.json", `"handhaving"`, `"gecoordineerde-aanpak"`},
			{"schakel/law/jeugd.rego", "	input.purpose == \"ondertoezichtstelling\"\n	input.field.domain == \"ggz\"", "	input.purpose == \"handhaving\"\n	input.field.domain == \"ggz\""}},
		"no-criminal-in-emergency": {{"schakel/law/noodsituatie.rego", "	listed\n	field.contact\n", ""},
			{"schakel/settings/data.json", `"justitie.detentie.einddatum"`, `"ggz.diagnose"`}},
	} {
		t.Run(name, func(t *testing.T) {
			files := fewer(t)
			for _, e := range edits {
				files = replace(t, files, e.file, e.old, e.new)
			}
			r, err := x.Guardrails(context.Background(), files)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Guardrails) != 6 || r.Guardrails[0].Text.NL == "" || r.Guardrails[0].Text.EN == "" || r.Guardrails[0].Line == 0 {
				t.Fatalf("got %+v", r.Guardrails)
			}
			if r.OK() != (name == "") {
				t.Fatalf("got %s", r.Text())
			}
			found := name == ""
			for _, b := range r.Broken {
				if b.Text.NL == "" || len(b.Example.Fields) != 1 || b.Example.Fields[0] != b.Field {
					t.Errorf("got %+v", b)
				}
				found = found || b.Guardrail == name
			}
			if !found {
				t.Errorf("%s is not among %s", name, r.Text())
			}
		})
	}
}
