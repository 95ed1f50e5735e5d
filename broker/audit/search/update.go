package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
)

// RequestRebuild asks whoever has the index of a folder open to make it again.
func RequestRebuild(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, markerFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("ask for a new search index: %w", err)
	}
	return f.Close()
}

// How often Follow looks for new events, and whether what was indexed can still be trusted.
const (
	every        = time.Second
	everyTrusted = time.Minute
)

// Follow keeps the index up with the log until ctx ends. It works half of the time at most: a gateway on the same machine
// answers professionals. Failed is told what did not work; it is tried again.
func (x *Index) Follow(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	looked, told := time.Now(), ""
	for {
		var err error
		if os.Remove(filepath.Join(x.cfg.Dir, markerFile)) == nil {
			x.stale.Store(true)
		}
		if time.Since(looked) > everyTrusted {
			looked = time.Now()
			if err = x.trusted(ctx); errors.Is(err, errUnusable) {
				x.stale.Store(true)
				err = nil
			} else if err == nil {
				err = x.forgetErased(ctx, true)
			}
		}
		if err == nil {
			err = x.update(ctx, true)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Update brings the index to the end of the log as it is now.
func (x *Index) Update(ctx context.Context) error { return x.update(ctx, false) }

// Rebuild makes the index again from the log.
func (x *Index) Rebuild(ctx context.Context) error {
	x.stale.Store(true)
	return x.update(ctx, false)
}

func (x *Index) update(ctx context.Context, resting bool) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	if x.stale.Load() {
		if err := x.anew(); err != nil {
			return err
		}
	}
	if err := x.takeNew(ctx, resting); err != nil {
		x.current.Store(false)
		return fmt.Errorf("keep search index: %w", err)
	}
	x.current.Store(true)
	return nil
}

// takeNew reads what was added to the log, in the order of time over all streams.
func (x *Index) takeNew(ctx context.Context, resting bool) error {
	cursors, err := x.cursors(ctx)
	if err != nil {
		return err
	}
	writers, err := x.cfg.Store.Writers(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	idle := maps.Clone(x.idle)
	var streams []*stream
	defer func() {
		for _, s := range streams {
			s.stop()
		}
	}()
	for _, name := range writers {
		head, err := x.cfg.Store.Head(ctx, journal.Audit(name))
		if err != nil {
			return err
		}
		after := cursors[name].ID
		if after.Less(idle[name]) {
			after = idle[name]
		}
		if !after.Less(head.ID) {
			continue
		}
		idle[name] = head.ID
		s := &stream{name: name}
		s.next, s.stop = iter.Pull2(audit.Requests(ctx, audit.RequestsConfig{Store: tail{x.cfg.Store, name, after, head.ID}, Vault: x.cfg.Vault}))
		streams = append(streams, s)
		if err := s.advance(); err != nil {
			return err
		}
	}
	if len(streams) == 0 {
		return nil
	}
	b, err := x.newBatch(ctx, cursors)
	if err != nil {
		return err
	}
	began := time.Now()
	for {
		var first *stream
		for _, s := range streams {
			if s.has && (first == nil || s.now.Time.Before(first.now.Time)) {
				first = s
			}
		}
		if first == nil {
			break
		}
		if first.now.Damaged {
			x.unread.Add(1)
		} else {
			b.add(x.reader.hit(first.now))
		}
		if b.next%block == 0 {
			if err := b.commit(ctx); err != nil {
				return err
			}
		}
		if worked := time.Since(began); resting && worked > 50*time.Millisecond {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(worked):
			}
			began = time.Now()
		}
		if err := first.advance(); err != nil {
			return err
		}
	}
	if err := b.commit(ctx); err != nil {
		return err
	}
	x.idle = idle
	return nil
}

// stream is what is new of one writer.
type stream struct {
	name string
	next func() (audit.Request, error, bool)
	stop func()
	now  audit.Request
	has  bool
}

func (s *stream) advance() (err error) {
	s.now, err, s.has = s.next()
	return err
}

// tail is one writer's stream from after one entry to another.
type tail struct {
	audit.Source
	writer string
	after  journal.ID
	upTo   journal.ID
}

func (t tail) Writers(context.Context) ([]string, error) { return []string{t.writer}, nil }

func (t tail) Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	if after.Less(t.after) {
		after = t.after
	}
	page, err := t.Source.Read(ctx, s, after, max)
	if end := slices.IndexFunc(page, func(e journal.Entry) bool { return t.upTo.Less(e.ID) }); end >= 0 {
		page = page[:end]
	}
	return page, err
}

// batch is what is to be added to the file in one step.
type batch struct {
	x       *Index
	next    int64 // the number of the next event
	from    int64 // of the first in the batch
	cursors map[string]cursor
	events  []row
	words   map[int64][]uint16
	staff   map[string]bool // the keys under which who asked was read
}

// row is where one event is.
type row struct {
	writer string
	id     journal.ID
	at     int64
}

func (x *Index) newBatch(ctx context.Context, cursors map[string]cursor) (*batch, error) {
	b := &batch{x: x, cursors: cursors, words: map[int64][]uint16{}, staff: map[string]bool{}}
	var last sql.NullInt64
	if err := x.db.QueryRowContext(ctx, "SELECT max(n) FROM event").Scan(&last); err != nil {
		return nil, err
	}
	if last.Valid {
		b.next = last.Int64 + 1
	}
	b.from = b.next
	return b, nil
}

// maxTokens bounds how many words' hashes are remembered.
const maxTokens = 200_000

func (b *batch) add(h Hit) {
	place := uint16(b.next % block)
	for _, w := range h.words() {
		t := b.x.token(w)
		b.words[t] = append(b.words[t], place)
	}
	id := journal.ID(h.ID)
	b.events = append(b.events, row{h.Writer, id, h.Time.UnixNano()})
	c := b.cursors[h.Writer]
	c.Head = journal.Head{ID: id, Hash: h.Hash}
	b.cursors[h.Writer] = c
	if h.StaffKey != "" {
		b.staff[h.StaffKey] = true
	}
	b.next++
}

// token is token, remembered.
func (x *Index) token(w word) int64 {
	t, ok := x.tokens[w]
	if !ok {
		if len(x.tokens) >= maxTokens {
			clear(x.tokens)
		}
		t = token(x.key, w)
		x.tokens[w] = t
	}
	return t
}

// commit adds the batch, which lies within one block, with how far each stream was read.
func (b *batch) commit(ctx context.Context) error {
	if len(b.events) == 0 {
		return nil
	}
	tx, err := b.x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of nothing, after Commit
	if err := b.write(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	b.from, b.events = b.next, b.events[:0]
	clear(b.words)
	clear(b.staff)
	return nil
}

func (b *batch) write(ctx context.Context, tx *sql.Tx) error {
	for name, c := range b.cursors {
		if _, err := tx.ExecContext(ctx, "INSERT INTO writer (name, epoch, seq, hash) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash",
			name, int64(c.ID.Epoch), int64(c.ID.Seq), c.Hash[:]); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT n FROM writer WHERE name = ?", name).Scan(&c.n); err != nil {
			return err
		}
		b.cursors[name] = c
	}
	here := b.from / block
	for key := range b.staff {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO staff VALUES (?, ?)", key, here); err != nil {
			return err
		}
	}
	event, err := tx.PrepareContext(ctx, "INSERT INTO event VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	first, last := b.events[0].at, b.events[0].at
	for i, e := range b.events {
		first, last = min(first, e.at), max(last, e.at)
		if _, err := event.ExecContext(ctx, b.from+int64(i), b.cursors[e.writer].n, int64(e.id.Epoch), int64(e.id.Seq), e.at); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO block VALUES (?, ?, ?, ?) ON CONFLICT (n) DO UPDATE SET events = events + excluded.events, first = min(first, excluded.first), last = max(last, excluded.last)",
		here, len(b.events), first, last); err != nil {
		return err
	}
	return b.writeWords(ctx, tx, here)
}

func (b *batch) writeWords(ctx context.Context, tx *sql.Tx, here int64) error {
	put, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO word VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	get, err := tx.PrepareContext(ctx, "SELECT events FROM word WHERE block = ? AND token = ?")
	if err != nil {
		return err
	}
	begun := b.from%block != 0 // the block has words already
	var s set
	for _, t := range slices.Sorted(maps.Keys(b.words)) {
		packed := packList(b.words[t])
		if begun {
			var old []byte
			switch err := get.QueryRowContext(ctx, here, t).Scan(&old); {
			case err == nil:
				s.unpack(old)
				for _, p := range b.words[t] {
					s.add(p)
				}
				packed = s.pack()
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		if _, err := put.ExecContext(ctx, here, t, packed); err != nil {
			return err
		}
	}
	return nil
}

// one is one entry of a stream as a source of its own.
type one struct {
	writer string
	entry  journal.Entry
}

func (o one) Writers(context.Context) ([]string, error) { return []string{o.writer}, nil }

func (o one) Read(_ context.Context, _ journal.Stream, after journal.ID, _ int) ([]journal.Entry, error) {
	if after.Less(o.entry.ID) {
		return []journal.Entry{o.entry}, nil
	}
	return nil, nil
}
