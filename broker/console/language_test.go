package console_test

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// said is a text as the source says it in both languages.
type said struct{ nl, en string }

// everythingSaid reads all texts from templates and code.
func everythingSaid(t *testing.T) (out []said) {
	t.Helper()
	code, _ := filepath.Glob("*.go")
	templates, _ := filepath.Glob("web/*.html")
	pages, _ := filepath.Glob("web/pages/*.html")
	residents, _ := filepath.Glob("web/resident/*.html")
	more, _ := filepath.Glob("web/resident/pages/*.html")
	pages = slices.Concat(pages, residents, more)
	in := regexp.MustCompile(`[Ss]ay\(?"([^"]*)",? "([^"]*)"|mistake\{"([^"]*)",\s*"([^"]*)"|Say "([^"]*)" "([^"]*)"`)
	for _, name := range slices.Concat(code, templates, pages) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in.FindAllStringSubmatch(string(text), -1) {
			out = append(out, said{m[1] + m[3] + m[5], m[2] + m[4] + m[6]})
		}
	}
	if len(out) < 300 {
		t.Fatalf("%d texts found: this test does not read them", len(out))
	}
	return out
}

// TestTemplatesSayEverythingTwice: no letter of a template is shown that does not go through Say, but for names.
func TestTemplatesSayEverythingTwice(t *testing.T) {
	for _, p := range everythingSaid(t) {
		if p.nl == p.en && !slices.Contains([]string{"privacy officer", "auditor", "Gateways", "was", "Was"}, p.nl) {
			t.Errorf("%q is said the same in both languages", p.nl)
		}
	}
	names, _ := filepath.Glob("web/pages/*.html")
	residents, _ := filepath.Glob("web/resident/pages/*.html")
	names = append(append(names, residents...), "web/layout.html", "web/parts.html", "web/resident/layout.html")
	drop := regexp.MustCompile(`(?s)<!--.*?-->|<(code|svg|title)[^>]*>.*?</(code|svg|title)>`)
	attribute := regexp.MustCompile(`(?:aria-label|title|placeholder|alt|data-th)="([^"]*)"`)
	letters := regexp.MustCompile(`\pL{2,}`)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "web/pages/accessibility.html" { // two whole texts; the rest of the page is between them
			if !strings.Contains(string(text), `{{if eq .Lang "nl"}}`) || strings.Count(string(text), "<h2>") != 2*7 {
				t.Errorf("%s has not both texts", name)
			}
			continue
		}
		plain := regexp.MustCompile(`(?s)\{\{.*?\}\}`).ReplaceAllString(string(text), "§")
		var shown []string
		for _, m := range attribute.FindAllStringSubmatch(plain, -1) {
			shown = append(shown, m[1])
		}
		for _, piece := range regexp.MustCompile(`<[^>]*>`).Split(drop.ReplaceAllString(plain, " "), -1) {
			shown = append(shown, html.UnescapeString(piece))
		}
		for _, piece := range shown {
			for _, word := range letters.FindAllString(piece, -1) {
				if !slices.Contains([]string{"Schakel", "Gateway", "Gateways", "Markdown", "CSV", "JSON", "English", "Nederlands"}, word) {
					t.Errorf("%s shows %q in one language only", name, strings.TrimSpace(piece))
				}
			}
		}
	}
}

// visible is the text that a page says itself: without source, code, and what is marked as being in English.
func visible(page string) string {
	for _, drop := range []string{`(?s)<head>.*?</head>`, `(?s)<div class="source.*?</div>`, `(?s)<code.*?</code>`, `(?s)<textarea.*?</textarea>`,
		`(?s)<p lang="en">.*?</p>`, `(?s)<button[^>]* lang="(en|nl)">.*?</button>`} {
		page = regexp.MustCompile(drop).ReplaceAllString(page, " ")
	}
	labels := regexp.MustCompile(`(?:aria-label|data-th)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	for _, l := range labels {
		page += " " + l[1]
	}
	return html.UnescapeString(page)
}

// TestPagesInBothLanguages: every page, in every state that has texts of its own, is wholly in the language that was chosen.
func TestPagesInBothLanguages(t *testing.T) {
	s := start(t, nil)
	first := s.desk.live()
	s.desk.change(wmo, "# x\n"+string(s.desk.files[wmo]))
	s.desk.decisions = []console.Decision{{Event: "gw1 1-7"}}
	form, q := s.asks("ggz.behandelaar.contact", "huur.achterstand.bedrag")
	s.desk.decisions[0].Parts = []console.DecisionPart{{Subject: "p1", Revision: s.desk.live(), Query: q}, {Subject: "household", Lookup: "gemeente", Revision: s.desk.live(), Query: q}}
	grant := &broker.Grant{Form: "exact", Basis: "wgs-8"}
	s.desk.propose(register.Draft{Title: "1", Base: first, Revision: s.desk.live(), Author: "p1", WaitsForHolders: []broker.OIN{"00000099000000011000"},
		Widens: []register.Widening{{Field: "huur.achterstand.bedrag", Domain: "huur", Kinds: []broker.AgencyKind{"gemeente"}}},
		Reports: register.Reports{Tests: s.desk.keep(t, map[string]any{"passed": 1, "uncovered": []workbench.Place{{File: "x"}}, "mutation": workbench.MutationReport{Tried: 1, Survived: make([]workbench.Mutant, 1)}}),
			Difference: s.desk.keep(t, struct {
				workbench.Difference
				Guardrails workbench.GuardrailReport `json:"guardrails"`
			}{workbench.Difference{Draft: s.desk.live(), Changes: []workbench.Change{{Kind: workbench.ChangeGained, Class: "gevoelig", Field: "huur.achterstand.bedrag", After: grant, Example: q}},
				Widens: make([]workbench.Widening, 1)}, workbench.GuardrailReport{Broken: []workbench.Breach{{Field: "huur.achterstand.bedrag", Example: q}}}}),
			Impact: s.desk.keep(t, workbench.ImpactReport{Requests: 1, Changes: []workbench.ImpactChange{{Field: "x", To: "exact", Requests: workbench.Few}}})}})
	for range 3 {
		s.record()
	}
	s.audit.events[2].StaffState = audit.PartErased
	s.asked.requests = someAsked()
	author := s.as("p1")
	at := author.draft("2")
	author.send(at+"/bestand", url.Values{"pad": {wmo}, "inhoud": {"package x\n"}})
	author.send("/matrix", nil)
	author.get("/matrix/voortgang") // ends when the matrix is there
	outdated := author.draft("3")
	author.send(outdated+"/bestand", url.Values{"pad": {"schakel/law/ggz.rego"}, "inhoud": {"package x\n"}})
	s.desk.change("schakel/law/ggz.rego", "# y\n"+string(s.desk.files["schakel/law/ggz.rego"]))
	s.desk.decisions[0].Parts[0].Revision, s.desk.decisions[0].Parts[1].Revision = s.desk.live(), s.desk.live()
	form.Set("revisie", string(s.desk.live()))
	s.as("p2").recount("/voorstel/1")
	author.send(at+"/toetsing", nil)
	for _, body := author.get(at); !strings.Contains(body, "1 melding</p>"); _, body = author.get(at) { // the first answer is there
		time.Sleep(50 * time.Millisecond)
	}
	author.send(at+"/toetsing/stop", nil)

	pages := map[string][]string{ // by route, so that a new page can't be forgotten
		"/": {"/"}, "/aanmelden": {"/aanmelden"}, "/toegankelijkheid": {"/toegankelijkheid"}, "/beleid": {"/beleid"},
		"/beleid/bestand": {"/beleid/bestand?pad=" + wmo, "/beleid/bestand?pad=" + wmo + "&revisie=" + string(first)}, "/catalogus": {"/catalogus"},
		"/afspraken": {"/afspraken"}, "/matrix": {"/matrix", "/matrix?rol=wijkteammedewerker&doel=ontruiming-voorkomen"},
		"/geschiedenis": {"/geschiedenis?van=" + string(first) + "&naar=" + string(s.desk.live())}, "/waarom": {"/waarom"}, "/ontwerpen": {"/ontwerpen"},
		"/ontwerpen/:id": {at, outdated}, "/ontwerpen/:id/bestand": {at + "/bestand?pad=" + wmo}, "/voorstel/:nummer": {"/voorstel/1"}, "/noodstop": {"/noodstop"}, "/logboek": {"/logboek"}, "/inzagen": {"/inzagen"}, "/integriteit": {"/integriteit"}, "/inwoners": {"/inwoners"},
		"": {"/bestaat-niet"},
	}
	files := []string{"/assets/:version/:name", "/aanmelden/oidc", "/callback", "/afgemeld", "/matrix/voortgang", "/matrix/bestand", "/ontwerpen/:id/woorden",
		"/ontwerpen/:id/voortgang", "/voorstel/:nummer/voortgang", "/waarom/:id", "/waarom/:id/voortgang", "/logboek/gevonden/:id",
		"/logboek/gebeurtenis/:id", "/logboek/gebeurtenis/:id/bewijs", "/logboek/zaak/:id", "/inzagen/:id", "/inzagen/:id/voortgang", "/integriteit/voortgang", "/inwoners/:id", "/inwoners/:id/voortgang"} // no pages, or below
	for _, route := range console.Routes(t) {
		if path, get := strings.CutPrefix(route, "GET "); get && pages[path] == nil && !slices.Contains(files, path) {
			t.Errorf("this test does not visit %s", path)
		}
	}
	texts := everythingSaid(t)
	for _, lang := range []string{"nl", "en"} {
		// What only the other language says. One word can be a name in the policy; the test above finds those.
		var foreign []string
		ours := ""
		for _, p := range texts {
			if lang == "en" {
				p.nl, p.en = p.en, p.nl
			}
			ours += "\n" + p.nl
			if strings.Contains(strings.TrimSpace(p.en), " ") && p.en != p.nl {
				foreign = append(foreign, strings.TrimSpace(p.en))
			}
		}
		foreign = slices.DeleteFunc(foreign, func(text string) bool { return strings.Contains(ours, text) })
		look := func(name string, status int, body string) {
			t.Helper()
			if !strings.Contains(body, `<html lang="`+lang+`">`) || status >= 500 {
				t.Errorf("%s in %s: %d", name, lang, status)
			}
			text := visible(body)
			for _, f := range foreign {
				if i := strings.Index(text, f); i >= 0 {
					t.Errorf("%s in %s says %q: …%s…", name, lang, f, text[max(0, i-80):min(len(text), i+80)])
				}
			}
		}
		visitors := map[string]*visitor{"p1": s.as("p1"), "p2": s.as("p2"), "a": s.as("a"), "": s.visitor()}
		for who, v := range visitors {
			v.send("/taal", url.Values{"taal": {lang}})
			for _, list := range pages {
				for _, path := range list {
					resp, body := v.get(path)
					if resp.StatusCode == http.StatusSeeOther {
						continue
					}
					look(who+" "+path, resp.StatusCode, body)
				}
			}
		}
		v := visitors["p1"]
		for path, f := range map[string]url.Values{"/waarom": form, "/waarom/besluit": {"besluit": {answer(0)}}, "/noodstop": {}, outdated + "/verplaats": {},
			"/voorstel/1/goedkeuren": {}, "/ontwerpen": {}, at + "/bestand": {"pad": {"x"}}} {
			resp, body := v.ask(path, f)
			look("POST "+path, resp.StatusCode, body)
		}
		v.auditorPages(look)
		v.answeringPages(look)
	}
}
