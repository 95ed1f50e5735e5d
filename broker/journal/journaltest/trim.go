package journaltest

import (
	"errors"
	"testing"

	"github.com/schakel/schakel/broker/journal"
)

// testTrim: what may be dropped is dropped, once, and everything else stays: the last batch, other streams, and how the
// stream is appended to.
func testTrim(t *testing.T, b Backend) {
	s := fresh(t, b)
	var whole []journal.Entry
	last3 := journal.Batch{}
	after := journal.Head{}
	for range 3 {
		last3 = batch("a", after, 200)
		want(t, s, last3, journal.Appended)
		whole, after = append(whole, last3.Events...), last(last3)
	}
	other := batch("b", journal.Head{}, 2)
	want(t, s, other, journal.Appended)
	mine, keeps := journal.Audit("a"), len(whole)-journal.MaxEvents
	trimmed := func(want journal.Head, left ...journal.Entry) {
		t.Helper()
		if got, err := s.Trimmed(t.Context(), mine); err != nil || got != want {
			t.Fatalf("trimmed up to %v, %v; want %v", got, err, want)
		}
		wantEntries(t, s, mine, left...)
		wantEntries(t, s, journal.Audit("b"), other.Events...)
		wantEntries(t, s, journal.Register, genesis)
	}
	refused := func(stream journal.Stream, upTo journal.Head, kind error) {
		t.Helper()
		wantErr(t, s.Trim(t.Context(), stream, upTo), kind)
	}

	refused(journal.Register, headOf(genesis), errors.ErrUnsupported)
	refused("blobs", headOf(whole[0]), errors.ErrUnsupported)
	refused(mine, journal.Head{}, errors.ErrUnsupported)
	refused(journal.Audit("nobody"), headOf(whole[0]), journal.ErrKept)
	refused(mine, journal.Head{ID: whole[9].ID, Hash: whole[8].Hash}, journal.ErrKept)
	refused(mine, journal.Head{ID: journal.ID{Epoch: 1, Seq: 600}, Hash: after.Hash}, journal.ErrKept)
	refused(mine, after, journal.ErrKept)
	refused(mine, headOf(whole[keeps]), journal.ErrKept) // one too many: 255 would stay
	trimmed(journal.Head{}, whole...)

	at := headOf(whole[99])
	for range 2 { // again, as after an answer that was lost
		if err := s.Trim(t.Context(), mine, at); err != nil {
			t.Fatal(err)
		}
		trimmed(at, whole[100:]...)
	}
	if err := s.Trim(t.Context(), mine, headOf(whole[50])); err != nil { // dropped before
		t.Fatal(err)
	}
	refused(mine, journal.Head{ID: at.ID, Hash: after.Hash}, journal.ErrKept)
	trimmed(at, whole[100:]...)
	at = headOf(whole[keeps-1])
	if err := s.Trim(t.Context(), mine, at); err != nil {
		t.Fatal(err)
	}
	trimmed(at, whole[keeps:]...)
	got, err := s.Read(t.Context(), mine, whole[3].ID, 2)
	if err != nil || len(got) != 2 || got[0].ID != whole[keeps].ID {
		t.Fatalf("after %s: %s, %v; want the first that stayed", whole[3].ID, brief(got), err)
	}

	// The stream goes on as if nothing had happened, over a restart too.
	if b.Reopen != nil {
		s = b.Reopen(t, s)
		trimmed(at, whole[keeps:]...)
	}
	want(t, s, last3, journal.Already)
	more := batch("a", after, 3)
	want(t, s, more, journal.Appended)
	trimmed(at, append(whole[keeps:], more.Events...)...)
	if w, err := s.Writers(t.Context()); err != nil || len(w) != 2 {
		t.Fatalf("writers %q, %v", w, err)
	}
	for stream, kind := range map[journal.Stream]error{"blobs": errors.ErrUnsupported, journal.Audit("b"): nil, journal.Audit("nobody"): nil, journal.Register: nil} {
		if h, err := s.Trimmed(t.Context(), stream); h != (journal.Head{}) || !errors.Is(err, kind) {
			t.Errorf("trimmed of %s: %v, %v", stream, h, err)
		}
	}
}
