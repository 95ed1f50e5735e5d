package register

import (
	"time"

	"github.com/schakel/schakel/broker"
)

// DraftState says how far a draft got.
type DraftState string

// Closed list of DraftState.
const (
	StateDraft      DraftState = "draft"
	StateChecked    DraftState = "checked"    // it waits for approvals
	StateApproved   DraftState = "approved"   // it can be activated
	StateLive       DraftState = "live"       // it decides
	StateSuperseded DraftState = "superseded" // it was live
	StateOutdated   DraftState = "outdated"   // its base is not live any more: rebase it
)

// Draft is a proposed revision as the register knows it.
type Draft struct {
	Number     int             `json:"draft"`
	State      DraftState      `json:"state"`
	Revision   broker.Revision `json:"revision"`
	Base       broker.Revision `json:"base"`
	Title      string          `json:"title"`
	Rules      bool            `json:"rules"`
	Guardrails bool            `json:"guardrails"`
	Author     OfficerRef      `json:"author"`
	Drafted    time.Time       `json:"drafted"`
	Live       time.Time       `json:"live,omitzero"`
	Reports    Reports         `json:"reports,omitzero"` // zero before it was checked
	Widens     []Widening      `json:"widens,omitempty"`
	Approvals  []Approval      `json:"approvals,omitempty"`
	Agreed     []HolderWord    `json:"agreed,omitempty"`

	WaitsFor        []OfficerRole `json:"waitsFor,omitempty"`
	WaitsForHolders []broker.OIN  `json:"waitsForHolders,omitempty"`
}

// Approval is an officer's, with its signature.
type Approval struct {
	Officer   OfficerRef  `json:"officer"`
	Role      OfficerRole `json:"role"`
	When      time.Time   `json:"when"`
	Signature string      `json:"signature"`
}

// HolderWord is a holder's, with its signature.
type HolderWord struct {
	Holder    broker.OIN `json:"holder"`
	When      time.Time  `json:"when"`
	Signature string     `json:"signature"`
}

// Policy is which revision decides, and all drafts there were.
type Policy struct {
	Live    broker.Revision `json:"live,omitempty"`
	Draft   int             `json:"draft,omitempty"` // that brought it
	Stop    *Stop           `json:"stop,omitempty"`  // where the live revision is the emergency stop
	Drafts  []Draft         `json:"drafts"`          // by number
	History []Activation    `json:"history"`         // the oldest first
}

// Next is the number that the next draft has.
func (p Policy) Next() int { return len(p.Drafts) + 1 }

// Against is the revision that a new draft is compared with: the live one, or what a stop took the place of.
func (p Policy) Against() broker.Revision {
	if p.Stop != nil {
		return p.Stop.Base
	}
	return p.Live
}

// Find gives a draft by its number.
func (p Policy) Find(number int) (Draft, bool) {
	if number < 1 || number > len(p.Drafts) {
		return Draft{}, false
	}
	return p.Drafts[number-1], true
}

// Policy gives the life of the policy until now.
func (r *Register) Policy() Policy {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	p := Policy{Live: s.revision, Draft: s.draft, Stop: s.stop, History: s.history, Drafts: make([]Draft, 0, s.count)}
	for n := 1; n <= s.count; n++ {
		p.Drafts = append(p.Drafts, s.show(s.drafts.get(n)))
	}
	return p
}

func (s *state) show(d *proposal) Draft {
	out := Draft{Number: d.Draft, Revision: d.Revision, Base: d.Base, Title: d.Title, Rules: d.Rules, Guardrails: d.Guardrails,
		Author: d.Author, Drafted: d.Drafted, Live: d.Live}
	if d.Checked != nil {
		out.Reports, out.Widens = d.Checked.Reports, d.Checked.Widens
	}
	for _, a := range d.Approved {
		out.Approvals = append(out.Approvals, Approval{a.Approver, a.Role, a.When, a.Signature})
	}
	for _, a := range d.Agreed {
		out.Agreed = append(out.Agreed, HolderWord{a.Holder, a.When, a.Signature})
	}
	switch {
	case s.draft == d.Draft:
		out.State = StateLive
	case !d.Live.IsZero():
		out.State = StateSuperseded
	case d.Base != s.revision:
		out.State = StateOutdated
	case d.Checked == nil:
		out.State = StateDraft
	default:
		out.State, out.WaitsFor, out.WaitsForHolders = StateChecked, s.waitsFor(d), s.waitsForHolders(d)
		if len(out.WaitsFor)+len(out.WaitsForHolders) == 0 {
			out.State = StateApproved
		}
	}
	return out
}
