package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// verifyProposal makes sure that a draft is what its author says, on the approver's side: from its files, those of its base
// and the log it makes every report again, and whether it is correct and which holders would give more. Where a report has
// another digest than the one that is to be approved, it refuses and says what differs. The impact is made again over the
// window of its report: what was recorded since is not in it. It takes as long as submitting did; a draft that was found
// true by this process is not looked at twice. progress may be nil.
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
		return broker.Told("Er veranderen andere bestanden dan de indiener zei; laat het opnieuw indienen.",
			"it changes other files than its author said; have it submitted again")
	}
	kept, err := d.verifyKept(ctx, draft)
	if err != nil {
		return err
	}
	if !workbench.Check(files).OK() {
		return broker.Told("Het klopt niet, wat de rapporten ook zeggen; laat het herstellen en opnieuw indienen.",
			"it does not pass `schakel policy check`, whatever its reports say; have it mended and submitted again")
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
		return broker.Told("De testen slagen niet of raken niet elke regel, wat de rapporten ook zeggen; laat het herstellen en opnieuw indienen.",
			"it does not pass `schakel policy test`, whatever its reports say; have it mended and submitted again")
	}
	mutation, err := suite.Mutate(ctx)
	if err != nil {
		return err
	}
	if err := same("het testrapport", "its test report", testsAndMutants{tests, &mutation}, draft.Reports.Tests, kept.tests); err != nil {
		return err
	}
	c, err := compare(ctx, d.explorer.Telling(progress), base, files, func(string) {})
	if err != nil {
		return err
	}
	if !c.Guardrails.OK() {
		return broker.Told("Het breekt een vangrail, wat de rapporten ook zeggen.",
			"it breaks a guardrail, whatever its reports say; `schakel policy guardrails` shows which")
	}
	if err := same("wat er verandert", "what it changes", c, draft.Reports.Difference, kept.difference); err != nil {
		return err
	}
	since, until := kept.window.Since, kept.window.Until
	impact, err := workbench.Impact(ctx, workbench.ImpactConfig{Base: base, Draft: files, Since: since, Until: until,
		Requests: recorded(ctx, d.store, d.ring, since, until)})
	if err != nil {
		return err
	}
	if err := same("het rapport over de gevolgen", "its impact report", impact, draft.Reports.Impact, kept.impact); err != nil {
		if impact.Closed > kept.window.Closed {
			return broker.Told("Sinds het indienen is gewist welke organisatie en zaak bij een deel van de vastgelegde vragen horen. Het rapport over de gevolgen is daardoor niet opnieuw te maken. "+
				"Laat hetzelfde ontwerp opnieuw toetsen en indienen; aan de inhoud hoeft niets te veranderen.",
				"since it was submitted, keys were erased that tell which agency and case some of the recorded requests are of, so its impact report can't be made again; "+
					fmt.Sprintf("have the same draft submitted again with `schakel policy submit --rebase %d`: nothing in it needs to change", draft.Number))
		}
		return err
	}
	widens, err := (study{Difference: &c}).widens(files)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(widens, draft.Widens, func(a, b register.Widening) bool {
		return a.Field == b.Field && a.Domain == b.Domain && slices.Equal(a.Kinds, b.Kinds)
	}) {
		return broker.Told("Houders gaan van andere velden meer geven dan de indiener zei; laat het opnieuw indienen.",
			"it widens other fields than its author said; have it submitted again")
	}
	d.proved.Store(string(said), true)
	return nil
}

// keptReports are the reports of a draft as they were kept.
type keptReports struct {
	tests, difference, impact json.RawMessage
	window                    struct {
		Base, Draft  broker.Revision
		Since, Until time.Time
		Closed       int
	}
}

// verifyKept makes sure that every report is there, under its digest, about this draft, and found nothing wrong.
func (d *desk) verifyKept(ctx context.Context, draft register.Draft) (k keptReports, err error) {
	for _, r := range []struct {
		digest broker.Hash
		into   *json.RawMessage
	}{{draft.Reports.Tests, &k.tests}, {draft.Reports.Difference, &k.difference}, {draft.Reports.Impact, &k.impact}} {
		if r.digest == (broker.Hash{}) {
			return k, broker.Told("Niet elk rapport is gemaakt; laat het opnieuw indienen.",
				"not every report of it was made; have it submitted again")
		}
		if *r.into, err = d.readReport(ctx, r.digest); err != nil {
			return k, err
		}
	}
	var tests testsAndMutants
	if err := errors.Join(json.Unmarshal(k.tests, &tests), json.Unmarshal(k.impact, &k.window)); err != nil {
		return k, fmt.Errorf("read reports of draft %d: %w", draft.Number, err)
	}
	switch {
	case !tests.OK() || tests.Mutation == nil || !tests.Mutation.OK():
		return k, broker.Told("De testen slaagden niet, of iets wat wordt gegeven is niet getest; laat het herstellen en opnieuw indienen.",
			"its tests failed, or a grant is not tested; have it mended and submitted again")
	case k.window.Draft != draft.Revision || k.window.Base != against(d.register.Policy(), draft.Base):
		return k, broker.Told("Het rapport over de gevolgen gaat over een andere wijziging; laat het opnieuw indienen.",
			"its impact report is about another change; have it submitted again")
	}
	return k, nil
}

// same makes sure that a report that was made again has the digest that is to be approved.
func same(nl, en string, again any, digest broker.Hash, kept json.RawMessage) error {
	data, err := json.Marshal(again)
	if err != nil || broker.Hash(sha256.Sum256(data)) == digest {
		return err
	}
	parts := differs(kept, data)
	return broker.Told(fmt.Sprintf("Opnieuw gemaakt is %s niet zoals in de rapporten staat (%s); laat het opnieuw indienen.", nl, parts),
		fmt.Sprintf("%s was worked out again and is not what its reports say: %s; have it submitted again", en, parts))
}

// differs names the parts in which two reports differ, with what they were and are where that is short; in no language.
func differs(kept, again json.RawMessage) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(kept, &a) != nil || json.Unmarshal(again, &b) != nil {
		return "JSON"
	}
	all := maps.Clone(b)
	maps.Copy(all, a)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch was, is := a[name], b[name]; {
		case bytes.Equal(was, is):
		case len(was) < 80 && len(is) < 80:
			out = append(out, fmt.Sprintf("%s: %s → %s", name, was, is))
		default:
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return "JSON"
	}
	return strings.Join(out, "; ")
}
