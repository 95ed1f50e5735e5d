package sourcetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

func (p Protocol) asks(t *testing.T) {
	h := holder(t, says("application/json", p.Nothing))
	s := p.source(t, source.Endpoint{URL: h.URL, Header: map[string]string{"X-API-KEY": "sleutel"}})
	a := p.Ask
	a.RequestID, a.Trace = "0190f5fe-0000-7000-8000-000000000001", broker.Trace{
		Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "schakel=1"}
	for n := 1; n <= len(a.Fields); n++ { // each first n of the fields: a source that asks more than once shows it
		a.Fields = slices.Clone(p.Ask.Fields[:n])
		if _, err := s.Fetch(t.Context(), a); err != nil && source.FailureOf(err) != source.FailOtherPerson {
			t.Fatal(err) // a person's own number may be missing in an answer with nothing
		}
		all := h.asked()
		if len(all) != n {
			t.Fatalf("%d questions reached the holder, want %d", len(all), n)
		}
		q := all[n-1]
		body, err := broker.ParseObject(q.body)
		if err != nil {
			t.Fatalf("question is not strict JSON: %v", err)
		}
		if got := p.Asked(body); !slices.Equal(got, p.Names[:n]) {
			t.Errorf("asked %v, want %v", got, p.Names[:n])
		}
		if q.method != http.MethodPost || q.uri != p.Path {
			t.Errorf("asked by %s %s, want POST %s", q.method, q.uri, p.Path)
		}
		for name, want := range map[string]string{"X-Api-Key": "sleutel", "X-Request-Id": string(a.RequestID),
			"Traceparent": a.Trace.Parent, "Tracestate": a.Trace.State, "Accept": "application/json"} {
			if got := q.header.Get(name); got != want {
				t.Errorf("header %s is %q, want %q", name, got, want)
			}
		}
		for _, v := range p.Personal {
			for name, values := range q.header {
				if slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, v) }) {
					t.Errorf("header %s holds a personal value", name)
				}
			}
		}
	}
	before := len(h.asked())
	for _, wrong := range p.Wrong {
		p.refuses(t, s, wrong, source.FailQuestion)
	}
	if n := len(h.asked()) - before; n != 0 {
		t.Errorf("%d questions that may not be asked reached the holder", n)
	}
}

func (p Protocol) concurrently(t *testing.T) {
	h := holder(t, says("application/json", p.Good))
	s := p.source(t, source.Endpoint{URL: h.URL})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := s.Fetch(t.Context(), p.Ask); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func (p Protocol) lies(t *testing.T) {
	canary := p.Personal[0]
	twice := strings.Replace(p.Good, "{", `{"x":1,"x":2,`, 1)
	plain := "application/json"
	cases := []struct {
		name, contentType, body string
		want                    source.Failure
	}{
		{"html", "text/html", "<html>" + canary, source.FailMalformed},
		{"no content type", "", p.Good, source.FailMalformed},
		{"half an answer", plain, p.Good[:len(p.Good)-2], source.FailMalformed},
		{"text after it", plain, p.Good + canary, source.FailMalformed},
		{"nothing at all", plain, "", source.FailMalformed},
		{"a list", plain, "[" + p.Good + "]", source.FailMalformed},
		{"a key twice", plain, twice, source.FailMalformed},
		{"not UTF-8", plain, strings.Replace(p.Good, "{", "{\"x\":\"\xff\",", 1), source.FailMalformed},
		{"too deep", plain, strings.Replace(p.Good, "{", `{"x":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+",", 1), source.FailMalformed},
		{"too large", plain, strings.Replace(p.Good, "{", `{"x":"`+strings.Repeat("x", 2<<20)+`",`, 1), source.FailTooLarge},
	}
	for _, body := range p.Other {
		cases = append(cases, struct {
			name, contentType, body string
			want                    source.Failure
		}{"another person", plain, body, source.FailOtherPerson})
	}
	for _, body := range p.Mistyped {
		cases = append(cases, struct {
			name, contentType, body string
			want                    source.Failure
		}{"wrong type", plain, body, source.FailType})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := holder(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{c.contentType}
				_, _ = io.WriteString(w, c.body)
			})
			p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, c.want)
		})
	}
	for _, status := range []int{201, 204, 400, 401, 403, 404, 409, 429, 500, 503} {
		h := holder(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			if status != 204 {
				_, _ = io.WriteString(w, `{"code":"`+canary+`","title":"`+canary+`","detail":"`+canary+`"}`)
			}
		})
		p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, source.FailStatus)
	}
	h := holder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", plain)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, p.Good)
	})
	p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, source.FailMalformed)
}

func (p Protocol) breaks(t *testing.T) {
	t.Run("redirect", func(t *testing.T) {
		elsewhere := holder(t, says("application/json", p.Good))
		for _, status := range []int{301, 302, 303, 307, 308} {
			h := holder(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+p.Path, status) })
			p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, source.FailRedirect)
		}
		if n := len(elsewhere.asked()); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
	stall := func(start string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, start)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	t.Run("slow", func(t *testing.T) {
		h := holder(t, stall(p.Good[:1])) // begins, and never ends
		begin := time.Now()
		p.refuses(t, p.source(t, source.Endpoint{URL: h.URL, Timeout: 50 * time.Millisecond}), p.Ask, source.FailTimeout)
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("waited %s for a timeout of 50 ms", d)
		}
	})
	t.Run("the asker gives up", func(t *testing.T) {
		h := holder(t, stall(""))
		s := p.source(t, source.Endpoint{URL: h.URL, Timeout: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Fetch(ctx, p.Ask); source.FailureOf(err) != source.FailTimeout {
			t.Errorf("failure %q, want %q", source.FailureOf(err), source.FailTimeout)
		}
	})
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	for name, text := range map[string]string{
		"hangs up":              "",
		"not HTTP":              p.Personal[0] + " " + p.Personal[0] + "\r\n\r\n",
		"malformed header":      "HTTP/1.1 200 OK\r\n" + p.Personal[0] + "\r\n\r\n",
		"stops halfway":         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n" + p.Good,
		"headers without end":   "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"a chunk that is not":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + p.Personal[0] + "\r\n",
		"a status that is none": "HTTP/1.1 " + p.Personal[0] + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := holder(t, raw(text))
			p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, source.FailUnreachable)
		})
	}
	t.Run("not there", func(t *testing.T) {
		h := httptest.NewServer(http.NotFoundHandler())
		h.Close()
		p.refuses(t, p.source(t, source.Endpoint{URL: h.URL}), p.Ask, source.FailUnreachable)
	})
}

// certificates: the client certificate is shown, and a holder with a certificate of nobody we trust gets no question.
func (p Protocol) certificates(t *testing.T) {
	cert, err := clientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	h := &held{}
	var shown []string
	h.Server = httptest.NewUnstartedServer(h.handler(func(w http.ResponseWriter, r *http.Request) {
		for _, c := range r.TLS.PeerCertificates {
			shown = append(shown, c.Subject.CommonName)
		}
		says("application/json", p.Good)(w, r)
	}))
	h.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	h.Config.ErrorLog = nil
	h.StartTLS()
	t.Cleanup(h.Close)
	roots := x509.NewCertPool()
	roots.AddCert(h.Certificate())

	trusted := p.source(t, source.Endpoint{URL: h.URL, TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}})
	if _, err := trusted.Fetch(t.Context(), p.Ask); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(shown, []string{"schakel-proef"}) {
		t.Errorf("the holder saw certificates %v", shown)
	}
	p.refuses(t, p.source(t, source.Endpoint{URL: h.URL, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}), p.Ask, source.FailUnreachable)
	p.refuses(t, p.source(t, source.Endpoint{URL: h.URL, TLS: &tls.Config{RootCAs: roots}}), p.Ask, source.FailUnreachable)
	if n := len(h.asked()); n != 1 {
		t.Errorf("%d questions reached the holder, want 1", n)
	}
}

func clientCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "schakel-proef"},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, errors.Join(err, err2)
}
