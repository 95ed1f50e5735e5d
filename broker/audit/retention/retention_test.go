package retention

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

const logID = "0123456789abcdef0123456789abcdef"

const (
	alice broker.BSN = "999990019"
	bob   broker.BSN = "999990020"
	carol broker.BSN = "999990032"
)

var theTerms = Terms{Staff: term("P10Y"), Cases: term("P5Y"), Residents: term("P3Y"), Purposes: map[broker.Purpose]Term{"short": term("P2Y"), "long": term("P5Y")}}

func term(text string) Term {
	t, err := ParseTerm(text)
	if err != nil {
		panic(err)
	}
	return t
}

type fixedView struct{}

func (fixedView) Validate(p broker.Position, _ []broker.Touch) (broker.Position, bool) {
	return p, true
}
func (fixedView) Refresh(context.Context) error { return nil }

// house is a journal on disk, a ring and a clock.
type house struct {
	t     *testing.T
	store *bolt.Store
	ring  *keys.Ring
	now   time.Time
	asked int

	recorded int // how often an erasure was
}

func newHouse(t *testing.T) *house {
	t.Helper()
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	genesis := []byte(`{"v":1,"seq":0,"prev":"` + strings.Repeat("0", 64) + `","time":"2021-02-01T12:00:00Z","kind":"genesis","touches":[],"body":{"log":"` + logID + `","shard":"x"}}`)
	if err := store.Init(t.Context(), journal.Entry{ID: journal.ID{Epoch: 1}, Hash: sha256.Sum256(genesis), Bytes: genesis}); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: store}
	if h.ring, err = keys.Create(keys.Config{Now: func() time.Time { return h.now }}); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask records, at a time, that somebody asked for a purpose about residents.
func (h *house) ask(at string, purpose broker.Purpose, about ...broker.BSN) {
	h.t.Helper()
	var err error
	if h.now, err = time.Parse(time.DateOnly, at); err != nil {
		h.t.Fatal(err)
	}
	w, err := audit.Open(h.t.Context(), audit.Config{Store: h.store, Writer: "gw", Log: logID, Vault: keys.NewVault(h.store, h.ring),
		Pseudonym: h.ring.Pseudonym, View: fixedView{}, Limit: 10 * time.Second, Now: func() time.Time { return h.now }})
	if err != nil {
		h.t.Fatal(err)
	}
	h.asked++
	e := broker.Event{Position: 1, Staff: broker.Staff{Agency: "00000001234567890000", Worker: "w", Role: "r", Purpose: purpose,
		Request: broker.RequestID(fmt.Sprint(h.asked))}}
	for i, b := range about {
		e.Subjects = append(e.Subjects, broker.SubjectPart{BSN: b, Subject: broker.Subject(fmt.Sprintf("p%d", i+1)), Agency: e.Staff.Agency, Purpose: purpose})
	}
	if _, err := w.Append(h.t.Context(), e); err != nil {
		h.t.Fatal(err)
	}
	if err := w.Close(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) survey(at string, s Selection, dossiers ...Dossier) Survey {
	h.t.Helper()
	now, err := time.Parse(time.DateOnly, at)
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := Make(h.t.Context(), SurveyConfig{Log: audit.KeptConfig{Store: h.store, Vault: keys.NewVault(h.store, h.ring), KeyOf: h.ring.OpenRef},
		Keys: h.store, Terms: theTerms, Now: now, Dossiers: dossiers}, s)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// read tells of each disclosure which of its parts can be read: "1:staff,alice", by a reader that remembers nothing.
func (h *house) read() string {
	h.t.Helper()
	names := map[string]string{}
	for name, b := range map[string]broker.BSN{"alice": alice, "bob": bob, "carol": carol} {
		names[h.ring.Pseudonym(b)] = name
	}
	var out []string
	n := 0
	for e, err := range audit.Log(h.t.Context(), audit.LogConfig{Store: h.store, Vault: keys.NewVault(h.store, h.ring)}) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Kind != audit.KindDisclosure {
			continue
		}
		n++
		var parts []string
		if e.Staff != nil {
			parts = append(parts, "staff")
		}
		for _, s := range e.Subjects {
			switch {
			case s.Part != nil:
				parts = append(parts, names[s.Pseudonym])
			case s.State != audit.PartErased:
				h.t.Errorf("a part of event %d is %s", n, s.State)
			}
		}
		out = append(out, fmt.Sprintf("%d:%s", n, strings.Join(parts, ",")))
	}
	return strings.Join(out, " ")
}

func (h *house) whole() {
	h.t.Helper()
	r, err := audit.Verify(h.t.Context(), audit.VerifyConfig{Store: h.store})
	if err != nil || !r.OK {
		h.t.Errorf("the log is not whole: %v, %v", err, r.Faults)
	}
}

func (h *house) erase(p Plan, at func(Step) error) (Done, error) {
	record := func(context.Context) error {
		h.recorded++
		for _, g := range p.Generations {
			if slices.Contains(h.ring.Generations(), g) {
				h.t.Errorf("recorded as erased while %s, which wraps the keys, is in the ring", g)
			}
		}
		return nil
	}
	return Erase(h.t.Context(), EraseConfig{Store: h.store, Ring: h.ring, At: at, Record: record}, p)
}

func filled(t *testing.T) *house {
	h := newHouse(t)
	h.ask("2021-02-01", "short", alice, carol)
	h.ask("2021-02-02", "long", bob, carol)
	h.ask("2021-02-03", "short", alice, bob)
	h.ask("2026-11-02", "long", alice)
	return h
}

// TestSurvey: a key goes when the longest term of what is under it has ended, and not before.
func TestSurvey(t *testing.T) {
	h := filled(t)
	if got := h.read(); got != "1:staff,alice,carol 2:staff,bob,carol 3:staff,alice,bob 4:staff,alice" {
		t.Fatal(got)
	}
	counts := func(s Survey, activity string) [4]int {
		for _, a := range s.Activities {
			if a.Name == activity {
				return [4]int{a.Parts, a.Ended, a.Due, a.Erased}
			}
		}
		return [4]int{}
	}
	old := func(b broker.BSN) string { return audit.SubjectKey(h.ring.Pseudonym(b), h.now.AddDate(-5, -9, 0)) }
	for _, c := range []struct {
		at    string
		keys  []string
		short [4]int
		long  [4]int
	}{
		{"2023-02-03", nil, [4]int{4, 2, 0, 0}, [4]int{3, 0, 0, 0}}, // on the day a term is over it still runs
		{"2023-02-04", []string{old(alice)}, [4]int{4, 4, 2, 0}, [4]int{3, 0, 0, 0}},
		{"2026-02-02", []string{old(alice)}, [4]int{4, 4, 2, 0}, [4]int{3, 0, 0, 0}},
		{"2026-02-03", []string{old(alice), old(bob), old(carol)}, [4]int{4, 4, 4, 0}, [4]int{3, 2, 2, 0}},
	} {
		s := h.survey(c.at, Selection{})
		slices.Sort(c.keys)
		if !slices.Equal(s.Keys, c.keys) || s.Due != len(c.keys) || counts(s, "short") != c.short || counts(s, "long") != c.long || counts(s, Staff) != [4]int{4, 0, 0, 0} {
			t.Errorf("%s: %d keys of %d, %+v", c.at, s.Due, len(c.keys), s.Activities)
		}
		if len(c.keys) > 0 && !slices.Equal(s.Generation, []string{"2021Q1"}) {
			t.Errorf("%s: wrapped by %v", c.at, s.Generation)
		}
	}
	// Staff goes by its own term, and never while its month lasts.
	if s := h.survey("2031-02-04", Selection{}); !slices.Contains(s.Keys, "staff:2021-02") || slices.Contains(s.Keys, "staff:2026-11") {
		t.Errorf("ten years later: %v", s.Activities)
	}
	// One data subject alone: what has ended, or all.
	if s := h.survey("2023-02-04", Selection{Subjects: []string{h.ring.Pseudonym(bob)}}); s.Due != 0 {
		t.Errorf("of bob: %v", s.Keys)
	}
	if s := h.survey("2026-11-03", Selection{Subjects: []string{h.ring.Pseudonym(alice)}, BeforeTerm: true}); s.Due != 2 || !slices.Equal(s.Generation, []string{"2021Q1", "2026Q4"}) {
		t.Errorf("all of alice: %v, %v", s.Keys, s.Generation)
	}
	// A case goes by the day on which it was closed.
	if _, err := h.store.PutKeys(t.Context(), wrapped(t, h.ring, "case:open", "case:closed", "resident:waits", "resident:answered")); err != nil {
		t.Fatal(err)
	}
	closed := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	s := h.survey("2025-01-02", Selection{}, Dossier{"case:open", Cases, 3, time.Time{}}, Dossier{"case:closed", Cases, 4, closed}, Dossier{"case:gone", Cases, 5, closed})
	if !slices.Contains(s.Keys, "case:closed") || slices.Contains(s.Keys, "case:open") || counts(s, Cases) != [4]int{7, 4, 4, 5} {
		t.Errorf("cases: %v, %v", s.Keys, counts(s, Cases))
	}
	// What a resident asked, three years after all was answered; and with them when they are selected.
	asked := []Dossier{{"resident:waits", Residents, 1, time.Time{}}, {"resident:answered", Residents, 2, closed}}
	for at, want := range map[string]bool{"2023-01-01": false, "2023-01-02": true} {
		s := h.survey(at, Selection{}, asked...)
		if slices.Contains(s.Keys, "resident:answered") != want || slices.Contains(s.Keys, "resident:waits") || counts(s, Residents)[0] != 3 {
			t.Errorf("residents at %s: %v, %v", at, s.Keys, counts(s, Residents))
		}
	}
	without := theTerms
	without.Residents = Term{} // a policy of before
	if old, err := Make(t.Context(), SurveyConfig{Log: audit.KeptConfig{Store: h.store, Vault: keys.NewVault(h.store, h.ring), KeyOf: h.ring.OpenRef},
		Keys: h.store, Terms: without, Now: closed.AddDate(90, 0, 0), Dossiers: asked}, Selection{}); err != nil || slices.Contains(old.Keys, "resident:answered") {
		t.Errorf("without a term for residents: %v, %v", old.Keys, err)
	}
	if s := h.survey("2021-01-01", Selection{Resident: "resident:answered", BeforeTerm: true}, asked...); !slices.Equal(s.Keys, []string{"resident:answered"}) {
		t.Errorf("one resident before the term: %v", s.Keys)
	}
	// A purpose that the policy gives no term stays.
	h.ask("2021-03-01", "nobody-decided", alice)
	if s := h.survey("2040-01-01", Selection{}); slices.Contains(s.Keys, old(alice)) || counts(s, "nobody-decided") != [4]int{1, 0, 0, 0} {
		t.Errorf("without a term: %v", s.Activities)
	}
}

func wrapped(t *testing.T, ring *keys.Ring, ids ...string) (out []journal.WrappedKey) {
	t.Helper()
	for _, id := range ids {
		w, err := ring.Wrap(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, journal.WrappedKey{ID: id, Wrapped: w})
	}
	return out
}

var errKilled = errors.New("killed")

// TestErase stops an erasure after each of its steps, as a process that is killed would, and has another go on; a gateway writes
// on all the while. In the end what was selected can't be read, not with a copy of its wrapped key either; everything else can;
// and the log is whole.
func TestErase(t *testing.T) {
	const rest = "1:staff,carol 2:staff,bob,carol 3:staff,bob 4:staff,alice"
	var steps []Step
	for stop := 0; ; stop++ {
		h := filled(t)
		s := h.survey("2023-02-04", Selection{})
		p := Plan{Keys: s.Keys, Generations: s.Generation}
		copied, err := h.store.Keys(t.Context(), s.Keys)
		if err != nil || len(copied) != 1 {
			t.Fatal(err, len(copied))
		}
		gateway := keys.NewVault(h.store, h.ring) // that has everything in memory
		if _, err := gateway.Seal(t.Context(), s.Keys[0], "subject", nil); err != nil {
			t.Fatal(err)
		}
		n := 0
		_, err = h.erase(p, func(s Step) error {
			if n++; n > len(steps) {
				steps = append(steps, s)
			}
			if n == stop+1 {
				return errKilled
			}
			return nil
		})
		whole := err == nil
		if !whole && !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", stop, err)
		}
		if (h.recorded > 0) != whole {
			t.Errorf("stopped after step %d: recorded as erased %d times", stop, h.recorded)
		}
		part, err := gateway.Seal(t.Context(), audit.SubjectKey("1.new", h.now), "subject", []byte("in between"))
		if err != nil {
			t.Fatalf("a gateway after step %d: %v", stop, err)
		}
		h.whole()
		if !whole { // the survey that finds what is left is made anew
			again := h.survey("2023-02-04", Selection{})
			if _, err := h.erase(Plan{Keys: again.Keys, Generations: s.Generation}, nil); err != nil {
				t.Fatalf("going on after step %d (%s): %v", stop, steps[stop], err)
			}
		}
		if _, err := h.erase(p, func(s Step) error {
			if s == StepSuperseded || s == StepRewrapped || s == StepDestroyed {
				t.Errorf("done again: %s", s)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := h.read(); got != rest {
			t.Errorf("stopped after step %d: %s; want %s", stop, got, rest)
		}
		if text, _, err := keys.NewVault(h.store, h.ring).Open(t.Context(), "subject", part); err != nil || string(text) != "in between" {
			t.Errorf("stopped after step %d: what a gateway wrote meanwhile: %q, %v", stop, text, err)
		}
		if _, err := h.ring.Unwrap(copied[0]); !errors.Is(err, keys.ErrDestroyed) {
			t.Errorf("stopped after step %d: a copy of the wrapped key opens: %v", stop, err)
		}
		if _, err := gateway.Seal(t.Context(), s.Keys[0], "subject", nil); err != nil {
			t.Fatal(err)
		}
		if got := h.read(); got != rest { // a key of the same name was made again
			t.Errorf("stopped after step %d: after it was written again: %s", stop, got)
		}
		h.whole()
		if whole {
			break
		}
	}
	if !slices.Equal(steps, []Step{StepSuperseded, StepDeleted, StepSettled, StepRewrapped, StepDestroyed}) {
		t.Errorf("steps %v", steps)
	}
}

// TestEraseOfABackup: a key that nothing unwraps any more, since its backup is older than an erasure, does not stop one.
func TestEraseOfABackup(t *testing.T) {
	h := filled(t)
	s := h.survey("2023-02-04", Selection{})
	copied, err := h.store.Keys(t.Context(), s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.erase(Plan{Keys: s.Keys, Generations: s.Generation}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.PutKeys(t.Context(), []journal.WrappedKey{{ID: s.Keys[0], Wrapped: copied[0]}}); err != nil {
		t.Fatal(err)
	}
	done, err := h.erase(Plan{Generations: s.Generation}, nil)
	if err != nil || done.Lost != 1 || done.Survivors != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if left, err := h.store.Keys(t.Context(), s.Keys); err != nil || left[0] != nil {
		t.Errorf("the dead key is there still: %v", err)
	}
	if got := h.read(); got != "1:staff,carol 2:staff,bob,carol 3:staff,bob 4:staff,alice" {
		t.Error(got)
	}
}

func TestTerms(t *testing.T) {
	for _, bad := range []string{"", "P", "P0D", "5Y", "P5", "P1D2Y", "P-1Y", "P1W", "PT5H", "P1Y ", "P01Y", "P1YT", "P99999Y", "P1.5Y"} {
		if got, err := ParseTerm(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
	begin := time.Date(2024, 2, 28, 23, 30, 0, 0, time.UTC) // 29 February, 00:30 in Amsterdam
	for text, want := range map[string]string{
		"P1Y": "2025-03-02", "P4Y": "2028-03-01", "P1M": "2024-03-30", "P2D": "2024-03-03", "P1Y6M10D": "2025-09-09",
	} {
		got := term(text).End(begin)
		if got.Format(time.DateOnly) != want || got.Hour() != 0 || got.Location() != broker.Amsterdam() {
			t.Errorf("%s ends at %s, not at the begin of %s", text, got, want)
		}
	}
}

// TestShippedTerms: every purpose of the shipped policy has a term, and every term is of a purpose.
func TestShippedTerms(t *testing.T) {
	files := policies.Files()
	terms, err := ReadTerms(files)
	if err != nil {
		t.Fatal(err)
	}
	var purposes []struct{ ID broker.Purpose }
	if err := json.Unmarshal(files["schakel/catalog/purposes/data.json"], &purposes); err != nil || len(purposes) == 0 {
		t.Fatal(err)
	}
	for _, p := range purposes {
		if _, ok := terms.of(string(p.ID)); !ok {
			t.Errorf("%s has no term", p.ID)
		}
	}
	if len(terms.Purposes) != len(purposes) {
		t.Errorf("%d terms for %d purposes", len(terms.Purposes), len(purposes))
	}
	delete(files, File)
	if _, err := ReadTerms(files); err == nil {
		t.Error("a policy without terms has terms")
	}
	files[File] = []byte(`{"staff":"P1Y","cases":"P1Y","decided_by":{"nl":"x"},"purpose":{}}`)
	if _, err := ReadTerms(files); err == nil {
		t.Error("a misspelt word is taken")
	}
}
