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
	"github.com/schakel/schakel/keys"
)

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

// TestUnsafeForKeys: a store that restarted refuses new data keys before any append is tried. The writer must find out by
// that, and tell, or nobody would ever take the store up again.
func TestUnsafeForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var restarted atomic.Bool
		check := func() error {
			if restarted.Load() {
				return fmt.Errorf("another run id: %w", journal.ErrUnsafe)
			}
			return nil
		}
		s.check = check
		c := config(s, "gw", &storeView{s: s})
		c.Vault = newVault(guardedKeys{s, check})
		w := open(t, c)
		restarted.Store(true)
		_, err := w.Append(t.Context(), disclosureEvent(1))
		wantCode(t, err, "journal-unavailable")
		time.Sleep(100 * time.Millisecond)
		wantCode(t, w.Healthy(), "store-unsafe")
		restarted.Store(false) // taken up
		time.Sleep(lastBackoff + 100*time.Millisecond)
		if err := w.Healthy(); err != nil {
			t.Error(err)
		}
		if _, err := w.Append(t.Context(), disclosureEvent(2)); err != nil {
			t.Error(err)
		}
		mustClose(t, w)
		wantWhole(t, s)
	})
}

// TestNoRoomForKeys: a store that can be read, and takes no new data keys. The writer is not healthy until a key was kept
// again, or until the next look where nobody asks.
func TestNoRoomForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var full atomic.Bool
		c := config(s, "gw", &storeView{s: s})
		c.Vault = newVault(guardedKeys{s, func() error {
			if full.Load() {
				return errors.New("no room")
			}
			return nil
		}})
		w := open(t, c)
		for n := 1; n <= 2; n++ {
			full.Store(true)
			e := disclosureEvent(n)
			e.Subjects[0].BSN = []broker.BSN{"999990032", "999990044"}[n-1] // nobody has a key yet
			_, err := w.Append(t.Context(), e)
			wantCode(t, err, "journal-unavailable")
			time.Sleep(time.Second)
			wantCode(t, w.Healthy(), "journal-unavailable")
			full.Store(false)
			err = nil
			if n == 1 {
				_, err = w.Append(t.Context(), e)
			} else {
				time.Sleep(checkEvery)
			}
			if healthy := w.Healthy(); err != nil || healthy != nil {
				t.Errorf("with room again, %d: %v, %v", n, err, healthy)
			}
		}
		mustClose(t, w)
		wantWhole(t, s)
	})
}

// guardedKeys looks at the server before it writes, as redisstream does.
type guardedKeys struct {
	keys.KeyStore
	check func() error
}

func (g guardedKeys) PutKeys(ctx context.Context, list []journal.WrappedKey) ([][]byte, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.KeyStore.PutKeys(ctx, list)
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
