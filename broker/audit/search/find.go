package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
)

// Found is one page of what a question finds.
type Found struct {
	Hits  []Hit  // newest first
	Total int    // of all pages, as the index counts
	Next  uint64 // where the next page begins; 0 where there is none
	State State
}

// Find answers a question: at most max events, the newest first. begin is 0, or the Next of the page before. Each hit was
// read back from the log and meets the question.
func (x *Index) Find(ctx context.Context, q Query, begin uint64, max int) (Found, error) {
	state, err := x.State(ctx)
	if err != nil {
		return Found{}, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := finder{x: x, q: q, max: max, below: int64(begin), found: Found{State: state}}
	if begin == 0 {
		f.below = math.MaxInt64
	}
	if err := f.run(ctx); err != nil {
		return Found{}, fmt.Errorf("search the log: %w", err)
	}
	return f.found, nil
}

// finder answers one question.
type finder struct {
	x     *Index
	q     Query
	max   int
	below int64
	found Found

	tx      *sql.Tx
	events  *sql.Stmt
	where   *sql.Stmt
	at      *sql.Stmt
	tokens  []int64 // of the conditions; a negative one is in not
	not     []bool
	writers map[int64]string
}

// blockOf is one block of the index.
type blockOf struct{ n, events, first, last int64 }

func (f *finder) run(ctx context.Context) (err error) {
	if f.tx, err = f.x.db.BeginTx(ctx, nil); err != nil {
		return err
	}
	defer func() { _ = f.tx.Rollback() }()        // nothing is changed
	for _, negated := range []bool{false, true} { // what must be there first: most blocks end with it
		for _, c := range f.q.Conditions {
			if c.Not == negated {
				f.tokens, f.not = append(f.tokens, token(f.x.key, c.word())), append(f.not, negated)
			}
		}
	}
	blocks, err := f.blocks(ctx)
	if err != nil {
		return err
	}
	if f.events, err = f.tx.PrepareContext(ctx, "SELECT events FROM word WHERE block = ? AND token = ?"); err != nil {
		return err
	}
	if f.where, err = f.tx.PrepareContext(ctx, "SELECT writer, epoch, seq FROM event WHERE n = ?"); err != nil {
		return err
	}
	if f.at, err = f.tx.PrepareContext(ctx, "SELECT at FROM event WHERE n = ?"); err != nil {
		return err
	}
	for _, b := range blocks {
		if err := f.block(ctx, b); err != nil {
			return err
		}
		if f.q.Answer != "" && len(f.found.Hits) > 0 {
			break
		}
	}
	if f.q.Answer != "" {
		f.found.Total, f.found.Next = len(f.found.Hits), 0
	}
	return nil
}

// blocks lists those that can have an event of the window, newest first, and reads the names of writers.
func (f *finder) blocks(ctx context.Context) (out []blockOf, err error) {
	f.writers = map[int64]string{}
	rows, err := f.tx.QueryContext(ctx, "SELECT n, name FROM writer")
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var n int64
		var name string
		if err := rows.Scan(&n, &name); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		f.writers[n] = name
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	after, before := f.bounds()
	if rows, err = f.tx.QueryContext(ctx, "SELECT n, events, first, last FROM block WHERE last >= ? AND first < ? ORDER BY n DESC", after, before); err != nil {
		return nil, err
	}
	for rows.Next() {
		var b blockOf
		if err := rows.Scan(&b.n, &b.events, &b.first, &b.last); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out = append(out, b)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// bounds gives the window in nanoseconds.
func (f *finder) bounds() (after, before int64) {
	from, to := f.q.window()
	after, before = math.MinInt64, math.MaxInt64
	if !from.IsZero() {
		after = from.UnixNano()
	}
	if !to.IsZero() {
		before = to.UnixNano()
	}
	return after, before
}

// block finds what one block has.
func (f *finder) block(ctx context.Context, b blockOf) error {
	var all, other set
	all.fill(int(b.events))
	for i, t := range f.tokens {
		var packed []byte
		switch err := f.events.QueryRowContext(ctx, b.n, t).Scan(&packed); {
		case errors.Is(err, sql.ErrNoRows):
			if !f.not[i] {
				return nil
			}
			continue
		case err != nil:
			return err
		}
		if other.unpack(packed); f.not[i] {
			all.andNot(&other)
		} else {
			all.and(&other)
		}
	}
	if after, before := f.bounds(); b.first < after || b.last >= before {
		if err := f.inWindow(ctx, b, &all, &other, after, before); err != nil {
			return err
		}
		all.and(&other)
	}
	f.found.Total += all.count()
	for place := range all.down {
		n := b.n*block + int64(place)
		if n >= f.below {
			continue
		}
		if len(f.found.Hits) == f.max {
			if f.found.Next == 0 {
				f.found.Next = uint64(n) + 1
			}
			return nil
		}
		if err := f.take(ctx, n); err != nil {
			return err
		}
		if f.q.Answer != "" && len(f.found.Hits) > 0 {
			return nil
		}
	}
	return nil
}

// fewEvents is how many times are looked up one by one rather than by reading those of the whole block.
const fewEvents = 4000

// inWindow gives those of a block that are in the window, or no less than those of some of them.
func (f *finder) inWindow(ctx context.Context, b blockOf, some, to *set, after, before int64) error {
	*to = set{}
	if some.count() <= fewEvents {
		for place := range some.down {
			var at int64
			if err := f.at.QueryRowContext(ctx, b.n*block+int64(place)).Scan(&at); err != nil {
				return err
			}
			if at >= after && at < before {
				to.add(uint16(place))
			}
		}
		return nil
	}
	rows, err := f.tx.QueryContext(ctx, "SELECT n FROM event WHERE n >= ? AND n < ? AND at >= ? AND at < ?", b.n*block, (b.n+1)*block, after, before)
	if err != nil {
		return err
	}
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return errors.Join(err, rows.Close())
		}
		to.add(uint16(n % block))
	}
	return errors.Join(rows.Err(), rows.Close())
}

// take reads one event back from the log. What is not there any more, or does not meet the question, is left out: a word of
// it was erased since, or the index is not of this log any more.
func (f *finder) take(ctx context.Context, n int64) error {
	var writer int64
	var id journal.ID
	if err := f.where.QueryRowContext(ctx, n).Scan(&writer, &id.Epoch, &id.Seq); err != nil {
		return err
	}
	h, err := Read(ctx, f.x.cfg, f.writers[writer], id)
	if err != nil {
		return err
	}
	if h == nil {
		f.x.stale.Store(true)
	}
	if h != nil && !h.Damaged && f.q.meets(*h) {
		f.found.Hits = append(f.found.Hits, *h)
		return nil
	}
	if f.q.Answer == "" {
		f.found.Total--
	}
	return nil
}

// Read reads one disclosure of the log, which may be damaged; nil where there is none at that place.
func Read(ctx context.Context, c Config, writer string, id journal.ID) (*Hit, error) {
	page, err := c.Store.Read(ctx, journal.Audit(writer), id.Before(), 1)
	if err != nil || len(page) == 0 || page[0].ID != id {
		return nil, err
	}
	var d reader
	for r, err := range audit.Requests(ctx, audit.RequestsConfig{Store: one{writer, page[0]}, Vault: c.Vault}) {
		h := d.hit(r)
		return &h, err
	}
	return nil, nil
}
