package bolt

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
)

// PutNote implements journal.Notebook.
func (s *Store) PutNote(ctx context.Context, writer string, note []byte) error {
	if err := journal.ValidateNote(writer, note); err != nil {
		return err
	}
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		return true, tx.Bucket(bucketNotes).Put([]byte(writer), note)
	})
	if err != nil {
		return fmt.Errorf("put note: %w", err)
	}
	return nil
}

// Notes implements journal.Notebook.
func (s *Store) Notes(ctx context.Context) (map[string][]byte, error) {
	notes := map[string][]byte{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNotes)
		if b == nil { // a file of an older version, opened to be read
			return nil
		}
		return b.ForEach(func(writer, note []byte) error {
			notes[string(writer)] = bytes.Clone(note)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	return notes, nil
}
