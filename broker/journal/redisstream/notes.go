package redisstream

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// Notes are kept in one hash, by writer.
const putNoteLua = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'put'`

// PutNote implements journal.Notebook.
func (s *Store) PutNote(ctx context.Context, writer string, note []byte) error {
	if err := journal.ValidateNote(writer, note); err != nil {
		return err
	}
	if _, err := s.write(ctx, slowTimeout, redis.NewScript(putNoteLua), []string{s.keys.notes}, writer, note); err != nil {
		return fmt.Errorf("put note: %w", err)
	}
	return nil
}

// Notes implements journal.Notebook.
func (s *Store) Notes(ctx context.Context) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	values, err := s.rdb.HGetAll(ctx, s.keys.notes).Result()
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	notes := make(map[string][]byte, len(values))
	for writer, note := range values {
		notes[writer] = []byte(note)
	}
	return notes, nil
}
