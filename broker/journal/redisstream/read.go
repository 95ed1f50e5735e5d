package redisstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// key gives a stream's name in Redis.
func (s *Store) key(stream journal.Stream) (string, error) {
	if stream == journal.Register {
		return s.keys.register, nil
	}
	writer, ok := strings.CutPrefix(string(stream), "audit:")
	if !ok || !journal.ValidWriter(writer) {
		return "", fmt.Errorf("no such stream: %w", errors.ErrUnsupported)
	}
	return s.keys.audit + writer, nil
}

// Head implements journal.Store.
func (s *Store) Head(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	h, err := s.head(ctx, stream)
	if err != nil {
		return journal.Head{}, fmt.Errorf("read head of %s: %w", stream, err)
	}
	return h, nil
}

func (s *Store) head(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	key, err := s.key(stream)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return journal.Head{}, err
	}
	info, err := s.rdb.XInfoStream(ctx, key).Result()
	if redis.HasErrorPrefix(err, "no such key") {
		return journal.Head{}, nil
	}
	if err != nil {
		return journal.Head{}, err
	}
	if info.LastEntry.ID != info.LastGeneratedID {
		return journal.Head{}, fmt.Errorf("its last entry, %s, was removed from Redis; restore it before going on", info.LastGeneratedID)
	}
	e, err := decode(info.LastEntry)
	return journal.Head{ID: e.ID, Hash: e.Hash}, err
}

// Read implements journal.Store. It gives what is stored: whether the bytes have their hash is for the reader to say, and
// what can't be decoded has none.
func (s *Store) Read(ctx context.Context, stream journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	key, err := s.key(stream)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	if max <= 0 {
		return nil, nil
	}
	messages, err := s.rdb.XRangeN(ctx, key, "("+after.String(), "+", int64(max)).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	entries := make([]journal.Entry, len(messages))
	for i, m := range messages {
		if entries[i], err = decode(m); err == nil {
			continue
		}
		id, err := journal.ParseID(m.ID)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		entries[i] = journal.Entry{ID: id}
	}
	return entries, nil
}

// block is how long one call to Redis waits for an entry. A context that ends leaves at most this long a call behind.
const block = time.Second

// Wait implements journal.Store. go-redis does not end a call under way when its context does, so the call runs beside.
func (s *Store) Wait(ctx context.Context, stream journal.Stream, after journal.ID) error {
	key, err := s.key(stream)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("wait for %s: %w", stream, err)
	}
	for {
		answered := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), block+slowTimeout)
			defer cancel()
			answered <- s.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{key, after.String()}, Count: 1, Block: block}).Err()
		}()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-answered:
			if err == nil {
				return nil
			}
			if !errors.Is(err, redis.Nil) {
				return fmt.Errorf("wait for %s: %w", stream, err)
			}
		}
	}
}

// Writers implements journal.Store.
func (s *Store) Writers(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	writers, err := s.rdb.SMembers(ctx, s.keys.writers).Result()
	if err != nil {
		return nil, fmt.Errorf("list writers: %w", err)
	}
	slices.Sort(writers)
	return writers, nil
}

// decode reads an entry of a stream: fields h (hash), b (bytes) and, where it touches anything, t.
func decode(m redis.XMessage) (journal.Entry, error) {
	id, err := journal.ParseID(m.ID)
	if err != nil || id.String() != m.ID {
		return journal.Entry{}, errors.New("decode entry: id")
	}
	e := journal.Entry{ID: id}
	hash, isHash := m.Values["h"].(string)
	body, isBody := m.Values["b"].(string)
	touches, touched := m.Values["t"].(string)
	fields := 2
	if touched {
		fields = 3
	}
	if !isHash || !isBody || len(hash) != len(e.Hash) || len(m.Values) != fields {
		return journal.Entry{}, errors.New("decode entry: not the fields of this version; use the Schakel that wrote it")
	}
	copy(e.Hash[:], hash)
	e.Bytes = []byte(body)
	e.Touches, err = split[broker.Touch](touches)
	return e, err
}

// split reads texts that were written as joinTouches writes them, and nothing else.
func split[T ~string | ~[]byte](s string) ([]T, error) {
	var out []T
	for s != "" {
		length, rest, ok := strings.Cut(s, ":")
		n, err := strconv.Atoi(length)
		if !ok || err != nil || n < 0 || n > len(rest) || strconv.Itoa(n) != length {
			return nil, errors.New("decode: not a list of texts, each after its length")
		}
		out, s = append(out, T(rest[:n])), rest[n:]
	}
	return out, nil
}
