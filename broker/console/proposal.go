package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
		return refusal{err}
	}
	if _, err := k.drafts.change(d.ID, func(d *draft) error { d.Sent = revisionOf(files); return nil }); err != nil {
		return err
	}
	c.notice("Het voorstel is ingediend. Een collega beoordeelt het nu.", "The proposal was submitted. A colleague judges it now.")
	c.redirect(fmt.Sprintf("/voorstel/%d", n))
	return nil
}

// proposalView is the page of a proposal: what one approves is what stands here. What is signed is read as it was kept; what
// can be worked out again in reasonable time is, by Desk.Verify, and without that nobody is offered to approve.
type proposalView struct {
	register.Draft
	By         string
	Own        bool
	Approvals  []approvalLine
	Holders    []holderLine
	Asked      bool // the reader's judgement is asked
	CanVerify  bool
	CanApprove bool
	CanAgree   bool
	CanLive    bool
	Diff       []fileDiff
	Tests      *keptTests
	Difference *keptDifference
	Impact     *workbench.ImpactReport
	Recount    *story
}

// keptTests and keptDifference are reports as they are kept under a digest.
type keptTests struct {
	workbench.TestReport
	Mutation *workbench.MutationReport
}

type keptDifference struct {
	workbench.Difference
	Guardrails workbench.GuardrailReport
}

type approvalLine struct {
	register.Approval
	By string
}

// holderLine is a holder whose word is needed, because it would give more: which fields, and how it says so.
type holderLine struct {
	OIN    broker.OIN
	Name   string
	Agreed bool
	Fields []broker.FieldInfo
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
	v := proposalView{Draft: d, By: k.cfg.Desk.Officer(d.Author), Recount: k.recount(d)}
	v.Own = v.By == c.person.ID
	for _, a := range d.Approvals {
		v.Approvals = append(v.Approvals, approvalLine{a, k.cfg.Desk.Officer(a.Officer)})
	}
	v.CanVerify = d.State == register.StateChecked && c.May(http.MethodPost, "/voorstel/:nummer/narekenen")
	v.Asked = !v.Own && d.State == register.StateChecked && slices.Contains(d.WaitsFor, register.OfficerRole(c.person.Role)) &&
		c.May(http.MethodPost, "/voorstel/:nummer/goedkeuren")
	v.CanApprove = v.Asked && v.Recount.Verified()
	v.CanAgree = len(d.WaitsForHolders) > 0 && c.May(http.MethodPost, "/voorstel/:nummer/instemmen")
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
	catalog, err := k.cfg.Desk.Catalog(files)
	if err != nil {
		return err
	}
	v.Holders = k.holders(d, catalog)
	if err := k.kept(ctx, d.Reports.Tests, &v.Tests); err != nil {
		return err
	}
	if err := k.kept(ctx, d.Reports.Difference, &v.Difference); err != nil {
		return err
	}
	if v.Difference != nil {
		v.Difference.Catalog, v.Difference.Guardrails.Catalog = catalog, catalog
	}
	if err := k.kept(ctx, d.Reports.Impact, &v.Impact); err != nil {
		return err
	}
	return c.render(http.StatusOK, "proposal", d.Title, v, link{"/geschiedenis", c.say("Geschiedenis", "History"), false})
}

// holders are those that would give more, each with the fields that it would give more of.
func (k *Console) holders(d register.Draft, catalog *broker.Catalog) []holderLine {
	var out []holderLine
	add := func(oin broker.OIN, agreed bool) {
		h := holderLine{OIN: oin, Name: k.agency(oin), Agreed: agreed}
		for _, w := range d.Widens {
			if slices.ContainsFunc(k.cfg.Desk.Agencies(), func(a broker.Agency) bool { return a.OIN == oin && slices.Contains(w.Kinds, a.Kind) }) &&
				slices.ContainsFunc(k.cfg.Desk.Agreements(), func(a register.Agreement) bool { return a.Holder == oin && slices.Contains(a.Domains, w.Domain) }) {
				info, ok := catalog.Field(w.Field)
				if !ok { // a field that the proposal takes away can't widen; its path says enough
					info = broker.FieldInfo{Path: w.Field, Label: broker.Text{NL: string(w.Field), EN: string(w.Field)}}
				}
				h.Fields = append(h.Fields, info)
			}
		}
		out = append(out, h)
	}
	for _, h := range d.Agreed {
		add(h.Holder, true)
	}
	for _, oin := range d.WaitsForHolders {
		add(oin, false)
	}
	return out
}

// Changes is the difference that is signed for.
func (v proposalView) Changes() *workbench.Difference {
	if v.Difference == nil {
		return nil
	}
	return &v.Difference.Difference
}

// recordAgreement takes in what a holder signed on a machine of its own.
func (k *Console) recordAgreement(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	file, _, err := c.r.FormFile("verklaring")
	if err != nil {
		return mistake{"Kies het bestand met de verklaring van de houder.", "Choose the file with the holder's statement."}
	}
	defer func() { _ = file.Close() }()
	const most = 64 << 10 // a statement is some 1 KB
	statement, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return err
	}
	if len(statement) > most {
		return mistake{"Dit is geen verklaring van een houder: het bestand is te groot.", "This is no statement of a holder: the file is too large."}
	}
	if err := k.cfg.Desk.Agree(c.r.Context(), *c.person, d.Number, strings.TrimSpace(string(statement))); err != nil {
		return refusal{err}
	}
	c.notice("De instemming van de houder is vastgelegd.", "The holder's agreement was recorded.")
	c.redirect(fmt.Sprintf("/voorstel/%d", d.Number))
	return nil
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
		return refusal{err}
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
		return refusal{err}
	}
	c.notice("Dit beleid geldt nu, op elke gateway.", "This policy is in force now, on every gateway.")
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
