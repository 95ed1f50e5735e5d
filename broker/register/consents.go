package register

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// ConsentKind tells the two apart that law tells apart.
type ConsentKind string

// Closed list of ConsentKind.
const (
	KindConsent ConsentKind = "consent" // AVG 6(1)a
	KindRelease ConsentKind = "release" // from professional secrecy, WGBO 7:457
)

// Givers of consent: who may give it depends on age and regime, which policy judges.
const (
	BySelf           = "self"
	ByRepresentative = "representative"
	ByBoth           = "both"
)

// Consent is what a person in a case allows: that data of a domain goes to a recipient for these purposes, from one
// calendar day (Amsterdam) to another, both included; without Until until it is withdrawn.
type Consent struct {
	Case      broker.CaseID    `json:"case"`
	Person    broker.BSN       `json:"person"`
	Kind      ConsentKind      `json:"kind"`
	Domain    broker.Domain    `json:"domain"`
	Recipient broker.OIN       `json:"recipient"`
	Purposes  []broker.Purpose `json:"purposes"`
	From      broker.Date      `json:"from"`
	Until     broker.Date      `json:"until,omitzero"`
	GivenBy   string           `json:"givenBy"`
}

// GiveConsent records a consent.
type GiveConsent struct{ Consent }

func (GiveConsent) kind() string                           { return "consent.given" }
func (c GiveConsent) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c GiveConsent) touches(e env) []broker.Touch {
	return caseTouches(e.touch, e.cases.get(c.Case))
}

func (c GiveConsent) check(e env) (Command, error) {
	bad := func(err error) (Command, error) { return nil, fmt.Errorf("give consent: %w", err) }
	f, err := e.openCase(c.Case)
	if err != nil {
		return bad(err)
	}
	if err := f.checkConsent(c.Person, c.Kind); err != nil {
		return bad(err)
	}
	if _, err := e.knownAgency(c.Recipient); err != nil {
		return bad(fmt.Errorf("recipient: %w", err))
	}
	if err := e.checkTerms(c.Purposes, []broker.Domain{c.Domain}, c.From, c.Until); err != nil {
		return bad(err)
	}
	if !slices.Contains([]string{BySelf, ByRepresentative, ByBoth}, c.GivenBy) {
		return bad(errors.New("givenBy is one of self, representative and both"))
	}
	c.Purposes = sortedSet(c.Purposes)
	return c, nil
}

func (f *caseFile) checkConsent(person broker.BSN, kind ConsentKind) error {
	if kind != KindConsent && kind != KindRelease {
		return errors.New("its kind is consent (AVG) or release (from professional secrecy)")
	}
	if bsn := packBSN(person); bsn == 0 || f.member(bsn) < 0 {
		return fmt.Errorf("this person is not in case %s; check the BSN and the case", f.id)
	}
	return nil
}

func (c GiveConsent) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, func(f *caseFile) *caseFile {
		g := *f
		if f.member(packBSN(c.Person)) >= 0 { // no command gives consent for somebody else, but an entry might: it counts for nobody
			g.consents = append(slices.Clone(f.consents), c.Consent)
		}
		return &g
	})
}

// WithdrawConsent ends what a person allowed, at once and for what remains of it: without Recipient for every recipient,
// without Purposes for every purpose.
type WithdrawConsent struct {
	Case      broker.CaseID    `json:"case"`
	Person    broker.BSN       `json:"person"`
	Kind      ConsentKind      `json:"kind"`
	Domain    broker.Domain    `json:"domain"`
	Recipient broker.OIN       `json:"recipient,omitempty"`
	Purposes  []broker.Purpose `json:"purposes,omitempty"`
}

func (WithdrawConsent) kind() string                           { return "consent.withdrawn" }
func (c WithdrawConsent) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c WithdrawConsent) touches(e env) []broker.Touch {
	return caseTouches(e.touch, e.cases.get(c.Case))
}

func (c WithdrawConsent) check(e env) (Command, error) {
	f, err := e.openCase(c.Case)
	if err == nil {
		err = f.checkConsent(c.Person, c.Kind)
	}
	if err == nil && !slices.ContainsFunc(f.consents, func(g Consent) bool { return c.left(g) != nil }) {
		err = fmt.Errorf("nothing like it was given in case %s; `schakel register consent list` shows what was", c.Case)
	}
	if err != nil {
		return nil, fmt.Errorf("withdraw consent: %w", err)
	}
	return c, nil
}

// left gives the purposes for which a consent still stands; nil where the withdrawal doesn't concern it.
func (c WithdrawConsent) left(g Consent) []broker.Purpose {
	if g.Person != c.Person || g.Kind != c.Kind || g.Domain != c.Domain || (c.Recipient != "" && c.Recipient != g.Recipient) {
		return nil
	}
	left := []broker.Purpose{}
	for _, p := range g.Purposes {
		if len(c.Purposes) > 0 && !slices.Contains(c.Purposes, p) {
			left = append(left, p)
		}
	}
	if len(left) == len(g.Purposes) {
		return nil
	}
	return left
}

func (c WithdrawConsent) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, func(f *caseFile) *caseFile {
		g := *f
		g.consents = nil
		for _, given := range f.consents {
			if left := c.left(given); left != nil {
				given.Purposes = left
			}
			if len(given.Purposes) > 0 {
				g.consents = append(g.consents, given)
			}
		}
		return &g
	})
}

// DeclareEmergency says that there is acute danger in a household, until a moment, and in which domains holders agreed to
// share. Ground is the written balance; it is kept in the log only.
type DeclareEmergency struct {
	Case    broker.CaseID   `json:"case"`
	Domains []broker.Domain `json:"domains"`
	Until   time.Time       `json:"until"`
	Ground  string          `json:"ground"`
}

func (DeclareEmergency) kind() string                           { return "emergency.declared" }
func (c DeclareEmergency) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c DeclareEmergency) touches(e env) []broker.Touch {
	return caseTouches(e.touch, e.cases.get(c.Case))
}

func (c DeclareEmergency) check(e env) (Command, error) {
	_, err := e.openCase(c.Case)
	switch {
	case err != nil:
	case e.catalog == nil:
		err = errors.New("there is no policy to take the domains from; give one first")
	case !c.Until.After(e.now):
		err = errors.New("until must lie in the future; an emergency ends by itself then")
	case len(c.Ground) < 10 || len(c.Ground) > 4000:
		err = errors.New("write down the balance that was made, in 10 to 4000 bytes of `ground`")
	default:
		err = known("domain", c.Domains, e.catalog.Domains)
	}
	if err != nil {
		return nil, fmt.Errorf("declare emergency: %w", err)
	}
	c.Domains, c.Until = sortedSet(c.Domains), c.Until.UTC().Truncate(time.Second)
	return c, nil
}

func (c DeclareEmergency) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, func(f *caseFile) *caseFile {
		g := *f
		g.emergency = emergency{domains: c.Domains, until: c.Until}
		return &g
	})
}

// EndEmergency ends it before its time.
type EndEmergency struct {
	Case broker.CaseID `json:"case"`
}

func (EndEmergency) kind() string                           { return "emergency.ended" }
func (c EndEmergency) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c EndEmergency) touches(e env) []broker.Touch {
	return caseTouches(e.touch, e.cases.get(c.Case))
}

func (c EndEmergency) check(e env) (Command, error) {
	f, err := e.openCase(c.Case)
	if err == nil && !f.emergency.declared() {
		err = fmt.Errorf("none was declared in case %s", c.Case)
	}
	if err != nil {
		return nil, fmt.Errorf("end emergency: %w", err)
	}
	return c, nil
}

func (c EndEmergency) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, func(f *caseFile) *caseFile {
		g := *f
		g.emergency = emergency{}
		return &g
	})
}
