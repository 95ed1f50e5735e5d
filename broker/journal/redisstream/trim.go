package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
)

// What was trimmed stands in one hash: by writer, the id of the last entry that was dropped, a space, and its hash.
// XTRIM MINID drops what is below an id, and nothing else is in the stream between an entry and the next seq.
//
// KEYS: the writer's stream, the hash of what was trimmed
// ARGV: 1 writer, 2 epoch, 3 seq, 4 hash, 5 the id after it, 6 how many must follow
const trimLua = `
local function field(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then return list[i + 1] end
  end
end
local id = ARGV[2] .. '-' .. ARGV[3]
local before = redis.call('HGET', KEYS[2], ARGV[1])
if before then
  local epoch, seq = string.match(before, '^(%d+)%-(%d+) ')
  epoch, seq = tonumber(epoch), tonumber(seq)
  if epoch == tonumber(ARGV[2]) and seq == tonumber(ARGV[3]) then
    return before == id .. ' ' .. ARGV[4] and 'trimmed' or 'other'
  end
  if epoch > tonumber(ARGV[2]) or (epoch == tonumber(ARGV[2]) and seq > tonumber(ARGV[3])) then return 'trimmed' end
end
local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
if not entry or field(entry[2], 'h') ~= ARGV[4] then return 'other' end
if #redis.call('XRANGE', KEYS[1], '(' .. id, '+', 'COUNT', ARGV[6]) < tonumber(ARGV[6]) then return 'last' end
redis.call('HSET', KEYS[2], ARGV[1], id .. ' ' .. ARGV[4])
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[5])
return 'trimmed'`

// Trim implements journal.Trims.
func (s *Store) Trim(ctx context.Context, stream journal.Stream, upTo journal.Head) error {
	writer, err := journal.ValidateTrim(stream, upTo)
	if err != nil {
		return err
	}
	after := journal.ID{Epoch: upTo.ID.Epoch, Seq: upTo.ID.Seq + 1}
	answer, err := s.write(ctx, slowTimeout, redis.NewScript(trimLua), []string{s.keys.audit + writer, s.keys.trimmed},
		writer, strconv.FormatUint(upTo.ID.Epoch, 10), strconv.FormatUint(upTo.ID.Seq, 10), upTo.Hash[:], after.String(), journal.MaxEvents)
	switch {
	case err != nil:
	case answer == "other":
		err = fmt.Errorf("there is another entry at %s, or none: %w", upTo.ID, journal.ErrKept)
	case answer == "last":
		err = fmt.Errorf("fewer than %d entries follow %s: %w", journal.MaxEvents, upTo.ID, journal.ErrKept)
	case answer != "trimmed":
		err = errors.New("the script gave an answer that is none")
	}
	if err != nil {
		return fmt.Errorf("trim %s: %w", stream, err)
	}
	return nil
}

// Trimmed implements journal.Trims.
func (s *Store) Trimmed(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	key, err := s.key(stream)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return journal.Head{}, fmt.Errorf("read what of %s was trimmed: %w", stream, err)
	}
	if key == s.keys.register {
		return journal.Head{}, nil
	}
	text, err := s.rdb.HGet(ctx, s.keys.trimmed, strings.TrimPrefix(key, s.keys.audit)).Result()
	if errors.Is(err, redis.Nil) {
		return journal.Head{}, nil
	}
	var h journal.Head
	if err == nil {
		id, hash, _ := strings.Cut(text, " ")
		if h.ID, err = journal.ParseID(id); err == nil && len(hash) != len(h.Hash) {
			err = errors.New("it is not of this version; use the Schakel that wrote it")
		}
		copy(h.Hash[:], hash)
	}
	if err != nil {
		return journal.Head{}, fmt.Errorf("read what of %s was trimmed: %w", stream, err)
	}
	return h, nil
}
