// Package sourcetest is what every source must pass: it asks for what it is told and nothing more, and a holder that
// lies, stalls or breaks gets nothing past it.
//
// A source's own test describes its protocol and calls Run. Only tests may import this package.
package sourcetest

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

// Protocol describes the source under test and how its holder speaks.
type Protocol struct {
	// New makes the source, asking at this endpoint. Endpoint.URL has no path yet.
	New func(e source.Endpoint) (broker.Source, error)
	// Path is where it asks.
	Path string
	// Ask is an honest question for two fields or more; Wrong are questions with the other key, an unknown field or no
	// field: they must fail without the holder hearing of it.
	Ask   broker.Ask
	Wrong []broker.Ask
	// Names are the holder's words for Ask.Fields, in the same order; Asked reads them from a question.
	Names []string
	Asked func(question map[string]any) []string
	// Good is an honest answer, and Want what is read from it. Extra is Good with more than was asked: Want as well.
	Good  string
	Want  broker.Record
	Extra string
	// Nothing is an honest answer about someone of whom the holder has none of the values.
	Nothing string
	// Other are answers about another person or more than one; Mistyped have a value of another type.
	Other    []string
	Mistyped []string
	// Personal are values about the person in Ask and in the answers above: none may be in an error.
	Personal []string
}

// held is a holder for one subtest: it answers as told and remembers the questions.
type held struct {
	*httptest.Server
	mu        sync.Mutex
	questions []question
}

type question struct {
	method, uri string
	header      http.Header
	body        []byte
}

func holder(t *testing.T, answer http.HandlerFunc) *held {
	t.Helper()
	h := &held{}
	h.Server = httptest.NewServer(h.handler(answer))
	t.Cleanup(h.Close)
	return h
}

func (h *held) handler(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.questions = append(h.questions, question{r.Method, r.RequestURI, r.Header.Clone(), body})
		h.mu.Unlock()
		answer(w, r)
	})
}

func (h *held) asked() []question {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.questions)
}

func says(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

func (p Protocol) source(t *testing.T, e source.Endpoint) broker.Source {
	t.Helper()
	if e.Timeout == 0 {
		e.Timeout = 5 * time.Second
	}
	s, err := p.New(e)
	if err != nil {
		t.Fatalf("make source: %v", err)
	}
	return s
}

// refuses asks, and demands an error of this kind without a personal value, and no record.
func (p Protocol) refuses(t *testing.T, s broker.Source, a broker.Ask, want source.Failure) {
	t.Helper()
	rec, err := s.Fetch(t.Context(), a)
	if err == nil {
		t.Fatalf("no error; want %s", want)
	}
	if got := source.FailureOf(err); got != want {
		t.Errorf("failure %q, want %q", got, want)
	}
	for _, v := range p.Personal {
		if strings.Contains(err.Error(), v) {
			t.Errorf("the error holds a personal value")
		}
	}
	if !reflect.DeepEqual(rec, broker.Record{}) {
		t.Errorf("an error came with a record")
	}
}

func (p Protocol) reads(t *testing.T, answer string, want broker.Record) {
	t.Helper()
	h := holder(t, says("application/json; charset=utf-8", answer))
	rec, err := p.source(t, source.Endpoint{URL: h.URL}).Fetch(t.Context(), p.Ask)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(rec.Values, want.Values, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("values %v, want %v", rec.Values, want.Values)
	}
	if !maps.EqualFunc(rec.Companions, want.Companions, func(a, b any) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("companions %v, want %v", rec.Companions, want.Companions)
	}
	if rec.Restricted != want.Restricted || rec.Deceased != want.Deceased || rec.Birth != want.Birth {
		t.Error("stricter facts differ")
	}
}

// Run runs all of it.
func Run(t *testing.T, p Protocol) {
	if len(p.Ask.Fields) < 2 || len(p.Other) == 0 || len(p.Mistyped) == 0 || len(p.Wrong) == 0 || len(p.Personal) == 0 {
		t.Fatal("the protocol is not described completely")
	}
	t.Run("asks", p.asks)
	t.Run("reads", func(t *testing.T) { p.reads(t, p.Good, p.Want) })
	t.Run("reads only what was asked", func(t *testing.T) { p.reads(t, p.Extra, p.Want) })
	t.Run("no value is absent", func(t *testing.T) { p.reads(t, p.Nothing, broker.Record{}) })
	t.Run("concurrently", p.concurrently)
	t.Run("lies", p.lies)
	t.Run("breaks", p.breaks)
	t.Run("certificates", p.certificates)
}
