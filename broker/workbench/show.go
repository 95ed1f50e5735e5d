package workbench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// letter gives a cell's letter in the notation of the reference table.
func letter(c Cell) string {
	has := func(ok func(Given) bool) bool { return slices.ContainsFunc(c.Fields, ok) }
	out := "v"
	switch {
	case !has(func(g Given) bool { return !strings.HasSuffix(string(g.Field), ".contact") }):
		out = "c"
	case has(func(g Given) bool { return g.Form == broker.FormExact }):
		out = "e"
	}
	if !has(func(g Given) bool { return g.Needs != "" }) {
		return out
	}
	return map[string]string{"c": "Tc", "e": "T", "v": "v T"}[out]
}

// Shown is what `schakel policy show` prints: what a policy is made of, in words.
type Shown struct {
	Table Table       `json:"table"`
	Rules []ShownRule `json:"rules"`
}

// ShownRule is one rule with what its METADATA says.
type ShownRule struct {
	Place
	Package     string `json:"package"`
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Basis       string `json:"basis"`
}

// Show gives a policy back: the table it comes to and the rules it is made of.
func Show(ctx context.Context, files map[string][]byte) (Shown, error) {
	table, err := NewExplorer().Tabulate(ctx, files)
	if err != nil {
		return Shown{}, fmt.Errorf("show policy: %w", err)
	}
	source, err := decide.Read(files)
	if err != nil {
		return Shown{}, fmt.Errorf("show policy: %w", err)
	}
	out := Shown{Table: table, Rules: []ShownRule{}}
	for _, file := range slices.Sorted(maps.Keys(source.Modules)) {
		m := source.Modules[file]
		for _, r := range m.Rules {
			shown := ShownRule{Place: placeIn(files, file, r.Location.Row), Package: m.Package.Path.String(), Name: r.Head.Ref().String()}
			for _, a := range r.Annotations {
				if a.Scope == "rule" || a.Scope == "document" {
					shown.Title, shown.Description = a.Title, strings.TrimSpace(a.Description)
					shown.Basis, _ = a.Custom["basis"].(string)
				}
			}
			out.Rules = append(out.Rules, shown)
		}
	}
	return out, nil
}

// Text gives the page for a terminal: the table, then every rule.
func (s Shown) Text() string {
	var b strings.Builder
	b.WriteString(s.Table.Markdown())
	b.WriteString("\n## Regels – Rules\n")
	for _, r := range s.Rules {
		fmt.Fprintf(&b, "\n%s:%d %s\n  %s\n", r.File, r.Line, r.Title, strings.ReplaceAll(r.Description, "\n", "\n  "))
		if r.Basis != "" {
			fmt.Fprintf(&b, "  Grondslag – Basis: %s\n", r.Basis)
		}
	}
	return b.String()
}

// Markdown gives the table as a page that can be held against the reference it was made after.
func (t Table) Markdown() string {
	var b strings.Builder
	b.WriteString(`# Wie krijgt wat – Who gets what

Dit beleid is een voorbeeld. Een jurist beoordeelt het voordat het wordt gebruikt.
This policy is an example. A lawyer reviews it before use.

Deze bladzijde is gemaakt door het beleid elke vraag te stellen: elke rol, elk doel, elk veld. Wijzig haar niet met de hand.
This page was made by asking the policy everything: every role, every purpose, every field. Do not change it by hand.

Wat hier staat geldt als aan elke voorwaarde is voldaan; wat er niet staat wordt geweigerd. Altijd nodig: een afspraak met
de houder voor dat domein, en de band met het huishouden die in de rij staat.
What stands here holds when every condition is met; what does not is refused. Always needed: an agreement with the holder
for that domain, and the tie with the household that the row names.

**e** volledig – in full · **v** ja/nee of een klasse – yes-no or a band · **c** alleen contact – contact only ·
**T** alleen met toestemming of instemming – only with consent or release · getallen: velden van het domein – numbers: fields of the domain

## Tabel – Table

| rol – role | doel – purpose | mandaat – mandate | organisatie – agency | band – tie | domeinen – domains | grondslag – basis |
|---|---|---|---|---|---|---|
`)
	for _, r := range t.Rows {
		var cells []string
		var bases []broker.Basis
		for _, c := range r.Cells {
			cells = append(cells, fmt.Sprintf("%s **%s** %d/%d", c.Domain, c.Letter, len(c.Fields), c.Of))
			for _, basis := range c.Bases {
				if !slices.Contains(bases, basis) {
					bases = append(bases, basis)
				}
			}
		}
		slices.Sort(bases)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", r.Role, r.Purpose, list(r.Mandates), list(r.Kinds), list(r.Relation),
			strings.Join(cells, "; "), list(bases))
	}
	t.empty(&b)
	t.fields(&b)
	b.WriteString("\n## Grondslagen – Bases\n\n| | Nederlands | English |\n|---|---|---|\n")
	for _, basis := range t.Catalog.Bases {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", basis.ID, basis.Text.NL, basis.Text.EN)
	}
	return b.String()
}

// empty names the roles and purposes that are in no row, and the fields nobody gets.
func (t Table) empty(b *strings.Builder) {
	var roles, purposes, fields []string
	for _, r := range t.Catalog.Roles {
		if !slices.ContainsFunc(t.Rows, func(row Row) bool { return string(row.Role) == r.ID }) {
			roles = append(roles, r.ID)
		}
	}
	for _, p := range t.Catalog.Purposes {
		if !slices.ContainsFunc(t.Rows, func(row Row) bool { return string(row.Purpose) == p.ID }) {
			purposes = append(purposes, p.ID)
		}
	}
	for _, f := range t.Catalog.Fields {
		if !slices.ContainsFunc(t.Rows, func(row Row) bool { _, ok := row.given(f.Path); return ok }) {
			fields = append(fields, string(f.Path))
		}
	}
	fmt.Fprintf(b, `
Krijgt niets – Gets nothing: %s.
Geen gegevens voor – No data for: %s.
Krijgt niemand – Nobody gets: %s.
`, list(roles), list(purposes), list(fields))
}

// fields lists each row by field.
func (t Table) fields(b *strings.Builder) {
	b.WriteString("\n## Per veld – By field\n")
	for _, r := range t.Rows {
		fmt.Fprintf(b, "\n### %s, %s\n\n", r.Role, r.Purpose)
		for _, c := range r.Cells {
			var names []string
			for _, g := range c.Fields {
				name := strings.TrimPrefix(string(g.Field), string(c.Domain)+".") + " (" + string(g.Form)
				if g.Needs != "" {
					name += ", " + g.Needs
				}
				names = append(names, name+")")
			}
			fmt.Fprintf(b, "- **%s**, %s: %s\n", c.Domain, list(c.Bases), strings.Join(names, ", "))
		}
		if len(r.Emergency) > 0 {
			var names []broker.Field
			for _, g := range r.Emergency {
				names = append(names, g.Field)
			}
			fmt.Fprintf(b, "- In een noodsituatie ook zonder instemming – In an emergency also without release: %s\n", list(names))
		}
	}
}

func (r Row) given(f broker.Field) (Given, bool) {
	for _, c := range r.Cells {
		for _, g := range c.Fields {
			if g.Field == f {
				return g, true
			}
		}
	}
	return Given{}, false
}

func list[T ~string](words []T) string {
	if len(words) == 0 {
		return "–"
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
