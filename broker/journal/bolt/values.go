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

// BlobNames implements journal.Store.
func (s *Store) BlobNames(ctx context.Context) ([]string, error) {
	var names []string
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketBlobs)
		if b == nil {
			return nil
		}
		return b.ForEach(func(name, _ []byte) error {
			names = append(names, string(name)) // bbolt keeps them sorted
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	return names, nil
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

// DeleteKeys implements journal.Store. The bytes stay in a free page of the file until bbolt uses it again; erasure rests
// on destroying the key that wrapped them, not on this.
func (s *Store) DeleteKeys(ctx context.Context, ids []string) error {
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b, gone := tx.Bucket(bucketKeys), false
		for _, id := range ids {
			if b.Get([]byte(id)) == nil {
				continue
			}
			if err := b.Delete([]byte(id)); err != nil {
				return false, err
			}
			gone = true
		}
		return gone, nil
	})
	if err != nil {
		return fmt.Errorf("delete keys: %w", err)
	}
	return nil
}

// SwapKeys implements journal.Store.
func (s *Store) SwapKeys(ctx context.Context, swaps []journal.KeySwap) error {
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b, swapped := tx.Bucket(bucketKeys), false
		for _, k := range swaps {
			if there := b.Get([]byte(k.ID)); there == nil || !bytes.Equal(there, k.Old) {
				continue
			}
			if err := b.Put([]byte(k.ID), k.New); err != nil {
				return false, err
			}
			swapped = true
		}
		return swapped, nil
	})
	if err != nil {
		return fmt.Errorf("swap keys: %w", err)
	}
	return nil
}

// ScanKeys implements journal.Store. Where to go on is the last id that was given.
func (s *Store) ScanKeys(ctx context.Context, from string, max int) (keys []journal.WrappedKey, next string, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketKeys)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, v := c.Seek([]byte(from))
		if k != nil && string(k) == from {
			k, v = c.Next()
		}
		for ; k != nil; k, v = c.Next() {
			if len(keys) >= max && len(keys) > 0 {
				next = keys[len(keys)-1].ID
				return nil
			}
			keys = append(keys, journal.WrappedKey{ID: string(k), Wrapped: bytes.Clone(v)})
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("scan keys: %w", err)
	}
	return keys, next, nil
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
