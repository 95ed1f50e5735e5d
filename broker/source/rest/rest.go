// Package rest asks a holder that speaks plain JSON over HTTP, by configuration: an address, the key it is asked by, and
// what it calls each field.
//
// A question is a POST, so that no personal data stands in a URL. Its body is one object: the key, spread out, and the
// holder's own names of exactly the fields asked for:
//
//	{"bsn":"…", "fields":["achterstand.bedrag"]}
//	{"voornamen":"…", "voorvoegsel":"…", "geslachtsnaam":"…", "geboortedatum":"YYYYMMDD",
//	 "adresregel1":"…", "adresregel2":"…", "fields":[…]}
//
// The answer is 200 and one object in which each name is a dotted path: {"achterstand":{"bedrag":120.5}}. What the holder
// has no value for is absent or null; someone it does not know gets {}. A holder may echo the key, or parts of it, under
// the same names; an echo that differs is an answer about someone else and is refused as a whole. Only asked fields are
// read; each is a single value of its configured type, so that nothing can ride along inside it.
//
// It refuses mappings that could read the key as a value, and everything package source refuses. cmd may import it.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// Field is what a holder calls a field, and what it holds.
type Field struct {
	Name string      // dotted path in the answer, and the word in the question
	Type source.Type // what stands there
}

// Config describes one holder.
type Config struct {
	Endpoint source.Endpoint
	Key      broker.KeyKind // bsn or identity
	Fields   map[broker.Field]Field
}

// Source implements broker.Source. Make it with New.
type Source struct {
	client *source.Client
	key    broker.KeyKind
	fields map[broker.Field]Field
}

// New checks the configuration and makes a source. It does not connect.
func New(c Config) (*Source, error) {
	if c.Key != broker.KeyBSN && c.Key != broker.KeyIdentity {
		return nil, fmt.Errorf("rest source: key %q is not bsn or identity", c.Key)
	}
	if len(c.Fields) == 0 {
		return nil, errors.New("rest source: no fields mapped; add fields")
	}
	names := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(c.Fields)) {
		f := c.Fields[path]
		switch {
		case !validName(f.Name):
			return nil, fmt.Errorf("rest source: field %s: name %q is not a dotted path of letters, digits, - and _", path, f.Name)
		case reserved(f.Name):
			return nil, fmt.Errorf("rest source: field %s: name %q is part of the question itself", path, f.Name)
		case names[f.Name]:
			return nil, fmt.Errorf("rest source: field %s: name %q is mapped twice", path, f.Name)
		case !slices.Contains([]source.Type{source.TypeText, source.TypeNumber, source.TypeFlag, source.TypeDate}, f.Type):
			return nil, fmt.Errorf("rest source: field %s: type %q is not text, number, flag or date", path, f.Type)
		}
		names[f.Name] = true
	}
	client, err := source.NewClient(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("rest source: %w", err)
	}
	return &Source{client: client, key: c.Key, fields: maps.Clone(c.Fields)}, nil
}

// Key implements broker.Source.
func (s *Source) Key() broker.KeyKind { return s.key }

// Fetch implements broker.Source.
func (s *Source) Fetch(ctx context.Context, a broker.Ask) (broker.Record, error) {
	rec, err := s.fetch(ctx, a)
	if err != nil {
		return broker.Record{}, fmt.Errorf("fetch from holder: %w", err)
	}
	return rec, nil
}

func (s *Source) fetch(ctx context.Context, a broker.Ask) (broker.Record, error) {
	key, err := s.keyOf(a)
	if err != nil {
		return broker.Record{}, err
	}
	names := make([]string, 0, len(a.Fields))
	for _, path := range a.Fields {
		f, ok := s.fields[path]
		if !ok {
			return broker.Record{}, fmt.Errorf("no mapping for %s; add it to the holder's fields: %w", path, source.FailQuestion)
		}
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return broker.Record{}, fmt.Errorf("no fields asked: %w", source.FailQuestion)
	}
	question := map[string]any{"fields": names}
	for k, v := range key {
		question[k] = v
	}
	body, err := json.Marshal(question)
	if err != nil {
		return broker.Record{}, fmt.Errorf("encode question: %w", source.FailQuestion)
	}
	answer, err := s.client.Post(ctx, source.Question{Body: body, RequestID: a.RequestID, Trace: a.Trace})
	if err != nil {
		return broker.Record{}, err
	}
	return s.read(answer, key, a.Fields)
}

// keyOf gives the key as it stands in the question. An ask with another key than this holder may have is refused here
// too, whatever asked for it: a BSN must not reach a holder without a ground.
func (s *Source) keyOf(a broker.Ask) (map[string]string, error) {
	switch {
	case s.key == broker.KeyBSN && a.BSN != "" && a.Identity == nil:
		return map[string]string{"bsn": a.BSN.Reveal()}, nil
	case s.key == broker.KeyIdentity && a.BSN == "" && a.Identity != nil:
		data, err := json.Marshal(a.Identity)
		key := map[string]string{}
		if err == nil {
			err = json.Unmarshal(data, &key)
		}
		if err != nil {
			return nil, fmt.Errorf("encode key: %w", source.FailQuestion)
		}
		return key, nil
	}
	return nil, fmt.Errorf("this holder is asked by %s: %w", s.key, source.FailQuestion)
}

func (s *Source) read(answer map[string]any, key map[string]string, asked []broker.Field) (broker.Record, error) {
	for _, name := range keyNames() {
		if echo, there := answer[name]; there && echo != nil && echo != key[name] {
			return broker.Record{}, fmt.Errorf("answer about another person: %w", source.FailOtherPerson)
		}
	}
	r := broker.Record{Values: map[broker.Field]any{}}
	for _, path := range asked {
		f := s.fields[path]
		v, there, err := source.At(answer, f.Name)
		if err == nil && there {
			err = f.Type.Check(v)
		}
		if err != nil {
			return broker.Record{}, fmt.Errorf("read %s: %w", path, err)
		}
		if there {
			r.Values[path] = v
		}
	}
	return r, nil
}

// keyNames are the words a key is written in, in question and echo.
func keyNames() []string {
	return []string{"bsn", "voornamen", "voorvoegsel", "geslachtsnaam", "geboortedatum", "adresregel1", "adresregel2"}
}

func reserved(name string) bool {
	first, _, _ := strings.Cut(name, ".")
	return first == "fields" || slices.Contains(keyNames(), first)
}

func validName(name string) bool {
	if name == "" || len(name) > 200 {
		return false
	}
	for step := range strings.SplitSeq(name, ".") {
		if step == "" || strings.ContainsFunc(step, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}
