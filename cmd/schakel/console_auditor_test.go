package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/search"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/journal"
)

// auditor opens a log as the console does, with an index of it. It gives what closes both; the writer is closed before.
func (l *impactLog) auditor(t *testing.T) (*auditDesk, func()) {
	t.Helper()
	d, err := (&where{data: l.dir}).openDesk(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := audit.Open(t.Context(), d.writerConfig("gw9", l.dir))
	if err != nil {
		t.Fatal(err)
	}
	a := &auditDesk{consoleDesk: &consoleDesk{desk: d, writer: writer, append: appender(writer), dir: l.dir}, config: d.searchOf(l.dir), log: d.store.(*archive.Store), replaying: newReplayer(d.store)}
	x, err := search.Open(t.Context(), a.config)
	if err == nil {
		err = x.Update(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a.index.Store(x)
	return a, func() {
		if err := errors.Join(x.Close(), d.store.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSearchOnPages: what is found is what was recorded, by who asked and for which case; every search and event that is
// shown stands in the log with purpose, ground and what was sought, encrypted; and where that can't be, nothing is given.
func TestSearchOnPages(t *testing.T) {
	l := newImpactLog(t, 4*together)
	l.officers(t, "canary-auditor", "canary-suspended")
	a, done := l.auditor(t)
	by, why := console.Person{ID: "canary-auditor", Role: console.Auditor}, console.Ground{Purpose: "controle", Ground: "canary-ground"}
	e := l.events[len(l.events)/2]
	q, err := search.Parse("zaak:" + string(e.Staff.Case) + " organisatie:" + string(e.Staff.Agency))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, other := range l.events {
		if other.Staff.Case == e.Staff.Case && other.Staff.Agency == e.Staff.Agency {
			want++
		}
	}
	found, err := a.Search(t.Context(), by, why, q, 0)
	if err != nil || len(found.Hits) != want || found.Total != want {
		t.Fatalf("%d of %d found, want %d: %v", len(found.Hits), found.Total, want, err)
	}
	q, err = search.Parse("besluit:" + string(e.Staff.Request))
	if err != nil {
		t.Fatal(err)
	}
	if found, err = a.Search(t.Context(), by, why, q, 0); err != nil || len(found.Hits) != 1 || found.Hits[0].Answer != e.Staff.Request {
		t.Fatalf("by its id: %+v %v", found, err)
	}
	h := found.Hits[0]
	got, err := a.Event(t.Context(), by, why, h.Writer, h.ID)
	if err != nil || got.Worker != e.Staff.Worker || got.Case != e.Staff.Case || !bytes.Equal(got.Queries[0], e.Common.Queries[0]) {
		t.Errorf("the event: %+v %v", got, err)
	}
	if r, err := a.Replay(t.Context(), h.Writer, h.ID); err != nil || r.Decisions != len(e.Common.Queries) || r.Identical+r.NotReplayed != r.Decisions || r.Identical == 0 {
		t.Errorf("decided again: %+v %v", r, err)
	}
	if _, err := a.Event(t.Context(), by, why, h.Writer, audit.ID{Epoch: 99}); !errors.Is(err, console.ErrNoDecision) {
		t.Errorf("an event that is not there: %v", err)
	}
	if _, err := a.Prove(t.Context(), h.Writer, h.ID); err == nil {
		t.Error("a proof without a Merkle log")
	}
	l.onOtherPages(t, a, by, why, h)
	offered, err := a.Purposes(t.Context(), by, console.QuestionSearch)
	if err != nil || len(offered) == 0 {
		t.Errorf("purposes: %v %v", offered, err)
	}
	for _, p := range []string{"controle", "datalek", "inzage", "klacht", "toezicht", "vakantie"} { // what is offered is permitted, and nothing else
		_, err := a.Search(t.Context(), by, console.Ground{Purpose: p, Ground: "canary-other"}, search.Query{Conditions: []search.Condition{{Kind: search.Case, Value: "x"}}}, 0)
		if errors.Is(err, console.ErrMayNotLook) == broker.HasTerm(offered, p) {
			t.Errorf("purpose %s: %v, and %v is offered", p, err, offered)
		}
	}
	for _, c := range []struct { // the shipped policy, written out again
		role          console.Role
		search, looks string
	}{
		{console.Auditor, "controle datalek toezicht", "controle datalek toezicht"}, {console.PrivacyOfficer, "datalek inzage klacht", ""},
		{console.FG, "controle datalek inzage klacht toezicht", "controle datalek toezicht"}, {console.Jurist, "", ""},
	} {
		for of, want := range map[console.Question]string{console.QuestionSearch: c.search, console.QuestionLooks: c.looks} {
			terms, err := a.Purposes(t.Context(), console.Person{Role: c.role}, of)
			var got []string
			for _, term := range terms {
				got = append(got, term.ID)
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s by a %s is offered for %v, %v; want %s", of, c.role, got, err, want)
			}
		}
	}
	refused := map[string]console.Person{"suspended": {ID: "canary-suspended", Role: console.Auditor}, "unknown": {ID: "niemand", Role: console.Auditor}, "in another role": {ID: by.ID, Role: console.FG}}
	for name, p := range refused {
		f, err := a.Search(t.Context(), p, why, search.Query{}, 0)
		e, err2 := a.Event(t.Context(), p, why, h.Writer, h.ID)
		if !errors.Is(err, console.ErrMayNotLook) || !errors.Is(err2, console.ErrMayNotLook) || f.Hits != nil || e.Queries != nil {
			t.Errorf("an officer who is %s: %v, %v", name, err, err2)
		}
	}
	if err := a.writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := a.Search(t.Context(), by, why, search.Query{}, 0)
	one, err2 := a.Event(t.Context(), by, why, h.Writer, h.ID)
	one2, err3 := a.Case(t.Context(), by, why, e.Staff.Case)
	if _, err := a.Looks(t.Context(), by, why, impactNow, impactNow, nil); !errors.Is(err, console.ErrNotRecorded) || !errors.Is(err3, console.ErrNotRecorded) || one2.Asked != nil {
		t.Errorf("shown without a record: %v, %v", err, err3)
	}
	if !errors.Is(err, console.ErrNotRecorded) || !errors.Is(err2, console.ErrNotRecorded) || f.Hits != nil || one.Queries != nil {
		t.Errorf("shown without a record: %v, %v", err, err2)
	}
	var raw bytes.Buffer
	for _, writer := range []string{"gw1", "gw2", "gw9"} {
		page, err := a.store.Read(t.Context(), journal.Audit(writer), journal.ID{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			raw.Write(e.Bytes)
		}
	}
	if strings.Contains(raw.String(), "canary") || raw.Len() == 0 {
		t.Error("the log has in clear who looked, why, or for what")
	}
	done()
	log := l.opened(t, "canary-auditor")
	for text, times := range map[string]int{` view of=many how="console zoeken" worker="canary-auditor" purpose="controle" ground="canary-ground" sought=`: 2,
		`sought="case:` + string(e.Staff.Case) + ` agency:`: 1, `how="console tijdlijn"`: 1, `how="audit looks review: misuse/reported" worker="canary-auditor"`: 1, ` how="console gebeurtenis" worker="canary-auditor" purpose="controle" ground="canary-ground"`: 1} {
		if got := strings.Count(log, text); got != times {
			t.Errorf("%q stands in the log %d times, want %d:\n%s", text, got, times, log)
		}
	}
}

// onOtherPages: the timeline of a case, reviews with who made them, and what verifying finds.
func (l *impactLog) onOtherPages(t *testing.T, a *auditDesk, by console.Person, why console.Ground, h search.Hit) {
	t.Helper()
	want := 0
	for _, e := range l.events {
		if e.Staff.Case == h.Case {
			want++
		}
	}
	if c, err := a.Case(t.Context(), by, why, h.Case); err != nil || len(c.Asked) != want || c.Older {
		t.Errorf("timeline: %d, want %d: %v", len(c.Asked), want, err)
	}
	for _, bad := range [][2]string{{"thief", ""}, {"misuse", "a thief"}} {
		if err := a.Review(t.Context(), by, why, h.Writer, h.ID, bad[0], bad[1]); err == nil {
			t.Errorf("a review that says %v", bad)
		}
	}
	for _, outcome := range []string{"unclear", "misuse"} {
		if err := a.Review(t.Context(), by, why, h.Writer, h.ID, outcome, "reported"); err != nil {
			t.Fatal(err)
		}
	}
	reviews, err := a.looksReviewed(t.Context(), time.Now().Add(-time.Hour))
	r := reviews[eventID{h.Writer, h.ID}]
	who, err2 := a.reviewer(t.Context(), r.view)
	if err != nil || err2 != nil || len(reviews) != 1 || r.Outcome != "misuse" || r.Note != "reported" || who != by.ID {
		t.Errorf("reviews: %+v by %q: %v, %v", reviews, who, err, err2)
	}
	i, err := a.Integrity(t.Context())
	if err != nil || i.Checkpoint != nil || i.Unsealed.IsZero() || len(i.Streams) < 3 || i.Streams[0].Head == "" || i.Streams[0].Sealed != "" || i.Verified != nil || i.Index.Events != len(l.events) {
		t.Errorf("integrity: %+v %v", i, err)
	}
	read := 0
	v, err := a.Verify(t.Context(), func(n int) { read = n })
	if err != nil || !v.OK || uint64(read) != v.Entries || v.Entries < uint64(len(l.events)) || v.Checkpoint != 0 {
		t.Errorf("verification: %+v, told of %d: %v", v, read, err)
	}
	if i, err = a.Integrity(t.Context()); err != nil || i.Verified == nil || !i.Verified.OK || i.Verified.Entries != v.Entries {
		t.Errorf("remembered: %+v %v", i.Verified, err)
	}
}

// TestRebuildSearch: the command makes the index again, and a server that has it open is asked to.
func TestRebuildSearch(t *testing.T) {
	l := newImpactLog(t, 2*together)
	rebuild := func() string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"audit", "search", "rebuild", "--data", l.dir, "--json"}, nil, &out, &errs); code != 0 {
			t.Fatal(errs.String())
		}
		return out.String()
	}
	if got := rebuild(); !strings.Contains(got, fmt.Sprintf(`"events":%d`, len(l.events))) {
		t.Errorf("made again: %s", got)
	}
	d, err := (&where{data: l.dir}).openDesk(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	x, err := search.Open(t.Context(), d.searchOf(l.dir))
	if err = errors.Join(err, d.store.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = x.Close() }()
	if s, err := x.State(t.Context()); err != nil || s.Events != len(l.events) {
		t.Errorf("what the command made: %+v %v", s, err)
	}
	if got := rebuild(); !strings.Contains(got, `"asked":true`) {
		t.Errorf("while it is open: %s", got)
	}
}
