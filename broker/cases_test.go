package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the wanted files of the cases anew")

var holderNames = map[string]OIN{"rvig": rvig, "corpo": corpo, "corpo2": corpo2, "gemeente": gem, "ggz": ggz, "kredietbank": krediet}

// TestCases runs testdata/*.txtar: a request, a policy table, facts (one file for each time the register is asked), what
// holders have, and what the journal answers; wanted are the payload, the event and what the holders saw.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("find cases: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runCase(t, file) })
		})
	}
}

func runCase(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var body string
	var kept []txtar.File
	want := map[string]string{}
	for _, f := range archive.Files {
		dir, name, _ := strings.Cut(f.Name, "/")
		switch {
		case f.Name == "request.json":
			body = strings.TrimSpace(string(f.Data))
		case f.Name == "policy.txt":
			w.decide = table(string(f.Data))
		case strings.HasPrefix(f.Name, "facts"):
			w.facts = append(w.facts, readFacts(t, f.Data, len(w.facts)+1))
		case f.Name == "journal.txt":
			for _, word := range strings.Fields(string(f.Data)) {
				w.appends = append(w.appends, map[string]error{"stale": ErrStale, "lost": Fail(KindUnavailable, "journal-unavailable", nil)}[word])
			}
		case dir == "holders":
			w.readHolder(t, strings.TrimSuffix(name, ".json"), f.Data)
		case dir == "want":
			want[name] = string(f.Data)
			continue
		default:
			t.Fatalf("%s: unknown file %s", file, f.Name)
		}
		kept = append(kept, f)
	}
	r, err := ReadRequest([]byte(body), Caller{Agency: wijk, Worker: "w-canary-1", Role: "wijkteammedewerker"}, testCatalog(), true)
	if err != nil {
		t.Fatal(err)
	}
	env, err := w.disclose(context.Background(), body)
	time.Sleep(time.Minute) // in the bubble's time: whoever is late is late in vain
	w.verify(r, env, err)
	got := map[string]string{"payload.json": w.payload(t, env, err), "event.json": "none", "asked.txt": w.saw()}
	if len(w.events) > 0 {
		e := w.events[len(w.events)-1]
		got["event.json"] = indented(t, mustJSON(map[string]any{"common": e.Common, "staff": e.Staff, "subjects": e.Subjects,
			"position": e.Position, "touches": e.Touches}))
	}
	if *update {
		for _, name := range []string{"payload.json", "event.json", "asked.txt"} {
			kept = append(kept, txtar.File{Name: "want/" + name, Data: []byte(got[name] + "\n")})
		}
		archive.Files = kept
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, text := range got {
		if strings.TrimSpace(want[name]) != strings.TrimSpace(text) {
			t.Errorf("%s: got\n%s\nwant\n%s\n(-update writes it anew; read the difference)", name, text, want[name])
		}
	}
}

func (w *world) payload(t *testing.T, env Envelope, err error) string {
	var e *Error
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d %s", e.Kind, e.Code)
	}
	if env.Summary.Asked != len(w.asks) {
		t.Errorf("summary: %d asked, holders saw %d", env.Summary.Asked, len(w.asks))
	}
	return indented(t, env.Body)
}

// saw lists what holders saw, in the order of the events' record (theirs is by chance).
func (w *world) saw() string {
	if len(w.events) == 0 {
		return "nothing recorded"
	}
	var b strings.Builder
	e := w.events[len(w.events)-1]
	for n, a := range e.Common.Asked {
		for _, s := range w.asks {
			if s.holder == e.Staff.Asked[n].Holder && fmt.Sprint(s.ask.Fields) == fmt.Sprint(a.Fields) &&
				(a.Subject == Household || w.ref(e, bsnOf(s.ask)) == a.Subject) {
				key := "bsn " + s.ask.BSN.Reveal()
				if s.ask.Identity != nil {
					key = "identity " + string(mustJSON(s.ask.Identity))
				}
				fmt.Fprintf(&b, "%s by %s: %v\n", a.Holder, key, s.ask.Fields)
				break
			}
		}
	}
	if b.Len() == 0 {
		return "nobody"
	}
	return b.String()
}

func indented(t *testing.T, data []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", " "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readFacts(t *testing.T, data []byte, position int) Facts {
	f := Facts{Position: Position(position), Touches: []Touch{"t1"}, Revision: rev1, Case: "case-canary",
		Agency:   Agency{OIN: wijk, Kind: "gemeente", Mandates: []Mandate{"wgs"}},
		Relation: Relation{Case: CaseAssigned, Municipality: MunicipalitySame}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatalf("facts: %v", err)
	}
	return f
}

func (w *world) readHolder(t *testing.T, name string, data []byte) {
	var h struct {
		Behaviour string
		Records   map[string]Record
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		t.Fatalf("holder %s: %v", name, err)
	}
	w.sources[holderNames[name]].behaviour, w.sources[holderNames[name]].records = h.Behaviour, h.Records
}
