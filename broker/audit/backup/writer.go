package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// writerCopy appends the events of one writer.
type writerCopy struct {
	*restoring
	in     *streamReader
	writer string
	head   journal.Head // of the journal
	queue  []journal.Entry
	size   int
}

// skip passes by what was put back before.
func (w *writerCopy) skip(ctx context.Context) error {
	there, err := w.Store.Head(ctx, journal.Audit(w.writer))
	if err != nil {
		return err
	}
	for w.head != there {
		e, err := w.in.next()
		if err != nil || there.ID.Less(e.ID) || (e.ID == there.ID && e.Hash != there.Hash) {
			return errors.Join(err, fmt.Errorf("the stream of %s in the journal is not the begin of that in the backup: something else writes there", w.writer))
		}
		w.head = journal.Head{ID: e.ID, Hash: e.Hash}
		w.out.Entries++
	}
	return nil
}

// record appends this writer's events up to the one that recorded an entry of the register, and with it all that it recorded.
func (w *writerCopy) record(ctx context.Context, at journal.Head, entries []journal.Entry, register *streamReader) (journal.Head, error) {
	for {
		e, err := w.in.next()
		if err != nil {
			return at, fmt.Errorf("the stream of %s does not record the register's entry %s: %w", w.writer, entries[0].ID, err)
		}
		recorded, _, err := records(e)
		if err != nil {
			return at, err
		}
		if len(recorded) == 0 {
			if err := w.add(ctx, at, e); err != nil {
				return at, err
			}
			continue
		}
		if err := w.flush(ctx, at); err != nil {
			return at, err
		}
		for len(entries) < len(recorded) {
			more, err := register.next()
			if err != nil {
				return at, err
			}
			entries = append(entries, more)
			w.out.Entries++
		}
		for i, ref := range recorded {
			if journal.ID(ref.ID) != entries[i].ID || ref.Hash != entries[i].Hash {
				return at, fmt.Errorf("event %s of %s recorded other entries of the register than come next", e.ID, w.writer)
			}
		}
		if err := w.append(ctx, at, []journal.Entry{e}, entries); err != nil {
			return at, err
		}
		last := entries[len(entries)-1]
		return journal.Head{ID: last.ID, Hash: last.Hash}, nil
	}
}

// rest appends what is left.
func (w *writerCopy) rest(ctx context.Context, at journal.Head) error {
	for {
		e, err := w.in.next()
		if err == io.EOF {
			return w.flush(ctx, at)
		}
		if err == nil {
			err = w.add(ctx, at, e)
		}
		if err != nil {
			return err
		}
	}
}

// add queues an event, and appends what is queued where it makes a batch.
func (w *writerCopy) add(ctx context.Context, at journal.Head, e journal.Entry) error {
	if len(w.queue) == journal.MaxEvents || w.size+len(e.Bytes) > journal.MaxBytes {
		if err := w.flush(ctx, at); err != nil {
			return err
		}
	}
	w.queue, w.size = append(w.queue, e), w.size+len(e.Bytes)
	return nil
}

func (w *writerCopy) flush(ctx context.Context, at journal.Head) error {
	if len(w.queue) == 0 {
		return nil
	}
	err := w.append(ctx, at, w.queue, nil)
	w.queue, w.size = nil, 0
	return err
}

// append sends one batch until there is a definite outcome. It rests on the register as it is: it is history.
func (w *writerCopy) append(ctx context.Context, at journal.Head, events, register []journal.Entry) error {
	b := journal.Batch{Writer: w.writer, After: w.head, Events: events, Position: broker.Position(at.ID.Seq + 1)}
	if len(register) > 0 {
		b.RegisterAfter, b.Register = at, register
	}
	for tries := 0; ; tries++ {
		outcome, err := w.Store.Append(ctx, b)
		switch {
		case err != nil && (errors.Is(err, errors.ErrUnsupported) || ctx.Err() != nil || tries == 20):
			return err
		case err != nil:
			time.Sleep(250 * time.Millisecond)
			continue
		case outcome != journal.Appended && outcome != journal.Already:
			return fmt.Errorf("the journal answered %q to events of %s: something else writes there", outcome, w.writer)
		}
		last := events[len(events)-1]
		w.head = journal.Head{ID: last.ID, Hash: last.Hash}
		w.out.Entries += len(events)
		w.progress(w.writer, w.out.Entries)
		return nil
	}
}
