package journaltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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
	if err := s.DeleteKeys(t.Context(), []string{"k", "none"}); err != nil {
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
	if err := s.DeleteKeys(t.Context(), []string{"k", "none"}); err != nil {
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

// testSwapKeys: a key is swapped where it is what the caller knows, so that neither a newer one is lost nor a deleted one comes
// back.
func testSwapKeys(t *testing.T, b Backend) {
	s := fresh(t, b)
	old, fresh, other := []byte("\x00\xffold"), []byte("new\x00"), []byte("other")
	for id, v := range map[string][]byte{"a": old, "b": other, "c": old} {
		if _, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: id, Wrapped: v}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteKeys(t.Context(), []string{"c"}); err != nil {
		t.Fatal(err)
	}
	swaps := []journal.KeySwap{{ID: "a", Old: old, New: fresh}, {ID: "b", Old: old, New: fresh}, {ID: "c", Old: old, New: fresh}, {ID: "none", New: fresh}}
	for range 2 { // again it changes nothing
		if err := s.SwapKeys(t.Context(), swaps); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string][]byte{"a": fresh, "b": other, "c": nil, "none": nil} {
			if got := key(t, s, id); !bytes.Equal(got, want) || (got == nil) != (want == nil) {
				t.Fatalf("key %s is %q; want %q", id, got, want)
			}
		}
	}
	if err := s.SwapKeys(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteKeys(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// testScanKeys: every key that is there all the while comes, whatever is put, swapped and deleted meanwhile.
func testScanKeys(t *testing.T, b Backend) {
	s := fresh(t, b)
	scan := func(each func(page int)) map[string]string {
		got, from := map[string]string{}, ""
		for page := 0; ; page++ {
			keys, next, err := s.ScanKeys(t.Context(), from, 100)
			if err != nil || page > 1000 {
				t.Fatal(page, err)
			}
			for _, k := range keys {
				got[k.ID] = string(k.Wrapped)
			}
			if from = next; from == "" {
				return got
			}
			each(page)
		}
	}
	if got := scan(func(int) {}); len(got) != 0 {
		t.Fatalf("%d keys in a new store", len(got))
	}
	const n = 1500
	var all []journal.WrappedKey
	for i := range n {
		all = append(all, journal.WrappedKey{ID: fmt.Sprintf("é%d", i), Wrapped: fmt.Appendf(nil, "%d:\x00\xff%0100d", i, i)})
	}
	if _, err := s.PutKeys(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	pages := 0
	got := scan(func(page int) {
		pages++
		gone, more := all[page].ID, journal.WrappedKey{ID: fmt.Sprintf("new%d", page), Wrapped: []byte("x")}
		if err := s.DeleteKeys(t.Context(), []string{gone}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutKeys(t.Context(), []journal.WrappedKey{more}); err != nil {
			t.Fatal(err)
		}
	})
	if pages < 3 {
		t.Fatalf("%d keys in %d pages of about 100", n, pages+1)
	}
	for _, k := range all[pages:] {
		if got[k.ID] != string(k.Wrapped) {
			t.Fatalf("key %s came as %q", k.ID, got[k.ID])
		}
	}
}

func testBlobNames(t *testing.T, b Backend) {
	s := fresh(t, b)
	if got, err := s.BlobNames(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("a new store has blobs %q, %v", got, err)
	}
	want := []string{"a/\x00b", "policy/1", "policy/2", "é \xff"}
	for _, name := range []string{want[2], want[0], want[3], want[1]} {
		if err := s.PutBlob(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.BlobNames(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Fatalf("blobs %q, %v; want %q", got, err, want)
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
	if err := s.DeleteKeys(t.Context(), []string{"deleted"}); err != nil {
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
