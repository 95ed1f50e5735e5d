package redisstream

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

//go:embed append.lua
var appendLua string

const initLua = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 'exists' end
if ARGV[4] == '' then
  redis.call('XADD', KEYS[1], ARGV[1], 'h', ARGV[2], 'b', ARGV[3])
else
  redis.call('XADD', KEYS[1], ARGV[1], 'h', ARGV[2], 'b', ARGV[3], 't', ARGV[4])
end
return 'appended'`

// Init implements journal.Store.
func (s *Store) Init(ctx context.Context, genesis journal.Entry) error {
	if err := (journal.Batch{Writer: "genesis", Events: []journal.Entry{genesis}}).Validate(); err != nil {
		return fmt.Errorf("init journal: %w", err)
	}
	answer, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(initLua), []string{s.keys.register}, fields(genesis)...)
	if err == nil && answer == "exists" {
		err = journal.ErrExists
	}
	if err != nil {
		return fmt.Errorf("init journal: %w", err)
	}
	return nil
}

// Append implements journal.Store.
func (s *Store) Append(ctx context.Context, b journal.Batch) (journal.Outcome, error) {
	if err := b.Validate(); err != nil {
		return "", err
	}
	args := []any{
		b.Writer, b.After.ID.String(), b.After.Hash[:], strconv.FormatUint(uint64(b.Position), 10),
		b.RegisterAfter.ID.String(), b.RegisterAfter.Hash[:], joinTouches(b.Touches), journal.MaxFollows, len(b.Events),
	}
	for _, run := range [][]journal.Entry{b.Events, b.Register} {
		for _, e := range run {
			args = append(args, fields(e)...)
		}
	}
	keys := []string{s.keys.register, s.keys.audit + b.Writer, s.keys.writers}
	answer, err := s.write(ctx, s.cfg.Timeout, redis.NewScript(appendLua), keys, args...)
	if err != nil {
		return "", fmt.Errorf("append batch: %w", err)
	}
	switch o := journal.Outcome(answer); o {
	case journal.Already, journal.Fenced, journal.Moved, journal.Stale, journal.Appended:
		return o, nil
	}
	if answer == "absent" {
		return "", fmt.Errorf("append batch: the register has no genesis; run schakel init: %w", journal.ErrAbsent)
	}
	return "", errors.New("append batch: the script gave an answer that is no outcome")
}

// fields are the arguments by which scripts take an entry.
func fields(e journal.Entry) []any {
	return []any{e.ID.String(), e.Hash[:], e.Bytes, joinTouches(e.Touches)}
}

// joinTouches writes touches as one string: each after its length and a colon.
func joinTouches(touches []broker.Touch) string {
	var s []byte
	for _, t := range touches {
		s = strconv.AppendInt(s, int64(len(t)), 10)
		s = append(append(s, ':'), t...)
	}
	return string(s)
}
