package register

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// errReplaced tells that another snapshot was finished while one was being read.
var errReplaced = errors.New("another one took its place, again and again")

// restore begins the view with the snapshot in the store, if there is one and everything about it is right: all of it, or
// nothing. Whatever is wrong with it, the stream still has all, and is read from its start instead.
func (r *Register) restore(ctx context.Context) {
	err := errReplaced
	for range 3 {
		if err = r.tryRestore(ctx); !errors.Is(err, errReplaced) {
			break
		}
	}
	if err != nil && !errors.Is(err, journal.ErrAbsent) {
		r.ignored = fmt.Errorf("a snapshot of the register was not used, and all entries were read instead: %w", err)
	}
}

func (r *Register) tryRestore(ctx context.Context) error {
	h, snap, err := r.readSnapshotHead(ctx)
	if err != nil {
		return err
	}
	if err := r.anchor(ctx, h); err != nil {
		return err
	}
	s := newState(newShelf(r.state.index.keys, h.Words, h.Cases), h.Persons)
	s.policyState, s.erasures, s.restores = h.Policy.state(), h.Erased, h.Restores
	ctx, cancel := context.WithCancel(ctx)
	chunks := r.chunks(ctx, h, snap)
	defer func() { // nothing goes on when this returns
		cancel()
		for c := range chunks {
			<-c.ready
		}
	}()
	for c := range chunks {
		if <-c.ready; c.err != nil {
			return c.err
		}
		c.into(s, r.cfg.Touch)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.state, r.head, r.origin, r.restored = s, h.head(), h.Log, positionAt(h.head())
	r.recent.last = r.restored
	return nil
}

// readSnapshotHead reads and authenticates the head of the snapshot in the store.
func (r *Register) readSnapshotHead(ctx context.Context) (snapshotHead, journal.Snapshot, error) {
	none := snapshotHead{}
	snap, err := r.cfg.Store.Snapshot(ctx)
	if err != nil {
		return none, snap, err
	}
	sealed, err := decode[keys.Part](snap.Head)
	if err != nil {
		return none, snap, err
	}
	plain := []keys.Plain{{Context: snapshotHeading}}
	if err := r.cfg.Vault.OpenAll(ctx, []keys.Part{sealed}, plain); err != nil {
		return none, snap, err
	}
	if plain[0].Err != nil {
		return none, snap, plain[0].Err
	}
	if plain[0].KeyID != snapshotKey {
		return none, snap, errors.New("its head is encrypted under another key")
	}
	h, err := decode[snapshotHead](plain[0].Text)
	switch {
	case err != nil:
	case h.V != snapshotVersion:
		err = fmt.Errorf("it has format %d and this version of Schakel reads %d", h.V, snapshotVersion)
	case len(h.Sums) != snap.Chunks:
		err = errors.New("its number of chunks was changed")
	}
	return h, snap, err
}

// anchor makes sure that the snapshot is of this log, and that the log goes on from where it was made. What stands before
// that is covered by the hash of the entry there; `audit verify` reads it all.
func (r *Register) anchor(ctx context.Context, h snapshotHead) error {
	first, err := r.entryAfter(ctx, journal.ID{})
	if err != nil {
		return err
	}
	origin, err := decode[genesis](first.Body)
	if err != nil || first.Kind != kindGenesis || origin != h.Log {
		return errors.New("it is of another log")
	}
	var before journal.ID
	if h.Seq > 0 {
		before = journal.ID{Epoch: 1, Seq: h.Seq - 1}
	}
	last, err := r.entryAfter(ctx, before)
	if err != nil {
		return err
	}
	if last.head != h.head() {
		return fmt.Errorf("the register does not hold the entry it was made at, %s: entries were lost, or it was put back from a backup", h.head().ID)
	}
	return nil
}

// anchored is an entry by itself.
type anchored struct {
	stored
	head journal.Head
}

func (r *Register) entryAfter(ctx context.Context, id journal.ID) (anchored, error) {
	entries, err := r.cfg.Store.Read(ctx, journal.Register, id, 1)
	if err != nil {
		return anchored{}, fmt.Errorf("read register: %w", err)
	}
	if len(entries) == 0 {
		return anchored{}, nil
	}
	s, err := readEntry(entries[0])
	return anchored{s, journal.Head{ID: entries[0].ID, Hash: entries[0].Hash}}, err
}

// chunk is a part of a snapshot on its way into the view.
type chunk struct {
	ready chan struct{}
	err   error

	agencies   []broker.Agency
	agreements []agreementRecord
	officers   []*Officer
	ids        map[OfficerRef]OfficerID
	drafts     []*proposal
	names      []Team // of teams
	teams      []*team
	cases      []packedCase
	subjects   []indexKey // of the members of cases, in order
	residents  []residentRecord
	halted     []broker.Touch
}

// packedCase is a case on its way to the shelf.
type packedCase struct {
	key     indexKey
	record  string
	members int // how many
}

// chunks reads a snapshot's chunks, and decrypts them on all cores. They come in order; what they say is there when ready
// is closed.
func (r *Register) chunks(ctx context.Context, h snapshotHead, snap journal.Snapshot) <-chan *chunk {
	cores := runtime.GOMAXPROCS(0)
	out, free := make(chan *chunk, cores), make(chan struct{}, cores)
	go func() {
		defer close(out)
		for n := range h.Sums {
			c := &chunk{ready: make(chan struct{})}
			data, err := r.cfg.Store.Chunk(ctx, snap.ID, n)
			if errors.Is(err, journal.ErrAbsent) {
				err = errReplaced
			}
			if c.err = err; err != nil {
				close(c.ready)
				out <- c
				return
			}
			free <- struct{}{}
			go func() {
				defer func() { <-free; close(c.ready) }()
				if c.err = errors.New("a chunk of it was changed"); sha256.Sum256(data) == h.Sums[n] {
					c.err = c.read(ctx, r, data, h.Words)
				}
			}()
			out <- c // it is taken, at the latest when tryRestore returns
		}
	}()
	return out
}

// read reads the records of a chunk. A record whose key is gone was erased.
func (c *chunk) read(ctx context.Context, r *Register, data []byte, words []string) error {
	var boxes []keys.Plain
	var kinds []byte
	for len(data) > 0 {
		kind := data[0]
		keyID, left, err := cutText(data[1:])
		if err != nil {
			return err
		}
		text, left, err := cutText(left)
		if err != nil {
			return err
		}
		data = left
		switch kind {
		case recordAgency:
			var a broker.Agency
			a, err = decode[broker.Agency](text)
			c.agencies = append(c.agencies, a)
		case recordAgreement:
			var a agreementRecord
			a, err = decode[agreementRecord](text)
			c.agreements = append(c.agreements, a)
		case recordDraft:
			var d proposal
			d, err = decode[proposal](text)
			c.drafts = append(c.drafts, &d)
		case recordOfficer:
			var o Officer
			o, err = decode[Officer](text)
			c.officers = append(c.officers, &o)
		case recordHalted:
			var subject broker.Touch
			subject, err = decode[broker.Touch](text)
			c.halted = append(c.halted, subject)
		case recordName, recordTeam, recordCase, recordResident:
			boxes, kinds = append(boxes, keys.Plain{KeyID: string(keyID), Context: snapshotBox, Text: text}), append(kinds, kind)
		default:
			err = errRecord
		}
		if err != nil {
			return err
		}
	}
	if err := r.cfg.Vault.UnboxAll(ctx, boxes); err != nil {
		return err
	}
	u := &unpacker{words: words}
	c.ids = map[OfficerRef]OfficerID{}
	for i, box := range boxes {
		if errors.Is(box.Err, keys.ErrErased) {
			continue
		}
		if box.Err != nil {
			return box.Err
		}
		u.b = string(box.Text)
		switch kinds[i] {
		case recordName:
			ref := OfficerRef(u.text())
			c.ids[ref] = OfficerID(u.text())
		case recordTeam:
			name, t := u.team()
			c.names, c.teams = append(c.names, name), append(c.teams, t)
		case recordResident:
			record, err := decode[residentRecord](box.Text)
			if err != nil || (record.Request == nil) == (record.Representation == nil) {
				return errRecord
			}
			u.b, c.residents = "", append(c.residents, record)
		default:
			record := u.b
			f := u.caseFile()
			for _, m := range f.members {
				c.subjects = append(c.subjects, r.state.index.keys.ofSubject(m.reveal()))
			}
			c.cases = append(c.cases, packedCase{r.state.index.keys.ofCase(f.id), record, len(f.members)})
		}
		if u.err != nil || len(u.b) > 0 {
			return errRecord
		}
	}
	return nil
}

// cutText takes a text after its length off b.
func cutText(b []byte) (text, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errRecord
	}
	return b[size:][:n], b[size:][n:], nil
}

// into adds what was read to a state.
func (c *chunk) into(s *state, touch TouchFunc) {
	for _, a := range c.agencies {
		_ = s.setAgency(a, touch) // can't fail
	}
	for _, a := range c.agreements {
		s.agreements.put(a.ID, &agreement{Agreement: a.Agreement, withdrawn: a.Withdrawn})
		if !a.Withdrawn {
			s.index.agree(a.Agreement)
		}
	}
	for _, o := range c.officers {
		s.officers.put(o.Ref, o)
	}
	for ref, id := range c.ids { // they stand behind all officers
		if o := s.officers.get(ref); o != nil {
			o.ID = id
		}
	}
	for _, d := range c.drafts {
		s.drafts.put(d.Draft, d)
	}
	for i, t := range c.teams {
		s.teams.put(c.names[i], t)
	}
	for _, r := range c.residents {
		if r.Request != nil {
			s.requests.put(r.Request.ID, r.Request)
		} else {
			s.representations.put(r.Representation.ID, r.Representation)
		}
	}
	for _, subject := range c.halted {
		s.restricted.put(subject, true)
	}
	subjects := c.subjects
	for _, p := range c.cases {
		s.index.add(s.cases.place(p.key, p.record), subjects[:p.members])
		subjects = subjects[p.members:]
	}
}
