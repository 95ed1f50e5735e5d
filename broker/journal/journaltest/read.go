package journaltest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

func testPaging(t *testing.T, b Backend) {
	s := fresh(t, b)
	first := batch("a", journal.Head{}, 7)
	want(t, s, first, journal.Appended)
	claim := batch("a", last(first), 3)
	for i := range claim.Events { // the next epoch
		claim.Events[i] = Entry(journal.ID{Epoch: 2, Seq: uint64(i)}, []byte("second epoch"))
	}
	want(t, s, claim, journal.Appended)
	whole := append(first.Events, claim.Events...)
	wantEntries(t, s, journal.Audit("a"), whole...)

	for _, size := range []int{1, 2, 3, 100} {
		var got []journal.Entry
		var after journal.ID
		for {
			page, err := s.Read(t.Context(), journal.Audit("a"), after, size)
			if err != nil || len(page) > size {
				t.Fatalf("page of %d, %v; want at most %d", len(page), err, size)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1].ID
		}
		if !slices.EqualFunc(got, whole, equal) {
			t.Fatalf("pages of %d give %s; want %s", size, brief(got), brief(whole))
		}
	}
	// An id that is not there: after it, in order.
	got, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{Epoch: 1, Seq: 1000}, 1)
	if err != nil || len(got) != 1 || got[0].ID != claim.Events[0].ID {
		t.Fatalf("after 1-1000: %s, %v", brief(got), err)
	}
	for _, none := range []int{0, -1} {
		if got, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, none); err != nil || len(got) != 0 {
			t.Fatalf("at most %d: %s, %v", none, brief(got), err)
		}
	}
}

func testStreams(t *testing.T, b Backend) {
	s := fresh(t, b)
	if w, err := s.Writers(t.Context()); err != nil || len(w) != 0 {
		t.Fatalf("writers %q, %v; want none", w, err)
	}
	for _, name := range []string{"b", "a-2", "a", "0"} {
		want(t, s, batch(name, journal.Head{}, 1), journal.Appended)
	}
	stale := batch("none", journal.Head{}, 1)
	stale.Position = 0
	want(t, s, stale, journal.Stale) // a writer that wrote nothing has no stream
	if w, err := s.Writers(t.Context()); err != nil || !slices.Equal(w, []string{"0", "a", "a-2", "b"}) {
		t.Fatalf("writers %q, %v", w, err)
	}
	for _, name := range []journal.Stream{"", "audit:", "audit:A", "blobs", "keys", "audit:a:b"} {
		_, err := s.Head(t.Context(), name)
		wantErr(t, err, errors.ErrUnsupported)
		_, err = s.Read(t.Context(), name, journal.ID{}, 1)
		wantErr(t, err, errors.ErrUnsupported)
		wantErr(t, s.Wait(soon(t), name, journal.ID{}), errors.ErrUnsupported)
	}
}

func testWait(t *testing.T, b Backend) {
	s := fresh(t, b)
	if err := s.Wait(soon(t), journal.Register, journal.ID{}); err != nil {
		t.Fatalf("wait for what is there: %v", err)
	}
	// Several wait for a stream that is not there yet, and one for the register; another writer wakes nobody.
	woken := make(chan error, 4)
	for range 3 {
		go func() { woken <- s.Wait(soon(t), journal.Audit("a"), journal.ID{}) }()
	}
	go func() { woken <- s.Wait(soon(t), journal.Register, genesis.ID) }()
	want(t, s, batch("b", journal.Head{}, 1), journal.Appended)
	select {
	case err := <-woken:
		t.Fatalf("woken (%v) by another stream", err)
	case <-time.After(50 * time.Millisecond):
	}
	e := batch("a", journal.Head{}, 1)
	e.RegisterAfter, e.Register = headOf(genesis), []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("r"))}
	want(t, s, e, journal.Appended)
	for range 4 {
		if err := <-woken; err != nil {
			t.Fatalf("wait: %v", err)
		}
	}
	// It wakes soon: a view follows the register with it.
	start := time.Now()
	go func() { woken <- s.Wait(soon(t), journal.Audit("a"), e.Events[0].ID) }()
	time.Sleep(20 * time.Millisecond)
	want(t, s, func() journal.Batch { b := batch("a", last(e), 1); b.Position = 2; return b }(), journal.Appended)
	if err := <-woken; err != nil || time.Since(start) > 2*time.Second {
		t.Fatalf("woken after %v, %v", time.Since(start), err)
	}
}

func testWaitEnds(t *testing.T, b Backend) {
	s := fresh(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	start := time.Now()
	wantErr(t, s.Wait(ctx, journal.Register, genesis.ID), context.DeadlineExceeded)
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	wantErr(t, s.Wait(ctx, journal.Audit("nobody"), journal.ID{}), context.Canceled)
	if d := time.Since(start); d > 2*time.Second {
		t.Fatalf("two waits of 30 ms took %v", d)
	}
	wantErr(t, s.Wait(ctx, journal.Register, journal.ID{}), context.Canceled)
}

// testContext demands that an ended context ends every call, and that nothing was written by one.
func testContext(t *testing.T, b Backend) {
	s := fresh(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, appended := s.Append(ctx, batch("a", journal.Head{}, 1))
	_, head := s.Head(ctx, journal.Register)
	_, read := s.Read(ctx, journal.Register, journal.ID{}, 1)
	_, writers := s.Writers(ctx)
	_, blob := s.Blob(ctx, "x")
	_, keys := s.Keys(ctx, []string{"x"})
	_, put := s.PutKeys(ctx, []journal.WrappedKey{{ID: "x", Wrapped: []byte("k")}})
	for name, err := range map[string]error{
		"append": appended, "head": head, "read": read, "writers": writers, "blob": blob, "keys": keys, "put keys": put,
		"put blob": s.PutBlob(ctx, "x", []byte("b")), "delete key": s.DeleteKeys(ctx, []string{"x"}), "swap key": s.SwapKeys(ctx, []journal.KeySwap{{ID: "x"}}), "check": s.Check(ctx),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
	wantEntries(t, s, journal.Audit("a"))
	if got := key(t, s, "x"); got != nil {
		t.Errorf("key %q was put with an ended context", got)
	}
}

func testCheck(t *testing.T, b Backend) {
	s := b.Open(t)
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatalf("check: %v", err)
		}
	}
}
