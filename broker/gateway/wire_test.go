package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// More requests on whose end or target a proxy and a server could disagree (TestSmuggling has the first). answers is how
// many there must be, the last of them a refusal; a hidden request is never answered as one of its own.
func TestSmugglingFurther(t *testing.T) {
	const (
		head   = "POST /v1/disclosures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\n"
		hidden = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	)
	for name, request := range map[string]string{
		"two equal lengths in one":          head + "Content-Length: 2, 2\r\n\r\n{}" + hidden,
		"a length over all numbers":         head + "Content-Length: 99999999999999999999\r\n\r\n{}" + hidden,
		"a length with a space inside":      head + "Content-Length: 1 2\r\n\r\n{}" + hidden,
		"a length with NUL":                 head + "Content-Length: 2\x00\r\n\r\n{}" + hidden,
		"a length and its look-alike":       head + "Content-Length: 2\r\nContent_Length: 40\r\nContent-Length\x0b: 3\r\n\r\n{}" + hidden,
		"encoding gzip, chunked":            head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"encoding chunked twice":            head + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"encoding identity":                 head + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}" + hidden,
		"encoding in quotes":                head + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden,
		"encoding empty":                    head + "Transfer-Encoding:\r\nContent-Length: 2\r\n\r\n{}" + hidden,
		"a folded length":                   head + "Content-Length:\r\n 2\r\nX : y\r\n\r\n{}" + hidden,
		"a carriage return alone":           head + "X: a\rContent-Length: 2\r\n\r\n{}" + hidden,
		"a header without a name":           head + ": x\r\nContent-Length: 2\r\n\r\n{}" + hidden,
		"a header without a colon":          head + "Content-Length\r\n\r\n{}" + hidden,
		"a name with a bracket":             head + "Content-Length(x): 2\r\n\r\n{}" + hidden,
		"a chunk size over all numbers":     head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n" + hidden,
		"a chunk size with 0x":              head + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n" + hidden,
		"a chunk size of nothing":           head + "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n" + hidden,
		"a chunk ended by a bare LF":        head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n" + hidden,
		"a giant extension of a chunk":      head + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("a", 10<<10) + "\r\n{}\r\n0\r\n\r\n" + hidden,
		"an extension on every small chunk": head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\n \r\n", 100) + "0\r\n\r\n" + hidden,
		"a host with a space":               "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n" + hidden,
		"a host with a path":                "GET /livez HTTP/1.1\r\nHost: x/v1\\\r\n\r\n" + hidden,
		"a host with NUL":                   "GET /livez HTTP/1.1\r\nHost: x\x00y\r\n\r\n" + hidden,
		"HTTP/0.9":                          "GET /livez\r\n\r\n",
		"HTTP/2 without asking":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a space in the target":             "GET /livez /x HTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"two spaces before the version":     "GET /livez  HTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"a tab for a space":                 "GET\t/livez\tHTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"a method with a control character": "GE\x01T /livez HTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"ten thousand headers":              "GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 10_000) + "\r\n" + hidden,
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
	// A folded header and line ends of LF alone are old and allowed; what they hide is nothing of its own.
	for name, request := range map[string]string{
		"folded":                           head + "X: a\r\n Content-Length: 40\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" + hidden,
		"LF alone":                         strings.ReplaceAll(head, "\r\n", "\n") + "Content-Length: 2\nConnection: close\n\n{}" + hidden,
		"upgrade h2c":                      head + "Content-Length: 2\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n{}" + hidden,
		"a bad trailer":                    head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length : 5\r\n\r\n" + hidden,
		"a trailer that would be a header": head + "Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\n{}\r\n0\r\nX: a\r\n\r\n" + hidden,
	} {
		s := newSite(t)
		got := s.raw(t, request)
		if len(got) != 1 || (s.count() == 1 && string(s.last(t).Body) != "{}") {
			t.Errorf("%s: answers %v, %d calls", name, got, s.count())
		}
	}
}

// HTTP/1.0 knows no chunks. net/http drops the encoding and believes the length; a proxy may do the reverse, so nothing that
// follows counts, even where the client asks to keep the connection.
func TestChunksInHTTP10(t *testing.T) {
	for _, more := range []string{"", "Connection: keep-alive\r\n"} {
		s := newSite(t)
		got := s.raw(t, "POST /v1/disclosures HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\n"+more+
			"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		if len(got) != 1 {
			t.Errorf("answers %v, want one", got)
		}
	}
}

// A header that some servers let stand for another method, path, host or address changes nothing here.
func TestHeadersThatOverride(t *testing.T) {
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Original-Host",
		"X-Client-Cert", "Ssl-Client-Cert", "X-SSL-Client-Verify", "X-Forwarded-Client-Cert"} {
		s := newSite(t, func(c *Config) { c.PublicURL = "https://schakel.example" })
		for _, value := range []string{"DELETE", "/metrics", "127.0.0.1", "for=127.0.0.1;host=x;proto=http"} {
			if got := s.ask(t, with(name, value)); got.StatusCode != 200 {
				t.Fatalf("%s: %s gives %d", name, value, got.StatusCode)
			}
			if c := s.last(t).Channel; c != (broker.Channel{Method: "POST", URL: askedURL}) {
				t.Errorf("%s: %s gives channel %+v", name, value, c)
			}
		}
		if got := s.get(t, "/v1/disclosures", with(name, "POST")); got.StatusCode != 405 || s.count() != 4 {
			t.Errorf("%s makes a POST of a GET: %d", name, got.StatusCode)
		}
	}
	// Nor does a method in the body or the path of another kind.
	s := newSite(t)
	for _, target := range []string{"/v1/disclosures;x=1", "/v1/disclosures%3Fx", "/v1/disclosures%00", "/v1/./disclosures", "/v1//disclosures",
		"/v1/disclosures.json", "/V1/disclosures", "/v1%2Fdisclosures", "/..%2fv1/disclosures", "/v1/disclosures%20"} {
		request := "POST " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		if got := s.raw(t, request); len(got) != 1 || got[0] != 404 {
			t.Errorf("%s: %v", target, got)
		}
	}
	if s.count() != 0 {
		t.Error("one of them reached the broker")
	}
	for _, method := range []string{"TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND", "post", "GET"} {
		request := method + " /v1/disclosures HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Secret: " + canary + "\r\n\r\n"
		if got := s.raw(t, request); len(got) != 1 || got[0] != 405 {
			t.Errorf("%s: %v", method, got)
		}
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("something of the request is in the log")
	}
}

// Bodies that are JSON to some and not to others, or cost more to read than to send. The broker's own reader reads them.
func TestHostileBodies(t *testing.T) {
	s := newSite(t)
	answer := s.disclose
	s.disclose = func(ctx context.Context, call broker.Call) (broker.Envelope, error) {
		if _, err := broker.ReadRequest(call.Body, broker.Caller{}, catalog(), true); err != nil {
			return broker.Envelope{}, err
		}
		return answer(ctx, call)
	}
	s.ask(t)
	const rest = `"purpose":"ontruiming-voorkomen","fields":["huur.achterstand.bedrag"]}`
	in := func(household string) string { return `{"household":` + household + `,` + rest }
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(question))
	_ = z.Close()
	many := make([]string, 6_000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":0`, i)
	}
	for name, c := range map[string]struct{ body, code string }{
		"empty":                       {"", "json-malformed"},
		"null":                        {"null", "json-malformed"},
		"a list":                      {"[" + question + "]", "json-malformed"},
		"two":                         {question + question, "json-malformed"},
		"a mark of byte order":        {"\xef\xbb\xbf" + question, "json-malformed"},
		"UTF-16":                      {"\xff\xfe" + strings.Join(strings.Split(question, ""), "\x00"), "json-malformed"},
		"UTF-7":                       {strings.ReplaceAll(question, `"`, "+ACI-"), "json-malformed"},
		"no UTF-8":                    {strings.Replace(question, "zaak-1", "zaak\xff", 1), "json-malformed"},
		"NUL after":                   {question + "\x00", "json-malformed"},
		"gzip without saying so":      {zipped.String(), "json-malformed"},
		"a comment":                   {"/**/" + question, "json-malformed"},
		"a comma at the end":          {strings.Replace(question, "]}", "],}", 1), "json-malformed"},
		"single quotes":               {strings.ReplaceAll(question, `"`, "'"), "json-malformed"},
		"NaN":                         {in(`{"case":NaN}`), "json-malformed"},
		"duplicate key":               {strings.Replace(question, "{", `{"purpose":"x",`, 1), "json-malformed"},
		"duplicate key, escaped":      {strings.Replace(question, "{", `{"\u0070urpose":"x",`, 1), "json-malformed"},
		"duplicate key deep inside":   {in(`{"case":"zaak-1","case":"zaak-2"}`), "json-malformed"},
		"deep":                        {in(strings.Repeat("[", 9) + strings.Repeat("]", 9)), "json-malformed"},
		"very deep":                   {strings.Repeat(`{"a":`, 10_000), "json-malformed"},
		"very deep lists":             {strings.Repeat("[", 60_000), "json-malformed"},
		"very many keys":              {"{" + strings.Join(many, ",") + "}", "parameters-invalid"},
		"very many fields":            {strings.Replace(question, `"huur.achterstand.bedrag"`, strings.TrimSuffix(strings.Repeat(`"a",`, 15_000), ","), 1), "parameters-invalid"},
		"a very long number":          {in(`{"case":` + strings.Repeat("9", 50_000) + `}`), "parameters-invalid"},
		"a number over all numbers":   {in(`{"case":1e999999999}`), "parameters-invalid"},
		"a very long text":            {in(`{"case":"` + strings.Repeat("a", 60_000) + `"}`), "parameters-invalid"},
		"a very long text of escapes": {in(`{"case":"` + strings.Repeat(`\u0061`, 10_000) + `"}`), "parameters-invalid"},
		"keys in capitals":            {strings.Replace(question, `"purpose"`, `"Purpose"`, 1), "parameters-invalid"},
		"a key of a prototype":        {strings.Replace(question, "{", `{"__proto__":{"case":"x"},`, 1), "parameters-invalid"},
		"a key that is empty":         {strings.Replace(question, "{", `{"":1,`, 1), "parameters-invalid"},
	} {
		got := s.do(t, s.request(t, http.MethodPost, "/v1/disclosures", "x", func(r *http.Request) {
			r.Body, r.ContentLength, r.GetBody = http.NoBody, 0, nil
			if c.body != "" {
				r.Body, r.ContentLength = readCloser{strings.NewReader(c.body)}, int64(len(c.body))
			}
		}))
		p := got.problem(t)
		if got.StatusCode != 400 || p.Code != c.code {
			t.Errorf("%s: %d %s, want %s", name, got.StatusCode, p.Code, c.code)
		}
		if len(got.body) > 64<<10 {
			t.Errorf("%s: the answer has %d bytes, more than a request may", name, len(got.body))
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
