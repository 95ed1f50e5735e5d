package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

const (
	attemptLimit = time.Second // of one call to the store
	checkEvery   = 10 * time.Second
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = 500 * time.Millisecond
	maxStale     = 8 // rounds in which a batch may be found stale
)

// run is the batcher: one goroutine, one append in flight.
func (w *Writer) run() {
	defer close(w.ended)
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		select {
		case <-check.C:
			w.setSealErr(nil) // where no request comes any more, none would find out that keys can be kept again
			if !w.check() {
				return
			}
		case <-w.doubt:
			if !w.check() {
				return
			}
		default:
		}
		if w.carry == nil {
			select {
			case it, open := <-w.queue:
				if !open {
					w.stop()
					return
				}
				w.carry = it
			case <-check.C:
				w.setSealErr(nil)
				if !w.check() {
					return
				}
				continue
			case <-w.doubt:
				if !w.check() {
					return
				}
				continue
			case <-w.ctx.Done():
				return
			}
		}
		if !w.commit(w.gather()) {
			return
		}
	}
}

// gather takes what is queued, up to the limits of one append, and waits for nothing. A register change goes alone,
// since one that has to be made again must not hold up disclosures.
func (w *Writer) gather() []*item {
	items, size := []*item{w.carry}, w.carry.size()
	w.carry = nil
	for items[0].change == nil && len(items) < journal.MaxEvents {
		select {
		case it, open := <-w.queue:
			if !open {
				return items
			}
			if it.change != nil || size+it.size() > journal.MaxBytes {
				w.carry = it
				return items
			}
			items, size = append(items, it), size+it.size()
		default:
			return items
		}
	}
	return items
}

// commit brings items to a definite outcome and answers each. It tells whether the writer may go on.
func (w *Writer) commit(items []*item) bool {
	for round := 1; ; round++ {
		valid, position := w.validate(items)
		if len(valid) == 0 {
			return true
		}
		b := w.batch(valid, position)
		switch outcome, again := w.send(w.ctx, b); outcome {
		case journal.Appended, journal.Already:
			last := b.Events[len(b.Events)-1]
			w.mu.Lock()
			w.head = journal.Head{ID: last.ID, Hash: last.Hash}
			w.mu.Unlock()
			for i, it := range valid {
				it.done <- result{hash: b.Events[i].Hash, outcome: journal.Appended}
			}
			return true
		case journal.Fenced:
			close(w.fenced)
			err := w.endedErr()
			if again { // it may have been added by an earlier attempt, before the other process claimed the stream
				err = unavailable(codeFenced, ErrUnknown)
			}
			answer(valid, result{outcome: journal.Fenced, err: err})
			return false
		case journal.Moved:
			answer(valid, result{outcome: journal.Moved})
			return true
		case journal.Stale:
			if valid[0].change != nil {
				answer(valid, result{outcome: journal.Moved})
				return true
			}
			items = valid[:0]
			for _, it := range valid {
				if it.state.CompareAndSwap(sent, waiting) {
					items = append(items, it)
				}
			}
			if round == maxStale {
				answer(items, result{err: broker.ErrStale})
				return true
			}
			if err := w.refresh(items); err != nil {
				answer(items, result{err: unavailable(codeBehind, err)})
				return true
			}
		default: // the writer is being closed and the outcome is unknown
			return false
		}
	}
}

// validate keeps the items whose callers still wait and whose facts hold, and gives the position at which all of them
// do. The view may move between two items; facts that hold at a later position held at the earliest too.
func (w *Writer) validate(items []*item) (valid []*item, position broker.Position) {
	for _, it := range items {
		now := it.position
		if it.kind == KindDisclosure {
			var ok bool
			if now, ok = w.cfg.View.Validate(it.position, it.touches); !ok {
				it.done <- result{err: broker.ErrStale}
				continue
			}
			now = max(now, it.position)
		}
		if !it.state.CompareAndSwap(waiting, sent) {
			continue
		}
		if len(valid) == 0 || now < position {
			position = now
		}
		valid = append(valid, it)
	}
	return valid, position
}

// refresh brings the facts that items rest on up to date.
func (w *Writer) refresh(items []*item) error {
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.Limit)
	defer cancel()
	if len(items) == 1 && items[0].kind == KindStop {
		head, err := w.cfg.Store.Head(ctx, journal.Register)
		items[0].position = positionAt(head)
		return err
	}
	if len(items) == 0 || w.cfg.View == nil {
		return nil
	}
	return w.cfg.View.Refresh(ctx)
}

// batch gives the events their headers and chains them to the head.
func (w *Writer) batch(items []*item, position broker.Position) journal.Batch {
	b := journal.Batch{Writer: w.cfg.Writer, After: w.Head(), Position: position}
	id, prev, now := b.After.ID, b.After.Hash, w.cfg.Now().UTC()
	seen := map[broker.Touch]bool{}
	for _, it := range items {
		id.Seq++
		e := Event{Writer: w.cfg.Writer, ID: id, Prev: prev, Time: now, Position: position, Kind: it.kind}
		data := append(e.appendHeader(make([]byte, 0, headerMax+len(it.tail))), it.tail...)
		b.Events = append(b.Events, entry(id, data))
		prev = b.Events[len(b.Events)-1].Hash
		for _, t := range it.touches {
			if !seen[t] {
				seen[t] = true
				b.Touches = append(b.Touches, t)
			}
		}
		if it.change != nil {
			b.RegisterAfter, b.Register = it.change.After, it.change.Entries
		}
	}
	return b
}

// send appends a batch and, while the outcome is unknown, the very same batch again. After an error nothing is sent
// before the store has shown that it still keeps what it acknowledges. It gives "" only when the context ends; again
// tells that it took more than one attempt.
func (w *Writer) send(ctx context.Context, b journal.Batch) (o journal.Outcome, again bool) {
	last := b.Events[len(b.Events)-1]
	w.setPending(journal.Head{ID: last.ID, Hash: last.Hash})
	for wait := firstBackoff; ; wait, again = min(2*wait, lastBackoff), true {
		outcome, err := w.attempt(ctx, b)
		if err == nil {
			w.setPending(journal.Head{})
			w.setTrouble(nil)
			return outcome, again
		}
		w.setTrouble(err)
		for {
			if !pause(ctx, wait) {
				return "", true
			}
			if err = w.checkStore(ctx); err == nil {
				break
			}
			w.setTrouble(err)
			wait = min(2*wait, lastBackoff)
		}
	}
}

func (w *Writer) setPending(h journal.Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = h
}

func (w *Writer) attempt(ctx context.Context, b journal.Batch) (journal.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	outcome, err := w.cfg.Store.Append(ctx, b)
	if err != nil {
		return "", fmt.Errorf("append %d events: %w", len(b.Events), err)
	}
	switch outcome {
	case journal.Appended, journal.Already, journal.Fenced, journal.Moved, journal.Stale:
		return outcome, nil
	}
	return "", errors.New("append: the store gave an unknown outcome")
}

// check looks at the store every checkEvery and when in doubt, with no append in flight. It returns when all is well, or
// false when the writer must end.
func (w *Writer) check() bool {
	found := false
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		err := w.checkStore(w.ctx)
		if err == nil {
			var head journal.Head
			ctx, cancel := context.WithTimeout(w.ctx, attemptLimit)
			head, err = w.cfg.Store.Head(ctx, w.stream)
			cancel()
			if err == nil && head != w.Head() {
				close(w.fenced)
				return false
			}
		}
		w.setTrouble(err)
		if err == nil {
			if found {
				w.setSealErr(nil) // that was why, and it is over
			}
			return true
		}
		found = true
		if !pause(w.ctx, wait) {
			return false
		}
	}
}

func (w *Writer) checkStore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	return w.cfg.Store.Check(ctx)
}

// stop appends the stop event, after all else.
func (w *Writer) stop() {
	it := &item{kind: KindStop, tail: encodeTail([]byte("{}"), nil, nil), done: make(chan result, 1)}
	for wait := firstBackoff; w.refresh([]*item{it}) != nil; wait = min(2*wait, lastBackoff) {
		if !pause(w.ctx, wait) {
			return
		}
	}
	if !w.commit([]*item{it}) {
		return
	}
	if r := <-it.done; r.err == nil {
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
}

// setTrouble notes why nothing can be appended, since when; nil when all is well.
func (w *Writer) setTrouble(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.trouble = nil
		return
	}
	t := &trouble{code: codeJournal, since: time.Now(), err: err}
	if errors.Is(err, journal.ErrUnsafe) {
		t.code = codeUnsafe
	}
	if w.trouble != nil {
		t.since = w.trouble.since
	}
	w.trouble = t
}

// setSealErr notes that the vault could not keep a key; nil when it can.
func (w *Writer) setSealErr(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealErr = err
}

func answer(items []*item, r result) {
	for _, it := range items {
		it.done <- r
	}
}

// pause waits, and tells whether the context lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
