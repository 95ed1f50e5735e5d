package register

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// CaseKind says what brought a household into the register.
type CaseKind string

// Closed list of CaseKind.
const (
	KindCase   CaseKind = "case"   // help to a household; binds workers, teams and their agencies
	KindSignal CaseKind = "signal" // an early signal of arrears (vroegsignalering); binds assigned workers and teams
	KindClaim  CaseKind = "claim"  // an agency's own claim; binds workers assigned at that agency
)

// Case is a dossier around one household. It holds what may bind an asker to these persons, and the holders that may be
// asked about them; nothing else.
type Case struct {
	ID           broker.CaseID `json:"id"`
	Kind         CaseKind      `json:"kind"`
	Agency       broker.OIN    `json:"agency"`                 // that opened it
	Municipality string        `json:"municipality,omitempty"` // CBS code of the household's, four digits
	Persons      []Person      `json:"persons"`                // the reference person first
	Holders      []Holder      `json:"holders"`
	Workers      []Worker      `json:"workers"`
	Teams        []Team        `json:"teams"`
	Coordinator  Worker        `json:"coordinator,omitzero"` // the casusregisseur; is assigned by being so
}

// Person is one member of a household.
type Person struct {
	BSN        broker.BSN  `json:"bsn"`
	Birth      broker.Date `json:"birth"`
	Restricted bool        `json:"restricted,omitempty"` // verstrekkingsbeperking
	Deceased   bool        `json:"deceased,omitempty"`
}

// Holder is an agency that holds data about some persons of a case, or without Persons about all.
type Holder struct {
	OIN     broker.OIN   `json:"oin"`
	Persons []broker.BSN `json:"persons,omitempty"`
}

// caseKey is the key of everything about a case: all of it can be read, or nothing.
func caseKey(touch TouchFunc, id broker.CaseID) (keyID, part string) {
	return keyOfCase(touch.ofCase(id)), "case"
}

// caseKeys begins the names of the data keys of cases.
const caseKeys = "case:"

func keyOfCase(t broker.Touch) string { return caseKeys + string(t) }

// caseTouches are those of every entry about a case: the case, and each person in it, since a household is also found by
// a person.
func caseTouches(touch TouchFunc, c *caseFile) []broker.Touch {
	out := []broker.Touch{touch.ofCase(c.id)}
	for _, m := range c.members {
		out = append(out, touch.ofSubject(m.reveal()))
	}
	return out
}

// OpenCase opens a case.
type OpenCase struct{ Case }

func (OpenCase) kind() string                           { return "case.opened" }
func (c OpenCase) key(touch TouchFunc) (string, string) { return caseKey(touch, c.ID) }

func (c OpenCase) touches(e env) []broker.Touch {
	return caseTouches(e.touch, c.file(0))
}

func (c OpenCase) check(e env) (Command, error) {
	bad := func(err error) (Command, error) { return nil, fmt.Errorf("open case: %w", err) }
	if err := checkID("a case", string(c.ID)); err != nil {
		return bad(err)
	}
	if e.cases.get(c.ID) != nil {
		return bad(fmt.Errorf("there is a case %s already, or there was; choose another id", c.ID))
	}
	if !slices.Contains([]CaseKind{KindCase, KindSignal, KindClaim}, c.Kind) {
		return bad(errors.New("its kind is one of case, signal and claim"))
	}
	if a, err := e.knownAgency(c.Agency); err != nil {
		return bad(err)
	} else if a.Suspended {
		return bad(fmt.Errorf("agency %s is suspended; resume it first", c.Agency))
	}
	if c.Municipality != "" && !isMunicipality(c.Municipality) {
		return bad(errors.New("the municipality is the CBS code, four digits"))
	}
	if err := c.checkPersons(e); err != nil {
		return bad(err)
	}
	file := c.file(0)
	file.workers, file.teams, file.coordinator = nil, nil, Worker{}
	for _, a := range c.assignments() {
		if err := a.fits(e, file); err != nil {
			return bad(err)
		}
		file = a.to(file)
	}
	return c, nil
}

func (c OpenCase) checkPersons(e env) error {
	if len(c.Persons) == 0 || len(c.Persons) > 50 || len(c.Holders) > 50 {
		return errors.New("it has 1 to 50 persons, the reference person first, and at most 50 holders")
	}
	for i, p := range c.Persons {
		if _, err := broker.ParseBSN(p.BSN.Reveal()); err != nil {
			return fmt.Errorf("person %d: %w", i+1, err)
		}
		if _, err := broker.ParseDate(p.Birth.Digits()); err != nil {
			return fmt.Errorf("person %d: birth: %w", i+1, err)
		}
		if c.person(p.BSN) != i {
			return fmt.Errorf("person %d stands in it twice", i+1)
		}
	}
	for i, h := range c.Holders {
		if _, err := e.knownAgency(h.OIN); err != nil {
			return fmt.Errorf("holder: %w", err)
		}
		if slices.IndexFunc(c.Holders, func(o Holder) bool { return o.OIN == h.OIN }) != i {
			return fmt.Errorf("holder %s stands in it twice; name all its persons at once", h.OIN)
		}
		for _, b := range h.Persons {
			if c.person(b) < 0 {
				return fmt.Errorf("holder %s is named for a person who is not in the case", h.OIN)
			}
		}
	}
	return nil
}

func (c Case) person(b broker.BSN) int {
	return slices.IndexFunc(c.Persons, func(p Person) bool { return p.BSN == b })
}

func (c Case) assignments() []assignment {
	var out []assignment
	for _, w := range c.Workers {
		out = append(out, assignment{Case: c.ID, Agency: w.Agency, Worker: w.Worker})
	}
	for _, t := range c.Teams {
		out = append(out, assignment{Case: c.ID, Agency: t.Agency, Team: t.Team})
	}
	if w := c.Coordinator; w != (Worker{}) {
		out = append(out, assignment{Case: c.ID, Agency: w.Agency, Worker: w.Worker, Coordinator: true})
	}
	return out
}

// file gives the case that was opened at a position.
func (c Case) file(at broker.Position) *caseFile {
	f := &caseFile{
		id: c.ID, kind: c.Kind, agency: c.Agency, municipality: c.Municipality, opened: at,
		workers: c.Workers, teams: c.Teams, coordinator: c.Coordinator,
		members: make([]member, 0, len(c.Persons)),
	}
	for _, p := range c.Persons {
		f.members = append(f.members, member{
			bsn:  packBSN(p.BSN),
			year: uint16(p.Birth.Year), month: uint8(p.Birth.Month), day: uint8(p.Birth.Day),
			restricted: p.Restricted, deceased: p.Deceased,
		})
	}
	f.holders = make([]caseHolder, 0, len(c.Holders))
	for _, h := range c.Holders {
		holder := caseHolder{oin: h.OIN}
		for _, b := range h.Persons {
			holder.members = append(holder.members, f.member(packBSN(b)))
		}
		f.holders = append(f.holders, holder)
	}
	return f
}

func (c OpenCase) apply(e env, at broker.Position) error {
	for _, p := range c.Persons {
		if packBSN(p.BSN) == 0 {
			return errors.New("a person in it has no BSN")
		}
	}
	for _, h := range c.Holders {
		for _, b := range h.Persons {
			if c.person(b) < 0 {
				return errors.New("a holder in it is named for a stranger")
			}
		}
	}
	if old := e.cases.get(c.ID); old != nil {
		e.index.close(old) // its key was erased since, so that its id was free where the register was read anew
	}
	f := c.file(at)
	e.cases.put(f)
	e.index.open(f)
	return nil
}

// CloseCase closes a case: from then on it binds nobody to anybody, and its persons leave the view.
type CloseCase struct {
	Case broker.CaseID `json:"case"`
}

func (CloseCase) kind() string                           { return "case.closed" }
func (c CloseCase) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c CloseCase) touches(e env) []broker.Touch         { return caseTouches(e.touch, e.cases.get(c.Case)) }

func (c CloseCase) check(e env) (Command, error) {
	if _, err := e.openCase(c.Case); err != nil {
		return nil, fmt.Errorf("close case: %w", err)
	}
	return c, nil
}

func (c CloseCase) apply(e env, _ broker.Position) error {
	f := e.cases.get(c.Case)
	if f == nil {
		return nil // erased
	}
	e.index.close(f)
	e.cases.put(&caseFile{id: f.id, kind: f.kind, agency: f.agency, opened: f.opened, closed: true})
	return nil
}

// openCase finds a case that a command may be about.
func (s *state) openCase(id broker.CaseID) (*caseFile, error) {
	if err := checkID("a case", string(id)); err != nil {
		return nil, err
	}
	f := s.cases.get(id)
	switch {
	case f == nil:
		return nil, fmt.Errorf("case %s is unknown; `schakel register case list` shows the cases", id)
	case f.closed:
		return nil, fmt.Errorf("case %s is closed; open a new one", id)
	}
	return f, nil
}

// changeCase replaces a case by a changed copy. A case that is not there was erased: nothing can be read of it, so
// nothing is kept of it.
func (s *state) changeCase(id broker.CaseID, change func(*caseFile) *caseFile) error {
	f := s.cases.get(id)
	if f == nil || f.closed {
		return nil
	}
	s.cases.put(change(f))
	return nil
}
