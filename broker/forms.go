package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
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
		return plain(v, 0)
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

// plain copies a value that is made of what JSON has, and of nothing else: what a holder gave can neither keep an answer
// from being encoded, nor change after it was looked at.
func plain(v any, depth int) (any, error) {
	if depth > 2*maxDepth {
		return nil, errForm
	}
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		if utf8.ValidString(v) {
			return v, nil
		}
	case json.Number, float64, int:
		if _, ok := number(v); ok {
			return v, nil
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			item, err := plain(v[i], depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = item
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			item, err := plain(v[k], depth+1)
			if err != nil || !utf8.ValidString(k) {
				return nil, errForm
			}
			out[k] = item
		}
		return out, nil
	}
	return nil, errForm
}

// yesNo: is there anything. A text that says no is a holder's mistake, and "there is a text" would say yes.
func yesNo(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch s := strings.ToLower(strings.TrimSpace(v)); s {
		case "nee", "neen", "no", "n", "false", "onwaar", "0":
			return nil, errForm
		default:
			return s != "", nil
		}
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
		return string(BandOf(int(max(-1, min(n, maxLifespan+1))))), nil
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

// initials: the first letter of each name. What has no letter is no name.
func initials(s string) (any, error) {
	var b strings.Builder
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '-' }) {
		i := strings.IndexFunc(name, unicode.IsLetter)
		if i < 0 {
			return nil, errForm
		}
		r, _ := utf8.DecodeRuneInString(name[i:])
		b.WriteRune(r)
		b.WriteByte('.')
	}
	if b.Len() == 0 || !utf8.ValidString(s) {
		return nil, errForm
	}
	return b.String(), nil
}

// masked: an e-mail address keeps its first letter and domain, a postcode its digits, a telephone number its last two.
func masked(s string) (any, error) {
	if local, domain, ok := strings.Cut(s, "@"); ok {
		r, _ := utf8.DecodeRuneInString(local)
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || !isDomain(domain) {
			return nil, errForm
		}
		return string(r) + "•••@" + domain, nil
	}
	compact := strings.ReplaceAll(s, " ", "")
	if len(compact) == 6 && digits(compact[:4]) && letter(compact[4]) && letter(compact[5]) {
		return compact[:4] + "••", nil
	}
	number := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case strings.ContainsRune(" +-()./", r):
			return -1
		}
		return 'x'
	}, s)
	if len(number) >= 8 && len(number) <= 15 && digits(number) {
		return "••••••••" + number[len(number)-2:], nil
	}
	return nil, errForm
}

func isDomain(s string) bool {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' {
			return false
		}
	}
	return strings.Contains(s, ".") && len(s) <= 253
}

func letter(b byte) bool { return (b|0x20) >= 'a' && (b|0x20) <= 'z' }

// number reads a finite number; a json.Number only as JSON writes one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil && json.Valid([]byte(v))
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
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
		part := func(key string) int {
			n, ok := number(v[key])
			if !ok || n != math.Trunc(n) || n < 1 || n > 9999 {
				return -1 // no part of a date
			}
			return int(n)
		}
		var d Date
		switch v["type"] {
		case "Datum":
			s, _ := v["datum"].(string)
			d, err := ParseDate(s)
			return d, err == nil
		case "JaarMaandDatum":
			d = Date{Year: part("jaar"), Month: part("maand")}
		case "JaarDatum":
			d = Date{Year: part("jaar")}
		case "DatumOnbekend":
		default:
			return Date{}, false
		}
		return d, d.valid()
	}
	return Date{}, false
}
