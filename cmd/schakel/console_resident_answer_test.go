package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// TestAnswerOnPages: an officer reads a request, and who got data of that person, after each was recorded; their steps are those of
// the register, in their name. In another role, for another purpose or unrecorded nothing is given, and the log names nobody in clear.
func TestAnswerOnPages(t *testing.T) {
	l := newImpactLog(t, 2*together)
	l.officers(t, "canary-auditor", "canary-suspended")
	public, _, err := keys.NewAgencyKey(keys.ES256)
	file := filepath.Join(l.dir, "fg.pub")
	if err == nil {
		err = os.WriteFile(file, public, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out, say bytes.Buffer
	if code := run(t.Context(), []string{"register", "officer", "add", "canary-fg", "--role", string(register.RoleFG), "--data", l.dir,
		"--public-key", file}, nil, &out, &say); code != 0 {
		t.Fatal(say.String())
	}
	a, done := l.auditor(t)
	by, why := console.Person{ID: "canary-fg", Role: console.FG}, console.Ground{Purpose: "klacht", Ground: "canary-ground"}
	const about broker.BSN = "999990019"
	received := map[string]int{"00000099000000011000": 2, "00000099000000012000": 1} // how often
	for _, agency := range []broker.OIN{"00000099000000011000", "00000099000000012000", "00000099000000011000", "00000099000000013000"} {
		part := broker.SubjectPart{BSN: about, Subject: "p1", Agency: agency, Purpose: "ontruiming-voorkomen"}
		if agency != "00000099000000013000" { // which got nothing
			part.Released = []broker.Released{{Field: "persoon.leeftijd", Subject: "p1", Form: broker.FormExact, Basis: "wgs-8"}}
		}
		e := broker.Event{Position: a.register.Position(), Staff: broker.Staff{Agency: agency, Worker: "w", Role: "r", Purpose: part.Purpose, Request: "r"}, Subjects: []broker.SubjectPart{part}}
		if _, err := a.writer.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	q := register.ResidentRequest{ID: "BCDF-2345", About: about, Kind: register.RequestRestriction, Text: "canary-vraag"}
	if err := a.register.Do(t.Context(), a.append, register.Operator{Name: "test"}, register.MakeRequest{ResidentRequest: q}); err != nil {
		t.Fatal(err)
	}

	if list := a.Asked(); len(list) != 1 || list[0].ID != q.ID || list[0].Outcome != "" || !list[0].Due.Known() {
		t.Errorf("asked: %+v", list)
	}
	if got, err := a.ReadRequest(t.Context(), by, why, q.ID); err != nil || got.Text != q.Text || got.About != about || got.Restricted {
		t.Errorf("read: %+v, %v", got, err)
	}
	list, err := a.Recipients(t.Context(), by, why, q.ID, nil)
	got := map[string]int{}
	for _, r := range list {
		got[r.Name] = r.Times
		if len(r.Data) == 0 {
			t.Errorf("%s received nothing in particular", r.Name)
		}
	}
	if err != nil || !maps.Equal(got, received) || !slices.IsSortedFunc(list, func(a, b console.Recipient) int { return b.Last.Compare(a.Last) }) {
		t.Errorf("recipients: %v, %v, want %v", list, err, received)
	}
	if _, err := a.ReadRequest(t.Context(), by, why, "ZZZZ-2222"); !errors.Is(err, console.ErrNoRequest) {
		t.Errorf("no such request: %v", err)
	}
	auditor := console.Person{ID: "canary-auditor", Role: console.Auditor}
	for name, look := range map[string]func() error{
		"an auditor reads":    func() error { _, err := a.ReadRequest(t.Context(), auditor, why, q.ID); return err },
		"an auditor asks who": func() error { _, err := a.Recipients(t.Context(), auditor, why, q.ID, nil); return err },
		"for another purpose": func() error {
			_, err := a.ReadRequest(t.Context(), by, console.Ground{Purpose: "beleid", Ground: "x"}, q.ID)
			return err
		},
		"in a role of another": func() error {
			_, err := a.ReadRequest(t.Context(), console.Person{ID: by.ID, Role: console.PrivacyOfficer}, why, q.ID)
			return err
		},
		"somebody who is unknown": func() error {
			_, err := a.ReadRequest(t.Context(), console.Person{ID: "niemand", Role: console.FG}, why, q.ID)
			return err
		},
	} {
		if err := look(); !errors.Is(err, console.ErrMayNotLook) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if offered, err := a.AnsweringPurposes(t.Context(), by); err != nil || !broker.HasTerm(offered, "klacht") || broker.HasTerm(offered, "beleid") {
		t.Errorf("purposes: %v, %v", offered, err)
	}

	for name, step := range map[string]func(console.Person) error{
		"answers": func(p console.Person) error {
			return a.AnswerRequest(t.Context(), p, q.ID, register.OutcomeGranted, "goed")
		},
		"extends":   func(p console.Person) error { return a.ExtendRequest(t.Context(), p, q.ID, "veel") },
		"restricts": func(p console.Person) error { return a.Restrict(t.Context(), p, q.ID, true) },
	} {
		if err := step(auditor); err == nil || !strings.Contains(err.Error(), "may not") {
			t.Errorf("an auditor %s: %v", name, err)
		}
	}
	if err := errors.Join(a.ExtendRequest(t.Context(), by, q.ID, "veel werk"), a.Restrict(t.Context(), by, q.ID, true)); err != nil || !a.register.Restricted(about) {
		t.Errorf("restricted: %v", err)
	}
	if err := errors.Join(a.Restrict(t.Context(), by, q.ID, false), a.AnswerRequest(t.Context(), by, q.ID, register.OutcomePartly, "canary-antwoord")); err != nil || a.register.Restricted(about) {
		t.Errorf("lifted and answered: %v", err)
	}
	if r, _ := a.register.Request(q.ID); r.Extended != "veel werk" || r.Answer == nil || r.Answer.Text != "canary-antwoord" || a.desk.register.OfficerRef("canary-fg") != r.Answer.Officer {
		t.Errorf("in the register: %+v", r)
	}
	if err := a.AnswerRequest(t.Context(), by, q.ID, register.OutcomeGranted, "nog eens"); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("answered twice: %v", err)
	}
	if err := a.writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := a.ReadRequest(t.Context(), by, why, q.ID)
	who, err2 := a.Recipients(t.Context(), by, why, q.ID, nil)
	if !errors.Is(err, console.ErrNotRecorded) || !errors.Is(err2, console.ErrNotRecorded) || r.Text != "" || who != nil {
		t.Errorf("shown without a record: %v, %v", err, err2)
	}
	for _, stream := range []journal.Stream{journal.Register, journal.Audit("gw9")} {
		page, err := a.store.Read(t.Context(), stream, journal.ID{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if strings.Contains(string(e.Bytes), "canary") || strings.Contains(string(e.Bytes), about.Reveal()) {
				t.Errorf("%s %s has in clear who asked, what, or why somebody looked", stream, e.ID)
			}
		}
	}
	done()
	log := l.opened(t, "canary-auditor")
	for _, text := range []string{`how="console verzoek" worker="canary-fg" purpose="klacht" ground="canary-ground" sought="request BCDF-2345"`,
		`how="console ontvangers" worker="canary-fg" purpose="klacht" ground="canary-ground" sought="data subject 1.`} {
		if strings.Count(log, text) != 1 {
			t.Errorf("not once in the log: %s\n%s", text, log)
		}
	}
}
