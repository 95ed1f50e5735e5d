package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// RequestsConfig says which disclosures Requests gives.
type RequestsConfig struct {
	Store Source
	Vault Opener // opens the staff parts; nil leaves them closed

	// The time of the event, Since included and Until not; a zero time is no bound.
	Since, Until time.Time
}

// Request is what can be decided again of one disclosure event.
type Request struct {
	Writer string
	ID     ID
	Hash   broker.Hash
	Time   time.Time

	// Damaged says that the event, or its common part, can't be read: all that follows is empty.
	Damaged bool

	Queries   []json.RawMessage       // as recorded
	Decisions []json.RawMessage       // one for each query
	Revisions []broker.Revision       // one for each query
	Engine    string                  // that decided
	Subjects  []broker.SubjectQueries // which queries were about whom
	Refused   bool                    // nothing was given

	// Who asked, as what and for what, in which case, and the id of the answer; empty where StaffState says why.
	Agency     broker.OIN
	Worker     broker.WorkerID
	Role       broker.Role
	Purpose    broker.Purpose
	Case       broker.CaseID
	Answer     broker.RequestID
	StaffState PartState
	StaffKey   string // names the data key that all these are under; empty where StaffState is not
}

// Requests gives the disclosures of all writers, one writer after the other and each one's in order, read and opened on
// all cores. Queries and decisions are parts of the event's bytes: who keeps one copies it. It does not verify, which is
// Verify's work; it names what it can't read and goes on, since one damaged event must not hide all others.
func Requests(ctx context.Context, c RequestsConfig) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		if err := inWindow(ctx, c, c.look, func(r Request) bool { return yield(r, nil) }); err != nil {
			yield(Request{}, fmt.Errorf("read requests: %w", err))
		}
	}
}

// inWindow gives take what look makes of the entries of all writers, from where the window can begin: one writer after the
// other, each one's in order, until take has enough. look runs on all cores.
func inWindow[T any](ctx context.Context, c RequestsConfig, look func(context.Context, string, journal.Entry) lookedAt[T], take func(T) bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	writers, err := c.Store.Writers(ctx)
	if err != nil {
		return err
	}
	for _, writer := range writers {
		stopped := false
		var failed error
		after, err := c.start(ctx, writer)
		if err == nil {
			err = readAll(ctx, c.Store, journal.Audit(writer), after, func(e journal.Entry) lookedAt[T] { return look(ctx, writer, e) },
				func(_ journal.Entry, l lookedAt[T]) {
					switch {
					case stopped || l.leave:
					case l.err != nil || !take(l.value):
						stopped, failed = true, l.err
						stop()
					}
				})
		}
		if stopped {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", writer, err)
		}
		if stopped {
			return nil
		}
	}
	return nil
}

// lookedAt is what one entry comes to.
type lookedAt[T any] struct {
	value T
	leave bool  // another kind of event, or out of the window
	err   error // the store failed, of which another event says nothing
}

// skew is how far a clock may have been put back within a stream without start missing an event.
const skew = time.Hour

// start finds the id after which a writer's stream comes to Since, by halving: a log is kept for years, and a window is of
// months.
func (c RequestsConfig) start(ctx context.Context, writer string) (journal.ID, error) {
	if c.Since.IsZero() {
		return journal.ID{}, nil
	}
	var failed error
	reaches := func(after journal.ID) bool {
		page, err := c.Store.Read(ctx, journal.Audit(writer), after, 1)
		if err != nil {
			failed = err
			return true
		}
		if len(page) == 0 {
			return true
		}
		e, ok := header(page[0].Bytes)
		return !ok || !e.Time.Before(c.Since.Add(-skew))
	}
	// least gives the least n for which do holds, of which every greater one holds too.
	least := func(top uint64, do func(uint64) bool) uint64 {
		low := uint64(0)
		for low < top && failed == nil {
			if mid := low + (top-low)/2; do(mid) {
				top = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	// After epoch n with the highest seq comes epoch n+1; if n+1 is the first that begins late enough, it happens in n.
	const highest = 1<<63 - 1
	epoch := least(highest, func(n uint64) bool { return reaches(journal.ID{Epoch: n, Seq: highest}) })
	seq := least(highest, func(n uint64) bool { return reaches(journal.ID{Epoch: epoch, Seq: n}) })
	return journal.ID{Epoch: epoch, Seq: seq}, failed
}

// look reads one entry.
func (c RequestsConfig) look(ctx context.Context, writer string, entry journal.Entry) lookedAt[Request] {
	out := lookedAt[Request]{value: Request{Writer: writer, ID: ID(entry.ID), Hash: entry.Hash, Damaged: true}}
	e, ok := header(entry.Bytes)
	if !ok {
		return out
	}
	out.value.Time = e.Time
	if out.leave = e.Kind != KindDisclosure || !c.within(e.Time); out.leave {
		return out
	}
	r := out.value
	if !r.readCommon(e.Common) {
		return out
	}
	r.Damaged, r.StaffState = false, PartClosed
	if e.Staff != nil && c.Vault != nil {
		plains := []keys.Plain{{Context: contextStaff}}
		if err := c.Vault.OpenAll(ctx, []keys.Part{*e.Staff}, plains); err != nil {
			out.err = err
			return out
		}
		r.StaffState = r.readStaff(plains[0], e.Time)
	}
	out.value = r
	return out
}

func (c RequestsConfig) within(t time.Time) bool {
	return !t.Before(c.Since) && (c.Until.IsZero() || t.Before(c.Until))
}

// header reads an event as far as its staff part, and does not look at what follows.
func header(data []byte) (e Event, ok bool) {
	p := parser{data}
	var version uint64
	var writer, kind []byte
	ok = p.literal(`{"v":`) && p.number(&version) && version == Version &&
		p.literal(`,"writer":`) && p.word(&writer) &&
		p.literal(`,"epoch":`) && p.number(&e.ID.Epoch) &&
		p.literal(`,"seq":`) && p.number(&e.ID.Seq) &&
		p.literal(`,"prev":`) && p.hash(&e.Prev) &&
		p.literal(`,"time":`) && p.time(&e.Time) &&
		p.literal(`,"position":`) && p.number((*uint64)(&e.Position)) &&
		p.literal(`,"kind":`) && p.word(&kind) &&
		p.literal(`,"common":`) && p.object((*[]byte)(&e.Common)) &&
		(!p.literal(`,"staff":`) || p.staff(&e, true))
	e.Kind = Kind(kind)
	return e, ok
}

// readCommon takes from the common part what replay needs. By hand: encoding/json takes half the time of a whole report.
func (r *Request) readCommon(common []byte) bool {
	var revision broker.Revision
	good := true
	for name, value := range members(common) {
		switch string(name) {
		case "queries":
			r.Queries = elements(value)
		case "decisions":
			r.Decisions = elements(value)
		case "policy":
			for name, value := range members(value) {
				switch string(name) {
				case "revision":
					good = good && text(value, &revision)
				case "engine":
					good = good && text(value, &r.Engine)
				}
			}
		case "revisions":
			for _, value := range elements(value) {
				r.Revisions = append(r.Revisions, "")
				good = good && text(value, &r.Revisions[len(r.Revisions)-1])
			}
		case "refused":
			r.Refused = string(value) == "true"
		case "subjects":
			for _, value := range elements(value) {
				var s broker.SubjectQueries
				good = good && readSubject(value, &s)
				r.Subjects = append(r.Subjects, s)
			}
		}
	}
	if r.Revisions == nil {
		r.Revisions = make([]broker.Revision, len(r.Queries))
		for i := range r.Revisions {
			r.Revisions[i] = revision
		}
	}
	for _, s := range r.Subjects {
		good = good && !slices.ContainsFunc(s.Queries, func(n int) bool { return n >= len(r.Queries) })
	}
	return good && len(r.Queries) > 0 && len(r.Queries) == len(r.Decisions) && len(r.Queries) == len(r.Revisions) && len(r.Subjects) > 0
}

func readSubject(object []byte, to *broker.SubjectQueries) bool {
	good := object[0] == '{'
	for name, value := range members(object) {
		switch string(name) {
		case "subject":
			good = good && text(value, &to.Subject)
		case "lookup":
			good = good && text(value, &to.Lookup)
		case "queries":
			for _, one := range elements(value) {
				var n uint64
				p := parser{one}
				good = good && p.number(&n) && len(p.rest) == 0 && n < journal.MaxBytes
				to.Queries = append(to.Queries, int(n))
			}
		}
	}
	return good
}

// text reads a JSON string that needs no escape.
func text[T ~string](value []byte, to *T) bool {
	p := parser{value}
	var word []byte
	if !p.word(&word) || len(p.rest) > 0 || bytes.IndexByte(word, '\\') >= 0 {
		return false
	}
	*to = T(word)
	return true
}

func (r *Request) readStaff(p keys.Plain, at time.Time) PartState {
	var staff struct {
		Agency  broker.OIN       `json:"agency"`
		Worker  broker.WorkerID  `json:"worker"`
		Role    broker.Role      `json:"role"`
		Purpose broker.Purpose   `json:"purpose"`
		Case    broker.CaseID    `json:"case"`
		Answer  broker.RequestID `json:"request"`
	}
	switch {
	case errors.Is(p.Err, keys.ErrErased):
		return PartErased
	case p.Err != nil || !ownStaffKey(p.KeyID, at) || json.Unmarshal(p.Text, &staff) != nil:
		return PartDamaged
	}
	r.Agency, r.Worker, r.Role, r.Purpose = staff.Agency, staff.Worker, staff.Role, staff.Purpose
	r.Case, r.Answer, r.StaffKey = staff.Case, staff.Answer, p.KeyID
	return ""
}

// members gives the members of a compact JSON object, as jsonValue found it well formed; names are as written. Another value
// has none.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if object[0] != '{' {
			return
		}
		for i := 1; i < len(object)-1; i++ { // the bracket, or a comma
			colon := jsonString(object, i)
			end := jsonValue(object, colon+1, 1)
			if !yield(object[i+1:colon-1], object[colon+1:end:end]) {
				return
			}
			i = end
		}
	}
}

// elements gives the elements of a compact JSON array, as jsonValue found it well formed; nil for another value.
func elements(array []byte) []json.RawMessage {
	if array[0] != '[' {
		return nil
	}
	out := make([]json.RawMessage, 0, 4)
	for i := 1; i < len(array)-1; i++ {
		end := jsonValue(array, i, 1)
		out = append(out, json.RawMessage(array[i:end:end]))
		i = end
	}
	return out
}
