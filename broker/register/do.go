package register

import (
	"context"
	"errors"
	"fmt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// RoleOperator is the role in which the audit event of a change names the operator.
const RoleOperator broker.Role = "beheerder"

const (
	atOnce    = journal.MaxEvents - 1 // commands in one append; one of its entries is the audit event
	atOnceLen = 384 << 10             // bytes of entries in one append; the audit event needs room too
	maxTries  = 10
)

// Operator is who gives commands; the audit event names them.
type Operator struct{ Name string }

// Appender appends register entries right after a head, in one step with the audit event of the same change; kind is the
// event's. It returns the definite outcome. An error that wraps ErrNotMade means that nothing was added; any other, that
// it is not known.
type Appender func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error)

// ErrNotMade tells that a change was not made. Its cause says why; trying again later may help.
var ErrNotMade = broker.Told("Er is niets gewijzigd: het kon niet worden vastgelegd. Probeer het later nog eens; blijft het zo, meld het dan aan de beheerder.",
	"nothing was changed")

// ErrUnknownOutcome tells that a change may have been made or not.
var ErrUnknownOutcome = broker.Told("Het is niet bekend of dit is vastgelegd. Kijk eerst op de pagina of het er staat, voordat u het nog eens doet.",
	"it is not known whether the change was made; look with `schakel register … list` before you give the command again")

// Do makes one change. When it returns nil the change is durable and in the view.
func (r *Register) Do(ctx context.Context, a Appender, op Operator, c Command) error {
	return r.DoAll(ctx, a, op, []Command{c})
}

// Would tells why a change could not be made as the view is now; it makes none.
func (r *Register) Would(c Command) error {
	_, _, err := r.plan([]Command{c})
	if stopped := (*StoppedError)(nil); errors.As(err, &stopped) {
		return stopped.Err
	}
	return err
}

// StoppedError tells where DoAll stopped.
type StoppedError struct {
	// Made is how many commands were made, from the first; Of is how many there were.
	Made, Of int
	// Wrong is the number, from 1, of the command that can't be made as it is; 0 where the cause is none of them.
	Wrong int
	Err   error
}

func (e *StoppedError) Error() string {
	switch {
	case e.Of == 1:
		return fmt.Sprintf("change register: %v", e.Err)
	case e.Wrong > 0:
		return fmt.Sprintf("change register: command %d: %v (%d of %d commands were made before)", e.Wrong, e.Err, e.Made, e.Of)
	}
	return fmt.Sprintf("change register: %v (%d of %d commands were made before)", e.Err, e.Made, e.Of)
}

func (e *StoppedError) Unwrap() error { return e.Err }

// DoAll makes changes in order, as many in one append as it takes. Each command is checked as if those before it were made,
// and all that may come in one append before any of them is made: 255 at most. On an error the commands before the append
// that failed were made and are in the view; it is a *StoppedError.
func (r *Register) DoAll(ctx context.Context, a Appender, op Operator, commands []Command) error {
	if op.Name == "" || len(op.Name) > 100 {
		return errors.New("change register: say who gives the command, in 1 to 100 bytes")
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	for done := 0; done < len(commands); {
		n, err := r.doSome(ctx, a, op, commands[done:min(done+atOnce, len(commands))])
		if err != nil {
			stopped := &StoppedError{Err: err}
			if errors.As(err, &stopped) { // by plan
				stopped.Wrong += done
			}
			stopped.Made, stopped.Of = done+n, len(commands)
			return stopped
		}
		done += n
	}
	return nil
}

// doSome makes as many of the commands as fit in one append, at least one, and tells how many.
func (r *Register) doSome(ctx context.Context, a Appender, op Operator, commands []Command) (int, error) {
	for range maxTries {
		if err := r.Refresh(ctx); err != nil {
			return 0, err
		}
		head, drafts, err := r.plan(commands)
		if err != nil {
			return 0, err
		}
		if err := r.seal(ctx, drafts); err != nil {
			return 0, err
		}
		entries, err := link(head, drafts)
		if err != nil {
			return 0, err
		}
		staff := broker.Staff{Worker: broker.WorkerID(op.Name), Role: RoleOperator, Case: oneCase(drafts[:len(entries)])}
		outcome, err := a(ctx, head, entries, oneKind(drafts[:len(entries)]), staff)
		switch {
		case errors.Is(err, ErrNotMade):
			return 0, err
		case err != nil:
			return 0, fmt.Errorf("%w (%w)", ErrUnknownOutcome, err)
		case outcome == journal.Appended || outcome == journal.Already:
			if err := r.Refresh(ctx); err != nil {
				return len(entries), fmt.Errorf("the change was made, but could not be read back: %w", err)
			}
			return len(entries), nil
		case outcome != journal.Moved && outcome != journal.Stale:
			return 0, fmt.Errorf("%w: the journal answered %q; start this process again", ErrNotMade, outcome)
		}
	}
	return 0, fmt.Errorf("%w: others changed the register at the same time, %d times; try again", ErrNotMade, maxTries)
}

// draft is a command on its way to an entry.
type draft struct {
	command Command
	plain   []byte
	stored  stored
}

// plan checks commands one after another, each where those before it were made, and says what their entries hold.
func (r *Register) plan(commands []Command) (journal.Head, []draft, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e := r.env(r.state.over())
	drafts := make([]draft, 0, len(commands))
	for i, c := range commands {
		c, err := c.check(e)
		if err == nil {
			d := draft{command: c, stored: stored{Time: e.now, Kind: c.kind(), Touches: c.touches(e)}}
			if err = c.apply(e, 0); err == nil {
				d.plain, err = encode(c)
			}
			drafts = append(drafts, d)
		}
		if err != nil {
			return journal.Head{}, nil, &StoppedError{Wrong: i + 1, Err: err}
		}
	}
	return r.head, drafts, nil
}

// seal encrypts what is about persons and staff.
func (r *Register) seal(ctx context.Context, drafts []draft) error {
	var plains []keys.Plain
	var of []*draft
	for i := range drafts {
		d := &drafts[i]
		keyID, part := d.command.key(r.cfg.Touch)
		if keyID == "" {
			d.stored.Body = d.plain
			continue
		}
		plains, of = append(plains, keys.Plain{KeyID: keyID, Context: part, Text: d.plain}), append(of, d)
	}
	if len(plains) == 0 {
		return nil
	}
	parts, err := r.cfg.Vault.SealAll(ctx, plains)
	for i := range parts {
		of[i].stored.Part = &parts[i]
	}
	return err
}

// link makes the drafts entries, as many as fit in one append.
func link(head journal.Head, drafts []draft) ([]journal.Entry, error) {
	var entries []journal.Entry
	size := 0
	for _, d := range drafts {
		e, err := chain(head, d.stored)
		if err != nil {
			return nil, err
		}
		if size += len(e.Bytes); size > atOnceLen && len(entries) > 0 {
			break
		}
		if size > atOnceLen {
			return nil, errors.New("this command is too large; split it")
		}
		entries, head = append(entries, e), journal.Head{ID: e.ID, Hash: e.Hash}
	}
	return entries, nil
}

// oneKind is the kind of all drafts, or that of several together.
func oneKind(drafts []draft) string {
	for _, d := range drafts {
		if d.stored.Kind != drafts[0].stored.Kind {
			return "register.changed"
		}
	}
	return drafts[0].stored.Kind
}

// oneCase is the case that all drafts are about, or "".
func oneCase(drafts []draft) broker.CaseID {
	id := caseOf(drafts[0].command)
	for _, d := range drafts {
		if caseOf(d.command) != id {
			return ""
		}
	}
	return id
}

func caseOf(c Command) broker.CaseID {
	switch c := c.(type) {
	case OpenCase:
		return c.ID
	case Assign:
		return c.Case
	case Unassign:
		return c.Case
	case CloseCase:
		return c.Case
	case GiveConsent:
		return c.Case
	case WithdrawConsent:
		return c.Case
	case DeclareEmergency:
		return c.Case
	case EndEmergency:
		return c.Case
	}
	return ""
}
