package audit

import (
	"context"
	"runtime"
	"sync"

	"github.com/schakel/schakel/broker/journal"
)

// pageSize is how many entries are read at a time.
const pageSize = 512

// page is what one read gave, and what look made of each entry.
type page[T any] struct {
	entries []journal.Entry
	seen    []T
	looked  chan struct{}
}

// readAll reads a stream from after an id to the end as it is when it gets there, and gives each entry to take, oldest
// first, with what look made of it. look must rest on the entry alone: it runs on all cores, on pages that are read ahead
// of what is taken.
func readAll[T any](
	ctx context.Context, s Source, stream journal.Stream, after journal.ID,
	look func(journal.Entry) T, take func(journal.Entry, T),
) error {
	cores := runtime.GOMAXPROCS(0)
	work, pages := make(chan *page[T]), make(chan *page[T], cores)
	var failed error // of the reader, until pages is closed
	var running sync.WaitGroup
	running.Go(func() {
		defer close(pages)
		defer close(work)
		for {
			entries, err := s.Read(ctx, stream, after, pageSize)
			if failed = err; err != nil || len(entries) == 0 {
				return
			}
			p := &page[T]{entries: entries, seen: make([]T, len(entries)), looked: make(chan struct{})}
			work <- p
			pages <- p
			after = entries[len(entries)-1].ID
		}
	})
	for range cores {
		running.Go(func() {
			for p := range work {
				for i, e := range p.entries {
					p.seen[i] = look(e)
				}
				close(p.looked)
			}
		})
	}
	for p := range pages {
		<-p.looked
		for i, e := range p.entries {
			take(e, p.seen[i])
		}
	}
	running.Wait()
	return failed
}
