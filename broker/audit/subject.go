package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// MentionsConfig says which mentions of data subjects Mentions gives.
type MentionsConfig struct {
	Store Source

	// KeyOf tells under which key a part is, by its reference alone (keys.Ring.OpenRef): a part is recognised without being
	// opened, also when its key is gone.
	KeyOf func(ref []byte) (string, error)

	// Of gives only what mentions one of these pseudonyms, and what can't be read; nil gives every disclosure.
	Of []string

	// The time of the event, Since included and Until not; a zero time is no bound.
	Since, Until time.Time

	// After gives what comes after these ids of writers' streams, UpTo nothing after these; nil is no bound. A writer that is
	// not in UpTo gives nothing.
	After, UpTo map[string]journal.ID
}

// Mention tells which data subjects a disclosure event has parts about.
type Mention struct {
	Writer     string
	ID         ID
	Hash       broker.Hash
	Time       time.Time // zero where the event can't be read
	Pseudonyms []string  // of its parts, in order
	Damaged    bool      // the event, or the reference of a part, can't be read: whom else it is about is not known

	event Event
}

// Asked tells under what a disclosure was asked for.
type Asked struct {
	Revision broker.Revision // of the policy that decided
	Role     broker.Role
	Purpose  broker.Purpose
}

// SubjectEvent is a disclosure as it concerned one data subject.
type SubjectEvent struct {
	Mention
	State      PartState           // why Part is not there; "" where it is
	Part       *broker.SubjectPart // what was given and withheld, and who was asked
	Staff      *broker.Staff       // who asked
	StaffState PartState
	Revision   broker.Revision // the policy that decided
	Refused    bool
}

// Mentions gives the disclosures of all writers and whom they are about: one writer after the other and each one's in order.
// Every event of the window and of the range is read, and no other; no part is opened: that costs a reference each, and no key.
func Mentions(ctx context.Context, c MentionsConfig) iter.Seq2[Mention, error] {
	return func(yield func(Mention, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		writers, err := c.writers(ctx)
		if err != nil {
			yield(Mention{}, fmt.Errorf("read mentions: %w", err))
			return
		}
		for _, writer := range writers {
			after, err := c.begin(ctx, writer)
			stopped := false
			if err == nil {
				err = readAll(ctx, c.source(writer), journal.Audit(writer), after, func(e journal.Entry) *Mention { return c.look(writer, e) },
					func(_ journal.Entry, m *Mention) {
						if m != nil && !stopped && !yield(*m, nil) {
							stopped = true
							stop()
						}
					})
			}
			if stopped {
				return
			}
			if err != nil {
				yield(Mention{}, fmt.Errorf("read mentions of %s: %w", writer, err))
				return
			}
		}
	}
}

// writers lists those whose events are asked for, sorted.
func (c MentionsConfig) writers(ctx context.Context) ([]string, error) {
	if c.UpTo != nil {
		return slices.Sorted(maps.Keys(c.UpTo)), nil
	}
	return c.Store.Writers(ctx)
}

// source gives a writer's stream as far as it is asked for.
func (c MentionsConfig) source(writer string) Source {
	if c.UpTo == nil {
		return c.Store
	}
	return upTo{c.Store, c.UpTo[writer]}
}

// upTo is a log that ends with an id.
type upTo struct {
	Source
	last journal.ID
}

func (u upTo) Read(ctx context.Context, s journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	if !after.Less(u.last) {
		return nil, nil
	}
	if after.Epoch == u.last.Epoch { // ids of an epoch are gapless
		limit = int(min(uint64(limit), u.last.Seq-after.Seq))
	}
	page, err := u.Source.Read(ctx, s, after, limit)
	for len(page) > 0 && u.last.Less(page[len(page)-1].ID) {
		page = page[:len(page)-1]
	}
	return page, err
}

// begin gives the id after which a writer's stream is to be read.
func (c MentionsConfig) begin(ctx context.Context, writer string) (journal.ID, error) {
	at, err := RequestsConfig{Store: c.Store, Since: c.Since}.start(ctx, writer)
	if after := c.After[writer]; at.Less(after) {
		at = after
	}
	return at, err
}

// look reads one entry; nil where it mentions nobody who is asked for.
func (c MentionsConfig) look(writer string, entry journal.Entry) *Mention {
	m := &Mention{Writer: writer, ID: ID(entry.ID), Hash: entry.Hash}
	e, err := Decode(entry.Bytes)
	if err != nil {
		m.Damaged = true
		return m
	}
	if e.Kind != KindDisclosure || e.Time.Before(c.Since) || (!c.Until.IsZero() && !e.Time.Before(c.Until)) {
		return nil
	}
	m.Time, m.event = e.Time, e
	asked := c.Of == nil
	for _, part := range e.Subjects {
		key, err := c.KeyOf(part.Ref)
		pseudonym, own := PseudonymOf(key)
		if err != nil || !own {
			m.Damaged = true
			continue
		}
		m.Pseudonyms = append(m.Pseudonyms, pseudonym)
		asked = asked || slices.Contains(c.Of, pseudonym)
	}
	if !asked && !m.Damaged {
		return nil
	}
	return m
}

// Asked tells under what it was asked for, as the part in clear has it: that can be read for ever, also when who asked is erased.
// Not ok where it can't be read.
func (m Mention) Asked() (a Asked, ok bool) {
	if len(m.event.Common) == 0 {
		return a, false
	}
	var queries, subjects []json.RawMessage
	for name, value := range members(m.event.Common) {
		switch string(name) {
		case "queries":
			queries = elements(value)
		case "subjects":
			subjects = elements(value)
		case "policy":
			for name, value := range members(value) {
				ok = ok || (string(name) == "revision" && text(value, &a.Revision))
			}
		}
	}
	for _, one := range subjects {
		var s broker.SubjectQueries
		if !readSubject(one, &s) || s.Lookup != "" || len(s.Queries) == 0 || s.Queries[0] >= len(queries) {
			continue // a holder is asked by a lookup; it asks for nothing
		}
		role, purpose := false, false
		for name, value := range members(queries[s.Queries[0]]) {
			role = role || (string(name) == "role" && text(value, &a.Role))
			purpose = purpose || (string(name) == "purpose" && text(value, &a.Purpose))
		}
		return a, ok && role && purpose
	}
	return a, false
}

// Open gives what a mention says of one of its data subjects.
func (m Mention) Open(ctx context.Context, vault Opener, pseudonym string) (SubjectEvent, error) {
	out := SubjectEvent{Mention: m, State: PartDamaged, StaffState: PartDamaged}
	n := slices.Index(m.Pseudonyms, pseudonym)
	if n < 0 || len(m.Pseudonyms) != len(m.event.Subjects) || m.event.Staff == nil {
		return out, nil
	}
	parts := []keys.Part{*m.event.Staff, m.event.Subjects[n]}
	plains := []keys.Plain{{Context: contextStaff}, {Context: contextSubject}}
	if err := vault.OpenAll(ctx, parts, plains); err != nil {
		return out, fmt.Errorf("event %s of %s: %w", m.ID, m.Writer, err)
	}
	var common struct {
		Policy  broker.PolicyRef `json:"policy"`
		Refused bool             `json:"refused"`
	}
	var staff broker.Staff
	var plain subjectPlain
	read := LogConfig{Vault: vault}
	if out.StaffState = read.read(plains[0], &staff, func(key string) bool { return ownStaffKey(key, m.Time) }); out.StaffState == "" {
		out.Staff = &staff
	}
	own := func(key string) bool { return ownSubjectKey(key, pseudonym, m.Time) && plain.Pseudonym == pseudonym }
	if out.State = read.read(plains[1], &plain, own); out.State == "" {
		out.Part = &plain.SubjectPart
	}
	if json.Unmarshal(m.event.Common, &common) != nil {
		out.State, out.Part = PartDamaged, nil
	}
	out.Revision, out.Refused = common.Policy.Revision, common.Refused
	return out, nil
}
