package main

import (
	"context"
	"sync"

	"github.com/schakel/schakel/broker/journal"
)

// counted is a journal that tells how many entries were read from it, to one at a time; as it is where nobody wants to know.
func counted(store journal.Store, read func(entries int)) journal.Store {
	if read == nil {
		return store
	}
	return &counting{Store: store, tell: read}
}

type counting struct {
	journal.Store
	mu   sync.Mutex
	read int
	tell func(entries int)
}

// Read implements journal.Store.
func (c *counting) Read(ctx context.Context, s journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	page, err := c.Store.Read(ctx, s, after, limit)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += len(page)
	c.tell(c.read)
	return page, err
}
