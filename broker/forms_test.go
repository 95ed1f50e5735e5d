package broker

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

const unfit = "unavailable"

func TestForms(t *testing.T) {
	date := func(s string) map[string]any { return map[string]any{"type": "Datum", "datum": s} }
	for _, c := range []struct {
		form Form
		in   any
		want string // JSON, or unfit
	}{
		{FormExact, "Ægidius", `"Ægidius"`}, {FormExact, json.Number("12.50"), `12.50`}, {FormExact, []any{"a", nil}, `["a",null]`},
		{FormExact, map[string]any{"a": map[string]any{}}, `{"a":{}}`}, {FormExact, 3.5, `3.5`}, {FormExact, false, `false`},
		{FormExact, "\xff", unfit}, {FormExact, math.NaN(), unfit}, {FormExact, math.Inf(-1), unfit}, {FormExact, json.Number("NaN"), unfit},
		{FormExact, json.Number("1e999"), unfit}, {FormExact, json.Number("0x10"), unfit}, {FormExact, json.Number(""), unfit}, {FormExact, make(chan int), unfit},
		{FormExact, []byte("raw"), unfit}, {FormExact, time.Unix(0, 0), unfit}, {FormExact, map[string]any{"a": struct{}{}}, unfit},
		{FormExact, map[string]any{"\xff": 1}, unfit}, {FormExact, nest(100), unfit},

		{FormYesNo, true, `true`}, {FormYesNo, false, `false`}, {FormYesNo, "", `false`}, {FormYesNo, "huishoudelijke hulp", `true`}, {FormYesNo, "Nee", unfit},
		{FormYesNo, " false ", unfit}, {FormYesNo, []any{}, `false`}, {FormYesNo, []any{1}, `true`}, {FormYesNo, json.Number("0"), `false`},
		{FormYesNo, json.Number("3"), `true`}, {FormYesNo, date("2020-01-01"), `true`}, {FormYesNo, json.Number("x"), unfit}, {FormYesNo, []byte{1}, unfit},

		{FormYear, "19850203", `1985`}, {FormYear, "19850000", `1985`}, {FormYear, "00000000", `null`}, {FormYear, date("1985-02-03"), `1985`},
		{FormYear, map[string]any{"type": "JaarMaandDatum", "jaar": json.Number("1985"), "maand": json.Number("2")}, `1985`},
		{FormYear, map[string]any{"type": "JaarDatum", "jaar": json.Number("1985")}, `1985`}, {FormYear, map[string]any{"type": "DatumOnbekend"}, `null`},
		{FormYear, map[string]any{"type": "JaarDatum", "jaar": json.Number("999990007")}, unfit}, {FormYear, map[string]any{"type": "JaarDatum", "jaar": json.Number("1985.5")}, unfit},
		{FormYear, map[string]any{"type": "JaarDatum", "jaar": math.Inf(1)}, unfit}, {FormYear, map[string]any{"type": "JaarDatum"}, unfit},
		{FormYear, map[string]any{"type": "JaarMaandDatum", "jaar": json.Number("1985"), "maand": json.Number("13")}, unfit},
		{FormYear, map[string]any{"type": "Datum", "datum": "canary"}, unfit}, {FormYear, map[string]any{}, unfit}, {FormYear, json.Number("1985"), unfit},
		{FormYear, "3 februari 1985", unfit}, {FormYear, []any{"1985"}, unfit},

		{FormAgeBand, "20100314", `"16-17"`}, {FormAgeBand, "20100315", `"12-15"`}, {FormAgeBand, "20100000", `"unknown"`}, {FormAgeBand, json.Number("11"), `"0-11"`},
		{FormAgeBand, 17.0, `"16-17"`}, {FormAgeBand, 17.5, unfit}, {FormAgeBand, json.Number("999990007"), `"unknown"`}, {FormAgeBand, -1.0, `"unknown"`}, {FormAgeBand, 1e300, `"unknown"`},
		{FormAgeBand, []any{"0-11", json.Number("40")}, `["0-11","18+"]`}, {FormAgeBand, []any{"0-11", "canary"}, unfit}, {FormAgeBand, "17", unfit},
		{FormAgeBand, []any{nil}, unfit}, {FormAgeBand, true, unfit}, {FormAgeBand, math.NaN(), unfit},

		{FormAmountBand, json.Number("-50"), `"0"`}, {FormAmountBand, 0.99, `"0"`}, {FormAmountBand, 1, `"1-499"`}, {FormAmountBand, 499.99, `"1-499"`}, {FormAmountBand, 500, `"500-999"`},
		{FormAmountBand, json.Number("24999.99"), `"10000-24999"`}, {FormAmountBand, 25000, `"25000+"`}, {FormAmountBand, math.NaN(), unfit}, {FormAmountBand, math.Inf(1), unfit},
		{FormAmountBand, "2000", unfit}, {FormAmountBand, json.Number("1e999"), unfit}, {FormAmountBand, true, unfit},

		{FormInitials, "Anne Zoë", `"A.Z."`}, {FormInitials, "Jean-Pierre", `"J.P."`}, {FormInitials, "Þórður Ægir", `"Þ.Æ."`}, {FormInitials, "'t Ömer", `"t.Ö."`},
		{FormInitials, "Élodie", `"É."`}, {FormInitials, "E\u0301lodie", `"E."`}, {FormInitials, "Ян\u00a0Пётр", `"Я.П."`}, {FormInitials, "دانيال", `"د."`},
		{FormInitials, "", unfit}, {FormInitials, " - ", unfit}, {FormInitials, ".", unfit}, {FormInitials, "9 9 9 9 9 0 0 0 7", unfit}, {FormInitials, "Jan\xff", unfit},
		{FormInitials, []any{"Jan"}, unfit}, {FormInitials, json.Number("7"), unfit},

		{FormMasked, "jan@example.nl", `"j•••@example.nl"`}, {FormMasked, "éva@exämple.nl", `"é•••@exämple.nl"`}, {FormMasked, "@example.nl", unfit}, {FormMasked, "jan@", unfit},
		{FormMasked, "jan@piet@example.nl", unfit}, {FormMasked, "jan@localhost", unfit}, {FormMasked, "jan@x.nl of bel 0612345678", unfit}, {FormMasked, "\xff@example.nl", unfit},
		{FormMasked, "1234 AB", `"1234••"`}, {FormMasked, "1234ab", `"1234••"`}, {FormMasked, "1234A1", unfit}, {FormMasked, "1234é", unfit},
		{FormMasked, "06-12345678", `"••••••••78"`}, {FormMasked, "+31 (6) 12 34 56 78", `"••••••••78"`}, {FormMasked, "0612345678 jan", unfit}, {FormMasked, "112", unfit},
		{FormMasked, "061234567é", unfit}, {FormMasked, "Dorpsstraat 1", unfit}, {FormMasked, "", unfit}, {FormMasked, json.Number("612345678"), unfit},

		{FormPseudonym, "999990007", unfit}, {"", "raw", unfit}, {"whole", "raw", unfit}, {"EXACT", "raw", unfit},
	} {
		got, err := inForm(c.in, c.form, noon)
		text := unfit
		if err == nil {
			text = string(mustJSON(got))
		}
		if text != c.want {
			t.Errorf("%v as %s: %s, want %s", c.in, c.form, text, c.want)
		}
	}
	for _, f := range []Form{FormExact, FormYesNo, FormYear, FormAgeBand, FormAmountBand, FormInitials, FormMasked} {
		if v, err := inForm(nil, f, noon); v != nil || err != nil {
			t.Errorf("no value as %s: %v %v", f, v, err)
		}
	}
}

func nest(n int) any {
	var v any = "deep"
	for range n {
		v = []any{v}
	}
	return v
}

// TestMinimiseTrustsNothing: whatever a Slice holds, only granted fields of the catalog's paths leave, and what left does
// not change when the holder's own maps do.
func TestMinimiseTrustsNothing(t *testing.T) {
	inner := map[string]any{"code": "0518"}
	rec := Record{Values: map[Field]any{"persoon.gemeenteVanInschrijving": inner, "persoon.leeftijd": 40.0, "ggz.diagnose": "canary"},
		Companions: map[Field]any{"persoon.inOnderzoek": "canary", "ggz.diagnose": "canary", "persoon.geheimhoudingPersoonsgegevens": make(chan int)}}
	r := Minimise(testCatalog(), []Slice{{Subject: "p1", Fields: []Field{"persoon.gemeenteVanInschrijving", "persoon.leeftijd"}, Record: rec,
		Grants:  map[Field]Grant{"persoon.gemeenteVanInschrijving": {FormExact, "b"}, "ggz.diagnose": {FormExact, "b"}},
		Refused: map[Field][]Reason{"persoon.leeftijd": {"x"}}},
		{Subject: "p2", Fields: []Field{"persoon.leeftijd"}, Refused: map[Field][]Reason{"persoon.leeftijd": {"y", "x"}}, Record: rec}}, noon)
	inner["code"] = "canary"
	delete(rec.Values, "persoon.leeftijd")
	body, err := Encode(Heading{ID: "1"}, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"persons":[{"persoon":{"gemeenteVanInschrijving":{"code":"0518"}},"subject":"p1"}]`,
		`"withheld":[{"field":"persoon.leeftijd","subject":"p1","reasons":["x"]},{"field":"persoon.leeftijd","subject":"household","reasons":["x","y"]}]`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("want %s in %s", want, body)
		}
	}
	if strings.Contains(string(body), "canary") || strings.Contains(string(body), "40") {
		t.Errorf("more than was granted: %s", body)
	}
	for name, encode := range map[string]func(Heading, Release) ([]byte, error){"answer": Encode, "refusal": EncodeRefusal} {
		if body, err := encode(Heading{}, Release{}); err == nil {
			t.Errorf("%s: a release that was not minimised was encoded: %s", name, body)
		}
	}
}

// TestCompanionNeedsItsField: not with a field of another domain, not with a field that could not be given.
func TestCompanionNeedsItsField(t *testing.T) {
	rec := Record{Values: map[Field]any{"contact.emailadres": "jan@example.nl", "persoon.leeftijd": "forty"},
		Companions: map[Field]any{"persoon.geheimhoudingPersoonsgegevens": true}}
	s := Slice{Subject: "p1", Fields: []Field{"contact.emailadres", "persoon.leeftijd"}, Record: rec,
		Grants: map[Field]Grant{"contact.emailadres": {FormExact, "b"}, "persoon.leeftijd": {FormAgeBand, "b"}}}
	for value, want := range map[string]bool{"forty": false, "19800203": true} {
		rec.Values["persoon.leeftijd"] = value
		body, err := Encode(Heading{ID: "1"}, Minimise(testCatalog(), []Slice{s}, noon))
		if err != nil || strings.Contains(string(body), "geheimhouding") != want {
			t.Errorf("%s: %s %v", value, body, err)
		}
	}
}

func TestInvestigationMarker(t *testing.T) {
	k := Companion{Path: "persoon.naam.inOnderzoek", With: "persoon.naam"}
	since := map[string]any{"type": "Datum", "datum": "2023-01-01"}
	for _, c := range []struct {
		in   any
		want string
	}{
		{map[string]any{"voornamen": true}, `{"voornamen":true}`},
		{map[string]any{"voornamen": true, "geslachtsnaam": true, "datumIngangOnderzoek": since}, `{"datumIngangOnderzoek":{"datum":"2023-01-01","type":"Datum"},"voornamen":true}`},
		{map[string]any{"voornamen": true, "datumIngangOnderzoekPersoon": since, "datumIngangOnderzoekPartner": since}, `{"voornamen":true}`},
		{map[string]any{"geslachtsnaam": true, "datumIngangOnderzoek": since}, "none"}, // of another field: not even that there is one
		{map[string]any{"datumIngangOnderzoek": since}, "none"},
		{map[string]any{"voornamen": "canary"}, "none"},
		{map[string]any{"voornamen": true, "datumIngangOnderzoek": "canary"}, `{"voornamen":true}`},
		{map[string]any{"persoon.naam.voornamen": true, "": true, "namen": true}, "none"},
		{true, "none"}, {"canary", "none"}, {nil, "none"}, {[]any{"canary"}, "none"},
	} {
		v, ok := companion(k, c.in, []Field{"persoon.naam.voornamen"})
		got := "none"
		if ok {
			got = string(mustJSON(v))
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", fmt.Sprint(c.in), got, c.want)
		}
	}
}

// take removes a value from a tree and gives it.
func take(tree map[string]any, path Field) (any, bool) {
	parts := strings.Split(string(path), ".")
	for _, p := range parts[:len(parts)-1] {
		tree, _ = tree[p].(map[string]any)
	}
	last := parts[len(parts)-1]
	v, ok := tree[last]
	if tree != nil {
		delete(tree, last)
	}
	return v, ok
}

// leaves counts what is left in a tree.
func leaves(v any) int {
	m, ok := v.(map[string]any)
	if !ok {
		return 1
	}
	n := 0
	for _, x := range m {
		n += leaves(x)
	}
	return n
}
