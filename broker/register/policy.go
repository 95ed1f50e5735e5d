package register

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// policyState is which revision decides, and how that came.
type policyState struct {
	revision broker.Revision
	draft    int // that brought it; 0 for the first revision and for a stop
	stop     *Stop
	count    int // drafts that were ever made
	history  []Activation
}

func (p policyState) record() policyRecord {
	return policyRecord{p.revision, p.draft, p.stop, p.count, p.history}
}

func (p policyRecord) state() policyState {
	return policyState{p.Revision, p.Draft, p.Stop, p.Count, p.History}
}

// proposal is a proposed revision, its reports and who signed for it.
type proposal struct {
	DraftPolicy
	Checked  *CheckPolicy `json:"checked,omitempty"`
	Approved []approval   `json:"approved,omitempty"`
	Agreed   []agreedBy   `json:"agreed,omitempty"`
	Drafted  time.Time    `json:"drafted"`
	Live     time.Time    `json:"live,omitzero"` // when it was activated
}

type approval struct {
	ApprovePolicy
	Role OfficerRole `json:"role"` // that the officer had
	When time.Time   `json:"when"`
}

type agreedBy struct {
	AgreePolicy
	When time.Time `json:"when"`
}

// OutdatedError tells that a draft was made on a revision that is no longer live.
type OutdatedError struct {
	Base, Live broker.Revision
	Underneath []string // files that changed in between, where that was looked up
}

func (o *OutdatedError) Error() string { return o.Unwrap().Error() }

// Unwrap gives the words.
func (o *OutdatedError) Unwrap() error {
	nl, en := "", ""
	if len(o.Underneath) > 0 {
		files := strings.Join(o.Underneath, ", ")
		nl, en = " Daaronder veranderde: "+files+".", "; changed underneath: "+files
	}
	return broker.Told(fmt.Sprintf("Dit is gemaakt op revisie %.12s, en intussen geldt %.12s. Zet het ontwerp daarop en dien het opnieuw in.%s", o.Base, o.Live, nl),
		fmt.Sprintf("it was made on revision %.12s, and %.12s is live now; look what changed and put it on that one with `schakel policy submit --rebase`%s", o.Base, o.Live, en))
}

// live makes sure that what was made on a base still stands on it.
func (e env) live(base broker.Revision) error {
	if base != e.revision {
		return &OutdatedError{Base: base, Live: e.revision}
	}
	return nil
}

// DraftPolicy proposes a revision in the place of the one that is live. Its author signs it.
type DraftPolicy struct {
	Draft      int             `json:"draft"` // its number: one more than drafts there were (Policy.Next)
	Revision   broker.Revision `json:"revision"`
	Base       broker.Revision `json:"base"`
	Title      string          `json:"title"`
	Rules      bool            `json:"rules,omitempty"`      // it changes something else than guardrails
	Guardrails bool            `json:"guardrails,omitempty"` // it changes guardrails
	Author     OfficerRef      `json:"author"`
	Signature  string          `json:"signature,omitempty"` // compact JWS by the author over Payload
}

// Payload is what the author signs.
func (c DraftPolicy) Payload() []byte { c.Signature = ""; return mustEncode(c) }

func (DraftPolicy) kind() string                   { return "policy.drafted" }
func (DraftPolicy) key(TouchFunc) (string, string) { return "", "" }
func (DraftPolicy) touches(env) []broker.Touch     { return nil }

func (c DraftPolicy) check(e env) (Command, error) {
	err := checkRevision(c.Revision)
	if err == nil {
		err = checkText(broker.Text{NL: "een titel", EN: "a title"}, c.Title, 200)
	}
	if err == nil && c.Draft != e.count+1 {
		err = broker.Told("Er werd tegelijk een ander voorstel ingediend; dien dit opnieuw in.", "another draft was made at the same time; submit it again")
	}
	if err == nil {
		err = c.fits(e)
	}
	if err != nil {
		return nil, fmt.Errorf("draft policy: %w", err)
	}
	return c, nil
}

// fits is what must hold whenever the entry is read: whoever can write the stream still can't draft, approve or activate
// in an officer's name.
func (c DraftPolicy) fits(e env) error {
	if c.Revision == e.revision {
		return broker.Told("Dit is het beleid dat al geldt: er verandert niets.", "this is the revision that is live: there is nothing to change")
	}
	if err := e.live(c.Base); err != nil {
		return err
	}
	role := RolePrivacyOfficer
	switch {
	case c.Guardrails:
		role = RoleJurist
	case !c.Rules:
		return errors.New("it changes nothing")
	}
	author, err := e.acting(c.Author, broker.Text{NL: "deze wijziging voorstellen", EN: "author this change"}, role)
	if err != nil {
		return err
	}
	return e.signedBy(author, c.kind(), c.Payload(), c.Signature)
}

func (c DraftPolicy) apply(e env, _ broker.Position) error {
	if c.Draft != e.count+1 {
		return errors.New("its number does not follow the draft before")
	}
	if err := c.fits(e); err != nil {
		return err
	}
	e.drafts.put(c.Draft, &proposal{DraftPolicy: c, Drafted: e.when})
	e.count = c.Draft
	return nil
}

// Widening says of a field that holders of these kinds would give more of it.
type Widening struct {
	Field  broker.Field        `json:"field"`
	Domain broker.Domain       `json:"domain"`
	Kinds  []broker.AgencyKind `json:"kinds"`
}

// Reports are the digests of what a draft was told, as they are kept in the journal. What is approved is these.
type Reports struct {
	Tests      broker.Hash `json:"tests"`
	Difference broker.Hash `json:"difference,omitzero"`
	Impact     broker.Hash `json:"impact,omitzero"`
}

// CheckPolicy says that a draft passed its checks and tests, and what it would change.
type CheckPolicy struct {
	Draft    int             `json:"draft"`
	Revision broker.Revision `json:"revision"`
	Base     broker.Revision `json:"base"`
	Reports
	Widens []Widening `json:"widens,omitempty"`
}

func (CheckPolicy) kind() string                   { return "policy.checked" }
func (CheckPolicy) key(TouchFunc) (string, string) { return "", "" }
func (CheckPolicy) touches(env) []broker.Touch     { return nil }

func (c CheckPolicy) check(e env) (Command, error) {
	if err := c.fits(e); err != nil {
		return nil, fmt.Errorf("check policy: %w", err)
	}
	return c, nil
}

func (c CheckPolicy) fits(e env) error {
	d, err := e.openDraft(c.Draft, c.Revision, c.Base)
	switch {
	case err != nil:
		return err
	case d.Checked != nil:
		return errors.New("it was checked already; submit it again to have it checked anew")
	case c.Tests == broker.Hash{}:
		return errors.New("it needs a test report")
	}
	return nil
}

func (c CheckPolicy) apply(e env, _ broker.Position) error {
	if err := c.fits(e); err != nil {
		return err
	}
	return e.changeDraft(c.Draft, func(d *proposal) { d.Checked = &c })
}

// openDraft finds a draft that can still go further.
func (e env) openDraft(number int, revision, base broker.Revision) (*proposal, error) {
	d := e.drafts.get(number)
	switch {
	case d == nil:
		return nil, fmt.Errorf("there is no draft %d; `schakel policy status` shows them", number)
	case d.Revision != revision || d.Base != base:
		return nil, fmt.Errorf("draft %d is of another revision; `schakel policy status` shows which", number)
	case !d.Live.IsZero():
		return nil, broker.Told(fmt.Sprintf("Voorstel %d is al geactiveerd. Om het opnieuw te laten gelden: maak in de geschiedenis een ontwerp van die revisie.", number),
			fmt.Sprintf("draft %d was activated already; submit it again to make it live once more", number))
	}
	return d, e.live(base)
}

func (s *state) changeDraft(number int, change func(*proposal)) error {
	d := *s.drafts.get(number)
	change(&d)
	s.drafts.put(number, &d)
	return nil
}

func checkRevision(r broker.Revision) error {
	var h broker.Hash
	if h.UnmarshalText([]byte(r)) != nil || h.String() != string(r) {
		return errors.New("a revision is 64 lower-case hex digits; `schakel policy check` prints it")
	}
	return nil
}

var nineDigits = regexp.MustCompile(`[0-9]{9}`)

// checkText checks a text that an officer wrote and everybody may read.
func checkText(what broker.Text, s string, most int) error {
	if len([]rune(s)) == 0 || len(s) > most || slices.ContainsFunc([]rune(s), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return broker.Told(fmt.Sprintf("Geef %s van 1 tot %d bytes, op één regel.", what.NL, most), fmt.Sprintf("it needs %s of 1 to %d bytes on one line", what.EN, most))
	}
	for _, digits := range nineDigits.FindAllString(s, -1) {
		if _, err := broker.ParseBSN(digits); err == nil {
			return broker.Told("Noem geen burgerservicenummer: deze tekst staat voor altijd in het logboek.", what.EN+" may not hold a BSN: it stands in the log for ever")
		}
	}
	return nil
}

// mustEncode gives the canonical JSON of something that can't fail to have one.
func mustEncode(v any) []byte {
	data, err := encode(v)
	if err != nil {
		panic("encode what is signed: " + err.Error())
	}
	return data
}
