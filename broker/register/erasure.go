package register

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// ErasureOf says what an erasure is of.
type ErasureOf string

// Closed list of ErasureOf.
const (
	ErasureExpired ErasureOf = "expired" // whatever has outlived its term
	ErasureSubject ErasureOf = "subject" // what the log has of one data subject
	ErasureCase    ErasureOf = "case"    // what the register has of one case
)

// Erasure is an erasure of data keys. It names nobody; who decided it, on which ground and for whom stands encrypted in the
// audit event of its begin.
type Erasure struct {
	BeginErasure
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"` // zero: it did not end yet, and must be gone on with
}

// BeginErasure says which key-encryption keys are going to be destroyed, before anything is done.
type BeginErasure struct {
	Erasure    int       `json:"erasure"` // its number: one more than there were
	Of         ErasureOf `json:"of"`
	BeforeTerm bool      `json:"beforeTerm,omitempty"` // also what has a term that has not ended
	Until      time.Time `json:"until"`                // terms that have ended by then
	// Selection is a keyed hash of what was selected, by which the same is recognised when it is gone on with.
	Selection   broker.Touch  `json:"selection"`
	Generations []string      `json:"generations"`
	Parts       []ErasedParts `json:"parts,omitempty"` // of ErasureExpired only: of one person, numbers would tell about them
	// Residents are opaque keys of whom the register has requests or representations that go. Nothing new is taken about them
	// until it has ended, and every view forgets them then.
	Residents []broker.Touch `json:"residents,omitempty"`
	// Staff are the data keys of suspended officers' ids and of ended teams that go. Nothing new is written under them until it has
	// ended, and every view forgets them then.
	Staff []string `json:"staff,omitempty"`
}

// ErasedParts is how many parts of an activity go.
type ErasedParts struct {
	Activity string `json:"activity"`
	Parts    int    `json:"parts"`
}

func (BeginErasure) kind() string                   { return "erasure.begun" }
func (BeginErasure) key(TouchFunc) (string, string) { return "", "" }
func (BeginErasure) touches(env) []broker.Touch     { return nil }

var (
	generationName = regexp.MustCompile(`^[0-9]{4}Q[1-4](\.[0-9]{1,6})?$`)
	activityName   = regexp.MustCompile(`^[a-z][a-z-]{1,59}$`)
)

func (c BeginErasure) check(e env) (Command, error) {
	err := c.fits(e)
	switch {
	case err != nil:
	case !slices.Contains([]ErasureOf{ErasureExpired, ErasureSubject, ErasureCase}, c.Of):
		err = errors.New("it is of what is expired, of a subject or of a case")
	case c.Selection == "" || len(c.Generations) == 0 || c.Until.IsZero():
		err = errors.New("it lacks what it is of")
	case c.Of != ErasureExpired && len(c.Parts) > 0:
		err = errors.New("numbers of one person or case stand in nobody's log")
	case slices.ContainsFunc(c.Generations, func(g string) bool { return !generationName.MatchString(g) }):
		err = errors.New("a name of a generation is not one")
	case slices.ContainsFunc(c.Parts, func(p ErasedParts) bool { return !activityName.MatchString(p.Activity) }):
		err = errors.New("a name of an activity is not one")
	default:
		err = errors.Join(e.mayErase(c.Residents), e.mayEraseStaff(c.Staff))
	}
	if err != nil {
		return nil, fmt.Errorf("begin erasure: %w", err)
	}
	c.Until = c.Until.UTC().Truncate(time.Second)
	return c, nil
}

// fits is what must hold whenever it is read.
func (c BeginErasure) fits(e env) error {
	if n := len(e.erasures); n > 0 && e.erasures[n-1].Ended.IsZero() {
		return fmt.Errorf("erasure %d did not end; go on with that one first", n)
	}
	if c.Erasure != len(e.erasures)+1 {
		return errors.New("another erasure began at the same time; look again")
	}
	return nil
}

func (c BeginErasure) apply(e env, _ broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	e.erasures = append(slices.Clip(e.erasures), Erasure{BeginErasure: c, Begun: e.when})
	return nil
}

// EndErasure says that the key-encryption keys of an erasure are destroyed: what they wrapped, and no other wraps now, is erased.
type EndErasure struct {
	Erasure int `json:"erasure"`
}

func (EndErasure) kind() string                   { return "erasure.ended" }
func (EndErasure) key(TouchFunc) (string, string) { return "", "" }
func (EndErasure) touches(env) []broker.Touch     { return nil }

func (c EndErasure) check(e env) (Command, error) {
	if err := c.fits(e); err != nil {
		return nil, fmt.Errorf("end erasure: %w", err)
	}
	return c, nil
}

func (c EndErasure) fits(e env) error {
	if n := len(e.erasures); n == 0 || c.Erasure != n || !e.erasures[n-1].Ended.IsZero() {
		return errors.New("this erasure is not under way")
	}
	return nil
}

func (c EndErasure) apply(e env, _ broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	e.erasures = slices.Clone(e.erasures)
	e.erasures[c.Erasure-1].Ended = e.when
	e.forget(e.erasures[c.Erasure-1].Residents, e.touch)
	e.forgetStaff(e.erasures[c.Erasure-1].Staff, e.touch)
	return nil
}

// Erasures lists all erasures, in order.
func (r *Register) Erasures() []Erasure {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.state.erasures)
}

// OpenCasesOf lists the open cases that a person is in.
func (r *Register) OpenCasesOf(b broker.BSN) []broker.CaseID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var ids []broker.CaseID
	for _, record := range r.state.openCases(r.state.index.keys.ofSubject(b)) {
		ids = append(ids, idOf(record))
	}
	return ids
}

// CaseKey names the data key of a case.
func (r *Register) CaseKey(id broker.CaseID) string { return keyOfCase(r.cfg.Touch.ofCase(id)) }

// Dossier is what the stream has of one case, of what one resident asked and who represents them, or of who one officer is or who is
// in one team.
type Dossier struct {
	Key    string
	Parts  int
	Closed time.Time // zero while it is open: a case; a request, restriction or representation of a resident; an officer or team
}

// Dossiers reads which entries are about which case, resident, officer or team, by the references of their parts alone (keys.Ring.OpenRef): it
// opens none, and also knows those that were erased.
func (r *Register) Dossiers(ctx context.Context, keyOf func(ref []byte) (string, error)) ([]Dossier, error) {
	out, err := readDossiers(ctx, r.cfg.Store, keyOf)
	ends, staff := r.residentsEnd(), r.staffNow()
	for i, d := range out {
		if IsStaffKey(d.Key) {
			if !staff[d.Key] {
				out[i].Closed = time.Time{}
			}
			continue
		}
		if _, is := ResidentOf(d.Key); !is {
			continue
		}
		if end, known := ends[d.Key]; known && (end.IsZero() || d.Closed.Before(end)) {
			out[i].Closed = end
		}
	}
	return out, err
}

func readDossiers(ctx context.Context, store Store, keyOf func(ref []byte) (string, error)) ([]Dossier, error) {
	at := map[string]int{}
	var out []Dossier
	for after := (journal.ID{}); ; {
		page, err := store.Read(ctx, journal.Register, after, readAtOnce)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, e := range page {
			s, err := readEntry(e)
			if err != nil {
				return nil, fmt.Errorf("read register entry %s: %w", e.ID, err)
			}
			if s.Kind == (SuspendOfficer{}).kind() {
				if c, err := decode[SuspendOfficer](s.Body); err == nil {
					if n, known := at[keyOfOfficer(c.Officer)]; known {
						out[n].Closed = s.Time
					}
				}
			}
			if s.Part == nil {
				continue
			}
			key, err := keyOf(s.Part.Ref)
			if err != nil {
				return nil, fmt.Errorf("read register entry %s: %w", e.ID, err)
			}
			_, resident := ResidentOf(key)
			if staff := IsStaffKey(key); staff || resident || strings.HasPrefix(key, caseKeys) {
				n, known := at[key]
				if !known {
					n = len(out)
					at[key], out = n, append(out, Dossier{Key: key})
				}
				out[n].Parts++
				if out[n].Closed = (time.Time{}); staff || resident || s.Kind == (CloseCase{}).kind() {
					out[n].Closed = s.Time
				}
			}
		}
		after = page[len(page)-1].ID
	}
}
