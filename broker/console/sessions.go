package console

import (
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// lifetime is how long a session lasts at most.
const lifetime = 8 * time.Hour

// newSessions keeps sessions in memory: a restart signs everybody out, and no token rests on a disk.
func newSessions(cookie string, secure bool) *scs.SessionManager {
	s := scs.New()
	s.Store = &sessions{MemStore: memstore.New(), ended: map[string]time.Time{}}
	s.HashTokenInStore = true
	s.Lifetime = lifetime
	s.IdleTimeout = 45 * time.Minute
	s.Cookie.Name = cookie
	if secure {
		s.Cookie.Name = "__Host-" + cookie
	}
	s.Cookie.Secure = secure
	s.Cookie.HttpOnly = true
	s.Cookie.Path = "/"
	s.Cookie.SameSite = http.SameSiteLaxMode // Strict would lose the session on the way back from the provider
	s.Cookie.Persist = false
	return s
}

// sessions is a store in which what ended stays ended. With an idle timeout every request writes its session at its end: one
// that was under way while somebody signed out would bring the session back to life.
type sessions struct {
	*memstore.MemStore
	mu    sync.Mutex
	ended map[string]time.Time // when, for as long as a session lasts
}

func (s *sessions) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for t, at := range s.ended {
		if now.Sub(at) > lifetime {
			delete(s.ended, t)
		}
	}
	s.ended[token] = now
	return s.MemStore.Delete(token)
}

func (s *sessions) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.ended[token]; gone {
		return nil
	}
	return s.MemStore.Commit(token, data, expiry)
}
