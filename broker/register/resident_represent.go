package register

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
)

// RepresentationKind is why somebody may act for another.
type RepresentationKind string

// Closed list of RepresentationKind.
const (
	ByAuthority   RepresentationKind = "gezag"       // over a child (BW 1:245), whose rights it uses until it is sixteen (UAVG 5)
	ByGuardian    RepresentationKind = "curatele"    // BW 1:378
	ByTrustee     RepresentationKind = "bewind"      // BW 1:431
	ByMentor      RepresentationKind = "mentorschap" // BW 1:450
	ByProcuration RepresentationKind = "machtiging"  // given by the person themselves
)

// RepresentationKinds lists them.
func RepresentationKinds() []RepresentationKind {
	return []RepresentationKind{ByAuthority, ByGuardian, ByTrustee, ByMentor, ByProcuration}
}

// ownRightsAt is the age from which a child uses their own rights (UAVG 5).
const ownRightsAt = 16

// Representation says that somebody acts for another, from one calendar day to another, both included. An officer made it after
// seeing proof: the civil registry tells which kind of authority there is over a child, and not who has it.
type Representation struct {
	ID      string             `json:"id"` // ResidentNumber
	By      broker.BSN         `json:"by"`
	About   broker.BSN         `json:"about"`
	Name    string             `json:"name"` // by which the representative knows the other: a given name
	Kind    RepresentationKind `json:"kind"`
	Birth   broker.Date        `json:"birth,omitzero"` // of the child, for gezag alone
	From    broker.Date        `json:"from"`
	Until   broker.Date        `json:"until"`
	Proof   string             `json:"proof"` // which document was seen
	Officer OfficerRef         `json:"officer"`
}

// AddRepresentation records one.
type AddRepresentation struct{ Representation }

func (AddRepresentation) kind() string               { return "representation.added" }
func (AddRepresentation) touches(env) []broker.Touch { return nil }
func (c AddRepresentation) key(touch TouchFunc) (keyID, part string) {
	return keyOfResident(touch, c.About)
}

func (c AddRepresentation) check(e env) (Command, error) {
	err := e.newResidentID(c.ID)
	if err == nil {
		_, err = e.acting(c.Officer, broker.Text{NL: "vastleggen wie wie vertegenwoordigt", EN: "record who represents whom"}, RoleFG, RolePrivacyOfficer)
	}
	if err == nil && c.By == "" {
		err = errors.New("name the representative")
	}
	if err == nil {
		err = checkResidents(c.About, c.By)
	}
	if err == nil {
		err = e.notErasing(c.About)
	}
	if err == nil {
		err = c.checkTerms()
	}
	if err != nil {
		return nil, fmt.Errorf("add representation: %w", err)
	}
	return c, nil
}

func (c Representation) checkTerms() error {
	n := utf8.RuneCountInString(c.Name)
	switch {
	case !slices.Contains(RepresentationKinds(), c.Kind):
		return fmt.Errorf("its kind is one of %s", joined(RepresentationKinds()))
	case n == 0 || n > 60 || !utf8.ValidString(c.Name):
		return errors.New("give the name by which the representative knows the person, in 1 to 60 characters")
	case !c.From.Known() || !c.Until.Known() || earlier(c.Until, c.From):
		return errors.New("say from which day until which day it lasts; it is looked at again then")
	case c.Kind == ByAuthority && !c.Birth.Known():
		return errors.New("gezag needs the child's date of birth: from sixteen on a child uses their own rights")
	case c.Kind == ByAuthority && !earlier(c.Until, ownRights(c.Birth)):
		return fmt.Errorf("gezag ends the day before the child is %d: from then on they use their own rights; choose an earlier until", ownRightsAt)
	case c.Kind != ByAuthority && c.Birth != (broker.Date{}):
		return errors.New("a date of birth belongs to gezag alone")
	}
	return checkWords("which document was seen", c.Proof)
}

// ownRights is the first day on which a child uses their own rights. Where the date of birth is not known in full it is the
// earliest that can be.
func ownRights(birth broker.Date) broker.Date {
	return broker.Date{Year: birth.Year + ownRightsAt, Month: max(1, birth.Month), Day: max(1, birth.Day)}
}

func (c AddRepresentation) apply(e env, _ broker.Position) error {
	r := c.Representation
	e.representations.put(c.ID, &r)
	return nil
}

// EndRepresentation ends one before its time, at once.
type EndRepresentation struct {
	ID      string     `json:"id"`
	About   broker.BSN `json:"about"`
	Officer OfficerRef `json:"officer"`
}

func (EndRepresentation) kind() string               { return "representation.ended" }
func (EndRepresentation) touches(env) []broker.Touch { return nil }
func (c EndRepresentation) key(touch TouchFunc) (keyID, part string) {
	return keyOfResident(touch, c.About)
}

func (c EndRepresentation) check(e env) (Command, error) {
	_, err := e.acting(c.Officer, broker.Text{NL: "een vertegenwoordiging beëindigen", EN: "end a representation"}, RoleFG, RolePrivacyOfficer)
	if r := e.representations.get(c.ID); err == nil && (r == nil || r.About != c.About || earlier(r.Until, today(e.now))) {
		err = errors.New("there is no representation with this number now; `schakel resident represent list` shows them")
	}
	if err != nil {
		return nil, fmt.Errorf("end representation: %w", err)
	}
	return c, nil
}

func (c EndRepresentation) apply(e env, _ broker.Position) error {
	if e.representations.get(c.ID) != nil { // else it was erased
		e.representations.put(c.ID, nil)
	}
	return nil
}

// Represents lists for whom somebody acts today, by number.
func (r *Register) Represents(by broker.BSN) []Representation {
	day := today(r.cfg.Now())
	return r.representations(func(p *Representation) bool { return p.By == by && covers(p.From, p.Until, day) })
}

// Representations lists all that were not ended before their time, by number.
func (r *Register) Representations() []Representation {
	return r.representations(func(*Representation) bool { return true })
}

func (r *Register) representations(which func(*Representation) bool) []Representation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []Representation
	for _, p := range r.state.representations.own {
		if p != nil && which(p) {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b Representation) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
