package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Open claims the writer's stream with a start event and starts its batcher. The start event carries on the chain, says
// how the epoch before ended, and names what own signed heads acknowledge but the stream no longer has.
//
// It fails where the store is unsafe or has no register, where the stream's last event is damaged, and where another
// process claims the stream at the same moment. While the outcome of its append is unknown it tries until ctx ends.
func Open(ctx context.Context, c Config) (*Writer, error) {
	fail := func(err error) (*Writer, error) {
		return nil, fmt.Errorf("open audit writer %s: %w", c.Writer, err)
	}
	if c.Store == nil || c.Vault == nil || c.Log == "" || !journal.ValidWriter(c.Writer) {
		return fail(errors.New("it needs a store, a vault, the log's id and a name of 1 to 32 of a-z, 0-9 and '-'"))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Limit <= 0 {
		c.Limit = 250 * time.Millisecond
	}
	if c.Queue <= 0 {
		c.Queue = 4096
	}
	w := &Writer{
		cfg: c, stream: journal.Audit(c.Writer), queue: make(chan *item, c.Queue),
		ended: make(chan struct{}), fenced: make(chan struct{}), doubt: make(chan struct{}, 1),
	}
	if err := c.Store.Check(ctx); err != nil {
		return fail(err)
	}
	var file *headsFile
	if c.SignHead != nil && c.HeadsDir != "" {
		var err error
		if file, err = openHeads(c.HeadsDir, c.Writer); err != nil {
			return fail(err)
		}
	}
	if err := w.claim(ctx); err != nil {
		return fail(errors.Join(err, file.close()))
	}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if file != nil {
		w.signHead(file) // so that what this start event names as lost is not named again by the next
		w.heads.Go(func() { w.keepHeads(file) })
	}
	go w.run()
	return w, nil
}

// claim appends the start event. When another head came in between it looks again: that may have been the last append
// of a process that died a moment ago.
func (w *Writer) claim(ctx context.Context) error {
	for range claimTries {
		outcome, err := w.claimOnce(ctx)
		switch {
		case err != nil:
			return err
		case outcome == journal.Appended || outcome == journal.Already:
			return nil
		}
	}
	return errors.New("other processes keep claiming this stream; give each its own writer name")
}

const claimTries = 8

func (w *Writer) claimOnce(ctx context.Context) (journal.Outcome, error) {
	old, common, err := w.startPart(ctx)
	if err != nil {
		return "", err
	}
	reg, err := w.cfg.Store.Head(ctx, journal.Register)
	if err != nil {
		return "", err
	}
	if reg == (journal.Head{}) {
		return "", fmt.Errorf("there is no register here; run schakel init first: %w", journal.ErrAbsent)
	}
	e := Event{
		Writer: w.cfg.Writer, ID: journal.ID{Epoch: old.ID.Epoch + 1}, Prev: old.Hash, Time: w.cfg.Now().UTC(),
		Position: positionAt(reg), Kind: KindStart, Common: common,
	}
	first := entry(e.ID, e.Encode())
	outcome, _ := w.send(ctx, journal.Batch{
		Writer: w.cfg.Writer, After: old, Events: []journal.Entry{first}, Position: e.Position,
	})
	if outcome == "" {
		return "", fmt.Errorf("claim the stream: %w", errors.Join(ctx.Err(), w.troubleErr()))
	}
	w.head = journal.Head{ID: first.ID, Hash: first.Hash}
	return outcome, nil
}

// startPart builds the start event's common part on the stream as it is now.
func (w *Writer) startPart(ctx context.Context) (old journal.Head, common []byte, err error) {
	if old, err = w.cfg.Store.Head(ctx, w.stream); err != nil {
		return old, nil, err
	}
	start := Start{Log: w.cfg.Log, Process: rand.Text(), Version: w.cfg.Version, Reason: ReasonFirst}
	if old != (journal.Head{}) {
		start.Previous = &Ref{ID: ID(old.ID), Hash: old.Hash}
		if start.Reason, err = w.endOf(ctx, old); err != nil {
			return old, nil, err
		}
	}
	if w.cfg.HeadsDir != "" {
		if start.Lost, err = w.lost(ctx); err != nil {
			return old, nil, err
		}
	}
	common, err = marshal(start)
	return old, common, err
}

// endOf tells how the epoch before ended, from the stream's last event. It refuses to build on a damaged one.
func (w *Writer) endOf(ctx context.Context, head journal.Head) (Reason, error) {
	last, ok, err := at(ctx, w.cfg.Store, w.stream, head.ID)
	if err != nil {
		return "", err
	}
	if !ok || last.Hash != head.Hash || last.Hash != broker.Hash(sha256.Sum256(last.Bytes)) {
		return "", fmt.Errorf("the last event, %s, is missing or altered; run schakel audit verify", head.ID)
	}
	e, err := Decode(last.Bytes)
	if err != nil {
		return "", fmt.Errorf("the last event, %s: %w", head.ID, err)
	}
	if e.Kind == KindStop {
		return ReasonClean, nil
	}
	return ReasonCrash, nil
}

// lost names what own signed heads acknowledge and the stream lacks. It walks back from the newest head to the first
// one that the stream has; the chain vouches for everything before that.
func (w *Writer) lost(ctx context.Context) ([]Range, error) {
	signed, err := ReadHeads(w.cfg.HeadsDir, w.cfg.Writer)
	if err != nil {
		return nil, err
	}
	var out []Range
	for i := len(signed) - 1; i >= 0; i-- {
		h := signed[i].Head
		if w.cfg.VerifyHead != nil {
			if h, err = w.cfg.VerifyHead(signed[i].Signature); err != nil {
				return nil, fmt.Errorf("read own head: %w; if it was altered, keep a copy and move it away", err)
			}
		}
		if h.Log != w.cfg.Log || h.Writer != w.cfg.Writer {
			continue // of another log that used this folder
		}
		found, ok, err := at(ctx, w.cfg.Store, w.stream, h.ID())
		if err != nil {
			return nil, err
		}
		if ok && found.Hash == h.Hash {
			return out, nil
		}
		r := Range{From: ID(h.ID()), To: ID(h.ID())}
		if !ok {
			if r.From.Seq, err = firstAbsent(ctx, w.cfg.Store, w.stream, h.ID()); err != nil {
				return nil, err
			}
		}
		switch {
		case len(out) == 0 || out[0].From.Epoch != r.From.Epoch:
			out = append([]Range{r}, out...)
		case journal.ID(r.From).Less(journal.ID(out[0].From)):
			out[0].From = r.From
		}
	}
	return out, nil
}

// firstAbsent finds the lowest seq of id's epoch that the stream lacks, given that it lacks id. Streams are gapless,
// so halving will do.
func firstAbsent(ctx context.Context, s journal.Store, stream journal.Stream, id journal.ID) (uint64, error) {
	low, high := uint64(0), id.Seq // high is absent; everything below low is present
	for low < high {
		mid := low + (high-low)/2
		_, ok, err := at(ctx, s, stream, journal.ID{Epoch: id.Epoch, Seq: mid})
		if err != nil {
			return 0, err
		}
		if ok {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// at reads one entry.
func at(ctx context.Context, s journal.Store, stream journal.Stream, id journal.ID) (journal.Entry, bool, error) {
	after := journal.ID{Epoch: id.Epoch, Seq: id.Seq - 1}
	if id.Seq == 0 {
		after = journal.ID{Epoch: id.Epoch - 1, Seq: math.MaxUint64}
		if id.Epoch == 1 {
			after = journal.ID{}
		}
	}
	got, err := s.Read(ctx, stream, after, 1)
	if err != nil {
		return journal.Entry{}, false, fmt.Errorf("read %s of %s: %w", id, stream, err)
	}
	if len(got) == 0 || got[0].ID != id {
		return journal.Entry{}, false, nil
	}
	return got[0], true, nil
}

func (w *Writer) troubleErr() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trouble == nil {
		return nil
	}
	return w.trouble.err
}
