package source

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/schakel/schakel/broker"
)

// Type is what kind of value a field holds.
type Type string

// Closed list of Type.
const (
	TypeText   Type = "text"   // a string of at most 400 characters, no control characters
	TypeNumber Type = "number" // a JSON number of ordinary size
	TypeFlag   Type = "flag"   // true or false
	TypeDate   Type = "date"   // a string YYYY-MM-DD
)

const (
	maxText   = 400
	maxDigits = 15
)

// Check tells whether v, as broker.ParseObject gives it, is of type t. Its error wraps FailType and names neither the
// value nor the place.
func (t Type) Check(v any) error {
	ok := false
	switch t {
	case TypeText:
		s, isText := v.(string)
		ok = isText && len([]rune(s)) <= maxText && !strings.ContainsFunc(s, unicode.IsControl)
	case TypeNumber:
		// Digits, a sign and a point: an exponent would let a few bytes stand for a huge number.
		n, isNumber := v.(json.Number)
		ok = isNumber && len(n) <= maxDigits && !strings.ContainsAny(string(n), "eE")
	case TypeFlag:
		_, ok = v.(bool)
	case TypeDate:
		s, isText := v.(string)
		_, err := broker.ParseDate(s)
		ok = isText && len(s) == len("2006-01-02") && err == nil
	}
	if !ok {
		return fmt.Errorf("not a %s: %w", t, FailType)
	}
	return nil
}

// At walks a dotted path through objects. ok is false where nothing stands there or where it is null; a step into
// something that is not an object is an error wrapping FailType.
func At(obj map[string]any, path string) (v any, ok bool, err error) {
	for {
		step, rest, more := strings.Cut(path, ".")
		v = obj[step]
		if v == nil {
			return nil, false, nil
		}
		if !more {
			return v, true, nil
		}
		next, isObject := v.(map[string]any)
		if !isObject {
			return nil, false, fmt.Errorf("not an object: %w", FailType)
		}
		obj, path = next, rest
	}
}
