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
