package journaltest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// testClaim lets processes claim one writer's stream at once: one wins each epoch, and whoever was there is fenced.
func testClaim(t *testing.T, b Backend) {
	s := fresh(t, b)
	first := batch("a", journal.Head{}, 2)
	want(t, s, first, journal.Appended)

	const claimants = 8
	head, outcomes := last(first), make([]journal.Outcome, claimants)
	claims := make([]journal.Batch, claimants)
	var wg sync.WaitGroup
	for i := range claimants {
		claims[i] = batch("a", head, 1)
		claims[i].Events[0] = Entry(journal.ID{Epoch: head.ID.Epoch + 1}, fmt.Appendf(nil, "claim of %d", i))
		wg.Go(func() {
			var err error
			if outcomes[i], err = s.Append(t.Context(), claims[i]); err != nil {
				t.Errorf("claim: %v", err)
			}
		})
	}
	wg.Wait()
	won := -1
	for i, o := range outcomes {
		switch {
		case o == journal.Appended && won < 0:
			won = i
		case o != journal.Fenced:
			t.Fatalf("claims ended as %q: one must win, the rest be fenced", outcomes)
		}
	}
	if won < 0 {
		t.Fatal("nobody won the claim")
	}
	want(t, s, batch("a", head, 1), journal.Fenced) // the writer that was there
	want(t, s, claims[won], journal.Already)
	wantEntries(t, s, journal.Audit("a"), append(first.Events, claims[won].Events[0])...)
	after := batch("a", last(claims[won]), 1)
	want(t, s, after, journal.Appended)
	if after.Events[0].ID != (journal.ID{Epoch: 2, Seq: 1}) {
		t.Fatalf("the winner went on at %s", after.Events[0].ID)
	}
}

// testConcurrent lets writers change the register and record at once, each batch sent twice by two senders. Every batch
// must be there once, in order, and no event may rest on facts that a change before it touched.
func testConcurrent(t *testing.T, b Backend) {
	s := fresh(t, b)
	const writers, rounds = 4, 12
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { write(t, s, fmt.Sprintf("w%d", w), rounds) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	register := all(t, s, journal.Register)
	wantGapless(t, register)
	if len(register) != 1+writers*rounds {
		t.Fatalf("%d register entries; want %d", len(register), 1+writers*rounds)
	}
	changes := map[string]int{}
	for _, e := range register[1:] {
		changes[string(e.Bytes)]++
	}
	for w := range writers {
		events := all(t, s, journal.Audit(fmt.Sprintf("w%d", w)))
		wantGapless(t, events)
		if len(events) != rounds {
			t.Fatalf("writer %d has %d events; want %d", w, len(events), rounds)
		}
		for _, e := range events {
			if changes[string(e.Bytes)] != 1 {
				t.Fatalf("the change of %q is there %d times", e.Bytes, changes[string(e.Bytes)])
			}
		}
	}
}

// write records rounds changes, retrying with new facts whenever another writer was first.
func write(t *testing.T, s journal.Store, writer string, rounds int) {
	var mine journal.Head
	for round := 0; round < rounds; {
		register, err := s.Head(t.Context(), journal.Register)
		if err != nil {
			t.Errorf("head: %v", err)
			return
		}
		text := fmt.Appendf(nil, "%s %d", writer, round)
		b := journal.Batch{
			Writer: writer, After: mine, Events: []journal.Entry{Entry(next(mine.ID), text)},
			Position: broker.Position(register.ID.Seq + 1), Touches: []broker.Touch{"shared"},
			RegisterAfter: register, Register: []journal.Entry{Entry(next(register.ID), text, "shared")},
		}
		type answer struct {
			outcome journal.Outcome
			err     error
		}
		twice := make(chan answer, 2)
		for range 2 {
			go func() {
				o, err := s.Append(t.Context(), b)
				twice <- answer{o, err}
			}()
		}
		x, y := <-twice, <-twice
		switch pair := [2]journal.Outcome{x.outcome, y.outcome}; {
		case x.err != nil || y.err != nil:
			t.Errorf("append: %v, %v", x.err, y.err)
			return
		case pair == [2]journal.Outcome{journal.Appended, journal.Already}, pair == [2]journal.Outcome{journal.Already, journal.Appended}:
			mine, round = last(b), round+1
		case pair != [2]journal.Outcome{journal.Moved, journal.Moved}:
			t.Errorf("one batch sent twice ended as %q", pair)
			return
		}
	}
}
