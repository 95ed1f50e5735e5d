package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

func drawPart(t *rapid.T) keys.Part {
	p := keys.Part{
		Ref: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "ref"),
		Box: rapid.SliceOfN(rapid.Byte(), 1, 90).Draw(t, "box"),
	}
	copy(p.Commit[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "commit"))
	return p
}

func drawEvent(t *rapid.T) Event {
	e := Event{
		Writer:   rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "writer"),
		ID:       journal.ID{Epoch: rapid.Uint64().Draw(t, "epoch"), Seq: rapid.Uint64().Draw(t, "seq")},
		Time:     time.Unix(rapid.Int64Range(0, 1<<37).Draw(t, "time"), rapid.Int64Range(0, 999_999_999).Draw(t, "nano")).UTC(),
		Position: broker.Position(rapid.Uint64().Draw(t, "position")),
		Kind:     rapid.SampledFrom([]Kind{KindStop, KindDisclosure, KindRegister}).Draw(t, "kind"),
	}
	if e.ID.Seq == 0 {
		e.Kind = KindStart
	}
	common, err := marshal(map[string]string{"x": rapid.String().Draw(t, "text")})
	if err != nil {
		t.Fatal(err)
	}
	e.Common = common
	if rapid.Bool().Draw(t, "staff") {
		p := drawPart(t)
		e.Staff = &p
	}
	for range rapid.IntRange(0, 3).Draw(t, "subjects") {
		e.Subjects = append(e.Subjects, drawPart(t))
	}
	return e
}

func TestEventsDecodeToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		data := e.Encode()
		if len(data)-len(encodeTail(e.Common, e.Staff, e.Subjects)) > headerMax {
			t.Fatal("the header is longer than headerMax")
		}
		if bytes.ContainsAny(data, "\n\r") {
			t.Fatal("more than one line")
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if !bytes.Equal(got.Encode(), data) || got.ID != e.ID || !got.Time.Equal(e.Time) || got.Kind != e.Kind {
			t.Fatalf("decoded to %+v", got)
		}
	})
}

// TestPartsAreWrittenAsPackageKeysWritesThem: the encoding by hand is the one of encoding/json.
func TestPartsAreWrittenAsPackageKeysWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPart(t)
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendPart(nil, p); !bytes.Equal(got, want) {
			t.Fatalf("%s; want %s", got, want)
		}
	})
}

// TestCommonIsWrittenAsJSON: what is copied stands where encoding/json would put it.
func TestCommonIsWrittenAsJSON(t *testing.T) {
	raws := func(t *rapid.T, name string) []json.RawMessage {
		return rapid.SampledFrom([][]json.RawMessage{
			nil, {}, {json.RawMessage(`{}`)}, benchEvent(2).Common.Queries, benchEvent(3).Common.Decisions, {json.RawMessage(`"<é>"`), json.RawMessage(`[1,null]`)},
		}).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]broker.Common{{}, disclosureEvent(1).Common, benchEvent(3).Common}).Draw(t, "common")
		c.Queries, c.Decisions = raws(t, "queries"), raws(t, "decisions")
		c.Refused = rapid.Bool().Draw(t, "refused")
		c.Obligations = []broker.Obligation{broker.Obligation(rapid.String().Draw(t, "obligation"))}
		want, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := encodeCommon(c); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s, %v; want %s", got, err, want)
		}
	})
	for _, bad := range []string{"", " {}", "{} ", "{", `{"a": 1}`, "{}{}"} {
		c := broker.Common{Decisions: []json.RawMessage{json.RawMessage(bad)}}
		if got, err := encodeCommon(c); err == nil {
			t.Errorf("%q was taken: %s", bad, got)
		}
	}
}

func sampleEvent() Event {
	return Event{
		Writer: "gw", ID: journal.ID{Epoch: 3, Seq: 7}, Time: testTime.Add(1500), Position: 12, Kind: KindDisclosure,
		Common: json.RawMessage(`{"queries":[]}`), Staff: &keys.Part{Ref: []byte("r"), Box: []byte("b")},
		Subjects: []keys.Part{{Ref: []byte("r2"), Box: []byte("b2")}},
	}
}

// TestEventFormat fixes the bytes: stored events are read for twenty years.
func TestEventFormat(t *testing.T) {
	zero := strings.Repeat("0", 64)
	want := `{"v":1,"writer":"gw","epoch":3,"seq":7,"prev":"` + zero +
		`","time":"2026-11-24T12:00:00.0000015Z","position":12,"kind":"disclosure","common":{"queries":[]},` +
		`"staff":{"ref":"cg==","commit":"` + zero + `","box":"Yg=="},` +
		`"subjects":[{"ref":"cjI=","commit":"` + zero + `","box":"YjI="}]}`
	if got := string(sampleEvent().Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	good := string(sampleEvent().Encode())
	for name, bad := range map[string]string{
		"empty":            "",
		"not an object":    "[]",
		"unknown key":      strings.Replace(good, `"kind"`, `"x":1,"kind"`, 1),
		"doubled key":      strings.Replace(good, `"v":1,`, `"v":1,"v":1,`, 1),
		"key in capitals":  strings.Replace(good, `"writer"`, `"Writer"`, 1),
		"other order":      strings.Replace(good, `"v":1,"writer":"gw",`, `"writer":"gw","v":1,`, 1),
		"space":            strings.Replace(good, `"v":1,`, `"v": 1,`, 1),
		"space in common":  strings.Replace(good, `"queries":[]`, `"queries": []`, 1),
		"line break":       good + "\n",
		"text after":       good + "{}",
		"other version":    strings.Replace(good, `"v":1`, `"v":2`, 1),
		"writer name":      strings.Replace(good, `"gw"`, `"GW"`, 1),
		"unknown kind":     strings.Replace(good, `"disclosure"`, `"other"`, 1),
		"start not first":  strings.Replace(good, `"disclosure"`, `"start"`, 1),
		"first not start":  strings.Replace(good, `"seq":7`, `"seq":0`, 1),
		"number with zero": strings.Replace(good, `"position":12`, `"position":12.0`, 1),
		"negative":         strings.Replace(good, `"position":12`, `"position":-1`, 1),
		"time zone":        strings.Replace(good, `0015Z`, `0015+00:00`, 1),
		"time digits":      strings.Replace(good, `0015Z`, `00150Z`, 1),
		"hash in capitals": strings.Replace(good, `"prev":"0`, `"prev":"A`, 1),
		"no common":        strings.Replace(good, `"common":{"queries":[]},`, ``, 1),
		"common no object": strings.Replace(good, `{"queries":[]}`, `[]`, 1),
		"not UTF-8":        strings.Replace(good, `queries`, "quer\xffes", 1),
		"null staff":       strings.Replace(good, `"staff":{`, `"staff":null,"x":{`, 1),
		"no subjects":      strings.Replace(good, `"subjects":[`, `"subjects":[],"x":[`, 1),
		"base64 bits":      strings.Replace(good, `"cg=="`, `"ch=="`, 1),
		"base64 break":     strings.Replace(good, `"cg=="`, `"c\ng=="`, 1),
		"part key":         strings.Replace(good, `{"ref":"cg=="`, `{"x":1,"ref":"cg=="`, 1),
	} {
		if bad == good {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s: decoded", name)
		} else if strings.Contains(err.Error(), "gw") {
			t.Errorf("%s: the error repeats the input: %v", name, err)
		}
	}
}

// FuzzDecode: whatever decodes has one encoding, its own bytes; and it is what can be read as JSON and written again.
func FuzzDecode(f *testing.F) {
	f.Add(sampleEvent().Encode())
	start := Event{Writer: "a-1", ID: journal.ID{Epoch: 1}, Time: testTime, Kind: KindStart, Common: json.RawMessage(`{"log":"x"}`)}
	f.Add(start.Encode())
	f.Add([]byte(`{"v":1,"V":1,"common":{"a":[1,2,{"b":null}]}}`))
	f.Add([]byte("{"))
	for _, c := range commons {
		start.Common = json.RawMessage(c)
		f.Add(start.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agree(t, data)
		e, err := Decode(data)
		if err != nil {
			return
		}
		if !journal.ValidWriter(e.Writer) || (e.ID.Seq == 0) != (e.Kind == KindStart) {
			t.Fatalf("inconsistent header %+v", e)
		}
	})
}

// TestNoPersonalValueInClear is the canary of invariant 5: every value about a person or member of staff in an event is
// marked, and none may be found in what is stored, outside the encrypted parts or in them, in any of several forms.
func TestNoPersonalValueInClear(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", &storeView{s: s}))
	e := disclosureEvent(1)
	if _, err := w.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	mustClose(t, w)
	canaries := []string{
		string(e.Staff.Agency), string(e.Staff.Worker), string(e.Staff.Case), string(e.Staff.Request),
		string(e.Staff.Asked[0].Holder), e.Subjects[0].BSN.Reveal(), e.Subjects[1].BSN.Reveal(),
		w.cfg.Pseudonym(e.Subjects[0].BSN), string(e.Staff.Role), string(e.Staff.Purpose), "subject:", "staff:",
	}
	found := false
	for _, stored := range s.streams["audit:gw"] {
		for _, c := range canaries {
			if bytes.Contains(stored.Bytes, []byte(c)) {
				t.Errorf("event %s holds %q in clear", stored.ID, c)
			}
		}
		found = found || bytes.Contains(stored.Bytes, []byte("huur.achterstand.bedrag"))
	}
	if !found {
		t.Error("the clear part is not where the canaries are looked for")
	}
	for id := range s.keys { // what key ids may say is up to the vault; a BSN is not among it
		for _, c := range []string{e.Subjects[0].BSN.Reveal(), string(e.Staff.Worker)} {
			if strings.Contains(id, c) {
				t.Errorf("the key id %q holds %q", id, c)
			}
		}
	}
	for _, v := range []any{w.Healthy(), fmt.Sprintf("%+v", e.Subjects[0])} {
		if strings.Contains(fmt.Sprint(v), e.Subjects[0].BSN.Reveal()) {
			t.Errorf("%v shows a BSN", v)
		}
	}
}
