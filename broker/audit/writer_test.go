package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// TestAmbiguousAppend: an append with an unknown outcome is sent again with the same bytes (the store checks that), and
// its event is there once, in both forms of failure.
func TestAmbiguousAppend(t *testing.T) {
	for _, persisted := range []bool{false, true} {
		t.Run(fmt.Sprintf("persisted=%v", persisted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				w := open(t, config(s, "gw", &storeView{s: s}))
				s.fail = func(n int, _ journal.Batch) (error, bool) {
					if n <= 4 {
						return errLost, persisted
					}
					return nil, true
				}
				r, err := w.Append(t.Context(), disclosureEvent(1))
				if err != nil {
					t.Fatal(err)
				}
				mustClose(t, w)
				wantWhole(t, s, r)
				if got := len(s.events("gw")); got != 3 {
					t.Fatalf("%d events, want 3", got)
				}
			})
		})
	}
}

// TestLimit: an append takes 250 ms at most. What was not sent by then never is; what was sent may be added.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		var down atomic.Bool
		down.Store(true)
		s.fail = func(int, journal.Batch) (error, bool) {
			if down.Load() {
				return errLost, false
			}
			return nil, true
		}
		begin := time.Now()
		var wait sync.WaitGroup
		for i := range 10 {
			wait.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := w.Append(t.Context(), disclosureEvent(i))
				wantCode(t, err, "journal-unavailable")
			})
		}
		wait.Wait()
		if took := time.Since(begin); took != 259*time.Millisecond {
			t.Errorf("ten appends took %s", took)
		}
		if w.Healthy() == nil {
			t.Error("healthy while an outcome is unknown")
		}
		time.Sleep(time.Second)
		begin = time.Now()
		_, err := w.Append(t.Context(), disclosureEvent(11))
		wantCode(t, err, "journal-unavailable")
		if took := time.Since(begin); took != 0 {
			t.Errorf("refused after %s, though the outage was known", took)
		}
		down.Store(false)
		time.Sleep(time.Second)
		if err := w.Healthy(); err != nil {
			t.Error(err)
		}
		mustClose(t, w)
		wantWhole(t, s)
		events := s.events("gw")
		if len(events) != 3 || !strings.Contains(string(events[1].Common), disclosureEvent(0).Common.Request.String()) {
			t.Errorf("%d events; want start, the first disclosure, stop", len(events))
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(50 * time.Millisecond); return nil, true }
		w := open(t, config(s, "gw", &storeView{s: s}))
		go func() { _, _ = w.Append(t.Context(), disclosureEvent(1)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := w.Append(ctx, disclosureEvent(2))
		wantCode(t, err, "journal-unavailable")
		mustClose(t, w)
		if got := len(s.events("gw")); got != 3 {
			t.Fatalf("%d events, want 3: the one given up must not be added", got)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		c := config(s, "gw", &storeView{s: s})
		c.Queue = 4
		w := open(t, c)
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(100 * time.Millisecond); return nil, true }
		var full atomic.Int32
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = w.Append(t.Context(), disclosureEvent(99)) })
		synctest.Wait() // in flight
		for i := range 9 {
			wait.Go(func() {
				begin := time.Now()
				if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
					wantCode(t, err, "journal-unavailable")
					if time.Since(begin) != 0 {
						t.Error("it waited")
					}
					full.Add(1)
				}
			})
		}
		wait.Wait()
		if n := full.Load(); n != 5 {
			t.Errorf("%d of 9 refused with a queue of 4", n)
		}
		mustClose(t, w)
	})
}

func TestFencedByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		old := open(t, config(s, "gw", &storeView{s: s}))
		next := open(t, config(s, "gw", &storeView{s: s}))
		_, err := old.Append(t.Context(), disclosureEvent(1))
		wantCode(t, err, "writer-fenced")
		select {
		case <-old.Fenced():
		default:
			t.Fatal("Fenced is not closed")
		}
		_, err = old.Append(t.Context(), disclosureEvent(2))
		wantCode(t, err, "writer-fenced")
		wantCode(t, old.Healthy(), "writer-fenced")
		if err := old.Close(t.Context()); err == nil {
			t.Error("a fenced writer closed in good order")
		}
		if _, err := next.Append(t.Context(), disclosureEvent(3)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, next)
		wantWhole(t, s)
	})
}

// TestIdleWriterIsFenced: the check of each minute finds that the store lost what it acknowledged.
func TestIdleWriterIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.streams["audit:gw"] = s.streams["audit:gw"][:1]
		s.mu.Unlock()
		time.Sleep(checkEvery + time.Second)
		select {
		case <-w.Fenced():
		default:
			t.Fatal("not fenced")
		}
		_ = w.Close(t.Context())
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

// TestUnsafeStore: nothing is acknowledged, and nothing sent again, by a store that could lose it.
func TestUnsafeStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var unsafe atomic.Bool
		s.check = func() error {
			if unsafe.Load() {
				return fmt.Errorf("appendonly is no: %w", journal.ErrUnsafe)
			}
			return nil
		}
		w := open(t, config(s, "gw", &storeView{s: s}))
		before := s.appends
		s.fail = func(int, journal.Batch) (error, bool) {
			if s.failWith(nil); !unsafe.Swap(true) {
				return errLost, true // the store restarted, with another configuration
			}
			return nil, true
		}
		_, err := w.Append(t.Context(), disclosureEvent(1))
		wantCode(t, err, "journal-unavailable")
		time.Sleep(time.Minute)
		if got := s.appends - before; got != 1 {
			t.Errorf("%d appends to an unsafe store", got)
		}
		_, err = w.Append(t.Context(), disclosureEvent(2))
		wantCode(t, err, "store-unsafe")
		wantCode(t, w.Healthy(), "store-unsafe")
		unsafe.Store(false)
		time.Sleep(time.Second)
		if _, err := w.Append(t.Context(), disclosureEvent(3)); err != nil {
			t.Fatal(err)
		}
		unsafe.Store(true) // while idle
		time.Sleep(checkEvery + time.Second)
		_, err = w.Append(t.Context(), disclosureEvent(4))
		wantCode(t, err, "store-unsafe")
		if _, err := Open(t.Context(), config(s, "gw2", nil)); !errors.Is(err, journal.ErrUnsafe) {
			t.Errorf("opened on an unsafe store: %v", err)
		}
		unsafe.Store(false)
		mustClose(t, w)
		wantWhole(t, s)
		if got := len(s.events("gw")); got != 4 {
			t.Errorf("%d events, want 4", got)
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

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		s.fail = func(int, journal.Batch) (error, bool) { return errLost, false }
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := w.Close(ctx); err == nil {
			t.Error("closed in good order without a stop event")
		}
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

// TestTwoProcessesClaimAtTheSameMoment: each gets an epoch of its own and the first is fenced, though their clocks and
// all else are the same.
func TestTwoProcessesClaimAtTheSameMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fail = func(int, journal.Batch) (error, bool) { time.Sleep(time.Millisecond); return nil, true }
		var writers [2]*Writer
		var wait sync.WaitGroup
		for i := range writers {
			wait.Go(func() { writers[i] = open(t, config(s, "gw", nil)) })
		}
		wait.Wait()
		epochs := writers[0].Head().ID.Epoch + writers[1].Head().ID.Epoch
		if epochs != 3 {
			t.Errorf("epochs %d and %d", writers[0].Head().ID.Epoch, writers[1].Head().ID.Epoch)
		}
		closed := 0
		for _, w := range writers {
			if w.Close(t.Context()) == nil {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%d of two closed in good order", closed)
		}
		wantWhole(t, s)
	})
}
