package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/search"
)

// CaseTimeline is what happened to one case: what was asked about it, and what changed in the register.
type CaseTimeline struct {
	Case    broker.CaseID
	Asked   []search.Hit // newest first
	Older   bool         // there are more than these; search finds them
	Changes []CaseChange
}

// CaseChange is one entry of the register about a case.
type CaseChange struct {
	Time time.Time
	Kind string // as the register sorts it, such as consent.given
	Seq  uint64 // of the entry
}

// caseStep is one thing on the timeline: a disclosure or a change.
type caseStep struct {
	Time   time.Time
	Row    *logRow
	Change *CaseChange
}

// caseView is the timeline of one case, newest first.
type caseView struct {
	CaseTimeline
	Steps []caseStep
}

// openCase shows the timeline of a case. That somebody looks at it is recorded first.
func (k *Console) openCase(c *call) error {
	id := broker.CaseID(strings.TrimSpace(c.r.PostFormValue("zaak")))
	if id == "" || len(id) > 200 {
		return mistake{"Welke zaak? Geef het kenmerk, zoals zaak-001.", "Which case? Give its id, such as zaak-001."}
	}
	t, err := looked(c, func(why Ground) (CaseTimeline, error) { return k.cfg.Auditing.Case(c.r.Context(), *c.person, why, id) })
	if err != nil {
		return err
	}
	v := caseView{CaseTimeline: t}
	for _, h := range t.Asked {
		row := k.logRow(h)
		v.Steps = append(v.Steps, caseStep{Time: h.Time, Row: &row})
	}
	for _, change := range t.Changes {
		v.Steps = append(v.Steps, caseStep{Time: change.Time, Change: &change})
	}
	slices.SortStableFunc(v.Steps, func(a, b caseStep) int { return b.Time.Compare(a.Time) })
	k.keepLook(c, "/logboek/zaak", v)
	return nil
}

func (k *Console) serveCase(c *call) error {
	v, ok := shelfGet[caseView](&k.looked, c.mine(c.params.ByName("id")), k.now())
	if !ok {
		return errNotFound
	}
	return c.render(http.StatusOK, "logcase", c.say("Tijdlijn van een zaak", "Timeline of a case"), v, link{"/logboek", c.say("Logboek", "Log"), false})
}

// ChangeOf says what a change of the register was.
func (c *call) ChangeOf(kind string) string {
	switch kind {
	case "case.opened":
		return c.say("De zaak is geopend.", "The case was opened.")
	case "case.closed":
		return c.say("De zaak is gesloten.", "The case was closed.")
	case "case.assigned":
		return c.say("De zaak is toegewezen aan een medewerker of team.", "The case was assigned to a worker or team.")
	case "case.unassigned":
		return c.say("Een toewijzing is beëindigd.", "An assignment ended.")
	case "consent.given":
		return c.say("Toestemming of instemming is gegeven.", "Consent or release was given.")
	case "consent.withdrawn":
		return c.say("Toestemming of instemming is ingetrokken.", "Consent or release was withdrawn.")
	case "emergency.declared":
		return c.say("Een noodsituatie is gemeld.", "An emergency was declared.")
	case "emergency.ended":
		return c.say("De noodsituatie is beëindigd.", "The emergency ended.")
	case "processing.restricted":
		return c.say("De verwerking over een persoon is beperkt.", "Processing about a person was restricted.")
	case "processing.lifted":
		return c.say("Een beperking is opgeheven.", "A restriction was lifted.")
	}
	return c.say("Er is iets gewijzigd.", "Something was changed.")
}
