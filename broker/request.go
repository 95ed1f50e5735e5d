package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Request is one question, read and checked: who asks, about which household, for which purpose, which fields.
type Request struct {
	Caller
	ID        RequestID
	Household HouseholdRef
	Purpose   Purpose
	Case      CaseID  // the asker's working case, "" when not given
	Fields    []Field // groups expanded, no duplicates, in the order asked
	OnRefusal OnRefusal
}

// HouseholdRef names a household by one of its members or by a case. One of the two is set.
type HouseholdRef struct {
	BSN  BSN
	Case CaseID
}

// OnRefusal says what the asker wants when a field is refused.
type OnRefusal string

// Closed list of OnRefusal.
const (
	OnRefusalOmit OnRefusal = "omit" // give the rest
	OnRefusalFail OnRefusal = "fail" // give nothing
)

const (
	maxFields = 130
	maxDepth  = 8
)

// ReadRequest reads a request body (application/json):
//
//	{"household":{"bsn":"…"} | {"case":"…"}, "purpose":"…", "case":"…", "fields":["…"], "onRefusal":"omit"|"fail"}
//
// It names every wrong parameter at once in an *Error of KindInvalid. mayHaveBSN tells whether the caller's agency has a
// ground to use a BSN (UAVG 46).
func ReadRequest(body []byte, caller Caller, c *Catalog, mayHaveBSN bool) (Request, error) {
	obj, err := ParseObject(body)
	if err != nil {
		return Request{}, Fail(KindInvalid, "json-malformed", err)
	}
	p := &params{}
	r := Request{Caller: caller, OnRefusal: OnRefusalOmit}
	p.onlyKeys("", obj, "household", "purpose", "case", "fields", "onRefusal")
	r.Household = p.household(obj["household"], mayHaveBSN)
	r.Purpose = Purpose(p.text(obj, "purpose", true))
	if r.Purpose != "" && !HasTerm(c.Purposes, string(r.Purpose)) {
		p.add("purpose", "unknown-purpose")
	}
	r.Case = CaseID(p.text(obj, "case", false))
	switch {
	case r.Household.Case == "":
	case r.Case == "":
		r.Case = r.Household.Case
	case r.Case != r.Household.Case:
		p.add("case", "case-differs")
	}
	r.Fields = p.fields(obj["fields"], c)
	if s := p.text(obj, "onRefusal", false); s != "" {
		r.OnRefusal = OnRefusal(s)
		if r.OnRefusal != OnRefusalOmit && r.OnRefusal != OnRefusalFail {
			p.add("onRefusal", "unknown-value")
		}
	}
	if len(p.wrong) > 0 {
		return Request{}, &Error{Kind: KindInvalid, Code: "parameters-invalid", Params: p.wrong}
	}
	return r, nil
}

// params gathers what is wrong.
type params struct{ wrong []Param }

func (p *params) add(name, code string) { p.wrong = append(p.wrong, Param{Name: name, Code: code}) }

func (p *params) onlyKeys(path string, obj map[string]any, known ...string) {
next:
	for _, k := range sortedKeys(obj) {
		for _, want := range known {
			if k == want {
				continue next
			}
		}
		p.add(path+clip(k), "unknown-key")
	}
}

// clip keeps a foreign key from filling an error. A key that looks like a number is not repeated: it may be a BSN.
func clip(key string) string {
	if len(key) > 40 || key == "" || (key[0] >= '0' && key[0] <= '9') {
		return "?"
	}
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-' {
			return "?"
		}
	}
	return key
}

func (p *params) text(obj map[string]any, key string, required bool) string {
	v, there := obj[key]
	s, isText := v.(string)
	switch {
	case !there && required:
		p.add(key, "required")
	case there && !isText:
		p.add(key, "not-a-string")
	case there && (s == "" || len(s) > 100):
		p.add(key, "length")
		return ""
	}
	return s
}

func (p *params) household(v any, mayHaveBSN bool) HouseholdRef {
	obj, ok := v.(map[string]any)
	if !ok {
		p.add("household", "required")
		return HouseholdRef{}
	}
	before := len(p.wrong)
	p.onlyKeys("household.", obj, "bsn", "case")
	sub := &params{}
	bsn, id := sub.text(obj, "bsn", false), sub.text(obj, "case", false)
	for _, w := range sub.wrong {
		p.add("household."+w.Name, w.Code)
	}
	_, hasBSN := obj["bsn"]
	_, hasCase := obj["case"]
	switch {
	case len(p.wrong) > before:
	case hasBSN == hasCase:
		p.add("household", "bsn-or-case")
	case hasBSN && !mayHaveBSN:
		p.add("household.bsn", "no-bsn-ground")
	case hasBSN:
		parsed, err := ParseBSN(bsn)
		if err != nil {
			p.add("household.bsn", "bsn-invalid")
		}
		return HouseholdRef{BSN: parsed}
	}
	return HouseholdRef{Case: CaseID(id)}
}

func (p *params) fields(v any, c *Catalog) []Field {
	list, ok := v.([]any)
	if !ok {
		p.add("fields", "required")
		return nil
	}
	if len(list) == 0 || len(list) > maxFields {
		p.add("fields", "count")
		return nil
	}
	var out []Field
	seen := map[Field]bool{}
	for i, item := range list {
		name := "fields[" + strconv.Itoa(i) + "]"
		path, ok := item.(string)
		if !ok {
			p.add(name, "not-a-string")
			continue
		}
		if c.IsCompanion(Field(path)) {
			p.add(name, "companion")
			continue
		}
		found := c.Expand(Field(path))
		if len(found) == 0 {
			p.add(name, "unknown-field")
		}
		for _, f := range found {
			if !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// ParseObject reads one JSON object strictly: UTF-8, no duplicate keys at any depth, nothing after it, at most 8 levels
// deep. Keys are compared exactly: "Fields" is not "fields".
// Numbers come as json.Number. Its errors never repeat the input.
func ParseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) { // the decoder would read another text than was sent
		return nil, errors.New("JSON that is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the JSON object")
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return obj, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("not valid JSON near byte %d", d.InputOffset())
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, errors.New("JSON nested too deep")
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, closing(d)
	}
	obj := map[string]any{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("not valid JSON near byte %d", d.InputOffset())
		}
		key, _ := k.(string)
		if _, twice := obj[key]; twice {
			return nil, fmt.Errorf("a key stands twice in one object, near byte %d", d.InputOffset())
		}
		if obj[key], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	return obj, closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("not valid JSON near byte %d", d.InputOffset())
	}
	return nil
}
