package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
)

// parser takes one thing after another from the front of an event's bytes. Each method tells whether that stood there,
// in the one spelling that Encode gives it.
type parser struct{ rest []byte }

func (p *parser) literal(s string) bool {
	if len(p.rest) < len(s) || string(p.rest[:len(s)]) != s {
		return false
	}
	p.rest = p.rest[len(s):]
	return true
}

// word takes what stands between quotes, without a look at it.
func (p *parser) word(to *[]byte) bool {
	if !p.literal(`"`) {
		return false
	}
	n := bytes.IndexByte(p.rest, '"')
	if n < 0 {
		return false
	}
	*to, p.rest = p.rest[:n], p.rest[n+1:]
	return true
}

func (p *parser) number(to *uint64) bool {
	n, i := uint64(0), 0
	for ; i < len(p.rest) && '0' <= p.rest[i] && p.rest[i] <= '9'; i++ {
		digit := uint64(p.rest[i] - '0')
		if n > (math.MaxUint64-digit)/10 {
			return false
		}
		n = 10*n + digit
	}
	if i == 0 || (i > 1 && p.rest[0] == '0') {
		return false
	}
	*to, p.rest = n, p.rest[i:]
	return true
}

func (p *parser) hash(to *broker.Hash) bool {
	var text []byte
	if !p.word(&text) || len(text) != 2*len(to) {
		return false
	}
	_, err := hex.Decode(to[:], text)
	return err == nil && !bytes.ContainsAny(text, "ABCDEF")
}

func (p *parser) time(to *time.Time) bool {
	var text []byte
	if !p.word(&text) || to.UnmarshalText(text) != nil {
		return false
	}
	*to = to.UTC()
	var again [len(time.RFC3339Nano)]byte
	return bytes.Equal(to.AppendFormat(again[:0], time.RFC3339Nano), text)
}

// strictBase64 has one text for each sequence of bytes, but for line breaks, which change the length.
var strictBase64 = base64.StdEncoding.Strict()

// base64 takes base64 between quotes, and decodes it where keep is set.
func (p *parser) base64(to *[]byte, keep bool) bool {
	var text []byte
	if !p.word(&text) || len(text)%4 != 0 {
		return false
	}
	if keep {
		*to = make([]byte, 0, len(text)/4*3)
	}
	var scratch [3 << 8]byte
	for len(text) > 0 {
		n := min(len(text), len(scratch)/3*4)
		chunk := text[:n]
		text = text[n:]
		got, err := strictBase64.Decode(scratch[:], chunk)
		padding := len(chunk) - len(bytes.TrimRight(chunk, "="))
		if err != nil || got != n/4*3-padding || (padding > 0 && len(text) > 0) {
			return false
		}
		if keep {
			*to = append(*to, scratch[:got]...)
		}
	}
	return true
}

// object takes a JSON object, compact and in UTF-8.
func (p *parser) object(to *[]byte) bool {
	if len(p.rest) == 0 || p.rest[0] != '{' {
		return false
	}
	n := jsonValue(p.rest, 0, 1)
	if n < 0 || !utf8.Valid(p.rest[:n]) {
		return false
	}
	*to, p.rest = p.rest[:n:n], p.rest[n:]
	return true
}

// deepest is how far encoding/json follows arrays and objects in each other; the event is one itself.
const deepest = 10_000 - 1

// jsonValue gives where the compact JSON value that begins at i ends; -1 where there is none.
func jsonValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return jsonString(b, i)
	case '{', '[':
		return jsonContainer(b, i, depth)
	case 't':
		return jsonWord(b, i, "true")
	case 'f':
		return jsonWord(b, i, "false")
	case 'n':
		return jsonWord(b, i, "null")
	}
	return jsonNumber(b, i)
}

func jsonContainer(b []byte, i, depth int) int {
	if depth > deepest {
		return -1
	}
	named := b[i] == '{'
	end := b[i] + 2 // each closing bracket is two after its opening one
	if i+1 < len(b) && b[i+1] == end {
		return i + 2
	}
	for {
		i++ // the bracket or a comma
		if named {
			if i = jsonString(b, i); i < 0 || i >= len(b) || b[i] != ':' {
				return -1
			}
			i++
		}
		if i = jsonValue(b, i, depth+1); i < 0 || i >= len(b) {
			return -1
		}
		if b[i] == end {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
	}
}

func jsonString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i >= len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(b) || !hexDigits(b[i+1:i+5]) {
					return -1
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

func hexDigits(b []byte) bool {
	var to [2]byte
	_, err := hex.Decode(to[:], b)
	return err == nil
}

func jsonWord(b []byte, i int, word string) int {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return -1
}

func jsonNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch whole := jsonDigits(b, i); {
	case whole < 0:
		return -1
	case b[i] == '0':
		i++ // another digit after it is the next thing, and no comma
	default:
		i = whole
	}
	if i < len(b) && b[i] == '.' {
		if i = jsonDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return jsonDigits(b, i)
	}
	return i
}

// jsonDigits gives where the digits that begin at i end; -1 where there are none.
func jsonDigits(b []byte, i int) int {
	from := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
