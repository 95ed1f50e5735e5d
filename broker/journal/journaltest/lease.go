package journaltest

import (
	"errors"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// testLease: one holder at a time, and a number that rises from one to the next.
func testLease(t *testing.T, b Backend) {
	s := fresh(t, b)
	const ttl = journal.MinLease
	take := func(name, holder string, want uint64) {
		t.Helper()
		got, err := s.TakeLease(t.Context(), name, holder, ttl)
		if want == 0 {
			if !errors.Is(err, journal.ErrLeased) {
				t.Fatalf("%s got the lease %s of another: %d, %v", holder, name, got, err)
			}
			return
		}
		if err != nil || got != want {
			t.Fatalf("%s got fence %d of %s, %v; want %d", holder, got, name, err, want)
		}
	}
	take("seal", "one", 1)
	take("seal", "two", 0)
	take("other", "two", 1)
	take("seal", "one", 1) // renewed: no new holding
	if b.Reopen != nil {
		s = b.Reopen(t, s)
		take("seal", "two", 0)
	}
	time.Sleep(ttl + 200*time.Millisecond)
	take("seal", "two", 2)
	take("seal", "one", 0)
	time.Sleep(ttl + 200*time.Millisecond)
	take("seal", "two", 3) // it may have been another's meanwhile

	for _, bad := range []struct {
		name, holder string
		ttl          time.Duration
	}{{"", "one", ttl}, {"seal", "", ttl}, {"seal", "one", ttl / 2}, {"seal", "one", 2 * journal.MaxLease}} {
		if _, err := s.TakeLease(t.Context(), bad.name, bad.holder, bad.ttl); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a lease %q of %q for %s gave %v", bad.name, bad.holder, bad.ttl, err)
		}
	}
}
