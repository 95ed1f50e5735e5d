package journaltest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

func testInit(t *testing.T, b Backend) {
	s := b.Open(t)
	wantEntries(t, s, journal.Register)

	// Nothing is recorded in a store that has no log id yet.
	first := batch("a", journal.Head{}, 1)
	first.Position = 0
	_, err := s.Append(t.Context(), first)
	wantErr(t, err, journal.ErrAbsent)
	first.Register = []journal.Entry{genesis}
	_, err = s.Append(t.Context(), first)
	wantErr(t, err, journal.ErrAbsent)

	for name, e := range map[string]journal.Entry{
		"id":   Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("x")),
		"hash": {ID: journal.ID{Epoch: 1}, Bytes: []byte("x")},
		"size": Entry(journal.ID{Epoch: 1}, make([]byte, journal.MaxBytes+1)),
	} {
		if err := s.Init(t.Context(), e); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("init with a wrong %s gave %v", name, err)
		}
	}
	wantEntries(t, s, journal.Register)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.Init(t.Context(), genesis), journal.ErrExists)
	wantErr(t, s.Init(t.Context(), Entry(journal.ID{Epoch: 1}, []byte("another"))), journal.ErrExists)
	wantEntries(t, s, journal.Register, genesis)
}

func testAppendReadHead(t *testing.T, b Backend) {
	s := fresh(t, b)
	wantEntries(t, s, journal.Audit("a"))
	first := batch("a", journal.Head{}, 3)
	want(t, s, first, journal.Appended)
	wantEntries(t, s, journal.Audit("a"), first.Events...)
	second := batch("a", last(first), 2)
	want(t, s, second, journal.Appended)
	wantEntries(t, s, journal.Audit("a"), append(first.Events, second.Events...)...)
	wantEntries(t, s, journal.Register, genesis)

	// Every byte comes back as it went in, an empty entry too.
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	odd := batch("b", journal.Head{}, 2)
	odd.Events[0] = Entry(odd.Events[0].ID, every)
	odd.Events[1] = Entry(odd.Events[1].ID, nil)
	want(t, s, odd, journal.Appended)
	wantEntries(t, s, journal.Audit("b"), odd.Events...)
}

// testOutcomes makes batches to which several outcomes apply, and demands the first in the order of the contract.
func testOutcomes(t *testing.T, b Backend) {
	s := fresh(t, b)
	mine := batch("a", journal.Head{}, 1)
	mine.RegisterAfter = headOf(genesis)
	mine.Register = []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("r1"), "case:1")}
	want(t, s, mine, journal.Appended)

	other := batch("other", journal.Head{}, 1)
	other.Position, other.RegisterAfter = 2, headOf(mine.Register[0])
	other.Register = []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 2}, []byte("r2"), "case:1")}
	want(t, s, other, journal.Appended)

	// Now mine would be fenced (its After is past), moved and stale, was it not there already.
	want(t, s, mine, journal.Already)

	// Fenced comes before moved and stale.
	bad := mine
	bad.Events = []journal.Entry{Entry(journal.ID{Epoch: 1}, []byte("another"))}
	want(t, s, bad, journal.Fenced)
	// Moved comes before stale.
	bad = batch("a", last(mine), 1)
	bad.RegisterAfter, bad.Register = headOf(genesis), mine.Register
	want(t, s, bad, journal.Moved)
	// A register head with the right id and another hash is another head.
	bad.RegisterAfter = journal.Head{ID: other.Register[0].ID, Hash: genesis.Hash}
	bad.Register = []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 3}, []byte("r3"))}
	want(t, s, bad, journal.Moved)
	bad.RegisterAfter = headOf(other.Register[0])
	want(t, s, bad, journal.Stale)
	bad.Position = 3
	want(t, s, bad, journal.Appended)

	// The right id with another hash is not this batch: neither already there nor what it comes after.
	wrong := batch("a", last(bad), 1)
	wrong.After.Hash = genesis.Hash
	wrong.Position = 4
	want(t, s, wrong, journal.Fenced)
	wrong = bad
	wrong.Events = []journal.Entry{Entry(bad.Events[0].ID, []byte("another"))}
	want(t, s, wrong, journal.Fenced)

	wantEntries(t, s, journal.Audit("a"), mine.Events[0], bad.Events[0])
	wantEntries(t, s, journal.Register, genesis, mine.Register[0], other.Register[0], bad.Register[0])
}

// testResend sends a batch again, at once and after others have written.
func testResend(t *testing.T, b Backend) {
	s := fresh(t, b)
	first := batch("a", journal.Head{}, 3)
	for i := range 4 {
		want(t, s, first, []journal.Outcome{journal.Appended, journal.Already}[min(i, 1)])
	}
	change := batch("b", journal.Head{}, 1)
	change.RegisterAfter = headOf(genesis)
	for seq := range uint64(5) {
		change.Register = append(change.Register, Entry(journal.ID{Epoch: 1, Seq: seq + 1}, []byte("change"), "case:1", broker.TouchAll))
	}
	want(t, s, change, journal.Appended)
	want(t, s, first, journal.Already)
	want(t, s, change, journal.Already)

	second := batch("a", last(first), 1)
	second.Position = 6
	want(t, s, second, journal.Appended)
	want(t, s, first, journal.Fenced) // long settled: one append is in flight at a time
	wantEntries(t, s, journal.Audit("a"), append(first.Events, second.Events...)...)
	wantEntries(t, s, journal.Audit("b"), change.Events...)
	wantEntries(t, s, journal.Register, append([]journal.Entry{genesis}, change.Register...)...)
}

// testRegisterWithAudit demands that a change and its audit event are written together or not at all.
func testRegisterWithAudit(t *testing.T, b Backend) {
	s := fresh(t, b)
	change := func(writer string, after journal.Head, r journal.Entry, on journal.Head) journal.Batch {
		c := batch(writer, after, 1)
		c.Register, c.RegisterAfter = []journal.Entry{r}, on
		c.Position = broker.Position(on.ID.Seq + 1)
		return c
	}
	r1 := Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("a's change"), "case:1")
	a := change("a", journal.Head{}, r1, headOf(genesis))
	want(t, s, a, journal.Appended)

	// b loses the race for the same place in the register, so its event is not written either.
	lost := change("b", journal.Head{}, Entry(r1.ID, []byte("b's change"), "case:2"), headOf(genesis))
	want(t, s, lost, journal.Moved)
	wantEntries(t, s, journal.Audit("b"))
	wantEntries(t, s, journal.Register, genesis, r1)

	// A fenced writer changes nothing in the register.
	r2 := Entry(journal.ID{Epoch: 1, Seq: 2}, []byte("second"), "case:1")
	want(t, s, change("a", journal.Head{}, r2, headOf(r1)), journal.Fenced)
	wantEntries(t, s, journal.Register, genesis, r1)

	// The same event with another change is not the batch that is there.
	forged := a
	forged.Register = []journal.Entry{Entry(r1.ID, []byte("forged"), "case:1")}
	want(t, s, forged, journal.Fenced)
	forged.Register = []journal.Entry{r1, r2}
	want(t, s, forged, journal.Fenced)

	again := change("b", journal.Head{}, r2, headOf(r1))
	want(t, s, again, journal.Appended)
	want(t, s, again, journal.Already)
	wantEntries(t, s, journal.Register, genesis, r1, r2)
	wantEntries(t, s, journal.Audit("b"), again.Events...)
}

func testStale(t *testing.T, b Backend) {
	s := fresh(t, b)
	change := batch("w", journal.Head{}, 1)
	change.RegisterAfter = headOf(genesis)
	odd := broker.Touch("odd \x00\xff 3:x")
	change.Register = []journal.Entry{
		Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("1"), "case:1", "worker:1"),
		Entry(journal.ID{Epoch: 1, Seq: 2}, []byte("2")),
		Entry(journal.ID{Epoch: 1, Seq: 3}, []byte("3"), "", odd, "case:22"),
	}
	want(t, s, change, journal.Appended)
	wantEntries(t, s, journal.Register, append([]journal.Entry{genesis}, change.Register...)...)

	// Position n is true after n entries: entry 1-1 is the first that facts at position 1 don't know.
	head := journal.Head{}
	for i, c := range []struct {
		position broker.Position
		touches  []broker.Touch
		want     journal.Outcome
	}{
		{1, []broker.Touch{"case:1"}, journal.Stale},
		{1, []broker.Touch{"x", "worker:1"}, journal.Stale},
		{2, []broker.Touch{"case:1", "worker:1"}, journal.Appended},
		{1, []broker.Touch{"case:2", "ase:1", "case:11", "case:"}, journal.Appended},
		{2, []broker.Touch{odd}, journal.Stale},
		{3, []broker.Touch{"case:22"}, journal.Stale},
		{3, []broker.Touch{""}, journal.Stale},
		{4, []broker.Touch{"", odd, "case:22", "case:1"}, journal.Appended},
		{1, []broker.Touch{broker.TouchAll}, journal.Appended}, // rests on the policy, which did not change
		{1, nil, journal.Appended},
		{0, nil, journal.Stale}, // the genesis touches all
	} {
		e := batch("a", head, 1)
		e.Position, e.Touches = c.position, c.touches
		got, err := s.Append(t.Context(), e)
		if err != nil || got != c.want {
			t.Fatalf("case %d: position %d, touches %q: %q, %v; want %q", i, c.position, c.touches, got, err, c.want)
		}
		if got == journal.Appended {
			head = last(e)
		}
	}

	all := batch("w", last(change), 1)
	all.Position, all.RegisterAfter = 4, headOf(change.Register[2])
	all.Register = []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 4}, []byte("policy"), "x", broker.TouchAll)}
	want(t, s, all, journal.Appended)
	e := batch("a", head, 1)
	e.Position, e.Touches = 4, nil
	want(t, s, e, journal.Stale)
	e.Position = 5
	want(t, s, e, journal.Appended)
}

func testStaleByNumber(t *testing.T, b Backend) {
	s := fresh(t, b)
	head, count := headOf(genesis), uint64(1)
	for writer := journal.Head(journal.Head{}); count < journal.MaxFollows+2; {
		c := batch("w", writer, 1)
		c.Position, c.RegisterAfter = broker.Position(count), head
		for range min(journal.MaxEvents-1, journal.MaxFollows+2-count) {
			c.Register = append(c.Register, Entry(journal.ID{Epoch: 1, Seq: count}, []byte("change"), "case:other"))
			count++
		}
		want(t, s, c, journal.Appended)
		writer, head = last(c), headOf(c.Register[len(c.Register)-1])
	}
	e := batch("a", journal.Head{}, 1)
	e.Position = 1 // MaxFollows+1 entries follow
	want(t, s, e, journal.Stale)
	e.Position = 2
	want(t, s, e, journal.Appended)
}

// testLostRegister appends on facts from a longer register than there is: it lost entries, so nothing may be added.
func testLostRegister(t *testing.T, b Backend) {
	s := fresh(t, b)
	e := batch("a", journal.Head{}, 1)
	e.Position = 2
	want(t, s, e, journal.Fenced)
	e.Position = 1
	want(t, s, e, journal.Appended)

	empty := b.Open(t)
	e.Position = 1
	want(t, empty, e, journal.Fenced)
	later := batch("a", last(e), 1)
	later.Position = 0
	want(t, empty, later, journal.Fenced)
	wantEntries(t, empty, journal.Audit("a"))
}

func testLimits(t *testing.T, b Backend) {
	s := fresh(t, b)
	most := batch("a", journal.Head{}, journal.MaxEvents)
	size := (journal.MaxBytes) / journal.MaxEvents
	for i := range most.Events {
		most.Events[i] = Entry(most.Events[i].ID, bytes.Repeat([]byte{byte(i)}, size))
	}
	want(t, s, most, journal.Appended)
	want(t, s, most, journal.Already)
	wantEntries(t, s, journal.Audit("a"), most.Events...)

	// Many touches, far more than a script language may take as arguments of one call.
	var many []broker.Touch
	for i := range 10_000 {
		many = append(many, broker.Touch(fmt.Sprintf("case:%d", i)))
	}
	wide := batch("b", journal.Head{}, 1)
	wide.RegisterAfter = headOf(genesis)
	wide.Register = []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("wide"), many...)}
	wide.Touches = many
	want(t, s, wide, journal.Appended)
	wantEntries(t, s, journal.Register, genesis, wide.Register[0])
	e := batch("b", last(wide), 1)
	e.Touches = many[len(many)-1:]
	want(t, s, e, journal.Stale)
}

func testMalformed(t *testing.T, b Backend) {
	s := fresh(t, b)
	id := func(epoch, seq uint64) journal.ID { return journal.ID{Epoch: epoch, Seq: seq} }
	for name, spoil := range map[string]func(*journal.Batch){
		"no events":         func(b *journal.Batch) { b.Events = nil },
		"too many":          func(b *journal.Batch) { b.Events = batch("a", journal.Head{}, journal.MaxEvents+1).Events },
		"too many together": func(b *journal.Batch) { b.Events = batch("a", journal.Head{}, journal.MaxEvents).Events },
		"too large":         func(b *journal.Batch) { b.Events[1] = Entry(id(1, 1), make([]byte, journal.MaxBytes)) },
		"gap":               func(b *journal.Batch) { b.Events[1] = Entry(id(1, 2), []byte("x")) },
		"start with a gap":  func(b *journal.Batch) { b.Events = []journal.Entry{Entry(id(1, 1), []byte("x"))} },
		"epoch skipped":     func(b *journal.Batch) { b.Events = []journal.Entry{Entry(id(2, 0), []byte("x"))} },
		"same id twice":     func(b *journal.Batch) { b.Events[1] = Entry(id(1, 0), []byte("x")) },
		"register gap":      func(b *journal.Batch) { b.Register = []journal.Entry{Entry(id(1, 2), []byte("x"))} },
		"event hash":        func(b *journal.Batch) { b.Events[1].Bytes = []byte("y") },
		"zero hash":         func(b *journal.Batch) { b.Events[0].Hash = broker.Hash{} },
		"register hash":     func(b *journal.Batch) { b.Register[0].Hash = sha256.Sum256([]byte("y")) },
		"no writer":         func(b *journal.Batch) { b.Writer = "" },
		"writer's name":     func(b *journal.Batch) { b.Writer = "a:b" },
	} {
		bad := batch("a", journal.Head{}, 2)
		bad.RegisterAfter = headOf(genesis)
		bad.Register = []journal.Entry{Entry(id(1, 1), []byte("r"))}
		spoil(&bad)
		got, err := s.Append(t.Context(), bad)
		if got != "" || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	wantEntries(t, s, journal.Audit("a"))
	wantEntries(t, s, journal.Register, genesis)
}
