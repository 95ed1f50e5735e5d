package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/schakel/schakel/broker"
)

// TestMain demands, after a whole run, that every answer the OpenAPI document promises was given by some test.
func TestMain(m *testing.M) {
	code := m.Run()
	if missing := unseen(); code == 0 && !filtered() && len(missing) > 0 {
		fmt.Println("documented answers that no test produced:\n  " + strings.Join(missing, "\n  "))
		code = 1
	}
	os.Exit(code)
}

func filtered() bool {
	return slices.ContainsFunc(os.Args, func(a string) bool {
		return (strings.HasPrefix(a, "-test.run=") && a != "-test.run=") || strings.HasPrefix(a, "-test.fuzz") ||
			strings.HasPrefix(a, "-test.skip") || strings.HasPrefix(a, "-test.list")
	})
}

func unseen() (out []string) {
	c, err := loadContract()
	if err != nil {
		return []string{err.Error()}
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			for status := range op.(map[string]any)["responses"].(map[string]any) {
				n := 0
				_, _ = fmt.Sscan(status, &n)
				pointer, res := c.response(strings.ToUpper(method), path, n)
				content := c.at(res, "content")
				if content == nil {
					content = map[string]any{"": nil}
				}
				for mediaType := range content {
					if key := strings.TrimSpace(pointer + " " + status + " " + mediaType); !c.seen[key] && !slices.Contains(out, key) {
						out = append(out, key)
					}
				}
			}
		}
	}
	sort.Strings(out)
	return out
}

func TestDisclosureLeavesAsSigned(t *testing.T) {
	s := newSite(t)
	var made broker.Envelope
	s.disclose = func(ctx context.Context, call broker.Call) (broker.Envelope, error) {
		var err error
		made, err = answers(false)(ctx, call)
		return made, err
	}
	got := s.ask(t, with("Idempotency-Key", `"k-1"`), with("Accept-Language", "en"))
	if got.StatusCode != 200 || string(got.body) != string(made.Body) {
		t.Errorf("%d, body\n%s\nwas signed as\n%s", got.StatusCode, got.body, made.Body)
	}
	if got.Header.Get("Payload-Signature") != signature || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", got.Header)
	}
	call := s.last(t)
	if call.Token != "a.b.c" || string(call.Body) != question || call.Language != "en" || call.Compact || call.IdempotencyKey != `"k-1"` {
		t.Errorf("the broker was called with %+v", call)
	}
}

func TestRefusalIsSignedToo(t *testing.T) {
	s := newSite(t)
	s.disclose = answers(true)
	for language, title := range map[string]string{"nl": "Er is niets verstrekt", "en": "Nothing was disclosed"} {
		got := s.ask(t, with("Accept-Language", language))
		var body struct{ Title, Code string }
		if err := json.Unmarshal(got.body, &body); err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != 403 || got.Header.Get("Content-Type") != typeProblem || got.Header.Get("Payload-Signature") != signature ||
			got.Header.Get("Content-Language") != language || body.Title != title || body.Code != broker.CodeRefused {
			t.Errorf("%s: %d %v\n%s", language, got.StatusCode, got.Header, got.body)
		}
	}
}

func TestCompact(t *testing.T) {
	for refusal, status := range map[bool]int{false: 200, true: 403} {
		s := newSite(t)
		s.disclose = answers(refusal)
		got := s.ask(t, with("Accept", "application/jose"))
		if got.StatusCode != status || got.Header.Get("Content-Type") != typeJOSE || string(got.body) != compact {
			t.Errorf("refusal %v: %d %v\n%s", refusal, got.StatusCode, got.Header, got.body)
		}
		if _, there := got.Header["Payload-Signature"]; there || !s.last(t).Compact {
			t.Error("a compact answer has no second signature, and the broker must know it is wanted")
		}
		if got.Header.Get("Content-Language") != "" {
			t.Error("a JWS has no language")
		}
	}
}

func TestFailuresBecomeProblems(t *testing.T) {
	secret := errors.New("pq: household " + canary + " of P. Puk")
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   string
		header string
		value  string
	}{
		{"malformed", broker.Fail(broker.KindInvalid, "json-malformed", secret), 400, "json-malformed", "", ""},
		{"token", broker.Fail(broker.KindUnauthenticated, "token-expired", secret), 401, "token-expired", "WWW-Authenticate", `Bearer realm="schakel", error="invalid_token", DPoP realm="schakel", algs="ES256 PS256 EdDSA"`},
		{"token too large", broker.Fail(broker.KindTooLarge, "token-too-large", secret), 401, "token-too-large", "WWW-Authenticate", `Bearer realm="schakel", error="invalid_token", DPoP realm="schakel", algs="ES256 PS256 EdDSA"`},
		{"busy", broker.Fail(broker.KindBusy, "too-many-requests", secret), 429, "too-many-requests", "Retry-After", "1"},
		{"journal", broker.Fail(broker.KindUnavailable, "journal-unavailable", secret), 503, "journal-unavailable", "Retry-After", "1"},
		{"policy", broker.Fail(broker.KindUnavailable, "no-policy", secret), 503, "no-policy", "Retry-After", "30"},
		{"wrapped", fmt.Errorf("x: %w", broker.Fail(broker.KindUnavailable, "register-behind", secret)), 503, "register-behind", "Retry-After", "2"},
		{"internal", broker.Fail(broker.KindInternal, "internal", secret), 500, "internal", "", ""},
		{"internal with a code", broker.Fail(broker.KindInternal, "policy-result-malformed", secret), 500, "internal", "", ""},
		{"internal under a code of another kind", broker.Fail(broker.KindInternal, "no-policy", secret), 500, "internal", "", ""},
		{"code not in the table", broker.Fail(broker.KindInvalid, "made-up", secret), 500, "internal", "", ""},
		{"no *broker.Error", secret, 500, "internal", "", ""},
		{"deadline", broker.Fail(broker.KindInternal, "internal", context.DeadlineExceeded), 503, "timeout", "Retry-After", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.disclose = fails(c.err)
			got := s.ask(t)
			p := got.wants(t, c.status, c.code)
			if strings.Contains(string(got.body), canary) || strings.Contains(string(got.body), "Puk") {
				t.Errorf("the cause went out: %s", got.body)
			}
			if c.header != "" && got.Header.Get(c.header) != c.value {
				t.Errorf("%s is %q, want %q", c.header, got.Header.Get(c.header), c.value)
			}
			if p.InvalidParams != nil || got.Header.Get("Payload-Signature") != "" {
				t.Errorf("more than a problem: %s %v", got.body, got.Header)
			}
		})
	}
}

func TestEveryInvalidParameterIsNamed(t *testing.T) {
	s := newSite(t)
	s.disclose = func(_ context.Context, call broker.Call) (broker.Envelope, error) {
		_, err := broker.ReadRequest(call.Body, broker.Caller{}, catalog(), false) // the real reader
		return broker.Envelope{}, err
	}
	r := s.request(t, http.MethodPost, "/v1/disclosures",
		`{"household":{"bsn":"`+canary+`"},"purpose":"x","fields":["nee"],"onRefusal":"ja","`+canary+`":1}`, with("Accept-Language", "en"))
	got := s.do(t, r)
	p := got.wants(t, 400, "parameters-invalid")
	var have []string
	for _, q := range p.InvalidParams {
		have = append(have, q.Name+" "+q.Code)
		if !strings.HasSuffix(q.Reason, ".") {
			t.Errorf("%s has the reason %q", q.Name, q.Reason)
		}
	}
	want := []string{"? unknown-key", "household.bsn no-bsn-ground", "purpose unknown-purpose", "fields[0] unknown-field", "onRefusal unknown-value"}
	if !slices.Equal(have, want) {
		t.Errorf("invalid %v, want %v", have, want)
	}
	if strings.Contains(string(got.body), canary) {
		t.Errorf("a BSN came back: %s", got.body)
	}
	s.disclose = fails(&broker.Error{Kind: broker.KindInvalid, Code: "parameters-invalid", Params: []broker.Param{{Name: "x", Code: "made-up"}}})
	if p := s.ask(t).problem(t); p.InvalidParams[0].Code != "invalid" || p.InvalidParams[0].Reason == "" {
		t.Errorf("an unknown param code became %+v", p.InvalidParams)
	}
}

// A household that does not exist and one that may not be known get one and the same envelope from the broker. Nothing of
// the question may make a difference to what leaves or is logged.
func TestUnknownAndForbiddenLookAlike(t *testing.T) {
	s := newSite(t)
	s.disclose = answers(true)
	ask := func(household string) reply {
		got := s.do(t, s.request(t, http.MethodPost, "/v1/disclosures", strings.Replace(question, `{"case":"zaak-1"}`, household, 1)))
		got.Header.Del("Date")
		got.Header.Del("Traceresponse")
		return got
	}
	unknown, forbidden := ask(`{"bsn":"`+canary+`"}`), ask(`{"case":"een-ander-dossier"}`)
	if unknown.StatusCode != forbidden.StatusCode || string(unknown.body) != string(forbidden.body) ||
		mustJSON(t, unknown.Header) != mustJSON(t, forbidden.Header) {
		t.Error("two refusals differ")
	}
	e := s.events(t, 2)
	for _, k := range []string{"time", "duration_ms", "trace_id", "span_id"} {
		delete(e[0], k)
		delete(e[1], k)
	}
	if mustJSON(t, e[0]) != mustJSON(t, e[1]) {
		t.Errorf("their log events differ: %v %v", e[0], e[1])
	}
}

func TestPanicIsA500WithoutDetail(t *testing.T) {
	s := newSite(t)
	s.disclose = func(context.Context, broker.Call) (broker.Envelope, error) { panic("BSN " + canary) }
	got := s.ask(t)
	got.wants(t, 500, "internal")
	e := s.events(t, 1)[0]
	if stack := fmt.Sprint(e["panic_in"]); !strings.Contains(stack, "TestPanicIsA500WithoutDetail.func1") || e["level"] != "ERROR" {
		t.Errorf("the event does not say where it panicked: %v", e)
	}
	if strings.Contains(s.log.String()+string(got.body), canary) {
		t.Error("the value of the panic leaked")
	}
	s.disclose = answers(false)
	if got := s.ask(t); got.StatusCode != 200 {
		t.Error("it does not serve on after a panic")
	}
}

func TestPanicAfterTheFirstByteBreaksTheConnection(t *testing.T) {
	s := newSite(t)
	s.gateway.router.GET("/half", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(make([]byte, 10000))
		panic(canary)
	}))
	res, err := s.server.Client().Do(s.request(t, http.MethodGet, "/half", ""))
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks like a whole one")
	}
	if e := s.events(t, 1); len(e) != 1 || e[0]["panic_in"] == nil || strings.Contains(s.log.String(), canary) {
		t.Errorf("events %v", e)
	}
}

func TestRequestTimeout(t *testing.T) {
	s := newSite(t, func(c *Config) { c.RequestTimeout = 20 * time.Millisecond })
	s.disclose = func(ctx context.Context, _ broker.Call) (broker.Envelope, error) {
		<-ctx.Done()
		return broker.Envelope{}, broker.Fail(broker.KindInternal, "internal", ctx.Err())
	}
	s.ask(t).wants(t, 503, "timeout")
}

func TestClientThatHangsUp(t *testing.T) {
	s := newSite(t)
	started, ended := make(chan struct{}), make(chan error, 1)
	s.disclose = func(ctx context.Context, _ broker.Call) (broker.Envelope, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return broker.Envelope{}, broker.Fail(broker.KindInternal, "internal", ctx.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := s.request(t, http.MethodPost, "/v1/disclosures", question).WithContext(ctx)
	go func() {
		<-started
		cancel()
	}()
	if res, err := s.server.Client().Do(r); err == nil {
		_ = res.Body.Close()
		t.Fatal("there was an answer")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the broker saw %v", err)
	}
	if e := s.events(t, 1)[0]; e["unsent"] != true || e["level"] == "ERROR" {
		t.Errorf("event %v", e)
	}
}

// Requests at the same time must not mix: each gets the answer to its own key.
func TestConcurrency(t *testing.T) {
	s := newSite(t)
	s.disclose = func(_ context.Context, call broker.Call) (broker.Envelope, error) {
		switch call.IdempotencyKey[0] {
		case '0':
			return broker.Envelope{}, broker.Fail(broker.KindUnavailable, "no-policy", nil)
		case '1':
			panic("x")
		}
		return broker.Envelope{Body: []byte(call.IdempotencyKey + call.SpanID), Signature: signature}, nil
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			key := fmt.Sprintf("%d-%d", i%3, i)
			r := s.request(t, http.MethodPost, "/v1/disclosures", question, with("Idempotency-Key", key))
			res, err := s.server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = res.Body.Close() }()
			var b [200]byte
			n, _ := res.Body.Read(b[:])
			want := map[int]int{0: 503, 1: 500, 2: 200}[i%3]
			if res.StatusCode != want {
				t.Errorf("%s got %d", key, res.StatusCode)
			}
			if span := strings.Split(res.Header.Get("Traceresponse"), "-")[2]; want == 200 && string(b[:n]) != key+span {
				t.Errorf("%s got %s", key, b[:n])
			}
		}()
	}
	wg.Wait()
	if n := len(s.events(t, 60)); n != 60 {
		t.Errorf("%d log events for 60 requests", n)
	}
}
