package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
)

// serveDisclosure hands one call to the Broker and writes the bytes that come back.
func (g *Gateway) serveDisclosure(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	w.Header().Set("Vary", "Accept, Accept-Language")
	call, err := g.read(r, x)
	if err != nil {
		g.fail(w, x, err)
		return
	}
	// Ends when the client hangs up too. The Broker itself sees to it that a holder that was asked is on record.
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.RequestTimeout)
	defer cancel()
	envelope, err := g.cfg.Broker.Disclose(ctx, call)
	if err != nil {
		x.err, x.unsent = err, r.Context().Err() != nil
		g.fail(w, x, err)
		return
	}
	g.writeEnvelope(w, x, envelope)
}

func (g *Gateway) writeEnvelope(w http.ResponseWriter, x *exchange, e broker.Envelope) {
	x.asked, x.id, x.refused, x.summary = true, e.ID, e.Refusal, e.Summary
	h := w.Header()
	g.giveNonce(h, x)
	status, contentType := http.StatusOK, typeJSON
	if e.Refusal {
		status, contentType, x.code = http.StatusForbidden, typeProblem, broker.CodeRefused
		h.Set("Content-Language", x.language)
	}
	if e.Compact {
		contentType = typeJOSE
		h.Del("Content-Language")
	} else {
		h.Set("Payload-Signature", e.Signature)
	}
	g.write(w, x, status, contentType, e.Body)
}

// read makes a call of a request. What it can refuse without the body comes first: a client that waits for 100 Continue
// is not asked for a body in vain.
func (g *Gateway) read(r *http.Request, x *exchange) (broker.Call, error) {
	call := broker.Call{Language: x.language, TraceID: x.trace.id, SpanID: x.trace.span, Trace: x.trace.context(),
		Channel: g.channel(r)}
	var err error
	if call.Token, x.dpop, err = credentials(r.Header.Values("Authorization")); err != nil {
		return call, err
	}
	proofs := r.Header.Values("DPoP")
	if len(proofs) > 1 {
		return call, refuse("proof-malformed")
	}
	call.Channel.DPoP, call.Channel.Proof = x.dpop, strings.Join(proofs, "")
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return call, refuse("query-not-allowed")
	}
	if !isJSON(r.Header.Values("Content-Type")) {
		return call, refuse("media-type-unsupported")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return call, refuse("content-encoding-unsupported")
	}
	var ok bool
	if call.Compact, ok = accepts(r.Header.Values("Accept")); !ok {
		return call, refuse("not-acceptable")
	}
	if call.IdempotencyKey, ok = idempotencyKey(r.Header.Values("Idempotency-Key")); !ok {
		return call, &broker.Error{Kind: broker.KindInvalid, Code: "parameters-invalid",
			Params: []broker.Param{{Name: "Idempotency-Key", Code: "header-format"}}}
	}
	call.Body, err = g.body(r, x)
	return call, err
}

func (g *Gateway) body(r *http.Request, x *exchange) ([]byte, error) {
	// A body of which the length is told is refused before any of it is read.
	limited := http.MaxBytesReader(x.raw, r.Body, g.cfg.BodyLimit)
	if r.ContentLength > g.cfg.BodyLimit {
		return nil, broker.Fail(broker.KindTooLarge, "body-too-large", nil)
	}
	body, err := io.ReadAll(limited)
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &tooLarge):
		return nil, broker.Fail(broker.KindTooLarge, "body-too-large", nil)
	case errors.As(err, &network) && network.Timeout():
		return nil, refuse("body-too-slow")
	}
	return nil, refuse("body-incomplete")
}

// credentials reads the token of exactly one Authorization header, and whether it came as a bearer token (RFC 6750) or
// under the scheme DPoP (RFC 9449).
func credentials(headers []string) (token string, dpop bool, err error) {
	if len(headers) == 0 {
		return "", false, broker.Fail(broker.KindUnauthenticated, "token-missing", nil)
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token, dpop = strings.Trim(token, " "), strings.EqualFold(scheme, "DPoP")
	if len(headers) > 1 || !(dpop || strings.EqualFold(scheme, "Bearer")) || !isToken68(token) {
		return "", dpop, broker.Fail(broker.KindUnauthenticated, "token-malformed", nil)
	}
	return token, dpop, nil
}

func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && only(s, func(c byte) bool {
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strings.IndexByte("-._~+/", c) >= 0
	})
}

func idempotencyKey(headers []string) (string, bool) {
	if len(headers) == 0 {
		return "", true
	}
	k := headers[0]
	if len(headers) > 1 || k == "" || len(k) > 255 || !only(k, func(c byte) bool { return c > 0x20 && c < 0x7f }) {
		return "", false
	}
	return k, true
}

// channel tells what is known of the request that a token came with: the thumbprint of the client's certificate (RFC
// 8705), and what a proof must be about. The address is the configured one, never what Host says.
func (g *Gateway) channel(r *http.Request) broker.Channel {
	c := broker.Channel{Method: r.Method, URL: g.cfg.PublicURL + r.URL.EscapedPath()}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		c.CertificateThumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return c
}

// giveNonce gives a client that uses DPoP what its next proof must carry.
func (g *Gateway) giveNonce(h http.Header, x *exchange) {
	if x.dpop && g.cfg.Nonce != nil {
		h.Set("DPoP-Nonce", g.cfg.Nonce())
	}
}

// write sends one whole answer.
func (g *Gateway) write(w http.ResponseWriter, x *exchange, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		x.unsent = !errors.Is(err, http.ErrBodyNotAllowed) // a HEAD has no body
	}
}
