package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
)

// TestDecisionOnAPage: what a page shows of a decision is what the log has, and by whom it was looked at stands in the log
// first; where that can't be written nothing is given.
func TestDecisionOnAPage(t *testing.T) {
	l := newImpactLog(t, 2*together)
	e := l.events[slices.IndexFunc(l.events, func(e loggedEvent) bool { return len(e.subjects) > 1 })]
	l.officers(t, "canary-auditor", "canary-suspended")
	w := &where{data: l.dir}
	d, err := w.openDesk(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := audit.Open(t.Context(), d.writerConfig("gw9", l.dir))
	if err != nil {
		t.Fatal(err)
	}
	desk := &consoleDesk{desk: d, writer: writer}
	by := console.Person{ID: "canary-auditor", Role: console.Auditor}
	got, err := desk.Decision(t.Context(), by, e.Staff.Request)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range e.Common.Subjects {
		for _, q := range s.Queries {
			if p := got.Parts[n]; p.Subject != s.Subject || p.Lookup != s.Lookup || p.Revision != e.Common.Policy.Revision || !bytes.Equal(p.Query.Bytes(), e.Common.Queries[q]) {
				t.Errorf("got %+v, want %s", p, e.Common.Queries[q])
			}
			n++
		}
	}
	if n != len(got.Parts) || n < 2 {
		t.Errorf("%d parts of %d", len(got.Parts), n)
	}
	if _, err := desk.Decision(t.Context(), by, "0193a2b4-0000-7000-8000-000000000000"); !errors.Is(err, console.ErrNoDecision) {
		t.Errorf("a decision that is not there: %v", err)
	}
	for name, p := range map[string]console.Person{"suspended": {ID: "canary-suspended", Role: console.Auditor}, "unknown": {ID: "niemand", Role: console.Auditor},
		"in another role": {ID: by.ID, Role: console.PrivacyOfficer}} {
		if got, err := desk.Decision(t.Context(), p, e.Staff.Request); !errors.Is(err, console.ErrMayNotLook) || got.Parts != nil {
			t.Errorf("an officer who is %s: %+v, %v", name, got, err)
		}
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := desk.Decision(t.Context(), by, e.Staff.Request); !errors.Is(err, console.ErrNotRecorded) || got.Parts != nil {
		t.Errorf("shown without a record: %+v, %v", got, err)
	}
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	if log := l.opened(t, "canary-auditor"); strings.Count(log, " view of=") != 2 || !strings.Contains(log, `how="console waarom" worker="canary-auditor"`) {
		t.Errorf("views in the log:\n%s", log)
	}
}

// TestConsoleIsNotInClear: sessions never go in clear over a network, unless a proxy that ends TLS is said to stand there.
func TestConsoleIsNotInClear(t *testing.T) {
	t.Parallel()
	good := consoleConfig{URL: "https://beleid.example", Issuer: "https://login.example", ClientID: "x", ClientSecretFile: "x",
		Roles: map[string]console.Role{"PO": console.PrivacyOfficer}}
	for listen, want := range map[string]bool{"127.0.0.1:8444": true, "[::1]:8444": true, "localhost:8444": true, "": true,
		"0.0.0.0:8444": false, ":8444": false, "[::]:8444": false, "10.0.0.7:8444": false, "beleid.example:8444": false, "127.0.0.1": false} {
		c := good
		c.Listen = listen
		if err := c.check(); (err == nil) != want {
			t.Errorf("%q: %v", listen, err)
		}
		if c.Proxy = true; c.check() != nil {
			t.Errorf("%q behind a proxy: %v", listen, c.check())
		}
		c.Proxy, c.Certificate, c.Key = false, "a.pem", "a.key"
		if err := c.check(); err != nil {
			t.Errorf("%q with TLS: %v", listen, err)
		}
	}
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		if s, err := (&demo{console: address}).site(t.Context()); err == nil {
			t.Errorf("the demo's console listens at %s", s.listener.Addr())
		}
	}
}
