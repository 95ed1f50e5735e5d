package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/schakel/schakel/broker"
)

// trace is the W3C trace context of one request. span is ours: the caller's is the parent of it.
type trace struct {
	id, span string // 32 and 16 hex digits
	flags    byte
	state    string
}

// newTrace takes over the caller's trace where there is exactly one well-formed traceparent, and starts one otherwise.
func newTrace(h http.Header) trace {
	t := trace{span: randomHex(8)}
	parents := h.Values("Traceparent")
	if len(parents) == 1 {
		if id, flags, ok := parseTraceparent(parents[0]); ok {
			t.id, t.flags = id, flags
			t.state = parseTracestate(h.Values("Tracestate"))
			return t
		}
	}
	t.id, t.flags = randomHex(16), sampled
	return t
}

// Flags of a traceparent that we know and pass on.
const (
	sampled byte = 1
	random  byte = 2 // the trace id is random
)

// parent is the traceparent to pass on.
func (t trace) parent() string {
	return "00-" + t.id + "-" + t.span + "-" + hex.EncodeToString([]byte{t.flags})
}

func (t trace) context() broker.Trace { return broker.Trace{Parent: t.parent(), State: t.state} }

// parseTraceparent reads version-traceid-parentid-flags, strictly: lower-case hex, no zero ids, version not ff, and
// nothing after the flags in version 00. Of a later version only these four parts are read.
func parseTraceparent(s string) (id string, flags byte, ok bool) {
	if len(s) < 55 || len(s) > 512 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return "", 0, false
	}
	version, id, parent, last := s[:2], s[3:35], s[36:52], s[53:55]
	if !lowerHex(version) || !lowerHex(id) || !lowerHex(parent) || !lowerHex(last) || version == "ff" ||
		zeros(id) || zeros(parent) {
		return "", 0, false
	}
	if len(s) > 55 && (version == "00" || s[55] != '-') {
		return "", 0, false
	}
	b, _ := hex.DecodeString(last)
	return id, b[0] & (sampled | random), true
}

// parseTracestate joins the lines of a tracestate. One that is malformed, over 512 bytes or over 32 members is dropped
// as a whole, as the standard says.
func parseTracestate(lines []string) string {
	seen := map[string]bool{}
	var members []string
	for _, m := range strings.Split(strings.Join(lines, ","), ",") {
		m = strings.Trim(m, " \t")
		if m == "" {
			continue
		}
		key, value, ok := strings.Cut(m, "=")
		if !ok || seen[key] || !stateKey(key) || !stateValue(value) {
			return ""
		}
		seen[key] = true
		members = append(members, m)
	}
	if s := strings.Join(members, ","); len(members) <= 32 && len(s) <= 512 {
		return s
	}
	return ""
}

func stateKey(s string) bool {
	if s == "" || len(s) > 256 || ((s[0] < 'a' || s[0] > 'z') && (s[0] < '0' || s[0] > '9')) {
		return false
	}
	return only(s, func(c byte) bool {
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strings.IndexByte("_-*/@", c) >= 0
	})
}

func stateValue(s string) bool {
	return s != "" && len(s) <= 256 && only(s, func(c byte) bool { return c >= 0x20 && c <= 0x7e && c != ',' && c != '=' })
}

func lowerHex(s string) bool {
	return only(s, func(c byte) bool { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') })
}

func zeros(s string) bool { return only(s, func(c byte) bool { return c == '0' }) }

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	if zeros(hex.EncodeToString(b)) {
		b[0] = 1
	}
	return hex.EncodeToString(b)
}
