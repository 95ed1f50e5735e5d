package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// Snapshots are kept in one hash: each chunk under the snapshot's id, a slash and its number, and of the one that is kept
// its id, number of chunks and head.
const (
	putChunkLua = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'put'`
	putSnapshotLua = `
local mine = ARGV[1] .. '/'
for n = 0, tonumber(ARGV[2]) - 1 do
  if redis.call('HEXISTS', KEYS[1], mine .. n) == 0 then return 'absent' end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #mine) ~= mine then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'chunks', ARGV[2], 'head', ARGV[3])
return 'put'`
)

func chunkField(snapshot string, n int) string { return snapshot + "/" + strconv.Itoa(n) }

// PutChunk implements journal.Snapshots.
func (s *Store) PutChunk(ctx context.Context, snapshot string, n int, data []byte) error {
	if err := journal.ValidateChunk(snapshot, n, data); err != nil {
		return err
	}
	_, err := s.write(ctx, slowTimeout, redis.NewScript(putChunkLua), []string{s.keys.snapshot}, chunkField(snapshot, n), data)
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
	answer, err := s.write(ctx, slowTimeout, redis.NewScript(putSnapshotLua), []string{s.keys.snapshot}, snap.ID, snap.Chunks, snap.Head)
	if err == nil && answer == "absent" {
		err = journal.ErrAbsent
	}
	if err != nil {
		return fmt.Errorf("put snapshot: %w", err)
	}
	return nil
}

// Snapshot implements journal.Snapshots.
func (s *Store) Snapshot(ctx context.Context) (journal.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return journal.Snapshot{}, err
	}
	values, err := s.rdb.HMGet(ctx, s.keys.snapshot, "id", "chunks", "head").Result()
	if err != nil {
		return journal.Snapshot{}, fmt.Errorf("read snapshot: %w", err)
	}
	id, there := values[0].(string)
	if !there {
		return journal.Snapshot{}, fmt.Errorf("read snapshot: %w", journal.ErrAbsent)
	}
	chunks, _ := values[1].(string)
	head, _ := values[2].(string)
	n, err := strconv.Atoi(chunks)
	if err != nil || n < 0 {
		return journal.Snapshot{}, errors.New("read snapshot: not one of this version")
	}
	return journal.Snapshot{ID: id, Chunks: n, Head: []byte(head)}, nil
}

// Chunk implements journal.Snapshots.
func (s *Store) Chunk(ctx context.Context, snapshot string, n int) ([]byte, error) {
	data, err := s.get(ctx, s.keys.snapshot, chunkField(snapshot, n))
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	return data, nil
}
