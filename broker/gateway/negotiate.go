package gateway

import (
	"mime"
	"strconv"
	"strings"
)

const (
	typeJSON    = "application/json"
	typeJOSE    = "application/jose"
	typeProblem = "application/problem+json"
	typeJWKS    = "application/jwk-set+json"
)

// weighted is one element of an Accept or Accept-Language header.
type weighted struct {
	value string // lower case
	q     float64
}

// parseWeighted reads a list of values with q-values (RFC 9110, 12.4.2). An element with a malformed q-value is left
// out: what the client meant by it is not known.
func parseWeighted(lines []string) []weighted {
	var out []weighted
	for _, element := range strings.Split(strings.Join(lines, ","), ",") {
		parts := strings.Split(element, ";")
		w := weighted{strings.ToLower(strings.Trim(parts[0], " \t")), 1}
		ok := w.value != ""
		for _, p := range parts[1:] {
			name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
			if strings.EqualFold(name, "q") {
				w.q, ok = parseQ(value, ok)
			}
		}
		if ok {
			out = append(out, w)
		}
	}
	return out
}

func parseQ(s string, ok bool) (float64, bool) {
	if len(s) > 5 || s == "" || (s[0] != '0' && s[0] != '1') || (len(s) > 1 && s[1] != '.') || !only(s[1:], digitOrDot) {
		return 0, false
	}
	q, err := strconv.ParseFloat(s, 64)
	return q, ok && err == nil && q <= 1
}

// language picks nl or en; nl unless English is preferred.
func language(lines []string) string {
	nl, en, rest := -1.0, -1.0, -1.0
	for _, w := range parseWeighted(lines) {
		base, _, _ := strings.Cut(w.value, "-")
		switch base {
		case "nl":
			nl = max(nl, w.q)
		case "en":
			en = max(en, w.q)
		case "*":
			rest = w.q
		}
	}
	if nl < 0 {
		nl = rest
	}
	if en < 0 {
		en = rest
	}
	if en > 0 && en > nl {
		return "en"
	}
	return "nl"
}

// accepts picks the type of an answer: JSON with a detached signature, or a compact JWS. ok is false when the client
// takes neither. The most specific range that names a type says how much it is wanted; at a tie it is JSON.
func accepts(lines []string) (compact, ok bool) {
	if len(lines) == 0 {
		return false, true
	}
	list := parseWeighted(lines)
	asJSON, asJOSE := wanted(list, typeJSON), wanted(list, typeJOSE)
	return asJOSE > asJSON, asJSON > 0 || asJOSE > 0
}

func wanted(list []weighted, mediaType string) float64 {
	for _, name := range []string{mediaType, "application/*", "*/*"} {
		best := -1.0
		for _, w := range list {
			if w.value == name {
				best = max(best, w.q)
			}
		}
		if best >= 0 {
			return best
		}
	}
	return 0
}

// isJSON tells whether a Content-Type is JSON. UTF-8 is the only charset JSON has.
func isJSON(lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	t, params, err := mime.ParseMediaType(lines[0])
	if err != nil || t != typeJSON {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

func digitOrDot(c byte) bool { return c == '.' || (c >= '0' && c <= '9') }
