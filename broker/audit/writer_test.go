package audit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

var errLost = errors.New("connection lost")

// wantCode fails the test unless err is a *broker.Error of KindUnavailable with this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *broker.Error
	if !errors.As(err, &e) || e.Kind != broker.KindUnavailable || e.Code != code {
		t.Fatalf("error %v; want unavailable with code %s", err, code)
	}
}

func wantWhole(t *testing.T, s journal.Store, receipts ...broker.Receipt) Report {
	t.Helper()
	rep, err := Verify(context.Background(), VerifyConfig{Store: s, Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK || rep.Receipts != len(receipts) {
		t.Fatalf("%d of %d receipts found; faults: %v", rep.Receipts, len(receipts), rep.Faults)
	}
	return rep
}

func mustClose(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestWriterKeepsOneChainOverEpochs(t *testing.T) {
	s := newStore(t)
	var receipts []broker.Receipt
	for range 2 {
		w := open(t, config(s, "gw", &storeView{s: s}))
		for i := range 3 {
			r, err := w.Append(t.Context(), disclosureEvent(i))
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, r)
		}
		mustClose(t, w)
	}
	wantWhole(t, s, receipts...)
	events := s.events("gw")
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, string(e.Kind))
	}
	d := strings.Repeat(" disclosure", 3)
	if got, want := strings.Join(kinds, " "), "start"+d+" stop start"+d+" stop"; got != want {
		t.Fatalf("events %s; want %s", got, want)
	}
	for i, want := range map[int]string{0: `"reason":"first"`, 5: `"reason":"clean"`} {
		if !strings.Contains(string(events[i].Common), want) {
			t.Errorf("start event %s lacks %s", events[i].Common, want)
		}
	}
	if events[5].ID != (journal.ID{Epoch: 2}) || events[1].Position != 1 {
		t.Errorf("second start %s, position %d", events[5].ID, events[1].Position)
	}
}

func TestWriterTellsACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", nil))
		w.cancel() // as if killed
		<-w.ended
		w = open(t, config(s, "gw", nil))
		mustClose(t, w)
		if common := string(s.events("gw")[1].Common); !strings.Contains(common, `"reason":"crash"`) {
			t.Fatalf("start after a crash says %s", common)
		}
		wantWhole(t, s)
	})
}

// TestBatching: while one append is in flight the others gather; the next append takes them all, within the limits.
func TestBatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var sizes []int
		s.fail = func(_ int, b journal.Batch) (error, bool) {
			sizes = append(sizes, len(b.Events))
			time.Sleep(20 * time.Millisecond)
			return nil, true
		}
		w := open(t, config(s, "gw", &storeView{s: s}))
		const n = 600
		receipts := make([]broker.Receipt, n)
		var wait sync.WaitGroup
		for i := range n {
			wait.Go(func() {
				var err error
				if receipts[i], err = w.Append(t.Context(), disclosureEvent(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		mustClose(t, w)
		wantWhole(t, s, receipts...)
		if len(sizes) > 7 { // start, the first few, 256, 256, rest, stop
			t.Errorf("appends of %v events", sizes)
		}
	})
}

func TestBatchesKeepWithinTheSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t) // holds batches against journal.MaxBytes
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(time.Millisecond); return nil, true }
		w := open(t, config(s, "gw", &storeView{s: s}))
		var wait sync.WaitGroup
		for i := range 40 {
			wait.Go(func() {
				e := disclosureEvent(i)
				e.Common.Policy.Engine = strings.Repeat("x", 40<<10+i*1000)
				if _, err := w.Append(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		e := disclosureEvent(99)
		e.Common.Policy.Engine = strings.Repeat("x", journal.MaxBytes)
		_, err := w.Append(t.Context(), e)
		wantCode(t, err, "journal-unavailable")
		mustClose(t, w)
		wantWhole(t, s)
		if got := len(s.events("gw")); got != 42 {
			t.Fatalf("%d events, want 42", got)
		}
	})
}

func TestStaleFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		s.change("case-1") // the view has not seen it
		// Two in one batch: the other waits while a slow append is in flight.
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(10 * time.Millisecond); return nil, true }
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = w.Append(t.Context(), disclosureEvent(0, "case-3")) })
		synctest.Wait()
		wait.Go(func() {
			if _, err := w.Append(t.Context(), disclosureEvent(1, "case-1")); !errors.Is(err, broker.ErrStale) {
				t.Errorf("facts that changed: %v", err)
			}
		})
		wait.Go(func() {
			if _, err := w.Append(t.Context(), disclosureEvent(2, "case-2")); err != nil {
				t.Errorf("facts that did not: %v", err)
			}
		})
		wait.Wait()
		s.change(broker.TouchAll)
		if _, err := w.Append(t.Context(), disclosureEvent(3, "case-2")); !errors.Is(err, broker.ErrStale) {
			t.Errorf("policy changed: %v", err)
		}
		e := disclosureEvent(4, "case-1")
		e.Position = 3
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Errorf("decided on the latest: %v", err)
		}
		mustClose(t, w)
		wantWhole(t, s)
		events := s.events("gw")
		if len(events) != 5 || events[1].Position != 1 || events[2].Position != 2 || events[3].Position != 3 {
			t.Errorf("%d events", len(events))
		}
	})
}

// stuckView always says that facts hold and never catches up.
type stuckView struct{ err error }

func (v stuckView) Validate(p broker.Position, _ []broker.Touch) (broker.Position, bool) {
	return p, true
}
func (v stuckView) Refresh(context.Context) error { return v.err }

func TestViewThatStaysBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", stuckView{errors.New("behind")}))
		s.change("case-1")
		_, err := w.Append(t.Context(), disclosureEvent(1, "case-1"))
		wantCode(t, err, "register-behind")
		mustClose(t, w)
		w = open(t, config(s, "gw", stuckView{}))
		if _, err := w.Append(t.Context(), disclosureEvent(1, "case-1")); !errors.Is(err, broker.ErrStale) {
			t.Errorf("a view that says it is up to date and isn't: %v", err)
		}
		mustClose(t, w)
		if got := len(s.events("gw")); got != 4 {
			t.Errorf("%d events", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	s := newStore(t)
	for name, change := range map[string]func(*Config){
		"no store":  func(c *Config) { c.Store = nil },
		"no vault":  func(c *Config) { c.Vault = nil },
		"no log":    func(c *Config) { c.Log = "" },
		"bad name":  func(c *Config) { c.Writer = "GW 1" },
		"cancelled": func(c *Config) { s.fail = func(int, journal.Batch) (error, bool) { return errLost, false } },
	} {
		c := config(s, "gw", nil)
		change(&c)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := Open(ctx, c); err == nil {
			t.Errorf("%s: opened", name)
		}
		cancel()
		s.failWith(nil)
	}
	s.streams[journal.Register] = nil
	if _, err := Open(t.Context(), config(s, "gw", nil)); !errors.Is(err, journal.ErrAbsent) {
		t.Errorf("no register: %v", err)
	}
	s = newStore(t)
	mustClose(t, open(t, config(s, "gw", nil)))
	s.streams["audit:gw"][1].Bytes[10] ^= 1
	if _, err := Open(t.Context(), config(s, "gw", nil)); err == nil || !strings.Contains(err.Error(), "1-1") {
		t.Errorf("built on a damaged event: %v", err)
	}
}

func TestCloseDrainsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(30 * time.Millisecond); return nil, true }
		w := open(t, config(s, "gw", &storeView{s: s}))
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		mustClose(t, w)
		wait.Wait()
		_, err := w.Append(t.Context(), disclosureEvent(99))
		wantCode(t, err, "journal-unavailable")
		events := s.events("gw")
		if len(events) != 22 || events[21].Kind != KindStop {
			t.Errorf("%d events", len(events))
		}
		mustClose(t, w) // again, harmless
	})
}

func TestAppendWithoutViewOrSubject(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "cli", nil))
	_, err := w.Append(t.Context(), disclosureEvent(1))
	wantCode(t, err, "journal-unavailable")
	mustClose(t, w)
	w = open(t, config(s, "gw", &storeView{s: s}))
	e := disclosureEvent(1)
	e.Subjects[0].BSN = ""
	_, err = w.Append(t.Context(), e)
	wantCode(t, err, "journal-unavailable")
	mustClose(t, w)
}

// movingView moves on with each validation.
type movingView struct{ at broker.Position }

func (v *movingView) Validate(broker.Position, []broker.Touch) (broker.Position, bool) {
	v.at++
	return v.at, true
}
func (v *movingView) Refresh(context.Context) error { return nil }

// TestBatchPosition: a view that moves between two events of a batch. The first was not validated at the later
// position, so the store must look from the earlier one on.
func TestBatchPosition(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", &movingView{at: 4}))
	defer mustClose(t, w)
	items := []*item{{kind: KindDisclosure, position: 1}, {kind: KindDisclosure, position: 1}, {kind: KindDisclosure, position: 1}}
	items[1].state.Store(givenUp)
	valid, position := w.validate(items)
	if len(valid) != 2 || position != 5 {
		t.Errorf("%d events at position %d, want 2 at 5", len(valid), position)
	}
}
