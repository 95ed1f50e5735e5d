package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Every wrong command is refused with a text that says what to do, changes nothing, and names no person or worker.
func TestRefusedCommands(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), household("closed", 0), CloseCase{"closed"}, agreed("a1", verhuurT, "huur"),
		consented("c1", 0, KindConsent), agreed("gone", kliniek, "ggz"), WithdrawAgreement{"gone"},
		SuspendKey{gemeente, "k1"}, SuspendAgency{elders})...)
	agency := func(change func(*AddAgency)) Command {
		c := AddAgency{broker.Agency{OIN: gemeente, Name: "Gemeente", Kind: "gemeente"}}
		change(&c)
		return c
	}
	open := func(change func(*OpenCase)) Command {
		c := household("new", 2)
		change(&c)
		return c
	}
	agreement := func(change func(*Agreement)) Command {
		c := agreed("new", verhuurT, "huur")
		change(&c.Agreement)
		return AddAgreement{sign(c.Agreement)}
	}
	give := func(change func(*GiveConsent)) Command {
		c := consented("c1", 0, KindConsent)
		change(&c)
		return c
	}
	jwk := json.RawMessage(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`)
	private := json.RawMessage(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`)
	for name, tt := range map[string]struct {
		command Command
		want    string
	}{
		"oin":                 {agency(func(c *AddAgency) { c.OIN = "12" }), "20 digits"},
		"agency name":         {agency(func(c *AddAgency) { c.Name = "" }), "needs a name"},
		"agency kind":         {agency(func(c *AddAgency) { c.Kind = "winkel" }), "no kind of agency"},
		"mandate":             {agency(func(c *AddAgency) { c.Mandates = []broker.Mandate{"x"} }), "no mandate"},
		"role":                {agency(func(c *AddAgency) { c.Roles = []broker.Role{"x"} }), "no role"},
		"agency municipality": {agency(func(c *AddAgency) { c.Municipality = "12a4" }), "CBS code"},
		"private key":         {agency(func(c *AddAgency) { c.Keys = []broker.AgencyKey{{ID: "k", JWK: private}} }), "private key"},
		"symmetric key": {agency(func(c *AddAgency) {
			c.Keys = []broker.AgencyKey{{ID: "k", JWK: json.RawMessage(`{"kty":"oct","k":"AA"}`)}}
		}), "private key"},
		"encryption key":     {agency(func(c *AddAgency) { c.EncryptionKey = private }), "private key"},
		"two keys":           {agency(func(c *AddAgency) { c.Keys = []broker.AgencyKey{{ID: "k", JWK: jwk}, {ID: "k", JWK: jwk}} }), "same id"},
		"key type":           {AddKey{gemeente, broker.AgencyKey{ID: "k", JWK: json.RawMessage(`{}`)}}, "kty"},
		"key json":           {AddKey{gemeente, broker.AgencyKey{ID: "k", JWK: json.RawMessage(`[1]`)}}, "JSON Web Key"},
		"key id":             {AddKey{gemeente, broker.AgencyKey{JWK: jwk}}, "kid"},
		"key there":          {AddKey{gemeente, broker.AgencyKey{ID: "k1", JWK: jwk}}, "another kid"},
		"key of a stranger":  {AddKey{vreemd, broker.AgencyKey{ID: "k1", JWK: jwk}}, "add it first"},
		"no such key":        {SuspendKey{gemeente, "k9"}, "no key with this id"},
		"key suspended":      {SuspendKey{gemeente, "k1"}, "already"},
		"suspend a stranger": {SuspendAgency{vreemd}, "add it first"},
		"suspended":          {SuspendAgency{elders}, "already"},
		"not suspended":      {ResumeAgency{gemeente}, "not suspended"},
		"team of a stranger": {SetTeam{Team{vreemd, "t"}, nil}, "add it first"},
		"team name":          {SetTeam{Team{gemeente, "a b"}, nil}, "without spaces"},
		"team worker":        {SetTeam{Team{gemeente, "t"}, []broker.WorkerID{""}}, "name of a worker"},

		"case id":            {open(func(c *OpenCase) { c.ID = "a/b" }), "id of a case"},
		"case id is a BSN":   {open(func(c *OpenCase) { c.ID = broker.CaseID(bsns[0]) }), "may not be a BSN"},
		"case there":         {household("c1", 2), "choose another id"},
		"case was there":     {household("closed", 2), "choose another id"},
		"case kind":          {open(func(c *OpenCase) { c.Kind = "zaak" }), "case, signal and claim"},
		"case agency":        {open(func(c *OpenCase) { c.Agency = vreemd }), "add it first"},
		"case suspended":     {open(func(c *OpenCase) { c.Agency = elders }), "resume it first"},
		"case municipality":  {open(func(c *OpenCase) { c.Municipality = "Utrecht" }), "CBS code"},
		"no persons":         {open(func(c *OpenCase) { c.Persons = nil }), "1 to 50 persons"},
		"bsn":                {open(func(c *OpenCase) { c.Persons[1].BSN = "123456789" }), "person 2: this BSN fails"},
		"birth":              {open(func(c *OpenCase) { c.Persons[1].Birth = broker.Date{Year: 2015, Month: 2, Day: 30} }), "person 2: birth"},
		"person twice":       {open(func(c *OpenCase) { c.Persons[1].BSN = c.Persons[0].BSN }), "twice"},
		"holder unknown":     {open(func(c *OpenCase) { c.Holders[0].OIN = vreemd }), "add it first"},
		"holder twice":       {open(func(c *OpenCase) { c.Holders[1].OIN = verhuurT }), "twice"},
		"holder of another":  {open(func(c *OpenCase) { c.Holders[0].Persons = bsns[9:10] }), "not in the case"},
		"worker of none":     {open(func(c *OpenCase) { c.Workers = []Worker{{vreemd, anna}} }), "add it first"},
		"worker twice":       {open(func(c *OpenCase) { c.Workers = []Worker{{gemeente, anna}, {gemeente, anna}} }), "already"},
		"team unknown":       {open(func(c *OpenCase) { c.Teams = []Team{{gemeente, "t"}} }), "set it first"},
		"signal coordinator": {open(func(c *OpenCase) { c.Kind, c.Coordinator = KindSignal, Worker{gemeente, anna} }), "no coordinator"},
		"claim of others":    {open(func(c *OpenCase) { c.Kind, c.Agency = KindClaim, verhuurT }), "agency that has it"},
		"claim of a team": {open(func(c *OpenCase) {
			c.Kind, c.Workers, c.Teams = KindClaim, nil, []Team{{gemeente, wijkteam}}
		}), "not for teams"},

		"assign unknown":      {Assign{Case: "c9", Agency: gemeente, Worker: anna}, "case list"},
		"assign closed":       {Assign{Case: "closed", Agency: gemeente, Worker: anna}, "is closed"},
		"assign nobody":       {Assign{Case: "c1", Agency: gemeente}, "worker or a team"},
		"assign both":         {Assign{Case: "c1", Agency: gemeente, Worker: bram, Team: wijkteam}, "not both"},
		"assign again":        {Assign{Case: "c1", Agency: gemeente, Worker: anna}, "already"},
		"team coordinates":    {Assign{Case: "c1", Agency: gemeente, Team: wijkteam, Coordinator: true}, "only a worker"},
		"unassign":            {Unassign{Case: "c1", Agency: gemeente, Worker: bram}, "not assigned so"},
		"unassign team":       {Unassign{Case: "c1", Agency: gemeente, Team: wijkteam}, "not assigned so"},
		"unassign coordinate": {Unassign{Case: "c1", Agency: gemeente, Worker: anna, Coordinator: true}, "not assigned so"},
		"close again":         {CloseCase{"closed"}, "is closed"},

		"agreement id":      {agreement(func(a *Agreement) { a.ID = "" }), "id of an agreement"},
		"agreement there":   {agreement(func(a *Agreement) { a.ID = "a1" }), "choose another id"},
		"agreement was":     {agreement(func(a *Agreement) { a.ID = "gone" }), "choose another id"},
		"agreement holder":  {agreement(func(a *Agreement) { a.Holder = vreemd }), "holder: agency"},
		"suspended holder":  {agreement(func(a *Agreement) { a.Holder = elders }), "resume it first"},
		"recipient":         {agreement(func(a *Agreement) { a.Recipient = vreemd }), "recipient: agency"},
		"purpose":           {agreement(func(a *Agreement) { a.Purposes = []broker.Purpose{"x"} }), "no purpose"},
		"no purpose":        {agreement(func(a *Agreement) { a.Purposes = nil }), "at least one purpose"},
		"domain":            {agreement(func(a *Agreement) { a.Domains = []broker.Domain{"x"} }), "no domain"},
		"from":              {agreement(func(a *Agreement) { a.From = broker.Date{Year: 2026} }), "whole days"},
		"until before from": {agreement(func(a *Agreement) { a.Until = broker.Date{Year: 2025, Month: 1, Day: 1} }), "before from"},
		"until past":        {agreement(func(a *Agreement) { a.Until = broker.Date{Year: 2026, Month: 3, Day: 9} }), "before today"},
		"unsigned":          {AddAgreement{func() Agreement { a := agreed("new", verhuurT, "huur").Agreement; a.Signature = ""; return a }()}, "must sign"},
		"forged":            {AddAgreement{func() Agreement { a := agreed("new", verhuurT, "huur").Agreement; a.Holder = kliniek; return a }()}, "signature"},
		"withdraw unknown":  {WithdrawAgreement{"x"}, "agreement list"},
		"withdraw again":    {WithdrawAgreement{"gone"}, "already"},

		"consent case":       {give(func(c *GiveConsent) { c.Case = "c9" }), "unknown"},
		"consent person":     {give(func(c *GiveConsent) { c.Person = bsns[5] }), "not in case"},
		"consent kind":       {give(func(c *GiveConsent) { c.Kind = "toestemming" }), "release"},
		"consent recipient":  {give(func(c *GiveConsent) { c.Recipient = vreemd }), "add it first"},
		"consent domain":     {give(func(c *GiveConsent) { c.Domain = "x" }), "no domain"},
		"consent giver":      {give(func(c *GiveConsent) { c.GivenBy = "neighbour" }), "givenBy"},
		"consent day":        {give(func(c *GiveConsent) { c.From = broker.Date{} }), "whole days"},
		"withdraw nothing":   {WithdrawConsent{Case: "c1", Person: bsns[1], Kind: KindConsent, Domain: "schulden"}, "nothing like it"},
		"withdraw elsewhere": {WithdrawConsent{Case: "c1", Person: bsns[0], Kind: KindConsent, Domain: "schulden", Recipient: elders}, "nothing like it"},

		"emergency past":    {DeclareEmergency{"c1", nil, noon, "acuut gevaar, afgewogen"}, "in the future"},
		"emergency domain":  {DeclareEmergency{"c1", []broker.Domain{"x"}, noon.Add(time.Hour), "acuut gevaar, afgewogen"}, "no domain"},
		"emergency balance": {DeclareEmergency{"c1", nil, noon.Add(time.Hour), ""}, "balance"},
		"no emergency":      {EndEmergency{"c1"}, "none was declared"},

		"revision":        {ActivatePolicy{Revision: "abc"}, "64 lower-case"},
		"revision active": {ActivatePolicy{Revision: revision}, "already"},
		"not approved":    {ActivatePolicy{Revision: second}, "drafted and approved"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Position()
			err := w.try(tt.command)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want …%s…", err, tt.want)
			}
			if w.Position() != before {
				t.Error("it changed the register")
			}
			for _, secret := range personal() {
				if strings.Contains(err.Error(), secret) {
					t.Error("the error holds a value about a person")
				}
			}
		})
	}
}

// personal are the values that may be seen nowhere.
func personal() []string {
	out := []string{"anna.jansen", "bram.devries", "carla.bakker", string(petra), string(fatima), "19850203", "20150000", "1985-02-03"}
	for _, b := range bsns {
		out = append(out, b.Reveal())
	}
	return out
}

func TestKeysOfAgencies(t *testing.T) {
	w := newWorld(t, basics()...)
	jwk := json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"BB"}`)
	w.do(AddKey{gemeente, broker.AgencyKey{ID: "k2", JWK: jwk}}, SuspendKey{gemeente, "k1"})
	a, ok := w.Agency(gemeente)
	if !ok || len(a.Keys) != 2 || !a.Keys[0].Suspended || a.Keys[1].Suspended || string(a.Keys[1].JWK) != string(jwk) {
		t.Errorf("got %+v", a.Keys)
	}
	replaced := basics()[0].(AddAgency)
	replaced.Keys = []broker.AgencyKey{{ID: "k3", JWK: jwk}}
	w.do(replaced)
	if a, _ = w.Agency(gemeente); len(a.Keys) != 2 || a.Keys[0].ID != "k3" || a.Keys[1].ID != "k1" || !a.Keys[1].Suspended {
		t.Errorf("a suspended key came back or was forgotten: %+v", a.Keys)
	}
	if _, ok := w.Agency(vreemd); ok {
		t.Error("a stranger is known")
	}
}

// Commands given together are checked each where those before it were made, and a wrong one stops all of its append.
func TestDoAll(t *testing.T) {
	w := newWorld(t)
	commands := basics()
	for i := range 150 {
		c := household(broker.CaseID(fmt.Sprintf("c%d", i)), i%10)
		commands = append(commands, c, Assign{Case: c.ID, Agency: gemeente, Team: wijkteam})
	}
	appends := 0
	counting := func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, s broker.Staff) (journal.Outcome, error) {
		appends++
		if s.Role != RoleOperator || s.Worker != "beheer" {
			t.Errorf("the event names %q as %q", s.Worker, s.Role)
		}
		if kind != "register.changed" {
			t.Errorf("kind %q of an append of many", kind)
		}
		return w.store.append(ctx, after, entries, kind, s)
	}
	if err := w.DoAll(t.Context(), counting, Operator{"beheer"}, commands); err != nil {
		t.Fatal(err)
	}
	if appends != 2 || int(w.Position()) != len(commands)+1 || len(w.Cases()) != 150 {
		t.Errorf("%d commands took %d appends, position %d, %d cases", len(commands), appends, w.Position(), len(w.Cases()))
	}
	before := w.Position()
	err := w.try(household("d1", 0), household("d2", 0), household("d1", 0))
	if err == nil || !strings.Contains(err.Error(), "command 3:") || w.Position() != before {
		t.Errorf("a duplicate within one append: %v", err)
	}
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Made != 0 || stopped.Of != 3 || stopped.Wrong != 3 {
		t.Errorf("where it stopped: %+v", stopped)
	}
	var many []Command
	for i := range atOnce + 2 {
		many = append(many, household(broker.CaseID(fmt.Sprintf("m%d", i)), i%10))
	}
	many[atOnce+1] = many[atOnce]
	err = w.try(many...)
	if !errors.As(err, &stopped) || stopped.Made != atOnce || stopped.Wrong != atOnce+2 || w.Position() != before+broker.Position(atOnce) {
		t.Errorf("a duplicate in the second append: %v, %+v", err, stopped)
	}
	if err := w.DoAll(t.Context(), w.store.append, Operator{}, commands); err == nil {
		t.Error("a change by nobody was made")
	}
	one := func(_ context.Context, _ journal.Head, _ []journal.Entry, kind string, s broker.Staff) (journal.Outcome, error) {
		if kind != "case.closed" || s.Case != "c1" {
			t.Errorf("kind %q, case %q", kind, s.Case)
		}
		return journal.Fenced, nil
	}
	if err := w.Do(t.Context(), one, Operator{"beheer"}, CloseCase{"c1"}); !errors.Is(err, ErrNotMade) {
		t.Errorf("fenced: %v", err)
	}
}

// A large append is cut where the journal's limit is near.
func TestDoAllLarge(t *testing.T) {
	w := newWorld(t, basics()...)
	var commands []Command
	for i := range 100 {
		commands = append(commands, household(broker.CaseID(fmt.Sprintf("c%d", i)), 0), DeclareEmergency{
			broker.CaseID(fmt.Sprintf("c%d", i)), nil, noon.Add(time.Hour), strings.Repeat("g", 4000)})
	}
	w.do(commands...)
	if n := len(w.reopen().Cases()); n != 100 {
		t.Errorf("%d cases", n)
	}
}

// Another process changes the register while a command is on its way: the command is checked again where it now stands.
func TestMoved(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	other := w.reopen()
	first := true
	racing := func(by Command) Appender {
		return func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, s broker.Staff) (journal.Outcome, error) {
			if first {
				first = false
				if err := other.Do(ctx, w.store.append, Operator{"other"}, by); err != nil {
					t.Error(err)
				}
			}
			return w.store.append(ctx, after, entries, kind, s)
		}
	}
	op := Operator{"test"}
	if err := w.Do(t.Context(), racing(household("c2", 2)), op, Assign{Case: "c1", Agency: gemeente, Worker: bram}); err != nil {
		t.Fatal(err)
	}
	if f := w.facts(ask(gemeente, bram, 0)); f.Relation.Case != broker.CaseAssigned || f.Position != w.Position() {
		t.Error("the change is not in the view when the command returns")
	}
	first = true
	err := w.Do(t.Context(), racing(CloseCase{"c1"}), op, Assign{Case: "c1", Agency: gemeente, Worker: carla})
	if err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("the case was closed meanwhile: %v", err)
	}
	always := func(context.Context, journal.Head, []journal.Entry, string, broker.Staff) (journal.Outcome, error) {
		return journal.Moved, nil
	}
	if err := w.Do(t.Context(), always, op, CloseCase{"c2"}); !errors.Is(err, ErrNotMade) {
		t.Errorf("always moved: %v", err)
	}
}

// The two ways an append can fail, lost and kept, look the same from here, and the error says so.
func TestUnknownOutcome(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	for _, kept := range []bool{false, true} {
		ambiguous := func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, s broker.Staff) (journal.Outcome, error) {
			if kept {
				if o, err := w.store.append(ctx, after, entries, kind, s); err != nil || o != journal.Appended {
					t.Error(o, err)
				}
			}
			return "", errors.New("connection lost")
		}
		err := w.Do(t.Context(), ambiguous, Operator{"test"}, Assign{Case: "c1", Agency: gemeente, Worker: bram})
		if !errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotMade) || !strings.Contains(err.Error(), "list") {
			t.Errorf("kept %v: %v", kept, err)
		}
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.facts(ask(gemeente, bram, 0)).Relation.Case == broker.CaseAssigned; got != kept {
			t.Errorf("kept %v, in the view %v", kept, got)
		}
	}
	refused := func(context.Context, journal.Head, []journal.Entry, string, broker.Staff) (journal.Outcome, error) {
		return "", fmt.Errorf("%w: the journal is full", ErrNotMade)
	}
	if err := w.Do(t.Context(), refused, Operator{"test"}, CloseCase{"c1"}); errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, ErrNotMade) {
		t.Errorf("definitely not made: %v", err)
	}
}
