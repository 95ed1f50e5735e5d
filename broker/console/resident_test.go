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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

// The residents of these tests.
const (
	parent broker.BSN = "999990019"
	child  broker.BSN = "999990020"
)

// residentDesk is a desk with one event, of which it knows who looked.
type residentDesk struct {
	mu      sync.Mutex
	looks   []string
	refuse  error
	noProof error
	acts    []audit.SubjectAct
	wait    chan struct{} // a report waits for it, where not nil
	read    int           // entries that a report says it has read by then
	stopped atomic.Int32  // reports that were stopped while they waited
	making  atomic.Int32
	most    atomic.Int32 // that were made at once

	represents []register.Representation
	requests   []register.RequestState
	restricted bool
	refuseAsk  error
}

func (d *residentDesk) Represents(by broker.BSN) (out []register.Representation) {
	for _, r := range d.represents {
		if r.By == by {
			out = append(out, r)
		}
	}
	return out
}
func (d *residentDesk) Requests(of broker.BSN) (out []register.RequestState) {
	for _, q := range d.requests {
		if q.About == of || q.By == of {
			out = append(out, q)
		}
	}
	return out
}
func (d *residentDesk) Restricted(broker.BSN) bool { return d.restricted }
func (d *residentDesk) Ask(_ context.Context, q register.ResidentRequest) error {
	if d.refuseAsk != nil {
		return d.refuseAsk
	}
	d.requests = append(d.requests, register.RequestState{ResidentRequest: q, Made: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)})
	return nil
}

func (d *residentDesk) Report(ctx context.Context, by, about broker.BSN, read func(int)) (console.Report, error) {
	if d.refuse != nil {
		return console.Report{}, d.refuse
	}
	if n := d.making.Add(1); n > d.most.Load() {
		d.most.Store(n)
	}
	defer d.making.Add(-1)
	if d.wait != nil {
		read(d.read)
		select {
		case <-d.wait:
		case <-ctx.Done():
			d.stopped.Add(1)
			return console.Report{}, ctx.Err()
		}
	}
	d.mu.Lock()
	d.looks = append(d.looks, by.Reveal()+" "+about.Reveal())
	d.mu.Unlock()
	until := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := console.Report{Dutch: audit.SubjectReport{Made: until, Acts: d.acts, NotNamed: audit.NotNamed}, Proof: []byte(`{"v":1}`), NoProof: d.noProof}
	if r.Dutch.ProvedUntil = &until; d.noProof != nil {
		r.Proof, r.Dutch.ProvedUntil = nil, nil
	}
	if about == child {
		r.Dutch.Acts = []audit.SubjectAct{{RecipientName: "Of the child"}}
	}
	r.English = r.Dutch
	r.English.NotNamed = audit.NotNamedEnglish
	return r, nil
}

func someActs() []audit.SubjectAct {
	return []audit.SubjectAct{
		{Event: broker.Hash{1}, Time: time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC), RecipientName: "Recipient 1", Purpose: "Purpose 1", Role: "Role 1",
			Given:    []audit.GivenData{{Data: "Field 1", Form: "Form", Basis: "Basis 1", Household: true}, {Data: "Field 2", Form: "Form", Basis: "Basis 1", Exact: true}},
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
	t.Cleanup(k.Halt)
	return &site{s, t, nil, nil, nil}, log
}

// overview asks for a report, waits until the work on it has ended, and gives its page.
func (v *visitor) overview(form url.Values) (*http.Response, string) {
	v.t.Helper()
	if resp, body := v.send("/overzicht", form); resp.Header.Get("Location") != "/overzicht" {
		v.t.Errorf("make: %d %s", resp.StatusCode, body)
	}
	v.get("/overzicht/voortgang") // ends when the work does
	return v.get("/overzicht")
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
		v.overview(nil)
	}
	if want := []string{parent.Reveal() + " " + parent.Reveal()}; !slices.Equal(d.looks, want) {
		t.Errorf("looked: %v, want %v", d.looks, want)
	}
	_, page := v.get("/overzicht")
	text := visible(page)
	for _, want := range []string{"In dit overzicht staan 3 opvragingen", "Recipient 1", "Purpose 1", "Role 1", "Field 1 van het huishouden: form", "Field 2 Dat mocht", "Basis 1", "Reason 1", "Asked 1", audit.NotNamed,
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
	other.overview(nil)
	for who, want := range map[*visitor]string{v: "Recipient 1", other: "Of the child"} {
		if _, body := who.get("/overzicht/gegevens"); !strings.Contains(body, want) {
			t.Errorf("one sees the report of another: %s", body)
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
	v.overview(nil)
	if now = now.Add(14 * time.Minute); true {
		if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusOK {
			t.Errorf("after a while: %d", resp.StatusCode)
		}
	}
	now = now.Add(2 * time.Minute)
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after long: %d", resp.StatusCode)
	}
	v.overview(nil)
	for range 64 {
		s.resident("1").overview(nil)
	}
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with many after it: %d", resp.StatusCode)
	}
}

// TestResidentFailures: where looking can't be recorded nothing is shown; without a proof the page says so.
func TestResidentFailures(t *testing.T) {
	d := &residentDesk{acts: someActs(), refuse: fmt.Errorf("%w: away", console.ErrNotRecorded)}
	s, log := residents(t, d, nil)
	v := s.resident("0")
	if resp, body := v.overview(nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Wij schrijven eerst op") {
		t.Errorf("not recorded: %d %s", resp.StatusCode, body)
	}
	if resp, _ := v.get("/overzicht"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("not recorded, and shown: %d", resp.StatusCode)
	}
	d.refuse = errors.New("something of the inside")
	if resp, body := v.overview(nil); resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "inside") {
		t.Errorf("failed: %d %s", resp.StatusCode, body)
	}
	d.refuse, d.noProof = nil, errors.New("the index and the log differ")
	if _, body := v.overview(nil); !strings.Contains(body, "nu geen bewijs") || strings.Contains(body, "/overzicht/bewijs") {
		t.Errorf("without a proof: %s", body)
	}
	if resp, _ := v.get("/overzicht/bewijs"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a proof that is not there: %d", resp.StatusCode)
	}
	if !strings.Contains(log.String(), "the index and the log differ") {
		t.Errorf("nobody is told that there is no proof: %s", log)
	}
}

// TestResidentTurns: a report may have to read the whole log, so few are made at once; the others wait for their turn, and get theirs.
func TestResidentTurns(t *testing.T) {
	d := &residentDesk{acts: someActs(), wait: make(chan struct{})}
	s, _ := residents(t, d, nil)
	var all []*visitor
	for range 5 {
		v := s.resident("0")
		v.send("/overzicht", nil)
		all = append(all, v)
	}
	for d.making.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // time for a third to come too soon
	close(d.wait)
	for _, v := range all {
		if resp, body := v.overview(nil); resp.StatusCode != http.StatusOK || !strings.Contains(body, "Recipient 1") {
			t.Errorf("its turn: %d %s", resp.StatusCode, body)
		}
	}
	if d.most.Load() != 2 || len(d.looks) != 5 {
		t.Errorf("%d at once, %d in all", d.most.Load(), len(d.looks))
	}
}

// TestResidentLongReport: a report that takes long is made while nobody looks. The page says how far it is, to the session that asked
// alone; who left finds it again; it can be stopped, and ends with the session.
func TestResidentLongReport(t *testing.T) {
	t.Parallel()
	d := &residentDesk{acts: someActs(), wait: make(chan struct{}), read: 250_000}
	s, log := residents(t, d, nil)
	v := s.resident("0")
	v.send("/overzicht", nil)
	resp, body := v.get("/overzicht")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Wij maken uw overzicht") || !strings.Contains(body, `data-progress="/overzicht/voortgang"`) || !strings.Contains(body, "hebben wij gehad: 200.000.") {
		t.Errorf("while it is made: %d %s", resp.StatusCode, body)
	}
	noBSN(t, "the page of progress", body)
	if _, body := v.get("/"); !strings.Contains(body, "U vroeg al om een overzicht") {
		t.Errorf("found again: %s", body)
	}
	if said := v.firstProgress("/overzicht/voortgang"); !strings.Contains(said, "200.000") || !strings.Contains(said, `"done":false`) {
		t.Errorf("progress: %s", said)
	}
	if resp, _ := s.resident("0").get("/overzicht/voortgang"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another session: %d", resp.StatusCode)
	}
	if resp, _ := v.send("/overzicht/stop", nil); resp.Header.Get("Location") != "/" {
		t.Errorf("stop: %d", resp.StatusCode)
	}
	if resp, _ := v.get("/overzicht"); resp.Header.Get("Location") != "/" {
		t.Errorf("stopped, and there: %d", resp.StatusCode)
	}
	if _, body := v.get("/"); strings.Contains(body, "U vroeg al om een overzicht") {
		t.Error("stopped, and offered")
	}
	v.send("/overzicht", nil)
	for d.making.Load() != 1 || d.stopped.Load() != 1 { // the first one ended, and the second goes on
		time.Sleep(time.Millisecond)
	}
	v.send("/afmelden", nil)
	for d.stopped.Load() != 2 {
		time.Sleep(time.Millisecond)
	}

	v = s.resident("0")
	v.send("/overzicht", nil)
	close(d.wait) // while nobody looks
	for d.making.Load() != 0 {
		time.Sleep(time.Millisecond)
	}
	v.get("/overzicht/voortgang")
	if _, body := v.get("/overzicht"); !strings.Contains(body, "Recipient 1") {
		t.Errorf("made: %s", body)
	}
	if len(d.looks) != 1 {
		t.Errorf("looked: %v", d.looks)
	}
	noBSN(t, "the log", log.String())
}

// TestResidentsMany: so many wait at most. Whoever comes after them hears that it is busy, and what was made stays.
func TestResidentsMany(t *testing.T) {
	d := &residentDesk{acts: someActs(), wait: make(chan struct{})}
	s, _ := residents(t, d, nil)
	var first *visitor
	for range 64 {
		v := s.resident("0")
		v.send("/overzicht", nil)
		if first == nil {
			first = v
		}
	}
	last := s.resident("0")
	if resp, body := last.send("/overzicht", nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Het is nu druk") {
		t.Errorf("after many: %d %s", resp.StatusCode, body)
	}
	first.send("/overzicht/stop", nil)
	if resp, _ := last.send("/overzicht", nil); resp.Header.Get("Location") != "/overzicht" {
		t.Errorf("when one of them stopped: %d", resp.StatusCode)
	}
	close(d.wait)
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
		for _, c := range v.client.Jar.Cookies(u) { // to a browser, ports of one host are one place
			if (c.Name == "schakel-console") != (name == "residents") {
				t.Errorf("the cookie %s", c.Name)
			}
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
		v.get("/overzicht/voortgang")
		if want := []string{parent.Reveal() + " " + parent.Reveal()}; tt.in != slices.Equal(d.looks, want) {
			t.Errorf("%s: looked %v", name, d.looks)
		}
		if resp, _ := v.get("/callback?code=code&state=" + url.QueryEscape(q.Get("state"))); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: a second time: %d", name, resp.StatusCode)
		}
		if !tt.in {
			continue
		}
		if resp, _ := v.send("/afmelden", nil); resp.Header.Get("Location") != "/afgemeld" {
			t.Errorf("%s: signed out to %q", name, resp.Header.Get("Location"))
		}
		if resp, body := v.get("/afgemeld"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "Bij DigiD bent u misschien nog ingelogd") {
			t.Errorf("%s: signed out: %d %s", name, resp.StatusCode, body)
		}
	}
	if resp, _ := s.visitor().send("/aanmelden", url.Values{"persoon": {"0"}}); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("chosen without a password: %d", resp.StatusCode)
	}
	noBSN(t, "the log", log.String())
}

// TestResidentRequest: what a resident asks is recorded as theirs, about the act that they chose; what is missing is said, and
// nothing filled in is lost.
func TestResidentRequest(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	d := &residentDesk{acts: someActs()}
	s, log := residents(t, d, func(c *console.ResidentsConfig) { c.Now = func() time.Time { return now } })
	v := s.resident("0")
	v.overview(nil)
	if _, body := v.get("/verzoek?opvraging=1"); !strings.Contains(body, `name="opvraging" value="1"`) || !strings.Contains(body, "de opvraging van Recipient 1") {
		t.Errorf("about an act: %s", body)
	}
	for _, n := range []string{"0", "4", "-1", "x"} {
		if _, body := v.get("/verzoek?opvraging=" + n); strings.Contains(body, `name="opvraging"`) {
			t.Errorf("about act %s", n)
		}
	}
	for name, f := range map[string]url.Values{
		"no kind": {"tekst": {"mijn woorden"}}, "another kind": {"tekst": {"mijn woorden"}, "soort": {"gift"}}, "no text": {"soort": {"objection"}, "tekst": {" \r\n"}},
		"too long": {"soort": {"objection"}, "tekst": {strings.Repeat("é", 4001)}},
	} {
		resp, body := v.send("/verzoek", f)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "U bent nog niet klaar") || strings.Contains(body, "mijn woorden") != (f.Get("tekst") == "mijn woorden") ||
			strings.Contains(body, `value="objection" required checked`) != (f.Get("soort") == "objection") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	if resp, _ := v.post("/verzoek", url.Values{"soort": {"objection"}, "tekst": {"x"}}); resp.StatusCode != http.StatusForbidden || len(d.requests) > 0 {
		t.Errorf("without the form's token: %d, %v", resp.StatusCode, d.requests)
	}
	resp, body := v.send("/verzoek", url.Values{"soort": {"correction"}, "tekst": {"regel een\r\n<b>regel twee</b>"}, "opvraging": {"1"}})
	if resp.Header.Get("Location") != "/verzoeken" || len(d.requests) != 1 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if q := d.requests[0]; q.About != parent || q.By != "" || q.Kind != register.RequestCorrection || q.Event != (broker.Hash{1}).String() || q.Text != "regel een\n<b>regel twee</b>" || q.TakenBy != "" {
		t.Errorf("recorded: %+v", q.ResidentRequest)
	}
	_, page := v.get("/verzoeken")
	text := strings.Join(strings.Fields(visible(page)), " ")
	for _, want := range []string{"Het nummer is " + d.requests[0].ID, "U krijgt uiterlijk 10 april 2026 antwoord", "Er klopt iets niet", "regel een <b>regel twee</b>", "Gemeente Proef"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q: %s", want, text)
		}
	}
	noBSN(t, "the page", page)
	if _, body := s.resident("1").get("/verzoeken"); strings.Contains(body, "regel twee") {
		t.Error("another resident reads it")
	}
	now = now.AddDate(0, 1, 1)
	if _, body := s.resident("0").get("/verzoeken"); !strings.Contains(body, "Wij zijn te laat") {
		t.Errorf("late: %s", body)
	}
	d.requests[0].Answer = &register.RequestAnswer{Outcome: register.OutcomeGranted, Text: "wij verbeteren het", When: now}
	d.restricted = true
	if _, body := s.resident("0").get("/verzoeken"); strings.Contains(body, "Wij zijn te laat") || !strings.Contains(body, "wij verbeteren het") ||
		!strings.Contains(body, "Wij doen wat u vraagt") || !strings.Contains(body, "geven wij via Schakel geen gegevens over u") {
		t.Errorf("answered: %s", body)
	}
	d.refuseAsk = fmt.Errorf("make request: %w", register.ErrManyOpen)
	if resp, body := s.resident("0").send("/verzoek", url.Values{"soort": {"objection"}, "tekst": {"nog een"}}); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "al veel gevraagd") {
		t.Errorf("too many: %d %s", resp.StatusCode, body)
	}
	if strings.Contains(log.String(), "regel") {
		t.Errorf("the log holds what was asked: %s", log)
	}
}

// TestResidentRepresents: for whom somebody acts today they see a report and ask what they want; for nobody else, and no longer
// than that.
func TestResidentRepresents(t *testing.T) {
	d := &residentDesk{acts: someActs(), represents: []register.Representation{{ID: "BCDF-2345", By: parent, About: child, Name: "Sanne", Kind: register.ByAuthority}}}
	s, _ := residents(t, d, nil)
	v, other := s.resident("0"), s.resident("1")
	if _, body := v.get("/"); !strings.Contains(body, "Over Sanne") {
		t.Errorf("not offered: %s", body)
	}
	if _, body := other.get("/"); strings.Contains(body, "Sanne") {
		t.Error("offered to another")
	}
	for _, id := range []string{"BCDF-2345", child.Reveal(), "x"} {
		if resp, _ := other.send("/overzicht", url.Values{"over": {id}}); resp.StatusCode != http.StatusBadRequest || d.looks != nil {
			t.Errorf("another, for %q: %d %v", id, resp.StatusCode, d.looks)
		}
	}
	v.overview(nil)
	v.overview(url.Values{"over": {"BCDF-2345"}}) // at once after their own: another report
	if want := []string{parent.Reveal() + " " + parent.Reveal(), parent.Reveal() + " " + child.Reveal()}; !slices.Equal(d.looks, want) {
		t.Errorf("looked: %v, want %v", d.looks, want)
	}
	if _, body := v.get("/overzicht"); !strings.Contains(body, "Wie vroeg gegevens op van Sanne?") {
		t.Errorf("whose report: %s", body)
	}
	if _, body := v.get("/verzoek?opvraging=1"); !strings.Contains(body, `value="BCDF-2345" checked`) {
		t.Errorf("for whom the form is: %s", body)
	}
	v.send("/verzoek", url.Values{"soort": {"objection"}, "tekst": {"voor haar"}, "over": {"BCDF-2345"}, "opvraging": {"1"}})
	v.send("/verzoek", url.Values{"soort": {"objection"}, "tekst": {"voor mij"}, "opvraging": {"1"}}) // of a report about another
	other.send("/verzoek", url.Values{"soort": {"objection"}, "tekst": {"van hem"}, "over": {"BCDF-2345"}})
	if len(d.requests) != 2 || d.requests[0].About != child || d.requests[0].By != parent || d.requests[0].Event == "" || d.requests[1].About != parent || d.requests[1].Event != "" {
		t.Errorf("recorded: %+v", d.requests)
	}
	if _, body := v.get("/verzoeken"); !strings.Contains(body, "voor haar") || !strings.Contains(body, "(voor Sanne)") {
		t.Errorf("their messages: %s", body)
	}
	if _, body := other.get("/verzoeken"); !strings.Contains(body, "voor haar") || !strings.Contains(body, "die u vertegenwoordigt") || strings.Contains(body, "voor mij<") {
		t.Errorf("messages of whom it is about: %s", body)
	}
	d.represents = nil // it ended
	for _, path := range []string{"/overzicht", "/overzicht/gegevens", "/overzicht/bewijs", "/verzoeken"} {
		if _, body := v.get(path); strings.Contains(body, "Recipient") || strings.Contains(body, "voor haar") || strings.Contains(body, `{"v":1}`) {
			t.Errorf("%s, after it ended: %s", path, body)
		}
	}
}

// TestPrinted: on paper stands what the page has, without what can be pressed, and nothing is loaded from elsewhere.
func TestPrinted(t *testing.T) {
	until := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := audit.SubjectReport{Made: until, Acts: someActs(), NotNamed: audit.NotNamed, ProvedUntil: &until}
	page, err := console.Printed(r, false)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(visible(string(page))), " ")
	for _, want := range []string{"In dit overzicht staan 3 opvragingen", "Recipient 1", "Field 1 van het huishouden: form", audit.NotNamed, "aan het loket", "Bij dit overzicht hoort een bewijs"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	for _, no := range []string{"<form", "<button", "<script", "href=", "src=", "@import", "url("} {
		if strings.Contains(string(page), no) {
			t.Errorf("it has %s", no)
		}
	}
	if page, err = console.Printed(r, true); err != nil || !strings.Contains(string(page), `<html lang="en">`) || !strings.Contains(string(page), "This overview has 3 requests.") {
		t.Errorf("in English: %v", err)
	}
}

// TestResidentPagesInBothLanguages: every page is wholly in the language that was chosen.
func TestResidentPagesInBothLanguages(t *testing.T) {
	acts := someActs()
	d := &residentDesk{acts: acts, restricted: true, represents: []register.Representation{{ID: "BCDF-2345", By: parent, About: child, Name: "Sanne"}}}
	for i, kind := range register.RequestKinds() {
		q := register.RequestState{ResidentRequest: register.ResidentRequest{ID: fmt.Sprint("R", i), About: parent, Kind: kind, Text: "x"}, Made: time.Now()}
		switch i {
		case 0:
			q.Answer = &register.RequestAnswer{Outcome: register.OutcomePartly, Text: "x", When: time.Now()}
		case 1:
			q.Made, q.Extended, q.TakenBy = q.Made.AddDate(-1, 0, 0), "x", "o"
		case 2:
			q.About, q.By = child, parent
		case 3:
			q.By = child
		}
		d.requests = append(d.requests, q)
	}
	s, _ := residents(t, d, nil)
	var routes []string
	for _, r := range console.ResidentRoutes(t) {
		if path, get := strings.CutPrefix(r, "GET "); get {
			routes = append(routes, path)
		}
	}
	pages := []string{"/", "/aanmelden", "/toegankelijkheid", "/overzicht", "/verzoek", "/verzoeken"}
	for _, path := range append(pages, "/assets/:version/:name", "/aanmelden/oidc", "/callback", "/afgemeld", "/overzicht/voortgang", "/overzicht/gegevens", "/overzicht/bewijs") {
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
			v.get("/overzicht/voortgang")
			if resp, body := v.send("/verzoek", url.Values{"opvraging": {"1"}}); resp.StatusCode != http.StatusSeeOther && !strings.Contains(body, `<html lang="`+lang+`">`) {
				t.Errorf("form in %s: %d", lang, resp.StatusCode)
			}
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
