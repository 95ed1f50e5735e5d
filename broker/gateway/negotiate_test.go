package gateway

import (
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

func TestLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"": "nl", "en": "en", "nl": "nl", "fr": "nl", "*": "nl", "EN-gb": "en", "nl-BE": "nl",
		"en;q=0.5, nl;q=0.4":   "en",
		"nl;q=0.4, en;q=0.5":   "en",
		"en;q=0.4, nl;q=0.5":   "nl",
		"en;q=0.5, nl;q=0.5":   "nl",
		"fr, en;q=0.1":         "en",
		"en;q=0":               "nl",
		"en;q=0, *":            "nl",
		"nl;q=0, *":            "en",
		"nl;q=0.1, *":          "en",
		"*;q=0.5, nl;q=0":      "en",
		"en;q=0.001":           "en",
		"en;q=1.1":             "nl",
		"en;q=x":               "nl",
		"en;q=":                "nl",
		"en;q=-1":              "nl",
		"en;q=0.1234":          "nl",
		"en;q=NaN":             "nl",
		"en;q=0.e1":            "nl",
		", ,en ; q=0.3,":       "en",
		"english":              "nl",
		"en\x00":               "nl",
		"de;q=0.9, en-US;q=.8": "nl",
	} {
		if got := language([]string{header}); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	if got := language([]string{"nl;q=0.1", "en"}); got != "en" {
		t.Error("the second header line is not read")
	}
}

func TestAccepts(t *testing.T) {
	type result struct{ compact, ok bool }
	asJSON, asJOSE, none := result{false, true}, result{true, true}, result{}
	for header, want := range map[string]result{
		"application/json":                                  asJSON,
		"application/jose":                                  asJOSE,
		"Application/JOSE":                                  asJOSE,
		"*/*":                                               asJSON,
		"application/*":                                     asJSON,
		"application/json, application/jose":                asJSON,
		"application/jose, application/json":                asJSON,
		"application/jose, application/json;q=0.9":          asJOSE,
		"application/jose;q=0.9, */*":                       asJSON,
		"application/jose, */*;q=0.1":                       asJOSE,
		"application/json;q=0, */*":                         asJOSE,
		"application/json;q=0, application/jose;q=0":        none,
		"application/*;q=0, */*":                            none,
		"application/json;charset=utf-8":                    asJSON,
		"text/html, application/xhtml+xml":                  none,
		"application/problem+json":                          none,
		"application/jose;q=2":                              none,
		"text/html, application/xml;q=0.9, */*;q=0.8":       asJSON,
		"application/json;q=0.2, application/jose;q=0.3":    asJOSE,
		"application/json;q=0.001, application/jose;q=0.00": asJSON,
	} {
		if compact, ok := accepts([]string{header}); (result{compact, ok}) != want {
			t.Errorf("%q: compact %v ok %v, want %v", header, compact, ok, want)
		}
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1772442904, 0)
	l := newLimiter(2, 3, 2, func() time.Time { return now })
	take := func(oin broker.OIN) (n int) {
		for l.admit(oin) {
			n++
		}
		return n
	}
	if n := take("a"); n != 3 {
		t.Errorf("a burst of %d, want 3", n)
	}
	if n := take("b"); n != 3 {
		t.Errorf("b pays for a: %d", n)
	}
	now = now.Add(time.Second)
	if n := take("a"); n != 2 {
		t.Errorf("%d a second, want 2", n)
	}
	now = now.Add(time.Hour)
	if n := take("a"); n != 3 {
		t.Errorf("%d after an hour, want the burst", n)
	}
	take("c") // b is the longest unused and makes room
	if len(l.buckets) != 2 || l.recent.Len() != 2 {
		t.Errorf("%d buckets, %d in order, want 2", len(l.buckets), l.recent.Len())
	}
	if n := take("a"); n != 0 {
		t.Errorf("a got a new bucket with %d", n)
	}
	for _, f := range []func(broker.OIN) bool{NewLimiter(0, 5), NewLimiter(5, 0), NewLimiter(-1, -1)} {
		if f("a") {
			t.Error("a limit that is not positive admits somebody")
		}
	}
	if !NewLimiter(1, 1)("a") {
		t.Error("the first request is not admitted")
	}
}
