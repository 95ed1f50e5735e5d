package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// impactDraft is the shipped policy with a field lost, a field gained by some, and a form made coarser.
func impactDraft(t testing.TB) map[string][]byte {
	files := policies.Files()
	for _, edit := range [][3]string{
		{"schakel/field.rego", "full := \"exact\" if {\n", "full := \"age-band\" if {\n\t\"age-band\" in input.field.forms\n} else := \"exact\" if {\n"},
		{"schakel/settings/data.json", "\"never\": [\n", "\"never\": [\n    \"huur.contactpersoon\",\n"},
		{"schakel/settings/data.json", "\"ggz\": [\n", "\"ggz\": [\n      \"12-15\",\n"},
	} {
		text := string(files[edit[0]])
		if strings.Count(text, edit[1]) != 1 {
			t.Fatalf("%s has not one %q", edit[0], edit[1])
		}
		files[edit[0]] = []byte(strings.Replace(text, edit[1], edit[2], 1))
	}
	return files
}

// impactLog is a data folder with a generated log, and what was put into it.
type impactLog struct {
	dir     string
	base    broker.Revision
	draft   broker.Revision
	decider *decide.Decider
	events  []loggedEvent
}

type loggedEvent struct {
	at time.Time
	broker.Event
	subjects [][]broker.Query // as broker.Common.Subjects
}

var impactNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// together is how many events are appended at a time.
const together = 20

func newImpactLog(t testing.TB, n int) *impactLog {
	l := &impactLog{dir: t.TempDir(), decider: decide.New(decide.Config{})}
	passphrase := "correct horse battery staple"
	if err := os.WriteFile(filepath.Join(l.dir, passphraseFile), []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Create(keys.Config{Path: filepath.Join(l.dir, ringFile), Passphrase: []byte(passphrase)})
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(l.dir, journalFile)})
	if err != nil {
		t.Fatal(err)
	}
	genesis, _, err := register.Genesis("gm0000", impactNow.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Init(t.Context(), genesis); err != nil {
		t.Fatal(err)
	}
	d, err := newDesk(t.Context(), store, ring)
	if err != nil {
		t.Fatal(err)
	}
	for to, files := range map[*broker.Revision]map[string][]byte{&l.base: policies.Files(), &l.draft: impactDraft(t)} {
		if *to, err = d.keepPolicy(t.Context(), files); err != nil {
			t.Fatal(err)
		}
		if err := l.decider.Load(t.Context(), *to, files); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		l.events = append(l.events, l.event(t, random, impactNow.AddDate(0, 0, -120).Add(time.Duration(i/together)*120*24*time.Hour/time.Duration(n/together))))
	}
	for w, name := range []string{"gw1", "gw2"} {
		cfg := d.writerConfig(name, l.dir)
		now := l.events[0].at
		cfg.Now, cfg.Limit = func() time.Time { return now }, time.Minute
		writer, err := audit.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for first := together * w; first < n; first += 2 * together {
			if first >= n/2 && first < n/2+2*together { // another epoch
				if err := writer.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if writer, err = audit.Open(t.Context(), cfg); err != nil {
					t.Fatal(err)
				}
			}
			now = l.events[first].at
			var wait sync.WaitGroup
			for _, e := range l.events[first:min(n, first+together)] {
				wait.Go(func() {
					if _, err := writer.Append(t.Context(), e.Event); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
		}
		if err := writer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// event makes up a request about a family, as decided by the base or now and then by the draft.
func (l *impactLog) event(t testing.TB, r *rand.Rand, at time.Time) loggedEvent {
	domains := []broker.Domain{"contact", "ggz", "huishouden", "huur", "persoon", "schulden"}
	by := l.base
	if r.IntN(10) == 0 {
		by = l.draft
	}
	q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}},
		Role: pick[broker.Role](r, "wijkteammedewerker", "wijkteammedewerker", "wijkteammedewerker", "casusregisseur"), Purpose: "ontruiming-voorkomen",
		Relation:   broker.Relation{Case: pick(r, broker.CaseAssigned, broker.CaseAssigned, broker.CaseAgency), Coordinator: true, Municipality: broker.MunicipalitySame},
		Agreements: pick(r, domains, domains, domains[:3])}
	e := loggedEvent{at: at, Event: broker.Event{Position: 1, Common: broker.Common{Policy: broker.PolicyRef{Revision: by, Engine: l.decider.Engine()}},
		Staff: broker.Staff{Agency: broker.OIN(fmt.Sprintf("000000990000000%05d", r.IntN(14))), Worker: "w", Role: q.Role, Purpose: q.Purpose,
			Case: broker.CaseID(fmt.Sprintf("zaak-%d", r.IntN(60))), Request: broker.RequestID(fmt.Sprintf("%08x-%04x-7000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, r.Uint64()>>16))}}}
	add := func(subject broker.Subject, lookup broker.AgencyKind, queries ...broker.Query) {
		s := broker.SubjectQueries{Subject: subject, Lookup: lookup}
		for _, q := range queries {
			q = q.Canonical()
			dec, err := l.decider.Decide(t.Context(), by, q)
			if err != nil {
				t.Fatal(err)
			}
			n := slices.IndexFunc(e.Common.Queries, func(have json.RawMessage) bool { return bytes.Equal(have, q.Bytes()) })
			if n < 0 {
				n = len(e.Common.Queries)
				e.Common.Queries = append(e.Common.Queries, q.Bytes())
				e.Common.Decisions = append(e.Common.Decisions, dec.Bytes())
			}
			s.Queries = append(s.Queries, n)
		}
		e.Common.Subjects = append(e.Common.Subjects, s)
		e.subjects = append(e.subjects, queries)
	}
	q.Subject = broker.QuerySubject{Kind: broker.SubjectHousehold, Age: broker.AgeUnknown}
	q.Fields = []broker.Field{"huur.contactpersoon", "huishouden.minderjarigenAanwezig"}[:1+r.IntN(2)]
	add(broker.Household, "", q)
	for i := range r.IntN(4) {
		q.Subject = broker.QuerySubject{Kind: broker.SubjectPerson, Age: pick[broker.AgeBand](r, "12-15", "18+"), Release: pick(r, nil, []broker.Domain{"ggz"})}
		q.Fields = []broker.Field{"ggz.behandelaar.contact", "persoon.leeftijd", "persoon.geboorte.datum", "ggz.diagnose"}[r.IntN(3):]
		again := []broker.Query{q}
		if r.IntN(4) == 0 { // a fact changed under it: decided twice
			q.Subject.Release = nil
			again = append(again, q)
		}
		add(broker.Subject(fmt.Sprintf("p%d", i+1)), "", again...)
	}
	if r.IntN(3) == 0 {
		q.Agency = broker.QueryAgency{Kind: "woningcorporatie"}
		q.Role, q.Purpose, q.Relation = broker.RoleHolder, "bevraging", broker.Relation{Case: broker.CaseAgency, Municipality: broker.MunicipalitySame}
		q.Fields = []broker.Field{"persoon.geboorte.datum", "persoon.naam.geslachtsnaam"}
		add("p1", "woningcorporatie", q)
	}
	if r.IntN(40) == 0 { // a query of a version that is not known here
		e.Common.Queries[0] = bytes.Replace(e.Common.Queries[0], []byte(`{"v":1,`), []byte(`{"v":2,`), 1)
		e.subjects = nil
	}
	return e
}

// naive counts the other way: request after request, field after field, each decided anew, in sets of names.
func (l *impactLog) naive(t *testing.T, since, until time.Time) (r workbench.ImpactReport) {
	type sets struct {
		requests, agencies, cases map[string]bool
		roles                     map[broker.Role]bool
	}
	counted := map[[3]string]*sets{}
	changed, quietly := 0, 0
	for i, e := range l.events {
		if e.at.Before(since) || !e.at.Before(until) {
			continue
		}
		r.Requests++
		if e.subjects == nil {
			continue
		}
		r.Replayed++
		r.Decisions += len(e.Common.Queries)
		changes, differs := false, false
		for n, queries := range e.subjects {
			forms := map[broker.Field][2][]broker.Form{}
			for _, q := range queries {
				q := q.Canonical()
				before, err1 := l.decider.Decide(t.Context(), l.base, q)
				after, err2 := l.decider.Decide(t.Context(), l.draft, q)
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				differs = differs || !bytes.Equal(before.Bytes(), after.Bytes())
				for _, f := range q.Fields {
					both := forms[f]
					forms[f] = [2][]broker.Form{append(both[0], before.Grants[f].Form), append(both[1], after.Grants[f].Form)}
				}
			}
			for f, both := range forms {
				var got [2]string
				for side, list := range both {
					if list = slices.Compact(slices.Sorted(slices.Values(list))); len(list) == 1 {
						got[side] = string(list[0])
					}
				}
				if got[0] == got[1] {
					continue
				}
				changes = true
				key := [3]string{string(f), got[0], got[1]}
				if counted[key] == nil {
					counted[key] = &sets{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[broker.Role]bool{}}
				}
				s := counted[key]
				s.requests[fmt.Sprint(i)] = true
				s.cases[string(e.Staff.Case)] = true
				s.roles[queries[0].Role] = true
				if e.Common.Subjects[n].Lookup == "" {
					s.agencies[string(e.Staff.Agency)] = true
				}
			}
		}
		switch {
		case changes:
			changed++
		case differs:
			quietly++
		}
	}
	few := func(n int) workbench.Count {
		if n > 0 && n < 10 {
			return workbench.Few
		}
		return workbench.Count(n)
	}
	r.Changed, r.Quietly = few(changed), few(quietly)
	for key, s := range counted {
		r.Changes = append(r.Changes, workbench.ImpactChange{Field: broker.Field(key[0]), From: broker.Form(key[1]), To: broker.Form(key[2]),
			Requests: few(len(s.requests)), Agencies: few(len(s.agencies)), Cases: few(len(s.cases)), Roles: slices.Sorted(maps.Keys(s.roles))})
	}
	return r
}

func impactJSON(t *testing.T, args ...string) (r workbench.ImpactReport) {
	t.Helper()
	var out, say bytes.Buffer
	if code := run(context.Background(), append([]string{"policy", "impact", "--json"}, args...), nil, &out, &say); code != 0 {
		t.Fatalf("exit %d: %s", code, say.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return r
}

// TestImpactCounts holds the report of the command over a real log against the same, counted another way.
func TestImpactCounts(t *testing.T) {
	t.Parallel()
	l := newImpactLog(t, 240)
	for _, window := range [][2]string{{"2026-09-10", "2026-11-01"}, {"2026-01-01", "2026-12-01"}} {
		since, err1 := time.Parse(time.DateOnly, window[0])
		until, err2 := time.Parse(time.DateOnly, window[1])
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		want := l.naive(t, since, until)
		got := impactJSON(t, string(l.draft), "--base", string(l.base), "--data", l.dir, "--since", window[0], "--until", window[1])
		if got.Requests != want.Requests || got.Replayed != want.Replayed || got.Decisions != want.Decisions || got.Changed != want.Changed ||
			got.Quietly != want.Quietly || got.Unlike != 0 || got.Closed != 0 || got.Otherwise != 0 {
			t.Errorf("%v: got %+v, want %+v", window, got, want)
		}
		for i := range got.Changes {
			got.Changes[i].Class = ""
		}
		order := func(a, b workbench.ImpactChange) int {
			return strings.Compare(fmt.Sprint(a.Field, a.From, a.To), fmt.Sprint(b.Field, b.From, b.To))
		}
		slices.SortFunc(got.Changes, order)
		slices.SortFunc(want.Changes, order)
		if a, b := fmt.Sprintf("%+v", got.Changes), fmt.Sprintf("%+v", want.Changes); a != b {
			t.Errorf("%v:\ngot  %s\nwant %s", window, a, b)
		}
		if since.Month() == time.January && (len(got.Changes) < 4 || got.Quietly == 0 || len(got.NotReplayed) != 1 || got.Replayed == got.Requests) {
			t.Errorf("the log is too simple: %+v", got)
		}
	}
	withoutRing(t, l)
}

// withoutRing: who asked can't be counted, and the page says so; what changes can, of folders: nothing in the journal can be
// known to be as it was signed.
func withoutRing(t *testing.T, l *impactLog) {
	if err := os.Remove(filepath.Join(l.dir, ringFile)); err != nil {
		t.Fatal(err)
	}
	base, draft := policiestest.Folder(t, policies.Files()), policiestest.Folder(t, impactDraft(t))
	for _, args := range [][]string{{string(l.draft), "--base", base}, {draft, "--base", string(l.base)}, {draft}} {
		var out, say bytes.Buffer
		if code := run(context.Background(), append([]string{"policy", "impact", "--data", l.dir}, args...), nil, &out, &say); code == 0 ||
			!strings.Contains(say.String(), "without the key ring: name a folder") {
			t.Errorf("%v: exit %d, %s", args, code, say.String())
		}
	}
	got := impactJSON(t, draft, "--base", base, "--data", l.dir, "--since", "2026-01-01", "--until", "2026-12-01")
	if got.Closed != got.Replayed || len(got.Changes) < 4 || got.Changes[0].Requests == 0 {
		t.Errorf("got %+v", got)
	}
	for _, c := range got.Changes {
		if c.Agencies != 0 || c.Cases != 0 {
			t.Errorf("%s: agencies or cases are counted without the ring", c.Field)
		}
	}
	page := got.Text()
	for _, want := range []string{"# Gevolgen van het voorstel", "huur.contactpersoon", "geweigerd – refused", "Is the key ring at hand?"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, never := range []string{"zaak-", "00000099"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
}
