package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker/journal"
)

// TakeLease implements journal.Leases. A lease is kept as its fence and its end (Unix milliseconds), big-endian, and its
// holder; this machine's clock ends it.
func (s *Store) TakeLease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if err := journal.ValidateLease(name, holder, ttl); err != nil {
		return 0, err
	}
	var fence uint64
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b, now := tx.Bucket(bucketLeases), time.Now()
		held := false
		if v := b.Get([]byte(name)); len(v) > 16 {
			fence = binary.BigEndian.Uint64(v)
			held = now.UnixMilli() < int64(binary.BigEndian.Uint64(v[8:]))
			if held && string(v[16:]) != holder {
				return false, journal.ErrLeased
			}
		}
		if !held {
			fence++
		}
		v := binary.BigEndian.AppendUint64(nil, fence)
		v = binary.BigEndian.AppendUint64(v, uint64(now.Add(ttl).UnixMilli()))
		return true, b.Put([]byte(name), append(v, holder...))
	})
	if err != nil {
		return 0, fmt.Errorf("take lease %s: %w", name, err)
	}
	return fence, nil
}
