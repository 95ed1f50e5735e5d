// Package haalcentraal asks the civil registry (BRP) over Haal Centraal BRP personen v2.
//
// A question is RaadpleegMetBurgerservicenummer with exactly the fields asked for, without the prefix "persoon.";
// companions (geheimhoudingPersoonsgegevens, inOnderzoek, …) come by themselves and are never asked. The
// burgerservicenummer itself is asked only where it was granted: an answer is known to be about the right person because
// the question named one and the answer holds one. Where the number is in the answer, it must be the one asked about.
//
// It refuses fields it does not know, answers about no or more persons, values of another type than the field has, and
// everything package source refuses. From gezag it reads which kind of authority there is over the person asked about;
// who else stands in that answer is another data subject and is not read. cmd may import it.
package haalcentraal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// Config says where the registry is.
type Config struct {
	// Endpoint.URL is the base of the API, such as https://host/haalcentraal/api/brp; "/personen" is added. The API key
	// goes into Endpoint.Header (X-API-KEY), the client certificate into Endpoint.TLS.
	Endpoint source.Endpoint
}

// Source implements broker.Source. Make it with New.
type Source struct{ client *source.Client }

const (
	prefix    = "persoon."
	byBSN     = "RaadpleegMetBurgerservicenummer"
	maxFields = 130
)

// New makes a source. It does not connect.
func New(c Config) (*Source, error) {
	c.Endpoint.URL = strings.TrimSuffix(c.Endpoint.URL, "/") + "/personen"
	client, err := source.NewClient(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("haal centraal: %w", err)
	}
	return &Source{client: client}, nil
}

// Key implements broker.Source.
func (s *Source) Key() broker.KeyKind { return broker.KeyBSN }

// question is the body of the request.
type question struct {
	Type   string   `json:"type"`
	BSN    []string `json:"burgerservicenummer"`
	Fields []string `json:"fields"`
}

// Fetch implements broker.Source.
func (s *Source) Fetch(ctx context.Context, a broker.Ask) (broker.Record, error) {
	rec, err := s.fetch(ctx, a)
	if err != nil {
		return broker.Record{}, fmt.Errorf("fetch from civil registry: %w", err)
	}
	return rec, nil
}

func (s *Source) fetch(ctx context.Context, a broker.Ask) (broker.Record, error) {
	if a.BSN == "" || a.Identity != nil {
		return broker.Record{}, fmt.Errorf("it is asked by BSN: %w", source.FailQuestion)
	}
	if len(a.Fields) == 0 || len(a.Fields) > maxFields {
		return broker.Record{}, fmt.Errorf("ask 1 to %d fields: %w", maxFields, source.FailQuestion)
	}
	q := question{Type: byBSN, BSN: []string{a.BSN.Reveal()}}
	for _, f := range a.Fields {
		path, ok := strings.CutPrefix(string(f), prefix)
		if !ok || kindOf(path) == nil {
			return broker.Record{}, fmt.Errorf("it does not hold every field asked; check the catalog: %w", source.FailQuestion)
		}
		q.Fields = append(q.Fields, path)
	}
	body, err := json.Marshal(q)
	if err != nil {
		return broker.Record{}, errors.Join(errors.New("encode question"), source.FailQuestion)
	}
	answer, err := s.client.Post(ctx, source.Question{
		Body: body, RequestID: a.RequestID, Trace: a.Trace,
		Codes: []string{"paramsValidation", "unauthorizedField", "unauthorizedParameter", "tooManyResults", "authentication",
			"authorization", "notAcceptable", "unsupportedMediaType", "methodNotAllowed", "notFound", "serverError", "serviceUnavailable"},
	})
	if err != nil {
		return broker.Record{}, err
	}
	return read(answer, a.BSN, q.Fields)
}

// read maps an answer to a record about the person asked for.
func read(answer map[string]any, bsn broker.BSN, fields []string) (broker.Record, error) {
	if answer["type"] != byBSN {
		return broker.Record{}, fmt.Errorf("answer of another type than asked: %w", source.FailType)
	}
	list, ok := answer["personen"].([]any)
	switch {
	case !ok:
		return broker.Record{}, fmt.Errorf("answer without personen: %w", source.FailType)
	case len(list) == 0:
		return broker.Record{}, fmt.Errorf("no such person: %w", source.FailUnknown)
	case len(list) > 1:
		return broker.Record{}, fmt.Errorf("more persons than asked for: %w", source.FailOtherPerson)
	}
	person, ok := list[0].(map[string]any)
	if !ok {
		return broker.Record{}, fmt.Errorf("personen[0] is not an object: %w", source.FailType)
	}
	if number, there := person["burgerservicenummer"]; there && number != bsn.Reveal() {
		return broker.Record{}, fmt.Errorf("answer about another person: %w", source.FailOtherPerson)
	}
	r := broker.Record{Values: map[broker.Field]any{}, Companions: map[broker.Field]any{}}
	for _, path := range fields {
		v, there, err := source.At(person, path)
		if err != nil {
			return broker.Record{}, fmt.Errorf("read %s: %w", path, err)
		}
		if path == "burgerservicenummer" && !there {
			return broker.Record{}, fmt.Errorf("read %s: asked for and not given: %w", path, source.FailOtherPerson)
		}
		if !there {
			continue
		}
		if v, err = kindOf(path)(v, bsn); err != nil {
			return broker.Record{}, fmt.Errorf("read %s: %w", path, err)
		}
		if v != nil {
			r.Values[broker.Field(prefix+path)] = v
		}
	}
	if err := companions(&r, person, fields); err != nil {
		return broker.Record{}, err
	}
	return r, stricter(&r, person)
}

// stricter reads what may be stricter than what the register knew.
func stricter(r *broker.Record, person map[string]any) error {
	r.Restricted = r.Companions[prefix+secrecy] == true
	if reason, there, err := source.At(person, suspension+".reden.code"); err != nil {
		return fmt.Errorf("read %s: %w", suspension, err)
	} else if there && reason == "O" {
		r.Deceased = true
	}
	if _, there := person["overlijden"].(map[string]any); there {
		r.Deceased = true
	}
	birth, there, err := source.At(person, "geboorte.datum")
	if err == nil && there {
		r.Birth, err = dateOf(birth)
	}
	if err != nil {
		return fmt.Errorf("read geboorte.datum: %w", err)
	}
	return nil
}
