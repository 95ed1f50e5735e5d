package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
)

// TestFollowLetsGoAndComesBack: while its log is followed a folder can be opened by a server, and what that one writes is
// read once it is gone again.
func TestFollowLetsGoAndComesBack(t *testing.T) {
	dir := t.TempDir()
	var head journal.Head
	add := func(epoch uint64, during func()) { // as a server that opens the folder, writes a start event and ends
		t.Helper()
		s, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, journalFile), Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		during()
		if epoch == 1 {
			genesis := journal.Entry{ID: journal.ID{Epoch: 1}, Hash: sha256.Sum256([]byte("g")), Bytes: []byte("g")}
			if err := s.Init(t.Context(), genesis); err != nil {
				t.Fatal(err)
			}
		}
		e := audit.Event{Writer: "gw", ID: journal.ID{Epoch: epoch}, Prev: head.Hash, Time: time.Unix(int64(epoch), 0),
			Position: 1, Kind: audit.KindStart, Common: json.RawMessage(`{"reason":"crash"}`)}
		data := e.Encode()
		b := journal.Batch{Writer: "gw", After: head, Position: 1,
			Events: []journal.Entry{{ID: e.ID, Hash: sha256.Sum256(data), Bytes: data}}}
		if o, err := s.Append(t.Context(), b); err != nil || o != journal.Appended {
			t.Fatal(o, err)
		}
		head = journal.Head{ID: e.ID, Hash: b.Events[0].Hash}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add(1, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, stdout := io.Pipe()
	errs, stderr := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"audit", "log", "--follow", "--data", dir}, strings.NewReader(""), stdout, stderr)
		_ = stdout.Close()
		_ = stderr.Close()
	}()
	lines, said := bufio.NewScanner(out), bufio.NewScanner(errs)
	awaitLine(t, lines, " gw 1-0 start")
	add(2, func() { awaitLine(t, said, "waiting until it can") })
	awaitLine(t, said, "can be read again")
	awaitLine(t, lines, " gw 2-0 start")
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("ended with %d", c)
	}
}

func awaitLine(t *testing.T, s *bufio.Scanner, want string) {
	t.Helper()
	if !s.Scan() || !strings.Contains(s.Text(), want) {
		t.Fatalf("got %q and not %q: %v", s.Text(), want, s.Err())
	}
}
