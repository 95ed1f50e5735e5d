package register

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// snapshotWriter writes records into chunks.
type snapshotWriter struct {
	ctx   context.Context
	r     *Register
	id    string
	pack  *packer
	rest  func(worked time.Duration)
	began time.Time

	chunk   []byte
	sums    []broker.Hash
	waiting []keys.Plain // to be encrypted, all of one kind
}

func (w *snapshotWriter) write(v view) error {
	for _, a := range v.agencies {
		if err := w.inClear(recordAgency, a.Agency); err != nil {
			return err
		}
	}
	for _, a := range v.agreements {
		if err := w.inClear(recordAgreement, agreementRecord{a.Agreement, a.withdrawn}); err != nil {
			return err
		}
	}
	for _, d := range v.drafts {
		if err := w.inClear(recordDraft, d); err != nil {
			return err
		}
	}
	for _, subject := range v.halted {
		if err := w.inClear(recordHalted, subject); err != nil {
			return err
		}
	}
	if err := w.officers(v.officers); err != nil {
		return err
	}
	if err := w.residents(v.residents); err != nil {
		return err
	}
	for name, t := range v.teams {
		w.pack.team(name, t)
		keyID, _ := SetTeam{Team: name}.key(w.r.cfg.Touch)
		if err := w.encrypted(recordTeam, keyID); err != nil {
			return err
		}
	}
	if err := w.encrypt(recordTeam); err != nil {
		return err
	}
	for _, record := range v.cases {
		w.pack.b = append(w.pack.b, record...)
		if err := w.encrypted(recordCase, w.r.CaseKey(idOf(record))); err != nil {
			return err
		}
	}
	if err := w.encrypt(recordCase); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.finish(v.snapshotHead)
}

// officers writes what stays of each, and their ids under their own keys.
func (w *snapshotWriter) officers(list []*Officer) error {
	for _, o := range list {
		bare := *o
		bare.ID = ""
		if err := w.inClear(recordOfficer, bare); err != nil {
			return err
		}
	}
	for _, o := range list {
		if o.ID == "" {
			continue
		}
		w.pack.text(string(o.Ref))
		w.pack.text(string(o.ID))
		if err := w.encrypted(recordName, keyOfOfficer(o.Ref)); err != nil {
			return err
		}
	}
	return w.encrypt(recordName)
}

// residents writes what residents asked and who represents them, each under the key of whom it is about.
func (w *snapshotWriter) residents(list []residentRecord) error {
	for _, r := range list {
		text, err := encode(r)
		if err != nil {
			return err
		}
		w.pack.b = append(w.pack.b, text...)
		keyID, _ := keyOfResident(w.r.cfg.Touch, r.about())
		if err := w.encrypted(recordResident, keyID); err != nil {
			return err
		}
	}
	return w.encrypt(recordResident)
}

func (w *snapshotWriter) inClear(kind byte, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	return w.record(kind, "", data)
}

// encrypted takes what was packed to be encrypted under a key, with others.
func (w *snapshotWriter) encrypted(kind byte, keyID string) error {
	w.waiting = append(w.waiting, keys.Plain{KeyID: keyID, Context: snapshotBox, Text: bytes.Clone(w.pack.b)})
	w.pack.b = w.pack.b[:0]
	if len(w.waiting) < boxedAtOnce {
		return nil
	}
	return w.encrypt(kind)
}

// encrypt writes what waits. What was erased meanwhile is left out.
func (w *snapshotWriter) encrypt(kind byte) error {
	if len(w.waiting) == 0 {
		return nil
	}
	if err := w.r.cfg.Vault.BoxAll(w.ctx, w.waiting); err != nil {
		return err
	}
	for _, p := range w.waiting {
		if errors.Is(p.Err, keys.ErrErased) {
			continue
		}
		if p.Err != nil {
			return p.Err
		}
		if err := w.record(kind, p.KeyID, p.Text); err != nil {
			return err
		}
	}
	w.waiting = w.waiting[:0]
	return nil
}

func (w *snapshotWriter) record(kind byte, keyID string, text []byte) error {
	p := packer{b: append(w.chunk, kind)}
	p.text(keyID)
	p.number(uint64(len(text)))
	w.chunk = append(p.b, text...)
	if len(w.chunk) < chunkSize {
		return nil
	}
	return w.flush()
}

func (w *snapshotWriter) flush() error {
	if len(w.chunk) == 0 {
		return nil
	}
	if err := w.r.cfg.Store.PutChunk(w.ctx, w.id, len(w.sums), w.chunk); err != nil {
		return err
	}
	w.sums, w.chunk = append(w.sums, sha256.Sum256(w.chunk)), w.chunk[:0]
	w.rest(time.Since(w.began))
	w.began = time.Now()
	return w.ctx.Err()
}

func (w *snapshotWriter) finish(h snapshotHead) error {
	h.Words, h.Sums = w.pack.words, w.sums
	text, err := encode(h)
	if err != nil {
		return err
	}
	parts, err := w.r.cfg.Vault.SealAll(w.ctx, []keys.Plain{{KeyID: snapshotKey, Context: snapshotHeading, Text: text}})
	if err != nil {
		return err
	}
	sealed, err := encode(parts[0])
	if err != nil {
		return err
	}
	return w.r.cfg.Store.PutSnapshot(w.ctx, journal.Snapshot{ID: w.id, Chunks: len(h.Sums), Head: sealed})
}
