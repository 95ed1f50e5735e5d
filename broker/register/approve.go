package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// ApprovePolicy is an officer's word for a draft with exactly these reports. Its author can't give it.
type ApprovePolicy struct {
	Draft    int             `json:"draft"`
	Revision broker.Revision `json:"revision"`
	Base     broker.Revision `json:"base"`
	Reports
	Approver  OfficerRef `json:"approver"`
	Signature string     `json:"signature,omitempty"` // compact JWS by the approver over Payload
}

// Payload is what the approver signs.
func (c ApprovePolicy) Payload() []byte { c.Signature = ""; return mustEncode(c) }

func (ApprovePolicy) kind() string                   { return "policy.approved" }
func (ApprovePolicy) key(TouchFunc) (string, string) { return "", "" }
func (ApprovePolicy) touches(env) []broker.Touch     { return nil }

func (c ApprovePolicy) check(e env) (Command, error) {
	if _, err := c.fits(e); err != nil {
		return nil, fmt.Errorf("approve policy: %w", err)
	}
	return c, nil
}

func (c ApprovePolicy) fits(e env) (*Officer, error) {
	d, err := e.checkedDraft(c.Draft, c.Revision, c.Base, c.Reports)
	if err != nil {
		return nil, err
	}
	if c.Approver == d.Author {
		return nil, broker.Told("Wie een voorstel indiende kan het niet zelf goedkeuren; vraag een collega.", "who wrote a draft can't approve it; ask a colleague")
	}
	o, err := e.acting(c.Approver, broker.Text{NL: "deze wijziging goedkeuren", EN: "approve this change"}, d.approvers()...)
	if err != nil {
		return nil, err
	}
	if e.signed(d.kind(), []json.RawMessage{o.Key}, d.Payload(), d.Signature) == nil { // keys change hands; this one is what counts
		return nil, broker.Told("Uw sleutel heeft dit voorstel al ondertekend bij het indienen; vraag een collega met een eigen sleutel.",
			"the approver has the key that signed the draft; ask a colleague")
	}
	if !slices.Contains(e.waitsFor(d), o.Role) {
		return nil, broker.Told(fmt.Sprintf("Een %s keurde dit voorstel al goed.", o.Role), fmt.Sprintf("a %s approved it already", o.Role))
	}
	return o, e.signedBy(o, c.kind(), c.Payload(), c.Signature)
}

func (c ApprovePolicy) apply(e env, _ broker.Position) error {
	o, err := c.fits(e)
	if err != nil {
		return err
	}
	return e.changeDraft(c.Draft, func(d *proposal) {
		d.Approved = append(slices.Clip(d.Approved), approval{c, o.Role, e.when})
	})
}

// AgreePolicy is a holder's word that it gives what a draft widens.
type AgreePolicy struct {
	Draft    int             `json:"draft"`
	Revision broker.Revision `json:"revision"`
	Base     broker.Revision `json:"base"`
	Reports
	Holder    broker.OIN `json:"holder"`
	Signature string     `json:"signature,omitempty"` // compact JWS by the holder over Payload
}

// Payload is what the holder signs.
func (c AgreePolicy) Payload() []byte { c.Signature = ""; return mustEncode(c) }

func (AgreePolicy) kind() string                   { return "policy.agreed" }
func (AgreePolicy) key(TouchFunc) (string, string) { return "", "" }
func (AgreePolicy) touches(env) []broker.Touch     { return nil }

func (c AgreePolicy) check(e env) (Command, error) {
	if err := c.fits(e); err != nil {
		return nil, fmt.Errorf("agree to policy: %w", err)
	}
	return c, nil
}

func (c AgreePolicy) fits(e env) error {
	d, err := e.checkedDraft(c.Draft, c.Revision, c.Base, c.Reports)
	if err != nil {
		return err
	}
	if !slices.Contains(e.waitsForHolders(d), c.Holder) {
		return broker.Told("Het voorstel wacht niet op deze houder; op de pagina staat op wie wel.",
			"it does not wait for this holder; `schakel policy status` shows for whom it waits")
	}
	var good []json.RawMessage
	for _, k := range e.agencies.get(c.Holder).Keys {
		if !k.Suspended {
			good = append(good, k.JWK)
		}
	}
	if err := e.signed(c.kind(), good, c.Payload(), c.Signature); err != nil {
		return fmt.Errorf("%w: %w", broker.Told("De handtekening is niet van een geldige sleutel van deze houder, of de verklaring is gewijzigd; vraag een nieuwe verklaring.",
			"verify signature of the holder"), err)
	}
	return nil
}

func (c AgreePolicy) apply(e env, _ broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	return e.changeDraft(c.Draft, func(d *proposal) { d.Agreed = append(slices.Clip(d.Agreed), agreedBy{c, e.when}) })
}

// ActivatePolicy makes a revision the one that decides, on every gateway at once: that of an approved draft, or, where
// there is none yet, the first without one.
type ActivatePolicy struct {
	Revision broker.Revision `json:"revision"`
	Draft    int             `json:"draft,omitempty"`
	Base     broker.Revision `json:"base,omitempty"`
}

func (ActivatePolicy) kind() string                   { return "policy.activated" }
func (ActivatePolicy) key(TouchFunc) (string, string) { return "", "" }
func (ActivatePolicy) touches(env) []broker.Touch     { return []broker.Touch{broker.TouchAll} }

func (c ActivatePolicy) check(e env) (Command, error) {
	err := checkRevision(c.Revision)
	if err == nil {
		err = c.fits(e)
	}
	if err != nil {
		return nil, fmt.Errorf("activate policy: %w", err)
	}
	return c, nil
}

func (c ActivatePolicy) fits(e env) error {
	if c.Draft == 0 {
		switch {
		case c.Revision == e.revision:
			return errors.New("this revision is the active one already")
		case e.revision != "":
			return errors.New("a revision is live, so the next one must be drafted and approved; begin with `schakel policy submit`")
		}
		return nil
	}
	d, err := e.openDraft(c.Draft, c.Revision, c.Base)
	if err != nil {
		return err
	}
	if d.Checked == nil {
		return errors.New("it was not checked yet; submit it again")
	}
	if roles := e.waitsFor(d); len(roles) > 0 {
		return broker.Told("Het voorstel wacht op de goedkeuring van een andere "+either(roles, "of")+" dan de indiener.",
			fmt.Sprintf("it waits for the approval of another %s than its author; `schakel policy approve %d`", joined(roles), c.Draft))
	}
	if holders := e.waitsForHolders(d); len(holders) > 0 {
		return broker.Told("Houders gaan door dit voorstel meer geven. Het wacht op de instemming van "+either(holders, "of")+".",
			fmt.Sprintf("it widens what holders give, and waits for the approval of %s; `schakel policy agree %d`", joined(holders), c.Draft))
	}
	return nil
}

func (c ActivatePolicy) apply(e env, at broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	if c.Draft > 0 {
		_ = e.changeDraft(c.Draft, func(d *proposal) { d.Live = e.when })
	}
	e.activate(Activation{Revision: c.Revision, Base: e.revision, Draft: c.Draft, Position: at, When: e.when}, nil)
	return nil
}

// StopPolicy is the emergency stop: a revision that refuses everything takes the place of the live one at once, on the
// word of one officer. Whoever loads it makes sure that it is that of its base and refuses everything.
type StopPolicy struct {
	Revision  broker.Revision `json:"revision"`
	Base      broker.Revision `json:"base"`
	Reason    string          `json:"reason"`
	Officer   OfficerRef      `json:"officer"`
	Signature string          `json:"signature,omitempty"` // compact JWS by the officer over Payload
}

// Payload is what the officer signs.
func (c StopPolicy) Payload() []byte { c.Signature = ""; return mustEncode(c) }

func (StopPolicy) kind() string                   { return "policy.stopped" }
func (StopPolicy) key(TouchFunc) (string, string) { return "", "" }
func (StopPolicy) touches(env) []broker.Touch     { return []broker.Touch{broker.TouchAll} }

func (c StopPolicy) check(e env) (Command, error) {
	err := checkRevision(c.Revision)
	if err == nil {
		err = checkText(broker.Text{NL: "een reden", EN: "a reason"}, c.Reason, 500)
	}
	if err == nil {
		err = c.fits(e)
	}
	if err != nil {
		return nil, fmt.Errorf("stop policy: %w", err)
	}
	return c, nil
}

func (c StopPolicy) fits(e env) error {
	if e.stop != nil {
		return broker.Told("Alles ligt al stil. De weg terug: maak in de geschiedenis een ontwerp van een eerdere revisie.",
			"it is stopped already; `schakel policy rollback` prepares the way back")
	}
	if c.Revision == e.revision {
		return errors.New("this revision is live already")
	}
	if err := e.live(c.Base); err != nil {
		return err
	}
	o, err := e.acting(c.Officer, broker.Text{NL: "alles stilleggen", EN: "stop everything"}, RolePrivacyOfficer, RoleJurist)
	if err != nil {
		return err
	}
	return e.signedBy(o, c.kind(), c.Payload(), c.Signature)
}

func (c StopPolicy) apply(e env, at broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	e.activate(Activation{Revision: c.Revision, Base: c.Base, Position: at, When: e.when, Stop: true},
		&Stop{Base: c.Base, Reason: c.Reason, Officer: c.Officer, When: e.when})
	return nil
}

func (s *state) activate(a Activation, stop *Stop) {
	s.revision, s.draft, s.stop = a.Revision, a.Draft, stop
	s.history = append(slices.Clip(s.history), a)
}

// checkedDraft finds a draft that was checked with these reports.
func (e env) checkedDraft(number int, revision, base broker.Revision, reports Reports) (*proposal, error) {
	d, err := e.openDraft(number, revision, base)
	switch {
	case err != nil:
		return nil, err
	case d.Checked == nil:
		return nil, errors.New("it was not checked yet; submit it again")
	case d.Checked.Reports != reports:
		return nil, broker.Told("De rapporten zijn andere dan waarvoor is getekend; bekijk het voorstel opnieuw.",
			"its reports are others than these; look at the draft again and approve what it is")
	}
	return d, nil
}

// approvers are the roles that a draft needs the approval of.
func (d *proposal) approvers() []OfficerRole {
	var roles []OfficerRole
	if d.Rules {
		roles = append(roles, RolePrivacyOfficer)
	}
	if d.Guardrails {
		roles = append(roles, RoleJurist)
	}
	return roles
}

// waitsFor are the roles whose approval a draft still needs. An approval counts while its officer is good, and in the
// role they had.
func (s *state) waitsFor(d *proposal) []OfficerRole {
	var roles []OfficerRole
	for _, role := range d.approvers() {
		if !slices.ContainsFunc(d.Approved, func(a approval) bool {
			o := s.officers.get(a.Approver)
			return a.Role == role && o != nil && !o.Suspended && o.Role == role
		}) {
			roles = append(roles, role)
		}
	}
	return roles
}

// waitsForHolders are the holders that would give more and have not said that they do. A holder gives what an agreement
// of it is about, whatever its days: one that ran out may be given anew.
func (s *state) waitsForHolders(d *proposal) []broker.OIN {
	if d.Checked == nil || len(d.Checked.Widens) == 0 {
		return nil
	}
	var out []broker.OIN
	for l := &s.agreements; l != nil; l = l.below {
		for id, a := range l.own {
			if a != s.agreements.get(id) || a.withdrawn || slices.Contains(out, a.Holder) {
				continue
			}
			holder := s.agencies.get(a.Holder)
			if holder.Suspended || slices.ContainsFunc(d.Agreed, func(g agreedBy) bool { return g.Holder == a.Holder }) {
				continue
			}
			if slices.ContainsFunc(d.Checked.Widens, func(w Widening) bool {
				return slices.Contains(w.Kinds, holder.Kind) && slices.Contains(a.Domains, w.Domain)
			}) {
				out = append(out, a.Holder)
			}
		}
	}
	slices.Sort(out)
	return out
}

// signedBy verifies what an officer signed.
func (e env) signedBy(o *Officer, kind string, payload []byte, signature string) error {
	if signature == "" {
		return errors.New("it is not signed; sign it with the officer's own key (--key)")
	}
	if err := e.signed(kind, []json.RawMessage{o.Key}, payload, signature); err != nil {
		return fmt.Errorf("%w: %w", broker.Told("De handtekening is niet van de sleutel die het register van deze functionaris kent; laat de beheerder de sleutel nagaan.",
			"verify signature of the officer"), err)
	}
	return nil
}

// Activation is a moment at which a revision became the one that decides.
type Activation struct {
	Revision broker.Revision `json:"revision"`
	Base     broker.Revision `json:"base,omitempty"`  // that it took the place of
	Draft    int             `json:"draft,omitempty"` // that brought it
	Stop     bool            `json:"stop,omitempty"`  // the emergency stop
	Position broker.Position `json:"position"`
	When     time.Time       `json:"when"`
}

// Stop is an emergency stop.
type Stop struct {
	Base    broker.Revision `json:"base"` // what was live before
	Reason  string          `json:"reason"`
	Officer OfficerRef      `json:"officer"`
	When    time.Time       `json:"when"`
}
