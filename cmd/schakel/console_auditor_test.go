package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/audit"
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
	a := &auditDesk{consoleDesk: &consoleDesk{desk: d, writer: writer, append: appender(writer), dir: l.dir}, config: d.searchOf(l.dir), replaying: newReplayer(d.store)}
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
	var log, errs bytes.Buffer
	if code := run(t.Context(), []string{"audit", "log", "--data", l.dir}, nil, &log, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	for text, times := range map[string]int{` view of=many how="console zoeken" worker="canary-auditor" purpose="controle" ground="canary-ground" sought=`: 2,
		`sought="case:` + string(e.Staff.Case): 1, ` how="console gebeurtenis" worker="canary-auditor" purpose="controle" ground="canary-ground"`: 1} {
		if got := strings.Count(log.String(), text); got != times {
			t.Errorf("%q stands in the log %d times, want %d:\n%s", text, got, times, log.String())
		}
	}
}
