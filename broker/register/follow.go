package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

const (
	readAtOnce  = 1000
	waitAtMost  = time.Second            // then look whether the store still answers
	retryAfter  = 200 * time.Millisecond // after the store failed
	beforeStart = "there is no register yet; make one with `schakel init`"
)

// brokenError tells that the stream is not what it must be. No reading again mends it.
type brokenError struct {
	at  journal.ID
	err error
}

func (b *brokenError) Error() string { return fmt.Sprintf("read register entry %s: %v", b.at, b.err) }
func (b *brokenError) Unwrap() error { return b.err }

// Follow keeps the view complete until ctx ends, and returns nil then. A store that fails is tried again; Facts are
// refused meanwhile, once MaxBehind has passed. It returns an error when the stream can't be what was written: then
// nothing is given until an operator looked at it and the process is started again.
func (r *Register) Follow(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, min(waitAtMost, r.cfg.MaxBehind/2))
		err := r.cfg.Store.Wait(wait, journal.Register, r.last().ID)
		quiet := wait.Err() != nil
		cancel()
		if err == nil || quiet {
			err = r.Refresh(ctx)
		} else {
			r.fail(err)
		}
		var broken *brokenError
		if errors.As(err, &broken) {
			return fmt.Errorf("follow register: %w", err)
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
	}
	return nil
}

func (r *Register) last() journal.Head {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.head
}

// Refresh reads whatever the stream has that the view has not.
func (r *Register) Refresh(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	err := r.catchUp(ctx)
	if err != nil {
		r.fail(err)
	}
	return err
}

// catchUp reads pages and decodes them ahead, on all cores, and makes them true one after another.
func (r *Register) catchUp(ctx context.Context) error {
	r.mu.RLock()
	head, broken := r.head, r.broken
	r.mu.RUnlock()
	if broken != nil {
		return broken
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := r.pages(ctx, head.ID)
	defer func() { // nothing goes on when this returns
		cancel()
		for p := range pages {
			<-p.ready
		}
	}()
	for p := range pages {
		<-p.ready
		switch {
		case p.failed != nil && !errors.Is(p.failed, journal.ErrAbsent):
			return fmt.Errorf("read register: %w", p.failed)
		case len(p.entries) == 0:
			return r.confirm(ctx, r.last(), p.began)
		}
		if err := r.take(p); err != nil {
			return err
		}
		if len(p.entries) < readAtOnce {
			r.complete(p.began)
		}
	}
	return ctx.Err()
}

// page is a run of entries on its way into the view.
type page struct {
	began   time.Time
	entries []journal.Entry
	failed  error // the store could not give it
	ready   chan struct{}
	changes []change
	err     error // an entry could not be read
}

// pages reads the stream to its end. They come in order; what they say is there when ready is closed.
func (r *Register) pages(ctx context.Context, after journal.ID) <-chan *page {
	cores := runtime.GOMAXPROCS(0)
	out, free := make(chan *page, cores), make(chan struct{}, cores)
	go func() {
		defer close(out)
		for more := true; more && ctx.Err() == nil; {
			p := &page{began: r.cfg.Now(), ready: make(chan struct{})}
			p.entries, p.failed = r.cfg.Store.Read(ctx, journal.Register, after, readAtOnce)
			if more = p.failed == nil && len(p.entries) == readAtOnce; more {
				after = p.entries[readAtOnce-1].ID
			}
			free <- struct{}{}
			go func() {
				defer func() { <-free; close(p.ready) }()
				p.changes, p.err = r.decode(ctx, p.entries)
			}()
			out <- p // it is taken, at the latest when catchUp returns
		}
	}()
	return out
}

// confirm makes sure that nothing more to read means that the view is complete, and not that the store lost entries.
func (r *Register) confirm(ctx context.Context, head journal.Head, began time.Time) error {
	if head == (journal.Head{}) {
		return errors.New("read register: " + beforeStart)
	}
	there, err := r.cfg.Store.Head(ctx, journal.Register)
	if err != nil {
		return fmt.Errorf("read register head: %w", err)
	}
	if there.ID.Less(head.ID) || (there.ID == head.ID && there.Hash != head.Hash) {
		return r.stop(&brokenError{at: head.ID, err: fmt.Errorf(
			"the store ends at %s with another past: it lost entries that were acknowledged, or was put back from a backup", there.ID)})
	}
	r.complete(began)
	return nil
}

func (r *Register) complete(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirmed, r.failed = at, nil
}

// fail keeps why the view could not be completed, for whoever asks why Facts are refused.
func (r *Register) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
}

func (r *Register) stop(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
	return err
}

// change is one entry, read.
type change struct {
	head    journal.Head
	prev    broker.Hash
	when    time.Time
	touches []broker.Touch
	command Command // nil where its key was erased, and for the genesis
	origin  genesis // of the genesis only
}

// decode reads entries, as far as that can be done without knowing what stands before them.
func (r *Register) decode(ctx context.Context, entries []journal.Entry) ([]change, error) {
	changes := make([]change, len(entries))
	forms := make([]form, len(entries))
	var parts []keys.Part
	var plains []keys.Plain
	var of []int
	for i, e := range entries {
		s, err := readEntry(e)
		if err != nil {
			return nil, &brokenError{e.ID, err}
		}
		c := &changes[i]
		c.head, c.prev, c.when, c.touches = journal.Head{ID: e.ID, Hash: e.Hash}, s.Prev, s.Time, e.Touches
		if s.Kind == kindGenesis {
			c.origin, err = decode[genesis](s.Body)
		} else if forms[i], err = formFor(s.Kind); err == nil {
			c.command, err = forms[i].inClear(s)
		}
		if err != nil {
			return nil, &brokenError{e.ID, err}
		}
		if s.Part != nil {
			parts, plains, of = append(parts, *s.Part), append(plains, keys.Plain{Context: forms[i].part}), append(of, i)
		}
	}
	if len(parts) == 0 {
		return changes, nil
	}
	if err := r.cfg.Vault.OpenAll(ctx, parts, plains); err != nil {
		return nil, fmt.Errorf("read register entries from %s: %w", entries[of[0]].ID, err)
	}
	for n, i := range of {
		p, at := plains[n], entries[i].ID
		if errors.Is(p.Err, keys.ErrErased) {
			continue
		}
		if p.Err != nil { // not for ever: the ring may get what it lacks
			return nil, fmt.Errorf("read register entry %s: %w", at, p.Err)
		}
		c, err := forms[i].read(p.Text)
		if err != nil {
			return nil, &brokenError{at, err}
		}
		if want, _ := c.key(r.cfg.Touch); p.KeyID != want {
			return nil, &brokenError{at, errors.New("its part is encrypted under another's key")}
		}
		changes[i].command = c
	}
	return changes, nil
}

// inClear reads an entry that is stored in clear; nil for one that has a part, as its form wants.
func (f form) inClear(s stored) (Command, error) {
	switch {
	case f.part != "" && s.Part == nil:
		return nil, errors.New("it holds in clear what must be encrypted")
	case f.part == "" && s.Part != nil:
		return nil, errors.New("it is encrypted and should be in clear")
	case f.part != "":
		return nil, nil
	}
	return f.read(s.Body)
}

// take makes a page true, if it stands right after what the view has.
func (r *Register) take(p *page) error {
	var broken *brokenError
	if errors.As(p.err, &broken) {
		return r.stop(broken)
	}
	if p.err != nil {
		return p.err
	}
	head := r.last()
	for _, c := range p.changes {
		if err := c.follows(head); err != nil {
			return r.stop(&brokenError{c.head.ID, err})
		}
		head = c.head
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.env(r.state)
	for _, c := range p.changes {
		at := positionAt(c.head)
		e.when = c.when
		if c.command != nil {
			if err := c.command.apply(e, at); err != nil {
				r.broken = &brokenError{c.head.ID, err}
				return r.broken
			}
		}
		if c.origin != (genesis{}) {
			r.origin = c.origin
		}
		r.head = c.head
		r.recent.add(at, c.touches)
	}
	return nil
}

// follows checks what ties an entry to the one before it.
func (c change) follows(head journal.Head) error {
	if !c.head.ID.Follows(head.ID) {
		return fmt.Errorf("it does not follow %s", head.ID)
	}
	if c.prev != head.Hash {
		return errors.New("it is not chained to the entry before")
	}
	return nil
}

func (r *Register) env(s *state) env {
	e := env{state: s, touch: r.cfg.Touch, verify: r.cfg.VerifyAgreement, signed: r.cfg.VerifyStep, view: r.state, now: r.cfg.Now()}
	e.when = e.now.UTC().Truncate(time.Millisecond)
	if e.signed == nil {
		e.signed = func(string, []json.RawMessage, []byte, string) error {
			return errors.New("this process can't verify it")
		}
	}
	if r.cfg.Catalog != nil {
		e.catalog = r.cfg.Catalog()
	}
	return e
}
