package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
)

var genesis = journaltest.Entry(journal.ID{Epoch: 1}, []byte("genesis"))

// event makes a batch of one event for writer "a".
func event(after journal.Head, text string) journal.Batch {
	id := journal.ID{Epoch: 1}
	if after != (journal.Head{}) {
		id.Seq = after.ID.Seq + 1
	}
	return journal.Batch{Writer: "a", After: after, Position: 1, Events: []journal.Entry{journaltest.Entry(id, []byte(text))}}
}

func tip(b journal.Batch) journal.Head {
	e := b.Events[len(b.Events)-1]
	return journal.Head{ID: e.ID, Hash: e.Hash}
}

func want(t *testing.T, s *Store, b journal.Batch, outcome journal.Outcome) {
	t.Helper()
	if got, err := s.Append(t.Context(), b); err != nil || got != outcome {
		t.Fatalf("append gave %q, %v; want %q", got, err, outcome)
	}
}

func wantError(t *testing.T, err error, kind error, words ...string) {
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

// TestFailedCommit lets commits fail in both forms: nothing reached the disk, and everything did. Either way it is an
// error, and sending the batch again settles it.
func TestFailedCommit(t *testing.T) {
	broken := errors.New("input/output error")
	for name, c := range map[string]struct {
		commit func(*bbolt.Tx) error
		again  journal.Outcome
	}{
		"lost":      {func(tx *bbolt.Tx) error { return errors.Join(tx.Rollback(), broken) }, journal.Appended},
		"persisted": {func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), broken) }, journal.Already},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "j"))
			if err := s.Init(t.Context(), genesis); err != nil {
				t.Fatal(err)
			}
			s.commit = c.commit
			b := event(journal.Head{}, "x")
			for range 2 {
				got, err := s.Append(t.Context(), b)
				if name == "persisted" && got == journal.Already {
					break // settled, and found
				}
				wantError(t, err, broken, "may or may not")
			}
			s.commit = (*bbolt.Tx).Commit
			want(t, s, b, c.again)
			want(t, s, b, journal.Already)
			entries, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, 10)
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d entries, %v; want one", len(entries), err)
			}
		})
	}
}

// TestNothingIsSaidUntilSettled demands that after a failed commit no call answers before the disk is known to hold what
// reads back.
func TestNothingIsSaidUntilSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := open(t, path)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	b := event(journal.Head{}, "x")
	s.commit = func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), errors.New("sync failed")) }
	_, err := s.Append(t.Context(), b)
	wantError(t, err, nil)
	s.commit = (*bbolt.Tx).Commit

	// The disk stays broken: a file that can't be written stands for it.
	whole := s.file
	if s.file, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	_, appended := s.Append(t.Context(), b)
	_, read := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1)
	_, headed := s.Head(t.Context(), journal.Audit("a"))
	_, key := s.Keys(t.Context(), []string{"k"})
	for call, err := range map[string]error{"append": appended, "read": read, "head": headed, "key": key, "check": s.Check(t.Context())} {
		if err == nil || errors.Is(err, journal.ErrAbsent) {
			t.Errorf("%s answered (%v) before the state was settled", call, err)
		}
	}
	_ = s.file.Close()
	s.file = whole
	want(t, s, b, journal.Already)
}

// TestBrokenFile takes the file from under bbolt: every commit fails for real.
func TestBrokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := open(t, path)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	first := event(journal.Head{}, "x")
	want(t, s, first, journal.Appended)
	second := event(tip(first), "y")
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := s.Append(t.Context(), second)
		wantError(t, err, nil, "check the disk")
	}
	_ = s.Close()
	s = open(t, path)
	want(t, s, second, journal.Appended)
	want(t, s, second, journal.Already)
}

// TestFull grows the file to its limit: it fails as a full disk does, and keeps what it had.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := open(t, path)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	s.db.MaxSize = 1 << 20
	var after journal.Head
	for {
		b := event(after, strings.Repeat("x", 100_000))
		_, err := s.Append(t.Context(), b)
		if err != nil {
			break
		}
		after = tip(b)
	}
	if h, err := s.Head(t.Context(), journal.Audit("a")); err != nil || h != after || h == (journal.Head{}) {
		t.Fatalf("head %v, %v; want %v", h, err, after)
	}
	s.db.MaxSize = 0
	want(t, s, event(after, "room again"), journal.Appended)
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := open(t, path)
	for _, readOnly := range []bool{false, true} {
		_, err := Open(Config{Path: path, Timeout: 20 * time.Millisecond, ReadOnly: readOnly})
		wantError(t, err, nil, "another process", "socket")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // readers share
		r, err := Open(Config{Path: path, Timeout: 20 * time.Millisecond, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
	}
	_, err := Open(Config{Path: path, Timeout: 20 * time.Millisecond})
	wantError(t, err, nil, "another process")
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	_, err := Open(Config{Path: path, ReadOnly: true})
	wantError(t, err, journal.ErrAbsent, "data folder")
	if _, err := os.Stat(path); err == nil {
		t.Fatal("opening for reading made a file")
	}
	s := open(t, path)
	if err := s.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	b := event(journal.Head{}, "x")
	want(t, s, b, journal.Appended)
	if _, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k", Wrapped: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	r, err := Open(Config{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if h, err := r.Head(t.Context(), journal.Audit("a")); err != nil || h != tip(b) {
		t.Fatalf("head %v, %v", h, err)
	}
	if k, err := r.Keys(t.Context(), []string{"k"}); err != nil || string(k[0]) != "v" {
		t.Fatalf("key %q, %v", k, err)
	}
	if w, err := r.Writers(t.Context()); err != nil || len(w) != 1 {
		t.Fatalf("writers %q, %v", w, err)
	}
	_, appended := r.Append(t.Context(), event(tip(b), "y"))
	_, put := r.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k2", Wrapped: []byte("v")}})
	for call, err := range map[string]error{
		"append": appended, "put key": put, "init": r.Init(t.Context(), genesis),
		"put blob": r.PutBlob(t.Context(), "b", nil), "delete key": r.DeleteKeys(t.Context(), []string{"k"}), "swap key": r.SwapKeys(t.Context(), []journal.KeySwap{{ID: "k", Old: []byte("v")}}),
	} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "reading only") {
			t.Errorf("%s on a file opened for reading: %v", call, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantError(t, r.Wait(ctx, journal.Audit("a"), tip(b).ID), context.DeadlineExceeded)
}

func TestFileModeAndKind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "j")
	s := open(t, path)
	_ = s.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, path)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
		}
		_ = s.Close()
		_ = os.Remove(path) // the second time it is made anew
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a journal\n", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Path: text})
	wantError(t, err, nil, "not a journal", "backup")
	_, err = Open(Config{Path: filepath.Join(dir, "no", "folder")})
	wantError(t, err, os.ErrNotExist)
	_, err = Open(Config{})
	wantError(t, err, nil, "path")
}

// TestReplaced takes the file's name away: what is written from then on would be lost with the process.
func TestReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	s := open(t, path)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Check(t.Context()), journal.ErrUnsafe, path)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Check(t.Context()), journal.ErrUnsafe, path)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j"))
	waiting := make(chan error, 1)
	go func() { waiting <- s.Wait(context.Background(), journal.Register, journal.ID{}) }()
	time.Sleep(10 * time.Millisecond)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-waiting, nil)
	_, err := s.Append(t.Context(), event(journal.Head{}, "x"))
	wantError(t, err, nil)
	_, err = s.Head(t.Context(), journal.Register)
	wantError(t, err, nil)
}

// TestKilled kills a process with SIGKILL while it appends. Whatever it was told is there must be there.
func TestKilled(t *testing.T) {
	if path := os.Getenv("JOURNAL_TO_APPEND"); path != "" {
		appendForever(t, path)
	}
	path := filepath.Join(t.TempDir(), "j")
	acknowledged, lastText := map[string]bool{}, ""
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), "JOURNAL_TO_APPEND="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 20*(round+1) && lines.Scan(); n++ {
			acknowledged[lines.Text()], lastText = true, lines.Text()
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			acknowledged[lines.Text()], lastText = true, lines.Text()
		}
		_ = child.Wait() // "signal: killed"
	}
	if lastText == "" {
		t.Fatal("the process acknowledged nothing")
	}
	s := open(t, path)
	entries, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var before journal.ID
	for _, e := range entries {
		if !e.ID.Follows(before) {
			t.Fatalf("%s stands after %s", e.ID, before)
		}
		before = e.ID
		delete(acknowledged, string(e.Bytes))
	}
	for text := range acknowledged {
		t.Errorf("%q was acknowledged and is gone", text)
	}
}

// appendForever appends, and says each event once it was told that it is there.
func appendForever(t *testing.T, path string) {
	s := open(t, path)
	if err := s.Init(t.Context(), genesis); err != nil && !errors.Is(err, journal.ErrExists) {
		t.Fatal(err)
	}
	after, err := s.Head(t.Context(), journal.Audit("a"))
	if err != nil {
		t.Fatal(err)
	}
	for {
		b := event(after, fmt.Sprintf("after %s of %d", after.ID, os.Getpid()))
		want(t, s, b, journal.Appended)
		fmt.Println(string(b.Events[0].Bytes))
		after = tip(b)
	}
}
