package redisstream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// A lease is a key that expires, with its holder; the fences of all names stand in one hash that does not.
const takeLeaseLua = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'leased' end
if not holder then redis.call('HINCRBY', KEYS[2], ARGV[3], 1) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('HGET', KEYS[2], ARGV[3])`

// TakeLease implements journal.Leases. Redis's own clock ends a lease.
func (s *Store) TakeLease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if err := journal.ValidateLease(name, holder, ttl); err != nil {
		return 0, err
	}
	keys := []string{s.keys.lease + name, s.keys.fences}
	answer, err := s.write(ctx, slowTimeout, redis.NewScript(takeLeaseLua), keys, holder, ttl.Milliseconds(), name)
	switch {
	case err != nil:
		return 0, fmt.Errorf("take lease %s: %w", name, err)
	case answer == "leased":
		return 0, fmt.Errorf("take lease %s: %w", name, journal.ErrLeased)
	}
	fence, err := strconv.ParseUint(answer, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("take lease %s: its fence is no number", name)
	}
	return fence, nil
}
