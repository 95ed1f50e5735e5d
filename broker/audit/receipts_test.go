package audit

import (
	"context"
	"crypto/sha256"
	"reflect"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// bentSource is a store that was changed behind Schakel's back.
type bentSource struct {
	Source
	bend func(journal.Stream, []journal.Entry) []journal.Entry
}

func (b bentSource) Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	entries, err := b.Source.Read(ctx, s, after, max)
	return b.bend(s, entries), err
}

// TestHoldReceipts: each saved answer is in the log exactly once, or it is said what is wrong and where.
func TestHoldReceipts(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", freshView{}))
	log := w.cfg.Log
	var saved []Saved
	for n := range 4 {
		e := disclosureEvent(n)
		e.Common.Answer = broker.Hash(sha256.Sum256([]byte{byte(n)}))
		receipt, err := w.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, Saved{receipt, e.Common.Answer})
	}
	mustClose(t, w)
	saved = append(saved, Saved{broker.Receipt{Log: "another", Hash: saved[0].Receipt.Hash}, saved[0].Answer}, // of another log
		Saved{broker.Receipt{Log: log, Hash: broker.Hash{1}}, saved[0].Answer}, // of no event
		Saved{saved[0].Receipt, saved[1].Answer},                               // a receipt that was put beside another answer
		saved[2])                                                               // kept twice
	hold := func(bend func([]journal.Entry) []journal.Entry) []Holding {
		t.Helper()
		out, err := HoldReceipts(t.Context(), bentSource{s, func(_ journal.Stream, e []journal.Entry) []journal.Entry { return bend(e) }}, log, saved, func(uint64) {})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	at := func(state HoldingState, events ...string) Holding {
		return Holding{state, append([]string{}, events...)}
	}
	want := []Holding{at(HoldingOnce, "gw 1-1"), at(HoldingOnce, "gw 1-2"), at(HoldingOnce, "gw 1-3"), at(HoldingOnce, "gw 1-4"),
		at(HoldingForeign), at(HoldingMissing), at(HoldingOtherwise, "gw 1-1"), at(HoldingOnce, "gw 1-3")}
	if got := hold(func(e []journal.Entry) []journal.Entry { return e }); !reflect.DeepEqual(got, want) {
		t.Errorf("whole: %+v", got)
	}
	index := func(e []journal.Entry, seq uint64) int {
		for i := range e {
			if e[i].ID == (journal.ID{Epoch: 1, Seq: seq}) {
				return i
			}
		}
		return -1
	}
	for name, c := range map[string]struct {
		bend func([]journal.Entry) []journal.Entry
		want map[int]Holding
	}{
		"dropped": {func(e []journal.Entry) []journal.Entry {
			if i := index(e, 3); i >= 0 {
				e = append(e[:i:i], e[i+1:]...)
			}
			return e
		}, map[int]Holding{2: at(HoldingMissing), 7: at(HoldingMissing)}},
		"a byte of it": {func(e []journal.Entry) []journal.Entry {
			if i := index(e, 2); i >= 0 {
				e[i].Bytes = append([]byte{}, e[i].Bytes...)
				e[i].Bytes[len(e[i].Bytes)-5] ^= 1
			}
			return e
		}, map[int]Holding{1: at(HoldingAltered, "gw 1-2")}},
		"doubled": {func(e []journal.Entry) []journal.Entry {
			if i := index(e, 4); i >= 0 {
				again := e[i]
				again.ID.Seq = 99
				e = append(e, again)
			}
			return e
		}, map[int]Holding{3: at(HoldingTwice, "gw 1-4", "gw 1-99")}},
	} {
		wanted := append([]Holding{}, want...)
		for i, h := range c.want {
			wanted[i] = h
		}
		if got := hold(c.bend); !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
