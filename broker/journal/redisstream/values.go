package redisstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// Blobs and wrapped keys are kept in two hashes.
const (
	putBlobLua = `
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there and there ~= ARGV[2] then return 'other' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'same'`
	putKeyLua = `
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])`
	deleteKeyLua = `
redis.call('HDEL', KEYS[1], ARGV[1])
return 'deleted'`
)

// PutBlob implements journal.Store.
func (s *Store) PutBlob(ctx context.Context, name string, data []byte) error {
	if name == "" {
		return fmt.Errorf("put blob: it has no name: %w", errors.ErrUnsupported)
	}
	answer, err := s.write(ctx, slowTimeout, redis.NewScript(putBlobLua), []string{s.keys.blobs}, name, data)
	if err == nil && answer != "same" {
		err = errors.New("another content is kept under this name, and stays")
	}
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	return nil
}

// Blob implements journal.Store.
func (s *Store) Blob(ctx context.Context, name string) ([]byte, error) {
	data, err := s.get(ctx, s.keys.blobs, name)
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
	there, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(putKeyLua), []string{s.keys.wrapped}, id, wrapped)
	if err != nil {
		return nil, fmt.Errorf("put key: %w", err)
	}
	return []byte(there), nil
}

// Key implements journal.Store.
func (s *Store) Key(ctx context.Context, id string) ([]byte, error) {
	wrapped, err := s.get(ctx, s.keys.wrapped, id)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return wrapped, nil
}

// DeleteKey implements journal.Store. The bytes stay in the append-only file until Redis rewrites it, and in backups;
// erasure rests on destroying the key that wrapped them, not on this.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	if _, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(deleteKeyLua), []string{s.keys.wrapped}, id); err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	return nil
}

func (s *Store) get(ctx context.Context, hash, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, err := s.rdb.HGet(ctx, hash, name).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, journal.ErrAbsent
	}
	return value, err
}
