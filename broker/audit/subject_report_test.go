package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

func reportWords(staff bool) Words {
	of := func(pairs ...string) (list []broker.Term) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, broker.Term{ID: pairs[i], Text: broker.Text{NL: pairs[i+1], EN: "?"}})
		}
		return list
	}
	c := &broker.Catalog{
		Fields:   []broker.FieldInfo{{Path: "huur.achterstand", Label: broker.Text{NL: "Huurachterstand"}}, {Path: "ggz.diagnose", Label: broker.Text{NL: "Diagnose"}}},
		Purposes: of("ontruiming-voorkomen", "Ontruiming voorkomen"), Roles: of("wijkteammedewerker", "Wijkteammedewerker"),
		Forms: of("exact", "De waarde zelf"), Bases: of("wgs-8", "Wgs artikel 8"), Reasons: of("never-shared", "Nooit gedeeld."),
	}
	return Words{Staff: staff,
		Catalog: func(r broker.Revision) *broker.Catalog {
			if r != "rev" {
				return nil
			}
			return c
		},
		Agency: func(oin broker.OIN) string {
			return map[broker.OIN]string{"1": "Gemeente Proef", "2": "Corporatie Proef"}[oin]
		}}
}

func reportEvent() SubjectEvent {
	return SubjectEvent{
		Mention: Mention{Hash: broker.Hash{1}, Time: time.Date(2026, 3, 29, 1, 5, 0, 0, time.UTC)}, Revision: "rev",
		Staff: &broker.Staff{Agency: "1", Worker: "canary-worker", Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Case: "canary-case", Request: "canary-request"},
		Part: &broker.SubjectPart{Subject: "p1", Agency: "1", Purpose: "ontruiming-voorkomen",
			Released: []broker.Released{{Field: "huur.achterstand", Subject: "household", Form: "exact", Basis: "wgs-8"}},
			Withheld: []broker.Withheld{{Field: "ggz.diagnose", Subject: "p1", Reasons: []broker.Reason{"never-shared"}}},
			Asked:    []broker.AskedName{{Holder: "2"}, {Holder: "2"}, {Holder: "3"}}},
	}
}

// TestReportInWords: everything a resident may know stands in the report, and nothing of who did the asking.
func TestReportInWords(t *testing.T) {
	act := reportWords(false).Act(reportEvent())
	r := SubjectReport{Made: reportEvent().Time, Acts: []SubjectAct{act}, NotNamed: NotNamed, ProvedUntil: &act.Time}
	text := r.Text()
	for _, want := range []string{"29 maart 2026, 03.05 uur\nGemeente Proef\n", // summer time began at 02.00
		"Functie van wie het vroeg: Wijkteammedewerker", "Waarvoor: Ontruiming voorkomen", "Gekregen, volgens Wgs artikel 8:\n    - Huurachterstand van uw huishouden: de waarde zelf\n",
		"kreeg als antwoord: \"Nooit gedeeld.\"\n    - Diagnose\n", "Corporatie Proef; 3\n", "Nummer: 01000000", "één opvraging", "tot 29 maart 2026, 03.05 uur alles erin staat wat wij u moeten noemen", NotNamed} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if both := text + string(data); strings.Contains(both, "canary") || strings.Contains(both, "Medewerker:") {
		t.Errorf("it names staff, case or request:\n%s", both)
	}
	for _, word := range []string{`"actieNaam":"Gegevens opgevraagd"`, `"afnemerId":"1"`, `"bewaartermijn":null`, `"vertrouwelijkheid":"normaal"`, `"verwerkteSoortenGegevens":[{"soortGegeven":"Huurachterstand"`} {
		if !strings.Contains(string(data), word) {
			t.Errorf("no %s in %s", word, data)
		}
	}
	words := reportWords(false)
	for term, want := range map[string]string{"P5Y": "P5Y", "": ""} { // as the policy in force has it, or not
		words.Term = func(p broker.Purpose) string { return map[broker.Purpose]string{"ontruiming-voorkomen": term}[p] }
		if r := words.Act(reportEvent()).Retention; (r == nil) != (want == "") || (r != nil && *r != want) {
			t.Errorf("term %q: %v", term, r)
		}
	}
	if named := reportWords(true).Act(reportEvent()); named.Worker != "canary-worker" {
		t.Errorf("an officer decided to name staff: %+v", named)
	}
}

// TestReportOfWhatIsLeft: what was erased or can't be read is said to be so; a report without acts says the same of what is
// not named as one with.
func TestReportOfWhatIsLeft(t *testing.T) {
	e := reportEvent()
	e.Part, e.State, e.Revision = nil, PartErased, "gone"
	act := reportWords(false).Act(e)
	if act.State != ActErased || act.Purpose != "ontruiming-voorkomen" || act.RecipientName != "Gemeente Proef" {
		t.Errorf("%+v", act)
	}
	e.Staff, e.StaffState, e.State = nil, PartErased, PartDamaged
	r := SubjectReport{Acts: []SubjectAct{act, reportWords(false).Act(e)}, Unreadable: 2}
	for _, want := range []string{"2 opvragingen", "hebben wij gewist", "kunnen wij niet lezen. Vraag", "Een organisatie die wij niet meer kunnen noemen", "2 regels van ons logboek", NotNamed} {
		if !strings.Contains(r.Text(), want) {
			t.Errorf("no %q in:\n%s", want, r.Text())
		}
	}
	since := e.Time
	empty := SubjectReport{Since: &since}.Text()
	if !strings.Contains(empty, "geen opvragingen") || !strings.Contains(empty, NotNamed) || !strings.Contains(empty, "vanaf 29 maart") {
		t.Error(empty)
	}
}
