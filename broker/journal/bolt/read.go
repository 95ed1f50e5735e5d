package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/schakel/schakel/broker/journal"
)

// bucket finds a stream's bucket; nil where the stream is absent.
func bucket(tx *bbolt.Tx, s journal.Stream) (*bbolt.Bucket, error) {
	if s == journal.Register {
		return tx.Bucket(bucketRegister), nil
	}
	writer, ok := strings.CutPrefix(string(s), "audit:")
	if !ok || !journal.ValidWriter(writer) {
		return nil, fmt.Errorf("no such stream: %w", errors.ErrUnsupported)
	}
	if audit := tx.Bucket(bucketAudit); audit != nil {
		return audit.Bucket([]byte(writer)), nil
	}
	return nil, nil
}

// Head implements journal.Store.
func (s *Store) Head(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	var h journal.Head
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b, err := bucket(tx, stream)
		if err == nil {
			h, err = head(b)
		}
		return err
	})
	if err != nil {
		return journal.Head{}, fmt.Errorf("read head of %s: %w", stream, err)
	}
	return h, nil
}

// Read implements journal.Store. It gives what is stored: whether the bytes have their hash is for the reader to say, and
// what can't be decoded has none.
func (s *Store) Read(ctx context.Context, stream journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	var entries []journal.Entry
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b, err := bucket(tx, stream)
		if err != nil || b == nil {
			return err
		}
		c := b.Cursor()
		k, v := c.Seek(key(after))
		if bytes.Equal(k, key(after)) {
			k, v = c.Next()
		}
		for ; k != nil && len(entries) < max; k, v = c.Next() {
			id, err := parseKey(k)
			if err != nil {
				return err
			}
			e, err := decode(v)
			if err != nil {
				e = journal.Entry{}
			}
			e.ID = id
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	return entries, nil
}

// Wait implements journal.Store. Entries come from this process only, since it alone has the file.
func (s *Store) Wait(ctx context.Context, stream journal.Stream, after journal.ID) error {
	for {
		s.mu.Lock()
		changed := s.changed // taken before looking, so that no entry falls in between
		s.mu.Unlock()
		h, err := s.Head(ctx, stream)
		if err != nil || after.Less(h.ID) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return fmt.Errorf("wait for %s: %w", stream, berrors.ErrDatabaseNotOpen)
		}
	}
}

// Writers implements journal.Store.
func (s *Store) Writers(ctx context.Context) ([]string, error) {
	var writers []string
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		audit := tx.Bucket(bucketAudit)
		if audit == nil {
			return nil
		}
		return audit.ForEachBucket(func(name []byte) error {
			writers = append(writers, string(name)) // bbolt keeps them sorted
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list writers: %w", err)
	}
	return writers, nil
}
