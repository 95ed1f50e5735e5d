package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/journaltest"
)

func wantError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if err == nil || (kind != nil && !errors.Is(err, kind)) {
		t.Fatalf("error is %v; want one that is %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestMode(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s", "s.lock"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if got := append(left, hidden...); len(got) != 1 || got[0] != filepath.Join(dir, "s.lock") {
		t.Fatalf("after closing there is %q; want the lock only", got)
	}
}

// TestTaken finds the name of the socket taken: by a server that lives, by one of another program, by one that died, and
// by something that is no socket.
func TestTaken(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	live := serve(t, dir)
	_, err := Listen(path)
	wantError(t, err, nil, "another server")
	if _, err := live.Writers(t.Context()); err != nil {
		t.Fatalf("the server that was there: %v", err)
	}
	live.stop()

	foreign, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Listen(path)
	wantError(t, err, nil, "answers there")
	foreign.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = foreign.Close() // as if it died: the socket stays
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	_, err = Dial(path)
	wantError(t, err, nil, "no server answers", "data folder")
	again := serve(t, dir)
	if _, err := again.Writers(t.Context()); err != nil {
		t.Fatal(err)
	}
	again.stop()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Listen(path)
	wantError(t, err, nil, "something else")
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Fatal("a file was removed to make place for a socket")
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestStopped stops the server: calls under way finish, waits end, and the next call says what to do.
func TestStopped(t *testing.T) {
	s := serve(t, t.TempDir())
	_, err := Dial(filepath.Join(t.TempDir(), "none"))
	wantError(t, err, nil, "no server answers", "start it")
	waiting := make(chan error, 1)
	go func() { waiting <- s.Wait(context.Background(), journal.Register, journal.ID{}) }()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	s.stop()
	if d := time.Since(start); d > finishWithin-time.Second {
		t.Fatalf("a waiting client held the server up for %v", d)
	}
	wantError(t, <-waiting, nil)
	_, err = s.Head(t.Context(), journal.Register)
	wantError(t, err, nil, "no server answers", "data folder")
}

// TestLongRead reads more than goes into one page, and one more than was asked for is not given.
func TestLongRead(t *testing.T) {
	s := serve(t, t.TempDir())
	if err := s.Init(t.Context(), journaltest.Entry(journal.ID{Epoch: 1}, []byte("genesis"))); err != nil {
		t.Fatal(err)
	}
	var after journal.Head
	const each, size = 200, 2000
	total := 0
	for total*size < maxPage+maxPage/2 {
		b := journal.Batch{Writer: "a", After: after, Position: 1}
		for range each {
			b.Events = append(b.Events, journaltest.Entry(journal.ID{Epoch: 1, Seq: uint64(total)}, bytes.Repeat([]byte{byte(total)}, size)))
			total++
		}
		if o, err := s.Append(t.Context(), b); err != nil || o != journal.Appended {
			t.Fatal(o, err)
		}
		after = journal.Head{ID: b.Events[each-1].ID, Hash: b.Events[each-1].Hash}
	}
	for _, most := range []int{total + 1, total, total - 1, 65, 64} {
		entries, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, most)
		if err != nil || len(entries) != min(most, total) {
			t.Fatalf("at most %d of %d: %d, %v", most, total, len(entries), err)
		}
		for i, e := range entries {
			if e.ID.Seq != uint64(i) {
				t.Fatalf("entry %d is %s", i, e.ID)
			}
		}
	}
}

// odd is a store whose errors are what the test wants.
type odd struct {
	journal.Store
	err error
}

func (o odd) Check(context.Context) error { return o.err }

func (o odd) Append(context.Context, journal.Batch) (journal.Outcome, error) { return "", o.err }

func TestKindsOfError(t *testing.T) {
	for _, kind := range []error{journal.ErrAbsent, journal.ErrExists, journal.ErrUnsafe, errors.ErrUnsupported} {
		got := through(t, odd{err: fmt.Errorf("first: %w; second", kind)}).Check(t.Context())
		wantError(t, got, kind, "first: ", "; second")
		for _, other := range []error{journal.ErrAbsent, journal.ErrExists, journal.ErrUnsafe, errors.ErrUnsupported} {
			if other != kind && errors.Is(got, other) {
				t.Errorf("%v came back as %v too", kind, other)
			}
		}
	}
	got := through(t, odd{err: errors.New("plain")}).Check(t.Context())
	wantError(t, got, nil, "plain")
	b := journal.Batch{Writer: "a", Events: []journal.Entry{journaltest.Entry(journal.ID{Epoch: 1}, []byte("x"))}}
	o, err := through(t, odd{}).Append(t.Context(), b) // a server that gives neither outcome nor error
	if o != "" {
		t.Fatalf("outcome %q from nowhere", o)
	}
	wantError(t, err, nil, "no outcome")
}

// through gives the client of a server of a store.
func through(t *testing.T, store journal.Store) journal.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, store) }()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return c
}

// TestWrongServer talks to things that are no journal of this version.
func TestWrongServer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"text":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"future": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"protocol":2,"new":1}`)) },
		"other":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"protocol":9,"head":{}}`)) },
		"two":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"protocol":1}{}`)) },
		"cut":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"protocol":1,`)) },
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(l) }()
		if _, err := Dial(path); err == nil {
			t.Errorf("%s: taken for a journal", name)
		}
		_ = server.Close()
	}
}

// FuzzHandler sends foreign bytes to every call of a server: it answers each with a message, and what the answer says
// of the register stays true.
func FuzzHandler(f *testing.F) {
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(f.TempDir(), "j")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	h := Handler(store)
	f.Add("append", []byte(`{"writer":"a","events":[{"id":{"Epoch":1,"Seq":0},"hash":"00","bytes":"eA=="}],"after":{},"registerAfter":{}}`))
	f.Add("read", []byte(`{"stream":"register","max":-1,"after":{},"registerAfter":{}}`))
	f.Add("init", []byte(`{"register":[],"after":{},"registerAfter":{}}`))
	f.Add("put-keys", []byte(`{"names":["aw=="],"list":["eA=="]}`))
	f.Add("head", []byte(`{"stream":"audit:a"} x`))
	f.Add("none", []byte(`null`))
	f.Fuzz(func(t *testing.T, call string, body []byte) {
		switch call {
		case "init", "append", "head", "read", "writers", "put-blob", "blob", "put-keys", "keys", "delete-key", "put-chunk", "put-snapshot", "snapshot", "chunk", "check", "hello":
		default: // waits too: they do what they say
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, prefix+call, bytes.NewReader(body)))
		var a response
		if err := readJSON(w.Body, &a); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s answers %d, %v", call, w.Code, err)
		}
	})
}
