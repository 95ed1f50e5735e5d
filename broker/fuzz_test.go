package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var parseErrors = regexp.MustCompile(`^(not valid JSON near byte \d+|a key stands twice in one object, near byte \d+|JSON nested too deep|JSON that is not UTF-8|text after the JSON object|not a JSON object)$`)

func FuzzParseObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `{"a":[{"b":null}]}`, `{"a":1}x`, `{"\u0061":1,"a":2}`, "{\"\xff\":1}", `{"a":1e999}`, `[[[[[[[[[`, `{"a":{"a":{}},}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		obj, err := ParseObject(data)
		if err != nil {
			if !parseErrors.MatchString(err.Error()) {
				t.Fatalf("an error of its own: %q", err)
			}
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("read what is no JSON: %q", data)
		}
		text := mustJSON(obj)
		again, err := ParseObject(text)
		if err != nil || !bytes.Equal(mustJSON(again), text) {
			t.Fatalf("%q is not stable: %v", text, err)
		}
		var loose map[string]any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&loose); err != nil || !bytes.Equal(mustJSON(loose), text) {
			t.Fatalf("the usual decoder reads %v (%v), this one %s", loose, err, text)
		}
	})
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(askPhone), true)
	f.Add([]byte(`{"household":{"case":"c"},"purpose":"handhaving","case":"c","fields":["persoon"],"onRefusal":"fail"}`), false)
	f.Add([]byte(`{"household":{"bsn":"999990007","case":"c"},"fields":["persoon.inOnderzoek",1],"x":1}`), true)
	f.Fuzz(func(t *testing.T, data []byte, ground bool) {
		r, err := ReadRequest(data, Caller{Agency: wijk}, testCatalog(), ground)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Kind != KindInvalid || (e.Code == "parameters-invalid") != (len(e.Params) > 0) {
				t.Fatalf("error %v", err)
			}
			for _, p := range e.Params {
				if strings.ContainsAny(p.Name+p.Code, "\"\n<> ") || len(p.Name) > 60 {
					t.Fatalf("a parameter with foreign text: %q", p)
				}
			}
			return
		}
		if len(r.Fields) == 0 || (r.Household.BSN == "") == (r.Household.Case == "") || (r.Household.BSN != "" && !ground) ||
			(r.Household.Case != "" && r.Case != r.Household.Case) || !HasTerm(testCatalog().Purposes, string(r.Purpose)) {
			t.Fatalf("accepted %s", data)
		}
		for _, f := range r.Fields {
			if _, ok := testCatalog().Field(f); !ok {
				t.Fatalf("a field outside the catalog: %q", f)
			}
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"19800203", "1980-02-03", "1980-02", "1980", "00000000", "19850000", "20240229", "1985-2-3é"} {
		f.Add(s, int64(1_750_000_000))
	}
	f.Fuzz(func(t *testing.T, s string, now int64) {
		d, err := ParseDate(s)
		if err != nil {
			if d != (Date{}) {
				t.Fatalf("an error, and a date")
			}
			return
		}
		again, err := ParseDate(d.Digits())
		if err != nil || again != d || !d.valid() {
			t.Fatalf("%q reads as %s", s, d.Digits())
		}
		if strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '-' }), "") != d.Digits()[:len(strings.ReplaceAll(s, "-", ""))] {
			t.Fatalf("%q reads as %s", s, d.Digits())
		}
		_ = d.AgeBand(time.Unix(now%4_000_000_000, 0))
	})
}

// FuzzInForm: no form but exact gives back more of a text than it may.
func FuzzInForm(f *testing.F) {
	for _, s := range []string{`"Anne Zoë"`, `"jan@example.nl"`, `"06-12345678"`, `{"type":"JaarDatum","jaar":1985}`, `["0-11",17]`, `12.5`, `null`, `{"a":"b"}`, `"nee"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		for _, form := range []Form{FormYesNo, FormYear, FormAgeBand, FormAmountBand, FormInitials, FormMasked, FormExact, FormPseudonym, "other"} {
			got, err := inForm(v, form, noon)
			if err != nil {
				if got != nil {
					t.Fatalf("%s: an error, and a value", form)
				}
				continue
			}
			text := mustJSON(got)
			switch re := formed[form]; {
			case v == nil:
				if got != nil {
					t.Fatalf("%s of nothing is %s", form, text)
				}
			case form == FormExact:
				if !bytes.Equal(text, mustJSON(v)) {
					t.Fatalf("exact of %s is %s", data, text)
				}
			case form == FormAgeBand:
				if !regexp.MustCompile(`^[\[\],]*("(0-11|12-15|16-17|18\+|unknown)"[\[\],]*)*$`).Match(text) {
					t.Fatalf("%s of %s is %s", form, data, text)
				}
			case form == FormInitials:
				for _, part := range strings.Split(strings.TrimSuffix(fmt.Sprint(got), "."), ".") {
					if utf8.RuneCountInString(part) != 1 {
						t.Fatalf("initials of %s are %s", data, text)
					}
				}
			case form == FormYear && got == nil:
			case re == nil || !re.Match(text):
				t.Fatalf("%s of %s is %s", form, data, text)
			}
		}
	})
}

// FuzzMinimise: a hostile record, as JSON, never gets more than the granted fields into the answer, and never keeps the
// answer from being made.
func FuzzMinimise(f *testing.F) {
	f.Add([]byte(`{"values":{"persoon.naam.voornamen":"Anne","ggz.diagnose":"x"},"companions":{"persoon.inOnderzoek":{"leeftijd":true}}}`), "exact")
	f.Add([]byte(`{"values":{"persoon.leeftijd":{"a":[1]},"persoon.naam":{"voornamen":"x"}},"companions":{"persoon.naam.inOnderzoek":{"voornamen":true,"datumIngangOnderzoek":{"type":"DatumOnbekend"}}}}`), "initials")
	f.Add([]byte(`{"values":{"":null,".":1,"persoon..":2},"companions":{"persoon":{"x":1},"persoon.naam.voornamen":"x"}}`), "masked")
	f.Fuzz(func(t *testing.T, data []byte, form string) {
		var rec struct{ Values, Companions map[Field]any }
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if d.Decode(&rec) != nil {
			return
		}
		granted := []Field{"persoon.naam.voornamen", "persoon.leeftijd"}
		s := Slice{Subject: "p1", Fields: append([]Field{"persoon.burgerservicenummer"}, granted...), Grants: map[Field]Grant{},
			Refused: map[Field][]Reason{"persoon.burgerservicenummer": {"no-bsn-ground"}}, Record: Record{Values: rec.Values, Companions: rec.Companions}}
		for _, g := range granted {
			s.Grants[g] = Grant{Form(form), "b"}
		}
		body, err := Encode(Heading{ID: "1"}, Minimise(testCatalog(), []Slice{s}, noon))
		if err != nil {
			t.Fatal(err)
		}
		var a answer
		if err := json.Unmarshal(body, &a); err != nil || len(a.Persons) != 1 || len(a.Household) != 0 {
			t.Fatalf("%v: %s", err, body)
		}
		delete(a.Persons[0], "subject")
		for _, g := range granted {
			take(a.Persons[0], g)
		}
		for _, k := range testCatalog().Companions {
			take(a.Persons[0], k.Path)
		}
		if leaves(a.Persons[0]) != 0 {
			t.Fatalf("more than was granted: %s", body)
		}
	})
}

// BenchmarkMinimise, BenchmarkEncode and BenchmarkDisclose: four persons, all fields granted, holders that answer at once.
func BenchmarkMinimise(b *testing.B) {
	s := benchSlices()
	c := testCatalog()
	b.ReportAllocs()
	for b.Loop() {
		_ = Minimise(c, s, noon)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := Minimise(testCatalog(), benchSlices(), noon)
	h := Heading{ID: "1", IssuedAt: noon, Recipient: wijk, Purpose: "ontruiming-voorkomen", Revision: rev1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(h, r); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSlices() []Slice {
	var out []Slice
	for i := range 4 {
		s := Slice{Subject: Subject(fmt.Sprint("p", i+1)), Grants: map[Field]Grant{}, Record: registryRecord(i)}
		for _, f := range testCatalog().Fields {
			if f.Domain == "persoon" {
				s.Fields = append(s.Fields, f.Path)
				s.Grants[f.Path] = Grant{FormExact, "wgs-8"}
			}
		}
		out = append(out, s)
	}
	return out
}

func BenchmarkDisclose(b *testing.B) {
	f := Facts{Revision: rev1, Agency: Agency{OIN: wijk, Kind: "gemeente"}, Relation: Relation{Case: CaseAssigned, Municipality: MunicipalitySame},
		Holders: []Holder{{OIN: rvig, Kind: "rvig", Domains: []Domain{"persoon"}}}}
	for i := range 4 {
		f.Household = append(f.Household, Person{BSN: testBSNs[i], Birth: Date{1980 + i, 2, 3}})
	}
	decide := func(_ Revision, q Query) Decision {
		d := Decision{Grants: map[Field]Grant{}, Refusals: map[Field][]Reason{}}
		for _, f := range q.Fields {
			d.Grants[f] = Grant{FormExact, "wgs-8"}
		}
		return d
	}
	rec := registryRecord(0)
	w := newWorld(b)
	broker, err := New(Config{Opener: ports{w}, Register: fixedRegister{f}, Decider: pureDecider{testCatalog(), decide},
		Sources: fixedSource{funcSource(func(context.Context, Ask) (Record, error) { return rec, nil })},
		Journal: fixedJournal{}, Sealer: fixedJournal{}, Now: func() time.Time { return noon }, NewID: func() RequestID { return "1" }, Rand: zeros{}})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Replace(askPhone, "contact.telefoonnummer", "persoon", 1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := broker.Disclose(context.Background(), Call{Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}
