package audit

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// exportLog is a log of three disclosures: of two persons, by two holders of whom one failed, with a trace; a refusal; and one
// by a worker whose name is a formula.
func exportLog(t *testing.T) *fakeStore {
	t.Helper()
	s := newStore(t)
	w := open(t, config(s, "gw", freshView{}))
	query := func(f string) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"v":1,"fields":[%q]}`, f)) }
	for n := range 3 {
		e := disclosureEvent(n)
		e.Common.Queries = []json.RawMessage{query("huur.achterstand.bedrag"), query("ggz.diagnose")}
		e.Common.Decisions = []json.RawMessage{json.RawMessage(`{"grants":{}}`), json.RawMessage(`{"grants":{},"refusals":{}}`)}
		e.Common.Asked = []broker.AskedKind{
			{Holder: "woningcorporatie", Key: broker.KeyIdentity, Subject: "p1", Fields: []broker.Field{"huur.achterstand.bedrag", "huur.ontruiming.datum"}},
			{Holder: "kredietbank", Key: broker.KeyBSN, Subject: "p1", Fields: []broker.Field{"schulden.totaalbedrag"}},
		}
		e.Staff.Asked = []broker.AskedName{{Holder: "00000009876543210000"}, {Holder: "00000009876543211111"}}
		e.Common.Unavailable = []broker.Unreached{{Field: "huur.ontruiming.datum", Subject: "p1", Holder: "woningcorporatie"}}
		e.Subjects[0].Asked = e.Staff.Asked
		switch n {
		case 0:
			e.Staff.TraceID, e.Staff.SpanID = strings.Repeat("ab", 16), strings.Repeat("cd", 8)
			e.Common.Revisions = []broker.Revision{"older", "rev"}
		case 1:
			e.Common.Refused, e.Common.Released, e.Common.Asked, e.Staff.Asked = true, nil, nil, nil
			for i := range e.Subjects {
				e.Subjects[i].Released, e.Subjects[i].Asked = nil, nil
			}
		case 2:
			e.Staff.Worker = `=HYPERLINK("http://example.org")`
		}
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, w)
	return s
}

func exported(t *testing.T, c ExportConfig) (string, ExportReport) {
	t.Helper()
	c.Log, c.Names = "0123", map[broker.OIN]string{"00000001234567890000": "Gemeente Proef"}
	c.Activity = func(p broker.Purpose) string { return "https://example.nl/verwerkingen/" + string(p) }
	var out bytes.Buffer
	r, err := Export(t.Context(), c, &out)
	if err != nil {
		t.Fatal(err)
	}
	if bsn := regexp.MustCompile(`99999\d{4}`).FindString(out.String()); bsn != "" {
		t.Errorf("%s: it holds the BSN %s", c.Format, bsn)
	}
	return out.String(), r
}

// TestExportLDV: a record for each disclosure and data subject, with the names of the standard, no worker, and the same ids in
// every export.
func TestExportLDV(t *testing.T) {
	s := exportLog(t)
	window := RequestsConfig{Store: s, Vault: newVault(s)}
	text, r := exported(t, ExportConfig{Window: window, Format: ExportLDV})
	if r.Events != 3 || r.Records != 6 || len(r.Damaged) != 0 || r.Erased != 0 || r.First == nil || r.Last.Before(*r.First) {
		t.Errorf("%+v", r)
	}
	again, _ := exported(t, ExportConfig{Window: window, Format: ExportLDV})
	if again != text {
		t.Error("a second export differs")
	}
	for _, word := range []string{"canary-worker", "HYPERLINK", "canary-case", "wijkteammedewerker"} {
		if strings.Contains(text, word) {
			t.Errorf("who asked is in it: %s", word)
		}
	}
	spans, subjects := map[string]bool{}, map[string]int{}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var l struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []struct {
						TraceID, SpanID, ParentSpanID, Name string
						StartTimeUnixNano, EndTimeUnixNano  string
						Status                              struct{ Code int }
						Attributes                          []struct {
							Key   string
							Value struct{ StringValue string }
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		span := l.ResourceSpans[0].ScopeSpans[0].Spans[0]
		attributes := map[string]string{}
		for _, a := range span.Attributes {
			attributes[a.Key] = a.Value.StringValue
		}
		if len(span.TraceID) != 32 || len(span.SpanID) != 16 || spans[span.SpanID] || span.Status.Code != 1 || span.StartTimeUnixNano == "" || span.EndTimeUnixNano != span.StartTimeUnixNano ||
			attributes["dpl.core.processing_activity_id"] != "https://example.nl/verwerkingen/ontruiming-voorkomen" ||
			attributes["dpl.core.data_subject_id_type"] != "pseudoniem" || attributes["dpl.core.foreign_operation.processor"] != "urn:oin:00000001234567890000" {
			t.Errorf("line %d: %s", n, line)
		}
		if traced := n < 2; traced != (span.TraceID == strings.Repeat("ab", 16)) || traced != (span.ParentSpanID == strings.Repeat("cd", 8)) {
			t.Errorf("line %d is of trace %s below %q", n, span.TraceID, span.ParentSpanID)
		}
		spans[span.SpanID] = true
		subjects[attributes["dpl.core.data_subject_id"]]++
	}
	if len(subjects) != 2 {
		t.Errorf("data subjects: %v", subjects)
	}
	if _, r = exported(t, ExportConfig{Window: window, Format: ExportLDV, Holder: "00000009876543211111"}); r.Events != 2 || r.Records != 2 {
		t.Errorf("of a holder: %+v", r)
	}
}

// TestExportADL: a record for each decision, at level 4: what was asked and answered whole, policy, information and engine by
// reference, and one id of its own.
func TestExportADL(t *testing.T) {
	s := exportLog(t)
	text, r := exported(t, ExportConfig{Window: RequestsConfig{Store: s, Vault: newVault(s)}, Format: ExportADL})
	if r.Events != 3 || r.Records != 6 {
		t.Errorf("%+v", r)
	}
	if strings.Contains(text, "canary") {
		t.Error("who asked is in it")
	}
	seen := map[string]bool{}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var l struct {
			TraceID    string `json:"trace_id"`
			SpanID     string `json:"span_id"`
			Parent     string `json:"parent_span_id"`
			Event      string `json:"event_name"`
			Timestamp  string
			Status     string
			Attributes map[string]string
			Body       map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		want := "urn:schakel:policy:rev"
		if n == 0 {
			want = "urn:schakel:policy:older"
		}
		if l.Event != "adl.access_evaluation" || l.Status != "Ok" || l.Timestamp == "" || seen[l.TraceID+l.SpanID] || len(l.SpanID) != 16 ||
			l.Attributes["adl.core.policies"] != want || l.Attributes["adl.core.information"] != "urn:schakel:log:0123:register:1" || l.Attributes["adl.core.configuration"] != "opa" ||
			string(l.Body["adl.core.request"]) != []string{`{"v":1,"fields":["huur.achterstand.bedrag"]}`, `{"v":1,"fields":["ggz.diagnose"]}`}[n%2] ||
			string(l.Body["adl.core.response"]) != []string{`{"grants":{}}`, `{"grants":{},"refusals":{}}`}[n%2] {
			t.Errorf("line %d: %s", n, line)
		}
		seen[l.TraceID+l.SpanID] = true
	}
}

// TestExportCSV: a row for each disclosure, that no spreadsheet takes for a formula; and what was taken from a holder, by whom
// and for what, without the worker.
func TestExportCSV(t *testing.T) {
	s := exportLog(t)
	window := RequestsConfig{Store: s, Vault: newVault(s)}
	text, r := exported(t, ExportConfig{Window: window, Format: ExportCSV})
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 4 || r.Records != 3 {
		t.Fatalf("%v, %+v, %s", err, r, text)
	}
	if got, want := rows[1][2:], []string{"00000001234567890000", "Gemeente Proef", "canary-worker", "wijkteammedewerker", "ontruiming-voorkomen", "canary-case", "verstrekt",
		"huur.achterstand.bedrag (exact)", "ggz.diagnose (release-missing)", "00000009876543210000, 00000009876543211111"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if rows[2][8] != "geweigerd" || rows[2][9] != "" || rows[3][4] != `'=HYPERLINK("http://example.org")` {
		t.Errorf("%q", rows[2:])
	}
	text, r = exported(t, ExportConfig{Window: window, Format: ExportCSV, Holder: "00000009876543210000"})
	rows, err = csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 3 || r.Events != 2 || strings.Contains(text, "canary") || strings.Contains(text, "schulden") {
		t.Fatalf("%v, %+v, %s", err, r, text)
	}
	if got, want := rows[1][2:], []string{"00000001234567890000", "Gemeente Proef", "wijkteammedewerker", "ontruiming-voorkomen",
		"huur.achterstand.bedrag, huur.ontruiming.datum", "huur.ontruiming.datum"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestExportSaysWhatIsNotInIt: erased parts are counted and damaged events named; nothing comes of a log that can't be opened.
func TestExportSaysWhatIsNotInIt(t *testing.T) {
	s := exportLog(t)
	second := s.events("gw")[2]
	vault := lossyVault{newVault(s), func(p keys.Part) bool {
		return slices.Equal(p.Box, second.Staff.Box) || slices.Equal(p.Box, second.Subjects[1].Box)
	}}
	bent := bentSource{s, func(_ journal.Stream, e []journal.Entry) []journal.Entry {
		for i := range e {
			if e[i].ID.Seq == 3 {
				e[i].Bytes = e[i].Bytes[:len(e[i].Bytes)-1]
			}
		}
		return e
	}}
	for format, records := range map[ExportFormat]int{ExportLDV: 3, ExportADL: 4, ExportCSV: 2} {
		_, r := exported(t, ExportConfig{Window: RequestsConfig{Store: bent, Vault: vault}, Format: format})
		if r.Events != 2 || r.Records != records || r.Erased != 2 || !slices.Equal(r.Damaged, []string{"gw 1-3"}) {
			t.Errorf("%s: %+v", format, r)
		}
	}
	var out bytes.Buffer
	for _, c := range []ExportConfig{{Window: RequestsConfig{Store: s}, Format: ExportCSV}, {Window: RequestsConfig{Store: s, Vault: vault}, Format: "xml"},
		{Window: RequestsConfig{Store: s, Vault: vault}, Format: ExportADL, Holder: "00000009876543210000"}} {
		if _, err := Export(context.Background(), c, &out); err == nil || out.Len() > 0 {
			t.Errorf("%+v: %v, %s", c, err, out.String())
		}
	}
}
