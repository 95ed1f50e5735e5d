package journaltest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/schakel/schakel/broker/journal"
)

// testSnapshots: one is kept, the last that was finished, whole; whatever was left of others goes.
func testSnapshots(t *testing.T, b Backend) {
	s := fresh(t, b)
	_, err := s.Snapshot(t.Context())
	wantErr(t, err, journal.ErrAbsent)
	chunk := func(id string, n int) []byte { return bytes.Repeat([]byte(id+"\x00\xff"), 1000*n) } // the first one is empty
	put := func(id string, chunks int) {
		t.Helper()
		for n := range chunks {
			if err := s.PutChunk(t.Context(), id, n, chunk(id, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	finish := func(id string, chunks int) error {
		return s.PutSnapshot(t.Context(), journal.Snapshot{ID: id, Chunks: chunks, Head: []byte("head of " + id + "\x00\r\n")})
	}
	kept := func(id string, chunks int) {
		t.Helper()
		got, err := s.Snapshot(t.Context())
		if err != nil || got.ID != id || got.Chunks != chunks || string(got.Head) != "head of "+id+"\x00\r\n" {
			t.Fatalf("kept is %+v, %v; want %s of %d", got, err, id, chunks)
		}
		for n := range chunks {
			if data, err := s.Chunk(t.Context(), id, n); err != nil || !bytes.Equal(data, chunk(id, n)) {
				t.Fatalf("chunk %d of %s: %d bytes, %v", n, id, len(data), err)
			}
		}
		_, err = s.Chunk(t.Context(), id, chunks)
		wantErr(t, err, journal.ErrAbsent)
	}
	absent := func(id string, chunks int) {
		t.Helper()
		for n := range chunks {
			_, err := s.Chunk(t.Context(), id, n)
			wantErr(t, err, journal.ErrAbsent)
		}
	}
	put("a", 3)
	_, err = s.Snapshot(t.Context()) // it is not finished
	wantErr(t, err, journal.ErrAbsent)
	wantErr(t, finish("a", 4), journal.ErrAbsent)
	if err := finish("a", 3); err != nil {
		t.Fatal(err)
	}
	kept("a", 3)

	put("a-2", 2) // two at once; the id of one begins as the other's
	put("b", 12)
	kept("a", 3)
	if err := finish("b", 12); err != nil {
		t.Fatal(err)
	}
	kept("b", 12)
	absent("a", 3)
	absent("a-2", 2)
	wantErr(t, finish("a-2", 2), journal.ErrAbsent)
	kept("b", 12)

	put("c", 1)
	for range 2 {
		if err := finish("c", 1); err != nil {
			t.Fatal(err)
		}
	}
	kept("c", 1)
	absent("b", 12)
	if err := finish("none", 0); err != nil {
		t.Fatal(err)
	}
	kept("none", 0)
	wantErr(t, s.PutChunk(t.Context(), "", 0, nil), errors.ErrUnsupported)
	wantErr(t, s.PutChunk(t.Context(), "a/b", 0, nil), errors.ErrUnsupported)
	wantErr(t, s.PutChunk(t.Context(), "a", -1, nil), errors.ErrUnsupported)
	wantErr(t, s.PutChunk(t.Context(), "a", 0, make([]byte, journal.MaxChunk+1)), errors.ErrUnsupported)
	wantErr(t, s.PutSnapshot(t.Context(), journal.Snapshot{ID: "A"}), errors.ErrUnsupported)

	if b.Reopen != nil {
		put("d", 2)
		if err := finish("d", 2); err != nil {
			t.Fatal(err)
		}
		s = b.Reopen(t, s)
		kept("d", 2)
	}
	wantEntries(t, s, journal.Register, genesis)
}
