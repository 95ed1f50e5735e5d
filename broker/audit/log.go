package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// LogConfig says what Log reads.
type LogConfig struct {
	Store  Source
	Vault  Opener        // opens encrypted parts; nil leaves them closed
	Follow bool          // wait for more at the end, until the context ends
	Poll   time.Duration // how often to look for more; 0: 500 ms

	// What happens when following; each may be nil. End is called at the end of the log, before waiting for more. Failed
	// is asked when the store can't be read, and may mend it: nil tries again after Poll. Without it the error ends the log.
	End    func()
	Failed func(error) error
}

// Source is where a log is read (journal.Store).
type Source interface {
	Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error)
	Writers(ctx context.Context) ([]string, error)
}

// Opener decrypts parts (keys.Vault).
type Opener interface {
	OpenAll(ctx context.Context, parts []keys.Part, plains []keys.Plain) error
}

// LogEvent is one event as an auditor reads it.
type LogEvent struct {
	Hash     broker.Hash     `json:"hash"`
	Writer   string          `json:"writer"`
	ID       ID              `json:"id"`
	Time     time.Time       `json:"time"`
	Position broker.Position `json:"position"`
	Kind     Kind            `json:"kind"`
	RepeatOf *broker.Hash    `json:"repeatOf,omitempty"` // the first event with the same Idempotency-Key
	Common   json.RawMessage `json:"common"`

	// Of a part that is not shown, the state says why.
	Staff      *broker.Staff `json:"staff,omitempty"`
	StaffState PartState     `json:"staffState,omitempty"`
	Subjects   []LogSubject  `json:"subjects,omitempty"`
}

// LogSubject is one data subject's part.
type LogSubject struct {
	State     PartState           `json:"state,omitempty"`
	Pseudonym string              `json:"pseudonym,omitempty"`
	Part      *broker.SubjectPart `json:"part,omitempty"`
}

// PartState says why a part is not shown; "" for one that is, or that the event does not have.
type PartState string

// Closed list of PartState.
const (
	PartClosed  PartState = "closed"  // nobody opened it
	PartErased  PartState = "erased"  // its key was deleted
	PartDamaged PartState = "damaged" // altered, or under a key that isn't its own
)

// Log gives the events of all writers, oldest first; each writer's keep their own order whatever their clocks say. It
// does not verify: that is Verify's work. An event that can't be decoded ends it with an error that names the event.
func Log(ctx context.Context, c LogConfig) iter.Seq2[LogEvent, error] {
	if c.Poll <= 0 {
		c.Poll = 500 * time.Millisecond
	}
	return func(yield func(LogEvent, error) bool) {
		m := &merger{store: c.Store, heads: map[string]*cursor{}}
		first := map[[2]string]broker.Hash{}
		for {
			writer, e, err := m.next(ctx)
			if err == nil && writer == "" {
				if !c.Follow {
					return
				}
				if c.End != nil {
					c.End()
				}
				if !pause(ctx, c.Poll) {
					return
				}
				continue
			}
			var out LogEvent
			if err == nil {
				if out, err = c.event(ctx, e); err != nil {
					err = fmt.Errorf("event %s of %s: %w", e.ID, writer, err)
				}
			}
			if err != nil {
				if err = c.failed(ctx, err); err != nil {
					yield(LogEvent{}, fmt.Errorf("read log: %w", err))
					return
				}
				continue
			}
			m.took(writer)
			if s := out.Staff; s != nil && s.Idempotency != "" {
				key := [2]string{string(s.Agency), s.Idempotency}
				if h, again := first[key]; again {
					out.RepeatOf = &h
				} else {
					first[key] = out.Hash
				}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// failed tells whether an error ends the log; nil when it is to be tried again now.
func (c LogConfig) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNoEvent) || !c.Follow || c.Failed == nil:
		return err
	}
	if err = c.Failed(err); err == nil && !pause(ctx, c.Poll) {
		return ctx.Err()
	}
	return err
}

// errNoEvent tells that an event is damaged, which trying again does not mend.
var errNoEvent = errors.New("it is damaged; run schakel audit verify")

func (c LogConfig) event(ctx context.Context, entry journal.Entry) (LogEvent, error) {
	e, err := Decode(entry.Bytes)
	if err != nil {
		return LogEvent{}, fmt.Errorf("%w: %w", err, errNoEvent)
	}
	return c.open(ctx, e, entry.Hash)
}

// open opens the parts of an event.
func (c LogConfig) open(ctx context.Context, e Event, hash broker.Hash) (LogEvent, error) {
	out := LogEvent{
		Hash: hash, Writer: e.Writer, ID: ID(e.ID), Time: e.Time, Position: e.Position, Kind: e.Kind,
		Common: e.Common,
	}
	parts := e.Subjects
	if e.Staff != nil {
		parts = append([]keys.Part{*e.Staff}, e.Subjects...)
	}
	plains := make([]keys.Plain, len(parts))
	for i := range plains {
		plains[i].Context = contextSubject
	}
	if e.Staff != nil {
		plains[0].Context = contextStaff
	}
	if c.Vault != nil && len(parts) > 0 {
		if err := c.Vault.OpenAll(ctx, parts, plains); err != nil {
			return LogEvent{}, err
		}
	}
	if e.Staff != nil {
		var s broker.Staff
		out.StaffState = c.read(plains[0], &s, func(key string) bool { return ownStaffKey(key, e.Time) })
		if out.StaffState == "" {
			out.Staff = &s
		}
		plains = plains[1:]
	}
	for _, p := range plains {
		var plain subjectPlain
		s := LogSubject{State: c.read(p, &plain, func(key string) bool { return ownSubjectKey(key, plain.Pseudonym, e.Time) })}
		if s.State == "" {
			s.Pseudonym, s.Part = plain.Pseudonym, &plain.SubjectPart
		}
		out.Subjects = append(out.Subjects, s)
	}
	return out, nil
}

// ownStaffKey tells whether a staff part of that time may be under this key: it is encrypted a moment before the event gets
// its time.
func ownStaffKey(key string, at time.Time) bool {
	return key == staffKey(at) || key == staffKey(at.Add(-time.Hour))
}

// ownSubjectKey tells the same of a data subject's part.
func ownSubjectKey(key, pseudonym string, at time.Time) bool {
	return key == SubjectKey(pseudonym, at) || key == SubjectKey(pseudonym, at.Add(-time.Hour)) || key == subjectKeys+pseudonym
}

// read reads a decrypted part into v and checks that it was under the key it should be under.
func (c LogConfig) read(p keys.Plain, v any, own func(keyID string) bool) PartState {
	switch {
	case c.Vault == nil:
		return PartClosed
	case errors.Is(p.Err, keys.ErrErased):
		return PartErased
	case p.Err != nil || json.Unmarshal(p.Text, v) != nil || !own(p.KeyID):
		return PartDamaged
	}
	return ""
}

// Line gives the event on one line: hash, time, writer, id, kind, and what it says in a few words.
func (e LogEvent) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s %s", e.Hash, e.Time.Format(time.RFC3339), e.Writer, e.ID, e.Kind)
	switch e.Kind {
	case KindDisclosure:
		var c broker.Common
		if json.Unmarshal(e.Common, &c) != nil {
			return b.String() + " common=damaged"
		}
		if c.Refused {
			b.WriteString(" refused")
		}
		fmt.Fprintf(&b, " released=%d withheld=%d unavailable=%d asked=%d subjects=%d",
			len(c.Released), len(c.Withheld), len(c.Unavailable), len(c.Asked), len(e.Subjects))
	case KindRegister:
		var r Recorded
		if json.Unmarshal(e.Common, &r) != nil {
			return b.String() + " common=damaged"
		}
		fmt.Fprintf(&b, " %s", r.Kind)
		if n := len(r.Entries); n == 1 {
			fmt.Fprintf(&b, " %s", r.Entries[0].ID)
		} else if n > 1 { // they follow each other
			fmt.Fprintf(&b, " %s..%s", r.Entries[0].ID, r.Entries[n-1].ID)
		}
	case KindStart:
		var s Start
		if json.Unmarshal(e.Common, &s) != nil {
			return b.String() + " common=damaged"
		}
		fmt.Fprintf(&b, " after=%s", s.Reason)
		for _, r := range s.Lost {
			fmt.Fprintf(&b, " lost=%s..%s", r.From, r.To)
		}
	case KindView:
		var v Viewed
		if json.Unmarshal(e.Common, &v) != nil {
			return b.String() + " common=damaged"
		}
		if v.Writer == "" {
			fmt.Fprintf(&b, " of=many how=%q", v.How)
		} else {
			fmt.Fprintf(&b, " of=%s,%s how=%q", v.Writer, v.Event.ID, v.How)
		}
	case KindStop:
	}
	if s := e.Staff; s != nil {
		for _, word := range [][2]string{
			{"agency", string(s.Agency)}, {"worker", string(s.Worker)}, {"role", string(s.Role)},
			{"purpose", string(s.Purpose)}, {"case", string(s.Case)}, {"request", string(s.Request)}, {"kid", s.Key},
			{"ground", s.Ground}, {"sought", s.Sought},
		} {
			if word[1] != "" {
				fmt.Fprintf(&b, " %s=%q", word[0], word[1])
			}
		}
	} else if e.StaffState != "" {
		fmt.Fprintf(&b, " staff=%s", e.StaffState)
	}
	if e.RepeatOf != nil {
		fmt.Fprintf(&b, " repeat-of=%s", e.RepeatOf)
	}
	return b.String()
}

// merger reads all writers' streams as one.
type merger struct {
	store Source
	heads map[string]*cursor
	stale bool // some stream ran out: look again before choosing
	begun bool
}

// cursor is where the merger is in one stream. page[0] is the next.
type cursor struct {
	after journal.ID
	page  []journal.Entry
	time  time.Time // of page[0]
}

// next gives the oldest entry not taken yet; no writer when there is none now.
func (m *merger) next(ctx context.Context) (writer string, e journal.Entry, err error) {
	if !m.begun || m.stale {
		if err := m.fill(ctx); err != nil {
			return "", journal.Entry{}, err
		}
	}
	for name, c := range m.heads {
		if len(c.page) == 0 {
			continue
		}
		if best := m.heads[writer]; writer == "" || c.time.Before(best.time) ||
			(c.time.Equal(best.time) && name < writer) {
			writer = name
		}
	}
	if writer == "" {
		m.begun = false // look for new writers next time
		return "", journal.Entry{}, nil
	}
	return writer, m.heads[writer].page[0], nil
}

// took moves on after what next gave.
func (m *merger) took(writer string) {
	c := m.heads[writer]
	c.page, c.after = c.page[1:], c.page[0].ID
	if len(c.page) == 0 {
		m.stale = true
	} else {
		c.peek()
	}
}

// fill reads a page of each stream that has none at hand.
func (m *merger) fill(ctx context.Context) error {
	if !m.begun {
		writers, err := m.store.Writers(ctx)
		if err != nil {
			return err
		}
		for _, name := range writers {
			if m.heads[name] == nil {
				m.heads[name] = &cursor{}
			}
		}
		m.begun = true
	}
	m.stale = true // until all were read
	for name, c := range m.heads {
		if len(c.page) > 0 {
			continue
		}
		page, err := m.store.Read(ctx, journal.Audit(name), c.after, pageSize)
		if err != nil {
			return err
		}
		if c.page = page; len(page) > 0 {
			c.peek()
		}
	}
	m.stale = false
	return nil
}

// peek reads the time of the next event; zero where it has none, so that it comes at once and is named as damaged.
func (c *cursor) peek() {
	var h struct {
		Time time.Time `json:"time"`
	}
	_ = json.Unmarshal(c.page[0].Bytes, &h)
	c.time = h.Time
}
