package console_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// TestProposal: a colleague is asked and can approve, the author is not; what the register refuses is shown, not swallowed.
func TestProposal(t *testing.T) {
	s := start(t, nil)
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1"})
	author, colleague, fg := s.as("p1"), s.as("p2"), s.as("f")
	if _, body := colleague.get("/"); !strings.Contains(body, `href="/voorstel/1"`) {
		t.Error("it is not in the colleague's queue")
	}
	if _, body := author.get("/"); strings.Contains(body, `href="/voorstel/1"`) {
		t.Error("it is in the author's own queue")
	}
	for name, v := range map[string]*visitor{"author": author, "FG": fg} {
		if resp, body := v.get("/voorstel/1"); resp.StatusCode != http.StatusOK || strings.Contains(body, "/voorstel/1/goedkeuren") {
			t.Errorf("%s is offered approval: %d", name, resp.StatusCode)
		}
	}
	if _, body := colleague.get("/voorstel/1"); strings.Contains(body, "/voorstel/1/goedkeuren") || !strings.Contains(body, "/voorstel/1/narekenen") {
		t.Error("the colleague is offered approval of what was not worked out again")
	}
	form := func() url.Values { return url.Values{"revisie": {string(s.desk.live())}} }
	colleague.recount("/voorstel/1")
	if _, body := colleague.get("/voorstel/1"); !strings.Contains(body, "/voorstel/1/goedkeuren") {
		t.Error("the colleague is not offered approval")
	}
	// A form of another revision approves nothing.
	if resp, _ := colleague.send("/voorstel/1/goedkeuren", url.Values{"revisie": {"x"}}); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another revision: %d", resp.StatusCode)
	}
	if resp, _ := fg.send("/voorstel/1/goedkeuren", form()); resp.StatusCode != http.StatusForbidden {
		t.Errorf("approval by the FG: %d", resp.StatusCode)
	}
	if len(s.desk.steps) != 0 {
		t.Fatalf("steps were taken: %v", s.desk.steps)
	}
	if resp, _ := colleague.send("/voorstel/1/goedkeuren", form()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("approve: %d", resp.StatusCode)
	}
	s.desk.refuse = errors.New("the author can't approve <it>")
	resp, body := author.send("/voorstel/1/goedkeuren", form())
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "can&#39;t approve &lt;it&gt;") {
		t.Errorf("what the register refuses: %d %.400s", resp.StatusCode, body)
	}
	if !slices.Equal(s.desk.steps, []string{"approve 1 p2", "approve 1 p1"}) {
		t.Errorf("steps: %v", s.desk.steps)
	}
}

// recount has a proposal worked out again, and waits.
func (v *visitor) recount(at string) {
	v.t.Helper()
	if resp, body := v.send(at+"/narekenen", nil); resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("work out again: %d %.300s", resp.StatusCode, body)
	}
	if resp, body := v.get(at + "/voortgang"); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"done":true`) { // it ends when the work does
		v.t.Fatalf("progress: %d %.300s", resp.StatusCode, body)
	}
}

// TestForgedProposal: where a proposal is not what its reports say the page says so, and approval is neither offered nor taken.
func TestForgedProposal(t *testing.T) {
	s := start(t, nil)
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1"})
	s.desk.wrong = errors.New("it is not <what> its reports say")
	v := s.as("p2")
	v.recount("/voorstel/1")
	if _, body := v.get("/voorstel/1"); !strings.Contains(body, "Dit klopt niet met de rapporten") || !strings.Contains(body, "it is not &lt;what&gt; its reports say") ||
		strings.Contains(body, "/voorstel/1/goedkeuren") {
		t.Error("the page does not say that it is not what its reports say, or offers approval")
	}
	if _, body := v.get("/voorstel/1"); !strings.Contains(body, `<p lang="en">it is not`) {
		t.Error("English words are not marked as English")
	}
	s.desk.wrong = fmt.Errorf("verify: %w", broker.Told("Het klopt niet.", "It is not so."))
	v.recount("/voorstel/1")
	if _, body := v.get("/voorstel/1"); !strings.Contains(body, "<p>Het klopt niet.</p>") || strings.Contains(body, "It is not so.") {
		t.Error("what is known in Dutch is not said in Dutch")
	}
	if resp, _ := v.send("/voorstel/1/goedkeuren", url.Values{"revisie": {string(s.desk.live())}}); resp.StatusCode != http.StatusBadRequest || len(s.desk.steps) > 0 {
		t.Errorf("approved: %d %v", resp.StatusCode, s.desk.steps)
	}
}

// TestAnswersOfAProposal: who approves sees every answer that is signed for, as it was kept.
func TestAnswersOfAProposal(t *testing.T) {
	s := start(t, nil)
	example := broker.Query{V: 1, Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Fields: []broker.Field{"huur.achterstand.bedrag"}}.Canonical()
	grant := &broker.Grant{Form: "exact", Basis: "wgs-8"}
	tests := s.desk.keep(t, map[string]any{"passed": 4321, "lines": 10, "mutation": workbench.MutationReport{Tried: 1234}})
	difference := s.desk.keep(t, struct {
		workbench.Difference
		Guardrails workbench.GuardrailReport `json:"guardrails"`
	}{workbench.Difference{Draft: s.desk.live(), Changes: []workbench.Change{{Kind: workbench.ChangeGained, Class: "gevoelig", Role: "wijkteammedewerker",
		Purpose: "ontruiming-voorkomen", Field: "huur.achterstand.bedrag", After: grant, Example: example}}},
		workbench.GuardrailReport{Revision: s.desk.live(), Guardrails: make([]workbench.Guardrail, 17)}})
	impact := s.desk.keep(t, workbench.ImpactReport{Requests: 5678, Replayed: 5677, Changes: []workbench.ImpactChange{
		{Field: "huur.achterstand.bedrag", Class: "gevoelig", To: "exact", Roles: []broker.Role{"wijkteammedewerker"}, Requests: workbench.Few}}})
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1",
		Reports: register.Reports{Tests: tests, Difference: difference, Impact: impact}})
	v := s.as("p2")
	v.recount("/voorstel/1")
	_, body := v.get("/voorstel/1")
	for name, want := range map[string]string{"check": "Niets gevonden in", "tests": "4.321 testen slagen", "turned": "1.234 voorwaarden zijn omgedraaid",
		"matrix": "combinaties van rol, doel en veld waarin iets wordt gegeven", "difference": "1 combinaties van rol, doel en veld veranderen",
		"guardrails": "Alle 17 vangrails", "impact": "5.677 van 5.678", "suppressed": "minder dan 10", "recount": "Het is gelijk aan de rapporten hieronder"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s: the page lacks %q", name, want)
		}
	}
	// From the difference and from the impact a query leads to its explanation.
	if n := strings.Count(body, `action="/waarom"`); n != 2 {
		t.Errorf("%d ways to an explanation, want 2", n)
	}
	if resp, body := v.ask("/waarom", v.hidden(body, "/waarom")); resp.StatusCode != http.StatusOK || !strings.Contains(body, "<code>huur.achterstand.bedrag</code>") {
		t.Errorf("explain the example: %d %.300s", resp.StatusCode, body)
	}
}

// TestBrokenGuardrailIsShown: what breaks a guardrail is named in words, with a query that shows it and leads to its explanation.
func TestBrokenGuardrailIsShown(t *testing.T) {
	s := start(t, nil)
	example := broker.Query{V: 1, Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Fields: []broker.Field{"huur.achterstand.bedrag"}}.Canonical()
	difference := s.desk.keep(t, struct {
		workbench.Difference
		Guardrails workbench.GuardrailReport `json:"guardrails"`
	}{workbench.Difference{Draft: s.desk.live(), Changes: []workbench.Change{}}, workbench.GuardrailReport{Revision: s.desk.live(),
		Guardrails: make([]workbench.Guardrail, 3), Broken: []workbench.Breach{{Guardrail: "x", Text: broker.Text{NL: "Dit mag nooit."}, Class: "gevoelig",
			Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Field: "huur.achterstand.bedrag", Grant: broker.Grant{Form: "yes-no"}, Example: example}}}})
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1", Reports: register.Reports{Difference: difference}})
	v := s.as("p2")
	_, body := v.get("/voorstel/1")
	for _, want := range []string{"1 keer gebroken", "Dit mag nooit.", "<code>huur.achterstand.bedrag</code>: Alleen ja of nee. Wijkteammedewerker, Ontruiming voorkomen</p>",
		html.EscapeString(string(example.Bytes()))} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if resp, body := v.ask("/waarom", v.hidden(body, "/waarom")); resp.StatusCode != http.StatusOK || !strings.Contains(body, "<code>huur.achterstand.bedrag</code>") {
		t.Errorf("explain the example: %d %.300s", resp.StatusCode, body)
	}
}

// TestHolderAgrees: the page names the holders who must agree, what more they would give and how they sign; what a holder
// signed is handed on as it is, in the name of who brings it.
func TestHolderAgrees(t *testing.T) {
	s := start(t, nil)
	const holder = "00000099000000011000" // kind gemeente, with an agreement on huur
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1", WaitsForHolders: []broker.OIN{holder},
		Widens: []register.Widening{{Field: "huur.achterstand.bedrag", Domain: "huur", Kinds: []broker.AgencyKind{"gemeente"}},
			{Field: "ggz.behandelaar.contact", Domain: "ggz", Kinds: []broker.AgencyKind{"gemeente"}},
			{Field: "huur.contactpersoon", Domain: "huur", Kinds: []broker.AgencyKind{"woningcorporatie"}}}})
	v := s.as("p2")
	_, body := v.get("/voorstel/1")
	for _, want := range []string{"gemeente " + holder, "<code>huur.achterstand.bedrag</code>",
		"schakel policy agree --proposal voorstel.json --holder " + holder + " --key SLEUTEL.jwk --out verklaring.jws", "/voorstel/1/instemmen"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<code>ggz.behandelaar.contact</code>") || strings.Contains(body, "<code>huur.contactpersoon</code>") {
		t.Error("the holder is asked for what it has no agreement on, or does not hold")
	}
	if _, body := s.as("f").get("/voorstel/1"); strings.Contains(body, "/voorstel/1/instemmen") {
		t.Error("the FG is offered to record it")
	}
	if resp, _ := v.upload("/voorstel/1/instemmen", "a.b.c\n"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("record: %d", resp.StatusCode)
	}
	for name, content := range map[string]string{"too large": strings.Repeat("x", 65<<10), "far too large": strings.Repeat("x", 2<<20)} {
		if resp, _ := v.upload("/voorstel/1/instemmen", content); resp.StatusCode == http.StatusSeeOther {
			t.Errorf("%s was recorded", name)
		}
	}
	if resp, _ := v.send("/voorstel/1/instemmen", nil); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without a file: %d", resp.StatusCode)
	}
	s.desk.refuse = errors.New("verify signature of the holder: no")
	if resp, body := v.upload("/voorstel/1/instemmen", "x.y.z"); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "signature of the holder") {
		t.Errorf("what the register refuses: %d", resp.StatusCode)
	}
	if !slices.Equal(s.desk.steps, []string{"agree 1 p2 a.b.c", "agree 1 p2 x.y.z"}) {
		t.Errorf("steps: %v", s.desk.steps)
	}
}

// upload posts a file as a form of this session does.
func (v *visitor) upload(path, content string) (*http.Response, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("token", v.token("/toegankelijkheid"))
	f, _ := w.CreateFormFile("verklaring", "verklaring.jws")
	_, _ = io.WriteString(f, content)
	_ = w.Close()
	r, _ := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.URL+path, &b)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return v.do(r)
}

// hidden reads the hidden fields of the first form that posts to an address.
func (v *visitor) hidden(body, action string) url.Values {
	v.t.Helper()
	_, form, ok := strings.Cut(body, `action="`+action+`"`)
	form, _, ends := strings.Cut(form, "</form>")
	if !ok || !ends {
		v.t.Fatalf("no form to %s", action)
	}
	out := url.Values{}
	for _, m := range regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		out.Set(m[1], html.UnescapeString(m[2]))
	}
	return out
}

// TestStop: only a privacy officer, only with a reason and when they confirm.
func TestStop(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	for _, form := range []url.Values{{}, {"reden": {"x"}}, {"zeker": {"ja"}}, {"reden": {"  "}, "zeker": {"ja"}}} {
		if resp, _ := v.send("/noodstop", form); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", form, resp.StatusCode)
		}
	}
	if resp, _ := s.as("j").send("/noodstop", url.Values{"reden": {"x"}, "zeker": {"ja"}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("by the jurist: %d", resp.StatusCode)
	}
	if len(s.desk.steps) != 0 {
		t.Fatalf("it stopped: %v", s.desk.steps)
	}
	const loud = "Noodstop: alles wordt geweigerd."
	if _, body := v.get("/matrix"); strings.Contains(body, loud) {
		t.Error("a stop is told of where there is none")
	}
	s.desk.stop = &register.Stop{Base: s.desk.live(), Reason: "oefening"}
	for _, path := range []string{"/", "/matrix", "/beleid", "/ontwerpen", "/bestaat-niet"} {
		if _, body := v.get(path); !strings.Contains(body, loud) {
			t.Errorf("%s does not tell of the stop", path)
		}
	}
	for _, path := range []string{"/", "/noodstop"} {
		if _, body := v.get(path); strings.Contains(body, "Leg all") {
			t.Errorf("%s offers a stop where there is one", path)
		}
	}
	v.send("/noodstop", url.Values{"reden": {"lek"}, "zeker": {"ja"}})
	if !slices.Equal(s.desk.steps, []string{"stop p1 lek"}) {
		t.Errorf("steps: %v", s.desk.steps)
	}
}

// TestUncheckedIsNotSubmitted: a draft without all its answers goes nowhere.
func TestUncheckedIsNotSubmitted(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("ongetoetst")
	if resp, _ := v.send(at+"/indienen", nil); resp.StatusCode != http.StatusBadRequest || len(s.desk.steps) != 0 {
		t.Errorf("submitted unchecked: %d %v", resp.StatusCode, s.desk.steps)
	}
}

// TestWayBackInTime: a draft of an earlier revision holds its content.
func TestWayBackInTime(t *testing.T) {
	s := start(t, nil)
	first := s.desk.live()
	s.desk.change(wmo, "# nieuw\n"+string(s.desk.files[wmo]))
	v := s.as("p1")
	resp, _ := v.send("/ontwerpen", url.Values{"terug": {string(first)}})
	if _, body := v.get(resp.Header.Get("Location")); !strings.Contains(body, "<del># nieuw</del>") || !strings.Contains(body, string(first[:12])) {
		t.Error("the draft does not go back")
	}
	if resp, _ := v.send("/ontwerpen", url.Values{"terug": {"0000"}}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("back to what never was in force: %d", resp.StatusCode)
	}
	// Any two revisions can be compared, and nothing else.
	if _, body := v.get("/geschiedenis?van=" + string(first) + "&naar=" + string(s.desk.live())); !strings.Contains(body, "<ins># nieuw</ins>") {
		t.Error("the difference is not shown")
	}
	if resp, _ := v.get("/geschiedenis?van=" + string(first) + "&naar=x"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown revision: %d", resp.StatusCode)
	}
}
