package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// studyWindow is the window of recorded requests that a draft is tried on.
const studyWindow = 90 * 24 * time.Hour

// study is all that a draft is told when it is submitted. Each report is kept by its digest, and what is approved is those.
type study struct {
	Revision broker.Revision `json:"revision"`
	Against  broker.Revision `json:"against"`
	Changed  []string        `json:"changed"`
	Blocked  []string        `json:"blocked"` // why it can't go on; empty: it can

	Check      workbench.CheckReport   `json:"check"`
	Tests      *testsAndMutants        `json:"tests,omitempty"`
	Difference *comparison             `json:"difference,omitempty"`
	Impact     *workbench.ImpactReport `json:"impact,omitempty"`
}

// comparison is what a draft gives more, less or otherwise in every combination, and whether a guardrail is broken.
type comparison struct {
	workbench.Difference
	Guardrails workbench.GuardrailReport `json:"guardrails"`
}

type testsAndMutants struct {
	workbench.TestReport
	Mutation *workbench.MutationReport `json:"mutation,omitempty"`
}

// studied is what of policies is looked at.
type studied struct {
	base, draft map[string][]byte
	requests    iter.Seq2[workbench.Recorded, error] // of the window
	since       time.Time
	until       time.Time
	progress    func(what string)
}

// look makes every report of a draft. What stops it stands in Blocked; an error is something else.
func look(ctx context.Context, in studied) (study, error) {
	s := study{Revision: policies.Revision(in.draft), Against: policies.Revision(in.base), Changed: policies.Changed(in.base, in.draft), Blocked: []string{}}
	block := func(format string, a ...any) { s.Blocked = append(s.Blocked, fmt.Sprintf(format, a...)) }
	in.progress("check")
	if s.Check = workbench.Check(in.draft); !s.Check.OK() {
		block("%d findings; `schakel policy check FOLDER` shows each with what to do", len(s.Check.Findings))
		return s, nil
	}
	in.progress("test")
	suite, err := workbench.NewSuite(in.draft)
	if err != nil {
		return s, err
	}
	tests, err := suite.Test(ctx)
	if err != nil {
		return s, err
	}
	s.Tests = &testsAndMutants{TestReport: tests}
	if !tests.OK() {
		block("%d tests fail and %d lines are not reached by a test; `schakel policy test FOLDER` shows them", len(tests.Failed), len(tests.Uncovered))
		return s, nil
	}
	in.progress("turn conditions round")
	mutation, err := suite.Mutate(ctx)
	if err != nil {
		return s, err
	}
	if s.Tests.Mutation = &mutation; !mutation.OK() {
		block("no test notices when %d conditions are turned round; `schakel policy test FOLDER` shows them", len(mutation.Survived))
	}
	c, err := compare(ctx, workbench.NewExplorer(), in.base, in.draft, in.progress)
	if err != nil {
		return s, err
	}
	if g := c.Guardrails; !g.OK() {
		block("%d guardrails broken (%d there are); `schakel policy guardrails FOLDER` shows each with a query", len(g.Broken), len(g.Guardrails))
	}
	s.Difference = &c
	in.progress("impact")
	impact, err := workbench.Impact(ctx, workbench.ImpactConfig{Base: in.base, Draft: in.draft, Requests: in.requests, Since: in.since, Until: in.until})
	if err != nil {
		return s, err
	}
	s.Impact = &impact
	return s, nil
}

// compare works out what a draft changes, and whether it breaks a guardrail. The same files give the same bytes as JSON, so
// that whoever approves can hold their own against the author's.
func compare(ctx context.Context, x *workbench.Explorer, base, draft map[string][]byte, progress func(what string)) (c comparison, err error) {
	progress("difference")
	if c.Difference, err = x.Difference(ctx, base, draft); err != nil {
		return c, err
	}
	progress("guardrails")
	c.Guardrails, err = x.Guardrails(ctx, draft)
	return c, err
}

// ready tells why these files can't be proposed with this study: one that is not about them, that is not whole, or in which
// something failed.
func (s study) ready(files map[string][]byte, against broker.Revision) error {
	switch {
	case len(s.Blocked) > 0:
		return errors.New(strings.Join(s.Blocked, "; "))
	case s.Tests == nil || s.Tests.Mutation == nil || s.Difference == nil || s.Impact == nil:
		return errors.New("not every report of it was made")
	case s.Revision != policies.Revision(files) || s.Difference.Difference.Draft != s.Revision || s.Difference.Guardrails.Revision != s.Revision:
		return errors.New("its reports are about another policy; make them again")
	case s.Against != against || s.Difference.Live != against:
		return errors.New("its reports compare it with another revision than its base; make them again")
	case !s.Check.OK() || !s.Tests.OK() || !s.Tests.Mutation.OK() || !s.Difference.Guardrails.OK():
		return errors.New("something failed in its reports; mend that first")
	}
	return nil
}

// widens gives what holders would give more of, in the register's words.
func (s study) widens(draft map[string][]byte) ([]register.Widening, error) {
	if s.Difference == nil || len(s.Difference.Widens) == 0 {
		return nil, nil
	}
	source, err := decide.Read(draft)
	if err != nil {
		return nil, err
	}
	var out []register.Widening
	for _, w := range s.Difference.Widens {
		info, _ := source.Catalog.Field(w.Field)
		out = append(out, register.Widening{Field: w.Field, Domain: info.Domain, Kinds: slices.Clone(w.Holders)})
	}
	return out, nil
}

// keepReports stores each report under its digest.
func (d *desk) keepReports(ctx context.Context, s study) (register.Reports, error) {
	var out register.Reports
	for _, r := range []struct {
		report any
		there  bool
		to     *broker.Hash
	}{{s.Tests, s.Tests != nil, &out.Tests}, {s.Difference, s.Difference != nil, &out.Difference}, {s.Impact, s.Impact != nil, &out.Impact}} {
		if !r.there {
			continue
		}
		data, err := json.Marshal(r.report)
		if err != nil {
			return out, err
		}
		*r.to = sha256.Sum256(data)
		if err := d.store.PutBlob(ctx, reportName(*r.to), data); err != nil {
			return out, err
		}
	}
	return out, nil
}

// reportName is the name of a report in the journal.
func reportName(h broker.Hash) string { return "report-" + h.String() }

// readReport gives a kept report, after it was made sure that it is the one of this digest.
func (d *desk) readReport(ctx context.Context, h broker.Hash) (json.RawMessage, error) {
	data, err := d.store.Blob(ctx, reportName(h))
	if err != nil {
		return nil, fmt.Errorf("read report %.12s: %w", h, err)
	}
	if broker.Hash(sha256.Sum256(data)) != h {
		return nil, broker.Told(fmt.Sprintf("Rapport %.12s is in het journaal gewijzigd; meld dit aan de beheerder en laat het opnieuw indienen.", h),
			fmt.Sprintf("read report %.12s: it was altered in the journal; submit the draft again", h))
	}
	return data, nil
}
