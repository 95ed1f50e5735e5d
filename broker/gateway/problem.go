package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
)

// problem is a problem document (RFC 9457).
type problem struct {
	Type          string         `json:"type"`
	Title         string         `json:"title"`
	Status        int            `json:"status"`
	Detail        string         `json:"detail"`
	Code          string         `json:"code"`
	InvalidParams []broker.Param `json:"invalidParams,omitempty"`
	NotReady      []string       `json:"notReady,omitempty"`
}

// codeInternal is the code of every error that the asker can do nothing about.
const codeInternal = "internal"

// maxParams bounds what is said of one request: more than its parts can be wrong, but not more than it could hold itself.
const maxParams = 200

// refusal is a failure of the gateway's own: a code of the table.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(code string) error { return refusal(code) }

// fail answers with the problem an error stands for. Of a *broker.Error only code and params are used, never its cause;
// an internal one, one that is not in the table, and any other error are a 500 without detail.
func (g *Gateway) fail(w http.ResponseWriter, x *exchange, err error) {
	var own refusal
	if errors.As(err, &own) {
		g.problem(w, x, string(own), nil)
		return
	}
	var e *broker.Error
	switch {
	case !errors.As(err, &e), e.Kind == broker.KindInternal:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			g.problem(w, x, "timeout", nil)
			return
		}
		g.problem(w, x, codeInternal, nil)
	default:
		g.problem(w, x, e.Code, e.Params)
	}
}

func (g *Gateway) problem(w http.ResponseWriter, x *exchange, code string, params []broker.Param) {
	g.writeProblem(w, x, g.newProblem(x, code, params))
}

func (g *Gateway) newProblem(x *exchange, code string, params []broker.Param) problem {
	row, ok := g.problems[code]
	if !ok {
		code, params = codeInternal, nil
		row = g.problems[code]
	}
	p := problem{Type: "about:blank", Title: in(x.language, row.title), Status: row.status, Detail: in(x.language, row.detail),
		Code: code}
	for _, q := range params[:min(len(params), maxParams)] {
		reason, ok := g.reasons[q.Code]
		if !ok {
			q.Code, reason = "invalid", g.reasons["invalid"]
		}
		q.Reason = in(x.language, reason)
		p.InvalidParams = append(p.InvalidParams, q)
	}
	return p
}

func (g *Gateway) writeProblem(w http.ResponseWriter, x *exchange, p problem) {
	x.code = p.Code
	h := w.Header()
	h.Set("Content-Language", x.language)
	if h.Get("Vary") == "" {
		h.Set("Vary", "Accept-Language")
	}
	if s := g.problems[p.Code].retryAfter; s > 0 {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(p.Code, x.dpop))
		g.giveNonce(h, x)
	case p.Code == "content-encoding-unsupported":
		h.Set("Accept-Encoding", "identity") // RFC 9110, 12.5.3
	case p.Code == "media-type-unsupported":
		h.Set("Accept-Post", typeJSON)
	}
	g.write(w, x, p.Status, typeProblem, encode(p))
}

// challenge says how to ask (RFC 9110, 11.6.1): by a bearer token (RFC 6750) or one bound to a key (RFC 9449), and what was
// wrong with the way that was chosen.
func challenge(code string, dpop bool) string {
	const bearer, proof = `Bearer realm="schakel"`, `DPoP realm="schakel"`
	const algs = `, algs="ES256 PS256 EdDSA"`
	const token = `, error="invalid_token"`
	switch {
	case code == "token-missing": // no error code when there was no token
		return bearer + ", " + proof + algs
	case code == "proof-nonce":
		return proof + `, error="use_dpop_nonce"` + algs
	case strings.HasPrefix(code, "proof-"):
		return proof + `, error="invalid_dpop_proof"` + algs
	case dpop:
		return proof + token + algs
	}
	return bearer + token + ", " + proof + algs
}

func in(language string, t broker.Text) string {
	if language == "en" {
		return t.EN
	}
	return t.NL
}
