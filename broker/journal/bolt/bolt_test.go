package bolt

import (
	"path/filepath"
	"testing"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestJournal(t *testing.T) {
	journaltest.Run(t, journaltest.Backend{
		Open: func(t *testing.T) journal.Store { return open(t, filepath.Join(t.TempDir(), "journal.db")) },
		Reopen: func(t *testing.T, s journal.Store) journal.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).cfg.Path)
		},
	})
}
