package haalcentraal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// Names of companions: what comes with a field by itself.
const (
	secrecy    = "geheimhoudingPersoonsgegevens"
	suspension = "opschortingBijhouding"
	review     = "inOnderzoek"
	notThere   = "indicatieVastgesteldVerblijftNietOpAdres"
)

// companions reads what came along with the asked fields: of the person as a whole, and of the groups the fields are in.
func companions(r *broker.Record, person map[string]any, fields []string) error {
	groups := []string{""}
	for _, f := range fields {
		for i, c := range f {
			if c == '.' && !slices.Contains(groups, f[:i]) {
				groups = append(groups, f[:i])
			}
		}
	}
	for _, g := range groups {
		obj := person
		if g != "" {
			v, there, err := source.At(person, g)
			if err != nil {
				return fmt.Errorf("read %s: %w", g, err)
			}
			if obj, _ = v.(map[string]any); !there || obj == nil {
				continue
			}
			g += "."
		}
		for name, v := range obj {
			kept, err := companion(name, v, g, fields)
			if err != nil {
				return fmt.Errorf("read companion %s: %w", name, err) // name is one of ours where err is not nil
			}
			if kept != nil {
				r.Companions[broker.Field(prefix+g+name)] = kept
			}
		}
	}
	return nil
}

// companion reads one key of group g; nil for what is not a companion or has nothing to say.
func companion(name string, v any, g string, fields []string) (any, error) {
	switch {
	case v == nil:
		return nil, nil
	case name == review:
		return underReview(v, g, fields)
	case name == notThere && (g == "verblijfplaats." || g == "adressering."):
		return flagSet(v)
	case g != "":
		return nil, nil
	case name == secrecy:
		return flagSet(v)
	case name == suspension:
		return withDate(v, "datum", "reden")
	case name == "verificatie":
		return withDate(v, "datum", "")
	case name == "rni":
		return participants(v)
	}
	return nil, nil
}

func flagSet(v any) (any, error) {
	if err := source.TypeFlag.Check(v); err != nil || v == false {
		return nil, err
	}
	return v, nil
}

// underReview keeps marks on fields that were asked, and since when. A mark on another field would tell of a field that
// was not asked.
func underReview(v any, g string, fields []string) (any, error) {
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not an object: %w", source.FailType)
	}
	out, marks := map[string]any{}, 0
	for k, mark := range obj {
		switch {
		case mark == nil:
		case strings.HasPrefix(k, "datumIngangOnderzoek") && len(k) < 60:
			d, err := date(mark, "")
			if err != nil {
				return nil, err
			}
			out[k] = d
		case slices.Contains(fields, g+k) || (k == "type" && g == "verblijfplaats."):
			if err := source.TypeFlag.Check(mark); err != nil {
				return nil, err
			}
			out[k] = mark
			marks++
		}
	}
	if marks == 0 {
		return nil, nil
	}
	return out, nil
}

// withDate reads {datum, omschrijving} or {datum, reden{code, omschrijving}}.
func withDate(v any, dateKey, codeKey string) (any, error) {
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not an object: %w", source.FailType)
	}
	keys := map[string]source.Type{}
	if codeKey == "" {
		keys["omschrijving"] = source.TypeText
	}
	out, err := pick(v, keys)
	if err != nil {
		return nil, err
	}
	for key, read := range map[string]kind{dateKey: date, codeKey: coded} {
		if key == "" || obj[key] == nil {
			continue
		}
		if out[key], err = read(obj[key], ""); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// participants reads rni: which body outside the municipalities keeps which part of the record.
func participants(v any) (any, error) {
	list, ok := v.([]any)
	if !ok || len(list) > 20 {
		return nil, fmt.Errorf("not a list: %w", source.FailType)
	}
	var out []any
	for _, item := range list {
		kept, err := pick(item, map[string]source.Type{"omschrijvingVerdrag": source.TypeText, "categorie": source.TypeText})
		if err != nil {
			return nil, err
		}
		if by := item.(map[string]any)["deelnemer"]; by != nil { // pick made sure that it is an object
			if kept["deelnemer"], err = coded(by, ""); err != nil {
				return nil, err
			}
		}
		out = append(out, kept)
	}
	if out == nil {
		return nil, nil
	}
	return out, nil
}
