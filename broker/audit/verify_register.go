package audit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// registerHeader is what this package reads of a register entry.
type registerHeader struct {
	V       int            `json:"v"`
	Seq     *uint64        `json:"seq"`
	Prev    *broker.Hash   `json:"prev"`
	Touches []broker.Touch `json:"touches"`
	Kind    string         `json:"kind"`
	Body    struct {
		Log string `json:"log"`
	} `json:"body"`
}

func readRegisterHeader(data []byte) (registerHeader, error) {
	var h registerHeader
	if err := json.Unmarshal(data, &h); err != nil || h.V == 0 || h.Seq == nil || h.Prev == nil || h.Kind == "" {
		return h, errors.New("not a register entry's JSON")
	}
	return h, nil
}

// registerCheck verifies the register stream, in two runs: before the writers and after.
type registerCheck struct {
	place
	log    string
	hashes []broker.Hash // by seq
	upTo   uint64        // seq of the last one that a checkpoint vouches for
}

// registerLook is what a register entry tells by itself.
type registerLook struct {
	actual broker.Hash // of its bytes
	header registerHeader
	err    error
}

func lookAtRegister(e journal.Entry) registerLook {
	l := registerLook{actual: hashOf(e)}
	if l.actual == e.Hash {
		l.header, l.err = readRegisterHeader(e.Bytes)
	}
	return l
}

func (r *registerCheck) read(ctx context.Context) error {
	return readAll(ctx, r.cfg.Store, journal.Register, r.last.ID, lookAtRegister, r.entry)
}

func (r *registerCheck) entry(e journal.Entry, l registerLook) {
	if !r.step(e) {
		return
	}
	for uint64(len(r.hashes)) < e.ID.Seq { // missing ones, already named
		r.hashes = append(r.hashes, broker.Hash{})
	}
	r.hashes = append(r.hashes, e.Hash)
	intact := r.bytes(e, l.actual)
	if intact {
		r.content(e, l)
	}
	if r.seal(e, intact) {
		r.upTo = e.ID.Seq
	}
	r.passed(e, l.actual)
}

func (r *registerCheck) content(e journal.Entry, l registerLook) {
	h := l.header
	switch {
	case l.err != nil:
		r.fault(FaultAltered, journal.Register, e.ID, "%v", l.err)
		return
	case e.ID.Epoch != 1 || *h.Seq != e.ID.Seq:
		r.fault(FaultAltered, journal.Register, e.ID, "it says it is number %d", *h.Seq)
	case !slices.Equal(h.Touches, e.Touches):
		r.fault(FaultAltered, journal.Register, e.ID, "the touches stored with it are not its own")
	case e.ID.Seq == 0 && h.Body.Log == "":
		r.fault(FaultAltered, journal.Register, e.ID, "a genesis without the log's id")
	}
	if e.ID.Seq == 0 {
		r.log = h.Body.Log
	}
	r.chain(e.ID, *h.Prev)
}

// finish holds the register against the events that recorded it. Entries up to seq first were there before the writers
// were read, so each of them has its event.
func (r *registerCheck) finish(first uint64) {
	if len(r.hashes) == 0 {
		r.fault(FaultMissing, journal.Register, journal.ID{Epoch: 1}, "there is no genesis")
	}
	r.sealedEnd()
	anchored := r.upTo
	for seq := uint64(1); seq < uint64(len(r.hashes)); seq++ {
		id := journal.ID{Epoch: 1, Seq: seq}
		by, ok := r.recorded[seq]
		switch {
		case r.hashes[seq] == broker.Hash{}: // named as missing
		case !ok && seq < first:
			r.fault(FaultUnrecorded, journal.Register, id, "no audit event records it")
		case ok && by.hash != r.hashes[seq]:
			r.fault(FaultAltered, journal.Register, id, "event %s of %s recorded another entry here", by.id, by.stream)
		case ok && by.anchored:
			anchored = max(anchored, seq)
		}
		delete(r.recorded, seq)
	}
	if n := uint64(len(r.hashes)); n > 0 {
		r.report.Epochs = 1
		r.report.Unanchored = n - 1 - anchored
		if anchored == 0 {
			r.report.Unanchored = n
		}
	}
	r.removed()
}

// removed names the entries at the end that events speak of and that aren't there.
func (r *registerCheck) removed() {
	end := uint64(len(r.hashes))
	if _, genesis := r.recorded[0]; genesis {
		by := r.recorded[0]
		r.fault(FaultUnrecorded, by.stream, by.id, "it records the genesis, which no event may")
		delete(r.recorded, 0)
	}
	if len(r.recorded) > 0 {
		seqs := make([]uint64, 0, len(r.recorded))
		for seq := range r.recorded {
			seqs = append(seqs, seq)
		}
		last := slices.Max(seqs)
		by := r.recorded[last]
		r.fault(FaultMissing, journal.Register, journal.ID{Epoch: 1, Seq: end},
			"not there: event %s of %s recorded entries up to 1-%d", by.id, by.stream, last)
		return
	}
	if uint64(r.position) > end && end > 0 {
		r.fault(FaultMissing, journal.Register, journal.ID{Epoch: 1, Seq: end},
			"not there: event %s of %s was decided on %d entries", r.by.id, r.by.stream, r.position)
	}
}
