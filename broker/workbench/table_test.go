//go:build !race

package workbench_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

var update = flag.Bool("update", false, "write generated files anew")

const page = "../../policies/TABLE.md"

// reference is the table that the policy was made after: role, purpose, mandate, domains with their letters.
const reference = `
medewerker-vroegsignalering | vroegsignalering | wgs | persoon e, contact e, schulden v, huur e, energie e, water e, zorgverzekering e
wijkteammedewerker | ontruiming-voorkomen | wgs | persoon e, huishouden v, contact e, schulden v, huur e, ggz Tc
wijkteammedewerker | afsluiting-voorkomen | wgs | persoon e, huishouden v, contact e, schulden v, energie e, water e
casusregisseur | ontruiming-voorkomen | wgs | persoon e, huishouden v, contact e, schulden v, huur e, jeugd Tc, wmo Tc, ggz Tc
schuldhulpverlener | schuldhulp-toegang | wgs | persoon e, huishouden e, contact e, inkomen e, uitkering e, schulden e, huur e, energie e, water e, zorgverzekering e
schuldhulpverlener | schuldhulp-uitvoering | wgs | persoon e, huishouden e, contact e, inkomen e, uitkering e, schulden e, huur e, energie e, water e, zorgverzekering e, wmo Tc
inkomensconsulent | bijstand-beoordelen | participatiewet | persoon e, huishouden e, contact e, inkomen e, uitkering e, schulden v
medewerker-minimaregelingen | kindregeling | participatiewet | huishouden v, inkomen v
wmo-consulent | wmo-onderzoek | wmo | persoon e, huishouden e, contact e, wmo e, ggz Tc
jeugdconsulent | jeugdhulp-toegang | jeugdwet | persoon e, contact e, jeugd e, ggz Tc, onderwijs Tc
jeugdbeschermer | ondertoezichtstelling | – | persoon e, huishouden e, contact e, jeugd e, ggz c, onderwijs e
leerplichtambtenaar | schoolverzuim-aanpak | leerplicht | persoon e, contact e, jeugd Tc, onderwijs e
ggz-behandelaar | behandeling-afstemmen | – | contact T
medewerker-sociale-incasso | ontruiming-voorkomen | – | schulden v T
medewerker-invordering | invordering-opschorten | – | schulden v T
`

// The policy comes to the reference table, no cell more and no cell less; the page shows it.
func TestTable(t *testing.T) {
	got, err := shipped.Tabulate(context.Background(), policies.Files())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got.Rows {
		if r.Role == broker.RoleHolder {
			continue
		}
		var cells []string
		for _, c := range r.Cells {
			cells = append(cells, string(c.Domain)+" "+c.Letter)
		}
		mandate := "–"
		if len(r.Mandates) > 0 {
			mandate = string(r.Mandates[0])
		}
		if len(r.Mandates) > 1 {
			t.Errorf("%s, %s: more than one mandate is enough: %v", r.Role, r.Purpose, r.Mandates)
		}
		lines = append(lines, strings.Join([]string{string(r.Role), string(r.Purpose), mandate, strings.Join(cells, ", ")}, " | "))
	}
	want := strings.Split(strings.TrimSpace(reference), "\n")
	for i := range max(len(want), len(lines)) {
		if i >= len(want) || i >= len(lines) || want[i] != lines[i] {
			t.Errorf("row %d\ngot  %v\nwant %v", i, at(lines, i), at(want, i))
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(got.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != got.Markdown() {
		t.Error("policies/TABLE.md is not what the policy says; run: go test ./broker/workbench -run TestTable -update")
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}
