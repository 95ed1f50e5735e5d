package redisstream

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// open connects to a server with time enough for a busy machine.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Shard == "" {
		cfg.Shard = "test"
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// backend gives each test a shard of its own on one server, and restarts the server with SIGKILL to reopen.
func backend(server *redistest.Server, cfg Config) journaltest.Backend {
	var shards atomic.Int64
	return journaltest.Backend{
		Open: func(t *testing.T) journal.Store {
			own := cfg
			own.Shard = fmt.Sprintf("shard-%d", shards.Add(1))
			return open(t, own)
		},
		Reopen: func(t *testing.T, s journal.Store) journal.Store {
			own := s.(*Store).cfg
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			server.Restart(t)
			return open(t, own)
		},
	}
}

func TestJournal(t *testing.T) {
	server := redistest.Start(t)
	journaltest.Run(t, backend(server, Config{Addrs: []string{server.Addr}}))
}
