package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// exchange gathers along the way what the one log event about a request says.
type exchange struct {
	start    time.Time
	language string
	trace    trace
	raw      http.ResponseWriter // of net/http itself, for MaxBytesReader

	dpop    bool // the token came under the scheme DPoP
	route   string
	code    string // of the problem, or "ok"
	err     error  // what the Broker failed with
	asked   bool   // the Broker gave an envelope
	id      broker.RequestID
	refused bool
	summary broker.Summary
	stack   []string // where it panicked
	unsent  bool     // the client was gone before the answer was
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// recorder knows the status that was written.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// ServeHTTP answers one request: the headers every answer has, the route, and whatever happens one log event. A panic
// becomes a 500 without detail, or a broken connection when a part of the answer had left already.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{start: time.Now(), language: language(r.Header.Values("Accept-Language")), trace: newTrace(r.Header),
		raw: w, code: "ok"}
	out := &recorder{ResponseWriter: w}
	g.metrics.inFlight.Inc()
	defer func() {
		broken := false
		if p := recover(); p != nil { // the value may hold personal data: it is not looked at
			x.stack = functions()
			if broken = out.status != 0; !broken {
				g.problem(out, x, "internal", nil)
			}
		}
		g.metrics.inFlight.Dec()
		g.record(x, out.status, r.Method)
		if broken {
			panic(http.ErrAbortHandler) // net/http closes the connection and writes nothing
		}
	}()
	h := w.Header()
	h.Set("API-Version", APIVersion)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("traceresponse", x.trace.parent())
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// The length it may have told as well is hidden from us (net/http drops it), and so is an encoding in HTTP/1.0. A
		// proxy may have believed the other one: what follows on this connection is not to be trusted (RFC 9112, 6.1, 6.3).
		h.Set("Connection", "close")
	}
	g.router.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// functions names the functions that were running when it panicked, without arguments.
func functions() []string {
	pcs := make([]uintptr, 40)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var out []string
	for {
		f, more := frames.Next()
		if name := f.Function; name != "" && !strings.HasPrefix(name, "runtime.") {
			out = append(out, name+":"+strconv.Itoa(f.Line))
		}
		if !more {
			return out
		}
	}
}

// record writes the one event about a request, and counts it. Everything in it is a word of a closed list, a number, or
// an identifier of the request itself.
func (g *Gateway) record(x *exchange, status int, method string) {
	took := time.Since(x.start)
	if x.route == "" {
		x.route = "none" // an unknown path may hold anything
	}
	role, purpose := "", ""
	if x.asked {
		role, purpose = g.known(x.summary)
	}
	g.metrics.count(x, status, took, role, purpose)
	attrs := []slog.Attr{
		slog.String("method", knownMethod(method)), slog.String("route", x.route), slog.Int("status", status),
		slog.String("code", x.code), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("trace_id", x.trace.id), slog.String("span_id", x.trace.span),
	}
	if x.asked {
		s := x.summary
		attrs = append(attrs, slog.String("request_id", string(x.id)), slog.String("role", role),
			slog.String("purpose", purpose), slog.Int("granted", s.Granted), slog.Int("withheld", s.Withheld),
			slog.Int("unavailable", s.Unavailable), slog.Int("asked", s.Asked), slog.Int("tries", s.Tries))
	}
	if x.err != nil {
		attrs = append(attrs, causeOf(x.err)...)
	}
	if x.unsent {
		attrs = append(attrs, slog.Bool("unsent", true))
	}
	if x.stack != nil {
		attrs = append(attrs, slog.Any("panic_in", x.stack))
	}
	level := slog.LevelInfo
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		level = slog.LevelWarn
	case status >= 500 || x.stack != nil:
		level = slog.LevelError
	case status < 300 && (x.route == "/livez" || x.route == "/readyz" || x.route == "/metrics"):
		level = slog.LevelDebug // asked every few seconds, by machines
	}
	g.cfg.Log.LogAttrs(context.Background(), level, "request", attrs...)
}

// causeOf says why the Broker failed. The contract of broker.Error is that it holds no personal value; of an error of
// another type nothing is known, so only its type is named.
func causeOf(err error) []slog.Attr {
	var e *broker.Error
	if !errors.As(err, &e) {
		return []slog.Attr{slog.String("cause", "an error that is no *broker.Error")}
	}
	out := []slog.Attr{slog.String("failed", e.Code)} // the code in the answer is another for an internal error
	if e.Err != nil {
		text := e.Err.Error()
		out = append(out, slog.String("cause", text[:min(len(text), 500)]))
	}
	return out
}

// known gives role and purpose as words of the closed lists in force, "other" for any other word.
func (g *Gateway) known(s broker.Summary) (role, purpose string) {
	role, purpose = "other", "other"
	c, _, err := g.cfg.Broker.Catalog()
	if err != nil || c == nil {
		return role, purpose
	}
	if broker.HasTerm(c.Roles, string(s.Role)) {
		role = string(s.Role)
	}
	if broker.HasTerm(c.Purposes, string(s.Purpose)) {
		purpose = string(s.Purpose)
	}
	return role, purpose
}

func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return m
	}
	return "other"
}
