// Package journal is the durable, ordered memory of one deployment: what a backend must do, and the types it does it
// with. Backends: redisstream (production), bolt (embedded), socket (another process's store over a unix socket); all
// pass journaltest.
//
// One store holds one shard (a municipality): one register stream and one audit stream for each writer, a store of
// blobs by digest, and a store of wrapped keys. It knows nothing of what entries mean: it stores bytes, keeps order, and
// refuses whatever would break it. register, audit and cmd may import it.
package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
)

// ID is an entry's place in its stream. Register entries have epoch 1 and a gapless seq from 0 (the genesis); the
// broker.Position after entry seq is seq + 1, the number of entries. Audit events have the epoch of their writer's start; seq counts from 0 within an epoch.
type ID struct{ Epoch, Seq uint64 }

// String gives "epoch-seq", as Redis Streams write ids.
func (i ID) String() string {
	return strconv.FormatUint(i.Epoch, 10) + "-" + strconv.FormatUint(i.Seq, 10)
}

// ParseID reads "epoch-seq".
func ParseID(s string) (ID, error) {
	e, q, ok := strings.Cut(s, "-")
	epoch, err1 := strconv.ParseUint(e, 10, 64)
	seq, err2 := strconv.ParseUint(q, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return ID{}, fmt.Errorf("parse id: %q is not epoch-seq", s)
	}
	return ID{epoch, seq}, nil
}

// Less orders ids as streams do.
func (i ID) Less(j ID) bool { return i.Epoch < j.Epoch || (i.Epoch == j.Epoch && i.Seq < j.Seq) }

// Before gives the greatest id that is less: what to read after, to read from an id on. Of the zero ID it is the zero ID.
func (i ID) Before() ID {
	switch {
	case i.Seq > 0:
		i.Seq--
	case i.Epoch > 0:
		i.Epoch, i.Seq = i.Epoch-1, math.MaxInt64 // what Redis Streams take
	}
	return i
}

// Follows tells whether i may stand right after j: the next seq, or seq 0 of the next epoch. The zero ID is before
// every stream, and 1-0 follows it.
func (i ID) Follows(j ID) bool {
	return (i.Epoch == j.Epoch && i.Seq == j.Seq+1 && j != ID{}) || (i.Epoch == j.Epoch+1 && i.Seq == 0)
}

// Head is the last entry of a stream; the zero Head is that of an absent stream.
type Head struct {
	ID   ID
	Hash broker.Hash
}

// Stream names a stream of the store.
type Stream string

// Register is the stream of what happened to cases, agreements, consents, agencies and revisions.
const Register Stream = "register"

// Audit is a writer's own stream. A writer's name is 1 to 32 of a-z, 0-9 and '-'.
func Audit(writer string) Stream { return Stream("audit:" + writer) }

// Entry is one stored entry. Hash is the SHA-256 of Bytes, which are stored as they are.
type Entry struct {
	ID      ID
	Hash    broker.Hash
	Touches []broker.Touch // register entries only
	Bytes   []byte
}

// Limits of one append.
const (
	MaxEvents  = 256
	MaxBytes   = 512 << 10
	MaxFollows = 1000 // more register entries than this after Batch.Position count as stale
)

// Batch is what one Append adds, all or nothing.
type Batch struct {
	Writer string
	After  Head    // the head the writer's stream must have
	Events []Entry // 1 to MaxEvents, at most MaxBytes together, in order, the first following After

	// The facts of the events were true at Position and rest on Touches.
	Position broker.Position
	Touches  []broker.Touch

	// Register entries to add in the same step, only if the register's head is RegisterAfter.
	RegisterAfter Head
	Register      []Entry
}

// WrappedKey is a data key as it is kept beside the log: encrypted by a key of the ring.
type WrappedKey struct {
	ID      string
	Wrapped []byte
}

// Outcome is the definite result of an Append.
type Outcome string

// Outcomes, in the order in which a backend checks for them.
const (
	// Already: the writer's head is the batch's last event, and the register holds the batch's entries. The batch
	// was added before; an append may be re-sent as often as needed.
	Already Outcome = "already"
	// Fenced: the writer's head is another than After. Another process claimed the stream, or the store lost entries.
	Fenced Outcome = "fenced"
	// Moved: the batch has register entries and the register's head is another than RegisterAfter.
	Moved Outcome = "moved"
	// Stale: a register entry after Position touches one of Touches (or broker.TouchAll), or more than MaxFollows
	// entries follow it. Nothing was added.
	Stale Outcome = "stale"
	// Appended: added, and durable.
	Appended Outcome = "appended"
)

// ErrAbsent tells that a stream, blob or key does not exist.
var ErrAbsent = errors.New("absent")

// ErrExists tells that Init found a register already.
var ErrExists = errors.New("a register exists already")

// ErrUnsafe tells that the backend is configured so that it could lose what it acknowledged. The text names each
// setting, what it is and what it must be.
var ErrUnsafe = errors.New("unsafe store")

// Store is one shard's durable memory. Methods may be called concurrently.
//
// Contract: when Append returns Appended or Already, every event and register entry of the batch MUST survive the death
// of every process and the loss of power. An error means that the outcome is unknown: the caller sends the very same
// batch again until it gets an Outcome.
type Store interface {
	// Init writes the genesis entry (id 1-0) of the register, or fails with ErrExists.
	Init(ctx context.Context, genesis Entry) error
	// Append adds a batch. A malformed batch (order, limits, hash) is an error wrapping errors.ErrUnsupported and
	// adds nothing.
	Append(ctx context.Context, b Batch) (Outcome, error)
	// Head gives the last entry's id and hash; the zero Head for an absent stream.
	Head(ctx context.Context, s Stream) (Head, error)
	// Read gives up to max entries after an id, oldest first; nothing when there are none. An entry that can't be decoded
	// comes with its ID alone, so that whoever reads can name it and go on; a zero Hash is no hash of anything.
	Read(ctx context.Context, s Stream, after ID, max int) ([]Entry, error)
	// Wait returns nil as soon as the stream has an entry after id, or the context's error.
	Wait(ctx context.Context, s Stream, after ID) error
	// Writers lists the writers that have a stream, sorted.
	Writers(ctx context.Context) ([]string, error)

	// PutBlob keeps data under a name for ever; putting the same again is no error, another content is.
	PutBlob(ctx context.Context, name string, data []byte) error
	// Blob gives it back, or ErrAbsent.
	Blob(ctx context.Context, name string) ([]byte, error)

	// PutKeys keeps wrapped keys, each under its id unless one is there, and gives back those that are there now, in
	// order. All are durable when it returns.
	PutKeys(ctx context.Context, keys []WrappedKey) ([][]byte, error)
	// Keys gives the wrapped keys of these ids, in order; nil for one that is absent.
	Keys(ctx context.Context, ids []string) ([][]byte, error)
	// DeleteKeys forgets keys; no error where there is none. It is durable when it returns.
	DeleteKeys(ctx context.Context, ids []string) error

	Inventory
	Snapshots
	Notebook
	Leases
	Trims

	// Check reads back whatever durability rests on; the error wraps ErrUnsafe where a setting is wrong.
	Check(ctx context.Context) error
	Close() error
}

// Validate checks what every backend demands of a batch before it touches its storage.
func (b Batch) Validate() error {
	bad := func(what string) error { return fmt.Errorf("append batch: %s: %w", what, errors.ErrUnsupported) }
	if !ValidWriter(b.Writer) {
		return bad("writer name")
	}
	if len(b.Events) == 0 || len(b.Events)+len(b.Register) > MaxEvents {
		return bad("number of entries")
	}
	size := 0
	for _, run := range []struct {
		after   Head
		entries []Entry
	}{{b.After, b.Events}, {b.RegisterAfter, b.Register}} {
		last := run.after.ID
		for _, e := range run.entries {
			if !e.ID.Follows(last) {
				return bad("order of ids")
			}
			if e.Hash != sha256.Sum256(e.Bytes) {
				return bad("hash of an entry")
			}
			last, size = e.ID, size+len(e.Bytes)
		}
	}
	if size > MaxBytes {
		return bad("size")
	}
	return nil
}

// ValidWriter tells whether name may name a writer.
func ValidWriter(name string) bool {
	if len(name) == 0 || len(name) > 32 {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}
