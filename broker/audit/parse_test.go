package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// decodeByWriting is what parse must agree with: read as any JSON, written again, and taken where the bytes are equal.
func decodeByWriting(data []byte) (Event, bool) {
	var w struct {
		V        int             `json:"v"`
		Writer   string          `json:"writer"`
		Epoch    uint64          `json:"epoch"`
		Seq      uint64          `json:"seq"`
		Prev     broker.Hash     `json:"prev"`
		Time     time.Time       `json:"time"`
		Position broker.Position `json:"position"`
		Kind     Kind            `json:"kind"`
		Common   json.RawMessage `json:"common"`
		Staff    *keys.Part      `json:"staff"`
		Subjects []keys.Part     `json:"subjects"`
	}
	if json.Unmarshal(data, &w) != nil || w.V != Version {
		return Event{}, false
	}
	e := Event{
		Writer: w.Writer, ID: journal.ID{Epoch: w.Epoch, Seq: w.Seq}, Prev: w.Prev, Time: w.Time.UTC(),
		Position: w.Position, Kind: w.Kind, Common: w.Common, Staff: w.Staff, Subjects: w.Subjects,
	}
	var compact bytes.Buffer
	ok := headerFault(e) == "" && len(e.Common) > 0 && e.Common[0] == '{' && utf8.Valid(e.Common) &&
		json.Compact(&compact, e.Common) == nil && bytes.Equal(compact.Bytes(), e.Common) && bytes.Equal(e.Encode(), data)
	return e, ok
}

// agree holds parse against decodeByWriting.
func agree(t rapid.TB, data []byte) {
	t.Helper()
	want, ok := decodeByWriting(data)
	got, err := Decode(data)
	if (err == nil) != ok {
		t.Fatalf("decoded: %v, by writing again: %t: %q", err, ok, data)
	}
	bare, err2 := decode(data, false)
	if (err2 == nil) != ok {
		t.Fatalf("without its parts: %v, by writing again: %t: %q", err2, ok, data)
	}
	if !ok {
		return
	}
	if !bytes.Equal(got.Encode(), want.Encode()) || !got.Time.Equal(want.Time) {
		t.Fatalf("decoded to %+v and not to %+v", got, want)
	}
	bare.Staff, bare.Subjects = got.Staff, got.Subjects
	if !bytes.Equal(bare.Encode(), data) {
		t.Fatalf("without its parts decoded to %+v", bare)
	}
}

// TestParseAgreesWithWritingAgain: on events as drawn, and on events with a few bytes changed, put in or taken out.
func TestParseAgreesWithWritingAgain(t *testing.T) {
	const near = "\"\\/{}[]:,.-+0123456789eEuabtfnz \n\t\x00\x7f\xc3\xa9\xff=AZ"
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		e.Common = json.RawMessage(rapid.SampledFrom(commons).Draw(t, "common"))
		data := e.Encode()
		agree(t, data)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			c := near[rapid.IntRange(0, len(near)-1).Draw(t, "byte")]
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				data[i] = c
			case 1:
				data = append(data[:i:i], append([]byte{c}, data[i:]...)...)
			case 2:
				data = append(data[:i:i], data[i+1:]...)
			}
			agree(t, data)
			if len(data) == 0 {
				return
			}
		}
	})
}

// commons are common parts on the edges of JSON, good and bad.
var commons = []string{
	`{}`, `{"a":1}`, `{"a":-0}`, `{"a":-0.0e-0}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":1E+05}`, `{"a":-}`, `{"a":+1}`,
	`{"a":"é"}`, `{"a":"\u00e9\n\/\\\""}`, `{"a":"\ud800"}`, `{"a":"\u00g0"}`, `{"a":"\u00"}`, `{"a":"\x"}`, `{"a":"` + "\x7f" + `"}`,
	`{"a":"` + "\x1f" + `"}`, `{"a":"` + "\xff" + `"}`, `{"a":"` + "\xed\xa0\x80" + `"}`, "{\"\u2028\":[]}", `{"a":[]}`, `{"a":[1,]}`, `{"a":[,1]}`,
	`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":{"a":{}},"a":[[],{},[{}]]}`, `{"a":true,"b":false,"c":null}`, `{"a":True}`,
	`{"a":tru}`, `{"a":nulll}`, `{"a": 1}`, `{"a":1 }`, `{"":""}`, `{"a":123456789012345678901234567890.5e308}`, `{"a":[1,2}`, `{"a":{"b":1]}`,
	`{"a":1}}`, `[]`, `1`, ``, `null`, `{"<":"&"}`, `{`, `{"`, `{"a":"`, `{"a":"\`, `{"a":"\u12`,
}

func TestParseAtTheEdges(t *testing.T) {
	e := sampleEvent()
	for _, c := range commons {
		e.Common = json.RawMessage(c)
		agree(t, e.Encode())
	}
	// As deep as encoding/json reads, and one more.
	for _, depth := range []int{9998, 9999, 10_000, 10_001} {
		for _, nest := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			e.Common = json.RawMessage(`{"a":` + strings.Repeat(nest[0], depth-1) + "1" + strings.Repeat(nest[1], depth-1) + "}")
			agree(t, e.Encode())
		}
	}
	good := string(sampleEvent().Encode())
	for from, list := range map[string][]string{
		`"epoch":3`: {`"epoch":03`, `"epoch":18446744073709551615`, `"epoch":18446744073709551616`, `"epoch":28446744073709551615`, `"epoch":`, `"epoch":3e0`},
		`"2026-11-24T12:00:00.0000015Z"`: {`"2026-11-24T12:00:00Z"`, `"2026-11-24T12:00:00.1234567891Z"`, `"2026-11-24T12:00:00,5Z"`,
			`"2026-11-24t12:00:00Z"`, `"2026-11-24T24:00:00Z"`, `"2026-02-30T12:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`,
			`"2026-11-24T12:00:60Z"`, `"2026-11-24T2:00:00Z"`, `"2026-11-24T13:00:00+01:00"`, `"2026\u002d11-24T12:00:00Z"`, `null`, `""`},
		`"cg=="`: {`""`, `"cg="`, `"cg"`, `"c==="`, `"===="`, `"cgA="`, `"cgB="`, `"cgAA"`, `"cg==cg=="`, `"cg\u003d="`, `null`, `"c-=="`, "\"c\ng==\"", "\"cg==\n\n\n\n\""},
		`"gw"`:   {`""`, `"\u0067w"`, `"g` + strings.Repeat("w", 32) + `"`, `"g.w"`, `null`},
	} {
		for _, to := range list {
			agree(t, []byte(strings.Replace(good, from, to, 1)))
		}
	}
	// More base64 than is decoded at a time, with padding and line breaks within.
	for _, n := range []int{1021, 1022, 1023, 1024, 1025, 1026, 5000} {
		e := sampleEvent()
		e.Staff.Box = make([]byte, n) // A, A, A: no bits to spare before a padding that is put in
		data := e.Encode()
		agree(t, data)
		at := bytes.Index(data, []byte(`"box":"`)) + len(`"box":"`) + 1024
		for _, put := range []string{"=", "==", "====", "\n\n\n\n", "A"} {
			agree(t, append(append(bytes.Clone(data[:at]), put...), data[at:]...))
			agree(t, append(append(bytes.Clone(data[:at-len(put)]), put...), data[at:]...))
		}
	}
}
