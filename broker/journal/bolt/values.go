package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
)

// PutBlob implements journal.Store.
func (s *Store) PutBlob(ctx context.Context, name string, data []byte) error {
	if name == "" {
		return fmt.Errorf("put blob: it has no name: %w", errors.ErrUnsupported)
	}
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b := tx.Bucket(bucketBlobs)
		switch there := b.Get([]byte(name)); {
		case there == nil:
			return true, b.Put([]byte(name), data)
		case !bytes.Equal(there, data):
			return false, errors.New("another content is kept under this name, and stays")
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	return nil
}

// Blob implements journal.Store.
func (s *Store) Blob(ctx context.Context, name string) ([]byte, error) {
	data, err := s.get(ctx, bucketBlobs, name)
	if err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	return data, nil
}

// PutKeys implements journal.Store.
func (s *Store) PutKeys(ctx context.Context, keys []journal.WrappedKey) ([][]byte, error) {
	there := make([][]byte, len(keys))
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b, added := tx.Bucket(bucketKeys), false
		for i, k := range keys {
			if k.ID == "" {
				return false, fmt.Errorf("a key has no id: %w", errors.ErrUnsupported)
			}
			if v := b.Get([]byte(k.ID)); v != nil {
				there[i] = bytes.Clone(v)
				continue
			}
			there[i], added = bytes.Clone(k.Wrapped), true
			if err := b.Put([]byte(k.ID), k.Wrapped); err != nil {
				return false, err
			}
		}
		return added, nil
	})
	if err != nil {
		return nil, fmt.Errorf("put keys: %w", err)
	}
	return there, nil
}

// Keys implements journal.Store.
func (s *Store) Keys(ctx context.Context, ids []string) ([][]byte, error) {
	wrapped := make([][]byte, len(ids))
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketKeys)
		for i, id := range ids {
			if b != nil {
				wrapped[i] = bytes.Clone(b.Get([]byte(id)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return wrapped, nil
}

// DeleteKey implements journal.Store. The bytes stay in a free page of the file until bbolt uses it again; erasure rests
// on destroying the key that wrapped them, not on this.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b := tx.Bucket(bucketKeys)
		if b.Get([]byte(id)) == nil {
			return false, nil
		}
		return true, b.Delete([]byte(id))
	})
	if err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	return nil
}

func (s *Store) get(ctx context.Context, bucket []byte, name string) ([]byte, error) {
	var value []byte
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucket); b != nil {
			if v := b.Get([]byte(name)); v != nil {
				value = append([]byte{}, v...)
				return nil
			}
		}
		return journal.ErrAbsent
	})
	return value, err
}
