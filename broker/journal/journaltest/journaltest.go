// Package journaltest holds what every backend of the journal must pass, so that what is true of one is true of all.
//
// It looks at a store through the interface only. Faults that need the backend's own means (a killed server, a full
// disk) are tested next to each backend. Only tests may import it.
package journaltest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Backend says how to get stores.
type Backend struct {
	// Open gives a new, empty store and closes it when the test ends.
	Open func(t *testing.T) journal.Store
	// Reopen closes a store that Open gave and opens what it kept. Without it nothing is tested across a restart.
	Reopen func(t *testing.T, s journal.Store) journal.Store
}

// Run tests a backend.
func Run(t *testing.T, b Backend) {
	for _, part := range []struct {
		name string
		test func(*testing.T, Backend)
	}{
		{"Init", testInit},
		{"AppendReadHead", testAppendReadHead},
		{"Outcomes", testOutcomes},
		{"Resend", testResend},
		{"RegisterWithAudit", testRegisterWithAudit},
		{"Stale", testStale},
		{"StaleByNumber", testStaleByNumber},
		{"LostRegister", testLostRegister},
		{"Limits", testLimits},
		{"Malformed", testMalformed},
		{"Paging", testPaging},
		{"Streams", testStreams},
		{"Wait", testWait},
		{"WaitEnds", testWaitEnds},
		{"Blobs", testBlobs},
		{"Keys", testKeys},
		{"ManyKeys", testManyKeys},
		{"SwapKeys", testSwapKeys},
		{"ScanKeys", testScanKeys},
		{"BlobNames", testBlobNames},
		{"Snapshots", testSnapshots},
		{"Notes", testNotes},
		{"Lease", testLease},
		{"Trim", testTrim},
		{"Context", testContext},
		{"Check", testCheck},
		{"Claim", testClaim},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
		{"Reopen", testReopen},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
}

// Entry makes an entry with the right hash; for tests of whatever writes to a journal.
func Entry(id journal.ID, body []byte, touches ...broker.Touch) journal.Entry {
	return journal.Entry{ID: id, Hash: sha256.Sum256(body), Touches: touches, Bytes: body}
}

// genesis is the first register entry of every store under test.
var genesis = Entry(journal.ID{Epoch: 1}, []byte("genesis"), broker.TouchAll)

// fresh gives a store that has its genesis.
func fresh(t *testing.T, b Backend) journal.Store {
	t.Helper()
	s := b.Open(t)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatalf("init: %v", err)
	}
	return s
}

// headOf gives the head that a stream ending in e has.
func headOf(e journal.Entry) journal.Head { return journal.Head{ID: e.ID, Hash: e.Hash} }

// batch makes one of n small events after a head.
func batch(writer string, after journal.Head, n int) journal.Batch {
	b := journal.Batch{Writer: writer, After: after, Position: 1, Touches: []broker.Touch{"case:1"}}
	id := next(after.ID)
	for range n {
		b.Events = append(b.Events, Entry(id, fmt.Appendf(nil, "%s %s after %s\x00\xff\r\n", writer, id, after.Hash)))
		id.Seq++
	}
	return b
}

// next gives the id after id in the same epoch, 1-0 where there is none.
func next(id journal.ID) journal.ID {
	if id == (journal.ID{}) {
		return journal.ID{Epoch: 1}
	}
	return journal.ID{Epoch: id.Epoch, Seq: id.Seq + 1}
}

func last(b journal.Batch) journal.Head { return headOf(b.Events[len(b.Events)-1]) }

// want appends and demands an outcome.
func want(t *testing.T, s journal.Store, b journal.Batch, outcome journal.Outcome) {
	t.Helper()
	got, err := s.Append(t.Context(), b)
	if err != nil || got != outcome {
		t.Fatalf("append gave %q, %v; want %q", got, err, outcome)
	}
}

// wantEntries demands that a stream holds exactly these.
func wantEntries(t *testing.T, s journal.Store, stream journal.Stream, entries ...journal.Entry) {
	t.Helper()
	got := all(t, s, stream)
	if !slices.EqualFunc(got, entries, equal) {
		t.Fatalf("%s holds %s; want %s", stream, brief(got), brief(entries))
	}
	var head journal.Head
	if len(entries) > 0 {
		head = headOf(entries[len(entries)-1])
	}
	if h, err := s.Head(t.Context(), stream); err != nil || h != head {
		t.Fatalf("head of %s is %v, %v; want %v", stream, h, err, head)
	}
}

// all reads a stream to its end, a few at a time.
func all(t *testing.T, s journal.Store, stream journal.Stream) []journal.Entry {
	t.Helper()
	var entries []journal.Entry
	var after journal.ID
	for {
		page, err := s.Read(t.Context(), stream, after, 100)
		if err != nil {
			t.Fatalf("read %s: %v", stream, err)
		}
		if len(page) == 0 {
			return entries
		}
		entries = append(entries, page...)
		after = page[len(page)-1].ID
	}
}

func equal(a, b journal.Entry) bool {
	return a.ID == b.ID && a.Hash == b.Hash && slices.Equal(a.Touches, b.Touches) && bytes.Equal(a.Bytes, b.Bytes)
}

func brief(entries []journal.Entry) string {
	s := fmt.Sprintf("%d entries", len(entries))
	for _, e := range entries[:min(len(entries), 8)] {
		s += fmt.Sprintf(" %s %q %q", e.ID, e.Touches, e.Bytes[:min(len(e.Bytes), 16)])
	}
	return s
}

// soon gives a context that ends in time for a test that hangs to fail.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func wantErr(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v; want one that is %v", err, kind)
	}
}
