package agencies_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/haalcentraal"
	"github.com/schakel/schakel/broker/source/rest"
	"github.com/schakel/schakel/test/agencies"
)

func now() time.Time { return time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC) }

func start(t *testing.T, people agencies.Population) *agencies.Town {
	t.Helper()
	town, err := agencies.Start(agencies.Config{People: people, Now: now, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := town.Close(); err != nil {
			t.Error(err)
		}
	})
	return town
}

// sourceOf makes the source that a deployment would make for an agency.
func sourceOf(t *testing.T, a agencies.Agency, timeout time.Duration) broker.Source {
	t.Helper()
	e := source.Endpoint{URL: a.BaseURL, Header: a.Header, Timeout: timeout}
	var s broker.Source
	var err error
	switch a.Protocol {
	case agencies.ProtocolHaalCentraal:
		s, err = haalcentraal.New(haalcentraal.Config{Endpoint: e})
	default:
		s, err = rest.New(rest.Config{Endpoint: e, Key: a.Key, Fields: a.Fields})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func persoon() []broker.Field {
	return []broker.Field{"persoon.burgerservicenummer", "persoon.naam.voornamen", "persoon.naam.voorvoegsel", "persoon.naam.geslachtsnaam",
		"persoon.naam.volledigeNaam", "persoon.geboorte.datum", "persoon.leeftijd", "persoon.adressering.adresregel1", "persoon.adressering.adresregel2",
		"persoon.verblijfplaats.verblijfadres.postcode", "persoon.verblijfplaats.verblijfadres.huisnummer", "persoon.gemeenteVanInschrijving",
		"persoon.overlijden.datum", "persoon.gezag", "persoon.indicatieCurateleRegister"}
}

// everyone runs a test on the generated persons, and on the official ones where the set is at hand.
func everyone(t *testing.T, run func(t *testing.T, p agencies.Population)) {
	t.Run("generated", func(t *testing.T) { run(t, agencies.Generate(1)) })
	t.Run("official", func(t *testing.T) {
		path := os.Getenv("SCHAKEL_BRP")
		if path == "" {
			path = agencies.Beside(".")
		}
		if path == "" {
			t.Skip("no test set: set SCHAKEL_BRP")
		}
		p, from, err := agencies.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(from)
		run(t, p)
	})
}

// TestRegistry asks the registry about everyone, over HTTP and with the source of the broker.
func TestRegistry(t *testing.T) {
	everyone(t, func(t *testing.T, people agencies.Population) {
		town := start(t, people)
		s := sourceOf(t, town.Agency(broker.KindRvIG), 0)
		restricted, deceased, seen := 0, 0, map[broker.Field]int{}
		for i, p := range people.Persons() {
			rec, err := s.Fetch(t.Context(), broker.Ask{BSN: p.BSN, Fields: persoon()})
			if err != nil {
				t.Fatalf("person %d: %v", i, err)
			}
			id := p.Identity()
			for f, want := range map[broker.Field]string{"persoon.naam.voornamen": id.GivenNames, "persoon.naam.geslachtsnaam": id.FamilyName,
				"persoon.adressering.adresregel1": id.AddressLine, "persoon.adressering.adresregel2": id.PlaceLine} {
				if got, _ := rec.Values[f].(string); got != want {
					t.Errorf("person %d: %s differs", i, f)
				}
			}
			if rec.Birth != p.Birth || rec.Restricted != p.Restricted || rec.Deceased != p.Deceased {
				t.Errorf("person %d: facts differ: restricted %t %t, deceased %t %t", i, rec.Restricted, p.Restricted, rec.Deceased, p.Deceased)
			}
			for f := range rec.Values {
				seen[f]++
			}
			for f := range rec.Companions {
				seen[f]++
			}
			restricted += len(filter(rec.Restricted))
			deceased += len(filter(rec.Deceased))
		}
		for _, f := range append(persoon(), "persoon.geheimhoudingPersoonsgegevens", "persoon.opschortingBijhouding", "persoon.rni", "persoon.verificatie",
			"persoon.verblijfplaats.indicatieVastgesteldVerblijftNietOpAdres", "persoon.adressering.inOnderzoek", "persoon.geboorte.inOnderzoek",
			"persoon.inOnderzoek") {
			if seen[f] == 0 {
				t.Errorf("nobody has %s", f)
			}
		}
		if restricted == 0 || deceased == 0 {
			t.Errorf("%d restricted, %d deceased", restricted, deceased)
		}
	})
}

func filter(b bool) []bool {
	if b {
		return []bool{b}
	}
	return nil
}

// post asks as anybody could, with nothing of the broker's sources.
func post(t *testing.T, a agencies.Agency, body string) (int, map[string]any) {
	t.Helper()
	url := a.BaseURL
	if a.Protocol == agencies.ProtocolHaalCentraal {
		url += "/personen"
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	for k, v := range a.Header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	out := map[string]any{}
	if err != nil || json.Unmarshal(data, &out) != nil {
		t.Fatalf("no JSON: %v", err)
	}
	if wantProblem := resp.StatusCode != 200; wantProblem != strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("status %d with content type %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return resp.StatusCode, out
}

func TestRegistryProblems(t *testing.T) {
	town := start(t, agencies.Generate(1))
	brp := town.Agency(broker.KindRvIG)
	const ask = `{"type":"RaadpleegMetBurgerservicenummer","burgerservicenummer":["999990019"],"fields":["naam"]}`
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for _, c := range []struct{ old, new, code, name, why string }{
		{`"fields":["naam"]`, `"x":1`, "paramsValidation", "fields", "required"},
		{`["naam"]`, `[]`, "paramsValidation", "fields", "minItems"},
		{`["naam"]`, `"naam"`, "paramsValidation", "fields", "array"},
		{`["naam"]`, `[` + many(131, `"naam"`) + `]`, "paramsValidation", "fields", "maxItems"},
		{`["naam"]`, `["naam","a b"]`, "paramsValidation", "fields[1]", "pattern"},
		{`["naam"]`, `["anummer"]`, "paramsValidation", "fields[0]", "fields: niet bestaande"},
		{`["naam"]`, `["naam.inOnderzoek"]`, "paramsValidation", "fields[0]", "fields: niet toegestane"},
		{`["naam"]`, `["geheimhoudingPersoonsgegevens"]`, "paramsValidation", "fields[0]", "fields: niet toegestane"},
		{`["naam"]`, `["opschortingBijhouding.datum"]`, "paramsValidation", "fields[0]", "fields: niet toegestane"},
		{`["naam"]`, `["aNummer"]`, "unauthorizedField", "", ""},
		{`["999990019"]`, `[]`, "paramsValidation", "burgerservicenummer", "minItems"},
		{`["999990019"]`, `"999990019"`, "paramsValidation", "burgerservicenummer", "array"},
		{`["999990019"]`, `[` + many(21, `"999990019"`) + `]`, "paramsValidation", "burgerservicenummer", "maxItems"},
		{`"999990019"`, `"99999001"`, "paramsValidation", "burgerservicenummer[0]", "pattern"},
		{`"type":"RaadpleegMetBurgerservicenummer",`, ``, "paramsValidation", "type", "required"},
		{`RaadpleegMetBurgerservicenummer`, `Raadpleeg`, "paramsValidation", "type", "value"},
		{`"fields"`, `"voornamen":"x","fields"`, "paramsValidation", "voornamen", "unknownParam"},
		{`"fields"`, `"gemeenteVanInschrijving":"599","fields"`, "paramsValidation", "gemeenteVanInschrijving", "pattern"},
	} {
		body := strings.Replace(ask, c.old, c.new, 1)
		status, got := post(t, brp, body)
		params, _ := got["invalidParams"].([]any)
		found := c.name == ""
		for _, p := range params {
			p := p.(map[string]any)
			why, words, _ := strings.Cut(c.why, ": ")
			reason, _ := p["reason"].(string)
			found = found || (p["name"] == c.name && p["code"] == why && reason != "" && strings.Contains(reason, words))
		}
		want := 400
		if c.code == "unauthorizedField" {
			want = 403
		}
		if status != want || got["code"] != c.code || !found {
			t.Errorf("%s for %s: got %d %v %v", c.new, c.old, status, got["code"], params)
		}
	}
	// over 30 at one address: many persons are read from a file where all live in one house
	var csv bytes.Buffer
	csv.WriteString(";01.01.20;01.02.40;01.03.10;07.70.10;08.09.10;08.11.10;08.11.20;08.11.60\n")
	n := 0
	for _, p := range agencies.Generate(1).Persons()[:40] {
		n++
		csv.WriteString("L;" + p.BSN.Reveal() + ";Proef;19850101;0;0599;Laan;7;3011AB\n")
	}
	crowd, err := agencies.ReadTestSet(&csv)
	if err != nil {
		t.Fatal(err)
	}
	status, got := post(t, start(t, crowd).Agency(broker.KindRvIG), `{"type":"ZoekMetPostcodeEnHuisnummer","postcode":"3011AB","huisnummer":7,"fields":["burgerservicenummer"]}`)
	if status != 400 || got["code"] != "tooManyResults" {
		t.Errorf("%d persons: got %d %v", n, status, got["code"])
	}
}

// TestFieldsAreObeyed: a group gives the group, a part of a date the whole date, and nothing else comes along.
func TestFieldsAreObeyed(t *testing.T) {
	people := agencies.Generate(1)
	brp := start(t, people).Agency(broker.KindRvIG)
	for fields, want := range map[string][]string{
		`"naam.voornamen"`:                        {"naam.voornamen"},
		`"naam.voornamen","geboorte"`:             {"geboorte.datum", "geboorte.land", "geboorte.plaats", "naam.voornamen"},
		`"geboorte.datum.langFormaat"`:            {"geboorte.datum"},
		`"verblijfplaats.verblijfadres.postcode"`: {"verblijfplaats.type", "verblijfplaats.verblijfadres"},
		`"gezag","aNummer2"`:                      nil,
	} {
		_, got := post(t, brp, `{"type":"RaadpleegMetBurgerservicenummer","burgerservicenummer":["`+people.Persons()[0].BSN.Reveal()+`"],"fields":[`+fields+`]}`)
		var paths []string
		list, _ := got["personen"].([]any)
		for _, p := range list {
			for k, v := range p.(map[string]any) {
				for sub := range v.(map[string]any) {
					paths = append(paths, k+"."+sub)
				}
			}
		}
		slices.Sort(paths)
		if !slices.Equal(paths, want) {
			t.Errorf("asked %s: got %v, want %v", fields, paths, want)
		}
	}
}
