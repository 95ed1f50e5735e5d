package audit

import (
	"crypto/sha256"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// place is where a check is in a stream: it judges order and chain alike for the register and for writers.
type place struct {
	*verifier
	report StreamReport
	last   journal.Head
	other  broker.Hash // the hash of last's bytes where it isn't the one stored with them
	broken bool        // order was broken just before: the chain says nothing more
}

// step judges an entry's id. It tells whether the entry stands where it says; one that doesn't is left out of the chain.
func (p *place) step(e journal.Entry) bool {
	p.report.Entries++
	if p.cfg.Progress != nil && p.report.Entries%1000 == 0 {
		p.cfg.Progress(p.report.Stream, p.report.Entries)
	}
	switch {
	case e.ID.Follows(p.last.ID):
	case p.last.ID.Less(e.ID):
		p.broken = true
		miss := missingAfter(p.last.ID, e.ID)
		p.fault(FaultMissing, p.report.Stream, miss, "not there: %s stands right after %s", e.ID, orStart(p.last.ID))
	default:
		p.fault(FaultOrder, p.report.Stream, e.ID, "stands after %s: it was added or moved", p.last.ID)
		return false
	}
	return true
}

// missingAfter is the first id that should stand between two.
func missingAfter(last, next journal.ID) journal.ID {
	switch {
	case last == (journal.ID{}):
		return journal.ID{Epoch: 1}
	case next.Epoch == last.Epoch:
		return journal.ID{Epoch: last.Epoch, Seq: last.Seq + 1}
	}
	return journal.ID{Epoch: last.Epoch + 1}
}

func orStart(id journal.ID) string {
	if id == (journal.ID{}) {
		return "the beginning"
	}
	return id.String()
}

// chain judges prev, and blames the entry before: this one says what that one was.
func (p *place) chain(id journal.ID, prev broker.Hash) {
	if p.broken || prev == p.last.Hash || prev == p.other {
		return
	}
	if p.last == (journal.Head{}) {
		p.fault(FaultMissing, p.report.Stream, id, "the first entry says that another stands before it")
		return
	}
	p.fault(FaultAltered, p.report.Stream, p.last.ID,
		"%s was chained to another entry than this one: this one was altered, or %s was added", id, id)
}

func hashOf(e journal.Entry) broker.Hash { return broker.Hash(sha256.Sum256(e.Bytes)) }

// bytes judges the stored hash by the one that the bytes have.
func (p *place) bytes(e journal.Entry, actual broker.Hash) bool {
	if unreadable(e) {
		p.fault(FaultAltered, p.report.Stream, e.ID, "what the store has in its place can't be read as an entry")
		return false
	}
	if actual != e.Hash {
		p.fault(FaultAltered, p.report.Stream, e.ID, "its bytes or its hash were altered: they don't belong together")
		return false
	}
	return true
}

// unreadable tells that the store could not decode the entry (journal.Store.Read): it has no hash, so the next one's
// chain says nothing more.
func unreadable(e journal.Entry) bool { return e.Hash == broker.Hash{} }

// passed moves on. actual is the hash of the entry's bytes.
func (p *place) passed(e journal.Entry, actual broker.Hash) {
	p.last, p.other, p.broken = journal.Head{ID: e.ID, Hash: e.Hash}, actual, unreadable(e)
	p.report.Head = &Ref{ID: ID(e.ID), Hash: e.Hash}
}
