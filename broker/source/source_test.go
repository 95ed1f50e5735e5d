package source_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

type fake broker.KeyKind

func (f fake) Key() broker.KeyKind { return broker.KeyKind(f) }
func (fake) Fetch(context.Context, broker.Ask) (broker.Record, error) {
	return broker.Record{}, nil
}

func TestSources(t *testing.T) {
	const one, two = broker.OIN("00000099000000010000"), broker.OIN("00000099000000011000")
	s, err := source.New(source.Holder{OIN: one, Source: fake("bsn")}, source.Holder{OIN: two, Source: fake("identity")})
	if err != nil {
		t.Fatal(err)
	}
	var _ broker.Sources = s
	if got, ok := s.Source(two); !ok || got.Key() != broker.KeyIdentity {
		t.Error("a configured holder was not found")
	}
	if _, ok := s.Source("00000099000000012000"); ok {
		t.Error("found a source for a holder that was not configured")
	}
	for want, list := range map[string][]source.Holder{
		"20 digits":           {{OIN: "1", Source: fake("bsn")}},
		"no source":           {{OIN: one}},
		"twice":               {{OIN: one, Source: fake("bsn")}, {OIN: one, Source: fake("bsn")}},
		"not bsn or identity": {{OIN: one, Source: fake("none")}},
	} {
		if _, err := source.New(list...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestFailureOf(t *testing.T) {
	if got := source.FailureOf(fmt.Errorf("fetch: %w", fmt.Errorf("ask: %w", source.FailTimeout))); got != source.FailTimeout {
		t.Errorf("failure %q", got)
	}
	if got := source.FailureOf(errors.New("timeout")); got != "" {
		t.Errorf("failure %q of an error without one", got)
	}
}

func TestEndpoint(t *testing.T) {
	for want, e := range map[string]source.Endpoint{
		"must be verified":   {URL: "https://houder.example", TLS: &tls.Config{InsecureSkipVerify: true}},
		"can't be negative":  {URL: "https://houder.example", Timeout: -1},
		"printable":          {URL: "https://houder.example", Header: map[string]string{"X-API-KEY": "a\nb"}},
		"over an open line":  {URL: "http://127.0.0.1.houder.example/"},
		"over an open line ": {URL: "http://192.0.2.1/"},
		"not a URL":          {URL: ""},
		"not a URL ":         {URL: "https:///personen"},
	} {
		if _, err := source.NewClient(e); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for _, url := range []string{"http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9", "https://houder.example/x"} {
		if _, err := source.NewClient(source.Endpoint{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := source.NewClient(source.Endpoint{URL: "http://houder:9", Plaintext: true}); err != nil {
		t.Error(err)
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		kind source.Type
		v    any
		ok   bool
	}{
		{source.TypeText, "Ünsal", true}, {source.TypeText, "", true}, {source.TypeText, "a\tb", false}, {source.TypeText, nil, false},
		{source.TypeText, strings.Repeat("é", 400), true}, {source.TypeText, strings.Repeat("é", 401), false},
		{source.TypeNumber, json.Number("-12.50"), true}, {source.TypeNumber, json.Number("1E5"), false}, {source.TypeNumber, 12.5, false},
		{source.TypeNumber, json.Number("1234567890123456"), false}, {source.TypeFlag, false, true}, {source.TypeFlag, "false", false},
		{source.TypeDate, "2024-02-29", true}, {source.TypeDate, "2023-02-29", false}, {source.TypeDate, "2024", false},
		{"object", map[string]any{}, false}, {"", "x", false},
	} {
		err := c.kind.Check(c.v)
		if (err == nil) != c.ok || (err != nil && source.FailureOf(err) != source.FailType) {
			t.Errorf("%s of %v: %v", c.kind, c.v, err)
		}
	}
}
