package audit

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

func readLog(t testing.TB, c LogConfig) []LogEvent {
	t.Helper()
	var out []LogEvent
	for e, err := range Log(context.Background(), c) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// clock steps a second at each reading.
func clock() func() time.Time {
	n := 0
	return func() time.Time { n++; return testTime.Add(time.Duration(n) * time.Second) }
}

func TestLogMergesWritersAndOpensParts(t *testing.T) {
	s := newStore(t)
	now := clock()
	ca, cb := config(s, "a", &storeView{s: s}), config(s, "b", &storeView{s: s})
	ca.Now, cb.Now = now, now
	a, b := open(t, ca), open(t, cb)
	for i := range 3 {
		for _, w := range []*Writer{b, a} {
			e := disclosureEvent(i)
			e.Staff.Idempotency = []string{"", "key-1", "key-1"}[i]
			if w == b && i == 2 {
				e.Staff.Agency = "00000001111111111111" // another agency's key-1
			}
			if _, err := w.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := a.Change(t.Context(), changeAfter(s)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	mustClose(t, a)

	events := readLog(t, LogConfig{Store: s, Vault: a.cfg.Vault.(Opener)})
	var order []string
	for i, e := range events {
		order = append(order, e.Writer+string(e.Kind[0]))
		if i > 0 && e.Time.Before(events[i-1].Time) {
			t.Errorf("event %d is older than the one before", i)
		}
		line := e.Line()
		if !strings.HasPrefix(line, e.Hash.String()+" 2026-11-24T12:") || strings.ContainsAny(line, "\n•") {
			t.Errorf("line %q", line)
		}
		if text, err := json.Marshal(e); err != nil || strings.Contains(string(text), "\n") {
			t.Errorf("%s %v", text, err)
		}
	}
	if got := strings.Join(order, " "); got != "as bs bd ad bd ad bd ad ar bs as" {
		t.Errorf("order %s", got)
	}
	first := events[4] // b's first with key-1
	if first.RepeatOf != nil || events[6].RepeatOf != nil {
		t.Error("a first event called a repeat")
	}
	for _, i := range []int{5, 7} {
		if r := events[i].RepeatOf; r == nil || *r != first.Hash || !strings.Contains(events[i].Line(), "repeat-of="+first.Hash.String()) {
			t.Errorf("event %d: repeat of %v, want %s", i, r, first.Hash)
		}
	}
	d := events[2]
	if d.Staff == nil || d.Staff.Worker != "canary-worker" || len(d.Subjects) != 2 || d.Subjects[0].Part.Subject != "p1" ||
		d.Subjects[0].Pseudonym != a.cfg.Pseudonym("999990019") {
		t.Errorf("parts %+v %+v", d.Staff, d.Subjects)
	}
	for want, i := range map[string]int{
		"released=1 withheld=1 unavailable=0 asked=1 subjects=2 agency=\"00000001234567890000\" worker=\"canary-worker\"": 2,
		"register case.opened 1-1..1-2 worker=\"beheer\"":                                                                 8,
		"start after=first": 0,
	} {
		if !strings.Contains(events[i].Line(), want) {
			t.Errorf("line %q lacks %q", events[i].Line(), want)
		}
	}
}

func TestLogTellsWhyAPartIsNotShown(t *testing.T) {
	s := newStore(t)
	c := config(s, "gw", &storeView{s: s})
	w := open(t, c)
	if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, w)
	e := readLog(t, LogConfig{Store: s})[1]
	if e.Staff != nil || e.StaffState != PartClosed || e.Subjects[0].State != PartClosed {
		t.Errorf("without a vault: %+v", e)
	}
	if err := s.DeleteKeys(t.Context(), []string{SubjectKey(c.Pseudonym("999990019"), testTime)}); err != nil {
		t.Fatal(err)
	}
	fresh := newVault(s)
	e = readLog(t, LogConfig{Store: s, Vault: fresh})[1]
	if e.Staff == nil || e.Subjects[0].State != PartErased || e.Subjects[0].Part != nil || e.Subjects[1].State != "" {
		t.Errorf("one erased: %+v", e)
	}
	// Parts changed places: each opens, but not as what it is.
	stored := s.streams["audit:gw"][1]
	ev, err := Decode(stored.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	staff, subject := *ev.Staff, ev.Subjects[1]
	ev.Staff, ev.Subjects[1] = &subject, staff
	s.streams["audit:gw"][1] = entry(ev.ID, ev.Encode())
	e = readLog(t, LogConfig{Store: s, Vault: fresh})[1]
	if e.StaffState != PartDamaged || e.Subjects[1].State != PartDamaged || e.Staff != nil {
		t.Errorf("exchanged: %+v", e)
	}
	s.streams["audit:gw"][1].Bytes = []byte("{}")
	for _, err = range Log(t.Context(), LogConfig{Store: s}) {
		if err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "1-1 of gw") {
		t.Errorf("a damaged event: %v", err)
	}
}

func TestPartUnderAnothersKeyIsDamaged(t *testing.T) {
	s := newStore(t)
	c := config(s, "gw", &storeView{s: s})
	w := open(t, c)
	e := disclosureEvent(1)
	text, err := marshal(subjectPlain{Pseudonym: "me", SubjectPart: e.Subjects[0]})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := w.seal(t.Context(), []keys.Plain{{KeyID: SubjectKey("somebody else", testTime), Context: contextSubject, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, w)
	plain := LogConfig{Store: s, Vault: newVault(s)}
	out, err := plain.event(t.Context(), entry(journal.ID{}, Event{
		Writer: "gw", ID: journal.ID{Epoch: 1, Seq: 1}, Kind: KindDisclosure, Common: json.RawMessage("{}"), Subjects: parts,
	}.Encode()))
	if err != nil || out.Subjects[0].State != PartDamaged {
		t.Errorf("%+v %v", out, err)
	}
}

// TestSubjectKeys: a part is under the key of its data subject and quarter, or, of an event of before there were quarters, of its
// data subject.
func TestSubjectKeys(t *testing.T) {
	newYear := time.Date(2027, 1, 1, 0, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		key  string
		at   time.Time
		want bool
	}{
		{"subject:1.me/2026Q4", testTime, true},
		{"subject:1.me", testTime, true},
		{"subject:1.me/2026Q3", testTime, false},
		{"subject:1.me/2027Q1", testTime, false},
		{"subject:1.you/2026Q4", testTime, false},
		{"subject:1.you", testTime, false},
		{"subject:1.me/2026Q4", newYear, true}, // encrypted a moment before the event got its time
		{"subject:1.me/2027Q1", newYear, true},
	} {
		if got := ownSubjectKey(c.key, "1.me", c.at); got != c.want {
			t.Errorf("%s at %s: %t", c.key, c.at, got)
		}
	}
	for key, want := range map[string]string{"subject:1.me/2026Q4": "1.me", "subject:1.me": "1.me", "staff:2026-11": "", "case:1.me": ""} {
		if got, ok := PseudonymOf(key); ok != (want != "") || (ok && got != want) {
			t.Errorf("%s is of %q, %t", key, got, ok)
		}
	}
	for key, ended := range map[string]bool{
		"subject:1.me/2026Q4": false, "subject:1.me/2027Q1": false, "staff:2026-12": false, "staff:2027-01": false, // 00:30 of the first day
		"subject:1.me/2026Q3": true, "staff:2026-11": true, "subject:1.me": true, "case:x": true,
	} {
		if got := PeriodEnded(key, newYear); got != ended {
			t.Errorf("the period of %s is over: %t", key, got)
		}
	}
}

func TestLogFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan LogEvent, 100)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for e, err := range Log(ctx, LogConfig{Store: s, Follow: true}) {
				if err != nil {
					t.Error(err)
				}
				got <- e
			}
		}()
		next := func(writer string, kind Kind) {
			t.Helper()
			select {
			case e := <-got:
				if e.Writer != writer || e.Kind != kind {
					t.Errorf("%s of %s, want %s of %s", e.Kind, e.Writer, kind, writer)
				}
			case <-time.After(2 * time.Second):
				t.Fatal("nothing")
			}
		}
		next("gw", KindStart)
		if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
			t.Fatal(err)
		}
		next("gw", KindDisclosure)
		other := open(t, config(s, "new", nil))
		next("new", KindStart)
		mustClose(t, other)
		next("new", KindStop)
		mustClose(t, w)
		next("gw", KindStop)
		cancel()
		<-ended
	})
}

// TestLogFollowsThroughAnOutage: with the store away, while reading or while opening parts, each event still comes once,
// whole and in order; without Failed, or not following, the error ends the log.
func TestLogFollowsThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, config(s, "gw", &storeView{s: s}))
		const n = 20
		for i := range n {
			if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, w)
		calls, failed, ends := 0, 0, 0
		down := func() error { // at every other call
			if calls++; calls%2 == 1 {
				return errLost
			}
			return nil
		}
		c := LogConfig{Store: shakySource{s, down}, Vault: newVault(shakyKeys{s, down})}
		for _, err := range Log(t.Context(), c) {
			if !errors.Is(err, errLost) {
				t.Errorf("not following: %v", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.Follow, c.End, c.Failed = true, func() { ends++ }, func(err error) error {
			if failed++; !errors.Is(err, errLost) {
				t.Error(err)
			}
			return nil
		}
		next := uint64(0)
		for e, err := range Log(ctx, c) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			if e.ID.Seq != next || (e.Kind == KindDisclosure && (e.Staff == nil || e.Subjects[0].Part == nil)) {
				t.Fatalf("%s came, in state %q, and not %d", e.ID, e.StaffState, next)
			}
			if next++; next == n+2 {
				time.AfterFunc(time.Minute, cancel)
			}
		}
		if next != n+2 || failed < 4 || ends == 0 {
			t.Errorf("%d events, %d failures, %d times at the end", next, failed, ends)
		}
		c.Failed = func(error) error { return errors.New("given up") }
		for _, err := range Log(t.Context(), c) {
			if err == nil || !strings.Contains(err.Error(), "given up") {
				t.Errorf("given up: %v", err)
			}
		}
	})
}

type shakySource struct {
	Source
	down func() error
}

func (s shakySource) Read(ctx context.Context, stream journal.Stream, after journal.ID, n int) ([]journal.Entry, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	return s.Source.Read(ctx, stream, after, n)
}

func (s shakySource) Writers(ctx context.Context) ([]string, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	return s.Source.Writers(ctx)
}

type shakyKeys struct {
	keys.KeyStore
	down func() error
}

func (s shakyKeys) Keys(ctx context.Context, ids []string) ([][]byte, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	return s.KeyStore.Keys(ctx, ids)
}

// TestReadAll: pages come in order with what was seen of each entry, also where looking takes longer for some, and an
// error of the store ends it after the pages before.
func TestReadAll(t *testing.T) {
	s := newStore(t)
	const n = 5*pageSize + 10
	for i := range uint64(n) {
		s.streams["audit:x"] = append(s.streams["audit:x"], entry(journal.ID{Epoch: 1, Seq: i}, []byte{1}))
	}
	look := func(e journal.Entry) uint64 {
		if e.ID.Seq/pageSize%2 == 0 {
			runtime.Gosched()
		}
		return e.ID.Seq
	}
	next := uint64(4)
	take := func(e journal.Entry, seen uint64) {
		if e.ID.Seq != next || seen != next {
			t.Fatalf("%s came, seen as %d, and not %d", e.ID, seen, next)
		}
		next++
	}
	if err := readAll(t.Context(), s, "audit:x", journal.ID{Epoch: 1, Seq: 3}, look, take); err != nil || next != n {
		t.Errorf("up to %d: %v", next, err)
	}
	next = 0
	err := readAll(t.Context(), brokenStore{s, 3*pageSize - 1}, "audit:x", journal.ID{}, look, take)
	if !errors.Is(err, errLost) || next != 3*pageSize {
		t.Errorf("up to %d: %v", next, err)
	}
}

// brokenStore reads nothing after a seq.
type brokenStore struct {
	*fakeStore
	last uint64
}

func (b brokenStore) Read(ctx context.Context, stream journal.Stream, after journal.ID, n int) ([]journal.Entry, error) {
	if after.Seq >= b.last {
		return nil, errLost
	}
	return b.fakeStore.Read(ctx, stream, after, n)
}
