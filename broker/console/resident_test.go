package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
)

// The residents of these tests.
const (
	parent broker.BSN = "999990019"
	child  broker.BSN = "999990020"
)

// residentDesk is a desk with one event, of which it knows who looked.
type residentDesk struct {
	looks   []string
	refuse  error
	noProof error
	acts    []audit.SubjectAct
	wait    chan struct{} // a report waits for it, where not nil
	making  atomic.Int32
}

func (d *residentDesk) Report(ctx context.Context, by, about broker.BSN) (console.Report, error) {
	if d.refuse != nil {
		return console.Report{}, d.refuse
	}
	d.making.Add(1)
	defer d.making.Add(-1)
	if d.wait != nil {
		select {
		case <-d.wait:
		case <-ctx.Done():
			return console.Report{}, ctx.Err()
		}
	}
	d.looks = append(d.looks, by.Reveal()+" "+about.Reveal())
	until := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := console.Report{Dutch: audit.SubjectReport{Made: until, Acts: d.acts, NotNamed: audit.NotNamed}, Proof: []byte(`{"v":1}`), NoProof: d.noProof}
	if r.Dutch.ProvedUntil = &until; d.noProof != nil {
		r.Proof, r.Dutch.ProvedUntil = nil, nil
	}
	r.English = r.Dutch
	r.English.NotNamed = audit.NotNamedEnglish
	return r, nil
}

func someActs() []audit.SubjectAct {
	return []audit.SubjectAct{
		{Event: broker.Hash{1}, Time: time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC), RecipientName: "Recipient 1", Purpose: "Purpose 1", Role: "Role 1",
			Given:    []audit.GivenData{{Data: "Field 1", Form: "Form", Basis: "Basis 1", Household: true}, {Data: "Field 2", Form: "Form", Basis: "Basis 1"}},
			Withheld: []audit.WithheldData{{Data: "Field 3", Reasons: []string{"Reason 1"}}}, Asked: []audit.AskedAgency{{OIN: "1", Name: "Asked 1"}}},
		{Event: broker.Hash{2}, State: audit.ActErased}, {Event: broker.Hash{3}, State: audit.ActUnreadable},
	}
}

// residents is a running residents' site; its log is kept.
func residents(t *testing.T, d *residentDesk, change func(*console.ResidentsConfig)) (*site, *bytes.Buffer) {
	t.Helper()
	s, log := httptest.NewUnstartedServer(nil), &bytes.Buffer{}
	cfg := console.ResidentsConfig{Desk: d, PublicURL: "http://" + s.Listener.Addr().String(), Organisation: "Gemeente Proef", Contact: "fg@proef.example",
		Persons: []console.TestPerson{{Name: "Parent", BSN: parent}, {Name: "Child", BSN: child}}, Log: slog.New(slog.NewTextHandler(log, nil))}
	if change != nil {
		change(&cfg)
	}
	k, err := console.NewResidents(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = k
	s.Start()
	t.Cleanup(s.Close)
	return &site{s, t, nil, nil}, log
}

// resident signs a test person in.
func (s *site) resident(n string) *visitor {
	s.t.Helper()
	v := s.visitor()
	if resp, body := v.send("/aanmelden", url.Values{"persoon": {n}}); resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d %.300s", n, resp.StatusCode, body)
	}
	return v
}

// noBSN fails where a BSN is to be seen.
func noBSN(t *testing.T, where, text string) {
	t.Helper()
	for _, b := range []broker.BSN{parent, child} {
		if strings.Contains(text, b.Reveal()) {
			t.Errorf("%s holds a BSN", where)
		}
	}
}

// TestResident: a report is made for who is signed in, about themselves, once it is asked for; it is theirs alone, and gone
// when they sign out. No BSN stands in a page, an address or the log.
func TestResident(t *testing.T) {
	d := &residentDesk{acts: someActs()}
	s, log := residents(t, d, nil)
	v := s.visitor()
	for _, path := range []string{"/", "/overzicht", "/overzicht/gegevens", "/overzicht/bewijs"} {
		if resp, body := v.get(path); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/aanmelden" || strings.Contains(body, "Recipient") {
			t.Errorf("not signed in, %s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := v.send("/overzicht", nil); resp.Header.Get("Location") != "/aanmelden" || d.looks != nil {
		t.Errorf("not signed in: %d, %v", resp.StatusCode, d.looks)
	}
	for _, n := range []string{"-1", "2", "x", "", parent.Reveal()} {
		if resp, _ := v.send("/aanmelden", url.Values{"persoon": {n}}); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("signed in as %q: %d", n, resp.StatusCode)
		}
	}

	v = s.resident("0")
	if resp, _ := v.get("/overzicht"); resp.Header.Get("Location") != "/" || d.looks != nil {
		t.Errorf("before it was asked for: %d, %v", resp.StatusCode, d.looks)
	}
	if resp, _ := v.post("/overzicht", nil); resp.StatusCode != http.StatusForbidden || d.looks != nil {
		t.Errorf("without the form's token: %d, %v", resp.StatusCode, d.looks)
	}
	for range 2 { // at once after another: the same
		if resp, body := v.send("/overzicht", nil); resp.Header.Get("Location") != "/overzicht" {
			t.Fatalf("make: %d %s", resp.StatusCode, body)
		}
	}
	if want := []string{parent.Reveal() + " " + parent.Reveal()}; !slices.Equal(d.looks, want) {
		t.Errorf("looked: %v, want %v", d.looks, want)
	}
	_, page := v.get("/overzicht")
	text := visible(page)
	for _, want := range []string{"3 keer", "Recipient 1", "Purpose 1", "Role 1", "Field 1 van uw huishouden: form", "Field 2: form", "Basis 1", "Reason 1", "Asked 1", audit.NotNamed,
		"Dit hebben wij gewist", "Dit kunnen wij niet lezen", "fg@proef.example"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !strings.Contains(page, "<code>"+broker.Hash{1}.String()) || strings.Count(page, "Basis 1") != 1 {
		t.Errorf("no number, or one ground said twice: %s", page)
	}
	noBSN(t, "the page", page)
	resp, data := v.get("/overzicht/gegevens")
	if !strings.Contains(data, `"afnemerNaam": "Recipient 1"`) || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("data: %v %s", resp.Header, data)
	}
	if _, proof := v.get("/overzicht/bewijs"); proof != `{"v":1}` {
		t.Errorf("proof: %s", proof)
	}
	other := s.resident("1")
	for _, path := range []string{"/overzicht/gegevens", "/overzicht/bewijs"} {
		if resp, body := other.get(path); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "Recipient") {
			t.Errorf("another resident, %s: %d", path, resp.StatusCode)
		}
	}
	old := v.client.Jar
	v.send("/afmelden", nil)
	v.client.Jar = old
	if resp, body := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther || strings.Contains(body, "Recipient") {
		t.Errorf("signed out: %d", resp.StatusCode)
	}
	noBSN(t, "the log", log.String())
	if !strings.Contains(log.String(), "route=/overzicht/bewijs") {
		t.Errorf("log: %s", log)
	}
}

// TestResidentForgets: a report is kept for a quarter of an hour, and only so many are.
func TestResidentForgets(t *testing.T) {
	now := time.Now()
	s, _ := residents(t, &residentDesk{acts: someActs()}, func(c *console.ResidentsConfig) { c.Now = func() time.Time { return now } })
	v := s.resident("0")
	v.send("/overzicht", nil)
	if now = now.Add(14 * time.Minute); true {
		if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusOK {
			t.Errorf("after a while: %d", resp.StatusCode)
		}
	}
	now = now.Add(2 * time.Minute)
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after long: %d", resp.StatusCode)
	}
	v.send("/overzicht", nil)
	for range 64 {
		s.resident("1").send("/overzicht", nil)
	}
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with many after it: %d", resp.StatusCode)
	}
}

// TestResidentFailures: where looking can't be recorded nothing is shown; without a proof the page says so; who comes when
// others are served waits, and hears that it is busy.
func TestResidentFailures(t *testing.T) {
	d := &residentDesk{acts: someActs(), refuse: fmt.Errorf("%w: away", console.ErrNotRecorded)}
	s, log := residents(t, d, nil)
	v := s.resident("0")
	if resp, body := v.send("/overzicht", nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Wij schrijven eerst op") {
		t.Errorf("not recorded: %d %s", resp.StatusCode, body)
	}
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("not recorded, and shown: %d", resp.StatusCode)
	}
	d.refuse = errors.New("something of the inside")
	if resp, body := v.send("/overzicht", nil); resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "inside") {
		t.Errorf("failed: %d %s", resp.StatusCode, body)
	}
	d.refuse, d.noProof = nil, errors.New("the index and the log differ")
	v.send("/overzicht", nil)
	if _, body := v.get("/overzicht"); !strings.Contains(body, "nu geen bewijs") || strings.Contains(body, "/overzicht/bewijs") {
		t.Errorf("without a proof: %s", body)
	}
	if resp, _ := v.get("/overzicht/bewijs"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a proof that is not there: %d", resp.StatusCode)
	}
	if !strings.Contains(log.String(), "the index and the log differ") {
		t.Errorf("nobody is told that there is no proof: %s", log)
	}
}

// TestResidentsApart: nobody who signed in at one site is anybody at the other.
func TestResidentsApart(t *testing.T) {
	s, _ := residents(t, &residentDesk{}, nil)
	officers := start(t, nil)
	for name, to := range map[string]*site{"officers": officers, "residents": s} {
		v, path := s.resident("0"), "/beleid"
		if name == "residents" {
			v, path = officers.as("p1"), "/"
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, to.URL+path, nil)
		u, _ := url.Parse(v.URL)
		for _, c := range v.client.Jar.Cookies(u) {
			for _, name := range []string{"schakel-console", "schakel-inzage"} {
				r.AddCookie(&http.Cookie{Name: name, Value: c.Value})
			}
		}
		if resp, _ := to.visitor().do(r); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("a session of elsewhere on the site of %s: %d", name, resp.StatusCode)
		}
	}
	for _, c := range []console.ResidentsConfig{{}, {Desk: &residentDesk{}}, {Desk: &residentDesk{}, PublicURL: "x", Persons: make([]console.TestPerson, 1)},
		{Desk: &residentDesk{}, PublicURL: "https://x.example", OIDC: &console.ResidentsOIDC{BSNClaim: "bsn"}},
		{Desk: &residentDesk{}, PublicURL: "https://x.example", OIDC: &console.ResidentsOIDC{Levels: []string{"hoog"}}},
		{Desk: &residentDesk{}, PublicURL: "https://x.example", OIDC: &console.ResidentsOIDC{BSNClaim: "bsn", Levels: []string{"hoog"}}, Persons: make([]console.TestPerson, 1)}} {
		if _, err := console.NewResidents(c); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
}

// TestResidentOIDC: the BSN comes from the verified ID token, at a level that will do, and from nowhere else.
func TestResidentOIDC(t *testing.T) {
	i := newIssuer(t)
	d := &residentDesk{acts: someActs()}
	s, log := residents(t, d, func(c *console.ResidentsConfig) {
		c.Persons = nil
		c.OIDC = &console.ResidentsOIDC{OIDC: console.OIDC{Issuer: i.URL, ClientID: "schakel", ClientSecret: "secret"}, BSNClaim: "urn:bsn", Levels: []string{"substantieel", "hoog"}}
	})
	for name, tt := range map[string]struct {
		claims map[string]any
		in     bool
	}{
		"good":            {map[string]any{"urn:bsn": parent.Reveal(), "acr": "hoog"}, true},
		"good enough":     {map[string]any{"urn:bsn": parent.Reveal(), "acr": "substantieel"}, true},
		"low level":       {map[string]any{"urn:bsn": parent.Reveal(), "acr": "basis"}, false},
		"no level":        {map[string]any{"urn:bsn": parent.Reveal()}, false},
		"levels":          {map[string]any{"urn:bsn": parent.Reveal(), "acr": []string{"hoog"}}, false},
		"no BSN":          {map[string]any{"acr": "hoog", "bsn": parent.Reveal(), "sub": parent.Reveal()}, false},
		"wrong BSN":       {map[string]any{"urn:bsn": "999990018", "acr": "hoog"}, false},
		"empty BSN":       {map[string]any{"urn:bsn": "", "acr": "hoog"}, false},
		"number":          {map[string]any{"urn:bsn": 999990019, "acr": "hoog"}, false},
		"expired":         {map[string]any{"urn:bsn": parent.Reveal(), "acr": "hoog", "exp": time.Now().Add(-time.Hour).Unix()}, false},
		"another nonce":   {map[string]any{"urn:bsn": parent.Reveal(), "acr": "hoog", "nonce": "other"}, false},
		"another party's": {map[string]any{"urn:bsn": parent.Reveal(), "acr": "hoog", "aud": "schakel-console"}, false},
	} {
		v := s.visitor()
		i.change, d.looks = tt.claims, nil
		q := i.leave(v)
		if q.Get("acr_values") != "substantieel hoog" || q.Get("scope") != "openid" {
			t.Fatalf("asked: %v", q)
		}
		resp, body := v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state")))
		noBSN(t, name, body+fmt.Sprint(resp.Header))
		resp, _ = v.get("/")
		if in := resp.StatusCode == http.StatusOK; in != tt.in {
			t.Errorf("%s: %d %.500s", name, resp.StatusCode, body)
			continue
		}
		v.send("/overzicht", nil)
		if want := []string{parent.Reveal() + " " + parent.Reveal()}; tt.in != slices.Equal(d.looks, want) {
			t.Errorf("%s: looked %v", name, d.looks)
		}
		if resp, _ := v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state"))); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: a second time: %d", name, resp.StatusCode)
		}
	}
	if resp, _ := s.visitor().send("/aanmelden", url.Values{"persoon": {"0"}}); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("chosen without a password: %d", resp.StatusCode)
	}
	noBSN(t, "the log", log.String())
}

// TestResidentPagesInBothLanguages: every page is wholly in the language that was chosen.
func TestResidentPagesInBothLanguages(t *testing.T) {
	acts := someActs()
	d := &residentDesk{acts: acts}
	s, _ := residents(t, d, nil)
	var routes []string
	for _, r := range console.ResidentRoutes(t) {
		if path, get := strings.CutPrefix(r, "GET "); get {
			routes = append(routes, path)
		}
	}
	pages := []string{"/", "/aanmelden", "/toegankelijkheid", "/overzicht"}
	for _, path := range append(pages, "/assets/:version/:name", "/aanmelden/oidc", "/callback", "/overzicht/gegevens", "/overzicht/bewijs") {
		routes = slices.DeleteFunc(routes, func(r string) bool { return r == path })
	}
	if len(routes) > 0 {
		t.Errorf("this test does not visit %v", routes)
	}
	texts := residentTexts(t)
	for _, lang := range []string{"nl", "en"} {
		var foreign []string
		ours := ""
		for _, p := range texts {
			if lang == "en" {
				p.nl, p.en = p.en, p.nl
			}
			ours += "\n" + p.nl
			if strings.Contains(strings.TrimSpace(p.en), " ") {
				foreign = append(foreign, strings.TrimSpace(p.en))
			}
		}
		foreign = slices.DeleteFunc(foreign, func(text string) bool { return strings.Contains(ours, text) })
		for _, v := range []*visitor{s.visitor(), s.resident("0")} {
			v.send("/taal", url.Values{"taal": {lang}})
			v.send("/overzicht", nil)
			for n := range acts {
				d.acts = acts[:n]
				for _, path := range append(slices.Clone(pages), "/bestaat-niet") {
					resp, body := v.get(path)
					if resp.StatusCode == http.StatusSeeOther {
						continue
					}
					if !strings.Contains(body, `<html lang="`+lang+`">`) || resp.StatusCode >= 500 {
						t.Errorf("%s in %s: %d", path, lang, resp.StatusCode)
					}
					text := strings.Join(strings.Fields(visible(body)), " ")
					for _, f := range foreign {
						if i := strings.Index(text, f); i >= 0 {
							t.Errorf("%s in %s says %q: …%s…", path, lang, f, text[max(0, i-80):min(len(text), i+80)])
						}
					}
				}
			}
		}
	}
}

// residentTexts reads the texts of the residents' pages.
func residentTexts(t *testing.T) (out []said) {
	t.Helper()
	in := regexp.MustCompile(`[Ss]ay\("([^"]*)", "([^"]*)"|mistake\{"([^"]*)",\s*"([^"]*)"|Say "([^"]*)" "([^"]*)"|servePlain\("[a-z]+", "([^"]*)", "([^"]*)"`)
	code, _ := filepath.Glob("resident*.go")
	pages, _ := filepath.Glob("web/resident/pages/*.html")
	for _, name := range append(append(code, pages...), "web/resident/layout.html") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range in.FindAllStringSubmatch(string(data), -1) {
			out = append(out, said{html.UnescapeString(m[1] + m[3] + m[5] + m[7]), html.UnescapeString(m[2] + m[4] + m[6] + m[8])})
		}
	}
	if len(out) < 60 {
		t.Fatalf("%d texts found: this test does not read them", len(out))
	}
	return out
}
