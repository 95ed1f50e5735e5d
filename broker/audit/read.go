package audit

import (
	"context"

	"github.com/schakel/schakel/broker/journal"
)

// pageSize is how many entries are read at a time.
const pageSize = 512

// Read gives the entries of a stream after an id to fn, oldest first, up to the end as it is when it gets there. It
// stops at the first error of fn and returns it.
func Read(
	ctx context.Context, s journal.Store, stream journal.Stream, after journal.ID, fn func(journal.Entry) error,
) error {
	for {
		page, err := s.Read(ctx, stream, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
		}
		after = page[len(page)-1].ID
	}
}
