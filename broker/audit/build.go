package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// The contexts of encrypted parts, bound into each.
const (
	contextStaff   = "staff"
	contextSubject = "subject"
)

const (
	staffKeys   = "staff:"
	subjectKeys = "subject:"
)

// staffKey names the data key of the staff parts of a month (UTC).
func staffKey(t time.Time) string { return staffKeys + t.UTC().Format("2006-01") }

// StaffKey is staffKey for whoever keeps something that must go when that key does.
func StaffKey(t time.Time) string { return staffKey(t) }

// SubjectKey names the data key of one data subject's parts of a quarter (UTC): what was recorded of somebody years ago can be
// erased while what is recorded of them now stays.
func SubjectKey(pseudonym string, at time.Time) string {
	at = at.UTC()
	return fmt.Sprintf("%s%s/%04dQ%d", subjectKeys, pseudonym, at.Year(), (int(at.Month())+2)/3)
}

// PseudonymOf gives whose data key it is; not ok where it is none of a data subject.
func PseudonymOf(keyID string) (pseudonym string, ok bool) {
	rest, ok := strings.CutPrefix(keyID, subjectKeys)
	pseudonym, _, _ = strings.Cut(rest, "/") // older events have one key for a data subject, without a quarter
	return pseudonym, ok
}

// subjectPlain is what a subject part holds. The BSN itself is never written (broker.SubjectPart leaves it out).
type subjectPlain struct {
	Pseudonym string `json:"pseudonym"`
	broker.SubjectPart
}

// disclosure encodes and encrypts an event as far as its caller can, outside the batcher.
func (w *Writer) disclosure(ctx context.Context, e broker.Event) (*item, error) {
	if w.cfg.View == nil || w.cfg.Pseudonym == nil {
		return nil, unavailable(codeJournal, errors.New("this writer only records register changes"))
	}
	common, err := encodeCommon(e.Common)
	if err != nil {
		return nil, unavailable(codeJournal, err)
	}
	plains := make([]keys.Plain, 1, 1+len(e.Subjects))
	if plains[0], err = w.staffPlain(e.Staff); err != nil {
		return nil, err
	}
	for _, s := range e.Subjects {
		if s.BSN == "" {
			return nil, unavailable(codeJournal, errors.New("a subject part without a data subject"))
		}
		p := subjectPlain{Pseudonym: w.cfg.Pseudonym(s.BSN), SubjectPart: s}
		text, err := marshal(p)
		if err != nil {
			return nil, unavailable(codeJournal, err)
		}
		plains = append(plains, keys.Plain{KeyID: SubjectKey(p.Pseudonym, w.cfg.Now()), Context: contextSubject, Text: text})
	}
	parts, err := w.seal(ctx, plains)
	if err != nil {
		return nil, err
	}
	it := &item{
		kind: KindDisclosure, tail: encodeTail(common, &parts[0], parts[1:]),
		position: e.Position, touches: e.Touches, done: make(chan result, 1),
	}
	if it.size() > journal.MaxBytes {
		return nil, unavailable(codeJournal, errors.New("the event is larger than an append may be"))
	}
	return it, nil
}

// encodeCommon writes what marshal would, but for queries and decisions: these are canonical bytes already, and the most
// of it, so they are checked and copied instead of being taken apart and put together again.
func encodeCommon(c broker.Common) ([]byte, error) {
	rest, err := marshal(struct {
		broker.Common
		Queries   *struct{} `json:"queries,omitempty"` // hide Common's
		Decisions *struct{} `json:"decisions,omitempty"`
	}{Common: c})
	if err != nil {
		return nil, err
	}
	size := len(rest) + 32
	for _, raws := range [][]json.RawMessage{c.Queries, c.Decisions} {
		for _, raw := range raws {
			if jsonValue(raw, 0, 2) != len(raw) {
				return nil, errors.New("encode event: a query or decision is not compact JSON")
			}
			size += len(raw) + 1
		}
	}
	b := appendRaws(append(make([]byte, 0, size), `{"queries":`...), c.Queries)
	b = appendRaws(append(b, `,"decisions":`...), c.Decisions)
	return append(append(b, ','), rest[1:]...), nil
}

func appendRaws(b []byte, raws []json.RawMessage) []byte {
	if raws == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, raw := range raws {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, raw...)
	}
	return append(b, ']')
}

// recorded builds the event of a register change.
func (w *Writer) recorded(ctx context.Context, c Change) (*item, error) {
	invalid := func(what string) (*item, error) { return nil, unavailable(codeJournal, errors.New(what)) }
	if len(c.Entries) == 0 {
		return invalid("a register change without entries")
	}
	rec := Recorded{Kind: c.Kind}
	last := c.After.ID
	for _, e := range c.Entries {
		if !e.ID.Follows(last) || e.Hash != broker.Hash(sha256.Sum256(e.Bytes)) {
			return invalid("a register entry out of order or with another hash than its bytes have")
		}
		last = e.ID
		rec.Entries = append(rec.Entries, Ref{ID: ID(e.ID), Hash: e.Hash})
	}
	common, err := marshal(rec)
	if err != nil {
		return nil, unavailable(codeJournal, err)
	}
	var staff *keys.Part
	if c.Staff.Agency != "" || c.Staff.Worker != "" || c.Staff.Request != "" {
		plain, err := w.staffPlain(c.Staff)
		if err != nil {
			return nil, err
		}
		parts, err := w.seal(ctx, []keys.Plain{plain})
		if err != nil {
			return nil, err
		}
		staff = &parts[0]
	}
	it := &item{
		kind: KindRegister, tail: encodeTail(common, staff, nil),
		// The entries are added only right after After, so nothing can have followed this position.
		position: positionAt(c.After), change: &c, done: make(chan result, 1),
	}
	if it.size() > journal.MaxBytes || len(c.Entries)+1 > journal.MaxEvents {
		return invalid("the change is larger than an append may be; make it in steps")
	}
	return it, nil
}

func (w *Writer) staffPlain(s broker.Staff) (keys.Plain, error) {
	text, err := marshal(s)
	if err != nil {
		return keys.Plain{}, unavailable(codeJournal, err)
	}
	return keys.Plain{KeyID: staffKey(w.cfg.Now()), Context: contextStaff, Text: text}, nil
}

// seal encrypts the parts of an event. Data keys that are new are made durable in one step for all of them.
func (w *Writer) seal(ctx context.Context, plains []keys.Plain) ([]keys.Part, error) {
	parts, err := w.cfg.Vault.SealAll(ctx, plains)
	if err != nil {
		// The vault's keys stand in the same store. Where every event needs a new key no append would ever find out that
		// the store restarted, and nobody would be told that it must be taken up again.
		select {
		case w.doubt <- struct{}{}:
		default:
		}
		err = unavailable(codeJournal, fmt.Errorf("encrypt parts: %w", err))
		w.setSealErr(err)
		return nil, err
	}
	w.setSealErr(nil)
	return parts, nil
}

// size bounds the bytes an item adds to a batch.
func (it *item) size() int {
	n := headerMax + len(it.tail)
	if it.change != nil {
		for _, e := range it.change.Entries {
			n += len(e.Bytes)
		}
	}
	return n
}

// positionAt counts the register's entries up to a head, the genesis included.
func positionAt(head journal.Head) broker.Position {
	if head == (journal.Head{}) {
		return 0
	}
	return broker.Position(head.ID.Seq + 1)
}
