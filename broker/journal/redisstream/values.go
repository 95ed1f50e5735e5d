package redisstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

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
	putKeysLua = `
local there = {}
for i = 1, #ARGV, 2 do
  redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1])
  local key = redis.call('HGET', KEYS[1], ARGV[i])
  there[#there + 1] = #key .. ':' .. key
end
return table.concat(there)`
	deleteKeysLua = `
for i = 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
return 'deleted'`
	swapKeysLua = `
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return 'swapped'`
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

// BlobNames implements journal.Store.
func (s *Store) BlobNames(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names, err := s.rdb.HKeys(ctx, s.keys.blobs).Result()
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// PutKeys implements journal.Store.
func (s *Store) PutKeys(ctx context.Context, keys []journal.WrappedKey) ([][]byte, error) {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		if k.ID == "" {
			return nil, fmt.Errorf("put keys: one has no id: %w", errors.ErrUnsupported)
		}
		args = append(args, k.ID, k.Wrapped)
	}
	answer, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(putKeysLua), []string{s.keys.wrapped}, args...)
	var there [][]byte
	if err == nil {
		there, err = split[[]byte](answer)
	}
	if err == nil && len(there) != len(keys) {
		err = errors.New("the script gave back another number of keys")
	}
	if err != nil {
		return nil, fmt.Errorf("put keys: %w", err)
	}
	return there, nil
}

// Keys implements journal.Store.
func (s *Store) Keys(ctx context.Context, ids []string) ([][]byte, error) {
	if err := ctx.Err(); err != nil || len(ids) == 0 {
		return nil, err
	}
	values, err := s.rdb.HMGet(ctx, s.keys.wrapped, ids...).Result()
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	wrapped := make([][]byte, len(ids))
	for i, v := range values {
		if text, there := v.(string); there {
			wrapped[i] = []byte(text)
		}
	}
	return wrapped, nil
}

// DeleteKeys implements journal.Store. The bytes stay in the append-only file until Redis rewrites it, and in backups;
// erasure rests on destroying the key that wrapped them, not on this.
func (s *Store) DeleteKeys(ctx context.Context, ids []string) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	if _, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(deleteKeysLua), []string{s.keys.wrapped}, args...); err != nil {
		return fmt.Errorf("delete keys: %w", err)
	}
	return nil
}

// SwapKeys implements journal.Store.
func (s *Store) SwapKeys(ctx context.Context, swaps []journal.KeySwap) error {
	args := make([]any, 0, 3*len(swaps))
	for _, k := range swaps {
		args = append(args, k.ID, k.Old, k.New)
	}
	if _, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(swapKeysLua), []string{s.keys.wrapped}, args...); err != nil {
		return fmt.Errorf("swap keys: %w", err)
	}
	return nil
}

// ScanKeys implements journal.Store. Where to go on is Redis's own cursor.
func (s *Store) ScanKeys(ctx context.Context, from string, max int) (keys []journal.WrappedKey, next string, err error) {
	cursor := uint64(0)
	if from != "" {
		if cursor, err = strconv.ParseUint(from, 10, 64); err != nil {
			return nil, "", fmt.Errorf("scan keys: where to go on was not given by it: %w", errors.ErrUnsupported)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	fields, cursor, err := s.rdb.HScan(ctx, s.keys.wrapped, cursor, "", int64(max)).Result()
	if err != nil {
		return nil, "", fmt.Errorf("scan keys: %w", err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		keys = append(keys, journal.WrappedKey{ID: fields[i], Wrapped: []byte(fields[i+1])})
	}
	if cursor != 0 {
		next = strconv.FormatUint(cursor, 10)
	}
	return keys, next, nil
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
