package bolt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
)

// Trim implements journal.Trims. The file does not get smaller: what was dropped makes room for what comes.
func (s *Store) Trim(ctx context.Context, stream journal.Stream, upTo journal.Head) error {
	writer, err := journal.ValidateTrim(stream, upTo)
	if err != nil {
		return err
	}
	err = s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		before, err := trimmed(tx, writer)
		switch {
		case err != nil:
			return false, err
		case before == upTo, upTo.ID.Less(before.ID):
			return false, nil
		}
		entries := tx.Bucket(bucketAudit).Bucket([]byte(writer))
		if err := mayTrim(entries, before, upTo); err != nil {
			return false, err
		}
		c := entries.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.First() { // after a Delete, Next may pass one over
			if id, err := parseKey(k); err != nil || upTo.ID.Less(id) {
				return true, errors.Join(err, tx.Bucket(bucketTrimmed).Put([]byte(writer), append(key(upTo.ID), upTo.Hash[:]...)))
			}
			if err := c.Delete(); err != nil {
				return false, err
			}
		}
		return false, errors.New("nothing would be left")
	})
	if err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	return nil
}

// mayTrim tells whether the entries up to one may be dropped.
func mayTrim(entries *bbolt.Bucket, before, upTo journal.Head) error {
	other := fmt.Errorf("there is another entry at %s, or none: %w", upTo.ID, journal.ErrKept)
	if entries == nil || before.ID == upTo.ID {
		return other
	}
	c := entries.Cursor()
	k, v := c.Seek(key(upTo.ID))
	if id, err := parseKey(k); err != nil || id != upTo.ID {
		return other
	}
	if e, err := decode(v); err != nil || e.Hash != upTo.Hash {
		return other
	}
	for range journal.MaxEvents {
		if k, _ = c.Next(); k == nil {
			return fmt.Errorf("fewer than %d entries follow %s: %w", journal.MaxEvents, upTo.ID, journal.ErrKept)
		}
	}
	return nil
}

// Trimmed implements journal.Trims.
func (s *Store) Trimmed(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	var h journal.Head
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		_, err := bucket(tx, stream)
		if err == nil && stream != journal.Register {
			h, err = trimmed(tx, strings.TrimPrefix(string(stream), "audit:"))
		}
		return err
	})
	if err != nil {
		return journal.Head{}, fmt.Errorf("read what of %s was trimmed: %w", stream, err)
	}
	return h, nil
}

func trimmed(tx *bbolt.Tx, writer string) (journal.Head, error) {
	var h journal.Head
	b := tx.Bucket(bucketTrimmed)
	if b == nil { // a file that an older Schakel made, opened for reading
		return h, nil
	}
	v := b.Get([]byte(writer))
	if v == nil {
		return h, nil
	}
	if len(v) != 16+len(h.Hash) {
		return h, errors.New("it is not of this version; use the Schakel that wrote it")
	}
	id, err := parseKey(v[:16])
	h.ID = id
	copy(h.Hash[:], v[16:])
	return h, err
}
