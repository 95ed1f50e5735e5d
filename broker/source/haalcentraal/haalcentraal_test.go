package haalcentraal_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/haalcentraal"
	"github.com/schakel/schakel/broker/source/sourcetest"
)

const good = `{"type":"RaadpleegMetBurgerservicenummer","personen":[{
	"geheimhoudingPersoonsgegevens":true,
	"naam":{"voornamen":"Zoë","geslachtsnaam":"Proefstra","inOnderzoek":{"voornamen":true,"datumIngangOnderzoek":{"type":"Datum","datum":"2024-01-02","langFormaat":"2 januari 2024"}}},
	"geboorte":{"datum":{"type":"JaarMaandDatum","jaar":1985,"maand":3,"langFormaat":"maart 1985"}},
	"leeftijd":40,
	"verblijfplaats":{"type":"Adres","indicatieVastgesteldVerblijftNietOpAdres":true,"verblijfadres":{"huisnummer":7}},
	"gemeenteVanInschrijving":{"code":"0599","omschrijving":"Rotterdam"},
	"opschortingBijhouding":{"reden":{"code":"E","omschrijving":"emigratie"},"datum":{"type":"JaarDatum","jaar":2024,"langFormaat":"2024"}},
	"verificatie":{"datum":{"type":"DatumOnbekend","onbekend":true,"langFormaat":"onbekend"},"omschrijving":"eigen verzoek"},
	"rni":[{"deelnemer":{"code":"0201","omschrijving":"SVB"},"categorie":"Persoon"}]
}]}`

func make(e source.Endpoint) (broker.Source, error) {
	e.URL += "/haalcentraal/api/brp"
	s, err := haalcentraal.New(haalcentraal.Config{Endpoint: e})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func asked(q map[string]any) []string {
	var out []string
	list, _ := q["fields"].([]any)
	for _, f := range list {
		out = append(out, f.(string))
	}
	if q["type"] != "RaadpleegMetBurgerservicenummer" || len(q) != 3 {
		return nil
	}
	return out
}

func swap(old, new string) string {
	out := strings.Replace(good, old, new, 1)
	if out == good {
		panic("nothing swapped: " + old)
	}
	return out
}

func TestSource(t *testing.T) {
	ask := broker.Ask{BSN: "999990019", Fields: []broker.Field{"persoon.naam.voornamen", "persoon.naam.geslachtsnaam",
		"persoon.geboorte.datum", "persoon.leeftijd", "persoon.verblijfplaats.verblijfadres.huisnummer", "persoon.gemeenteVanInschrijving",
		"persoon.naam.voorvoegsel"}}
	with := func(fields ...broker.Field) broker.Ask { return broker.Ask{BSN: ask.BSN, Fields: fields} }
	id := &broker.Identity{FamilyName: "Proefstra", AddressLine: "Lindelaan 7"}
	date := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	sourcetest.Run(t, sourcetest.Protocol{
		New: make, Path: "/haalcentraal/api/brp/personen", Ask: ask, Asked: asked,
		Wrong: []broker.Ask{
			{Identity: id, Fields: ask.Fields}, {BSN: ask.BSN, Identity: id, Fields: ask.Fields}, {Fields: ask.Fields}, with(),
			with("persoon.geheimhoudingPersoonsgegevens"), with("persoon.naam.inOnderzoek"), with("persoon.kinderen"), with("persoon.partners.naam"),
			with("persoon.naam"), with("huur.achterstand.bedrag"), with("naam.voornamen"), with("persoon.aNummer"),
		},
		Names: []string{"naam.voornamen", "naam.geslachtsnaam", "geboorte.datum", "leeftijd", "verblijfplaats.verblijfadres.huisnummer",
			"gemeenteVanInschrijving", "naam.voorvoegsel"},
		Good: good,
		Want: broker.Record{
			Values: map[broker.Field]any{
				"persoon.naam.voornamen": "Zoë", "persoon.naam.geslachtsnaam": "Proefstra", "persoon.leeftijd": json.Number("40"),
				"persoon.geboorte.datum":                          date("type", "JaarMaandDatum", "jaar", json.Number("1985"), "maand", json.Number("3"), "langFormaat", "maart 1985"),
				"persoon.verblijfplaats.verblijfadres.huisnummer": json.Number("7"),
				"persoon.gemeenteVanInschrijving":                 map[string]any{"code": "0599", "omschrijving": "Rotterdam"},
			},
			Companions: map[broker.Field]any{
				"persoon.geheimhoudingPersoonsgegevens":                           true,
				"persoon.verblijfplaats.indicatieVastgesteldVerblijftNietOpAdres": true,
				"persoon.naam.inOnderzoek": map[string]any{"voornamen": true,
					"datumIngangOnderzoek": date("type", "Datum", "datum", "2024-01-02", "langFormaat", "2 januari 2024")},
				"persoon.opschortingBijhouding": map[string]any{"reden": map[string]any{"code": "E", "omschrijving": "emigratie"},
					"datum": date("type", "JaarDatum", "jaar", json.Number("2024"), "langFormaat", "2024")},
				"persoon.verificatie": map[string]any{"omschrijving": "eigen verzoek",
					"datum": date("type", "DatumOnbekend", "onbekend", true, "langFormaat", "onbekend")},
				"persoon.rni": []any{map[string]any{"categorie": "Persoon", "deelnemer": map[string]any{"code": "0201", "omschrijving": "SVB"}}},
			},
			Restricted: true, Birth: broker.Date{Year: 1985, Month: 3},
		},
		Extra: strings.NewReplacer(
			`"leeftijd":40`, `"leeftijd":40,"aNummer":"1234567890","kinderen":[{"burgerservicenummer":"999990093"}],"partners":[{}],"burgerservicenummer":"999990019"`,
			`"voornamen":"Zoë"`, `"voornamen":"Zoë","voorletters":"Z.","volledigeNaam":"Zoë Proefstra"`,
			`"inOnderzoek":{"voornamen":true`, `"inOnderzoek":{"voornamen":true,"voorletters":true`,
			`"code":"0599"`, `"code":"0599","toelichting":"Lindelaan"`,
			`"jaar":1985`, `"jaar":1985,"datum":"1985-03-04","uur":7`,
			`"code":"E"`, `"code":"E","naam":"Proefstra"`,
			`"categorie":"Persoon"`, `"categorie":"Persoon","naam":"Proefstra"`,
			`"huisnummer":7`, `"huisnummer":7,"postcode":"3011AB","inOnderzoek":{"postcode":true}`,
		).Replace(good),
		Nothing: `{"type":"RaadpleegMetBurgerservicenummer","personen":[{"naam":{},"leeftijd":null}]}`,
		Other: []string{
			swap(`"leeftijd":40`, `"burgerservicenummer":"999990093"`), swap(`"leeftijd":40`, `"burgerservicenummer":999990019`),
			swap(`"leeftijd":40`, `"burgerservicenummer":null`),
			swap(`"personen":[{`, `"personen":[{},{`),
		},
		Mistyped: []string{
			swap(`"Zoë"`, `["Zoë"]`), swap(`"Zoë"`, `"Z\noë"`), swap(`"leeftijd":40`, `"leeftijd":"40"`), swap(`"maand":3`, `"maand":13`),
			swap(`"maand":3`, `"maand":"3"`), swap(`JaarMaandDatum`, `Kwartaal`), swap(`"2024-01-02"`, `"2024-02-30"`), swap(`"2024-01-02"`, `"2024-01"`),
			swap(`"onbekend":true`, `"onbekend":false`), swap(`{"code":"0599","omschrijving":"Rotterdam"}`, `"0599"`), swap(`"0599"`, `599`),
			swap(`"geheimhoudingPersoonsgegevens":true`, `"geheimhoudingPersoonsgegevens":"ja"`),
			swap(`"indicatieVastgesteldVerblijftNietOpAdres":true`, `"indicatieVastgesteldVerblijftNietOpAdres":1`),
			swap(`"inOnderzoek":{"voornamen":true`, `"inOnderzoek":{"voornamen":"Zoë"`), swap(`"rni":[`, `"rni":["x",`),
			swap(`RaadpleegMetBurgerservicenummer`, `ZoekMetPostcodeEnHuisnummer`), `{"type":"RaadpleegMetBurgerservicenummer"}`,
			`{"type":"RaadpleegMetBurgerservicenummer","personen":{}}`, `{"type":"RaadpleegMetBurgerservicenummer","personen":["x"]}`,
			swap(`"naam":{`, `"naam":"Zoë","n":{`),
		},
		Personal: []string{"Zoë", "Proefstra", "999990019", "999990093", "1985", "Lindelaan"},
	})
}
