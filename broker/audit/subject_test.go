package audit

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

func readMentions(t testing.TB, c MentionsConfig) (out []Mention) {
	t.Helper()
	if c.KeyOf == nil {
		c.KeyOf = newRing().OpenRef
	}
	for m, err := range Mentions(t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// TestMentionsAreThoseOfTheLog: of every data subject, in any window and range, exactly the events that have a part of them.
func TestMentionsAreThoseOfTheLog(t *testing.T) {
	s, log := requestLog(t)
	about := map[string][]broker.Hash{}
	for _, e := range log {
		for _, sub := range e.Subjects {
			about[sub.Pseudonym] = append(about[sub.Pseudonym], e.Hash)
		}
	}
	if len(about) < 3 {
		t.Fatalf("%d data subjects", len(about))
	}
	sorted := func(list []broker.Hash) []broker.Hash {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b broker.Hash) int { return slices.Compare(a[:], b[:]) })
		return list
	}
	vault := newVault(s)
	for who, want := range about {
		var got []broker.Hash
		for _, m := range readMentions(t, MentionsConfig{Store: s, Of: []string{who, "nobody"}}) {
			got = append(got, m.Hash)
			e, err := m.Open(t.Context(), vault, who)
			if err != nil || e.State != "" || e.StaffState != "" || e.Part.Agency == "" || e.Staff.Worker == "" || e.Revision == "" {
				t.Fatalf("%+v, %v", e, err)
			}
			if other, err := m.Open(t.Context(), vault, "nobody"); err != nil || other.State != PartDamaged || other.Part != nil {
				t.Errorf("opened for somebody else: %+v, %v", other, err)
			}
		}
		if !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("%d mentions of %s, the log has %d", len(got), who, len(want))
		}
	}
	for i := range log {
		since, until := log[i].Time, log[min(i+9, len(log)-1)].Time
		want := 0
		for _, e := range log {
			if e.Kind == KindDisclosure && !e.Time.Before(since) && e.Time.Before(until) {
				want++
			}
		}
		if got := len(readMentions(t, MentionsConfig{Store: s, Since: since, Until: until})); got != want {
			t.Errorf("%d mentions from %s, want %d", got, since, want)
		}
	}
	// A range of ids is gapless with the one after it, whatever clocks said.
	middle := map[string]journal.ID{"gw1": {Epoch: 2, Seq: 3}}
	first := readMentions(t, MentionsConfig{Store: s, UpTo: middle})
	rest := readMentions(t, MentionsConfig{Store: s, After: middle})
	if all := readMentions(t, MentionsConfig{Store: s}); len(first) == 0 || len(first)+len(rest) != len(all) {
		t.Errorf("%d and %d are not %d", len(first), len(rest), len(all))
	}
}

// TestMentionsNameWhatTheyCantRead: an event that was altered is given to everybody, since it may be about them; an erased
// part is still recognised.
func TestMentionsNameWhatTheyCantRead(t *testing.T) {
	s := newStore(t)
	c := config(s, "gw", freshView{})
	w := open(t, c)
	for n := range 3 {
		if _, err := w.Append(t.Context(), disclosureEvent(n)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, w)
	me := c.Pseudonym("999990019")
	if err := s.DeleteKeys(t.Context(), []string{SubjectKey(me, testTime)}); err != nil {
		t.Fatal(err)
	}
	stream := s.streams[journal.Audit("gw")]
	e, err := Decode(stream[1].Bytes)
	if err != nil {
		t.Fatal(err)
	}
	e.Subjects[1].Ref[20] ^= 1
	stream[1].Bytes = e.Encode()
	stream[2].Bytes = append(slices.Clone(stream[2].Bytes), '}')
	got := readMentions(t, MentionsConfig{Store: s, Of: []string{me}})
	if len(got) != 3 || !got[0].Damaged || !got[1].Damaged || got[2].Damaged {
		t.Fatalf("%+v", got)
	}
	opened, err := got[2].Open(t.Context(), newVault(s), me)
	if err != nil || opened.State != PartErased || opened.Part != nil || opened.Staff == nil {
		t.Errorf("%+v, %v", opened, err)
	}
	if got := readMentions(t, MentionsConfig{Store: s, Of: []string{"a stranger"}}); len(got) != 2 {
		t.Errorf("a stranger is not told of what can't be read: %+v", got)
	}
}

// TestAsked: under what was asked stands in clear, and stays when who asked is erased. A lookup is of the holder that is asked. What
// can't be read is not made up.
func TestAsked(t *testing.T) {
	s := newStore(t)
	c := config(s, "gw", freshView{})
	w := open(t, c)
	e := disclosureEvent(0)
	query := func(role broker.Role) json.RawMessage {
		return broker.Query{V: 1, Role: role, Purpose: "handhaving", Fields: []broker.Field{"huur.achterstand"}}.Canonical().Bytes()
	}
	e.Common.Queries = []json.RawMessage{query(broker.RoleHolder), query("sociaal-rechercheur")}
	e.Common.Decisions = []json.RawMessage{[]byte(`{}`), []byte(`{}`)}
	e.Common.Revisions = []broker.Revision{"before", "rev"}
	e.Common.Subjects = []broker.SubjectQueries{{Subject: "p1", Queries: []int{0}, Lookup: "woningcorporatie"}, {Subject: "p1", Queries: []int{1}}}
	if _, err := w.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, w)
	if err := s.DeleteKeys(t.Context(), []string{StaffKey(testTime)}); err != nil {
		t.Fatal(err)
	}
	got := readMentions(t, MentionsConfig{Store: s})
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	if a, ok := got[0].Asked(); !ok || a != (Asked{"rev", "sociaal-rechercheur", "handhaving"}) {
		t.Errorf("%+v, %v", a, ok)
	}
	if a, ok := got[1].Asked(); ok {
		t.Errorf("without a query: %+v", a)
	}
	if a, ok := (Mention{Damaged: true}).Asked(); ok {
		t.Errorf("without an event: %+v", a)
	}
}

// TestPartOfAnother: a part that says another pseudonym than its key is not taken for either.
func TestPartOfAnother(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", freshView{}))
	text, err := marshal(subjectPlain{Pseudonym: "me"})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := w.seal(t.Context(), []keys.Plain{{KeyID: staffKey(testTime), Context: contextStaff, Text: []byte(`{}`)},
		{KeyID: SubjectKey("somebody else", testTime), Context: contextSubject, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	m := Mention{Time: testTime, Pseudonyms: []string{"somebody else"}, event: Event{Common: []byte(`{}`), Staff: &parts[0], Subjects: parts[1:]}}
	if e, err := m.Open(t.Context(), newVault(s), "somebody else"); err != nil || e.State != PartDamaged || e.Part != nil {
		t.Errorf("%+v, %v", e, err)
	}
	mustClose(t, w)
}

func BenchmarkMentions(b *testing.B) {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	for n := range 2000 {
		if _, err := w.Append(context.Background(), benchEvent(n)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		began := time.Now()
		if n := len(readMentions(b, MentionsConfig{Store: s})); n != 2000 {
			b.Fatal(n)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/2000, "µs/event")
	}
}
