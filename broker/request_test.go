package broker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func read(body string, bsn bool) (Request, []Param, error) {
	r, err := ReadRequest([]byte(body), Caller{Agency: wijk}, testCatalog(), bsn)
	var e *Error
	if errors.As(err, &e) {
		return r, e.Params, err
	}
	return r, nil, err
}

func TestReadRequest(t *testing.T) {
	r, _, err := read(`{"household":{"case":"c1"},"purpose":"handhaving","fields":["contact","persoon.leeftijd","contact.emailadres"]}`, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Fields); got != "[contact.telefoonnummer contact.emailadres persoon.leeftijd]" {
		t.Errorf("fields %s: groups are expanded in the order asked, without doubles", got)
	}
	if r.Case != "c1" || r.OnRefusal != OnRefusalOmit || r.Household.BSN != "" {
		t.Errorf("the household's case is the working case where none is given, and omit is the rule: %+v", r)
	}
	r, _, err = read(`{"household":{"bsn":"999990007"},"purpose":"handhaving","case":"c2","fields":["contact"],"onRefusal":"fail"}`, true)
	if err != nil || r.Case != "c2" || r.OnRefusal != OnRefusalFail || r.Household.BSN != "999990007" {
		t.Errorf("%+v %v", r, err)
	}
}

// TestWrongParameters: each is named, all at once, and none repeats what was sent.
func TestWrongParameters(t *testing.T) {
	many := `"contact"` + strings.Repeat(`,"contact"`, maxFields)
	for body, want := range map[string]string{
		`{}`: "household required,purpose required,fields required",
		`{"household":{"bsn":"999990007","case":"c"},"purpose":"handhaving","fields":["contact"]}`:                                         "household bsn-or-case",
		`{"household":{},"purpose":"handhaving","fields":["contact"]}`:                                                                     "household bsn-or-case",
		`{"household":{"bsn":"999990008"},"purpose":"handhaving","fields":["contact"]}`:                                                    "household.bsn bsn-invalid",
		`{"household":{"bsn":999990007},"purpose":"handhaving","fields":["contact"]}`:                                                      "household.bsn not-a-string",
		`{"household":{"bsn":null},"purpose":"handhaving","fields":["contact"]}`:                                                           "household.bsn not-a-string",
		`{"household":{"Bsn":"999990007"},"purpose":"handhaving","fields":["contact"]}`:                                                    "household.Bsn unknown-key",
		`{"household":{"999990007":true,"case":"c"},"purpose":"handhaving","fields":["contact"]}`:                                          "household.? unknown-key",
		`{"household":{"case":"c"},"Purpose":"handhaving","fields":["contact"]}`:                                                           "Purpose unknown-key,purpose required",
		`{"household":{"case":"c"},"purpose":"spionage","fields":["contact"]}`:                                                             "purpose unknown-purpose",
		`{"household":{"case":"c"},"purpose":"handhaving","case":"d","fields":["contact"]}`:                                                "case case-differs",
		`{"household":{"case":"c"},"purpose":"handhaving","case":"","fields":["contact"]}`:                                                 "case length",
		`{"household":{"case":"` + strings.Repeat("c", 101) + `"},"purpose":"handhaving","fields":["contact"]}`:                            "household.case length",
		`{"household":{"case":"c"},"purpose":"handhaving","fields":[]}`:                                                                    "fields count",
		`{"household":{"case":"c"},"purpose":"handhaving","fields":[` + many + `]}`:                                                        "fields count",
		`{"household":{"case":"c"},"purpose":"handhaving","fields":"contact"}`:                                                             "fields required",
		`{"household":{"case":"c"},"purpose":"handhaving","fields":["contact",7,"persoon.inOnderzoek","kinderen","","persoon."]}`:          "fields[1] not-a-string,fields[2] companion,fields[3] unknown-field,fields[4] unknown-field,fields[5] unknown-field",
		`{"household":{"case":"c"},"purpose":"handhaving","fields":["contact"],"onRefusal":"Fail"}`:                                        "onRefusal unknown-value",
		`{"household":"999990007","purpose":7,"fields":{},"case":[],"onRefusal":true,"x":1,"` + strings.Repeat("y", 41) + `":1,"a b":"c"}`: "a b: never,",
	} {
		_, params, err := read(body, true)
		var got []string
		for _, p := range params {
			got = append(got, p.Name+" "+p.Code)
		}
		if strings.HasSuffix(want, "never,") {
			if len(got) != 8 || strings.Contains(fmt.Sprint(got), "a b") {
				t.Errorf("got %v: want eight, and no foreign text", got)
			}
			continue
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s:\ngot  %v\nwant %s", body, got, want)
		}
		if err == nil || strings.Contains(fmt.Sprint(err, params), "99999") {
			t.Errorf("%s: %v %v", body, err, params)
		}
	}
	if _, params, _ := read(`{"household":{"bsn":"999990007"},"purpose":"handhaving","fields":["contact"]}`, false); len(params) != 1 || params[0].Code != "no-bsn-ground" {
		t.Errorf("a BSN from an agency without a ground: %v", params)
	}
}

func TestParseObject(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, good := range []string{`{}`, ` {"a":[1,{"b":null}],"A":2} `, deep(maxDepth), `{"n":1e999,"m":` + strings.Repeat("9", 4000) + `}`, `{"é":"\ud83d\ude00"}`} {
		if _, err := ParseObject([]byte(good)); err != nil {
			t.Errorf("%.60s: %v", good, err)
		}
	}
	for _, bad := range []string{``, ` `, `null`, `[]`, `7`, `"a"`, `{`, `{}}`, `{} {}`, `{}x`, `{"a":1,}`, `{"a":[1,]}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":01}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"b":{},"a":2}}`, `{"x":[{"a":1,"a":1}]}`, deep(maxDepth + 1), `{"a":` + strings.Repeat("[", 100000),
		"{\"a\":\"\xff\"}", "{\"\xff\":1,\"\xfe\":2}", `{"a":NaN}`, `{"a":1}//`, "\ufeff{}", `{1:2}`, `{"a":}`, `[}`, `{"a":"b`} {
		_, err := ParseObject([]byte(bad))
		if err == nil {
			t.Errorf("%.60q was read", bad)
		} else if len(err.Error()) > 60 {
			t.Errorf("a long error: %s", err)
		}
	}
}

func TestParseBSN(t *testing.T) {
	for _, good := range testBSNs {
		if _, err := ParseBSN(good.Reveal()); err != nil {
			t.Errorf("%s: %v", good.Reveal(), err)
		}
	}
	for _, bad := range []string{"", "000000000", "99999007", "9999900071", "999990008", "99999000a", "９99990007", "000000001", "-99990007"} {
		if _, err := ParseBSN(bad); err == nil {
			t.Errorf("%q was read", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats %q", bad)
		}
	}
	if _, err := ParseOIN("0000000100000000000a"); err == nil {
		t.Errorf("an OIN with a letter")
	}
}
