package register

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// quickly reads an entry about a person or staff in the one form in which it is written, which a million of a register
// have: decodeStored would take most of a start to do it. Whatever is not in exactly that form is not ok, and left to
// decodeStored to judge; what is ok, decodeStored reads the same.
func quickly(data []byte) (s stored, ok bool) {
	q := quick{b: data, ok: true}
	q.is(`{"v":`)
	s.V = int(q.number())
	q.is(`,"seq":`)
	s.Seq = q.number()
	q.is(`,"prev":"`)
	s.Prev = q.hash()
	q.is(`","time":"`)
	s.Time = q.time()
	q.is(`","kind":"`)
	s.Kind = q.plain()
	q.is(`","touches":[`)
	s.Touches = []broker.Touch{}
	for n := 0; q.ok && !bytes.HasPrefix(q.b, []byte("]")); n++ {
		if n > 0 {
			q.is(",")
		}
		q.is(`"`)
		s.Touches = append(s.Touches, broker.Touch(q.plain()))
		q.is(`"`)
	}
	q.is(`],"part":{"ref":"`)
	s.Part = &keys.Part{Ref: q.base64()}
	q.is(`","commit":"`)
	s.Part.Commit = q.hash()
	q.is(`","box":"`)
	s.Part.Box = q.base64()
	q.is(`"}}`)
	return s, q.ok && len(q.b) == 0 && s.V == formatVersion
}

type quick struct {
	b  []byte
	ok bool
}

func (q *quick) is(text string) {
	if q.ok = q.ok && len(q.b) >= len(text) && string(q.b[:len(text)]) == text; q.ok {
		q.b = q.b[len(text):]
	}
}

func (q *quick) number() uint64 {
	end := 0
	for end < len(q.b) && q.b[end] >= '0' && q.b[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(string(q.b[:end]), 10, 63)
	if err != nil || (end > 1 && q.b[0] == '0') {
		q.ok = false
	}
	q.b = q.b[end:]
	return n
}

// raw gives what stands before the next quote.
func (q *quick) raw() []byte {
	end := bytes.IndexByte(q.b, '"')
	if end < 0 {
		q.ok = false
		return nil
	}
	v := q.b[:end]
	q.b = q.b[end:]
	return v
}

// plain gives text that JSON writes as it is.
func (q *quick) plain() string {
	v := q.raw()
	for _, c := range v {
		if c < 0x20 || c > 0x7e || c == '\\' {
			q.ok = false
		}
	}
	return string(v)
}

func (q *quick) hash() (h broker.Hash) {
	v := q.raw()
	if _, err := hex.Decode(h[:], v[:min(len(v), 2*len(h))]); err != nil || len(v) != 2*len(h) || bytes.ContainsAny(v, "ABCDEF") {
		q.ok = false
	}
	return h
}

func (q *quick) base64() []byte {
	v := q.raw()
	out := make([]byte, base64.StdEncoding.DecodedLen(len(v)))
	n, err := base64.StdEncoding.Strict().Decode(out, v)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(v) { // the decoder passes over line ends
		q.ok = false
	}
	return out[:n]
}

func (q *quick) time() time.Time {
	v := string(q.raw())
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.Location() != time.UTC || t.Format(time.RFC3339Nano) != v {
		q.ok = false
	}
	return t
}
