package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// writerCheck verifies one writer's stream.
type writerCheck struct {
	place
	writer  string
	heads   map[journal.ID][]givenHead // not met yet
	wrong   []wrongHead                // met, with another hash
	matched journal.ID                 // the last event a head matched
	stopped bool                       // the last event was a stop
	lost    []lostRange
	since   uint64   // entries after the last anchored one
	pending []uint64 // register entries recorded since
}

// givenHead is a head and its place among those given of this writer.
type givenHead struct {
	Head
	n int
}

// wrongHead is a head whose event is another than the one it acknowledges.
type wrongHead struct {
	givenHead
	after journal.ID // the last event before it that a head matches
}

// lostRange is what a start event named as lost. A store that was put back to before an epoch gives that epoch's ids out
// again, so the range excuses only heads signed before the first one that vouches for the start or what follows it.
type lostRange struct {
	Range
	vouched bool
	until   int // excuses heads before this one, where vouched
}

func (r lostRange) excuses(h givenHead) bool {
	return !h.ID().Less(journal.ID(r.From)) && !journal.ID(r.To).Less(h.ID()) && (!r.vouched || h.n < r.until)
}

func newWriterCheck(v *verifier, writer string, heads []Head) *writerCheck {
	w := &writerCheck{place: place{verifier: v}, writer: writer, heads: map[journal.ID][]givenHead{}}
	w.report.Stream = journal.Audit(writer)
	for n, h := range heads {
		w.heads[h.ID()] = append(w.heads[h.ID()], givenHead{h, n})
	}
	return w
}

// eventLook is what an event tells by itself.
type eventLook struct {
	actual broker.Hash // of its bytes
	event  Event       // without its encrypted parts
	err    error
}

func lookAtEvent(e journal.Entry) eventLook {
	l := eventLook{actual: hashOf(e)}
	l.event, l.err = decode(e.Bytes, false)
	return l
}

func (w *writerCheck) run(ctx context.Context) error {
	if err := readAll(ctx, w.cfg.Store, w.report.Stream, journal.ID{}, lookAtEvent, w.entry); err != nil {
		return err
	}
	w.finish()
	return nil
}

func (w *writerCheck) entry(e journal.Entry, l eventLook) {
	if n, wanted := w.receipts[e.Hash]; wanted && !unreadable(e) {
		w.receipts[e.Hash] = n + 1
	}
	if !w.step(e) {
		// Out of its place, but what it recorded was recorded: not a fault of the register's.
		if l.err == nil && l.event.Kind == KindRegister && l.event.ID == e.ID && e.ID != w.last.ID {
			w.records(l.event, e.ID)
		}
		return
	}
	if e.ID.Epoch != w.last.ID.Epoch {
		w.report.Epochs++
	}
	w.since++
	intact := w.bytes(e, l.actual)
	if intact {
		w.content(e, l)
	} else if unreadable(e) {
		w.stopped = false // as far as one can tell
	}
	w.passed(e, l.actual)
	w.anchor(e, intact)
}

func (w *writerCheck) content(e journal.Entry, l eventLook) {
	if l.err != nil {
		w.fault(FaultAltered, w.report.Stream, e.ID, "%v", l.err)
		return
	}
	ev := l.event
	if ev.ID != e.ID || ev.Writer != w.writer {
		w.fault(FaultAltered, w.report.Stream, e.ID, "it says it is %s of %s", ev.ID, ev.Writer)
	}
	if ev.Position > w.position {
		w.position, w.by = ev.Position, recording{stream: w.report.Stream, id: e.ID}
	}
	switch ev.Kind {
	case KindStart:
		w.start(ev)
	case KindRegister:
		w.records(ev, e.ID)
	case KindStop, KindDisclosure, KindView:
	}
	if w.stopped && ev.Kind != KindStart {
		w.fault(FaultOrder, w.report.Stream, e.ID, "stands after the stop event %s", w.last.ID)
	}
	w.stopped = ev.Kind == KindStop
	w.chain(e.ID, ev.Prev)
}

// start holds a start event against the end of the epoch before.
func (w *writerCheck) start(ev Event) {
	var s Start
	if err := json.Unmarshal(ev.Common, &s); err != nil {
		w.fault(FaultAltered, w.report.Stream, ev.ID, "not a start event's common part")
		return
	}
	if w.foreign(s.Log) {
		w.fault(FaultAltered, w.report.Stream, ev.ID, "it was written in log %.64q", s.Log)
	}
	var before journal.ID
	if s.Previous != nil {
		before = journal.ID(s.Previous.ID)
	}
	switch {
	case w.broken:
	case w.last.ID.Less(before):
		w.broken = true
		w.fault(FaultMissing, w.report.Stream, missingAfter(w.last.ID, before), "not there: %s was started after %s", ev.ID, before)
	case before.Less(w.last.ID):
		w.broken = true
		w.fault(FaultOrder, w.report.Stream, missingAfter(before, w.last.ID), "was added: %s was started after %s", ev.ID, orStart(before))
	case s.Previous != nil && s.Previous.Hash != ev.Prev,
		(s.Reason == ReasonFirst) != (s.Previous == nil),
		(s.Reason == ReasonClean) != w.stopped:
		w.fault(FaultAltered, w.report.Stream, ev.ID, "what it says of the epoch before is not so")
	}
	for _, r := range s.Lost {
		w.fault(FaultLost, w.report.Stream, journal.ID(r.From), "events up to %s were acknowledged and then lost, says %s", r.To, ev.ID)
		w.lost = append(w.lost, lostRange{Range: r})
	}
}

// records notes which register entries an event recorded.
func (w *writerCheck) records(ev Event, id journal.ID) {
	var rec Recorded
	if err := json.Unmarshal(ev.Common, &rec); err != nil || len(rec.Entries) == 0 {
		w.fault(FaultAltered, w.report.Stream, id, "not a register event's common part")
		return
	}
	for _, ref := range rec.Entries {
		if ref.ID.Epoch != 1 {
			w.fault(FaultAltered, w.report.Stream, id, "it records %s, which no register entry can be", ref.ID)
			continue
		}
		if by, twice := w.recorded[ref.ID.Seq]; twice {
			w.fault(FaultUnrecorded, journal.Register, journal.ID(ref.ID), "recorded twice: by %s of %s and by %s of %s",
				by.id, by.stream, id, w.report.Stream)
			continue
		}
		w.recorded[ref.ID.Seq] = recording{stream: w.report.Stream, id: id, hash: ref.Hash}
		w.pending = append(w.pending, ref.ID.Seq)
	}
}

// anchor notes what heads and receipts vouch for: the event and, by the chain, all before.
func (w *writerCheck) anchor(e journal.Entry, intact bool) {
	anchored := false
	for _, h := range w.heads[e.ID] {
		if intact && h.Hash == e.Hash {
			anchored, w.matched = true, e.ID
			w.verifier.report.Heads++
			for i := range w.lost {
				if l := &w.lost[i]; !l.vouched {
					l.vouched, l.until = true, h.n
				}
			}
		} else {
			w.wrong = append(w.wrong, wrongHead{h, w.matched})
		}
	}
	delete(w.heads, e.ID)
	if _, wanted := w.receipts[e.Hash]; wanted && intact {
		anchored = true
	}
	anchored = w.seal(e, intact) || anchored
	if !anchored {
		return
	}
	for _, seq := range w.pending {
		by := w.recorded[seq]
		by.anchored = true
		w.recorded[seq] = by
	}
	w.since, w.pending = 0, nil
}

// finish judges the heads that match no event.
func (w *writerCheck) finish() {
	w.report.Unanchored = w.since
	w.sealedEnd()
	var missing []givenHead
	for _, heads := range w.heads {
		missing = append(missing, heads...)
	}
	named := func(h givenHead) bool { // a start event named it as lost
		return slices.ContainsFunc(w.lost, func(r lostRange) bool { return r.excuses(h) })
	}
	missing = slices.DeleteFunc(missing, named)
	wrong := slices.DeleteFunc(w.wrong, func(h wrongHead) bool { return named(h.givenHead) })
	if len(wrong) > 0 {
		h := wrong[0] // the first met
		w.fault(FaultAltered, w.report.Stream, h.ID(),
			"not the event that the head signed at %s acknowledges: it or one before it, after %s, was altered",
			h.Time.Format(time.RFC3339), orStart(h.after))
	}
	if len(missing) > 0 {
		h := slices.MaxFunc(missing, func(a, b givenHead) int {
			return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
		})
		next := missingAfter(w.last.ID, h.ID())
		if !w.stopped && w.last.ID != (journal.ID{}) { // the epoch went on, as far as one can tell
			next = journal.ID{Epoch: w.last.ID.Epoch, Seq: w.last.ID.Seq + 1}
		}
		w.fault(FaultMissing, w.report.Stream, next,
			"the end of the stream is not there: the head signed at %s acknowledges events up to %s",
			h.Time.Format(time.RFC3339), h.ID())
	}
}
