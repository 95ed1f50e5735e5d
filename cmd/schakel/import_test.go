package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
)

const importOIN = broker.OIN("00000001002345678000")

// importDesk opens a new folder that knows one agency.
func importDesk(t *testing.T) (*desk, register.Appender) {
	t.Helper()
	dir, store, ring := newFolder(t)
	d, err := newDesk(t.Context(), store, ring)
	if err != nil {
		t.Fatal(err)
	}
	w, err := audit.Open(t.Context(), d.writerConfig(importWriter, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(context.WithoutCancel(t.Context())) })
	a := appender(w)
	agency := broker.Agency{OIN: importOIN, Name: "Gemeente", Kind: "gemeente", Municipality: "0599"}
	if err := d.register.Do(t.Context(), a, register.Operator{Name: "beheer"}, register.AddAgency{Agency: agency}); err != nil {
		t.Fatal(err)
	}
	return d, a
}

// importCase is a line that opens a case with a person.
func importCase(id, bsn string) string {
	return fmt.Sprintf(`{"kind":"case.opened","body":{"id":%q,"kind":"case","agency":%q,"persons":[{"bsn":%q,"birth":"19850423"}],"workers":[{"agency":%q,"worker":"w-1"}]}}`,
		id, importOIN, bsn, importOIN)
}

func importCases(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		b.WriteString(importCase(fmt.Sprintf("zaak-%04d", n), "999990019") + "\n")
	}
	return b.String()
}

// TestImportLines: what is no change is refused, and never repeated.
func TestImportLines(t *testing.T) {
	t.Parallel()
	good := importCase("zaak-1", "999990019")
	if c, err := parseChange([]byte(good)); err != nil || string(c.(register.OpenCase).ID) != "zaak-1" {
		t.Fatalf("%v, %v", c, err)
	}
	for name, c := range map[string]struct{ line, want string }{
		"no JSON":        {"Jansen;999990019", "not valid JSON"},
		"cut off":        {good[:len(good)-1], "not valid JSON"},
		"two":            {good + good, "text after"},
		"a key twice":    {strings.Replace(good, `"birth"`, `"birth":"20000101","birth"`, 1), "twice"},
		"an unknown key": {strings.Replace(good, `"birth"`, `"999990019":"Jansen","birth"`, 1), "does not belong"},
		"a wrong type":   {strings.Replace(good, `"999990019"`, `999990019`, 1), "persons.bsn has the wrong type: it must be of kind string"},
		"a wrong date":   {strings.Replace(good, `"19850423"`, `"Jansen"`, 1), "a date is"},
		"a policy":       {`{"kind":"policy.activated","body":{"revision":"Jansen"}}`, "its kind is none of case.opened"},
		"no kind":        {`{"body":{"id":"Jansen"}}`, "its kind is none of"},
		"no body":        {`{"kind":"case.closed","body":"Jansen"}`, "its body is the change"},
		"more":           {`{"kind":"case.closed","body":{"case":"zaak-1"},"note":"Jansen"}`, "does not belong"},
	} {
		got, err := parseChange([]byte(c.line))
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "9999") || strings.Contains(err.Error(), "Jansen") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if l := <-readLines(t.Context(), strings.NewReader(strings.Repeat("x", maxLine+1)), 0); l.number != 1 || l.err == nil {
		t.Errorf("a line without an end: %+v", l)
	}
	if l := <-readLines(t.Context(), io.MultiReader(strings.NewReader(good+"\n"), broken{}), 1); l.number != 0 || !errors.Is(l.err, io.ErrClosedPipe) {
		t.Errorf("a file that can't be read: %+v", l)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestImportStops: a line is wrong, an append fails, its outcome is not known, or someone interrupts. It counts what is in
// the register and nothing else, and of a batch with a wrong line nothing is made.
func TestImportStops(t *testing.T) {
	t.Parallel()
	d, a := importDesk(t)
	for _, c := range []struct {
		name, lines string
		fail        func(stop func()) error // at the second append
		done        int                     // lines
		want        string
		unknown     bool
	}{
		{"wrong", importCases(1, 279) + importCase("zaak-0280", "999990010") + "\n" + importCases(281, 300), nil, 250,
			"zaken.jsonl:280: open case: person 1: this BSN fails the 11-test; check the digits; mend this line", false},
		{"twice", "\n\n" + importCases(1, 3) + "\n" + importCases(2, 2), nil, 0, "zaken.jsonl:7: open case: there is a case twice-0002 already", false},
		{"not-made", importCases(1, 300), func(func()) error { return fmt.Errorf("%w: the journal is away", register.ErrNotMade) }, 250, "the journal is away", false},
		{"not-known", importCases(1, 300), func(func()) error { return errors.New("no answer") }, 250,
			"of 251 to 300 it is not known: look with `schakel register case list` whether case not-known-0251 (line 251) is there; if so go on with --skip 300, otherwise with --skip 250", true},
		{"interrupted", importCases(1, 900), func(stop func()) error { stop(); return nil }, 500, "interrupted", false},
		{"goes-on", importCases(1, 260) + "\n\n" + importCases(261, 262), nil, 264, "", false},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		i, appends := &importer{name: "zaken.jsonl", errOut: io.Discard}, 0
		err := i.run(ctx, d, func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
			if appends++; appends == 2 && c.fail != nil {
				if err := c.fail(cancel); err != nil {
					return "", err
				}
			}
			if ctx.Err() != nil {
				t.Errorf("%s: an append was interrupted", c.name)
			}
			return a(ctx, after, entries, kind, staff)
		}, strings.NewReader(strings.ReplaceAll(c.lines, "zaak-", c.name+"-")))
		cancel()
		if (err == nil) != (c.want == "") || (err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "9999"))) ||
			i.done != c.done || i.unknown != c.unknown {
			t.Errorf("%s: %d done, %v", c.name, i.done, err)
		}
		there := 0
		for _, k := range d.register.Cases() {
			if strings.HasPrefix(string(k.ID), c.name+"-") {
				there++
			}
		}
		if there != i.made || there != min(c.done, strings.Count(c.lines, "zaak-")) {
			t.Errorf("%s: %d cases are there, made %d", c.name, there, i.made)
		}
	}
}

// TestImportRests: with a rate the import is not faster, and leaves at least as much time as it takes.
func TestImportRests(t *testing.T) {
	t.Parallel()
	i := &importer{rate: 400}
	for _, c := range []struct {
		lines int
		took  time.Duration
		want  time.Duration
	}{{100, 50 * time.Millisecond, 200 * time.Millisecond}, {100, 240 * time.Millisecond, 240 * time.Millisecond}, {100, 3 * time.Second, 3 * time.Second}} {
		if got := i.pause(c.lines, c.took); got != c.want {
			t.Errorf("%d lines in %v: rests %v, want %v", c.lines, c.took, got, c.want)
		}
	}
	if got := (&importer{}).pause(250, time.Second); got != 0 {
		t.Errorf("without a rate it rests %v", got)
	}
}
