package workbench

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Text says a condition in words.
func (c Condition) Text(k *broker.Catalog) broker.Text {
	switch c.Fact {
	case setMandates:
		return c.set(k.Mandates, broker.Text{NL: "mandaat", EN: "mandate"}, broker.Text{NL: "geen mandaat", EN: "no mandate"})
	case setAgreed:
		return c.set(k.Domains, broker.Text{NL: "afspraak met de houder van", EN: "agreement with the holder of"},
			broker.Text{NL: "geen afspraak met de houder van", EN: "no agreement with the holder of"})
	case setConsent:
		return c.set(k.Domains, broker.Text{NL: "toestemming voor", EN: "consent for"}, broker.Text{NL: "geen toestemming voor", EN: "no consent for"})
	case setRelease:
		return c.set(k.Domains, broker.Text{NL: "instemming voor", EN: "release for"}, broker.Text{NL: "geen instemming voor", EN: "no release for"})
	case setSharing:
		return c.set(k.Domains, broker.Text{NL: "houder deelt in de noodsituatie:", EN: "holder shares in the emergency:"},
			broker.Text{NL: "houder deelt niet in de noodsituatie:", EN: "holder does not share in the emergency:"})
	case factKind:
		return c.words(func(id string) broker.Text {
			for _, kind := range k.AgencyKinds {
				if string(kind.ID) == id {
					return kind.Text
				}
			}
			return broker.Text{NL: id, EN: id}
		})
	case "role":
		return c.words(func(id string) broker.Text { return term(k.Roles, id) })
	case "purpose":
		return c.words(func(id string) broker.Text { return term(k.Purposes, id) })
	case "subject.age":
		t := c.words(func(id string) broker.Text {
			if id == string(broker.AgeUnknown) {
				return broker.Text{NL: "onbekend", EN: "unknown"}
			}
			return broker.Text{NL: id, EN: id}
		})
		return broker.Text{NL: "leeftijd " + t.NL, EN: "age " + t.EN}
	}
	return c.words(func(id string) broker.Text {
		if t, ok := factWords[c.Fact+" "+id]; ok {
			return t
		}
		return broker.Text{NL: c.Fact + " " + id, EN: c.Fact + " " + id}
	})
}

// factWords says the facts that are in no list of the catalog.
var factWords = map[string]broker.Text{
	"relation.case assigned":              {NL: "zaak toegewezen", EN: "case assigned"},
	"relation.case team":                  {NL: "zaak van het team", EN: "case of the team"},
	"relation.case agency":                {NL: "zaak van een collega", EN: "case of a colleague"},
	"relation.case none":                  {NL: "geen zaak", EN: "no case"},
	"relation.coordinator true":           {NL: "regisseur van de zaak", EN: "coordinator of the case"},
	"relation.coordinator false":          {NL: "niet de regisseur van de zaak", EN: "not the coordinator of the case"},
	"relation.signal true":                {NL: "open signaal", EN: "open signal"},
	"relation.signal false":               {NL: "geen open signaal", EN: "no open signal"},
	"relation.claim true":                 {NL: "eigen vordering", EN: "claim of its own"},
	"relation.claim false":                {NL: "geen eigen vordering", EN: "no claim of its own"},
	"relation.municipality same":          {NL: "eigen gemeente", EN: "own municipality"},
	"relation.municipality other":         {NL: "andere gemeente", EN: "other municipality"},
	"relation.municipality unknown":       {NL: "gemeente onbekend", EN: "municipality unknown"},
	"subject.kind person":                 {NL: "over één persoon", EN: "about one person"},
	"subject.kind household":              {NL: "over het huishouden als geheel", EN: "about the household as a whole"},
	"subject.disclosure_restricted true":  {NL: "met verstrekkingsbeperking", EN: "with restricted disclosure"},
	"subject.disclosure_restricted false": {NL: "zonder verstrekkingsbeperking", EN: "without restricted disclosure"},
	"emergency.active true":               {NL: "noodsituatie", EN: "emergency"},
	"emergency.active false":              {NL: "geen noodsituatie", EN: "no emergency"},
}

func term(list []broker.Term, id string) broker.Text {
	for _, t := range list {
		if t.ID == id {
			return t.Text
		}
	}
	return broker.Text{NL: id, EN: id}
}

func (c Condition) set(list []broker.Term, has, lacks broker.Text) broker.Text {
	if c.Lacks != "" {
		t := term(list, c.Lacks)
		return broker.Text{NL: lacks.NL + " " + t.NL, EN: lacks.EN + " " + t.EN}
	}
	t := term(list, c.Has)
	return broker.Text{NL: has.NL + " " + t.NL, EN: has.EN + " " + t.EN}
}

func (c Condition) words(say func(string) broker.Text) broker.Text {
	var nl, en []string
	for _, id := range c.OneOf {
		t := say(id)
		nl, en = append(nl, t.NL), append(en, t.EN)
	}
	return broker.Text{NL: strings.Join(nl, " of "), EN: strings.Join(en, " or ")}
}

// Text says when a way holds, in words.
func (w Way) Text(k *broker.Catalog) broker.Text {
	var nl, en []string
	for _, all := range w.When {
		var nls, ens []string
		for _, c := range all {
			t := c.Text(k)
			nls, ens = append(nls, t.NL), append(ens, t.EN)
		}
		if len(all) == 0 {
			nls, ens = []string{"altijd"}, []string{"always"}
		}
		nl, en = append(nl, strings.Join(nls, "; ")), append(en, strings.Join(ens, "; "))
	}
	return broker.Text{NL: strings.Join(nl, " — of: "), EN: strings.Join(en, " — or: ")}
}

// Markdown gives the matrix as a page for people: fields of which the same is given under the same conditions together.
func (m Matrix) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Matrix – Matrix

Beleid – policy: %s

Wat het beleid geeft in elke combinatie van feiten (%s vragen), volledig nagegaan en niet geschat. Wat hier niet staat
wordt nooit gegeven. Van de regels over één veld telt de eerste die geldt; geldt er geen, dan wordt het veld geweigerd.
Dit beleid is een voorbeeld. Een jurist beoordeelt het voordat het wordt gebruikt.
What the policy gives in every combination of facts (%s queries), worked out in full and not estimated. What does not
stand here is never given. Of the lines about one field the first that holds counts; where none does it is refused.
This policy is an example. A lawyer reviews it before use.
`, m.Revision, m.Combinations, m.Combinations)
	for _, f := range m.Faults {
		fmt.Fprintf(&b, "\n**Geen besluit – no decision** %s: %s `%s`\n", f.Field, f.Why, f.Example.Bytes())
	}
	for i := 0; i < len(m.Cells); {
		j := i
		for j < len(m.Cells) && m.Cells[j].Role == m.Cells[i].Role && m.Cells[j].Purpose == m.Cells[i].Purpose {
			j++
		}
		m.section(&b, m.Cells[i:j])
		i = j
	}
	m.never(&b)
	return b.String()
}

// section writes the cells of one role and purpose.
func (m Matrix) section(b *strings.Builder, cells []MatrixCell) {
	role, purpose := term(m.Catalog.Roles, string(cells[0].Role)), term(m.Catalog.Purposes, string(cells[0].Purpose))
	fmt.Fprintf(b, "\n## %s, %s – %s, %s\n\n`%s` `%s`\n\n| velden – fields | vorm – form | grondslag – basis | wanneer – when |\n|---|---|---|---|\n",
		role.NL, purpose.NL, role.EN, purpose.EN, cells[0].Role, cells[0].Purpose)
	type line struct {
		fields []string
		way    Way
	}
	var lines []line
	index := map[string]int{}
	for _, c := range cells {
		for n, w := range c.Ways {
			key := fmt.Sprint(n, w)
			i, ok := index[key]
			if !ok {
				i, index[key] = len(lines), len(lines)
				lines = append(lines, line{way: w})
			}
			lines[i].fields = append(lines[i].fields, string(c.Field))
		}
	}
	for _, l := range lines {
		t := l.way.Text(m.Catalog)
		fmt.Fprintf(b, "| %s | %s | %s | %s<br>*%s* |\n", strings.Join(l.fields, ", "), l.way.Form, l.way.Basis, t.NL, t.EN)
	}
}

// never names the roles, purposes and fields that are in no cell.
func (m Matrix) never(b *strings.Builder) {
	var roles, purposes, fields []string
	for _, r := range m.Catalog.Roles {
		if !slices.ContainsFunc(m.Cells, func(c MatrixCell) bool { return string(c.Role) == r.ID }) {
			roles = append(roles, r.ID)
		}
	}
	for _, p := range m.Catalog.Purposes {
		if !slices.ContainsFunc(m.Cells, func(c MatrixCell) bool { return string(c.Purpose) == p.ID }) {
			purposes = append(purposes, p.ID)
		}
	}
	for _, f := range m.Catalog.Fields {
		if !slices.ContainsFunc(m.Cells, func(c MatrixCell) bool { return c.Field == f.Path }) {
			fields = append(fields, string(f.Path))
		}
	}
	fmt.Fprintf(b, "\n## Nooit – Never\n\nKrijgt niets – gets nothing: %s.\n\nGeen gegevens voor – no data for: %s.\n\nKrijgt niemand – nobody gets: %s.\n",
		list(roles), list(purposes), list(fields))
}

// CSV gives the matrix with a line for each role, purpose, field and way, in Dutch and English.
func (m Matrix) CSV() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"rol", "doel", "veld", "klasse", "volgorde", "vorm", "grondslag", "verplichtingen", "wanneer", "when"})
	for _, c := range m.Cells {
		info, _ := m.Catalog.Field(c.Field)
		for i, way := range c.Ways {
			t := way.Text(m.Catalog)
			_ = w.Write([]string{string(c.Role), string(c.Purpose), string(c.Field), string(info.Class), fmt.Sprint(i + 1), string(way.Form),
				string(way.Basis), list(way.Obligations), t.NL, t.EN})
		}
	}
	w.Flush() // into memory: it can't fail
	return b.String()
}
