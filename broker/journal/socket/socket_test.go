package socket

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/journaltest"
)

// served is a store behind a socket, both in one folder.
type served struct {
	journal.Store
	dir  string
	stop func()
}

// serve opens the file in a folder and serves it.
func serve(t *testing.T, dir string) *served {
	t.Helper()
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, store) }()
	s := &served{dir: dir}
	if s.Store, err = Dial(filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	}
	s.stop = func() {
		_ = s.Store.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		done <- nil
		_ = store.Close()
	}
	t.Cleanup(s.stop)
	return s
}

// Close stops the server too.
func (s *served) Close() error {
	s.stop()
	return nil
}

func TestJournal(t *testing.T) {
	journaltest.Run(t, journaltest.Backend{
		Open: func(t *testing.T) journal.Store { return serve(t, t.TempDir()) },
		Reopen: func(t *testing.T, s journal.Store) journal.Store {
			s.(*served).stop()
			return serve(t, s.(*served).dir)
		},
	})
}
