package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/workbench"
)

const wmo = "schakel/law/wmo.rego"

// draft makes a draft and gives its address.
func (v *visitor) draft(title string) string {
	v.t.Helper()
	resp, body := v.send("/ontwerpen", url.Values{"titel": {title}})
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("make draft: %d %.300s", resp.StatusCode, body)
	}
	return resp.Header.Get("Location")
}

func TestDraft(t *testing.T) {
	s := start(t, nil)
	v, colleague, fg := s.as("p1"), s.as("p2"), s.as("f")
	at := v.draft(`<b>titel</b>`)
	if _, body := v.get(at); strings.Contains(body, "<b>titel") {
		t.Error("the title is not escaped")
	}
	content := string(s.desk.files[wmo])
	edit := url.Values{"pad": {wmo}, "inhoud": {strings.ReplaceAll("# eerst\n"+content, "\n", "\r\n")}, "actie": {"bewaar"}}
	if resp, _ := v.send(at+"/bestand", edit); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("keep: %d", resp.StatusCode)
	}
	for name, who := range map[string]*visitor{"author": v, "colleague": colleague, "fg": fg} {
		if _, body := who.get(at); !strings.Contains(body, "<ins># eerst</ins>") {
			t.Errorf("%s does not see the change", name)
		}
	}
	// Only the author changes, moves or removes it.
	for _, action := range []string{"/bestand", "/weg", "/verplaats"} {
		if resp, _ := colleague.send(at+action, edit); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s by a colleague: %d", action, resp.StatusCode)
		}
		if resp, _ := fg.send(at+action, edit); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s by the FG: %d", action, resp.StatusCode)
		}
	}
	if _, body := v.get(at); !strings.Contains(body, "<ins># eerst</ins>") {
		t.Error("the draft changed all the same")
	}
	// What another window kept meanwhile is not overwritten.
	edit.Set("was", strings.Repeat("0", 64))
	edit.Set("inhoud", "# later\n"+content)
	if resp, body := v.send(at+"/bestand", edit); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "ander venster") {
		t.Errorf("overwritten: %d", resp.StatusCode)
	}
	// The content of the base is no change.
	edit.Del("was")
	edit.Set("inhoud", content)
	v.send(at+"/bestand", edit)
	if _, body := v.get(at); strings.Contains(body, "<ins>") {
		t.Error("what equals the base counts as a change")
	}
	if resp, _ := v.send(at+"/weg", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("throw away: %d", resp.StatusCode)
	}
	if resp, _ := v.get(at); resp.StatusCode != http.StatusNotFound {
		t.Errorf("it is still there: %d", resp.StatusCode)
	}
}

func TestDraftSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	at := start(t, func(c *console.Config) { c.Dir = dir }).as("p1").draft("blijft")
	if _, body := start(t, func(c *console.Config) { c.Dir = dir }).as("p1").get(at); !strings.Contains(body, "blijft") {
		t.Error("the draft is gone after a restart")
	}
}

func TestPathsOfDrafts(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("paden")
	for _, bad := range []string{"../x.rego", "/etc/x.rego", "x.txt", "a/../../b.rego", "", "a b.rego", ".signatures.json", "x\x00.rego"} {
		if resp, _ := v.send(at+"/bestand", url.Values{"pad": {bad}, "inhoud": {"x"}}); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("path %q: %d", bad, resp.StatusCode)
		}
	}
	for _, bad := range []string{"/ontwerpen/..%2f..%2fkeys", "/ontwerpen/ABC", "/ontwerpen/%2e%2e"} {
		if resp, _ := v.get(bad); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", bad, resp.StatusCode)
		}
	}
}

// TestGuardrailsAreTheJurists: a privacy officer can't loosen the rules about rules.
func TestGuardrailsAreTheJurists(t *testing.T) {
	s := start(t, nil)
	form := url.Values{"pad": {"schakel/guardrails/extra.rego"}, "inhoud": {"package x\n"}}
	v := s.as("p1")
	if resp, _ := v.send(v.draft("vangrail")+"/bestand", form); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("by a privacy officer: %d", resp.StatusCode)
	}
	j := s.as("j")
	if resp, _ := j.send(j.draft("vangrail")+"/bestand", form); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("by the jurist: %d", resp.StatusCode)
	}
}

// TestRebase: what was changed on one side only goes on by itself; of what both changed the author says which version does,
// and until then nothing moves.
func TestRebase(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("verplaatsen")
	const alone = "schakel/law/ggz.rego"
	mine := "# van mij\n" + string(s.desk.files[wmo])
	v.send(at+"/bestand", url.Values{"pad": {wmo}, "inhoud": {mine}})
	v.send(at+"/bestand", url.Values{"pad": {alone}, "inhoud": {"# alleen\n" + string(s.desk.files[alone])}})
	s.desk.change(wmo, "# van een ander\n"+string(s.desk.files[wmo]))
	_, body := v.get(at)
	if !strings.Contains(body, "intussen veranderd") || !strings.Contains(body, "<code>"+wmo+"</code>") {
		t.Error("the page does not say what changed below")
	}
	if !strings.Contains(body, "<ins># van een ander</ins>") || !strings.Contains(body, `name="houd:`+wmo+`"`) || strings.Contains(body, "houd:"+alone) {
		t.Error("the page does not show what changed in the file that both changed, or asks about another")
	}
	for _, form := range []url.Values{nil, {"houd:" + wmo: {"x"}}, {"houd:" + alone: {"geldend"}}} {
		if resp, body := v.send(at+"/verplaats", form); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, wmo) || strings.Contains(body, alone) {
			t.Errorf("moved without a choice: %d", resp.StatusCode)
		}
	}
	if _, body := v.get(at); !strings.Contains(body, "niet meer geldt") || !strings.Contains(body, "<ins># van mij</ins>") {
		t.Error("what was refused changed the draft")
	}
	if resp, _ := v.send(at+"/verplaats", url.Values{"houd:" + wmo: {"ontwerp"}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("with a choice: %d", resp.StatusCode)
	}
	_, body = v.get(at)
	if !strings.Contains(body, "ook elders waren gewijzigd: "+wmo) {
		t.Error("what both changed is not named")
	}
	if strings.Contains(body, "niet meer geldt") || !strings.Contains(body, "<ins># van mij</ins>") || !strings.Contains(body, "<del># van een ander</del>") ||
		!strings.Contains(body, "<ins># alleen</ins>") {
		t.Error("the draft does not stand on the policy in force, with its own version")
	}
	s.desk.change(wmo, "# nog eens\n"+string(s.desk.files[wmo]))
	v.send(at+"/verplaats", url.Values{"houd:" + wmo: {"geldend"}})
	if _, body = v.get(at); strings.Contains(body, "niet meer geldt") || strings.Contains(body, "van mij") || !strings.Contains(body, "<ins># alleen</ins>") {
		t.Error("the version in force was not taken")
	}
	s.desk.change("schakel/law/wgs.rego", "# elders\n"+string(s.desk.files["schakel/law/wgs.rego"]))
	if resp, _ := v.send(at+"/verplaats", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("where nothing is changed on both sides: %d", resp.StatusCode)
	}
	if _, body = v.get(at); strings.Contains(body, "niet meer geldt") || !strings.Contains(body, "<ins># alleen</ins>") || strings.Contains(body, "elders</") {
		t.Error("what was changed on one side only did not go on")
	}
}

// TestCheckWhileTyping: findings and colours of a text that is not kept.
func TestCheckWhileTyping(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("typen")
	text := strings.Replace(string(s.desk.files[wmo]), `"wmo-onderzoek"`, `"wmo-onderzoeck"`, 1)
	resp, body := v.send(at+"/toets", url.Values{"pad": {wmo}, "inhoud": {text}})
	var a struct {
		Lines    [][]struct{ K, T string }
		Findings []struct {
			Line            int
			Problem, Advice string
		}
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v %.200s", resp.StatusCode, err, body)
	}
	if len(a.Findings) == 0 || !strings.Contains(a.Findings[0].Problem, "wmo-onderzoeck") || a.Findings[0].Line == 0 {
		t.Errorf("findings: %+v", a.Findings)
	}
	rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(a.Lines) != len(rows) {
		t.Fatalf("%d lines, want %d", len(a.Lines), len(rows))
	}
	for i, spans := range a.Lines { // colours lose no letter
		line := ""
		for _, s := range spans {
			line += s.T
		}
		if line != rows[i] {
			t.Errorf("line %d is %q, want %q", i+1, line, rows[i])
		}
	}
	if _, body := v.get(at); strings.Contains(body, "onderzoeck") {
		t.Error("checking kept the text")
	}
}

// TestBrokenDraft: what a draft that does not compile can't be told is said in the reader's language; the findings say what to do.
func TestBrokenDraft(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("kapot")
	v.send(at+"/bestand", url.Values{"pad": {wmo}, "inhoud": {"package kapot\n\nx := "}, "actie": {"bewaar"}})
	v.send(at+"/toetsing", nil)
	v.get(at + "/voortgang") // which ends when the work does
	for lang, want := range map[string]string{"nl": "Dit kan pas als bij ‘Klopt het?’ geen meldingen meer staan.", "en": "This can be answered once ‘Is it correct?’ has no findings left."} {
		v.send("/taal", url.Values{"taal": {lang}})
		if _, body := v.get(at); strings.Count(body, "<p>"+want+"</p>") != 6 || strings.Contains(body, "rego_parse_error") || strings.Contains(body, "hier klopt de schrijfwijze niet") != (lang == "nl") || !strings.Contains(body, `<span lang="en">`) {
			t.Errorf("in %s: %d times", lang, strings.Count(body, want))
		}
	}
}

// TestProgress: a check tells how far it is, and stops when it is told to.
func TestProgress(t *testing.T) {
	s := start(t, func(c *console.Config) { c.Explorer = workbench.NewExplorer() }) // which has all of it to do
	v := s.as("p1")
	at := v.draft("toetsen")
	if resp, _ := v.get(at + "/voortgang"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("progress of nothing: %d", resp.StatusCode)
	}
	v.send(at+"/toetsing", nil)
	stop := time.AfterFunc(50*time.Millisecond, func() { v.send(at+"/toetsing/stop", nil) })
	defer stop.Stop()
	resp, body := v.get(at + "/voortgang") // which ends when the work does
	if resp.Header.Get("Content-Type") != "text/event-stream" || !strings.Contains(body, `"done":true`) || !strings.Contains(body, "Vraag 1") {
		t.Errorf("progress: %s %s", resp.Header.Get("Content-Type"), body)
	}
	if _, body := v.get(at); !strings.Contains(body, "Toets opnieuw") {
		t.Error("it can't be started again")
	}
}
