package gateway

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	parent  = "b7ad6b7169203331"
)

func TestTraceparent(t *testing.T) {
	zero32, zero16 := strings.Repeat("0", 32), strings.Repeat("0", 16)
	for s, want := range map[string]bool{
		"00-" + traceID + "-" + parent + "-01":                             true,
		"00-" + traceID + "-" + parent + "-00":                             true,
		"01-" + traceID + "-" + parent + "-01":                             true,
		"cc-" + traceID + "-" + parent + "-01-what-comes-later":            true,
		"cc-" + traceID + "-" + parent + "-01.what":                        false,
		"00-" + traceID + "-" + parent + "-01-":                            false,
		"00-" + traceID + "-" + parent + "-01-x":                           false,
		"ff-" + traceID + "-" + parent + "-01":                             false,
		"00-" + zero32 + "-" + parent + "-01":                              false,
		"00-" + traceID + "-" + zero16 + "-01":                             false,
		"00-" + strings.ToUpper(traceID) + "-" + parent + "-01":            false,
		"00-" + traceID + "-" + strings.ToUpper(parent) + "-01":            false,
		"00-" + traceID + "-" + parent + "-0A":                             false,
		"0A-" + traceID + "-" + parent + "-01":                             false,
		"00-" + traceID[1:] + "-" + parent + "-01":                         false,
		"00_" + traceID + "-" + parent + "-01":                             false,
		"00-" + traceID + "_" + parent + "-01":                             false,
		"00-" + traceID + "-" + parent + "_01":                             false,
		" 00-" + traceID + "-" + parent + "-01":                            false,
		"cc-" + traceID + "-" + parent + "-01-" + strings.Repeat("a", 500): false,
		"": false,
	} {
		if _, _, ok := parseTraceparent(s); ok != want {
			t.Errorf("%q: %v", s, ok)
		}
	}
	if id, flags, _ := parseTraceparent("00-" + traceID + "-" + parent + "-ff"); id != traceID || flags != sampled|random {
		t.Errorf("%s %x: flags we don't know are not ours to pass on", id, flags)
	}
}

func TestTracestate(t *testing.T) {
	many := strings.Repeat("a", 240)
	for s, want := range map[string]string{
		"a=1":                                "a=1",
		"a=1,b=2":                            "a=1,b=2",
		" a=1 ,\tb=2,, ":                     "a=1,b=2",
		"1tenant@vendor=x y":                 "1tenant@vendor=x y",
		"a=1,a=2":                            "",
		"a":                                  "",
		"a=":                                 "",
		"=1":                                 "",
		"A=1":                                "",
		"a=1=2":                              "",
		"a=\x7f":                             "",
		"a=é":                                "",
		"_a=1":                               "",
		many + "=1":                          many + "=1",
		many + "=1,b=" + many + ",c=" + many: "",
		"a=" + strings.Repeat("b", 257):      "",
	} {
		if got := parseTracestate([]string{s}); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	var members []string
	for i := range 33 {
		members = append(members, "k"+hex.EncodeToString([]byte{byte(i)})+"=1")
	}
	if parseTracestate(members[:32]) == "" || parseTracestate(members) != "" {
		t.Error("32 members is the most")
	}
}

func TestTraceIsTakenAndPassedOn(t *testing.T) {
	s := newSite(t)
	incoming := "00-" + traceID + "-" + parent + "-01"
	got := s.ask(t, with("Traceparent", incoming), with("Tracestate", "a=1", "b=2"))
	c := s.last(t)
	if c.TraceID != traceID || len(c.SpanID) != 16 || c.SpanID == parent || c.Trace.State != "a=1,b=2" ||
		c.Trace.Parent != "00-"+traceID+"-"+c.SpanID+"-01" || got.Header.Get("Traceresponse") != c.Trace.Parent {
		t.Errorf("call %+v, traceresponse %s", c, got.Header.Get("Traceresponse"))
	}
	for name, change := range map[string]func(*http.Request){
		"none":      with("X", "x"),
		"malformed": with("Traceparent", incoming+"x"),
		"two":       with("Traceparent", incoming, incoming),
	} {
		s.ask(t, change, with("Tracestate", "a=1"))
		c := s.last(t)
		if c.TraceID == traceID || len(c.TraceID) != 32 || c.Trace.State != "" || !strings.HasPrefix(c.Trace.Parent, "00-"+c.TraceID+"-"+c.SpanID) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if first, second := newTrace(nil), newTrace(nil); first.id == second.id || first.span == second.span {
		t.Error("two traces are one")
	}
}

// Whatever comes in, what is passed on is well formed.
func TestTracePassedOnIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := http.Header{
			"Traceparent": {rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?`)).Draw(t, "parent")},
			"Tracestate":  rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z]=[!-~]{1,3},){0,40}`))).Draw(t, "state"),
		}
		checkTrace(t, newTrace(h))
	})
}

func FuzzTrace(f *testing.F) {
	f.Add("00-"+traceID+"-"+parent+"-01", "a=1,b=2")
	f.Add("ff-"+traceID+"-"+parent+"-01", "a=1,a=2")
	f.Add("cc-"+traceID+"-"+parent+"-03-x", "tenant@vendor=x y")
	f.Add("", strings.Repeat("a=b,", 200))
	f.Fuzz(func(t *testing.T, traceparent, tracestate string) {
		checkTrace(t, newTrace(http.Header{"Traceparent": {traceparent}, "Tracestate": {tracestate}}))
	})
}

func checkTrace(t interface{ Fatalf(string, ...any) }, x trace) {
	c := x.context()
	if id, _, ok := parseTraceparent(c.Parent); !ok || id != x.id || len(c.Parent) != 55 {
		t.Fatalf("traceparent %q", c.Parent)
	}
	if len(c.State) > 512 || strings.Count(c.State, ",") > 31 || parseTracestate([]string{c.State}) != c.State {
		t.Fatalf("tracestate %q", c.State)
	}
	if strings.ContainsAny(c.Parent+c.State, "\r\n\x00") {
		t.Fatalf("a line end would be passed on")
	}
}
