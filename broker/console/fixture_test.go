package console_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// desk is a Desk with the shipped policy.
type desk struct {
	files map[string][]byte // of the policy in force
	old   map[broker.Revision]map[string][]byte

	proposals []register.Draft
	steps     []string // that were taken
	refuse    error    // what the register says to a step
	reports   map[broker.Hash]json.RawMessage
	wrong     error              // what working a proposal out again finds
	decisions []console.Decision // of the log; the first has id answer(0), and so on
	unlogged  error              // why a view can't be recorded
	stop      *register.Stop
	gateways  func() // what happens meanwhile, where not nil
	problem   string // of the gateway
}

// answer is the id of the n-th recorded decision.
func answer(n int) string { return fmt.Sprintf("0193a2b4-0000-7000-8000-%012d", n) }

func (d *desk) live() broker.Revision { return policies.Revision(d.files) }
func (d *desk) Files(_ context.Context, r broker.Revision) (map[string][]byte, error) {
	if files, ok := d.old[r]; ok {
		return files, nil
	}
	return d.files, nil
}

// change makes another policy live.
func (d *desk) change(path, content string) {
	if d.old == nil {
		d.old = map[broker.Revision]map[string][]byte{}
	}
	d.old[policies.Revision(d.files)] = d.files
	d.files = maps.Clone(d.files)
	d.files[path] = []byte(content)
}

func (d *desk) Catalog(files map[string][]byte) (*broker.Catalog, error) {
	s, err := decide.Read(files)
	if err != nil {
		return nil, err
	}
	return s.Catalog, nil
}
func (d *desk) Agencies() []broker.Agency {
	return []broker.Agency{{OIN: "00000099000000011000", Kind: "gemeente", Name: "Gemeente Voorbeeld"}}
}
func (d *desk) Agreements() []register.Agreement {
	return []register.Agreement{{ID: `<script>alert("afspraak")</script>`, Holder: "00000099000000011000", Recipient: "00000099000000011000",
		Purposes: []broker.Purpose{"ontruiming-voorkomen"}, Domains: []broker.Domain{"huur"}, From: broker.Date{Year: 2020, Month: 1, Day: 1}, Until: broker.Date{Year: 2021, Month: 1, Day: 1}}}
}

func (d *desk) Policy() register.Policy {
	r := d.live()
	p := register.Policy{Live: r, Drafts: d.proposals, Stop: d.stop}
	for old := range d.old {
		p.History = append(p.History, register.Activation{Revision: old})
	}
	p.History = append(p.History, register.Activation{Revision: r, Draft: len(d.proposals)})
	return p
}
func (d *desk) Gateways(context.Context) ([]console.Gateway, error) {
	if d.gateways != nil {
		d.gateways()
	}
	return []console.Gateway{{Name: "gw1", Serves: d.live(), Problem: d.problem}}, nil
}
func (d *desk) Officer(ref register.OfficerRef) string { return string(ref) }
func (d *desk) Requests(context.Context, time.Time, time.Time) iter.Seq2[workbench.Recorded, error] {
	return func(func(workbench.Recorded, error) bool) {}
}
func (d *desk) Report(_ context.Context, h broker.Hash) (json.RawMessage, error) {
	if r, ok := d.reports[h]; ok {
		return r, nil
	}
	return nil, errors.New("no report")
}
func (d *desk) Decision(_ context.Context, by console.Person, id broker.RequestID) (console.Decision, error) {
	for n, found := range d.decisions {
		if answer(n) == string(id) {
			if d.unlogged != nil {
				return console.Decision{}, fmt.Errorf("%w: %w", console.ErrNotRecorded, d.unlogged)
			}
			d.steps = append(d.steps, fmt.Sprintf("view %d %s", n, by.ID))
			return found, nil
		}
	}
	return console.Decision{}, console.ErrNoDecision
}
func (d *desk) Verify(context.Context, int, func(int, int)) error { return d.wrong }
func (d *desk) Agree(_ context.Context, by console.Person, n int, statement string) error {
	d.steps = append(d.steps, fmt.Sprintf("agree %d %s %s", n, by.ID, statement))
	return d.refuse
}

// keep puts a report under its digest.
func (d *desk) keep(t *testing.T, report any) broker.Hash {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if d.reports == nil {
		d.reports = map[broker.Hash]json.RawMessage{}
	}
	h := broker.Hash(sha256.Sum256(data))
	d.reports[h] = data
	return h
}
func (d *desk) Submit(_ context.Context, by console.Person, title string, base broker.Revision, files map[string][]byte, _ console.Study) (int, error) {
	d.steps = append(d.steps, "submit "+by.ID)
	d.propose(register.Draft{Title: title, Base: base, Revision: policies.Revision(files), Author: register.OfficerRef(by.ID)})
	return len(d.proposals), nil
}
func (d *desk) Approve(_ context.Context, by console.Person, n int) error {
	if d.wrong != nil {
		return d.wrong
	}
	d.steps = append(d.steps, fmt.Sprintf("approve %d %s", n, by.ID))
	return d.refuse
}
func (d *desk) Activate(_ context.Context, by console.Person, n int) error {
	d.steps = append(d.steps, fmt.Sprintf("activate %d %s", n, by.ID))
	return d.refuse
}
func (d *desk) Stop(_ context.Context, by console.Person, reason string) error {
	d.steps = append(d.steps, "stop "+by.ID+" "+reason)
	return d.refuse
}

// propose puts a proposal in the register that waits for a privacy officer.
func (d *desk) propose(p register.Draft) {
	p.Number, p.State, p.WaitsFor = len(d.proposals)+1, register.StateChecked, []register.OfficerRole{register.RolePrivacyOfficer}
	d.proposals = append(d.proposals, p)
}

func personas() []console.Person {
	return []console.Person{
		{ID: "p1", Name: "P1", Role: console.PrivacyOfficer}, {ID: "p2", Name: "P2", Role: console.PrivacyOfficer},
		{ID: "j", Name: "J", Role: console.Jurist}, {ID: "f", Name: "F", Role: console.FG}, {ID: "a", Name: "A", Role: console.Auditor},
	}
}

// site is a running console.
type site struct {
	*httptest.Server
	t     *testing.T
	desk  *desk
	audit *auditing
	asked *answering
}

// explorer serves all tests: what one of them explored the next one has.
var explorer = workbench.NewExplorer()

func start(t *testing.T, change func(*console.Config)) *site {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	d := &desk{files: policies.Files()}
	a := &auditing{desk: d}
	q := &answering{}
	cfg := console.Config{Desk: d, Auditing: a, Answering: q, Dir: t.TempDir(), PublicURL: "http://" + s.Listener.Addr().String(), Personas: personas(), Explorer: explorer}
	if change != nil {
		change(&cfg)
	}
	k, err := console.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = k
	s.Start()
	t.Cleanup(func() { s.Close(); k.Halt() })
	return &site{s, t, d, a, q}
}

// visitor is a browser of its own, without scripts.
type visitor struct {
	*site
	client *http.Client
}

func (s *site) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visitor) do(r *http.Request) (*http.Response, string) {
	v.t.Helper()
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(body)
}

func (v *visitor) get(path string) (*http.Response, string) {
	r, _ := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.URL+path, nil)
	return v.do(r)
}

func (v *visitor) post(path string, form url.Values) (*http.Response, string) {
	r, _ := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// firstProgress reads what a page is told first of how far long work is, and leaves.
func (v *visitor) firstProgress(path string) string {
	v.t.Helper()
	ctx, leave := context.WithCancel(v.t.Context())
	defer leave()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, v.URL+path, nil)
	resp, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("progress at %s: %d", path, resp.StatusCode)
	}
	text, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}

// slowly is how something that reads the log is held up, to see what is there in the meantime.
type slowly struct {
	wait chan struct{} // nil: it is not
	read int           // entries that it says it has read by then
	told chan struct{} // gets one each time that it waits
}

func (s *slowly) slow(ctx context.Context, read func(int)) error {
	if s.wait == nil {
		return nil
	}
	read(s.read)
	s.told <- struct{}{}
	select {
	case <-s.wait:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// token reads the form token from a page.
func (v *visitor) token(path string) string {
	_, body := v.get(path)
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(body)
	if m == nil {
		v.t.Fatalf("no form on %s: %.300s", path, body)
	}
	return m[1]
}

// send posts a form with a token of this session.
func (v *visitor) send(path string, form url.Values) (*http.Response, string) {
	if form == nil {
		form = url.Values{}
	}
	form.Set("token", v.token("/toegankelijkheid"))
	return v.post(path, form)
}

func (s *site) as(persona string) *visitor {
	v := s.visitor()
	resp, body := v.send("/aanmelden", url.Values{"persona": {persona}})
	if resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d %.300s", persona, resp.StatusCode, body)
	}
	return v
}

func (v *visitor) cookie() string {
	u, _ := url.Parse(v.URL)
	for _, c := range v.client.Jar.Cookies(u) {
		return c.Value
	}
	return ""
}
