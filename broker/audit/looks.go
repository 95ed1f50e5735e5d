package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// ViewedAt is one view event as it stands in clear: what was looked at and how, not by whom.
type ViewedAt struct {
	Writer string // whose stream it is in
	ID     ID
	Time   time.Time
	Viewed Viewed
}

// Views gives the view events since a time, one writer after the other and each one's in order. It does not verify. Events
// that can't be read are left out: they are for Verify to name.
func Views(ctx context.Context, s Source, since time.Time) ([]ViewedAt, error) {
	writers, err := s.Writers(ctx)
	if err != nil {
		return nil, fmt.Errorf("read views: %w", err)
	}
	var out []ViewedAt
	for _, writer := range writers {
		after, err := (RequestsConfig{Store: s, Since: since}).start(ctx, writer)
		if err == nil {
			err = readAll(ctx, s, journal.Audit(writer), after, func(e journal.Entry) *ViewedAt { return viewedAt(writer, e, since) },
				func(_ journal.Entry, v *ViewedAt) {
					if v != nil {
						out = append(out, *v)
					}
				})
		}
		if err != nil {
			return nil, fmt.Errorf("read views of %s: %w", writer, err)
		}
	}
	return out, nil
}

// viewedAt reads one entry; nil for what is no view of that time.
func viewedAt(writer string, entry journal.Entry, since time.Time) *ViewedAt {
	e, ok := header(entry.Bytes)
	v := ViewedAt{Writer: writer, ID: ID(entry.ID), Time: e.Time}
	if !ok || e.Kind != KindView || e.Time.Before(since) || json.Unmarshal(e.Common, &v.Viewed) != nil {
		return nil
	}
	return &v
}
