package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// KeptConfig says where Kept reads.
type KeptConfig struct {
	Store Source
	Vault Opener                           // opens staff parts, which tell the purpose
	KeyOf func(ref []byte) (string, error) // keys.Ring.OpenRef
}

// Kept tells under which data keys the parts of one event are, and for which purpose it was recorded: what retention goes by.
type Kept struct {
	Writer   string
	ID       ID
	Time     time.Time
	Kind     Kind
	Purpose  broker.Purpose // of a disclosure; "" where none of its parts can be opened any more
	Staff    string         // the id of the key of the staff part; "" where there is none
	Subjects []string       // of those of the data subjects' parts, in order
	Damaged  bool           // the event, or the reference of a part, can't be read
}

// Parts counts the parts.
func (k Kept) Parts() int {
	if k.Staff != "" {
		return len(k.Subjects) + 1
	}
	return len(k.Subjects)
}

// KeptParts gives what every event of all writers keeps under data keys, one writer after the other. An event without parts is
// left out.
func KeptParts(ctx context.Context, c KeptConfig) iter.Seq2[Kept, error] {
	look := func(ctx context.Context, writer string, entry journal.Entry) (out lookedAt[Kept]) {
		k := &out.value
		k.Writer, k.ID = writer, ID(entry.ID)
		e, err := Decode(entry.Bytes)
		if k.Damaged = err != nil; k.Damaged {
			return out
		}
		if out.leave = e.Staff == nil && len(e.Subjects) == 0; out.leave {
			return out
		}
		k.Time, k.Kind = e.Time, e.Kind
		if e.Staff != nil {
			if k.Staff, err = c.KeyOf(e.Staff.Ref); err != nil {
				k.Damaged = true
			}
		}
		for _, p := range e.Subjects {
			key, err := c.KeyOf(p.Ref)
			if err != nil {
				k.Damaged = true
				continue
			}
			k.Subjects = append(k.Subjects, key)
		}
		if e.Kind == KindDisclosure {
			k.Purpose, out.err = c.purpose(ctx, e)
		}
		return out
	}
	return func(yield func(Kept, error) bool) {
		if err := inWindow(ctx, RequestsConfig{Store: c.Store}, look, func(k Kept) bool { return yield(k, nil) }); err != nil {
			yield(Kept{}, fmt.Errorf("read what is kept: %w", err))
		}
	}
}

// purpose finds for what a disclosure was recorded: the staff part tells, and each of the others.
func (c KeptConfig) purpose(ctx context.Context, e Event) (broker.Purpose, error) {
	var parts []keys.Part
	if e.Staff != nil {
		parts = append(parts, *e.Staff)
	}
	for i, p := range append(parts, e.Subjects...) {
		plain := []keys.Plain{{Context: contextSubject}}
		if i == 0 && e.Staff != nil {
			plain[0].Context = contextStaff
		}
		if err := c.Vault.OpenAll(ctx, []keys.Part{p}, plain); err != nil {
			return "", err
		}
		var told struct {
			Purpose broker.Purpose `json:"purpose"`
		}
		if plain[0].Err == nil && json.Unmarshal(plain[0].Text, &told) == nil {
			return told.Purpose, nil
		}
	}
	return "", nil
}

// PeriodEnded tells whether no part is made under a data key any more, because its month or quarter is over, by any clock that
// is not two hours wrong.
func PeriodEnded(keyID string, now time.Time) bool {
	pseudonym, _ := PseudonymOf(keyID)
	for _, at := range []time.Time{now, now.Add(-2 * time.Hour), now.Add(2 * time.Hour)} {
		if keyID == staffKey(at) || keyID == SubjectKey(pseudonym, at) {
			return false
		}
	}
	return true
}
