package seal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
)

// Types of signed objects: the typ of the protected header.
const (
	TokenType   = "schakel-request+jwt"
	AnswerType  = "schakel-answer+json"
	RefusalType = "schakel-refusal+json"
	HeadType    = "schakel-head+json"
	ProofType   = "dpop+jwt" // RFC 9449
)

var (
	errMalformed = errors.New("not a compact JWS: three parts in canonical base64url, separated by dots, with JSON objects in UTF-8")
	errDuplicate = errors.New("a member stands twice in one JSON object")
	errEmbedded  = errors.New("the header carries a key (jwk, jku, x5u or x5c)")
	errCritical  = errors.New("the header has crit or b64, which are not used here")
)

// base64url refuses padding and stray bits, so that one signed object has one spelling.
var base64url = base64.RawURLEncoding.Strict()

// jws is a compact JWS taken apart, not yet verified.
type jws struct {
	header  map[string]any
	payload []byte
}

// parse takes a compact JWS apart and refuses one that brings a key along.
func parse(compact string) (jws, error) {
	parts, err := parseWithKey(compact)
	if _, there := parts.header["jwk"]; err == nil && there {
		return jws{}, errEmbedded
	}
	return parts, err
}

// parseWithKey takes a compact JWS apart that may bring its public key along (jwk), as a DPoP proof does. It refuses
// what JOSE libraries differ in: line breaks and stray bits in base64url, duplicate members, text that is not UTF-8,
// keys from elsewhere, crit and b64.
func parseWithKey(compact string) (jws, error) {
	head, rest, ok := strings.Cut(compact, ".")
	body, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return jws{}, errMalformed
	}
	rawHeader, err := decode(head)
	if err != nil {
		return jws{}, err
	}
	payload, err := decode(body)
	if err != nil {
		return jws{}, err
	}
	if _, err := decode(signature); err != nil {
		return jws{}, err
	}
	header, err := object(rawHeader)
	if err != nil {
		return jws{}, err
	}
	for _, name := range []string{"jku", "x5u", "x5c"} {
		if _, there := header[name]; there {
			return jws{}, errEmbedded
		}
	}
	for _, name := range []string{"crit", "b64"} {
		if _, there := header[name]; there {
			return jws{}, errCritical
		}
	}
	return jws{header, payload}, nil
}

// decode reads one part. The decoder of the standard library passes over line breaks; this one doesn't.
func decode(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") {
		return nil, errMalformed
	}
	b, err := base64url.DecodeString(part)
	if err != nil {
		return nil, errMalformed
	}
	return b, nil
}

// object reads one JSON object and tells a duplicate member from what is no object at all.
func object(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errMalformed // encoding/json would make one replacement character of many wrong bytes
	}
	obj, err := broker.ParseObject(data)
	if err == nil {
		return obj, nil
	}
	var loose map[string]any
	if json.Unmarshal(data, &loose) == nil && loose != nil && depth(loose) <= 8 {
		return nil, errDuplicate // well-formed, so this is what ParseObject refused it for
	}
	return nil, errMalformed
}

// depth counts how deep objects and lists are nested.
func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

// moment reads a NumericDate (RFC 7519): seconds, a fraction allowed.
func moment(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}

// text reads a string member, "" where it is absent or no string.
func text(obj map[string]any, name string) string {
	s, _ := obj[name].(string)
	return s
}
