package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// drop drops from the journal what a checkpoint covers, segment by segment.
func (m *mover) drop(ctx context.Context, writers []string) error {
	var todo []place
	for _, w := range writers {
		done, err := m.Store.Trimmed(ctx, journal.Audit(w))
		if err != nil {
			return err
		}
		for _, p := range m.of(w) {
			if done.ID.Less(p.last) {
				todo = append(todo, p)
			}
		}
	}
	for end := time.Now().Add(m.Wait); len(todo) > 0; {
		n, err := m.dropSealed(ctx, todo)
		if err != nil {
			return err
		}
		if todo = todo[n:]; len(todo) == 0 || !time.Now().Before(end) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	m.moved.Waiting = len(todo)
	return nil
}

// dropSealed drops the events of segments, up to the first that no checkpoint covers yet, and tells how many it passed.
func (m *mover) dropSealed(ctx context.Context, todo []place) (int, error) {
	log, c, err := m.checkpoint(ctx)
	if err != nil {
		return 0, err
	}
	for i, p := range todo {
		covered, err := m.readBack(ctx, log, c, p)
		if err != nil {
			return i, fmt.Errorf("segment %s: %w; nothing of it is dropped", p.name(), err)
		}
		if !covered {
			return i, nil
		}
	}
	return len(todo), nil
}

// readBack reads a segment from the folder, makes sure that a checkpoint covers its manifest and each of its events, and drops
// those. It tells whether the checkpoint goes far enough.
func (m *mover) readBack(ctx context.Context, log *checkpoint.Log, c checkpoint.Checkpoint, p place) (bool, error) {
	s, entries, err := load(m.dir(), p)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Hash != broker.Hash(sha256.Sum256(e.Bytes)) {
			return false, fmt.Errorf("event %s has other bytes than its hash says", e.ID)
		}
	}
	if n, err := log.Covers(ctx, c, []checkpoint.Leaf{s.leaf()}); err != nil || n == 0 {
		return false, err
	}
	if n, err := log.Covers(ctx, c, leavesOf(journal.Audit(p.writer), entries)); err != nil || n < len(entries) {
		return false, err
	}
	if err := m.at("read back"); err != nil {
		return false, err
	}
	if done, err := m.Store.Trimmed(ctx, journal.Audit(p.writer)); err != nil || done != s.Before {
		return false, cmp.Or(err, fmt.Errorf("it begins after %s, and the journal was dropped up to %s", s.Before.ID, done.ID))
	}
	began := time.Now()
	if err := m.Store.Trim(ctx, journal.Audit(p.writer), s.Last); err != nil {
		return false, err
	}
	m.moved.Trimmed += s.Count
	if err := m.at("dropped"); err != nil {
		return false, err
	}
	select { // as much rest as work: gateways append meanwhile
	case <-ctx.Done():
		return true, ctx.Err()
	case <-time.After(min(time.Since(began), time.Second)):
	}
	return true, nil
}
