package agencies

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
)

// The civil registry stand-in: Haal Centraal BRP personen v2, the operations RaadpleegMetBurgerservicenummer and
// ZoekMetPostcodeEnHuisnummer. Relatives (kinderen, ouders, partners) and nationalities are not served.

const registryPath = "/haalcentraal/api/brp/personen"

// registryField is a field that may be asked, and the elements of the person list that it rests on: when one of those is
// under review (83.10), so is the field.
type registryField struct {
	path string
	from []string
}

func registryFields() []registryField {
	name := []string{"01.02.10", "01.02.20", "01.02.30", "01.02.40"}
	line1 := []string{"08.11.10", "08.11.20", "08.11.30", "08.11.40", "08.11.50", "08.12.10", "08.13.30"}
	line2 := []string{"08.09.10", "08.11.60", "08.11.70", "08.13.40"}
	home := "verblijfplaats.verblijfadres."
	return []registryField{
		{"aNummer", []string{"01.01.10"}}, {"burgerservicenummer", []string{"01.01.20"}}, {"geslacht", []string{"01.04.10"}},
		{"leeftijd", []string{"01.03.10"}},
		{"naam.voornamen", name[:1]}, {"naam.voorvoegsel", name[2:3]}, {"naam.geslachtsnaam", name[3:]}, {"naam.voorletters", name[:1]},
		{"naam.volledigeNaam", append(slices.Clone(name), "01.04.10")}, {"naam.aanduidingNaamgebruik", []string{"01.61.10"}},
		{"geboorte.datum", []string{"01.03.10"}}, {"geboorte.plaats", []string{"01.03.20"}}, {"geboorte.land", []string{"01.03.30"}},
		{"overlijden.datum", []string{"06.08.10"}}, {"overlijden.plaats", []string{"06.08.20"}}, {"overlijden.land", []string{"06.08.30"}},
		{"verblijfplaats.type", nil}, {"verblijfplaats.datumVan", []string{"08.10.30", "08.13.20"}},
		{"verblijfplaats.functieAdres", []string{"08.10.10"}},
		{"verblijfplaats.adresseerbaarObjectIdentificatie", []string{"08.11.80"}},
		{"verblijfplaats.nummeraanduidingIdentificatie", []string{"08.11.90"}},
		{home + "korteStraatnaam", line1[:1]}, {home + "officieleStraatnaam", []string{"08.11.15"}}, {home + "huisnummer", line1[1:2]},
		{home + "huisletter", line1[2:3]}, {home + "huisnummertoevoeging", line1[3:4]}, {home + "aanduidingBijHuisnummer", line1[4:5]},
		{home + "postcode", line2[1:2]}, {home + "woonplaats", line2[2:3]}, {home + "locatiebeschrijving", line1[5:6]},
		{home + "land", []string{"08.13.10"}}, {home + "regel1", line1[6:]}, {home + "regel2", line2[3:]}, {home + "regel3", []string{"08.13.50"}},
		{"adressering.adresregel1", line1}, {"adressering.adresregel2", line2}, {"adressering.adresregel3", []string{"08.13.50"}},
		{"adressering.land", []string{"08.13.10"}},
		{"gemeenteVanInschrijving", []string{"08.09.10"}}, {"datumInschrijvingInGemeente", []string{"08.09.20"}},
		{"indicatieCurateleRegister", []string{"11.33.10"}}, {"gezag", []string{"11.32.10"}},
	}
}

// beneath tells whether asking path gives field: the field itself, its group, or something inside its value (a date is
// given whole).
func beneath(field, path string) bool {
	return field == path || strings.HasPrefix(field, path+".") || strings.HasPrefix(path, field+".")
}

// registry answers one question. What was asked goes into the entry for the log.
func (t *Town) registry(body []byte, e *Entry) reply {
	obj, err := broker.ParseObject(body)
	if err != nil {
		return registryProblem(400, "paramsValidation", "Een of meerdere parameters zijn niet correct.", "Geen geldige JSON.", nil)
	}
	kind, _ := obj["type"].(string)
	e.Fields = texts(obj["fields"])
	e.Asked = e.Fields
	if list := texts(obj["burgerservicenummer"]); len(list) > 0 {
		e.Key, e.Subject = broker.KeyBSN, broker.BSN(list[0])
	}
	wrong := badParams(kind, obj)
	if len(wrong) > 0 {
		names := make([]string, len(wrong))
		for i, w := range wrong {
			names[i] = w.Name
		}
		return registryProblem(400, "paramsValidation", "Een of meerdere parameters zijn niet correct.",
			"De foutieve parameter(s) zijn: "+strings.Join(names, ", ")+".", wrong)
	}
	// The client of the demonstration is not authorised for the A-number, which no grant could ever cover.
	if slices.Contains(e.Fields, "aNummer") {
		return registryProblem(403, "unauthorizedField", "U bent niet geautoriseerd voor één of meerdere opgegeven field waarden.",
			"U bent niet geautoriseerd om de volgende velden te vragen: (aNummer).", nil)
	}
	persons := t.registryPersons(kind, obj)
	if kind == "ZoekMetPostcodeEnHuisnummer" && len(persons) > 30 {
		return registryProblem(400, "tooManyResults", "Teveel zoekresultaten.", "Meer dan maximum van 30 gevonden personen.", nil)
	}
	list := []any{}
	for _, p := range persons {
		list = append(list, t.show(p, e.Fields))
	}
	return reply{200, "application/json; charset=utf-8", map[string]any{"type": kind, "personen": list}}
}

func (t *Town) registryPersons(kind string, obj map[string]any) []Person {
	var out []Person
	if kind == "RaadpleegMetBurgerservicenummer" {
		for _, bsn := range texts(obj["burgerservicenummer"]) {
			if p, ok := t.people.Person(broker.BSN(bsn)); ok {
				out = append(out, p)
			}
		}
		return out
	}
	number, _ := obj["huisnummer"].(json.Number)
	for _, p := range t.people.persons {
		if p.list.get("08", "11.60") == strings.ReplaceAll(obj["postcode"].(string), " ", "") && p.list.get("08", "11.20") == string(number) {
			out = append(out, p)
		}
	}
	return out
}

type invalidParam struct {
	Name   string `json:"name"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// badParams checks a question as Haal Centraal does, with its codes and its words.
func badParams(kind string, obj map[string]any) []invalidParam {
	var wrong []invalidParam
	add := func(name, code, reason string) { wrong = append(wrong, invalidParam{name, code, reason}) }
	array := func(name string, high int) []any {
		v, there := obj[name]
		list, isArray := v.([]any)
		switch {
		case !there || v == nil:
			add(name, "required", "Parameter is verplicht.")
		case !isArray:
			add(name, "array", "Parameter is geen array.")
		case len(list) == 0:
			add(name, "minItems", "Array bevat minder dan 1 items.")
		case len(list) > high:
			add(name, "maxItems", "Array bevat meer dan "+strconv.Itoa(high)+" items.")
		default:
			return list
		}
		return nil
	}
	pattern := func(name string, v any, expr string, matches func(string) bool) bool {
		s, isText := v.(string)
		ok := isText && matches(s)
		if !ok {
			add(name, "pattern", "Waarde voldoet niet aan patroon "+expr+".")
		}
		return ok
	}
	digits := func(n int) func(string) bool {
		return func(s string) bool { return len(s) == n && strings.Trim(s, "0123456789") == "" }
	}
	known := []string{"type", "fields", "gemeenteVanInschrijving"}
	switch kind {
	case "RaadpleegMetBurgerservicenummer":
		known = append(known, "burgerservicenummer")
		for i, v := range array("burgerservicenummer", 20) {
			pattern("burgerservicenummer["+strconv.Itoa(i)+"]", v, `^[0-9]{9}$`, digits(9))
		}
	case "ZoekMetPostcodeEnHuisnummer":
		known = append(known, "postcode", "huisnummer")
		if obj["postcode"] == nil {
			add("postcode", "required", "Parameter is verplicht.")
		} else {
			pattern("postcode", obj["postcode"], `^[1-9]{1}[0-9]{3}[ ]?[A-Za-z]{2}$`, isPostcode)
		}
		if _, ok := obj["huisnummer"].(json.Number); !ok {
			add("huisnummer", "required", "Parameter is verplicht.")
		}
	case "":
		add("type", "required", "Parameter is verplicht.")
		return wrong
	default:
		add("type", "value", "Waarde is geen geldig zoek type.")
		return wrong
	}
	if v, there := obj["gemeenteVanInschrijving"]; there {
		pattern("gemeenteVanInschrijving", v, `^[0-9]{4}$`, digits(4))
	}
	all := registryFields()
	for i, v := range array("fields", 130) {
		name := "fields[" + strconv.Itoa(i) + "]"
		if !pattern(name, v, `^[a-zA-Z0-9\._]{1,200}$`, isPath) {
			continue
		}
		switch path := v.(string); {
		case bringsItself(path):
			add(name, "fields", "Parameter bevat een niet toegestane veldnaam.")
		case !slices.ContainsFunc(all, func(f registryField) bool { return beneath(f.path, path) }):
			add(name, "fields", "Parameter bevat een niet bestaande veldnaam.")
		}
	}
	for _, k := range sorted(obj) {
		if !slices.Contains(known, k) {
			add(k, "unknownParam", "Parameter is niet verwacht.")
		}
	}
	return wrong
}

func isPostcode(s string) bool {
	s = strings.Replace(s, " ", "", 1)
	return len(s) == 6 && s[0] != '0' && strings.Trim(s[:4], "0123456789") == "" && isPath(s[4:]) && !strings.ContainsAny(s[4:], "0123456789._")
}

func isPath(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_'
	})
}

// bringsItself tells whether a path names a companion, which may not be asked.
func bringsItself(path string) bool {
	for step := range strings.SplitSeq(path, ".") {
		switch step {
		case "geheimhoudingPersoonsgegevens", "inOnderzoek", "opschortingBijhouding", "rni", "verificatie",
			"indicatieVastgesteldVerblijftNietOpAdres":
			return true
		}
	}
	return false
}

func registryProblem(status int, code, title, detail string, wrong []invalidParam) reply {
	body := map[string]any{"title": title, "status": status, "detail": detail, "code": code, "instance": registryPath,
		"type": "https://datatracker.ietf.org/doc/html/rfc7231#section-6.5.1"}
	if status == http.StatusForbidden {
		body["type"] = "https://datatracker.ietf.org/doc/html/rfc7231#section-6.5.3"
	}
	if len(wrong) > 0 {
		body["invalidParams"] = wrong
	}
	return reply{status, "application/problem+json; charset=utf-8", body}
}
