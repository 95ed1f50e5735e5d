package journaltest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/schakel/schakel/broker/journal"
)

func testBlobs(t *testing.T, b Backend) {
	s := fresh(t, b)
	_, err := s.Blob(t.Context(), "policy/1")
	wantErr(t, err, journal.ErrAbsent)
	large := bytes.Repeat([]byte("\x00\xffRego\r\n"), 1<<16) // 500 KB: a policy bundle
	for name, data := range map[string][]byte{"policy/1": large, "policy/2": []byte("x"), "é \x00": {}} {
		for range 2 {
			if err := s.PutBlob(t.Context(), name, data); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Blob(t.Context(), name)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("blob %q: %d bytes, %v; want %d", name, len(got), err, len(data))
		}
		if err := s.PutBlob(t.Context(), name, []byte("another")); err == nil {
			t.Fatalf("blob %q took another content", name)
		}
		if got, _ := s.Blob(t.Context(), name); !bytes.Equal(got, data) {
			t.Fatalf("blob %q changed", name)
		}
	}
	wantErr(t, s.PutBlob(t.Context(), "", []byte("x")), errors.ErrUnsupported)
	_, err = s.Key(t.Context(), "policy/1")
	wantErr(t, err, journal.ErrAbsent)
}

func testKeys(t *testing.T, b Backend) {
	s := fresh(t, b)
	_, err := s.Key(t.Context(), "k")
	wantErr(t, err, journal.ErrAbsent)
	if err := s.DeleteKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	put := func(wrapped, want []byte) {
		t.Helper()
		got, err := s.PutKey(t.Context(), "k", wrapped)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("put %q gave %q, %v; want %q", wrapped, got, err, want)
		}
		if got, err := s.Key(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("key is %q, %v; want %q", got, err, want)
		}
	}
	first, second := []byte("\x00\xfffirst"), []byte("second")
	put(first, first)
	put(second, first) // the one that is there stays
	if err := s.DeleteKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Key(t.Context(), "k")
	wantErr(t, err, journal.ErrAbsent)
	put(second, second)
	_, err = s.PutKey(t.Context(), "", second)
	wantErr(t, err, errors.ErrUnsupported)
	_, err = s.Blob(t.Context(), "k")
	wantErr(t, err, journal.ErrAbsent)
}

// testReopen demands that whatever was acknowledged is there after a restart.
func testReopen(t *testing.T, b Backend) {
	if b.Reopen == nil {
		t.Log("this backend keeps nothing of its own; its store is tested elsewhere")
		return
	}
	s := fresh(t, b)
	e := batch("a", journal.Head{}, 5)
	e.RegisterAfter, e.Register = headOf(genesis), []journal.Entry{Entry(journal.ID{Epoch: 1, Seq: 1}, []byte("r"), "case:1")}
	want(t, s, e, journal.Appended)
	if err := s.PutBlob(t.Context(), "blob", []byte("data")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"kept", "deleted"} {
		if _, err := s.PutKey(t.Context(), id, []byte("wrapped")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteKey(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = b.Reopen(t, s)
		wantErr(t, s.Init(t.Context(), genesis), journal.ErrExists)
		want(t, s, e, journal.Already)
		wantEntries(t, s, journal.Audit("a"), e.Events...)
		wantEntries(t, s, journal.Register, genesis, e.Register[0])
		if data, err := s.Blob(t.Context(), "blob"); err != nil || string(data) != "data" {
			t.Fatalf("blob %q, %v", data, err)
		}
		if k, err := s.Key(t.Context(), "kept"); err != nil || string(k) != "wrapped" {
			t.Fatalf("key %q, %v", k, err)
		}
		_, err := s.Key(t.Context(), "deleted")
		wantErr(t, err, journal.ErrAbsent)
	}
	next := batch("a", last(e), 1)
	next.Position = 2
	want(t, s, next, journal.Appended)
}
