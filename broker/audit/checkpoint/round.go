package checkpoint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// round gives the log what the streams got since the last one, and takes up what was published meanwhile.
func (l *leading) round(ctx context.Context) error {
	if err := l.lease.renew(ctx); err != nil {
		return err
	}
	if key, err := l.cfg.Key(); err != nil || !key.Public.Equal(l.key.Public) {
		return cmp.Or(err, errRotated)
	}
	leaves, err := l.gather(ctx)
	if err != nil {
		l.fail(err) // the store may be away for a while: what was gathered is sealed, and the rest later
	}
	if err := l.add(ctx, leaves); err != nil {
		return err
	}
	return l.publish(ctx)
}

// errRotated ends leading: the log is taken up again under the new key.
var errRotated = errors.New("the key for checkpoints was rotated")

// gather reads what is new in each stream, up to roundSize.
func (l *leading) gather(ctx context.Context) (leaves []Leaf, err error) {
	writers, err := l.cfg.Streams.Writers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list writers: %w", err)
	}
	names := []journal.Stream{journal.Register}
	for _, w := range writers {
		switch {
		case journal.ValidWriter(w):
			names = append(names, journal.Audit(w))
		case w == IndexWriter:
			names = append(names, Index)
		case w == ArchiveWriter:
			names = append(names, Archive)
		}
	}
	for _, s := range names {
		if leaves, err = l.follow(ctx, s, leaves); err != nil {
			return leaves, fmt.Errorf("read %s: %w", s, err)
		}
	}
	return leaves, nil
}

// follow reads one stream on from what was given. It reads that entry again: a store that was put back, or a stream that
// was written anew, shows there.
func (l *leading) follow(ctx context.Context, s journal.Stream, leaves []Leaf) ([]Leaf, error) {
	head, err := l.cfg.Streams.Head(ctx, s)
	if err != nil {
		return leaves, err
	}
	last := l.given[s]
	if head == last {
		return leaves, nil
	}
	again := last != journal.Head{}
	after := last.ID.Before()
	for len(leaves) < roundSize {
		page, err := l.cfg.Streams.Read(ctx, s, after, pageSize)
		if err != nil {
			return leaves, err
		}
		if again {
			if len(page) == 0 || page[0].ID != last.ID || page[0].Hash != last.Hash {
				l.alarm(Alarm{s, last.ID, "this entry is in the Merkle log, and the journal has another in its place or none: it was put back or rewritten"})
				return leaves, nil
			}
			again, page = false, page[1:]
		}
		for _, e := range page {
			switch {
			case e.Hash != broker.Hash(sha256.Sum256(e.Bytes)):
				l.alarm(Alarm{s, e.ID, "its bytes have another hash than the store gives: it was altered"})
				return leaves, nil
			case !e.ID.Follows(last.ID):
				l.alarm(Alarm{s, e.ID, fmt.Sprintf("it does not follow %s: entries are missing", last.ID)})
				return leaves, nil
			}
			last = journal.Head{ID: e.ID, Hash: e.Hash}
			leaves = append(leaves, Leaf{s, e.ID, e.Hash})
		}
		if len(page) == 0 {
			break
		}
		after = last.ID
	}
	return leaves, nil
}

// add gives leaves to the log, in order, and waits until they are in the tree.
func (l *leading) add(ctx context.Context, leaves []Leaf) error {
	if len(leaves) == 0 {
		return nil
	}
	l.signer.expect(leaves)
	ctx = context.WithoutCancel(ctx) // nothing may be under way any more when this returns: the log can be taken up again then
	futures := make([]tessera.IndexFuture, len(leaves))
	for i, leaf := range leaves {
		futures[i] = l.appender.Add(ctx, tessera.NewEntry(leaf.Text()))
	}
	var failed error
	for i, future := range futures {
		if _, err := future(); err != nil && failed == nil {
			failed = fmt.Errorf("add %s %s to the log: %w", leaves[i].Stream, leaves[i].ID, err)
		}
		l.total++
		l.given[leaves[i].Stream] = journal.Head{ID: leaves[i].ID, Hash: leaves[i].Hash}
	}
	return failed
}

// publish takes up a checkpoint that was published since it last looked, and tells of it.
func (l *leading) publish(ctx context.Context) error {
	if err := l.look(ctx); err != nil {
		return err
	}
	l.lag()
	if l.untold == nil {
		return nil
	}
	if err := l.cfg.Sealed(ctx, *l.untold); err != nil {
		l.fail(fmt.Errorf("tell of checkpoint: %w", err))
		return nil
	}
	l.untold = nil
	return nil
}

// patience is how long leaves may wait for a checkpoint before somebody is told.
const patience = 10 * time.Second

// lag tells where no checkpoint comes out: tessera itself tries again without a word.
func (l *leading) lag() {
	switch {
	case l.size == l.total:
		l.waiting = time.Time{}
	case l.waiting.IsZero():
		l.waiting = l.cfg.Now()
	case l.cfg.Now().Sub(l.waiting) > patience:
		why := cmp.Or(l.signer.refusal(), errors.New("witnesses that must cosign do not, or the folder can't be written"))
		l.fail(fmt.Errorf("%d entries wait for a checkpoint: %w", l.total-l.size, why))
	}
}

func (l *leading) look(ctx context.Context) error {
	c, err := l.log.Latest(ctx)
	if errors.Is(err, ErrNoCheckpoint) {
		return nil // the first one waits for its witnesses
	}
	if err != nil {
		return err
	}
	if c.Size == l.size {
		return nil
	}
	m, found := l.signer.published(c.Size)
	if !found || m.size != c.Size {
		return fmt.Errorf("a checkpoint of %d leaves was published that this checkpointer did not sign: another process writes in %s", c.Size, l.cfg.Dir)
	}
	if err := (progress{m.size, m.sealed}).write(l.cfg.Dir); err != nil {
		return err
	}
	l.size, l.untold = c.Size, &Seal{c, m.sealed}
	return nil
}
