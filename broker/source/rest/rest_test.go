package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/rest"
	"github.com/schakel/schakel/broker/source/sourcetest"
)

func mapping() map[broker.Field]rest.Field {
	return map[broker.Field]rest.Field{
		"huur.achterstand.bedrag":  {Name: "achterstand.saldo", Type: source.TypeNumber},
		"huur.achterstand.maanden": {Name: "achterstand.maanden", Type: source.TypeNumber},
		"huur.ontruiming.vonnis":   {Name: "vonnis", Type: source.TypeFlag},
		"huur.ontruiming.datum":    {Name: "aangezegd-op", Type: source.TypeDate},
		"huur.contactpersoon":      {Name: "afdeling", Type: source.TypeText},
	}
}

func fields(path string) func(e source.Endpoint, key broker.KeyKind) (broker.Source, error) {
	return func(e source.Endpoint, key broker.KeyKind) (broker.Source, error) {
		e.URL += path
		s, err := rest.New(rest.Config{Endpoint: e, Key: key, Fields: mapping()})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

func asked(q map[string]any) []string {
	var out []string
	list, _ := q["fields"].([]any)
	for _, f := range list {
		out = append(out, f.(string))
	}
	return out
}

func protocol(key broker.KeyKind) sourcetest.Protocol {
	id := &broker.Identity{GivenNames: "Zoë", FamilyName: "Proefstra", Birth: broker.Date{Year: 1985}, AddressLine: "Lindelaan 7", PlaceLine: "3011 AB  ROTTERDAM"}
	byBSN := broker.Ask{BSN: "999990019"}
	byName := broker.Ask{Identity: id}
	right, wrong := byBSN, byName
	if key == broker.KeyIdentity {
		right, wrong = byName, byBSN
	}
	right.Fields = []broker.Field{"huur.achterstand.bedrag", "huur.ontruiming.vonnis", "huur.contactpersoon", "huur.ontruiming.datum"}
	wrong.Fields = right.Fields
	both, unknown, none := right, right, right
	both.BSN, both.Identity = byBSN.BSN, id
	unknown.Fields = []broker.Field{"huur.achterstand.bedrag", "ggz.diagnose"}
	none.Fields = nil
	make := fields("/v1/gegevens")
	good := `{"achterstand":{"saldo":1240.50},"vonnis":true,"afdeling":"Team Zuid","aangezegd-op":"2026-03-01"}`
	return sourcetest.Protocol{
		New:  func(e source.Endpoint) (broker.Source, error) { return make(e, key) },
		Path: "/v1/gegevens", Ask: right, Wrong: []broker.Ask{wrong, both, unknown, none, {Fields: right.Fields}},
		Names: []string{"achterstand.saldo", "vonnis", "afdeling", "aangezegd-op"}, Asked: asked,
		Good: good,
		Want: broker.Record{Values: map[broker.Field]any{"huur.achterstand.bedrag": json.Number("1240.50"), "huur.ontruiming.vonnis": true,
			"huur.contactpersoon": "Team Zuid", "huur.ontruiming.datum": "2026-03-01"}},
		Extra: strings.Replace(good, `"saldo"`, `"maanden":3,"notities":["Zoë belt"],"saldo"`, 1),
		// null and absent are the same; a subgroup may be missing
		Nothing: `{"vonnis":null,"achterstand":{}}`,
		Other: []string{
			strings.Replace(good, "{", `{"bsn":"999990093",`, 1), strings.Replace(good, "{", `{"bsn":999990019,`, 1),
			strings.Replace(good, "{", `{"geslachtsnaam":"Anders",`, 1), strings.Replace(good, "{", `{"geboortedatum":"19860000",`, 1),
			strings.Replace(good, "{", `{"adresregel1":{"straat":"Lindelaan"},`, 1),
		},
		Mistyped: []string{
			strings.Replace(good, "1240.50", `"1240.50"`, 1), strings.Replace(good, "1240.50", `{"eur":1240}`, 1),
			strings.Replace(good, "1240.50", "1e999999", 1), strings.Replace(good, "1240.50", "99999999999999999", 1),
			strings.Replace(good, "true", `"ja"`, 1), strings.Replace(good, `"Team Zuid"`, `["Team Zuid","Zoë"]`, 1),
			strings.Replace(good, "Team Zuid", strings.Repeat("x", 401), 1), strings.Replace(good, "Team Zuid", `a\u0000b`, 1),
			strings.Replace(good, "2026-03-01", "2026-02-30", 1), strings.Replace(good, "2026-03-01", "20260301", 1),
			strings.Replace(good, `{"saldo":1240.50}`, `1240.50`, 1),
		},
		Personal: []string{"Proefstra", "999990019", "Lindelaan", "1240.50", "Team Zuid", "Anders"},
	}
}

func TestByBSN(t *testing.T)      { sourcetest.Run(t, protocol(broker.KeyBSN)) }
func TestByIdentity(t *testing.T) { sourcetest.Run(t, protocol(broker.KeyIdentity)) }

func TestEchoOfTheSamePersonIsFine(t *testing.T) {
	p := protocol(broker.KeyIdentity)
	p.Good = strings.Replace(p.Good, "{", `{"geslachtsnaam":"Proefstra","geboortedatum":"19850000","voorvoegsel":"","adresregel1":"Lindelaan 7",`, 1)
	p.Extra = p.Good
	sourcetest.Run(t, p)
}

func TestConfig(t *testing.T) {
	base := func() rest.Config {
		return rest.Config{Endpoint: source.Endpoint{URL: "https://houder.example/v1"}, Key: broker.KeyBSN, Fields: mapping()}
	}
	if _, err := rest.New(base()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*rest.Config){
		"is not bsn or identity":                func(c *rest.Config) { c.Key = broker.KeyNone },
		"no fields mapped":                      func(c *rest.Config) { c.Fields = nil },
		"is not a dotted path":                  func(c *rest.Config) { c.Fields["a.b"] = rest.Field{Name: "a..b", Type: source.TypeText} },
		"is part of the question itself":        func(c *rest.Config) { c.Fields["a.b"] = rest.Field{Name: "adresregel1", Type: source.TypeText} },
		"is mapped twice":                       func(c *rest.Config) { c.Fields["a.b"] = rest.Field{Name: "vonnis", Type: source.TypeFlag} },
		"is not text, number, flag or date":     func(c *rest.Config) { c.Fields["a.b"] = rest.Field{Name: "x", Type: "object"} },
		"http would send personal data":         func(c *rest.Config) { c.Endpoint.URL = "http://houder.example/v1" },
		"leave user, query and fragment out":    func(c *rest.Config) { c.Endpoint.URL = "https://u:p@houder.example/v1" },
		"leave user, query and fragment out\t ": func(c *rest.Config) { c.Endpoint.URL = "https://houder.example/v1?key=x" },
		"is not a URL":                          func(c *rest.Config) { c.Endpoint.URL = "houder" },
		"use https":                             func(c *rest.Config) { c.Endpoint.URL = "ftp://houder.example" },
	} {
		c := base()
		change(&c)
		if _, err := rest.New(c); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
