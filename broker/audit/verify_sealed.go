package audit

import (
	"errors"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Sealed is what a checkpoint vouches for: that a stream has, at an id, an entry with this hash.
type Sealed struct {
	Stream journal.Stream
	ID     journal.ID
	Hash   broker.Hash
}

// sealedEntry is one of a stream.
type sealedEntry struct {
	id   journal.ID
	hash broker.Hash
}

// readSealed sorts by stream what the checkpoint vouches for: 48 bytes an entry, for as long as the run takes.
func (v *verifier) readSealed() error {
	v.sealed = map[journal.Stream][]sealedEntry{}
	if v.cfg.Sealed == nil {
		return nil
	}
	for s, err := range v.cfg.Sealed {
		if errors.Is(err, ErrSealBroken) {
			v.fault(FaultCheckpoint, "", journal.ID{}, "%v", err)
			v.sealed = map[journal.Stream][]sealedEntry{}
			return nil
		}
		if err != nil {
			return err
		}
		list := v.sealed[s.Stream]
		if len(list) > 0 && !list[len(list)-1].id.Less(s.ID) {
			v.fault(FaultCheckpoint, s.Stream, s.ID, "the Merkle log has it twice, or before an earlier one")
			continue
		}
		v.sealed[s.Stream] = append(list, sealedEntry{s.ID, s.Hash})
	}
	return nil
}

// ErrSealBroken tells that what is given as sealed does not make the root that was signed.
var ErrSealBroken = errors.New("the Merkle log does not fit its checkpoint")

// seal holds an entry against what the checkpoint says of its stream, and tells whether it vouches for it.
func (p *place) seal(e journal.Entry, intact bool) bool {
	list := p.sealed[p.report.Stream]
	if skipped := p.unsealed(e.ID); skipped > 0 {
		list = list[skipped:]
	}
	if len(list) == 0 || list[0].id != e.ID {
		p.sealed[p.report.Stream] = list
		return false
	}
	p.sealed[p.report.Stream] = list[1:]
	if intact && list[0].hash != e.Hash {
		p.fault(FaultAltered, p.report.Stream, e.ID, "a checkpoint vouches for another entry in its place")
		return false
	}
	if intact {
		p.verifier.report.Sealed++
	}
	return intact
}

// unsealed names sealed entries before an id that were not there, and gives their number.
func (p *place) unsealed(before journal.ID) int {
	list := p.sealed[p.report.Stream]
	n := 0
	for n < len(list) && list[n].id.Less(before) {
		n++
	}
	if n > 0 {
		p.fault(FaultMissing, p.report.Stream, list[0].id, "not there: a checkpoint vouches for it and for %d more up to %s", n-1, list[n-1].id)
	}
	return n
}

// sealedEnd names the sealed entries at the end of a stream that were not there.
func (p *place) sealedEnd() {
	if list := p.sealed[p.report.Stream]; len(list) > 0 {
		p.fault(FaultMissing, p.report.Stream, list[0].id, "the end of the stream is not there: a checkpoint vouches for entries up to %s", list[len(list)-1].id)
	}
}
