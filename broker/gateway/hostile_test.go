package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// None of these may reach the broker.
func TestHostileRequests(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		name   string
		method string
		path   string
		body   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"no token", "POST", "", question, with("Authorization"), 401, "token-missing"},
		{"two tokens", "POST", "", question, with("Authorization", "Bearer a.b.c", "Bearer a.b.c"), 401, "token-malformed"},
		{"basic", "POST", "", question, with("Authorization", "Basic YTpi"), 401, "token-malformed"},
		{"no scheme", "POST", "", question, with("Authorization", "a.b.c"), 401, "token-malformed"},
		{"empty token", "POST", "", question, with("Authorization", "Bearer "), 401, "token-malformed"},
		{"only padding", "POST", "", question, with("Authorization", "Bearer =="), 401, "token-malformed"},
		{"two tokens in one header", "POST", "", question, with("Authorization", "Bearer a.b.c, Bearer d.e.f"), 401, "token-malformed"},
		{"tab after the scheme", "POST", "", question, with("Authorization", "Bearer\ta.b.c"), 401, "token-malformed"},
		{"token with a quote", "POST", "", question, with("Authorization", `Bearer "a.b.c"`), 401, "token-malformed"},
		{"token with a letter outside ASCII", "POST", "", question, with("Authorization", "Bearer a.b.ç"), 401, "token-malformed"},

		{"query", "POST", "?bsn=" + canary, question, nil, 400, "query-not-allowed"},
		{"empty query", "POST", "?", question, nil, 400, "query-not-allowed"},

		{"no content type", "POST", "", question, with("Content-Type"), 415, "media-type-unsupported"},
		{"form", "POST", "", "a=b", with("Content-Type", "application/x-www-form-urlencoded"), 415, "media-type-unsupported"},
		{"two content types", "POST", "", question, with("Content-Type", "application/json", "application/json"), 415, "media-type-unsupported"},
		{"other charset", "POST", "", question, with("Content-Type", "application/json; charset=utf-16"), 415, "media-type-unsupported"},
		{"other parameter", "POST", "", question, with("Content-Type", "application/json; profile=x"), 415, "media-type-unsupported"},
		{"JSON of another kind", "POST", "", question, with("Content-Type", "application/problem+json"), 415, "media-type-unsupported"},
		{"broken content type", "POST", "", question, with("Content-Type", "application/json;;=;"), 415, "media-type-unsupported"},
		{"gzip", "POST", "", question, with("Content-Encoding", "gzip"), 415, "content-encoding-unsupported"},
		{"identity", "POST", "", question, with("Content-Encoding", "identity"), 415, "content-encoding-unsupported"},

		{"XML", "POST", "", question, with("Accept", "application/xml"), 406, "not-acceptable"},
		{"all refused", "POST", "", question, with("Accept", "*/*;q=0"), 406, "not-acceptable"},
		{"accept nothing", "POST", "", question, with("Accept", ""), 406, "not-acceptable"},

		{"empty key", "POST", "", question, with("Idempotency-Key", ""), 400, "parameters-invalid"},
		{"two keys", "POST", "", question, with("Idempotency-Key", "a", "b"), 400, "parameters-invalid"},
		{"long key", "POST", "", question, with("Idempotency-Key", long), 400, "parameters-invalid"},
		{"key with a space", "POST", "", question, with("Idempotency-Key", "a b"), 400, "parameters-invalid"},
		{"key outside ASCII", "POST", "", question, with("Idempotency-Key", "é"), 400, "parameters-invalid"},

		{"large body", "POST", "", strings.Repeat(" ", 64<<10+1), nil, 413, "body-too-large"},
		{"large body of unknown length", "POST", "", strings.Repeat(" ", 64<<10+1), func(r *http.Request) { r.ContentLength = -1 }, 413, "body-too-large"},

		{"slash at the end", "POST", "/", question, nil, 404, "not-found"},
		{"double slash", "POST", "//../disclosures", question, nil, 404, "not-found"},
		{"upper case", "GET", "/../Catalog", "", nil, 404, "not-found"},
		{"wrong method", "GET", "", "", nil, 405, "method-not-allowed"},
		{"delete", "DELETE", "", "", nil, 405, "method-not-allowed"},
		{"preflight", "OPTIONS", "", "", nil, 405, "method-not-allowed"},
		{"made-up method", "BSN" + canary, "", "", nil, 405, "method-not-allowed"},
		{"post to the catalog", "POST", "/../catalog", question, nil, 405, "method-not-allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			r := s.request(t, c.method, "/v1/disclosures"+c.path, c.body)
			if strings.HasPrefix(c.path, "/") {
				r.URL.Path = strings.Replace("/v1/disclosures"+c.path, "disclosures/../", "", 1)
			}
			if c.change != nil {
				c.change(r)
			}
			got := s.do(t, r)
			got.wants(t, c.status, c.code)
			if s.count() != 0 {
				t.Error("it reached the broker")
			}
			if e := s.events(t, 1); len(e) != 1 || e[0]["code"] != c.code {
				t.Errorf("log events %v", e)
			}
			if strings.Contains(s.log.String(), canary) || strings.Contains(fmt.Sprint(got.Header), canary) {
				t.Error("something of the request is repeated")
			}
		})
	}
}

// What is unusual but right must pass.
func TestUnusualRequests(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"scheme in lower case":    with("Authorization", "bearer a.b.c"),
		"two spaces":              with("Authorization", "Bearer  a.b.c"),
		"padding":                 with("Authorization", "Bearer a.b.c=="),
		"charset":                 with("Content-Type", `application/json; charset="UTF-8"`),
		"content type in capital": with("Content-Type", "Application/JSON"),
		"unknown length":          func(r *http.Request) { r.ContentLength = -1 },
		"any type":                with("Accept", "text/html, */*;q=0.1"),
		"no accept":               with("Accept"),
		"longest key":             with("Idempotency-Key", strings.Repeat("~", 255)),
		"token of 9 KB":           with("Authorization", "Bearer "+strings.Repeat("a", 9<<10)),
		"foreign language":        with("Accept-Language", "tlh, *;q=0.1"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if got := s.ask(t, change); got.StatusCode != 200 || s.count() != 1 {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
		})
	}
	t.Run("largest body", func(t *testing.T) {
		s := newSite(t)
		body := question + strings.Repeat(" ", 64<<10-len(question))
		if got := s.do(t, s.request(t, "POST", "/v1/disclosures", body)); got.StatusCode != 200 {
			t.Errorf("%d", got.StatusCode)
		}
	})
}

func TestAllow(t *testing.T) {
	s := newSite(t)
	if got := s.get(t, "/v1/disclosures").Header.Get("Allow"); got != "POST" {
		t.Errorf("Allow: %s", got)
	}
	if got := s.do(t, s.request(t, "POST", "/livez", "x")).Header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %s", got)
	}
	if got := s.get(t, "/v1/catalog/").Header.Get("Location"); got != "" {
		t.Errorf("redirected to %s", got)
	}
}

func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// raw sends bytes and gives the statuses of all answers until the server closes or is silent.
func (s *site) raw(t *testing.T, request string) []int {
	t.Helper()
	c := s.dial(t)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	var out []int
	for r := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return out
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		out = append(out, res.StatusCode)
	}
}

// Requests on whose end a proxy and a server could disagree. The second request hidden in them must never be answered as
// one of its own, and the broker must not be called with a body that is in doubt.
func TestSmuggling(t *testing.T) {
	const (
		head   = "POST /v1/disclosures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\n"
		hidden = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	)
	for name, request := range map[string]string{
		"two lengths":                   head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   " + hidden,
		"a list of lengths":             head + "Content-Length: 5, 6\r\n\r\n{}   " + hidden,
		"a signed length":               head + "Content-Length: +2\r\n\r\n{}" + hidden,
		"a negative length":             head + "Content-Length: -2\r\n\r\n{}" + hidden,
		"a length in hex":               head + "Content-Length: 0x2\r\n\r\n{}" + hidden,
		"space before the colon":        head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"folded header":                 head + "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length : 0\r\n\r\n" + hidden,
		"two encodings":                 head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"unknown encoding":              head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"encoding hidden in control":    head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunk size with a sign":        head + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n" + hidden,
		"chunk longer than its size":    head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n" + hidden,
		"chunk size ended by a bare LF": head + "Transfer-Encoding: chunked\r\n\r\n2;x\n{}\r\n0\r\n\r\n" + hidden,
		"no host":                       strings.Replace(head, "Host: x\r\n", "", 1) + "Content-Length: 2\r\n\r\n{}" + hidden,
		"two hosts":                     head + "Host: y\r\nContent-Length: 2\r\n\r\n{}" + hidden,
		"NUL in a header":               head + "X: a\x00b\r\nContent-Length: 2\r\n\r\n{}" + hidden,
		"not HTTP":                      "\x16\x03\x01\x02\x00\x01" + hidden,
		"HTTP of the future":            strings.Replace(head, "HTTP/1.1", "HTTP/7.0", 1) + "\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			got := s.raw(t, request)
			if len(got) != 1 || got[0] < 400 {
				t.Errorf("answers %v, want one refusal", got)
			}
			if s.count() != 0 {
				t.Error("it reached the broker")
			}
		})
	}
	// RFC 9112, 6.3: chunked wins over a length, and the connection must not be used again.
	t.Run("length and chunked", func(t *testing.T) {
		s := newSite(t)
		got := s.raw(t, head+"Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"+hidden)
		if len(got) != 1 || (s.count() == 1 && string(s.last(t).Body) != "{}") {
			t.Errorf("answers %v, %d calls", got, s.count())
		}
	})
}

func TestOddTargets(t *testing.T) {
	s := newSite(t)
	for target, want := range map[string]int{
		"OPTIONS *":                           404,
		"CONNECT example.com:443":             404,
		"GET http://example.com/livez":        200,
		"GET /livez?x=1":                      200,
		"GET //livez":                         404,
		"GET /v1/../livez":                    404,
		"GET /livez%2f":                       404,
		"GET /%6civez":                        404, // one path, one spelling
		"GET /%6detrics":                      404,
		"GET /livez%00":                       404,
		"PRI *":                               404,
		"GET /" + strings.Repeat("a/", 8<<10): 404,
		"GET /" + strings.Repeat("a", 40<<10): 431,
		"TRACE /livez":                        405,
	} {
		if got := s.raw(t, target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); len(got) != 1 || got[0] != want {
			t.Errorf("%.40s: %v, want %d", target, got, want)
		}
	}
}

func TestHeaderLimit(t *testing.T) {
	s := newSite(t)
	head := "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for size, want := range map[int]int{20 << 10: 200, 40 << 10: 431} {
		if got := s.raw(t, head+"X: "+strings.Repeat("a", size)+"\r\n\r\n"); len(got) != 1 || got[0] != want {
			t.Errorf("a header of %d bytes: %v, want %d", size, got, want)
		}
	}
}

func TestSlowHeaders(t *testing.T) {
	s := newSite(t, func(c *Config) { c.HeaderTimeout = 50 * time.Millisecond })
	c := s.dial(t)
	_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n")
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("the connection was not closed in silence: %q %v", b, err)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	s := newSite(t, func(c *Config) { c.IdleTimeout = 50 * time.Millisecond })
	c := s.dial(t)
	_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("%q %v", b, err)
	}
}

func TestSlowBody(t *testing.T) {
	s := newSite(t, func(c *Config) { c.ReadTimeout = 100 * time.Millisecond })
	body, feed := io.Pipe()
	go func() { _, _ = feed.Write([]byte(`{"household"`)) }()
	defer func() { _ = feed.Close() }()
	r := s.request(t, "POST", "/v1/disclosures", question)
	r.Body, r.ContentLength = body, 100
	s.do(t, r).wants(t, 408, "body-too-slow")
	if s.count() != 0 {
		t.Error("half a body reached the broker")
	}
}

func TestHalfBody(t *testing.T) {
	s := newSite(t)
	head := "POST /v1/disclosures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	if got := s.raw(t, head+"{}"); len(got) != 1 || got[0] != 400 || s.count() != 0 {
		t.Errorf("answers %v", got)
	}
}

// A client that asks first is not made to send a body that will be refused.
func TestExpectContinue(t *testing.T) {
	const head = "POST /v1/disclosures HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
	for request, want := range map[string]int{
		head + "Content-Length: 5\r\n\r\n":                                               401,
		head + "Authorization: Bearer a.b.c\r\nContent-Length: 100000\r\n\r\n":           413,
		head + "Authorization: Bearer a.b.c\r\nContent-Length: 5\r\n\r\n":                100,
		head + "Authorization: Bearer a.b.c\r\nContent-Length: 5\r\nAccept: a/b\r\n\r\n": 406,
	} {
		s := newSite(t)
		c := s.dial(t)
		_, _ = io.WriteString(c, request)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		_ = c.Close()
		if res.StatusCode != want {
			t.Errorf("%q: %d, want %d", request, res.StatusCode, want)
		}
	}
}
