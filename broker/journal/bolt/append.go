package bolt

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Init implements journal.Store.
func (s *Store) Init(ctx context.Context, genesis journal.Entry) error {
	if err := (journal.Batch{Writer: "genesis", Events: []journal.Entry{genesis}}).Validate(); err != nil {
		return fmt.Errorf("init journal: %w", err)
	}
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		b := tx.Bucket(bucketRegister)
		if k, _ := b.Cursor().First(); k != nil {
			return false, journal.ErrExists
		}
		return true, put(b, genesis)
	})
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
	var outcome journal.Outcome
	err := s.update(ctx, func(tx *bbolt.Tx) (bool, error) {
		var err error
		if outcome, err = judge(tx, b); err != nil || outcome != journal.Appended {
			return false, err
		}
		return true, add(tx, b)
	})
	if err != nil {
		return "", fmt.Errorf("append batch: %w", err)
	}
	return outcome, nil
}

// judge finds the outcome, in the order of the contract; Appended means that the batch may be added.
func judge(tx *bbolt.Tx, b journal.Batch) (journal.Outcome, error) {
	register := tx.Bucket(bucketRegister)
	mine, err := head(tx.Bucket(bucketAudit).Bucket([]byte(b.Writer)))
	if err != nil {
		return "", err
	}
	last := b.Events[len(b.Events)-1]
	if mine == (journal.Head{ID: last.ID, Hash: last.Hash}) {
		if there, err := holds(register, b.Register); err != nil || there {
			return journal.Already, err
		}
	}
	registered, err := head(register)
	if err != nil {
		return "", err
	}
	var count broker.Position
	if registered != (journal.Head{}) {
		count = broker.Position(registered.ID.Seq) + 1
	}
	switch {
	case mine != b.After, b.Position > count: // a register shorter than the facts lost entries
		return journal.Fenced, nil
	case count == 0:
		return "", fmt.Errorf("the register has no genesis; run schakel init: %w", journal.ErrAbsent)
	case len(b.Register) > 0 && registered != b.RegisterAfter:
		return journal.Moved, nil
	case count-b.Position > journal.MaxFollows:
		return journal.Stale, nil
	}
	stale, err := touched(register, b)
	if stale {
		return journal.Stale, err
	}
	return journal.Appended, err
}

// holds tells whether the register holds all entries, as they are.
func holds(register *bbolt.Bucket, entries []journal.Entry) (bool, error) {
	for _, e := range entries {
		v := register.Get(key(e.ID))
		if v == nil {
			return false, nil
		}
		there, err := decode(v)
		if err != nil || there.Hash != e.Hash {
			return false, err
		}
	}
	return true, nil
}

// touched tells whether an entry from b.Position on touches what the batch rests on.
func touched(register *bbolt.Bucket, b journal.Batch) (bool, error) {
	rests := map[broker.Touch]bool{broker.TouchAll: true}
	for _, t := range b.Touches {
		rests[t] = true
	}
	c := register.Cursor()
	for k, v := c.Seek(key(journal.ID{Epoch: 1, Seq: uint64(b.Position)})); k != nil; k, v = c.Next() {
		e, err := decode(v)
		if err != nil {
			return false, err
		}
		for _, t := range e.Touches {
			if rests[t] {
				return true, nil
			}
		}
	}
	return false, nil
}

func add(tx *bbolt.Tx, b journal.Batch) error {
	mine, err := tx.Bucket(bucketAudit).CreateBucketIfNotExists([]byte(b.Writer))
	if err != nil {
		return err
	}
	for _, e := range b.Events {
		if err := put(mine, e); err != nil {
			return err
		}
	}
	for _, e := range b.Register {
		if err := put(tx.Bucket(bucketRegister), e); err != nil {
			return err
		}
	}
	return nil
}

func put(b *bbolt.Bucket, e journal.Entry) error {
	b.FillPercent = 0.9 // entries come in order, so half-full pages would stay so
	return b.Put(key(e.ID), encode(e))
}
