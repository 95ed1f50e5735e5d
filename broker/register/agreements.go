package register

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// Agreement is a holder's word that it discloses data of these domains to this recipient for these purposes, from one
// calendar day (Amsterdam) to another, both included; without Until there is no end.
type Agreement struct {
	ID        string           `json:"id"`
	Holder    broker.OIN       `json:"holder"`
	Recipient broker.OIN       `json:"recipient"`
	Purposes  []broker.Purpose `json:"purposes"`
	Domains   []broker.Domain  `json:"domains"`
	From      broker.Date      `json:"from"`
	Until     broker.Date      `json:"until,omitzero"`
	Signature string           `json:"signature,omitempty"` // compact JWS by the holder over Payload
}

// Payload is what the holder signs: canonical JSON of everything but the signature, lists sorted.
func (a Agreement) Payload() []byte {
	a = a.sorted()
	a.Signature = ""
	data, err := encode(a)
	if err != nil {
		panic("encode agreement: " + err.Error()) // strings and dates can't fail
	}
	return data
}

func (a Agreement) sorted() Agreement {
	a.Purposes, a.Domains = sortedSet(a.Purposes), sortedSet(a.Domains)
	return a
}

// AddAgreement records an agreement that its holder signed.
type AddAgreement struct{ Agreement }

func (AddAgreement) kind() string                   { return "agreement.added" }
func (AddAgreement) key(TouchFunc) (string, string) { return "", "" }

func (c AddAgreement) touches(e env) []broker.Touch { return e.touch.ofAgreement(c.Agreement) }

func (t TouchFunc) ofAgreement(a Agreement) []broker.Touch {
	return []broker.Touch{t.ofAgency(a.Holder), t.ofAgency(a.Recipient)}
}

func (c AddAgreement) check(e env) (Command, error) {
	bad := func(err error) (Command, error) { return nil, fmt.Errorf("add agreement: %w", err) }
	if err := checkID("an agreement", c.ID); err != nil {
		return bad(err)
	}
	if e.agreements.get(c.ID) != nil {
		return bad(fmt.Errorf("there is an agreement %s already, or there was; choose another id", c.ID))
	}
	holder, err := e.knownAgency(c.Holder)
	if err != nil {
		return bad(fmt.Errorf("holder: %w", err))
	}
	if holder.Suspended {
		return bad(fmt.Errorf("holder %s is suspended; resume it first", c.Holder))
	}
	if _, err := e.knownAgency(c.Recipient); err != nil {
		return bad(fmt.Errorf("recipient: %w", err))
	}
	if c.Signature == "" {
		return bad(errors.New("the holder must sign it; `signature` is a compact JWS over its canonical JSON"))
	}
	if err := e.checkTerms(c.Purposes, c.Domains, c.From, c.Until); err != nil {
		return bad(err)
	}
	return AddAgreement{c.sorted()}, nil
}

// apply verifies the signature again each time the register is read: whoever can write the stream still can't make a
// holder agree.
func (c AddAgreement) apply(e env, _ broker.Position) error {
	holder := e.agencies.get(c.Holder)
	if holder == nil {
		return errors.New("it is about a holder that was never added")
	}
	if err := e.verify(holder.Agency, c.Agreement); err != nil {
		return fmt.Errorf("verify signature of agreement %s: %w", c.ID, err)
	}
	e.agreements.put(c.ID, &agreement{Agreement: c.Agreement})
	e.index.agree(c.Agreement)
	return nil
}

// WithdrawAgreement ends an agreement at once.
type WithdrawAgreement struct {
	ID string `json:"id"`
}

func (WithdrawAgreement) kind() string                   { return "agreement.withdrawn" }
func (WithdrawAgreement) key(TouchFunc) (string, string) { return "", "" }

func (c WithdrawAgreement) touches(e env) []broker.Touch {
	return e.touch.ofAgreement(e.agreements.get(c.ID).Agreement)
}

func (c WithdrawAgreement) check(e env) (Command, error) {
	a := e.agreements.get(c.ID)
	switch {
	case checkID("an agreement", c.ID) != nil || a == nil:
		return nil, errors.New("withdraw agreement: there is none with this id; `schakel register agreement list` shows them")
	case a.withdrawn:
		return nil, fmt.Errorf("withdraw agreement: %s was withdrawn already", c.ID)
	}
	return c, nil
}

func (c WithdrawAgreement) apply(e env, _ broker.Position) error {
	a := e.agreements.get(c.ID)
	if a == nil {
		return errors.New("it withdraws an agreement that was never added")
	}
	e.agreements.put(c.ID, &agreement{Agreement: a.Agreement, withdrawn: true})
	e.index.withdraw(a.Agreement)
	return nil
}

// checkTerms checks what agreements and consents have in common.
func (e env) checkTerms(purposes []broker.Purpose, domains []broker.Domain, from, until broker.Date) error {
	if e.catalog == nil {
		return errors.New("there is no policy to take the purposes and domains from; give one first")
	}
	if len(purposes) == 0 || len(domains) == 0 {
		return errors.New("it needs at least one purpose and one domain")
	}
	if err := known("purpose", purposes, e.catalog.Purposes); err != nil {
		return err
	}
	if err := known("domain", domains, e.catalog.Domains); err != nil {
		return err
	}
	if !wholeDay(from) || (until != broker.Date{} && !wholeDay(until)) {
		return errors.New("from and until are whole days, YYYY-MM-DD; leave until out where there is no end")
	}
	if until != (broker.Date{}) && (earlier(until, from) || earlier(until, today(e.now))) {
		return errors.New("until lies before from or before today; it is the last day that counts")
	}
	return nil
}

func wholeDay(d broker.Date) bool {
	_, err := broker.ParseDate(d.Digits())
	return err == nil && d.Day != 0
}

func sortedSet[T ~string](in []T) []T {
	out := append(make([]T, 0, len(in)), in...)
	slices.Sort(out)
	return slices.Compact(out)
}

// checkID checks the id of a case or an agreement. The error doesn't repeat it: it may be a BSN by mistake.
func checkID(what, id string) error {
	ok := id != "" && len(id) <= 64
	for _, r := range id {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	if !ok {
		return fmt.Errorf("the id of %s is 1 to 64 of a-z, A-Z, 0-9, '-', '.' and '_'", what)
	}
	if _, err := broker.ParseBSN(id); err == nil {
		return fmt.Errorf("the id of %s may not be a BSN: it is shown; choose another", what)
	}
	return nil
}
