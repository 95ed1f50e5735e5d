package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/schakel/schakel/broker"
)

const (
	revision  = broker.Revision("3f0d7a2b9c1e4d5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7")
	signature = "eyJhbGciOiJFUzI1NiJ9..c2lnbmF0dXJl"
	compact   = "eyJhbGciOiJFUzI1NiJ9.eyJpZCI6IjEifQ.c2lnbmF0dXJl"
	question  = `{"household":{"case":"zaak-1"},"purpose":"ontruiming-voorkomen","fields":["huur.achterstand.bedrag"]}`
	canary    = "999993653" // a fictitious BSN: it may be in a request, and nowhere else
)

// fakeBroker answers what a test tells it to, and keeps what it was called with.
type fakeBroker struct {
	disclose func(ctx context.Context, call broker.Call) (broker.Envelope, error)
	catalog  func() (*broker.Catalog, broker.Revision, error)

	mu    sync.Mutex
	calls []broker.Call
}

func (f *fakeBroker) Disclose(ctx context.Context, call broker.Call) (broker.Envelope, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	return f.disclose(ctx, call)
}

func (f *fakeBroker) Catalog() (*broker.Catalog, broker.Revision, error) { return f.catalog() }

func (f *fakeBroker) last(t *testing.T) broker.Call {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("the broker was not called")
	}
	return f.calls[len(f.calls)-1]
}

func (f *fakeBroker) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// Answers as package broker makes them: the very bytes.

func answers(refusal bool) func(context.Context, broker.Call) (broker.Envelope, error) {
	return func(_ context.Context, call broker.Call) (broker.Envelope, error) {
		field := broker.Field("huur.achterstand.bedrag")
		s := []broker.Slice{
			{Subject: broker.Household, Fields: []broker.Field{field},
				Grants:  map[broker.Field]broker.Grant{field: {Form: broker.FormExact, Basis: "wgs-8"}},
				Refused: map[broker.Field][]broker.Reason{"ggz.behandelaar.contact": {"release-missing"}},
				Record:  broker.Record{Values: map[broker.Field]any{field: json.Number("1840.50")}}},
			{Subject: "p1", Fields: []broker.Field{"contact.telefoonnummer"},
				Grants:  map[broker.Field]broker.Grant{"contact.telefoonnummer": {Form: broker.FormMasked, Basis: "wgs-8"}},
				Missing: map[broker.Field]broker.OIN{"contact.telefoonnummer": "00000001821002193000"}},
		}
		encode := broker.Encode
		if refusal {
			s[0].Grants, s[1].Grants = nil, nil
			s[0].Refused[field] = []broker.Reason{"no-relation"}
			encode = broker.EncodeRefusal
		}
		h := broker.Heading{ID: "01976f2e-6c3a-7d41-9b52-0f6c8a1e2d34", IssuedAt: time.Unix(1772442904, 12e7),
			Recipient: "00000001821002193000", Purpose: "ontruiming-voorkomen", Revision: revision,
			Obligations: []broker.Obligation{"inform-household"}, Language: call.Language}
		body, err := encode(h, broker.Minimise(catalog(), s, h.IssuedAt))
		e := broker.Envelope{ID: h.ID, Refusal: refusal, Body: body, Signature: signature,
			Summary: broker.Summary{Role: "wijkteammedewerker", Purpose: h.Purpose, Granted: 2, Withheld: 1, Unavailable: 1, Asked: 2, Tries: 1}}
		if call.Compact {
			e.Body, e.Signature, e.Compact = []byte(compact), "", true
		}
		return e, err
	}
}

func fails(err error) func(context.Context, broker.Call) (broker.Envelope, error) {
	return func(context.Context, broker.Call) (broker.Envelope, error) { return broker.Envelope{}, err }
}

func catalog() *broker.Catalog {
	text := broker.Text{NL: "Tekst <&>", EN: "Text"}
	term := func(ids ...string) (out []broker.Term) {
		for _, id := range ids {
			out = append(out, broker.Term{ID: id, Text: text})
		}
		return out
	}
	return &broker.Catalog{
		Fields: []broker.FieldInfo{
			{Path: "huur.achterstand.bedrag", Label: text, Class: broker.ClassSensitive, Forms: []broker.Form{broker.FormExact, broker.FormAmountBand},
				Subject: broker.SubjectHousehold, Domain: "huur", Holders: []broker.AgencyKind{"woningcorporatie"}},
			{Path: "contact.telefoonnummer", Label: text, Class: broker.ClassOrdinary, Subject: broker.SubjectPerson, Domain: "contact"},
			{Path: "huishouden.minderjarigenAanwezig", Label: text, Class: broker.ClassOrdinary, Forms: []broker.Form{broker.FormYesNo},
				Subject: broker.SubjectHousehold, Domain: "huishouden", Holders: []broker.AgencyKind{"register"}},
		},
		AgencyKinds: []broker.KindInfo{{ID: "woningcorporatie", Text: text, BSN: broker.BSNNever}},
		Roles:       term("wijkteammedewerker"),
		Purposes:    term("ontruiming-voorkomen"),
		Reasons:     term("release-missing", "no-relation"),
	}
}

// site is a gateway on a real socket.
type site struct {
	*fakeBroker
	gateway *Gateway
	server  *httptest.Server
	log     *lockedBuffer
	metrics *prometheus.Registry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSite(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	s := &site{fakeBroker: &fakeBroker{disclose: answers(false)}, log: &lockedBuffer{}, metrics: prometheus.NewRegistry()}
	c := catalog()
	s.catalog = func() (*broker.Catalog, broker.Revision, error) { return c, revision, nil }
	cfg := Config{
		Broker: s.fakeBroker,
		JWKS: func() []byte {
			return []byte(`{"keys":[{"kty":"OKP","kid":"a","alg":"EdDSA","crv":"Ed25519","x":"AA"}]}`)
		},
		Log:     slog.New(slog.NewJSONHandler(s.log, nil)),
		Metrics: s.metrics,
		Version: "test",
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if s.gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewUnstartedServer(nil)
	s.server.Config = s.gateway.Server("")
	if cfg.TLS != nil {
		s.server.TLS = s.server.Config.TLSConfig
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	return s
}

// request makes a good disclosure request; change spoils it.
func (s *site) request(t *testing.T, method, path, body string, change ...func(*http.Request)) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+path, b)
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Authorization", "Bearer a.b.c")
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(r)
	}
	return r
}

type reply struct {
	*http.Response
	body []byte
}

// do sends a request and holds the answer against the OpenAPI document: every answer of every test.
func (s *site) do(t *testing.T, r *http.Request) reply {
	t.Helper()
	res, err := s.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{res, body}
	if err := contractOf(t).check(r.Method, r.URL.Path, got); err != nil {
		t.Errorf("%s %s: the answer is not as the OpenAPI document says: %v\n%.500s", r.Method, r.URL.Path, err, body)
	}
	return got
}

func (s *site) ask(t *testing.T, change ...func(*http.Request)) reply {
	t.Helper()
	return s.do(t, s.request(t, http.MethodPost, "/v1/disclosures", question, change...))
}

func (s *site) get(t *testing.T, path string, change ...func(*http.Request)) reply {
	t.Helper()
	return s.do(t, s.request(t, http.MethodGet, path, "", change...))
}

func with(key string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(key)] = values }
}

func (r reply) problem(t *testing.T) problem {
	t.Helper()
	var p problem
	if ct := r.Header.Get("Content-Type"); ct != typeProblem {
		t.Fatalf("Content-Type %q, not a problem: %s", ct, r.body)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != r.StatusCode {
		t.Errorf("the problem says %d, the status line %d", p.Status, r.StatusCode)
	}
	return p
}

// wants checks status and code.
func (r reply) wants(t *testing.T, status int, code string) problem {
	t.Helper()
	p := r.problem(t)
	if p.Status != status || p.Code != code {
		t.Fatalf("got %d %s, want %d %s", p.Status, p.Code, status, code)
	}
	return p
}

// events are the log events so far; it waits for n of them, since one is written after its answer.
func (s *site) events(t *testing.T, n int) []map[string]any {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		var out []map[string]any
		d := json.NewDecoder(strings.NewReader(s.log.String()))
		for {
			var e map[string]any
			if err := d.Decode(&e); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			out = append(out, e)
		}
		if len(out) >= n {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d log events, want %d", len(out), n)
		}
	}
}
