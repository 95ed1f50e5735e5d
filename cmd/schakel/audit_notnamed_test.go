package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/audit/index"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// discreet gives the small policy with the rules about the log, and a list of what is not named.
func discreet() map[string][]byte {
	files := policiestest.Small()
	maps.Copy(files, policies.Log(policies.Files()))
	policiestest.Replace(files, decide.NotNamedFile, `"requests": []`,
		`"requests": [{"purpose": "handhaving", "role": "sociaal-rechercheur", "ground": "AVG 23(1)d", "why": {"nl": "Lopend onderzoek.", "en": "An inquiry."}}]`)
	return files
}

// askedAbout records a request about somebody as the policy in force decides it, and gives the event's hash.
func (o *offices) askedAbout(t *testing.T, about broker.BSN, agency broker.OIN, role broker.Role, purpose broker.Purpose) broker.Hash {
	t.Helper()
	if err := o.loadPolicy(t.Context()); err != nil {
		t.Fatal(err)
	}
	live, _ := o.register.Revision()
	q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}}, Role: role, Purpose: purpose,
		Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame}, Subject: broker.QuerySubject{Kind: broker.SubjectHousehold, Age: broker.AgeUnknown},
		Fields: []broker.Field{"huur.achterstand.bedrag"}}.Canonical()
	decision, err := o.decider.Decide(t.Context(), live, q)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.writer.Append(t.Context(), broker.Event{Position: o.register.Position(),
		Common: broker.Common{Policy: broker.PolicyRef{Revision: live, Engine: o.decider.Engine()}, Queries: []json.RawMessage{q.Bytes()},
			Decisions: []json.RawMessage{decision.Bytes()}, Subjects: []broker.SubjectQueries{{Subject: broker.Household, Queries: []int{0}}}},
		Staff: broker.Staff{Agency: agency, Worker: "w", Role: role, Purpose: purpose, Request: "r"},
		Subjects: []broker.SubjectPart{{BSN: about, Subject: "p1", Agency: agency, Purpose: purpose,
			Released: []broker.Released{{Field: "persoon.leeftijd", Subject: "p1", Form: broker.FormExact, Basis: "wgs-8"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Hash
}

// sealedIndex makes an index and a checkpoint that has it.
func (o *offices) sealedIndex(t *testing.T, seal *sealing) {
	t.Helper()
	if _, err := index.Build(t.Context(), o.indexOf(seal.dir)); err != nil {
		t.Fatal(err)
	}
	s := &server{desk: o.desk, cfg: serverConfig{store: archive.NewStore(o.store, archive.OpenFolder("")), ring: o.ring, sealing: seal, log: slog.New(slog.DiscardHandler)}}
	c, err := s.checkpointer()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer stop()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if r, err := readSeal(t.Context(), o.store); err == nil && r.Streams[checkpoint.Index] != "" {
			return
		} else if time.Now().After(end) {
			t.Fatal("the index was not sealed", r, err)
		}
	}
}

// TestNotNamed: what a policy lists when it decides is not named to the resident: not in their report, in both languages, nor in
// its proof, which is whole, nor among who must be told; what it decided before it listed it, is. Who opens the index of it is the
// functionaris gegevensbescherming, and sees which event and on which ground. Where the list can't be read nothing is told.
func TestNotNamed(t *testing.T) {
	o := newOffices(t)
	dir := t.TempDir()
	const me, stranger, inquirer = broker.BSN("999990019"), broker.BSN("999990020"), broker.OIN("00000099000000013000")
	named := []broker.Hash{o.askedAbout(t, me, "00000099000000011000", "sociaal-rechercheur", "handhaving")}
	files := discreet()
	n, err := o.submit(t.Context(), o.append, "schrijver", o.signer["schrijver"], "onderzoek", o.register.Policy().Live, files, o.studied(t, files))
	if err == nil {
		err = o.approve(t.Context(), o.append, n, "collega", o.signer["collega"])
	}
	if err == nil {
		err = o.activate(t.Context(), o.append, n, "proef")
	}
	if live, _ := o.register.Revision(); err != nil || live != policies.Revision(files) {
		t.Fatal(live, err)
	}
	hidden := o.askedAbout(t, me, inquirer, "sociaal-rechercheur", "handhaving")
	named = append(named, o.askedAbout(t, me, "00000099000000012000", "wijkteammedewerker", "handhaving"))

	seal := &sealing{dir: filepath.Join(dir, checkpointsFolder)}
	o.sealedIndex(t, seal)
	o.askedAbout(t, me, inquirer, "sociaal-rechercheur", "handhaving") // in no index yet
	desk := &residentsDesk{desk: o.desk, writer: o.writer, append: o.append, sealing: seal}
	for of, want := range map[broker.BSN][]broker.Hash{me: named, stranger: {}} {
		r, err := desk.Report(t.Context(), of, of, nil)
		if err != nil || r.NoProof != nil {
			t.Fatal(err, r.NoProof)
		}
		got := []broker.Hash{}
		for _, a := range r.Dutch.Acts {
			got = append(got, a.Event)
		}
		slices.Reverse(got)
		if !slices.Equal(got, want) || len(r.English.Acts) != len(want) || r.Dutch.Unreadable != 0 || r.Dutch.NotNamed != audit.NotNamed || r.English.NotNamed != audit.NotNamedEnglish {
			t.Errorf("named %v, want %v: %+v", got, want, r.Dutch)
		}
		whole, err := json.Marshal(r)
		if err != nil || bytes.Contains(whole, []byte(hidden.String())) || bytes.Contains(whole, []byte(inquirer)) {
			t.Errorf("it tells what is not named: %v, %s", err, whole)
		}
		at, err := desk.indexed()
		if err != nil {
			t.Fatal(err)
		}
		proved, err := index.Verify(r.Proof, at.keys, o.ring.PseudonymKeys(), of)
		for _, hash := range want {
			if !slices.Contains(proved.Events, hash) {
				err = os.ErrNotExist
			}
		}
		if err != nil || len(proved.Events) != len(want) || proved.Unreadable != 0 {
			t.Errorf("it proves %+v, %v; want %v", proved, err, want)
		}
		if list, err := o.recipients(t.Context(), of, at); err != nil || len(list) != len(want) {
			t.Errorf("to be told: %+v, %v", list, err)
		}
	}
	if n, err := index.Check(t.Context(), o.indexOf(seal.dir), nil); n != 1 || err != nil {
		t.Errorf("checked %d, %v", n, err)
	}

	live, _ := o.register.Revision()
	o.blobs[string(live)] = []byte("altered")
	later, err := newDesk(t.Context(), o.store, o.ring)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := later.subjectEvents(t.Context(), me, audit.MentionsConfig{}, indexed{}); err == nil || !strings.Contains(err.Error(), "put its bundle back") {
		t.Errorf("the list can't be read, and it tells of %d events: %v", len(found.events), err)
	}
	if _, err := index.Build(t.Context(), later.indexOf(filepath.Join(dir, "later"))); err == nil || !strings.Contains(err.Error(), "put its bundle back") {
		t.Errorf("the list can't be read, and an index is made: %v", err)
	}
	delete(o.blobs, string(live))
	o.opensNotNamed(t, seal.dir, me, stranger, hidden)
}

// opensNotNamed: by command, with what is recorded first.
func (o *offices) opensNotNamed(t *testing.T, merkle string, me, stranger broker.BSN, hidden broker.Hash) {
	t.Helper()
	data := o.dir
	for id, role := range map[string]register.OfficerRole{"fg": register.RoleFG, "privacy": register.RolePrivacyOfficer} {
		public, private, err := keys.NewAgencyKey(keys.EdDSA)
		if err == nil {
			err = os.WriteFile(filepath.Join(data, id+".jwk"), private, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		o.do(t, o.register.NewOfficer(register.OfficerID(id), role, public)...)
	}
	if err := o.writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	command := func(in broker.BSN, args ...string) (string, int) {
		var out bytes.Buffer
		code := run(t.Context(), append(args, "--data", data), strings.NewReader(in.Reveal()+"\n"), &out, &out)
		return out.String(), code
	}
	open := func(officer string, in broker.BSN, more ...string) (string, int) {
		return command(in, append([]string{"audit", "index", "not-named", "--officer", officer, "--key", filepath.Join(data, officer+".jwk"), "--purpose", "inzage",
			"--ground", "AVG 15, dossier 3", "--checkpoints", merkle}, more...)...)
	}
	if out, code := open("privacy", ""); code == 0 || strings.Contains(out, hidden.String()) || !strings.Contains(out, "a privacy-officer may not open this index") {
		t.Errorf("a privacy officer opens it: %s", out)
	}
	var list []unnamedEvent
	out, code := open("fg", me, "--bsn", "-", "--json")
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 1 || list[0].Hash != hidden || list[0].Role != "sociaal-rechercheur" || list[0].Purpose != "handhaving" ||
		list[0].Ground != "AVG 23(1)d" || list[0].Why.NL != "Lopend onderzoek." || list[0].Residents != 1 || time.Since(list[0].Time) > time.Hour || strings.Contains(out, me.Reveal()) {
		t.Errorf("of a resident: %d, %v, %s", code, err, out)
	}
	if out, code := open("fg", stranger, "--bsn", "-"); code != 0 || out != "0 requests that are not named\n" {
		t.Errorf("of another: %d, %s", code, out)
	}
	if out, code := open("fg", "", "--index", "0"); code != 0 || !strings.HasPrefix(out, "1 requests that are not named\n") || !strings.Contains(out, hidden.String()) || !strings.Contains(out, "AVG 23(1)d: Lopend onderzoek.") {
		t.Errorf("of everybody: %d, %s", code, out)
	}
	log, code := command("", "audit", "log", "--officer", "fg", "--key", filepath.Join(data, "fg.jwk"), "--purpose", "toezicht", "--ground", "AVG 39")
	if code != 0 || strings.Count(log, `how="audit index not-named" worker="fg" purpose="inzage" ground="AVG 15, dossier 3"`) != 3 || !strings.Contains(log, hidden.String()) {
		t.Errorf("what is recorded: %s", log)
	}
}
