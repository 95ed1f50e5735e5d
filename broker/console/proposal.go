package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// submitDraft proposes a draft with the answers it was given. What blocks it is on its page.
func (k *Console) submitDraft(c *call) error {
	d, _, files, err := k.open(c)
	if err != nil {
		return err
	}
	if err := c.own(d); err != nil {
		return err
	}
	p := k.cfg.Desk.Policy()
	s := k.story(d.Base, revisionOf(files))
	switch {
	case d.Base != p.Against():
		return mistake{"Het geldende beleid is intussen veranderd: zet het ontwerp daar eerst op.", "The policy in force changed meanwhile: put the draft on that first."}
	case !s.Good():
		return mistake{"Dit ontwerp is nog niet helemaal getoetst, of er staat iets in de weg. Los dat eerst op.", "This draft was not wholly checked yet, or something is in the way. Mend that first."}
	}
	n, err := k.cfg.Desk.Submit(c.r.Context(), *c.person, d.Title, p.Live, files, s.study())
	if err != nil {
		return refused(err)
	}
	if _, err := k.drafts.change(d.ID, func(d *draft) error { d.Sent = revisionOf(files); return nil }); err != nil {
		return err
	}
	c.notice("Het voorstel is ingediend. Een collega beoordeelt het nu.", "The proposal was submitted. A colleague judges it now.")
	c.redirect(fmt.Sprintf("/voorstel/%d", n))
	return nil
}

// refused shows what the register or the engine said to a step.
func refused(err error) error { return mistake{err.Error(), err.Error()} }

// proposalView is the page of a proposal: what one approves is what stands here.
type proposalView struct {
	register.Draft
	By         string
	Own        bool
	Approvals  []approvalLine
	Holders    []holderLine
	CanApprove bool
	CanLive    bool
	Diff       []fileDiff
	Tests      *workbench.TestReport
	Difference *workbench.Difference
	Impact     *workbench.ImpactReport
}

type approvalLine struct {
	register.Approval
	By string
}

// holderLine is a holder whose word is needed, because it would give more.
type holderLine struct {
	Name   string
	Agreed bool
}

func (k *Console) proposal(c *call) (register.Draft, error) {
	n, err := strconv.Atoi(c.params.ByName("nummer"))
	if err != nil {
		return register.Draft{}, errNotFound
	}
	d, ok := k.cfg.Desk.Policy().Find(n)
	if !ok {
		return d, errNotFound
	}
	return d, nil
}

func (k *Console) serveProposal(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	v := proposalView{Draft: d, By: k.cfg.Desk.Officer(d.Author)}
	v.Own = v.By == c.person.ID
	for _, a := range d.Approvals {
		v.Approvals = append(v.Approvals, approvalLine{a, k.cfg.Desk.Officer(a.Officer)})
	}
	for _, h := range d.Agreed {
		v.Holders = append(v.Holders, holderLine{k.agency(h.Holder), true})
	}
	for _, oin := range d.WaitsForHolders {
		v.Holders = append(v.Holders, holderLine{k.agency(oin), false})
	}
	v.CanApprove = !v.Own && d.State == register.StateChecked && slices.Contains(d.WaitsFor, register.OfficerRole(c.person.Role)) &&
		c.May(http.MethodPost, "/voorstel/:nummer/goedkeuren")
	v.CanLive = d.State == register.StateApproved && c.May(http.MethodPost, "/voorstel/:nummer/activeren")
	files, err := k.cfg.Desk.Files(ctx, d.Revision)
	if err != nil {
		return fmt.Errorf("read proposal %d: %w", d.Number, err)
	}
	base, err := k.cfg.Desk.Files(ctx, k.comparedWith(d.Base))
	if err != nil {
		return fmt.Errorf("read base of proposal %d: %w", d.Number, err)
	}
	v.Diff = diffFiles(base, files)
	if err := k.kept(ctx, d.Reports.Tests, &v.Tests); err != nil {
		return err
	}
	if err := k.kept(ctx, d.Reports.Difference, &v.Difference); err != nil {
		return err
	}
	if v.Difference != nil {
		if v.Difference.Catalog, err = k.cfg.Desk.Catalog(files); err != nil {
			return err
		}
	}
	if err := k.kept(ctx, d.Reports.Impact, &v.Impact); err != nil {
		return err
	}
	return c.render(http.StatusOK, "proposal", d.Title, v, link{"/geschiedenis", c.say("Geschiedenis", "History"), false})
}

// comparedWith is what a proposal on a base is compared with: during a stop that which it took the place of.
func (k *Console) comparedWith(base broker.Revision) broker.Revision {
	for _, a := range k.cfg.Desk.Policy().History {
		if a.Stop && a.Revision == base {
			return a.Base
		}
	}
	return base
}

// kept reads a report as it was kept; none stays nil.
func (k *Console) kept(ctx context.Context, h broker.Hash, to any) error {
	if h == (broker.Hash{}) {
		return nil
	}
	data, err := k.cfg.Desk.Report(ctx, h)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("read report %.12s: %w", h, err)
	}
	return nil
}

// agency names an agency by its kind and OIN.
func (k *Console) agency(oin broker.OIN) string {
	for _, a := range k.cfg.Desk.Agencies() {
		if a.OIN == oin {
			return string(a.Kind) + " " + string(oin)
		}
	}
	return string(oin)
}

func (k *Console) approveProposal(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	if c.r.PostFormValue("revisie") != string(d.Revision) {
		return mistake{"Open het voorstel opnieuw: dit formulier hoorde bij een ander.", "Open the proposal again: this form belonged to another."}
	}
	if err := k.cfg.Desk.Approve(c.r.Context(), *c.person, d.Number); err != nil {
		return refused(err)
	}
	c.notice("U hebt dit voorstel goedgekeurd. Wat u goedkeurde is wat er komt te gelden.", "You approved this proposal. What you approved is what comes into force.")
	c.redirect(fmt.Sprintf("/voorstel/%d", d.Number))
	return nil
}

func (k *Console) activateProposal(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	if err := k.cfg.Desk.Activate(c.r.Context(), *c.person, d.Number); err != nil {
		return refused(err)
	}
	c.notice("Dit beleid geldt nu, op elke gateway.", "This policy is in force now, on every gateway.")
	c.redirect("/")
	return nil
}

func (k *Console) serveStop(c *call) error {
	return c.render(http.StatusOK, "stop", c.say("Noodstop", "Emergency stop"), k.cfg.Desk.Policy().Stop)
}

func (k *Console) stopAll(c *call) error {
	reason := strings.TrimSpace(c.r.PostFormValue("reden"))
	if reason == "" || c.r.PostFormValue("zeker") != "ja" {
		return mistake{"Geef een reden, en bevestig dat u alles wilt stilleggen.", "Give a reason, and confirm that you want to halt everything."}
	}
	if err := k.cfg.Desk.Stop(c.r.Context(), *c.person, reason); err != nil {
		return refused(err)
	}
	c.notice("Noodstop: alle verstrekkingen zijn stilgelegd.", "Emergency stop: all disclosure was halted.")
	c.redirect("/")
	return nil
}

// ChangeKind names a change in words.
func (c *call) ChangeKind(k workbench.ChangeKind) string {
	switch k {
	case workbench.ChangeGained:
		return c.say("krijgt erbij", "gains")
	case workbench.ChangeLost:
		return c.say("verliest", "loses")
	case workbench.ChangeForm:
		return c.say("andere vorm", "another form")
	case workbench.ChangeBasis:
		return c.say("andere grondslag", "another basis")
	case workbench.ChangeObligations:
		return c.say("andere verplichting", "another obligation")
	case workbench.ChangeFault:
		return c.say("geen besluit", "no decision")
	}
	return string(k)
}

// Conditions says in words when something holds: one of these lines.
func (c *call) Conditions(k *broker.Catalog, when [][]workbench.Condition) []string {
	var out []string
	for _, all := range when {
		var words []string
		for _, condition := range all {
			words = append(words, c.Text(condition.Text(k)))
		}
		if len(words) == 0 {
			words = []string{c.say("altijd", "always")}
		}
		out = append(out, strings.Join(words, "; "))
	}
	return out
}

// JSON shows an example as it can be pasted into a command.
func (c *call) JSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}
