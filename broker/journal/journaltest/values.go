package journaltest

import (
	"bytes"
	"errors"
	"fmt"
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
	if got := key(t, s, "policy/1"); got != nil {
		t.Fatalf("a blob is a key: %q", got)
	}
}

// key gives one key; nil where it is absent.
func key(t *testing.T, s journal.Store, id string) []byte {
	t.Helper()
	got, err := s.Keys(t.Context(), []string{id})
	if err != nil || len(got) != 1 {
		t.Fatalf("key %q: %q, %v", id, got, err)
	}
	return got[0]
}

func testKeys(t *testing.T, b Backend) {
	s := fresh(t, b)
	if got := key(t, s, "k"); got != nil {
		t.Fatalf("key %q in a new store", got)
	}
	if err := s.DeleteKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	put := func(wrapped, want []byte) {
		t.Helper()
		got, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k", Wrapped: wrapped}})
		if err != nil || len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Fatalf("put %q gave %q, %v; want %q", wrapped, got, err, want)
		}
		if got := key(t, s, "k"); !bytes.Equal(got, want) {
			t.Fatalf("key is %q; want %q", got, want)
		}
	}
	first, second := []byte("\x00\xfffirst"), []byte("second")
	put(first, first)
	put(second, first) // the one that is there stays
	if err := s.DeleteKey(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := key(t, s, "k"); got != nil {
		t.Fatalf("a deleted key is %q", got)
	}
	put(second, second)
	_, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "other", Wrapped: first}, {Wrapped: second}})
	wantErr(t, err, errors.ErrUnsupported)
	if got := key(t, s, "other"); got != nil {
		t.Fatalf("a call that failed left %q", got)
	}
	_, err = s.Blob(t.Context(), "k")
	wantErr(t, err, journal.ErrAbsent)
}

// testManyKeys: many at once come back in order, whether they were there, are new, or are asked for and absent.
func testManyKeys(t *testing.T, b Backend) {
	s := fresh(t, b)
	const n = 1000
	var all, odd []journal.WrappedKey
	var ids []string
	for i := range n {
		k := journal.WrappedKey{ID: fmt.Sprintf("é%d", i), Wrapped: fmt.Appendf(nil, "%d:\x00\xff", i)}
		all, ids = append(all, k), append(ids, k.ID, fmt.Sprintf("none-%d", i))
		if i%2 == 1 {
			odd = append(odd, journal.WrappedKey{ID: k.ID, Wrapped: append([]byte("first "), k.Wrapped...)})
		}
	}
	if _, err := s.PutKeys(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	there, err := s.PutKeys(t.Context(), append(all, journal.WrappedKey{ID: all[0].ID, Wrapped: []byte("again")}))
	if err != nil || len(there) != n+1 || !bytes.Equal(there[n], all[0].Wrapped) {
		t.Fatalf("put gave %d keys, %v", len(there), err)
	}
	got, err := s.Keys(t.Context(), ids)
	if err != nil || len(got) != len(ids) {
		t.Fatalf("%d keys, %v; want %d", len(got), err, len(ids))
	}
	for i, k := range all {
		want := k.Wrapped
		if i%2 == 1 {
			want = odd[i/2].Wrapped
		}
		if !bytes.Equal(there[i], want) || !bytes.Equal(got[2*i], want) || got[2*i+1] != nil {
			t.Fatalf("key %d is %q and %q beside %q; want %q", i, there[i], got[2*i], got[2*i+1], want)
		}
	}
	if got, err := s.Keys(t.Context(), nil); err != nil || len(got) != 0 {
		t.Fatalf("none asked: %q, %v", got, err)
	}
	if got, err := s.PutKeys(t.Context(), nil); err != nil || len(got) != 0 {
		t.Fatalf("none put: %q, %v", got, err)
	}
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
		if _, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: id, Wrapped: []byte("wrapped")}}); err != nil {
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
		if k, gone := key(t, s, "kept"), key(t, s, "deleted"); string(k) != "wrapped" || gone != nil {
			t.Fatalf("key %q and deleted key %q", k, gone)
		}
	}
	next := batch("a", last(e), 1)
	next.Position = 2
	want(t, s, next, journal.Appended)
}
