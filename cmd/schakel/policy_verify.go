package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// verifyProposal makes sure that a draft is what its author says, on the approver's side: from its files and those of its
// base it works out again what changes, whether a guardrail is broken, and which holders would give more, and checks and
// tests it anew. Where the difference has another digest than the one that is to be approved, it refuses. It takes as long
// as the difference does; a draft that was found true by this process is not looked at twice. progress may be nil.
//
// The mutants and the impact are read and not made again: the first takes longer than an approver waits, the second counts
// a log that has grown since.
func (d *desk) verifyProposal(ctx context.Context, draft register.Draft, progress func(done, of int)) error {
	said, err := json.Marshal([]any{draft.Revision, draft.Base, draft.Rules, draft.Guardrails, draft.Reports, draft.Widens})
	if err != nil {
		return err
	}
	if _, known := d.proved.Load(string(said)); known {
		return nil
	}
	files, err := d.revisionFiles(ctx, draft.Revision)
	if err != nil {
		return err
	}
	base, err := d.revisionFiles(ctx, against(d.register.Policy(), draft.Base))
	if err != nil {
		return err
	}
	if rules, guardrails := policies.Part(policies.Changed(base, files)); rules != draft.Rules || guardrails != draft.Guardrails {
		return errors.New("it changes other files than its author said; have it submitted again")
	}
	if err := d.verifyKept(ctx, draft); err != nil {
		return err
	}
	if !workbench.Check(files).OK() {
		return errors.New("it does not pass `schakel policy check`, whatever its reports say; have it mended and submitted again")
	}
	suite, err := workbench.NewSuite(files)
	if err != nil {
		return err
	}
	tests, err := suite.Test(ctx)
	if err != nil {
		return err
	}
	if !tests.OK() {
		return errors.New("it does not pass `schakel policy test`, whatever its reports say; have it mended and submitted again")
	}
	c, err := compare(ctx, d.explorer.Telling(progress), base, files, func(string) {})
	if err != nil {
		return err
	}
	digest, err := digestOf(c)
	if err != nil {
		return err
	}
	widens, err := (study{Difference: &c}).widens(files)
	if err != nil {
		return err
	}
	same := func(a, b register.Widening) bool {
		return a.Field == b.Field && a.Domain == b.Domain && slices.Equal(a.Kinds, b.Kinds)
	}
	switch {
	case !c.Guardrails.OK():
		return errors.New("it breaks a guardrail, whatever its reports say; `schakel policy guardrails` shows which")
	case digest != draft.Reports.Difference:
		return fmt.Errorf("what it changes was worked out again and is not what its reports say (%.12s, in them %.12s); have it submitted again",
			digest, draft.Reports.Difference)
	case !slices.EqualFunc(widens, draft.Widens, same):
		return errors.New("it widens other fields than its author said; have it submitted again")
	}
	d.proved.Store(string(said), true)
	return nil
}

// verifyKept makes sure that every report is there, under its digest, and that those which are not made again are about this
// draft and found nothing wrong.
func (d *desk) verifyKept(ctx context.Context, draft register.Draft) error {
	var tests testsAndMutants
	var impact struct{ Base, Draft broker.Revision }
	for _, r := range []struct {
		digest broker.Hash
		into   any
	}{{draft.Reports.Tests, &tests}, {draft.Reports.Difference, new(json.RawMessage)}, {draft.Reports.Impact, &impact}} {
		if r.digest == (broker.Hash{}) {
			return errors.New("not every report of it was made; have it submitted again")
		}
		data, err := d.readReport(ctx, r.digest)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, r.into); err != nil {
			return fmt.Errorf("read report %.12s: %w", r.digest, err)
		}
	}
	switch {
	case !tests.OK() || tests.Mutation == nil || !tests.Mutation.OK():
		return errors.New("its tests failed, or a grant is not tested; have it mended and submitted again")
	case impact.Draft != draft.Revision || impact.Base != against(d.register.Policy(), draft.Base):
		return errors.New("its impact report is about another change; have it submitted again")
	}
	return nil
}

// digestOf gives the digest under which a report is kept.
func digestOf(report any) (broker.Hash, error) {
	data, err := json.Marshal(report)
	return sha256.Sum256(data), err
}
