package haalcentraal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// kind checks one value of the answer and gives a copy with nothing but what belongs to it; nil when nothing is left.
type kind func(v any, about broker.BSN) (any, error)

// kindOf gives the kind of a field of personen v2, nil for a path that is not asked over this source. A relative
// (kinderen, ouders, partners) is a data subject of its own and is never read here.
func kindOf(path string) kind {
	switch path {
	case "burgerservicenummer",
		"naam.voornamen", "naam.voorvoegsel", "naam.geslachtsnaam", "naam.volledigeNaam", "naam.voorletters",
		"adressering.adresregel1", "adressering.adresregel2", "adressering.adresregel3",
		"adressering.aanhef", "adressering.gebruikInLopendeTekst",
		"verblijfplaats.verblijfadres.postcode", "verblijfplaats.verblijfadres.woonplaats",
		"verblijfplaats.verblijfadres.officieleStraatnaam", "verblijfplaats.verblijfadres.korteStraatnaam",
		"verblijfplaats.verblijfadres.huisletter", "verblijfplaats.verblijfadres.huisnummertoevoeging":
		return scalar(source.TypeText)
	case "leeftijd", "verblijfplaats.verblijfadres.huisnummer":
		return scalar(source.TypeNumber)
	case "indicatieCurateleRegister":
		return scalar(source.TypeFlag)
	case "geboorte.datum", "overlijden.datum", "datumInschrijvingInGemeente", "verblijfplaats.datumVan":
		return date
	case "gemeenteVanInschrijving", "geslacht", "adressering.land", "geboorte.plaats", "geboorte.land":
		return coded
	case "gezag":
		return authority
	}
	return nil
}

func scalar(t source.Type) kind {
	return func(v any, _ broker.BSN) (any, error) { return v, t.Check(v) }
}

// pick copies the named keys of an object, each checked. A key that is not named is left behind.
func pick(v any, keys map[string]source.Type) (map[string]any, error) {
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not an object: %w", source.FailType)
	}
	out := map[string]any{}
	for k, t := range keys {
		if obj[k] == nil {
			continue
		}
		if err := t.Check(obj[k]); err != nil {
			return nil, err
		}
		out[k] = obj[k]
	}
	return out, nil
}

// coded reads a row of a national table: {code, omschrijving}.
func coded(v any, _ broker.BSN) (any, error) {
	out, err := pick(v, map[string]source.Type{"code": source.TypeText, "omschrijving": source.TypeText})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("without code and description: %w", source.FailType)
	}
	if err != nil {
		return nil, err // not out: a nil map in an any is not nil
	}
	return out, nil
}

// date reads the four forms a date has: Datum, JaarMaandDatum, JaarDatum and DatumOnbekend.
func date(v any, _ broker.BSN) (any, error) {
	if _, err := dateOf(v); err != nil {
		return nil, err
	}
	keys := map[string]source.Type{"type": source.TypeText, "langFormaat": source.TypeText}
	switch v.(map[string]any)["type"] { // dateOf made sure that it is an object of one of these
	case "Datum":
		keys["datum"] = source.TypeDate
	case "JaarMaandDatum":
		keys["jaar"], keys["maand"] = source.TypeNumber, source.TypeNumber
	case "JaarDatum":
		keys["jaar"] = source.TypeNumber
	case "DatumOnbekend":
		keys["onbekend"] = source.TypeFlag
	}
	out, err := pick(v, keys)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func dateOf(v any) (broker.Date, error) {
	bad := fmt.Errorf("not a date: %w", source.FailType)
	obj, ok := v.(map[string]any)
	if !ok {
		return broker.Date{}, bad
	}
	number := func(key string, high int) int {
		n, _ := obj[key].(json.Number)
		i, err := strconv.Atoi(string(n))
		if err != nil || i < 1 || i > high {
			return 0
		}
		return i
	}
	year, month := number("jaar", 9999), number("maand", 12)
	text, _ := obj["datum"].(string)
	switch obj["type"] {
	case "Datum":
		if d, err := broker.ParseDate(text); err == nil && d.Day != 0 && source.TypeDate.Check(text) == nil {
			return d, nil
		}
	case "JaarMaandDatum":
		if year != 0 && month != 0 {
			return broker.Date{Year: year, Month: month}, nil
		}
	case "JaarDatum":
		if year != 0 {
			return broker.Date{Year: year}, nil
		}
	case "DatumOnbekend":
		if obj["onbekend"] == true {
			return broker.Date{}, nil
		}
	}
	return broker.Date{}, bad
}

// authority reads gezag: which kind of authority there is over the person asked about, each {type} and, where so,
// {inOnderzoek}. Relations in which that person is not the minor are about someone else; who holds the authority is
// someone else too. Neither is read.
func authority(v any, about broker.BSN) (any, error) {
	list, ok := v.([]any)
	if !ok || len(list) > 100 {
		return nil, fmt.Errorf("not a list: %w", source.FailType)
	}
	types := []string{"TweehoofdigOuderlijkGezag", "GezamenlijkOuderlijkGezag", "EenhoofdigOuderlijkGezag", "GezamenlijkGezag",
		"Voogdij", "TijdelijkGeenGezag", "GezagNietTeBepalen"}
	var out []any
	for _, item := range list {
		obj, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("not an object: %w", source.FailType)
		}
		minor, _, err := source.At(obj, "minderjarige.burgerservicenummer")
		if err != nil {
			return nil, err
		}
		if minor != about.Reveal() {
			continue
		}
		kept, err := pick(obj, map[string]source.Type{"type": source.TypeText, "inOnderzoek": source.TypeFlag})
		if err != nil {
			return nil, err
		}
		if t, _ := kept["type"].(string); !slices.Contains(types, t) {
			return nil, fmt.Errorf("unknown type of authority: %w", source.FailType)
		}
		out = append(out, kept)
	}
	if out == nil {
		return nil, nil
	}
	return out, nil
}
