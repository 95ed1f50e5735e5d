package journaltest

import (
	"errors"
	"testing"

	"github.com/schakel/schakel/broker/journal"
)

// testNotes: the last one of each writer is kept, beside the log.
func testNotes(t *testing.T, b Backend) {
	s := fresh(t, b)
	kept := func(want map[string]string) {
		t.Helper()
		got, err := s.Notes(t.Context())
		if err != nil || len(got) != len(want) {
			t.Fatalf("notes %q, %v; want %q", got, err, want)
		}
		for writer, note := range want {
			if string(got[writer]) != note {
				t.Fatalf("the note of %s is %q; want %q", writer, got[writer], note)
			}
		}
	}
	put := func(writer, note string) {
		t.Helper()
		if err := s.PutNote(t.Context(), writer, []byte(note)); err != nil {
			t.Fatal(err)
		}
	}
	kept(nil)
	put("gw-1", "first\x00\xff")
	put("gw-2", "")
	put("gw-1", "second\r\n")
	want := map[string]string{"gw-1": "second\r\n", "gw-2": ""}
	kept(want)
	wantErr(t, s.PutNote(t.Context(), "GW", nil), errors.ErrUnsupported)
	wantErr(t, s.PutNote(t.Context(), "gw-1", make([]byte, journal.MaxNote+1)), errors.ErrUnsupported)
	kept(want)
	if writers, err := s.Writers(t.Context()); err != nil || len(writers) != 0 {
		t.Fatalf("a note made a writer: %q, %v", writers, err)
	}
	if b.Reopen != nil {
		s = b.Reopen(t, s)
		kept(want)
	}
	wantEntries(t, s, journal.Register, genesis)
}
