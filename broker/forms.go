package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var errForm = errors.New("this value can't be given in the granted form")

// inForm gives a value in a granted form. A value that does not fit the form is an error, never the value itself:
// masking that silently does nothing is how data leaks. nil, no value, stays nil in every form.
func inForm(v any, f Form, now time.Time) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch f {
	case FormExact:
		return v, nil
	case FormYesNo:
		return yesNo(v)
	case FormYear:
		if d, ok := dateOf(v); ok {
			if !d.Known() {
				return nil, nil
			}
			return d.Year, nil
		}
	case FormAgeBand:
		return ageBand(v, now)
	case FormAmountBand:
		if n, ok := number(v); ok {
			return amountBand(n), nil
		}
	case FormInitials:
		if s, ok := v.(string); ok {
			return initials(s)
		}
	case FormMasked:
		if s, ok := v.(string); ok {
			return masked(s)
		}
	}
	return nil, errForm
}

func yesNo(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		return v != "", nil
	case []any:
		return len(v) > 0, nil
	case map[string]any:
		return len(v) > 0, nil
	}
	if n, ok := number(v); ok {
		return n > 0, nil
	}
	return nil, errForm
}

func ageBand(v any, now time.Time) (any, error) {
	if list, ok := v.([]any); ok {
		out := make([]any, 0, len(list))
		for _, item := range list {
			band, err := ageBand(item, now)
			if err != nil {
				return nil, err
			}
			out = append(out, band)
		}
		return out, nil
	}
	if s, ok := v.(string); ok {
		switch b := AgeBand(s); b {
		case Age0to11, Age12to15, Age16to17, Age18Plus, AgeUnknown:
			return string(b), nil
		}
	}
	if d, ok := dateOf(v); ok {
		return string(d.AgeBand(now)), nil
	}
	if n, ok := number(v); ok && n == math.Trunc(n) {
		return string(BandOf(int(n))), nil
	}
	return nil, errForm
}

// amountBand: the lower bounds in euros are where the offers of debt help usually differ.
func amountBand(n float64) string {
	bounds := []int{1, 500, 1000, 2500, 5000, 10000, 25000}
	if n < float64(bounds[0]) {
		return "0"
	}
	for i, low := range bounds[:len(bounds)-1] {
		if n < float64(bounds[i+1]) {
			return fmt.Sprintf("%d-%d", low, bounds[i+1]-1)
		}
	}
	return strconv.Itoa(bounds[len(bounds)-1]) + "+"
}

func initials(s string) (any, error) {
	var b strings.Builder
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '-' }) {
		r, _ := utf8.DecodeRuneInString(name)
		b.WriteRune(r)
		b.WriteByte('.')
	}
	if b.Len() == 0 {
		return nil, errForm
	}
	return b.String(), nil
}

// masked: an e-mail address keeps its first letter and domain, a postcode its digits, a telephone number its last two.
func masked(s string) (any, error) {
	if local, domain, ok := strings.Cut(s, "@"); ok && local != "" && domain != "" {
		r, _ := utf8.DecodeRuneInString(local)
		return string(r) + "•••@" + domain, nil
	}
	compact := strings.ReplaceAll(s, " ", "")
	if len(compact) == 6 && digits(compact[:4]) && !digits(compact[4:]) {
		return compact[:4] + "••", nil
	}
	n := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	if n >= 6 && len(s) <= 20 {
		return "••••••••" + s[len(s)-2:], nil
	}
	return nil, errForm
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case float64:
		return v, true
	case int:
		return float64(v), true
	}
	return 0, false
}

// dateOf reads a date as holders give it: a string, or one of Haal Centraal's date objects (Datum, JaarMaandDatum,
// JaarDatum, DatumOnbekend).
func dateOf(v any) (Date, bool) {
	switch v := v.(type) {
	case string:
		d, err := ParseDate(v)
		return d, err == nil
	case map[string]any:
		part := func(key string) int { n, _ := number(v[key]); return int(n) }
		switch v["type"] {
		case "Datum":
			s, _ := v["datum"].(string)
			d, err := ParseDate(s)
			return d, err == nil
		case "JaarMaandDatum":
			return Date{Year: part("jaar"), Month: part("maand")}, true
		case "JaarDatum":
			return Date{Year: part("jaar")}, true
		case "DatumOnbekend":
			return Date{}, true
		}
	}
	return Date{}, false
}
