package console_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/workbench"
)

// asks is a question of the form, and the same as a query.
func (s *site) asks(fields ...string) (url.Values, broker.Query) {
	q := broker.Query{V: 1, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}}, Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen",
		Relation: broker.Relation{Case: "assigned", Coordinator: true, Municipality: "same"}, Subject: broker.QuerySubject{Kind: "person", Age: "18+", Consent: []broker.Domain{"schulden"}},
		Agreements: []broker.Domain{"ggz", "huur"}}
	for _, f := range fields {
		q.Fields = append(q.Fields, broker.Field(f))
	}
	return url.Values{"revisie": {string(s.desk.live())}, "actie": {"vraag"}, "rol": {"wijkteammedewerker"}, "doel": {"ontruiming-voorkomen"}, "soort": {"gemeente"},
		"mandaat": {"wgs"}, "zaak": {"assigned"}, "regisseur": {"ja"}, "gemeente": {"same"}, "over": {"person"}, "leeftijd": {"18+"}, "toestemming": {"schulden"},
		"afspraak": {"huur", "ggz"}, "veld": fields}, q.Canonical()
}

// ask sends a question, waits until it is explained, and gives the page.
func (v *visitor) ask(path string, form url.Values) (*http.Response, string) {
	v.t.Helper()
	resp, body := v.send(path, form)
	if at := resp.Header.Get("Location"); resp.StatusCode == http.StatusSeeOther {
		if resp, body := v.get(at + "/voortgang"); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"done":true`) { // it ends when the work does
			v.t.Errorf("progress: %d %.300s", resp.StatusCode, body)
		}
		return v.get(at)
	}
	return resp, body
}

// TestWhy: the page says what the workbench says, of a field that is given and of one that is not, and the lines that
// decided are lit in the source.
func TestWhy(t *testing.T) {
	s := start(t, nil)
	v := s.as("f")
	if _, body := v.get("/waarom"); !strings.Contains(body, `value="ggz.behandelaar.contact"`) || !strings.Contains(body, `>Wijkteammedewerker<`) {
		t.Error("the form lacks a field or a role of the catalog")
	}
	form, q := s.asks("ggz.behandelaar.contact", "huur.achterstand.bedrag")
	want, err := workbench.Why(t.Context(), s.desk.files, q)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	resp, body := v.ask("/waarom", form)
	t.Logf("explained in %v", time.Since(began))
	_, tries, _ := strings.Cut(body, `<ul class="tries">`)
	body = html.UnescapeString(body)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %.300s", resp.StatusCode, body)
	}
	given := 0
	for _, f := range want.Fields {
		_, section, _ := strings.Cut(body, "<code>"+string(f.Field)+"</code>")
		before, _, _ := strings.Cut(body, "<code>"+string(f.Field)+"</code>")
		section, _, _ = strings.Cut(section, `<details class="way`)
		section = before[strings.LastIndex(before, `<details class="way`):] + section
		expect := func(what, text string) {
			t.Helper()
			if !strings.Contains(section, text) {
				t.Errorf("%s: no %s %q", f.Field, what, text)
			}
		}
		if f.Grant != nil {
			given++
			expect("verdict", ">gegeven<")
			expect("basis", f.Basis.NL)
			continue
		}
		expect("verdict", ">geweigerd<")
		for _, r := range f.Reasons {
			expect("reason", r.Text.NL)
		}
		for _, c := range f.Failed {
			expect("failed condition", c.Source)
			// Its line is lit, as one that does not hold.
			if !regexp.MustCompile(`<li data-line="` + strconv.Itoa(c.Line) + `" class="lit fails">`).MatchString(section) {
				t.Errorf("%s: %s:%d is not lit", f.Field, c.File, c.Line)
			}
		}
		for _, c := range append(slices.Clone(f.Changes), f.Facts...) {
			expect("change", c.What.NL)
		}
		if len(f.Failed) == 0 || len(f.Changes) == 0 {
			t.Fatal("nothing failed, or nothing could be changed: this test tests nothing")
		}
	}
	if given != 1 || len(want.Fields) != 2 {
		t.Fatalf("%d of %d given: this test wants one of two", given, len(want.Fields))
	}
	// A link leads to the file at the line, with the same lines lit.
	m := regexp.MustCompile(`href="(/beleid/bestand\?[^"]+regels=([0-9,]+))#r([0-9]+)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatal("no link to the source")
	}
	_, file := v.get(m[1])
	for number := range strings.SplitSeq(m[2], ",") {
		if !strings.Contains(file, `<li id="r`+number+`" class="lit">`) {
			t.Errorf("line %s is not lit in %s", number, m[1])
		}
	}
	if resp, _ := v.get("/beleid/bestand?pad=" + wmo + "&revisie=" + strings.Repeat("0", 64)); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a file of an unknown revision: %d", resp.StatusCode)
	}
	// A change that would have given it can be asked in turn, and then it is given.
	if resp, again := v.ask("/waarom", v.hidden(tries, "/waarom")); resp.StatusCode != http.StatusOK || !strings.Contains(again, ">gegeven<") || strings.Contains(again, ">geweigerd<") {
		t.Errorf("the change does not give it: %d", resp.StatusCode)
	}
}

// TestWhyForm: choices are of the chosen revision and stay chosen; what is missing or unknown is said, and explained is
// nothing then.
func TestWhyForm(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	form, _ := s.asks("huur.achterstand.bedrag")
	form.Set("actie", "kies")
	_, body := v.ask("/waarom", form)
	for _, chosen := range []string{`<option value="wijkteammedewerker" selected>`, `<option value="18+" selected>`, `name="mandaat" value="wgs" checked`,
		`name="regisseur" value="ja" checked`, `name="veld" value="huur.achterstand.bedrag" checked`} {
		if !strings.Contains(html.UnescapeString(body), chosen) {
			t.Errorf("not chosen any more: %s", chosen)
		}
	}
	if strings.Contains(body, ">gegeven<") || strings.Contains(body, ">geweigerd<") {
		t.Error("fetching choices explained something")
	}
	// A draft of one's own, with a role more.
	at := v.draft("nog een rol")
	roles := "schakel/catalog/roles/data.json"
	text := strings.Replace(string(s.desk.files[roles]), "[", `[{"id":"sportcoach","text":{"nl":"Sportcoach","en":"Sports coach"}},`, 1)
	v.send(at+"/bestand", url.Values{"pad": {roles}, "inhoud": {text}})
	_, body = v.get("/waarom")
	m := regexp.MustCompile(`<option value="([0-9a-f]{64})">Uw ontwerp: nog een rol`).FindStringSubmatch(body)
	if m == nil {
		t.Fatal("the draft can't be chosen")
	}
	if strings.Contains(body, "Sportcoach") {
		t.Error("the role of the draft is offered for the policy in force")
	}
	form.Set("revisie", m[1])
	if _, body = v.ask("/waarom", form); !strings.Contains(body, ">Sportcoach<") {
		t.Error("the draft's own role is not offered")
	}
	form.Set("actie", "vraag")
	form.Set("rol", "sportcoach")
	if resp, body := v.ask("/waarom", form); resp.StatusCode != http.StatusOK || !strings.Contains(body, ">geweigerd<") || !strings.Contains(body, `href="`+at+"/bestand?pad=") && strings.Contains(body, "regels=") {
		t.Errorf("explain by the draft: %d", resp.StatusCode)
	}
	form.Set("revisie", string(s.desk.live()))
	for name, change := range map[string]func(url.Values){
		"an unknown role":  func(url.Values) {},
		"no role":          func(f url.Values) { f.Set("rol", "") },
		"no field":         func(f url.Values) { f.Set("rol", "wijkteammedewerker"); f.Del("veld") },
		"an unknown field": func(f url.Values) { f.Set("rol", "wijkteammedewerker"); f.Set("veld", "<b>x") },
		"no query":         func(f url.Values) { f.Set("vraag", `{"who":1}`) },
		"no revision":      func(f url.Values) { f.Set("revisie", "0000") },
	} {
		f := url.Values{}
		for k, list := range form {
			f[k] = slices.Clone(list)
		}
		change(f)
		resp, body := v.ask("/waarom", f)
		if resp.StatusCode != http.StatusBadRequest || strings.Contains(body, ">geweigerd<") || strings.Contains(body, "<b>x") {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if strings.HasPrefix(name, "an unknown") && !strings.Contains(body, "weggelaten: "+html.EscapeString(f.Get(map[string]string{"an unknown role": "rol", "an unknown field": "veld"}[name]))) {
			t.Errorf("%s is not named", name)
		}
	}
}

// TestWhyDecision: a recorded decision is shown once the view is recorded, and else nothing of it; and so to every role.
func TestWhyDecision(t *testing.T) {
	s := start(t, nil)
	_, q := s.asks("ggz.behandelaar.contact")
	household := q
	household.Subject = broker.QuerySubject{Kind: "household", Age: "unknown"}
	household.Fields = []broker.Field{"huur.achterstand.bedrag"}
	s.desk.decisions = []console.Decision{{Event: "gw1 1-7", Time: time.Now(), Parts: []console.DecisionPart{
		{Subject: "household", Revision: s.desk.live(), Query: household.Canonical()}, {Subject: "p1", Revision: s.desk.live(), Query: q}}}}
	var want []string
	for _, who := range []string{"p1", "j", "f", "a"} {
		v := s.as(who)
		resp, body := v.ask("/waarom/besluit", url.Values{"besluit": {" " + strings.ToUpper(answer(0)) + " "}})
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, "gw1 1-7") || !strings.Contains(body, "Over persoon p1") || !strings.Contains(body, "Over het huishouden") ||
			!strings.Contains(body, "<code>ggz.behandelaar.contact</code>") {
			t.Errorf("%s: %d %.300s", who, resp.StatusCode, body)
		}
		if may := strings.Contains(body, "/beleid/bestand"); may != (who != "a") {
			t.Errorf("%s has links to files: %v", who, may)
		}
		want = append(want, "view 0 "+who)
	}
	if !slices.Equal(s.desk.steps, want) {
		t.Errorf("recorded: %v", s.desk.steps)
	}
	// An explanation is for the session that asked: of another's look nothing stands in the log.
	v := s.as("a")
	resp, _ := v.send("/waarom/besluit", url.Values{"besluit": {answer(0)}})
	want = append(want, "view 0 a")
	at := resp.Header.Get("Location")
	for name, other := range map[string]*visitor{"a colleague": s.as("p1"), "the same person in another session": s.as("a")} {
		for _, path := range []string{at, at + "/voortgang"} {
			if resp, body := other.get(path); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "gw1 1-7") {
				t.Errorf("%s to %s: %d", path, name, resp.StatusCode)
			}
		}
	}
	for _, id := range []string{"", "x", answer(1), strings.Replace(answer(0), "-7", "-4", 1)} {
		if resp, body := v.ask("/waarom/besluit", url.Values{"besluit": {id}}); resp.StatusCode != http.StatusBadRequest || strings.Contains(body, "gw1 1-7") {
			t.Errorf("%q: %d", id, resp.StatusCode)
		}
	}
	s.desk.unlogged = errors.New("the journal is away")
	resp, body := v.ask("/waarom/besluit", url.Values{"besluit": {answer(0)}})
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "niets getoond") || strings.Contains(body, "gw1 1-7") || strings.Contains(body, "behandelaar") ||
		strings.Contains(body, "journal is away") {
		t.Errorf("what could not be recorded: %d %.400s", resp.StatusCode, body)
	}
	if !slices.Equal(s.desk.steps, want) {
		t.Errorf("recorded: %v", s.desk.steps)
	}
}
