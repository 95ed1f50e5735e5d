package decide

import (
	"crypto/sha256"
	"sync"

	"github.com/schakel/schakel/broker"
)

// memoKey is a revision, a whole query and one of its fields. The digest can't be made to collide, so one asker's
// decision can't be taken for another's.
type memoKey struct {
	base  [sha256.Size]byte
	field broker.Field
}

const shards = 16

// memo remembers decisions. It is bounded: each shard keeps two generations and drops the older when the newer is full,
// so what is asked often stays.
type memo struct {
	shard [shards]memoShard
	max   int // entries in one generation of one shard; 0 remembers nothing
}

type memoShard struct {
	mu           sync.Mutex
	young, old   map[memoKey]ruling
	hits, misses uint64
}

func newMemo(entries int) *memo {
	m := &memo{}
	if entries > 0 {
		m.max = max(1, entries/(2*shards))
	}
	return m
}

func (m *memo) get(k memoKey) (ruling, bool) {
	if m.max == 0 {
		return ruling{}, false
	}
	s := &m.shard[k.base[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.young[k]
	if !ok {
		if r, ok = s.old[k]; ok {
			s.add(k, r, m.max)
		}
	}
	if ok {
		s.hits++
	} else {
		s.misses++
	}
	return r, ok
}

// counts tells how often a decision was remembered, and how often it was not.
func (m *memo) counts() (hits, misses uint64) {
	for i := range m.shard {
		s := &m.shard[i]
		s.mu.Lock()
		hits, misses = hits+s.hits, misses+s.misses
		s.mu.Unlock()
	}
	return hits, misses
}

func (m *memo) put(k memoKey, r ruling) {
	if m.max == 0 {
		return
	}
	s := &m.shard[k.base[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(k, r, m.max)
}

func (s *memoShard) add(k memoKey, r ruling, max int) {
	if s.young == nil || len(s.young) >= max {
		s.young, s.old = make(map[memoKey]ruling, max), s.young
	}
	s.young[k] = r
}
