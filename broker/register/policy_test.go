package register

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

func (w *world) stateOf(n int) DraftState {
	w.t.Helper()
	d, ok := w.Policy().Find(n)
	if !ok {
		w.t.Fatalf("no draft %d", n)
	}
	return d.State
}

// A revision's life, and the way back: each step is an entry, and each state is seen.
func TestLifeOfARevision(t *testing.T) {
	w := newWorld(t, append(basics(), officers()...)...)
	if p := w.Policy(); p.Live != revision || p.Next() != 1 || p.Against() != revision || len(p.History) != 1 {
		t.Fatalf("at first %+v", p)
	}
	step := func(n int, want DraftState, c Command) {
		t.Helper()
		before := w.Position()
		w.do(c)
		if got := w.stateOf(n); got != want || w.Position() != before+1 {
			t.Fatalf("after %s it is %s, want %s; %d entries", c.kind(), got, want, w.Position()-before)
		}
	}
	step(1, StateDraft, drafted(1, revision, second, petra, nil))
	step(1, StateChecked, checked(1, revision, second))
	step(1, StateApproved, approve(1, revision, second, pieter))
	step(1, StateLive, activate(1, revision, second))
	if r, _ := w.Revision(); r != second {
		t.Fatalf("live is %s", r)
	}
	// Back to what was: the same digest is drafted, checked and approved again.
	step(2, StateDraft, drafted(2, second, revision, pieter, nil))
	step(2, StateChecked, checked(2, second, revision))
	step(2, StateApproved, approve(2, second, revision, petra))
	step(2, StateLive, activate(2, second, revision))
	if got := w.stateOf(1); got != StateSuperseded {
		t.Fatalf("the first draft is %s", got)
	}
	p := w.Policy()
	if p.Live != revision || p.Draft != 2 || len(p.History) != 3 || p.History[2].Base != second || !p.History[2].When.Equal(noon) {
		t.Fatalf("at last %+v", p)
	}
	d, _ := p.Find(2)
	if d.Author != ref(pieter) || len(d.Approvals) != 1 || d.Approvals[0].Officer != ref(petra) || !d.Drafted.Equal(noon) || d.Reports != reports {
		t.Fatalf("draft 2: %+v", d)
	}
	sameView(t, w.Register, w.reopen())
}

// The emergency stop: one officer, at once; the way back is approved, and is compared with what was live before.
func TestStop(t *testing.T) {
	w := newWorld(t, append(basics(), officers()...)...)
	w.do(drafted(1, revision, third, petra, nil), checked(1, revision, third), approve(1, revision, third, pieter))
	w.do(stop(revision, second))
	p := w.Policy()
	if p.Live != second || p.Stop == nil || p.Against() != revision || p.Stop.Officer != ref(petra) || !p.History[1].Stop {
		t.Fatalf("stopped: %+v", p)
	}
	if w.stateOf(1) != StateOutdated {
		t.Fatalf("a draft on what was stopped is %s", w.stateOf(1))
	}
	if err := w.try(stop(second, third)); err == nil || !strings.Contains(err.Error(), "rollback") {
		t.Fatalf("stopped twice: %v", err)
	}
	if err := w.try(ActivatePolicy{Revision: revision}); err == nil {
		t.Fatal("it went on without an approval")
	}
	w.do(drafted(2, second, revision, petra, nil), checked(2, second, revision), approve(2, second, revision, pieter), activate(2, second, revision))
	if p = w.Policy(); p.Live != revision || p.Stop != nil {
		t.Fatalf("after the way back %+v", p)
	}
}

// Whatever is not as it must be is refused, changes nothing, and says what to do.
func TestPolicyStepsRefused(t *testing.T) {
	other := reports
	other.Impact = sha256.Sum256([]byte("another impact"))
	forged := approve(1, revision, second, pieter)
	forged.Signature = signedWith("policy.approved", keyOf(petra), forged.Payload())
	kindOf := approve(1, revision, second, pieter)
	kindOf.Signature = signedWith("policy.drafted", keyOf(pieter), kindOf.Payload())
	swapped := approve(1, revision, second, pieter)
	swapped.Reports = other
	swapped.Signature = signedWith("policy.approved", keyOf(pieter), swapped.Payload())
	unsigned := approve(1, revision, second, pieter)
	unsigned.Signature = ""
	replayed := approve(1, revision, second, pieter)
	replayed.Draft = 2
	as := func(author OfficerID, change func(*DraftPolicy)) DraftPolicy {
		return drafted(1, revision, second, author, change)
	}
	guardrails := func(d *DraftPolicy) { d.Guardrails = true }
	only := func(d *DraftPolicy) { d.Rules, d.Guardrails = false, true }
	inOthersName := as(petra, nil)
	inOthersName.Signature = signedWith("policy.drafted", keyOf(pieter), inOthersName.Payload())
	stopped := stop(revision, second)
	stopped.Reason = "iets anders"
	notByFG := stop(revision, second)
	notByFG.Officer = ref(fatima)
	notByFG.Signature = signedWith("policy.stopped", keyOf(fatima), notByFG.Payload())
	personal := stop(revision, second)
	personal.Reason = "het ging mis bij " + bsns[0].Reveal()

	rekeyed := approve(1, revision, second, petra)
	rekeyed.Signature = signedWith("policy.approved", keyOf("nieuw"), rekeyed.Payload())
	byAuthorsKey := approve(1, revision, second, pieter)
	byAuthorsKey.Signature = signedWith("policy.approved", keyOf(petra), byAuthorsKey.Payload())

	draft := []Command{drafted(1, revision, second, petra, nil)}
	ready := append(slices.Clone(draft), checked(1, revision, second))
	widens := append(slices.Clone(draft), AddKey{verhuurT, broker.AgencyKey{ID: "v1", JWK: verhuurKey}}, agreed("h1", verhuurT, "huur"),
		agreed("h2", kliniek, "ggz"), checked(1, revision, second, widened), approve(1, revision, second, pieter))
	moved := append(append(slices.Clone(ready), approve(1, revision, second, pieter)),
		drafted(2, revision, third, petra, nil), checked(2, revision, third), approve(2, revision, third, pieter), activate(2, revision, third))
	byCommand := []string{ // what no page of the console can come to
		"stranger approves", "suspended approves", "approved unchecked", "approved other digest", "approval unsigned", "checked twice", "checked without tests",
		"not checked", "no draft", "activated by a false base", "key of another", "role of no officer", "suspended returns", "suspended twice", "name of another"}
	for name, tt := range map[string]struct {
		before []Command
		step   Command
		want   string
	}{
		"author approves":      {ready, approve(1, revision, second, petra), "who wrote a draft"},
		"author has a new key": {append(slices.Clone(ready), AddOfficer{ref(petra), RolePrivacyOfficer, keyOf("nieuw")}), rekeyed, "who wrote a draft"},
		"author's key, other name": {append(slices.Clone(ready), AddOfficer{ref(petra), RolePrivacyOfficer, keyOf("nieuw")},
			AddOfficer{ref(pieter), RolePrivacyOfficer, keyOf(petra)}), byAuthorsKey, "signed the draft"},
		"jurist approves rules":   {ready, approve(1, revision, second, jorien), "for a privacy-officer"},
		"FG approves":             {ready, approve(1, revision, second, fatima), "may not approve"},
		"stranger approves":       {ready, approve(1, revision, second, "niemand"), "unknown"},
		"suspended approves":      {append(slices.Clone(ready), SuspendOfficer{ref(pieter)}), approve(1, revision, second, pieter), "suspended"},
		"approved twice":          {append(slices.Clone(ready), approve(1, revision, second, pieter)), approve(1, revision, second, pieter), "already"},
		"approved unchecked":      {draft, approve(1, revision, second, pieter), "not checked"},
		"approved other digest":   {ready, approve(1, revision, third, pieter), "another revision"},
		"approved other reports":  {ready, swapped, "others than these"},
		"approval forged":         {ready, forged, "signature"},
		"approval of other kind":  {ready, kindOf, "signature"},
		"approval unsigned":       {ready, unsigned, "not signed"},
		"approval replayed":       {append(slices.Clone(ready), drafted(2, revision, second, petra, nil), checked(2, revision, second)), replayed, "signature"},
		"approved on old base":    {append(slices.Clone(moved), drafted(3, third, second, petra, nil)), approve(1, revision, second, pieter), "submit --rebase"},
		"activated on old base":   {moved, activate(1, revision, second), "submit --rebase"},
		"drafted on old base":     {moved, drafted(3, revision, second, petra, nil), "submit --rebase"},
		"checked on old base":     {append(slices.Clone(draft), moved[3:]...), checked(1, revision, second), "submit --rebase"},
		"FG authors":              {nil, as(fatima, nil), "may not author"},
		"jurist authors rules":    {nil, as(jorien, nil), "may not author"},
		"officer authors railing": {nil, as(petra, only), "for a jurist"},
		"officer authors both":    {nil, as(petra, guardrails), "for a jurist"},
		"authored by another":     {nil, inOthersName, "signature"},
		"changes nothing":         {nil, drafted(1, revision, revision, petra, nil), "nothing to change"},
		"no title":                {nil, as(petra, func(d *DraftPolicy) { d.Title = "" }), "needs a title"},
		"a BSN in the title":      {nil, as(petra, func(d *DraftPolicy) { d.Title = "over " + bsns[0].Reveal() }), "BSN"},
		"number taken":            {ready, drafted(1, revision, third, petra, nil), "at the same time"},
		"number ahead":            {nil, drafted(2, revision, third, petra, nil), "at the same time"},
		"checked twice":           {ready, checked(1, revision, second), "already"},
		"checked without tests":   {draft, CheckPolicy{Draft: 1, Revision: second, Base: revision}, "test report"},
		"not approved":            {ready, activate(1, revision, second), "waits for the approval"},
		"not checked":             {draft, activate(1, revision, second), "not checked"},
		"no draft":                {nil, activate(1, revision, second), "policy status"},
		"approver suspended": {append(slices.Clone(ready), approve(1, revision, second, pieter), SuspendOfficer{ref(pieter)}),
			activate(1, revision, second), "waits for the approval"},
		"activated by a false base": {moved, activate(1, third, second), "another revision"},
		"activated twice":           {append(slices.Clone(ready), approve(1, revision, second, pieter), activate(1, revision, second)), activate(1, revision, second), "activated already"},
		"holder missing":            {widens, activate(1, revision, second), string(verhuurT)},
		"holder of no field":        {widens, holderAgrees(1, revision, second, kliniek, verhuurKey), "does not wait"},
		"holder forged":             {widens, holderAgrees(1, revision, second, verhuurT, keyOf(petra)), "signature of the holder"},
		"holder's old key":          {append(slices.Clone(widens), SuspendKey{verhuurT, "v1"}), holderAgrees(1, revision, second, verhuurT, verhuurKey), "signature of the holder"},
		"stop altered":              {nil, stopped, "signature"},
		"stop by FG":                {nil, notByFG, "may not stop"},
		"stop names someone":        {nil, personal, "BSN"},
		"stop on old base":          {moved, stop(revision, second), "is live now"},
		"key of another":            {nil, AddOfficer{ref("nieuw"), RolePrivacyOfficer, keyOf(petra)}, "another officer has this key"},
		"role of no officer":        {nil, AddOfficer{ref("nieuw"), "wethouder", keyOf("nieuw")}, "privacy-officer"},
		"suspended returns":         {[]Command{SuspendOfficer{ref(petra)}}, AddOfficer{ref(petra), RolePrivacyOfficer, keyOf("nieuw")}, "under another id"},
		"suspended twice":           {[]Command{SuspendOfficer{ref(petra)}}, SuspendOfficer{ref(petra)}, "suspended already"},
		"name of another":           {nil, NameOfficer{ref(petra), pieter}, "not of this officer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(append(basics(), officers()...), tt.before...)...)
			before, live := w.Position(), w.Policy().Live
			err := w.try(tt.step)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want …%s…", err, tt.want)
			}
			if w.Position() != before || w.Policy().Live != live {
				t.Error("it changed the register")
			}
			if !slices.Contains(byCommand, name) {
				inDutch(t, err)
			}
		})
	}
	w := newWorld(t, append(append(basics(), officers()...), moved...)...)
	var outdated *OutdatedError
	if err := w.try(activate(1, revision, second)); !errors.As(err, &outdated) || outdated.Live != third {
		t.Errorf("a draft on an old base: %v", err)
	}
	w = newWorld(t, append(append(basics(), officers()...), widens...)...)
	if d, _ := w.Policy().Find(1); d.State != StateChecked || !slices.Equal(d.WaitsForHolders, []broker.OIN{verhuurT}) {
		t.Errorf("what it waits for: %+v", d)
	}
	w.do(holderAgrees(1, revision, second, verhuurT, verhuurKey), activate(1, revision, second))
}

// inDutch makes sure that an error has words in both languages.
func inDutch(t *testing.T, err error) {
	t.Helper()
	var told broker.Worded
	if !errors.As(err, &told) || told.NL == "" || told.EN == "" || told.NL == told.EN {
		t.Errorf("it is not said in Dutch: %v", err)
	}
}

// Guardrails are a jurist's: another jurist approves a change of them, and where rules change as well a privacy officer too.
func TestGuardrailsTakeBoth(t *testing.T) {
	w := newWorld(t, append(basics(), officers()...)...)
	w.do(drafted(1, revision, second, jorien, func(d *DraftPolicy) { d.Guardrails = true }), checked(1, revision, second))
	if err := w.try(approve(1, revision, second, jorien)); err == nil {
		t.Fatal("the author approved")
	}
	w.do(approve(1, revision, second, pieter))
	if d, _ := w.Policy().Find(1); d.State != StateChecked || !slices.Equal(d.WaitsFor, []OfficerRole{RoleJurist}) {
		t.Fatalf("after one of two: %+v", d)
	}
	if err := w.try(activate(1, revision, second)); err == nil || !strings.Contains(err.Error(), "another jurist") {
		t.Fatalf("activated with one of two: %v", err)
	}
	w.do(approve(1, revision, second, jelle), activate(1, revision, second))
}

// Whoever can write the stream and has no officer's key still can't make anything live: what is read is verified again.
func TestForgedStepsBreakTheStream(t *testing.T) {
	for name, tt := range map[string]struct {
		before []Command
		forged Command
	}{
		"activation":      {nil, ActivatePolicy{Revision: second}},
		"of a draft":      {[]Command{drafted(1, revision, second, petra, nil), checked(1, revision, second)}, activate(1, revision, second)},
		"approval":        {[]Command{drafted(1, revision, second, petra, nil), checked(1, revision, second)}, ApprovePolicy{Draft: 1, Revision: second, Base: revision, Reports: reports, Approver: ref(pieter), Signature: "x"}},
		"draft":           {nil, DraftPolicy{Draft: 1, Revision: second, Base: revision, Rules: true, Author: ref(petra), Signature: "x"}},
		"stop":            {nil, StopPolicy{Revision: second, Base: revision, Officer: ref(petra), Signature: "x"}},
		"check once more": {[]Command{drafted(1, revision, second, petra, nil), checked(1, revision, second, widened)}, checked(1, revision, second)},
		"draft ahead":     {nil, drafted(2, revision, second, petra, nil)},
		"holder's word": {[]Command{AddKey{verhuurT, broker.AgencyKey{ID: "v1", JWK: verhuurKey}}, agreed("h1", verhuurT, "huur"), drafted(1, revision, second, petra, nil),
			checked(1, revision, second, widened)}, AgreePolicy{Draft: 1, Revision: second, Base: revision, Reports: reports, Holder: verhuurT, Signature: "x"}},
		"approval of self": {[]Command{drafted(1, revision, second, petra, nil), checked(1, revision, second)}, approve(1, revision, second, petra)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(append(basics(), officers()...), tt.before...)...)
			w.forge(tt.forged)
			if _, err := Open(t.Context(), config(w.store, w.clock)); err == nil {
				t.Error("it was taken for true")
			}
		})
	}
}

// An officer who was suspended stays so, whoever adds them again.
func TestForgedOfficerStaysSuspended(t *testing.T) {
	w := newWorld(t, append(append(basics(), officers()...), SuspendOfficer{ref(petra)})...)
	w.forge(AddOfficer{ref(petra), RolePrivacyOfficer, keyOf("nieuw")})
	if o, _ := w.reopen().Officer(ref(petra)); !o.Suspended {
		t.Error("an entry that was never checked brought them back")
	}
}

// forge adds an entry to the stream without its being checked, as somebody can who writes the journal.
func (w *world) forge(c Command) {
	w.t.Helper()
	body, err := encode(c)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := chain(w.store.head(), stored{Time: noon, Kind: c.kind(), Body: body})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store.entries = append(w.store.entries, e)
}
