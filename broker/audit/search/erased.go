package search

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
)

// forgetErased makes those blocks of the index again that have words from under a key that was deleted since: what was erased is
// in them no more. All others stay as they are. Resting, it works half of the time.
func (x *Index) forgetErased(ctx context.Context, resting bool) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	keys, err := list[string](ctx, x.db, "SELECT DISTINCT key FROM staff")
	if err != nil {
		return unusable(err)
	}
	found, err := x.cfg.Store.Keys(ctx, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if len(found[i]) > 0 {
			continue
		}
		x.cfg.Vault.Forget(key)
		blocks, err := list[int64](ctx, x.db, "SELECT block FROM staff WHERE key = ?", key)
		if err != nil {
			return unusable(err)
		}
		for _, n := range blocks {
			began := time.Now()
			if err := x.remake(ctx, n); err != nil {
				return fmt.Errorf("take what was erased out of the search index: %w", err)
			}
			if resting {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Since(began)):
				}
			}
		}
	}
	return nil
}

// list gives the first column of all rows.
func list[T any](ctx context.Context, db *sql.DB, query string, args ...any) (out []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// remake reads the events of a block again from the log and puts their words in the place of those that it has. Their numbers
// stay.
func (x *Index) remake(ctx context.Context, n int64) error {
	places, err := x.placesOf(ctx, n)
	if err != nil {
		return err
	}
	words, staff := map[int64][]uint16{}, map[string]bool{}
	for name, p := range places {
		store := tail{x.cfg.Store, name, p.first.Before(), p.last}
		for r, err := range audit.Requests(ctx, audit.RequestsConfig{Store: store, Vault: x.cfg.Vault}) {
			if err != nil {
				return err
			}
			place, is := p.of[journal.ID(r.ID)]
			if !is || r.Damaged {
				continue
			}
			h := x.reader.hit(r)
			for _, w := range h.words() {
				t := x.token(w)
				words[t] = append(words[t], place)
			}
			if h.StaffKey != "" {
				staff[h.StaffKey] = true
			}
		}
	}
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of nothing, after Commit
	for _, table := range []string{"word", "staff"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE block = ?", n); err != nil {
			return err
		}
	}
	for key := range staff {
		if _, err := tx.ExecContext(ctx, "INSERT INTO staff VALUES (?, ?)", key, n); err != nil {
			return err
		}
	}
	put, err := tx.PrepareContext(ctx, "INSERT INTO word VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	for _, t := range slices.Sorted(maps.Keys(words)) {
		slices.Sort(words[t])
		if _, err := put.ExecContext(ctx, n, t, packList(words[t])); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// placed is where the events of one writer are in a block.
type placed struct {
	first, last journal.ID
	of          map[journal.ID]uint16
}

func (x *Index) placesOf(ctx context.Context, n int64) (map[string]*placed, error) {
	rows, err := x.db.QueryContext(ctx, "SELECT event.n, name, event.epoch, event.seq FROM event JOIN writer ON writer.n = event.writer WHERE event.n >= ? AND event.n < ? ORDER BY event.n",
		n*block, (n+1)*block)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]*placed{}
	for rows.Next() {
		var number int64
		var name string
		var id journal.ID
		if err := rows.Scan(&number, &name, &id.Epoch, &id.Seq); err != nil {
			return nil, err
		}
		p := out[name]
		if p == nil {
			p = &placed{first: id, of: map[journal.ID]uint16{}}
			out[name] = p
		}
		p.last, p.of[id] = id, uint16(number%block)
	}
	return out, rows.Err()
}
