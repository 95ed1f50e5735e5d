package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// offices is a desk where the small policy is live, with two privacy officers and a holder of rents who made an agreement.
type offices struct {
	*desk
	dir    string
	blobs  map[string][]byte // that the journal gives otherwise than they were put
	writer *audit.Writer
	append register.Appender
	signer map[string]keys.Signer
}

const corporation = broker.OIN("00000099000000098000")

func newOffices(t *testing.T) *offices {
	t.Helper()
	dir, store, ring := newFolder(t)
	other := &altered{Store: store, blobs: map[string][]byte{}}
	o := &offices{dir: dir, blobs: other.blobs, signer: map[string]keys.Signer{}}
	var err error
	if o.desk, err = newDesk(t.Context(), other, ring); err != nil {
		t.Fatal(err)
	}
	if o.writer, err = audit.Open(t.Context(), o.writerConfig(adminWriter, dir)); err != nil {
		t.Fatal(err)
	}
	o.append = appender(o.writer)
	live, err := o.keepPolicy(t.Context(), policiestest.Small())
	if err != nil {
		t.Fatal(err)
	}
	commands := []register.Command{register.ActivatePolicy{Revision: live}}
	for _, id := range []string{"schrijver", "collega"} {
		public, private, err := keys.NewAgencyKey(keys.EdDSA)
		if err == nil {
			o.signer[id], err = keys.ParseSigner(private)
		}
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, o.register.NewOfficer(register.OfficerID(id), register.RolePrivacyOfficer, public)...)
	}
	o.do(t, commands...)
	return o
}

func (o *offices) do(t *testing.T, c ...register.Command) {
	t.Helper()
	if err := o.register.DoAll(t.Context(), o.append, register.Operator{Name: "proef"}, c); err != nil {
		t.Fatal(err)
	}
}

// asked records requests, each of a case of its own, that the policy in force decided.
func (o *offices) asked(t *testing.T, n int) {
	t.Helper()
	live, _ := o.register.Revision()
	if err := o.loadPolicy(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}}, Role: "wijkteammedewerker",
		Purpose: "ontruiming-voorkomen", Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
		Subject:    broker.QuerySubject{Kind: broker.SubjectHousehold, Age: broker.AgeUnknown},
		Agreements: []broker.Domain{"huur"}, Fields: []broker.Field{"huur.achterstand.maanden"}}.Canonical()
	decision, err := o.decider.Decide(t.Context(), live, q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := broker.Event{Position: o.register.Position(), Common: broker.Common{Policy: broker.PolicyRef{Revision: live, Engine: o.decider.Engine()}, Queries: []json.RawMessage{q.Bytes()},
			Decisions: []json.RawMessage{decision.Bytes()}, Subjects: []broker.SubjectQueries{{Subject: broker.Household, Queries: []int{0}}}},
			Staff: broker.Staff{Agency: "00000099000000099000", Worker: "w", Role: q.Role, Purpose: q.Purpose, Case: broker.CaseID(fmt.Sprintf("zaak-%d", i)),
				Request: broker.RequestID(fmt.Sprintf("%08x-0000-7000-8000-%012x", time.Now().UnixMilli()>>16, time.Now().UnixNano()&0xffffffffffff))}}
		if _, err := o.writer.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// studied makes every report of a draft on what is live.
func (o *offices) studied(t *testing.T, files map[string][]byte) study {
	t.Helper()
	base, err := o.revisionFiles(t.Context(), o.register.Policy().Against())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	since := now.Add(-time.Hour)
	s, err := look(t.Context(), studied{base: base, draft: files, requests: recorded(t.Context(), o.store, o.ring, since, now), since: since, until: now,
		progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// forge proposes a draft with whatever reports and claims, as somebody can who has an author's key and writes the journal
// with a program of their own.
func (o *offices) forge(t *testing.T, files map[string][]byte, s study, change func(*register.DraftPolicy, *register.CheckPolicy)) int {
	t.Helper()
	if _, err := o.keepDraft(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	reports, err := o.keepReports(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	p := o.register.Policy()
	draft := register.DraftPolicy{Draft: p.Next(), Revision: policies.Revision(files), Base: p.Live, Title: "proef", Author: o.register.OfficerRef("schrijver")}
	draft.Rules, draft.Guardrails = policies.Part(s.Changed)
	checked := register.CheckPolicy{Draft: draft.Draft, Revision: draft.Revision, Base: p.Live, Reports: reports}
	if checked.Widens, err = s.widens(files); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&draft, &checked)
	}
	if draft.Signature, err = seal.SignPolicyStep(o.signer["schrijver"], seal.PolicyDrafted, draft.Payload()); err != nil {
		t.Fatal(err)
	}
	o.do(t, draft, checked)
	return draft.Draft
}

// An approver's side works out again what an author's reports say, from the files. What is not so is not approved, whatever
// was signed and recorded; what is so has the same digest.
func TestForgedReportsAreNotApproved(t *testing.T) {
	o := newOffices(t)
	wider := policiestest.Wider()
	honest := o.studied(t, wider)
	if len(honest.Blocked) > 0 || len(honest.Difference.Widens) != 1 {
		t.Fatalf("blocked %v, widens %v", honest.Blocked, honest.Difference.Widens)
	}
	changed := func(do func(map[string][]byte)) map[string][]byte {
		files := policiestest.Wider()
		do(files)
		return files
	}
	// The reports of another draft, made out as if they were of this one.
	madeOut := func(files map[string][]byte) study {
		s := honest
		s.Revision, s.Changed = policies.Revision(files), policies.Changed(policiestest.Small(), files)
		c := *honest.Difference
		c.Difference.Draft, c.Guardrails.Revision = s.Revision, s.Revision
		i := *honest.Impact
		i.Draft = s.Revision
		s.Difference, s.Impact = &c, &i
		return s
	}
	silent := honest
	silent.Difference = &comparison{workbench.Difference{Live: honest.Against, Draft: honest.Revision, Changes: []workbench.Change{},
		Widens: []workbench.Widening{}}, honest.Difference.Guardrails}
	unnoticed := honest
	unnoticed.Tests = &testsAndMutants{TestReport: honest.Tests.TestReport}
	foreign := honest
	foreign.Impact = &workbench.ImpactReport{Base: honest.Against, Draft: honest.Against}
	untrue, fewer := honest, honest
	untrue.Tests = &testsAndMutants{honest.Tests.TestReport, honest.Tests.Mutation}
	untrue.Tests.Passed += 100
	fewer.Impact = func(i workbench.ImpactReport) *workbench.ImpactReport { i.Requests = 12; return &i }(*honest.Impact)
	bsn := changed(func(f map[string][]byte) {
		policiestest.Replace(f, "schakel/grants.rego", `input.field.path in {"huur.achterstand.bedrag", "huur.achterstand.maanden"}`,
			`input.field.path in {"huur.achterstand.bedrag", "persoon.burgerservicenummer"}`)
	})
	failing := changed(func(f map[string][]byte) {
		policiestest.Replace(f, "schakel/small_test.rego", `"wgs-3-1b"`, `"wgs-8"`)
	})
	untidy := changed(func(f map[string][]byte) {
		policiestest.Replace(f, "schakel/grants.rego", `	input.role == "wijkteammedewerker"`, `  input.role == "wijkteammedewerker"`)
	})
	for _, tt := range []struct {
		name   string
		files  map[string][]byte
		s      study
		change func(*register.DraftPolicy, *register.CheckPolicy)
		says   string
	}{
		{"nothing changes", wider, silent, nil, "worked out again"},
		{"guardrails hold", bsn, madeOut(bsn), nil, "guardrail"},
		{"tests hold", failing, madeOut(failing), nil, "policy test"},
		{"checks hold", untidy, madeOut(untidy), nil, "policy check"},
		{"mutants noticed", wider, unnoticed, nil, "not tested"},
		{"more tests", wider, untrue, nil, "test report was worked out again and is not what its reports say: passed: "},
		{"more requests", wider, fewer, nil, "impact report was worked out again and is not what its reports say: requests: 12 → 0"},
		{"impact of another", wider, foreign, nil, "another change"},
		{"no difference at all", wider, honest, func(_ *register.DraftPolicy, c *register.CheckPolicy) { c.Difference = broker.Hash{} }, "not every report"},
		{"no holder is asked", wider, honest, func(_ *register.DraftPolicy, c *register.CheckPolicy) { c.Widens = nil }, "widens other fields"},
		{"another holder is asked", wider, honest, func(_ *register.DraftPolicy, c *register.CheckPolicy) {
			c.Widens = []register.Widening{{Field: c.Widens[0].Field, Domain: "ggz", Kinds: c.Widens[0].Kinds}}
		}, "widens other fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := o.forge(t, tt.files, tt.s, tt.change)
			before := o.register.Position()
			err := o.approve(t.Context(), o.append, n, "collega", o.signer["collega"])
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want …%s…", err, tt.says)
			}
			if d, _ := o.register.Policy().Find(n); len(d.Approvals) > 0 || o.register.Position() != before {
				t.Error("something was recorded")
			}
			if err := o.approve(t.Context(), o.append, n, "schrijver", o.signer["schrijver"]); err == nil || !strings.Contains(err.Error(), "who wrote a draft") {
				t.Errorf("its author approves: %v", err)
			}
		})
	}
	t.Run("its files are others", func(t *testing.T) {
		n := o.forge(t, wider, honest, nil)
		bundle, err := policies.Bundle(bsn)
		if err != nil {
			t.Fatal(err)
		}
		o.blobs[draftPrefix+string(honest.Revision)] = bundle
		defer delete(o.blobs, draftPrefix+string(honest.Revision))
		if err := o.approve(t.Context(), o.append, n, "collega", o.signer["collega"]); err == nil || !strings.Contains(err.Error(), "altered") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a report is another", func(t *testing.T) {
		n := o.forge(t, wider, honest, nil)
		d, _ := o.register.Policy().Find(n)
		o.blobs[reportName(d.Reports.Impact)] = []byte("{}")
		defer delete(o.blobs, reportName(d.Reports.Impact))
		if err := o.approve(t.Context(), o.append, n, "collega", o.signer["collega"]); err == nil || !strings.Contains(err.Error(), "altered") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the guardrails are left out", func(t *testing.T) {
		files := policiestest.Wider()
		files[policies.GuardrailsFolder+"guardrails.rego"] = append(files[policies.GuardrailsFolder+"guardrails.rego"], "\n# Losser.\n"...)
		n := o.forge(t, files, o.studied(t, files), func(d *register.DraftPolicy, _ *register.CheckPolicy) { d.Guardrails = false })
		if err := o.approve(t.Context(), o.append, n, "collega", o.signer["collega"]); err == nil || !strings.Contains(err.Error(), "other files") {
			t.Errorf("got %v", err)
		}
	})
	n, err := o.submit(t.Context(), o.append, "schrijver", o.signer["schrijver"], "eerlijk", o.register.Policy().Live, wider, honest)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.approve(t.Context(), o.append, n, "collega", o.signer["collega"]); err != nil {
		t.Errorf("the honest one: %v", err)
	}
}

// The log grows while a proposal waits: what is approved is counted over the window of its report, and comes out the same. Where
// keys were erased since, it can't; that is said, with what to do, and then it can be approved.
func TestApprovedWhileTheLogGrows(t *testing.T) {
	o := newOffices(t)
	submitted := func(requests, closed int, cases workbench.Count) int {
		t.Helper()
		s := o.studied(t, policiestest.Wider())
		if i := s.Impact; i.Requests != requests || i.Closed != closed || len(i.Changes) != 1 || i.Changes[0].Cases != cases {
			t.Fatalf("impact: %+v", i)
		}
		n, err := o.submit(t.Context(), o.append, "schrijver", o.signer["schrijver"], "meer", o.register.Policy().Live, policiestest.Wider(), s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	approve := func(n int) error { return o.approve(t.Context(), o.append, n, "collega", o.signer["collega"]) }
	o.asked(t, 12)
	n := submitted(12, 0, 12)
	o.asked(t, 3)
	if err := approve(n); err != nil {
		t.Errorf("the log grew: %v", err)
	}
	n = submitted(15, 0, 12)
	if err := o.store.DeleteKeys(t.Context(), []string{audit.StaffKey(time.Now())}); err != nil {
		t.Fatal(err)
	}
	var told broker.Worded
	if err := approve(n); !errors.As(err, &told) || !strings.Contains(told.NL, "gewist") || !strings.Contains(told.NL, "opnieuw toetsen en indienen") ||
		!strings.Contains(told.EN, fmt.Sprintf("submit --rebase %d", n)) {
		t.Errorf("keys were erased: %v", err)
	}
	if err := approve(submitted(15, 15, 0)); err != nil {
		t.Errorf("submitted again: %v", err)
	}
}

// A holder's word is made from a file, on a machine without a journal, and recorded elsewhere. A proposal whose reports are
// not those of its digests is not signed, and a statement that was changed, is of another, or about another draft, is not
// recorded.
func TestHolderAgreesElsewhere(t *testing.T) {
	o := newOffices(t)
	public, private, err := keys.NewAgencyKey(keys.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	o.do(t, register.AddAgency{Agency: broker.Agency{OIN: corporation, Name: "Corporatie", Kind: "woningcorporatie"}},
		register.AddKey{OIN: corporation, Key: broker.AgencyKey{ID: "k1", JWK: public}},
		register.AddAgency{Agency: broker.Agency{OIN: "00000099000000099000", Name: "Gemeente", Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}}})
	agreement := register.Agreement{ID: "huur", Holder: corporation, Recipient: "00000099000000099000", Purposes: []broker.Purpose{"ontruiming-voorkomen"},
		Domains: []broker.Domain{"huur"}, From: broker.Date{Year: 2026, Month: 1, Day: 1}}
	if agreement.Signature, err = seal.SignAgreement(signer, agreement.Payload()); err != nil {
		t.Fatal(err)
	}
	o.do(t, register.AddAgreement{Agreement: agreement})
	wider := policiestest.Wider()
	s := o.studied(t, wider)
	n, err := o.submit(t.Context(), o.append, "schrijver", o.signer["schrijver"], "meer", o.register.Policy().Live, wider, s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.proposed(t.Context(), n)
	if err != nil || !slices.Equal(p.WaitsForHolders, []broker.OIN{corporation}) {
		t.Fatalf("%v, waits for %v", err, p.WaitsForHolders)
	}
	dir := t.TempDir()
	file := func(change func(*proposed)) string {
		t.Helper()
		q := p
		q.Kept = maps.Clone(p.Kept)
		change(&q)
		path := filepath.Join(dir, "proposal.json")
		text, err := json.MarshalIndent(q, "", "  ") // however it was laid out on its way
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		change func(*proposed)
		says   string
	}{
		"another report":       {func(q *proposed) { q.Kept["impact"] = json.RawMessage(`{}`) }, "impact report"},
		"no report":            {func(q *proposed) { delete(q.Kept, "tests") }, "tests report"},
		"another digest":       {func(q *proposed) { q.Reports.Difference = sha256.Sum256(nil) }, "difference report"},
		"widens less":          {func(q *proposed) { q.Widens = nil }, "huur.achterstand.maanden"},
		"widens something":     {func(q *proposed) { q.Widens = append(slices.Clip(q.Widens), register.Widening{Field: "ggz.diagnose"}) }, "ggz.diagnose"},
		"it is about no draft": {func(q *proposed) { q.Number = 0 }, "no proposal"},
	} {
		if _, err := readProposal(file(tt.change)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want …%s…", name, err, tt.says)
		}
	}
	q, err := readProposal(file(func(*proposed) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.statement("00000099000000099000", signer); err == nil || !strings.Contains(err.Error(), string(corporation)) {
		t.Errorf("for a holder that is not asked: %v", err)
	}
	word, err := q.statement(corporation, signer)
	if err != nil {
		t.Fatal(err)
	}
	byAnother, err := q.statement(corporation, o.signer["collega"])
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(word, ".")
	other := strings.Split(byAnother, ".")
	for name, tt := range map[string]struct {
		n    int
		word string
		says string
	}{
		"another draft":   {n + 1, word, "about draft"},
		"no statement":    {n, "hallo", "no statement"},
		"empty":           {n, "", "no statement"},
		"another's key":   {n, byAnother, "signature of the holder"},
		"another's proof": {n, parts[0] + "." + parts[1] + "." + other[2], "signature of the holder"},
	} {
		if err := o.recordAgreement(t.Context(), o.append, "proef", tt.n, tt.word); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want …%s…", name, err, tt.says)
		}
	}
	if err := o.recordAgreement(t.Context(), o.append, "proef", n, word); err != nil {
		t.Fatal(err)
	}
	if d, _ := o.register.Policy().Find(n); len(d.WaitsForHolders) > 0 || len(d.Agreed) != 1 || d.Agreed[0].Holder != corporation || d.Agreed[0].Signature != word {
		t.Errorf("recorded: %+v", d)
	}
	if err := o.recordAgreement(t.Context(), o.append, "proef", n, word); err == nil || !strings.Contains(err.Error(), "does not wait") {
		t.Errorf("a second time: %v", err)
	}
}
