package register

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// A snapshot is the view at one position: a head and chunks of records. What the log holds in clear (agencies, agreements,
// drafts of policy) stands in clear; each case, each team, each officer's id
// and what each resident asked stands encrypted under its own key, as in the log, so that an erased key makes
// it unreadable here too. The head names the log, the position, the hash of the register's head there, and the SHA-256 of
// each chunk, and is encrypted and authenticated under a key of its own that only the key ring opens: who has the store
// and not the ring can neither make a snapshot nor change one.
const (
	snapshotVersion = 3
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
	view, err := r.copyView()
	if err == nil {
		w := &snapshotWriter{ctx: ctx, r: r, pack: newPacker(view.Words), id: newSnapshotID(), rest: rest, began: time.Now()}
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
	cases      []string // packed, with the words of the head
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
			Cases: len(s.cases.records), Persons: len(s.index.first), Words: slices.Clone(s.cases.pack.words)},
		teams: make(map[Team]*team, len(s.teams.own)),
		cases: slices.Clone(s.cases.records),
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
