package register

import (
	"errors"
	"fmt"

	"github.com/schakel/schakel/broker"
)

// RestrictProcessing makes that nothing of a person is given any more (AVG 18), from the next answer on, until it is lifted. It
// is an officer's decision on a request, in which its grounds stand. It says whom it is about by an opaque key and stands in
// clear: what holds data back must not end because a key was erased.
type RestrictProcessing struct {
	Subject broker.Touch `json:"subject"`
	Request string       `json:"request"`
	Officer OfficerRef   `json:"officer"`
}

// LiftRestriction ends it, after the person was told (AVG 18(3)).
type LiftRestriction struct {
	Subject broker.Touch `json:"subject"`
	Request string       `json:"request"`
	Officer OfficerRef   `json:"officer"`
}

// Restrict gives the command that restricts the processing of whom a request is about.
func (r *Register) Restrict(q RequestState, officer OfficerRef) Command {
	return RestrictProcessing{r.cfg.Touch.ofSubject(q.About), q.ID, officer}
}

// Lift gives the command that ends a restriction of whom a request is about.
func (r *Register) Lift(q RequestState, officer OfficerRef) Command {
	return LiftRestriction{r.cfg.Touch.ofSubject(q.About), q.ID, officer}
}

// Restricted tells whether nothing of a person is given now.
func (r *Register) Restricted(bsn broker.BSN) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.restricted.get(r.cfg.Touch.ofSubject(bsn))
}

func (RestrictProcessing) kind() string                   { return "processing.restricted" }
func (RestrictProcessing) key(TouchFunc) (string, string) { return "", "" }
func (c RestrictProcessing) touches(e env) []broker.Touch { return e.touchesOf(c.Request) }

func (c RestrictProcessing) check(e env) (Command, error) {
	err := e.mayRestrict(c.Subject, c.Request, c.Officer)
	if err == nil && e.restricted.get(c.Subject) {
		err = broker.Told("Over deze persoon wordt al niets gegeven.", "nothing of this person is given already")
	}
	if err != nil {
		return nil, fmt.Errorf("restrict processing: %w", err)
	}
	return c, nil
}

func (c RestrictProcessing) apply(e env, _ broker.Position) error {
	e.restricted.put(c.Subject, true)
	return nil
}

func (LiftRestriction) kind() string                   { return "processing.lifted" }
func (LiftRestriction) key(TouchFunc) (string, string) { return "", "" }
func (c LiftRestriction) touches(e env) []broker.Touch { return e.touchesOf(c.Request) }

func (c LiftRestriction) check(e env) (Command, error) {
	err := e.mayRestrict(c.Subject, c.Request, c.Officer)
	if err == nil && !e.restricted.get(c.Subject) {
		err = broker.Told("Er is geen beperking voor deze persoon.", "there is no restriction on this person")
	}
	if err != nil {
		return nil, fmt.Errorf("lift restriction: %w", err)
	}
	return c, nil
}

func (c LiftRestriction) apply(e env, _ broker.Position) error {
	e.restricted.put(c.Subject, false)
	return nil
}

func (e env) mayRestrict(subject broker.Touch, request string, officer OfficerRef) error {
	if _, err := e.acting(officer, broker.Text{NL: "over een beperking beslissen", EN: "decide on a restriction"}, RoleFG, RolePrivacyOfficer); err != nil {
		return err
	}
	r := e.requests.get(request)
	switch {
	case r == nil:
		return errUnknownRequest
	case e.touch.ofSubject(r.About) != subject:
		return errors.New("this request is about another")
	}
	return nil
}

// touchesOf gives what rests on whether the person of a request is restricted: the person, and each open case that they are
// in, since a request may name the case alone, or another person in it.
func (e env) touchesOf(request string) []broker.Touch {
	about := e.requests.get(request).About // it is there: check demands it
	out := []broker.Touch{e.touch.ofSubject(about)}
	for _, f := range e.casesWith(about) {
		out = append(out, e.touch.ofCase(f.id))
	}
	return out
}

// casesWith finds the open cases that a person is in.
func (e env) casesWith(bsn broker.BSN) []*caseFile {
	ids := map[broker.CaseID]bool{}
	for _, record := range e.view.openCases(e.view.index.keys.ofSubject(bsn)) {
		ids[idOf(record)] = true
	}
	for id := range e.cases.changed { // cases that were opened in a state over the view are in no index
		ids[id] = true
	}
	var out []*caseFile
	for id := range ids {
		if f := e.cases.get(id); f != nil && !f.closed && f.member(packBSN(bsn)) >= 0 {
			out = append(out, f)
		}
	}
	return out
}

// markRestricted says of each of some persons whether nothing of them may be given.
func (s *state) markRestricted(persons []broker.Person, touch TouchFunc) {
	if len(s.restricted.own) == 0 { // nearly always
		return
	}
	for i := range persons {
		persons[i].ProcessingRestricted = s.restricted.get(touch.ofSubject(persons[i].BSN))
	}
}
