package rest

import (
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// FuzzAnswer: whatever a holder answers, what is read is a single value of the configured type of an asked field.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":{"b":1.5},"c":"x","d":true,"e":"2026-01-01"}`, `{"a":null}`, `{"a":1}`, `{"bsn":"999990019"}`, `{"bsn":"999990093"}`,
		`{"a":{"b":1e9}}`, `{"c":["x"]}`, `{"geslachtsnaam":"x"}`, `{"a":{"b":{"b":1}}}`, `[]`, `{"c":"` + "\\u0007" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	s := &Source{key: broker.KeyBSN, fields: map[broker.Field]Field{
		"x.number": {"a.b", source.TypeNumber}, "x.text": {"c", source.TypeText}, "x.flag": {"d", source.TypeFlag}, "x.date": {"e", source.TypeDate},
		"x.unasked": {"z", source.TypeText}}}
	asked := []broker.Field{"x.number", "x.text", "x.flag", "x.date"}
	f.Fuzz(func(t *testing.T, data []byte) {
		obj, err := broker.ParseObject(data)
		if err != nil {
			return
		}
		rec, err := s.read(obj, map[string]string{"bsn": "999990019"}, asked)
		if err != nil {
			if source.FailureOf(err) == "" || len(rec.Values) > 0 {
				t.Fatal("an error without a failure, or with values")
			}
			return
		}
		if echo, ok := obj["bsn"]; ok && echo != nil && echo != "999990019" {
			t.Fatal("read an answer about another person")
		}
		for path, v := range rec.Values {
			if path == "x.unasked" || s.fields[path].Type.Check(v) != nil {
				t.Fatalf("read %s, which was not asked or is not of its type", path)
			}
		}
	})
}
