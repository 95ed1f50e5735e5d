package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// DefaultTimeout is how long a holder may take for a whole answer where its Endpoint does not say.
const DefaultTimeout = 3 * time.Second

const (
	maxAnswer  = 1 << 20
	maxHeaders = 64 << 10
	idlePer    = 16
	idleFor    = 90 * time.Second
)

// Endpoint is where and how to reach a holder.
type Endpoint struct {
	// URL is asked by POST. https; http only to this machine itself, or where Plaintext says so.
	URL string
	// TLS holds the client certificate and the roots to trust; nil trusts the system's roots and shows no certificate.
	TLS *tls.Config
	// Header is sent with every question: an API key, for one.
	Header map[string]string
	// Timeout is for one question as a whole; 0 means DefaultTimeout.
	Timeout time.Duration
	// Plaintext permits http to another machine. Only for a demonstration with people who do not exist.
	Plaintext bool
}

// Client puts questions to one endpoint. Make it with NewClient.
type Client struct {
	url    string
	header http.Header
	http   *http.Client
}

// NewClient checks the endpoint and makes a client for it. It does not connect.
func NewClient(e Endpoint) (*Client, error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("configure endpoint: the address is not a URL; give https://host/path")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("configure endpoint %s: leave user, query and fragment out; use headers", u.Host)
	case u.Scheme == "http" && !e.Plaintext && !loopback(u.Hostname()):
		return nil, fmt.Errorf("configure endpoint %s: http would send personal data over an open line; use https", u.Host)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("configure endpoint %s: use https", u.Host)
	case e.Timeout < 0:
		return nil, fmt.Errorf("configure endpoint %s: a timeout can't be negative", u.Host)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLS != nil {
		conf = e.TLS.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	}
	if conf.InsecureSkipVerify {
		return nil, fmt.Errorf("configure endpoint %s: the holder's certificate must be verified; give its root", u.Host)
	}
	timeout := e.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	c := &Client{url: u.String(), header: http.Header{}}
	for k, v := range e.Header {
		if !printable(k) || !printable(v) {
			return nil, fmt.Errorf("configure endpoint %s: a header must be printable ASCII", u.Host)
		}
		c.header.Set(k, v)
	}
	c.http = &http.Client{
		Timeout: timeout,
		// A redirect would carry the question, and with it a BSN, to an address nobody agreed to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // not from the environment: the question goes to the holder and nobody else
			TLSClientConfig:        conf,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // a megabyte is a megabyte
			MaxResponseHeaderBytes: maxHeaders,
			MaxIdleConnsPerHost:    idlePer,
			IdleConnTimeout:        idleFor,
		},
	}
	return c, nil
}

// Question is one POST.
type Question struct {
	Body      []byte // JSON
	RequestID broker.RequestID
	Trace     broker.Trace
	// Codes are the problem codes of the protocol. Only one of these is repeated in an error: a holder could write
	// anything in that place.
	Codes []string
}

// Post asks, and gives the answer as one strictly read JSON object. Every error wraps a Failure and repeats nothing of
// the question or the answer.
func (c *Client) Post(ctx context.Context, q Question) (map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(q.Body))
	if err != nil {
		return nil, fmt.Errorf("ask holder: make request: %w", FailQuestion)
	}
	req.Header = c.header.Clone()
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "schakel")
	for name, v := range map[string]string{
		"X-Request-Id": string(q.RequestID), "Traceparent": q.Trace.Parent, "Tracestate": q.Trace.State,
	} {
		if v != "" && printable(v) {
			req.Header.Set(name, v)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, broken(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, broken(ctx, err)
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("ask holder: answer over %d bytes: %w", maxAnswer, FailTooLarge)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, fmt.Errorf("ask holder: status %d: redirects are not followed; correct the address: %w",
			resp.StatusCode, FailRedirect)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask holder: status %d%s: %w", resp.StatusCode, problemCode(resp, data, q.Codes), FailStatus)
	case resp.Header.Get("Content-Encoding") != "" || !hasType(resp, "application/json"):
		return nil, fmt.Errorf("ask holder: answer is not plain application/json: %w", FailMalformed)
	}
	obj, err := broker.ParseObject(data)
	if err != nil {
		return nil, fmt.Errorf("ask holder: read answer: %w: %w", err, FailMalformed)
	}
	return obj, nil
}

// broken turns an error of net/http into one without its text, which may quote what the holder sent.
func broken(ctx context.Context, err error) error {
	var dial *net.OpError
	var cert *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case ctx.Err() != nil || (errors.As(err, &timeout) && timeout.Timeout()):
		return fmt.Errorf("ask holder: no answer in time: %w", FailTimeout)
	case errors.As(err, &cert):
		return fmt.Errorf("ask holder: its certificate is not trusted; check the configured roots: %w", FailUnreachable)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("ask holder: no connection: %w", FailUnreachable)
	}
	return fmt.Errorf("ask holder: connection broken: %w", FailUnreachable)
}

func problemCode(resp *http.Response, data []byte, known []string) string {
	if !hasType(resp, "application/problem+json") {
		return ""
	}
	obj, err := broker.ParseObject(data)
	if err != nil {
		return ""
	}
	if code, _ := obj["code"].(string); slices.Contains(known, code) {
		return " " + code
	}
	return ""
}

func hasType(resp *http.Response, want string) bool {
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && got == want
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func printable(s string) bool {
	return len(s) <= 4096 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
