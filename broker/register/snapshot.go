package register

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// A snapshot is the view at one position: a head and chunks of records. What the log holds in clear (agencies, agreements,
// drafts of policy) stands in clear; each case, each team, each officer's id
// and what each resident asked stands encrypted under its own key, as in the log, so that an erased key makes
// it unreadable here too. The head names the log, the position, the hash of the register's head there, and the SHA-256 of
// each chunk, and is encrypted and authenticated under a key of its own that only the key ring opens: who has the store
// and not the ring can neither make a snapshot nor change one.
const (
	snapshotVersion = 2
	snapshotKey     = "snapshot:register"
	snapshotHeading = "register snapshot head"
	snapshotBox     = "register snapshot"
	chunkSize       = 256 << 10
	boxedAtOnce     = 1000
)

// Kinds of records. Each is its kind, the touch of a case or team, and its text, after their lengths.
const (
	recordAgency    = 'a'
	recordAgreement = 'g'
	recordDraft     = 'd'
	recordOfficer   = 'o'
	recordName      = 'n' // of an officer
	recordTeam      = 't'
	recordCase      = 'c'
	recordResident  = 'r' // a request or representation
	recordHalted    = 'h' // a person of whom nothing is given
)

type snapshotHead struct {
	V        int           `json:"v"`
	Log      genesis       `json:"log"`
	Seq      uint64        `json:"seq"` // of the last entry that is in it
	Hash     broker.Hash   `json:"hash"`
	Policy   policyRecord  `json:"policy"`
	Erased   []Erasure     `json:"erased,omitempty"`
	Restores int           `json:"restores,omitempty"`
	Cases    int           `json:"cases"`   // about, to make room
	Persons  int           `json:"persons"` // about
	Words    []string      `json:"words"`   // the dictionary of its records
	Sums     []broker.Hash `json:"sums"`    // of its chunks
}

func (h snapshotHead) head() journal.Head {
	return journal.Head{ID: journal.ID{Epoch: 1, Seq: h.Seq}, Hash: h.Hash}
}

// policyRecord is the state of the policy but for its drafts.
type policyRecord struct {
	Revision broker.Revision `json:"revision,omitempty"`
	Draft    int             `json:"draft,omitempty"`
	Stop     *Stop           `json:"stop,omitempty"`
	Count    int             `json:"count,omitempty"`
	History  []Activation    `json:"history,omitempty"`
}

// agreementRecord is an agreement as a snapshot holds it. Its signature is not verified again: it was when the view was
// made of which this is a copy, by the keys that its holder had.
type agreementRecord struct {
	Agreement
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// KeepSnapshots writes a snapshot whenever that many entries follow the last one, until ctx ends. Gateways look at
// different moments, so that rarely more than one of them makes it; and it takes its time, so that answers don't wait for
// it. tell is called with each that was made, and with each failure.
func (r *Register) KeepSnapshots(ctx context.Context, every int, tell func(at broker.Position, err error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery/2 + mathrand.N(lookEvery)):
		}
		if !r.snapshotDue(ctx, every) {
			continue
		}
		at, err := r.writeSnapshot(ctx, func(worked time.Duration) {
			select {
			case <-ctx.Done():
			case <-time.After(3 * worked):
			}
		})
		if ctx.Err() == nil && !errors.Is(err, journal.ErrAbsent) { // absent: another gateway was first
			tell(at, err)
		}
	}
}

const lookEvery = 20 * time.Second

// snapshotDue tells whether so many entries follow the snapshot that is kept. One that can't be read, or is of another
// log, is as none.
func (r *Register) snapshotDue(ctx context.Context, every int) bool {
	if r.Position() < broker.Position(every) {
		return false
	}
	h, _, err := r.readSnapshotHead(ctx)
	return err != nil || h.Log != r.origin || positionAt(h.head())+broker.Position(every) <= r.Position()
}

// WriteSnapshot writes a snapshot of the view as it is now, for whoever opens the register next, and tells its position.
func (r *Register) WriteSnapshot(ctx context.Context) (broker.Position, error) {
	return r.writeSnapshot(ctx, func(time.Duration) {})
}

// writeSnapshot writes one. It is given a rest after each chunk.
func (r *Register) writeSnapshot(ctx context.Context, rest func(worked time.Duration)) (broker.Position, error) {
	w := &snapshotWriter{ctx: ctx, r: r, pack: newPacker(), id: newSnapshotID(), rest: rest, began: time.Now()}
	view, err := r.copyView()
	if err == nil {
		err = w.write(view)
	}
	if err != nil {
		return 0, fmt.Errorf("write snapshot of the register: %w", err)
	}
	return positionAt(view.head()), nil
}

func newSnapshotID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// view is what a snapshot is made of. Records are never changed, only replaced, so that lists of them stay true.
type view struct {
	snapshotHead
	agencies   []*agency
	agreements []*agreement
	officers   []*Officer
	drafts     []*proposal
	teams      map[Team]*team
	files      []*caseFile
	residents  []residentRecord
	halted     []broker.Touch
}

// residentRecord is a request or a representation.
type residentRecord struct {
	Request        *RequestState   `json:"request,omitempty"`
	Representation *Representation `json:"representation,omitempty"`
}

func (r residentRecord) about() broker.BSN {
	if r.Request != nil {
		return r.Request.About
	}
	return r.Representation.About
}

func (r *Register) copyView() (view, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.broken != nil {
		return view{}, r.broken
	}
	s := r.state
	v := view{
		snapshotHead: snapshotHead{V: snapshotVersion, Log: r.origin, Seq: r.head.ID.Seq, Hash: r.head.Hash, Policy: s.record(), Erased: s.erasures, Restores: s.restores,
			Cases: len(s.files), Persons: len(s.index.first)},
		teams: make(map[Team]*team, len(s.teams.own)),
		files: slices.Clone(s.files),
	}
	for _, a := range s.agencies.own {
		v.agencies = append(v.agencies, a)
	}
	for _, a := range s.agreements.own {
		v.agreements = append(v.agreements, a)
	}
	for _, o := range s.officers.own {
		v.officers = append(v.officers, o)
	}
	for _, d := range s.drafts.own {
		v.drafts = append(v.drafts, d)
	}
	for name, t := range s.teams.own {
		if t != nil { // else it was erased
			v.teams[name] = t
		}
	}
	for _, q := range s.requests.own {
		if q == nil {
			continue
		}
		v.residents = append(v.residents, residentRecord{Request: q})
	}
	for _, p := range s.representations.own {
		if p != nil {
			v.residents = append(v.residents, residentRecord{Representation: p})
		}
	}
	for subject, halted := range s.restricted.own {
		if halted {
			v.halted = append(v.halted, subject)
		}
	}
	return v, nil
}

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
	for _, f := range v.files {
		w.pack.caseFile(f)
		if err := w.encrypted(recordCase, keyOfCase(f.touch)); err != nil {
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
