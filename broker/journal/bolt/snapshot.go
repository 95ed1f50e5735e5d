package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
)

// The bucket of snapshots holds each chunk under the snapshot's id, a slash and its number, and under currentKey the id
// of the one that is kept, after its length, its number of chunks and its head.
var currentKey = []byte("current")

func chunkKey(snapshot string, n int) []byte {
	return strconv.AppendInt(append([]byte(snapshot), '/'), int64(n), 10)
}

// PutChunk implements journal.Snapshots.
func (s *Store) PutChunk(ctx context.Context, snapshot string, n int, data []byte) error {
	if err := journal.ValidateChunk(snapshot, n, data); err != nil {
		return err
	}
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		return true, tx.Bucket(bucketSnapshots).Put(chunkKey(snapshot, n), data)
	})
	if err != nil {
		return fmt.Errorf("put chunk: %w", err)
	}
	return nil
}

// PutSnapshot implements journal.Snapshots.
func (s *Store) PutSnapshot(ctx context.Context, snap journal.Snapshot) error {
	if err := snap.Validate(); err != nil {
		return err
	}
	current := append([]byte{byte(len(snap.ID))}, snap.ID...)
	current = append(binary.AppendUvarint(current, uint64(snap.Chunks)), snap.Head...)
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b := tx.Bucket(bucketSnapshots)
		for n := range snap.Chunks {
			if b.Get(chunkKey(snap.ID, n)) == nil {
				return false, journal.ErrAbsent
			}
		}
		var old [][]byte
		mine := append([]byte(snap.ID), '/')
		err := b.ForEach(func(k, _ []byte) error {
			if !bytes.HasPrefix(k, mine) {
				old = append(old, bytes.Clone(k))
			}
			return nil
		})
		for _, k := range old {
			err = errors.Join(err, b.Delete(k))
		}
		return true, errors.Join(err, b.Put(currentKey, current))
	})
	if err != nil {
		return fmt.Errorf("put snapshot: %w", err)
	}
	return nil
}

// Snapshot implements journal.Snapshots.
func (s *Store) Snapshot(ctx context.Context) (journal.Snapshot, error) {
	v, err := s.get(ctx, bucketSnapshots, string(currentKey))
	if err != nil {
		return journal.Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	bad := errors.New("read snapshot: not one of this version")
	if len(v) == 0 || len(v) < 1+int(v[0]) {
		return journal.Snapshot{}, bad
	}
	id, rest := string(v[1:1+v[0]]), v[1+v[0]:]
	chunks, head, ok := uvarint(rest)
	if !ok || chunks > 1<<31 {
		return journal.Snapshot{}, bad
	}
	return journal.Snapshot{ID: id, Chunks: int(chunks), Head: head}, nil
}

// Chunk implements journal.Snapshots.
func (s *Store) Chunk(ctx context.Context, snapshot string, n int) ([]byte, error) {
	data, err := s.get(ctx, bucketSnapshots, string(chunkKey(snapshot, n)))
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	return data, nil
}
