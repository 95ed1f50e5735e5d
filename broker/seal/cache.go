package seal

import (
	"container/list"
	"sync"
	"time"
)

// cache remembers verified tokens, by the SHA-256 of the token: the least recently used goes first. Only what verified
// is put in, so that who can't sign can't fill it.
type cache struct {
	mu    sync.Mutex
	size  int
	items map[[32]byte]*list.Element
	order *list.List // of entry, most recently used first
}

// verified is a parsed token and the SHA-256 of the JWK its signature was verified with: a key that is replaced in the
// register, under the same kid, verifies anew.
type verified struct {
	token token
	jwk   [32]byte
}

type entry struct {
	id [32]byte
	verified
}

func newCache(size int) *cache {
	return &cache{size: size, items: map[[32]byte]*list.Element{}, order: list.New()}
}

// get finds a token that is not past its exp.
func (c *cache) get(id [32]byte, now time.Time) (verified, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[id]
	if !ok {
		return verified{}, false
	}
	v := e.Value.(entry).verified
	if !now.Before(v.token.expires) {
		c.order.Remove(e)
		delete(c.items, id)
		return verified{}, false
	}
	c.order.MoveToFront(e)
	return v, true
}

func (c *cache) put(id [32]byte, v verified) {
	if c.size <= 0 || v.token.claims != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[id]; ok {
		c.order.Remove(e)
	}
	c.items[id] = c.order.PushFront(entry{id, v})
	for c.order.Len() > c.size {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.items, last.Value.(entry).id)
	}
}
