package register

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

const (
	readAtOnce  = 500
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

func (r *Register) catchUp(ctx context.Context) error {
	for {
		r.mu.RLock()
		head, broken := r.head, r.broken
		r.mu.RUnlock()
		if broken != nil {
			return broken
		}
		began := r.cfg.Now()
		entries, err := r.cfg.Store.Read(ctx, journal.Register, head.ID, readAtOnce)
		if err != nil && !errors.Is(err, journal.ErrAbsent) {
			return fmt.Errorf("read register: %w", err)
		}
		if len(entries) == 0 {
			return r.confirm(ctx, head, began)
		}
		if err := r.add(ctx, head, entries); err != nil {
			return err
		}
		if len(entries) < readAtOnce {
			r.complete(began)
			return nil
		}
	}
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
	touches []broker.Touch
	command Command // nil where its key was erased, and for the genesis
}

// add reads entries outside the lock, since that may fetch keys, and makes them true under it.
func (r *Register) add(ctx context.Context, head journal.Head, entries []journal.Entry) error {
	changes := make([]change, 0, len(entries))
	var origin genesis
	for _, e := range entries {
		s, err := unchain(head, e)
		if err != nil {
			return r.stop(&brokenError{e.ID, err})
		}
		head = journal.Head{ID: e.ID, Hash: e.Hash}
		c := change{head: head, touches: e.Touches}
		if s.Kind == kindGenesis {
			origin, err = decode[genesis](s.Body)
		} else {
			c.command, err = r.read(ctx, s)
		}
		var transient *keyError
		if errors.As(err, &transient) {
			return fmt.Errorf("read register entry %s: %w", e.ID, err)
		}
		if err != nil {
			return r.stop(&brokenError{e.ID, err})
		}
		changes = append(changes, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if origin != (genesis{}) {
		r.origin = origin
	}
	for _, c := range changes {
		at := positionAt(c.head)
		if c.command != nil {
			if err := c.command.apply(r.env(r.state), at); err != nil {
				r.broken = &brokenError{c.head.ID, err}
				return r.broken
			}
		}
		r.head = c.head
		r.recent.add(at, c.touches)
	}
	return nil
}

// keyError tells that a part could not be opened now, as the store of keys failed.
type keyError struct{ err error }

func (k *keyError) Error() string { return k.err.Error() }
func (k *keyError) Unwrap() error { return k.err }

// read opens the part of an entry, if it has one, and gives what it says; nil where its key was erased.
func (r *Register) read(ctx context.Context, s stored) (Command, error) {
	f, err := formFor(s.Kind)
	switch {
	case err != nil:
		return nil, err
	case f.part != "" && s.Part == nil:
		return nil, errors.New("it holds in clear what must be encrypted")
	case f.part == "" && s.Part != nil:
		return nil, errors.New("it is encrypted and should be in clear")
	case f.part == "":
		return f.read(s.Body)
	}
	plain, keyID, err := r.cfg.Vault.Open(ctx, f.part, *s.Part)
	if errors.Is(err, keys.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, &keyError{err}
	}
	c, err := f.read(plain)
	if err != nil {
		return nil, err
	}
	if want, _ := c.key(r.cfg.Touch); keyID != want {
		return nil, errors.New("its part is encrypted under another's key")
	}
	return c, nil
}

func (r *Register) env(s *state) env {
	e := env{state: s, touch: r.cfg.Touch, verify: r.cfg.VerifyAgreement, now: r.cfg.Now()}
	if r.cfg.Catalog != nil {
		e.catalog = r.cfg.Catalog()
	}
	return e
}
