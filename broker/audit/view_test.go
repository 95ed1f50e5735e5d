package audit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// TestViewIsRecorded: who looked stands encrypted, what was looked at in clear, and the log stays whole; a view that can't
// be recorded is an error, so that nothing is shown.
func TestViewIsRecorded(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", freshView{}))
	receipt, err := w.Append(t.Context(), disclosureEvent(1))
	if err != nil {
		t.Fatal(err)
	}
	looked := Viewed{Writer: "gw", Event: Ref{ID: ID{1, 1}, Hash: receipt.Hash}, How: "policy why"}
	if err := w.View(t.Context(), looked, broker.Staff{Worker: "canary-officer"}); err != nil {
		t.Fatal(err)
	}
	if w.View(t.Context(), looked, broker.Staff{}) == nil || w.View(t.Context(), Viewed{Writer: "gw", How: "x"}, broker.Staff{Worker: "o"}) == nil {
		t.Error("a view by nobody, or of nothing, is recorded")
	}
	s.failWith(func(int, journal.Batch) (error, bool) { return errors.New("down"), false }) // it is added once that is over
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if w.View(soon, looked, broker.Staff{Worker: "o"}) == nil {
		t.Error("a view that is not durable is acknowledged")
	}
	s.failWith(nil)
	mustClose(t, w)
	rep := verify(t, VerifyConfig{Store: s})
	if !rep.OK {
		t.Errorf("%+v", rep)
	}
	events := readLog(t, LogConfig{Store: s, Vault: newVault(s)})
	var views []LogEvent
	for _, e := range events {
		if e.Kind == KindView {
			views = append(views, e)
		}
	}
	if len(views) != 2 || views[0].Staff == nil || views[0].Staff.Worker != "canary-officer" || !strings.Contains(views[0].Line(), `view of=gw,1-1 how="policy why" worker="canary-officer"`) {
		t.Fatalf("%+v", views)
	}
	if strings.Contains(string(s.events("gw")[2].Encode()), "canary-officer") {
		t.Error("who looked stands in clear")
	}
	if got := readRequests(t, RequestsConfig{Store: s}); len(got) != 1 {
		t.Errorf("%d requests: a view is none", len(got))
	}
}

// TestLookOverMany: what was sought and why stand encrypted, and a look without one of them is not recorded.
func TestLookOverMany(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", freshView{}))
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	whole := broker.Staff{Worker: "officer", Purpose: "datalek", Ground: "AVG 33, dossier 7", Sought: "worker canary-sought"}
	for _, lacks := range []func(*broker.Staff){
		func(s *broker.Staff) { s.Worker = "" }, func(s *broker.Staff) { s.Purpose = "" },
		func(s *broker.Staff) { s.Ground = "" }, func(s *broker.Staff) { s.Sought = "" },
	} {
		staff := whole
		lacks(&staff)
		if w.View(t.Context(), Viewed{How: "audit breach"}, staff) == nil {
			t.Errorf("recorded: %+v", staff)
		}
	}
	if err := w.View(t.Context(), Viewed{How: "audit breach", Since: since}, whole); err != nil {
		t.Fatal(err)
	}
	mustClose(t, w)
	stored := string(s.events("gw")[1].Encode())
	if strings.Contains(stored, "canary-sought") || strings.Contains(stored, "AVG 33") || !strings.Contains(stored, `"common":{"how":"audit breach","since":"2026-11-01T00:00:00Z"}`) {
		t.Error(stored)
	}
	if line := readLog(t, LogConfig{Store: s, Vault: newVault(s)})[1].Line(); !strings.Contains(line, `view of=many how="audit breach" worker="officer" purpose="datalek" ground="AVG 33, dossier 7" sought="worker canary-sought"`) {
		t.Error(line)
	}
}
