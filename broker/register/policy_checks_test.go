package register

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// Checks that others would hide: each is the only one in the way of its step.
func TestEachPolicyCheckByItself(t *testing.T) {
	const malformed = broker.Revision("eerste")
	byJurist := stop(revision, second)
	byJurist.Officer = ref(jorien)
	byJurist.Signature = signedWith("policy.stopped", keyOf(jorien), byJurist.Payload())
	for name, tt := range map[string]struct {
		step Command
		want string // "": it is made
	}{
		"draft of a malformed revision": {drafted(1, revision, malformed, petra, nil), "64 lower-case"},
		"stop by a malformed revision":  {stop(revision, malformed), "64 lower-case"},
		"stop by the live revision":     {stop(revision, revision), "live already"},
		"stop by a jurist":              {byJurist, ""},
		"live activated without draft":  {ActivatePolicy{Revision: revision}, "the active one already"},
		"draft of no part":              {drafted(1, revision, second, petra, func(d *DraftPolicy) { d.Rules = false }), "changes nothing"},
		"title too long":                {drafted(1, revision, second, petra, func(d *DraftPolicy) { d.Title = strings.Repeat("a", 201) }), "1 to 200 bytes"},
		"title of two lines":            {drafted(1, revision, second, petra, func(d *DraftPolicy) { d.Title = "een\ntwee" }), "one line"},
	} {
		w := newWorld(t, append(basics(), officers()...)...)
		if err := w.try(tt.step); (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want …%s…", name, err, tt.want)
		}
	}
	w := newWorld(t)
	if err := w.try(ActivatePolicy{Revision: malformed}); err == nil || !strings.Contains(err.Error(), "64 lower-case") {
		t.Errorf("a malformed revision is the first: %v", err)
	}
	// Each answer that rests on the policy before is stale after a change of it.
	w = newWorld(t, append(append(basics(), approved(1, revision, second)...), activate(1, revision, second), stop(second, third))...)
	for _, e := range w.store.entries[len(w.store.entries)-2:] {
		if !slices.Equal(e.Touches, []broker.Touch{broker.TouchAll}) {
			t.Errorf("entry %s touches %v", e.ID, e.Touches)
		}
	}
}

// An approval counts in the role that the officer had, and while they have it.
func TestApprovalCountsInItsRole(t *testing.T) {
	waits := func(w *world) []OfficerRole { d, _ := w.Policy().Find(1); return d.WaitsFor }
	w := newWorld(t, append(basics(), officers()...)...)
	w.do(drafted(1, revision, second, petra, nil), checked(1, revision, second), approve(1, revision, second, pieter))
	w.do(AddOfficer{ref(pieter), RoleJurist, keyOf(pieter)})
	if got := waits(w); !slices.Equal(got, []OfficerRole{RolePrivacyOfficer}) {
		t.Errorf("who approved is a jurist now: it waits for %v", got)
	}
	w.do(AddOfficer{ref(pieter), RolePrivacyOfficer, keyOf(pieter)})
	if got := waits(w); len(got) > 0 {
		t.Errorf("a privacy officer again: it waits for %v", got)
	}
	w = newWorld(t, append(basics(), officers()...)...)
	w.do(drafted(1, revision, second, jorien, func(d *DraftPolicy) { d.Guardrails = true }), checked(1, revision, second), approve(1, revision, second, jelle),
		AddOfficer{ref(jelle), RolePrivacyOfficer, keyOf(jelle)})
	if got := waits(w); !slices.Equal(got, []OfficerRole{RolePrivacyOfficer, RoleJurist}) {
		t.Errorf("approved as a jurist, a privacy officer now: it waits for %v", got)
	}
}

// Of all agencies, those are asked that hold what is widened, under an agreement that stands.
func TestWhichHoldersAreAsked(t *testing.T) {
	const other broker.OIN = "00000001000000000077"
	for name, tt := range map[string]struct {
		commands []Command
		want     []broker.OIN
	}{
		"agreed":            {[]Command{agreed("h1", verhuurT, "huur")}, []broker.OIN{verhuurT}},
		"two of a kind":     {[]Command{AddAgency{broker.Agency{OIN: other, Name: "Ander", Kind: "woningcorporatie"}}, agreed("h2", other, "huur"), agreed("h1", verhuurT, "huur")}, []broker.OIN{verhuurT, other}},
		"twice agreed":      {[]Command{agreed("h1", verhuurT, "huur"), agreed("h2", verhuurT, "huur", "ggz")}, []broker.OIN{verhuurT}},
		"nothing agreed":    {nil, nil},
		"of another kind":   {[]Command{agreed("h1", kliniek, "huur")}, nil},
		"of another domain": {[]Command{agreed("h1", verhuurT, "ggz")}, nil},
		"withdrawn":         {[]Command{agreed("h1", verhuurT, "huur"), WithdrawAgreement{"h1"}}, nil},
		"suspended":         {[]Command{agreed("h1", verhuurT, "huur"), SuspendAgency{verhuurT}}, nil},
	} {
		w := newWorld(t, append(append(basics(), officers()...), drafted(1, revision, second, petra, nil), checked(1, revision, second, widened))...)
		w.do(tt.commands...)
		if d, _ := w.Policy().Find(1); !slices.Equal(d.WaitsForHolders, tt.want) {
			t.Errorf("%s: it waits for %v, want %v", name, d.WaitsForHolders, tt.want)
		}
	}
	// In one append with what ends the agreement, as after it.
	w := newWorld(t, append(append(basics(), officers()...), drafted(1, revision, second, petra, nil), checked(1, revision, second, widened),
		approve(1, revision, second, pieter), agreed("h1", verhuurT, "huur"))...)
	if err := w.try(activate(1, revision, second)); err == nil || !strings.Contains(err.Error(), string(verhuurT)) {
		t.Errorf("activated before the holder agreed: %v", err)
	}
	w.do(WithdrawAgreement{"h1"}, activate(1, revision, second))
}

// What is asked beforehand is what the step itself would be told, and changes nothing.
func TestWould(t *testing.T) {
	w := newWorld(t, append(append(basics(), officers()...), drafted(1, revision, second, petra, nil), checked(1, revision, second))...)
	before := w.Position()
	if err := w.Would(approve(1, revision, second, pieter)); err != nil {
		t.Error(err)
	}
	err := w.Would(approve(1, revision, second, petra))
	if stopped := (*StoppedError)(nil); err == nil || errors.As(err, &stopped) || !strings.Contains(err.Error(), "who wrote a draft") {
		t.Errorf("its author: %v", err)
	}
	if d, _ := w.Policy().Find(1); w.Position() != before || len(d.Approvals) > 0 {
		t.Error("it was done")
	}
}
