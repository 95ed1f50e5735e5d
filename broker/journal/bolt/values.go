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

// PutKey implements journal.Store.
func (s *Store) PutKey(ctx context.Context, id string, wrapped []byte) ([]byte, error) {
	if id == "" {
		return nil, fmt.Errorf("put key: it has no id: %w", errors.ErrUnsupported)
	}
	var there []byte
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b := tx.Bucket(bucketKeys)
		if v := b.Get([]byte(id)); v != nil {
			there = bytes.Clone(v)
			return false, nil
		}
		there = bytes.Clone(wrapped)
		return true, b.Put([]byte(id), wrapped)
	})
	if err != nil {
		return nil, fmt.Errorf("put key: %w", err)
	}
	return there, nil
}

// Key implements journal.Store.
func (s *Store) Key(ctx context.Context, id string) ([]byte, error) {
	wrapped, err := s.get(ctx, bucketKeys, id)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
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
