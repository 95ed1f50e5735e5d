package agencies

import (
	"slices"
	"strings"
)

// show picks the asked fields of a person, and adds the companions that come along.
func (t *Town) show(p Person, asked []string) map[string]any {
	full := p.full(t.now(), t.people)
	out := map[string]any{}
	categories := map[string]bool{}
	residence := false
	for _, f := range registryFields() {
		if !slices.ContainsFunc(asked, func(path string) bool { return beneath(f.path, path) }) {
			continue
		}
		for _, element := range f.from {
			categories[element[:2]] = true
		}
		residence = residence || strings.HasPrefix(f.path, "verblijfplaats.")
		if v, ok := dig(full, f.path); ok {
			plant(out, f.path, v)
		}
		p.review(out, f)
	}
	if residence { // its type comes along, since it says how to read the rest
		if v, ok := dig(full, "verblijfplaats.type"); ok {
			plant(out, "verblijfplaats.type", v)
		}
	}
	p.accompany(out, categories)
	return out
}

// review adds inOnderzoek where an element that the field rests on is being looked into (83.10) and that has not ended.
func (p Person) review(out map[string]any, f registryField) {
	group, leaf := "", f.path
	if i := strings.LastIndexByte(f.path, '.'); i >= 0 {
		group, leaf = f.path[:i+1], f.path[i+1:]
	}
	for _, element := range f.from {
		category := element[:2]
		mark := p.list.get(category, "83.10")
		if p.list.get(category, "83.30") != "" || !covers(mark, element) {
			continue
		}
		since := "datumIngangOnderzoek"
		switch {
		case group == "adressering." && category == "08":
			since += "Verblijfplaats"
		case group == "" && category == "08":
			since += "Gemeente"
		case group == "" && category == "11":
			since += "Gezag"
		case group == "" || group == "adressering.":
			since += "Persoon"
		}
		plant(out, group+"inOnderzoek."+leaf, true)
		if d := date(p.list.get(category, "83.20")); d != nil {
			plant(out, group+"inOnderzoek."+since, d)
		}
		if strings.HasPrefix(f.path, "verblijfplaats.") {
			plant(out, "verblijfplaats.inOnderzoek.type", true)
		}
		return
	}
}

// covers tells whether a mark such as 080000 (category), 081100 (group), 081110 (element) or 089999 (known not to live
// there) is about an element such as 08.11.10.
func covers(mark, element string) bool {
	flat := strings.ReplaceAll(element, ".", "")
	return len(mark) == 6 && (mark == flat || mark == flat[:4]+"00" || mark == flat[:2]+"0000" || (mark == "089999" && flat[:2] == "08"))
}

// accompany adds what comes with every question, whatever was asked.
func (p Person) accompany(out map[string]any, categories map[string]bool) {
	if p.Restricted {
		out["geheimhoudingPersoonsgegevens"] = true
	}
	if reason := p.list.get("07", "67.20"); reason != "" {
		words := map[string]string{"E": "emigratie", "M": "ministerieel besluit", "O": "overlijden",
			"R": "pl is aangelegd in de rni", ".": "onbekend"}
		out["opschortingBijhouding"] = group("reden", map[string]any{"code": reason, "omschrijving": words[reason]},
			"datum", date(p.list.get("07", "67.10")))
	}
	put(out, "verificatie", group("datum", date(p.list.get("07", "71.10")), "omschrijving", p.list.get("07", "71.20")))
	names := map[string]string{"0101": "Belastingdienst (inzake heffingen en toeslagen)",
		"0201": "Sociale Verzekeringsbank (inzake AOW, Anw en AKW)", "0401": "CAK (inzake zorgverzekeringen)",
		"0501": "Immigratie- en naturalisatiedienst (inzake nationaliteitsgegevens)"}
	var rni []any
	for _, c := range [][2]string{{"01", "Persoon"}, {"06", "Overlijden"}, {"08", "Verblijfplaats"}} {
		if by := p.list.get(c[0], "88.10"); by != "" && categories[c[0]] {
			rni = append(rni, group("deelnemer", group("code", by, "omschrijving", names[by]),
				"omschrijvingVerdrag", p.list.get(c[0], "88.20"), "categorie", c[1]))
		}
	}
	put(out, "rni", rni)
	if p.list.get("08", "83.10") == "089999" && p.list.get("08", "83.30") == "" {
		for _, g := range []string{"verblijfplaats", "adressering"} {
			if obj, ok := out[g].(map[string]any); ok {
				obj["indicatieVastgesteldVerblijftNietOpAdres"] = true
			}
		}
	}
}

// dig reads a dotted path.
func dig(obj map[string]any, path string) (any, bool) {
	step, rest, more := strings.Cut(path, ".")
	v, ok := obj[step]
	if !more || !ok {
		return v, ok
	}
	next, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return dig(next, rest)
}

// plant writes a dotted path, making the objects on the way.
func plant(obj map[string]any, path string, v any) {
	step, rest, more := strings.Cut(path, ".")
	if !more {
		obj[step] = v
		return
	}
	next, ok := obj[step].(map[string]any)
	if !ok {
		next = map[string]any{}
		obj[step] = next
	}
	plant(next, rest, v)
}
