package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// fault is what happens to one append.
type fault int

const (
	fine     fault = iota
	lost           // an error, nothing done
	done           // an error, done
	late           // an error, done a while later: a message that was under way
	slow           // done, after more than the limit of a caller
	crash          // the process dies with the outcome unknown; another takes over
	moved          // the register changes just before
	takeover       // another process claims the stream while this one is at work
	numbers        // of kinds
)

// TestWriterModel runs gateways under random faults, concurrent callers and register changes, with crashes and fast
// restarts. Whatever happens: every acknowledged event is in the log exactly once, nothing is there twice, nothing is
// there that nobody asked for, no event is there whose facts had changed, and the log verifies against all receipts.
// The store itself checks that an append with an unknown outcome is only followed by the same bytes.
func TestWriterModel(t *testing.T) {
	hits := map[fault]int{}
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.SampledFrom([]fault{
			fine, fine, fine, lost, done, late, slow, crash, moved, moved, takeover,
		}), 1, 40).Draw(rt, "faults")
		callers := rapid.IntRange(1, 6).Draw(rt, "callers")
		each := rapid.IntRange(1, 6).Draw(rt, "appends each")
		var failures []string
		synctest.Test(t, func(t *testing.T) {
			r := &modelRun{s: newStore(t), plan: plan, hits: hits, starting: make(chan struct{}, 1)}
			failures = r.run(callers, each)
		})
		for _, f := range failures {
			rt.Error(f)
		}
	})
	for f := range numbers {
		if hits[f] == 0 && !t.Failed() {
			t.Errorf("fault %d never happened: the property says nothing about it", f)
		}
	}
}

type modelRun struct {
	s    *fakeStore
	plan []fault
	hits map[fault]int

	mu       sync.Mutex
	w        *Writer
	receipts []broker.Receipt
	asked    map[broker.Hash][]broker.Touch // by request digest
	position map[broker.Hash]broker.Position
	changes  map[broker.Hash]bool // register entries, acknowledged
	failed   []string
	late     sync.WaitGroup
	starting chan struct{} // one at a time
}

func (r *modelRun) failf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *modelRun) fault(n int, b journal.Batch) (error, bool) {
	f := fine
	if n < len(r.plan) {
		f = r.plan[n]
	}
	r.mu.Lock()
	r.hits[f]++
	w := r.w
	r.mu.Unlock()
	time.Sleep(time.Millisecond)
	switch f {
	case lost:
		return errLost, false
	case done:
		return errLost, true
	case late:
		r.late.Go(func() {
			time.Sleep(40 * time.Millisecond)
			r.s.mu.Lock()
			defer r.s.mu.Unlock()
			r.s.apply(b)
		})
		return errLost, false
	case slow:
		time.Sleep(400 * time.Millisecond)
	case crash:
		if w != nil {
			w.cancel()
		}
		return errLost, n%2 == 0
	case moved:
		r.s.change(broker.Touch(fmt.Sprintf("case-%d", n%3)))
	case takeover:
		r.late.Go(func() { r.start(w) })
	case fine, numbers:
	}
	return nil, true
}

// writer gives the process that runs now; it starts one where there is none or the last died.
func (r *modelRun) writer() *Writer {
	r.mu.Lock()
	w := r.w
	r.mu.Unlock()
	if w != nil {
		select {
		case <-w.ended:
		default:
			return w
		}
	}
	return r.start(w)
}

// start replaces a process, unless another caller did already.
func (r *modelRun) start(old *Writer) *Writer {
	r.starting <- struct{}{}
	defer func() { <-r.starting }()
	r.mu.Lock()
	w := r.w
	r.mu.Unlock()
	if w != old {
		return w
	}
	w, err := Open(context.Background(), config(r.s, "gw", &storeView{s: r.s}))
	if err != nil {
		r.failf("open: %v", err)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.w = w
	if old != nil {
		r.late.Go(func() { _ = old.Close(context.Background()) })
	}
	return w
}

func (r *modelRun) run(callers, each int) []string {
	r.asked, r.position = map[broker.Hash][]broker.Touch{}, map[broker.Hash]broker.Position{}
	r.changes = map[broker.Hash]bool{}
	r.s.failWith(r.fault)
	var wait sync.WaitGroup
	for c := range callers {
		wait.Go(func() {
			for i := range each {
				if c == 0 && i%2 == 1 {
					r.change()
				} else {
					r.disclose(c*100 + i)
				}
				time.Sleep(time.Duration(c) * time.Millisecond)
			}
		})
	}
	wait.Wait()
	r.s.failWith(nil)
	time.Sleep(2 * time.Second)
	r.late.Wait()
	if w := r.writer(); w != nil {
		if err := w.Close(context.Background()); err != nil {
			r.failf("close: %v", err)
		}
	}
	r.late.Wait()
	r.judge()
	return r.failed
}

func (r *modelRun) disclose(n int) {
	w := r.writer()
	if w == nil {
		return
	}
	e := disclosureEvent(n, broker.Touch(fmt.Sprintf("case-%d", n%3)))
	e.Subjects = nil
	e.Position, _ = w.cfg.View.Validate(0, nil) // where the view is
	r.mu.Lock()
	r.asked[e.Common.Request], r.position[e.Common.Request] = e.Touches, e.Position
	r.mu.Unlock()
	begin := time.Now()
	receipt, err := w.Append(context.Background(), e)
	if took := time.Since(begin); took > w.cfg.Limit {
		r.failf("an append took %s", took)
	}
	var unavailable *broker.Error
	switch {
	case err == nil:
		r.mu.Lock()
		r.receipts = append(r.receipts, receipt)
		r.mu.Unlock()
	case errors.Is(err, broker.ErrStale):
		r.mu.Lock()
		delete(r.asked, e.Common.Request) // definitely not added
		r.mu.Unlock()
	case !errors.As(err, &unavailable) || unavailable.Kind != broker.KindUnavailable:
		r.failf("append: %v", err)
	}
}

func (r *modelRun) change() {
	w := r.writer()
	if w == nil {
		return
	}
	c := changeAfter(r.s, "case-1")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	outcome, err := w.Change(ctx, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case outcome == journal.Appended:
		r.changes[c.Entries[0].Hash] = true
	case outcome == journal.Moved, err != nil && !errors.Is(err, ErrUnknown):
		r.changes[c.Entries[0].Hash] = false
	}
}

// judge holds the log against what was acknowledged.
func (r *modelRun) judge() {
	rep, err := Verify(context.Background(), VerifyConfig{Store: r.s, Receipts: r.receipts})
	if err != nil || !rep.OK || rep.Receipts != len(r.receipts) {
		r.failf("%d of %d receipts, %v, faults %v", rep.Receipts, len(r.receipts), err, rep.Faults)
	}
	register := r.s.streams[journal.Register]
	seen := map[broker.Hash]bool{}
	for _, e := range r.s.events("gw") {
		if e.Kind != KindDisclosure {
			continue
		}
		for digest, touches := range r.asked {
			if !containsHash(e.Common, digest) {
				continue
			}
			if seen[digest] {
				r.failf("an event is there twice")
			}
			seen[digest] = true
			if e.Position < r.position[digest] {
				r.failf("recorded at position %d, decided at %d", e.Position, r.position[digest])
			}
			for _, entry := range register[r.position[digest]:e.Position] {
				for _, touch := range entry.Touches {
					if touch == touches[0] {
						r.failf("recorded at %d though %s changed in %s", e.Position, touch, entry.ID)
					}
				}
			}
		}
		if e.Position > broker.Position(len(register)) {
			r.failf("position %d of %d", e.Position, len(register))
		}
	}
	disclosures := 0
	for _, e := range r.s.events("gw") {
		if e.Kind == KindDisclosure {
			disclosures++
		}
	}
	if disclosures != len(seen) {
		r.failf("%d disclosures in the log, %d of them asked for", disclosures, len(seen))
	}
	for hash, acknowledged := range r.changes {
		found := 0
		for _, e := range register {
			if e.Hash == hash && e.Hash == broker.Hash(sha256.Sum256(e.Bytes)) {
				found++
			}
		}
		if acknowledged != (found == 1) {
			r.failf("a change is in the register %d times; acknowledged: %v", found, acknowledged)
		}
	}
}

func containsHash(common []byte, h broker.Hash) bool {
	return bytes.Contains(common, []byte(`"requestDigest":"`+h.String()+`"`))
}
