package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/search"
	"github.com/schakel/schakel/broker/console"
)

// auditing is an Auditing with a few disclosures. It finds all of them, whatever is asked, two on a page.
type auditing struct {
	slowly
	desk   *desk
	events []search.Hit
	asked  []string // questions
	proof  console.Proof
	replay audit.ReplayReport
	sealed error

	changes   []console.CaseChange
	list      console.LookList
	integrity console.Integrity
	verified  console.Verification
	broken    error // of verification
	mayNot    map[console.Question][]console.Role
}

// sees records a look, as the desk records its.
func (a *auditing) sees(by console.Person, why console.Ground, what string) error {
	if a.desk.unlogged != nil {
		return fmt.Errorf("%w: %w", console.ErrNotRecorded, a.desk.unlogged)
	}
	if a.desk.refuse != nil {
		return fmt.Errorf("%w: %w", console.ErrMayNotLook, a.desk.refuse)
	}
	a.desk.steps = append(a.desk.steps, fmt.Sprintf("%s %s (%s, %s)", by.ID, what, why.Purpose, why.Ground))
	return nil
}

func (a *auditing) Purposes(_ context.Context, by console.Person, of console.Question) ([]broker.Term, error) {
	if slices.Contains(a.mayNot[of], by.Role) {
		return nil, nil
	}
	return []broker.Term{{ID: "controle", Text: broker.Text{NL: "controle op het gebruik", EN: "control of the use"}}}, nil
}

func (a *auditing) Search(_ context.Context, by console.Person, why console.Ground, q search.Query, begin uint64) (search.Found, error) {
	if err := a.sees(by, why, "search "+q.String()); err != nil {
		return search.Found{}, err
	}
	a.asked = append(a.asked, q.String())
	f := search.Found{Total: len(a.events), State: search.State{Events: 10, Current: begin == 0, Unread: int(begin)}}
	f.Hits = a.events[begin:min(int(begin)+2, len(a.events))]
	if int(begin)+2 < len(a.events) {
		f.Next = begin + 2
	}
	return f, nil
}

func (a *auditing) Event(_ context.Context, by console.Person, why console.Ground, writer string, id audit.ID) (search.Hit, error) {
	for _, h := range a.events {
		if h.Writer == writer && h.ID == id {
			return h, a.sees(by, why, "event "+writer+" "+id.String())
		}
	}
	return search.Hit{}, console.ErrNoDecision
}

func (a *auditing) Prove(context.Context, string, audit.ID) (console.Proof, error) {
	return a.proof, a.sealed
}
func (a *auditing) Replay(context.Context, string, audit.ID) (audit.ReplayReport, error) {
	return a.replay, nil
}

func (a *auditing) Case(_ context.Context, by console.Person, why console.Ground, id broker.CaseID) (console.CaseTimeline, error) {
	if err := a.sees(by, why, "case "+string(id)); err != nil {
		return console.CaseTimeline{}, err
	}
	return console.CaseTimeline{Case: id, Asked: a.events, Older: len(a.events) > 2, Changes: a.changes}, nil
}

func (a *auditing) Looks(ctx context.Context, by console.Person, why console.Ground, since, until time.Time, read func(int)) (console.LookList, error) {
	if err := a.slow(ctx, read); err != nil {
		return console.LookList{}, err
	}
	list := a.list
	list.Since, list.Until = since, until
	return list, a.sees(by, why, fmt.Sprintf("looks of %d days", int(until.Sub(since).Hours()+1)/24))
}

func (a *auditing) Review(_ context.Context, by console.Person, why console.Ground, writer string, id audit.ID, outcome, note string) error {
	return a.sees(by, why, "review "+writer+" "+id.String()+" "+outcome+" "+note)
}

func (a *auditing) Reviews() (outcomes, notes []broker.Term) {
	return []broker.Term{{ID: "misuse", Text: broker.Text{NL: "misbruik", EN: "misuse"}}}, []broker.Term{{ID: "reported", Text: broker.Text{NL: "gemeld als datalek", EN: "reported as a data breach"}}}
}

func (a *auditing) Integrity(context.Context) (console.Integrity, error) { return a.integrity, nil }
func (a *auditing) Verify(ctx context.Context, read func(int)) (console.Verification, error) {
	if err := a.slow(ctx, read); err != nil {
		return console.Verification{}, err
	}
	a.integrity.Verified = &a.verified
	return a.verified, a.broken
}

// record puts a disclosure in the log: of a query of the live policy, with one field given and one withheld.
func (s *site) record() {
	_, q := s.asks("ggz.behandelaar.contact", "huur.achterstand.bedrag")
	d := broker.Decision{Grants: map[broker.Field]broker.Grant{"huur.achterstand.bedrag": {Form: "exact", Basis: "wgs-8"}}, Refusals: map[broker.Field][]broker.Reason{"ggz.behandelaar.contact": {"release-missing"}}}
	n := len(s.audit.events) + 1
	s.audit.events = append(s.audit.events, search.Hit{Outcome: search.Partly, Fields: q.Fields, Reasons: []broker.Reason{"release-missing"}, Request: audit.Request{
		Writer: "gw1", ID: audit.ID{Epoch: 1, Seq: uint64(n)}, Hash: sha256.Sum256([]byte{byte(n)}), Time: time.Date(2026, 11, n, 9, 0, 0, 0, time.UTC),
		Queries: []json.RawMessage{q.Bytes()}, Decisions: []json.RawMessage{d.Bytes()}, Revisions: []broker.Revision{s.desk.live()}, Engine: "opa",
		Subjects: []broker.SubjectQueries{{Subject: "p1", Queries: []int{0}}}, Agency: "00000099000000011000", Worker: broker.WorkerID(fmt.Sprintf("canary-w%d", n)),
		Role: q.Role, Purpose: q.Purpose, Case: "canary-zaak", Answer: broker.RequestID(answer(n))}})
}

func ground(form url.Values) url.Values {
	form.Set("doel", "controle")
	form.Set("grond", "AVG 39, dossier 7")
	return form
}

// sees goes on to where a form leads.
func (v *visitor) sees(path string, form url.Values) (*http.Response, string, string) {
	v.t.Helper()
	resp, body := v.send(path, form)
	at := resp.Header.Get("Location")
	if resp.StatusCode == http.StatusSeeOther {
		resp, body = v.get(strings.SplitN(at, "#", 2)[0])
	}
	return resp, body, at
}

// TestSearchPage: nothing is found before the search is recorded, with purpose and ground; no page has what was sought in its
// address; and what one session found is there for no other.
func TestSearchPage(t *testing.T) {
	s := start(t, nil)
	for range 3 {
		s.record()
	}
	v := s.as("a")
	for name, form := range map[string]url.Values{"no purpose": {"vraag": {""}, "grond": {"AVG 39"}}, "no ground": {"vraag": {""}, "doel": {"controle"}},
		"no word": ground(url.Values{"vraag": {"canary"}}), "no agency": ground(url.Values{"vraag": {"organisatie:niemand"}})} {
		if resp, body, _ := v.sees("/logboek/zoek", form); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, `role="alert"`) || strings.Contains(body, "canary-w") {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if len(s.desk.steps) > 0 {
		t.Errorf("recorded: %v", s.desk.steps)
	}
	question := `-medewerker:"canary w9" zaak:canary-zaak na:2026-11-01`
	resp, body, at := v.sees("/logboek/zoek", ground(url.Values{"vraag": {question}}))
	if resp.StatusCode != http.StatusOK || strings.Count(body, `name="nummer"`) != 2 || !strings.Contains(body, "canary-w1") || !strings.Contains(body, "1–2 van 3 gevonden") || strings.Contains(at, "canary") {
		t.Errorf("%d %s %.300s", resp.StatusCode, at, body)
	}
	if want := `a search -worker:"canary w9" case:canary-zaak after:2026-11-01T00:00:00+01:00 (controle, AVG 39, dossier 7)`; len(s.desk.steps) != 1 || s.desk.steps[0] != want {
		t.Errorf("recorded: %q", s.desk.steps)
	}
	if !strings.Contains(body, `value="`+html.EscapeString(question)+`"`) || !strings.Contains(body, `value="AVG 39, dossier 7"`) || !strings.Contains(body, `<option value="controle" selected>`) {
		t.Error("the form does not remember the question or the ground")
	}
	form := v.hidden(body[strings.Index(body, `id="gevonden"`):], "/logboek/zoek")
	if resp, body, _ := v.sees("/logboek/zoek", form); resp.StatusCode != http.StatusOK || strings.Count(body, `name="nummer"`) != 1 || !strings.Contains(body, "3–3 van 3") || len(s.desk.steps) != 2 {
		t.Errorf("older ones: %d %v", resp.StatusCode, s.desk.steps)
	}
	for name, other := range map[string]*visitor{"a colleague": s.as("f"), "the same person in another session": s.as("a")} {
		if resp, body := other.get(at); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "canary") {
			t.Errorf("what was found, to %s: %d", name, resp.StatusCode)
		}
	}
	s.desk.unlogged = errors.New("the journal is away")
	if resp, body, _ := v.sees("/logboek/zoek", ground(url.Values{"vraag": {""}})); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "canary") || len(s.audit.asked) != 2 {
		t.Errorf("what could not be recorded: %d %v", resp.StatusCode, s.audit.asked)
	}
	s.desk.unlogged, s.desk.refuse = nil, errors.New("suspended")
	if resp, body, _ := v.sees("/logboek/zoek", ground(url.Values{"vraag": {""}})); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "suspended") || len(s.audit.asked) != 2 {
		t.Errorf("who may not: %d %v", resp.StatusCode, s.audit.asked)
	}
}

// TestAgencyByName: an agency is found by its name, or by a part that only one has.
func TestAgencyByName(t *testing.T) {
	s := start(t, nil)
	v := s.as("f")
	for _, name := range []string{"Gemeente", "gemeente voorbeeld", "00000099000000011000"} {
		if resp, _, _ := v.sees("/logboek/zoek", ground(url.Values{"vraag": {`organisatie:"` + name + `"`}})); resp.StatusCode != http.StatusOK || s.audit.asked[len(s.audit.asked)-1] != "agency:00000099000000011000" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, s.audit.asked)
		}
	}
}

// TestGroundIsKept: purpose and ground count for an hour, in the session that gave them.
func TestGroundIsKept(t *testing.T) {
	now := time.Now()
	s := start(t, func(c *console.Config) { c.Now = func() time.Time { return now } })
	s.record()
	v := s.as("p1")
	open := url.Values{"schrijver": {"gw1"}, "nummer": {"1-1"}}
	if resp, _ := v.send("/logboek/gebeurtenis", open); resp.Header.Get("Location") != "/logboek" {
		t.Errorf("without a ground: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if _, body := v.get("/logboek"); !strings.Contains(body, "Zeg eerst waarvoor u kijkt") {
		t.Error("it does not say what to do")
	}
	v.send("/logboek/zoek", ground(url.Values{}))
	if resp, _ := v.send("/logboek/gebeurtenis", open); !strings.HasPrefix(resp.Header.Get("Location"), "/logboek/gebeurtenis/") {
		t.Errorf("with a ground: %d", resp.StatusCode)
	}
	now = now.Add(time.Hour + time.Second)
	if resp, _ := v.send("/logboek/gebeurtenis", open); resp.Header.Get("Location") != "/logboek" {
		t.Errorf("an hour later: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if got := len(s.desk.steps); got != 2 {
		t.Errorf("recorded: %v", s.desk.steps)
	}
}

// tree makes a Merkle tree of n leaves and the proof of one (RFC 6962, 2.1), the naive way.
func tree(leaves [][]byte, of int) (root broker.Hash, path []broker.Hash) {
	if len(leaves) == 1 {
		return sha256.Sum256(append([]byte{0}, leaves[0]...)), nil
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	left, right := 0, 0
	if of < half {
		left = of
	} else {
		right = of - half
	}
	l, lp := tree(leaves[:half], left)
	r, rp := tree(leaves[half:], right)
	root = sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	if of < half {
		return root, append(lp, r)
	}
	return root, append(rp, l)
}

// TestProofSteps: the steps of a proof lead from every leaf of every small tree to its root, and of no altered one.
func TestProofSteps(t *testing.T) {
	for n := 1; n <= 33; n++ {
		var leaves [][]byte
		for i := range n {
			leaves = append(leaves, fmt.Appendf(nil, "leaf %d", i))
		}
		for i := range n {
			root, path := tree(leaves, i)
			p := console.Proof{Leaf: leaves[i], Index: uint64(i), Size: uint64(n), Hashes: path, Root: root}
			if steps, _, holds := p.Steps(); !holds || len(steps) != len(path) {
				t.Fatalf("leaf %d of %d does not hold", i, n)
			}
			bent := p
			bent.Leaf = []byte("another")
			if _, _, holds := bent.Steps(); holds {
				t.Errorf("another leaf holds at %d of %d", i, n)
			}
			for _, q := range []console.Proof{{Leaf: p.Leaf, Index: p.Index + 1, Size: p.Size, Hashes: path, Root: root}, {Leaf: p.Leaf, Index: p.Index, Size: p.Size, Hashes: append(slices.Clone(path), root), Root: root}} {
				if _, _, holds := q.Steps(); holds {
					t.Errorf("an altered proof holds at %d of %d", i, n)
				}
			}
		}
	}
}

// catalogSays gives the text of a reason.
func catalogSays(t *testing.T, d *desk, reason string) string {
	t.Helper()
	k, err := d.Catalog(d.files)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range k.Reasons {
		if r.ID == reason {
			return html.EscapeString(r.Text.NL)
		}
	}
	t.Fatalf("no reason %s", reason)
	return ""
}

// TestEventPage: one event, once the look is recorded: what was asked and decided, why with the lines lit, its proof, and
// what deciding again gives.
func TestEventPage(t *testing.T) {
	s := start(t, nil)
	s.record()
	root, path := tree([][]byte{[]byte("a"), []byte("gw1 leaf"), []byte("c")}, 1)
	s.audit.proof = console.Proof{File: []byte("the proof"), Keys: []string{"log+key"}, Leaf: []byte("gw1 leaf"), Index: 1, Size: 3, Hashes: path, Root: root, Origin: "schakel/x", Witnesses: []string{"getuige"}}
	s.audit.replay = audit.ReplayReport{Engine: "opa 9", Decisions: 1, Identical: 1}
	v := s.as("f")
	v.send("/logboek/zoek", ground(url.Values{}))
	resp, body, at := v.sees("/logboek/gebeurtenis", url.Values{"schrijver": {"gw1"}, "nummer": {"1-1"}})
	for _, want := range []string{"gw1 1-1", "canary-w1", "canary-zaak", "Gemeente Voorbeeld", "Over persoon p1", "<code>ggz.behandelaar.contact</code>", "release-missing", "wgs-8", ">Wijkteammedewerker<", catalogSays(t, s.desk, "release-missing")} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q (%d)", want, resp.StatusCode)
		}
	}
	if got := s.desk.steps[len(s.desk.steps)-1]; got != "f event gw1 1-1 (controle, AVG 39, dossier 7)" {
		t.Errorf("recorded: %s", got)
	}
	progress := regexp.MustCompile(`data-progress="([^"]+)"`).FindStringSubmatch(body)
	if progress == nil {
		t.Fatalf("no explanation is under way: %.500s", body)
	}
	if resp, body := v.get(progress[1]); resp.StatusCode != http.StatusOK || !strings.Contains(body, `"done":true`) {
		t.Errorf("progress: %d", resp.StatusCode)
	}
	if _, body = v.get(at); !strings.Contains(body, `class="lit `) || !strings.Contains(body, ">gegeven<") || !strings.Contains(body, ">geweigerd<") {
		t.Error("why it was decided so is not told, or no line is lit")
	}
	if strings.Contains(body, ">bewezen<") || strings.Contains(body, "byte voor byte") {
		t.Error("what was not asked yet is told")
	}
	_, body, _ = v.sees(at+"/bewijs", nil)
	if !strings.Contains(body, ">bewezen<") || !strings.Contains(body, root.String()) || !strings.Contains(body, "getuige") || !strings.Contains(body, "schakel verify gw1-1-1.tlog-proof --log-key 'log&#43;key'") {
		t.Errorf("no proof: %.300s", body)
	}
	if resp, file := v.get(at + "/bewijs"); file != "the proof" || !strings.Contains(resp.Header.Get("Content-Disposition"), "gw1-1-1.tlog-proof") {
		t.Errorf("the file: %q", file)
	}
	if _, body, _ = v.sees(at+"/opnieuw", nil); !strings.Contains(body, "byte voor byte gelijk") || !strings.Contains(body, ">bewezen<") {
		t.Error("deciding again is not told, or the proof is gone")
	}
	s.audit.proof.Root[0] ^= 1
	s.audit.replay = audit.ReplayReport{Decisions: 1, Different: 1, Differences: []audit.ReplayDifference{{Recorded: []byte(`{"was":1}`), Again: []byte(`{"is":1}`)}}}
	v.send(at+"/opnieuw", nil)
	if _, body, _ = v.sees(at+"/bewijs", nil); !strings.Contains(body, ">klopt niet<") || strings.Contains(body, ">bewezen<") || !strings.Contains(body, "ANDERS dan vastgelegd") || strings.Contains(body, "byte voor byte gelijk") {
		t.Error("a broken proof holds, or another decision is no alarm")
	}
	s.audit.sealed = console.ErrNotSealed
	if _, body, _ = v.sees(at+"/bewijs", nil); !strings.Contains(body, "nog geen controlepunt") || strings.Contains(body, ">bewezen<") {
		t.Error("an event that no checkpoint covers")
	}
	for name, other := range map[string]*visitor{"a colleague": s.as("a"), "the same person in another session": s.as("f")} {
		if resp, body := other.get(at); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "canary") {
			t.Errorf("the event, to %s: %d", name, resp.StatusCode)
		}
		if resp, _ := other.send(at+"/bewijs", nil); resp.StatusCode != http.StatusNotFound {
			t.Errorf("its proof, to %s: %d", name, resp.StatusCode)
		}
	}
	for _, form := range []url.Values{{"schrijver": {"gw1"}, "nummer": {"1-9"}}, {"schrijver": {"../x"}, "nummer": {"1-1"}}, {"schrijver": {"gw1"}, "nummer": {"x"}}} {
		if resp, body, _ := v.sees("/logboek/gebeurtenis", form); resp.StatusCode < 400 || resp.StatusCode >= 500 || strings.Contains(body, "canary") {
			t.Errorf("%v: %d", form, resp.StatusCode)
		}
	}
	s.desk.unlogged = errors.New("the journal is away")
	if resp, body, _ := v.sees("/logboek/gebeurtenis", url.Values{"schrijver": {"gw1"}, "nummer": {"1-1"}}); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "canary") {
		t.Errorf("what could not be recorded: %d", resp.StatusCode)
	}
}

// TestTimeline: what was asked about a case and what changed stand in the order of time, once the look is recorded.
func TestTimeline(t *testing.T) {
	s := start(t, nil)
	for range 2 {
		s.record()
	}
	s.audit.changes = []console.CaseChange{{Time: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), Kind: "consent.given", Seq: 7}}
	v := s.as("a")
	if resp, _ := v.send("/logboek/zaak", url.Values{"zaak": {"canary-zaak"}}); resp.Header.Get("Location") != "/logboek" {
		t.Error("without a ground")
	}
	v.send("/logboek/zoek", ground(url.Values{}))
	resp, body, at := v.sees("/logboek/zaak", url.Values{"zaak": {" canary-zaak "}})
	first, change, last := strings.Index(body, "canary-w2"), strings.Index(body, "Toestemming of instemming is gegeven."), strings.Index(body, "canary-w1")
	if resp.StatusCode != http.StatusOK || first < 0 || change < first || last < change || strings.Contains(at, "canary") {
		t.Errorf("%d %s: %d %d %d", resp.StatusCode, at, first, change, last)
	}
	if got := s.desk.steps[len(s.desk.steps)-1]; got != "a case canary-zaak (controle, AVG 39, dossier 7)" {
		t.Errorf("recorded: %s", got)
	}
	if resp, body := s.as("f").get(at); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "canary") {
		t.Errorf("to another: %d", resp.StatusCode)
	}
	s.desk.unlogged = errors.New("the journal is away")
	if resp, body, _ := v.sees("/logboek/zaak", url.Values{"zaak": {"canary-zaak"}}); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "canary-w") {
		t.Errorf("what could not be recorded: %d", resp.StatusCode)
	}
}

// TestLooksQueue: the list is a queue. Who reviews, with which outcome and note, is recorded, and what is not on the list of
// this session can't be reviewed.
func TestLooksQueue(t *testing.T) {
	s := start(t, nil)
	look := func(n uint64, review *console.LookReview) console.RankedLook {
		return console.RankedLook{Writer: "gw1", ID: audit.ID{Epoch: 1, Seq: n}, Time: time.Now(), Agency: "00000099000000011000", Worker: broker.WorkerID(fmt.Sprintf("canary-w%d", n)),
			Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Case: "canary-zaak", Fields: 3, Score: 9, Patterns: []broker.Text{{NL: "patroon-nl", EN: "pattern-en"}}, Review: review}
	}
	s.audit.list = console.LookList{Judged: 500, Looks: []console.RankedLook{look(1, nil), look(2, &console.LookReview{Outcome: broker.Text{NL: "verklaard", EN: "explained"}, By: "fg-7", Time: time.Now()})}}
	v := s.as("a")
	if resp, _ := v.send("/inzagen", ground(url.Values{"dagen": {"31"}})); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another period: %d", resp.StatusCode)
	}
	resp, body, at := v.sees("/inzagen", ground(url.Values{"dagen": {"90"}}))
	for _, want := range []string{"1 te beoordelen, van 2 op de lijst", "canary-w1", "patroon-nl", "Gemeente Voorbeeld", "verklaard", "fg-7"} {
		if !strings.Contains(body, want) {
			t.Errorf("the list lacks %q (%d)", want, resp.StatusCode)
		}
	}
	form := func(n, outcome, note string) url.Values {
		return url.Values{"schrijver": {"gw1"}, "nummer": {n}, "uitkomst": {outcome}, "toelichting": {note}}
	}
	if _, body, _ = v.sees(at+"/beoordeel", form("1-1", "misuse", "reported")); !strings.Contains(body, "0 te beoordelen, van 2") || !strings.Contains(body, "misbruik, gemeld als datalek") || !strings.Contains(body, "<code>a</code>") {
		t.Errorf("the review is not on the list: %.200s", body)
	}
	want := []string{"a looks of 90 days (controle, AVG 39, dossier 7)", "a review gw1 1-1 misuse reported (controle, AVG 39, dossier 7)"}
	for name, f := range map[string]url.Values{"not on the list": form("1-3", "misuse", ""), "no outcome": form("1-1", "", ""), "a note of their own": form("1-1", "misuse", "they are a thief")} {
		if resp, _ := v.send(at+"/beoordeel", f); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	other := s.as("f")
	if resp, _ := other.send(at+"/beoordeel", form("1-1", "misuse", "")); resp.StatusCode != http.StatusNotFound {
		t.Errorf("on another's list: %d", resp.StatusCode)
	}
	if resp, body := other.get(at); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "canary") {
		t.Errorf("to another: %d", resp.StatusCode)
	}
	if !slices.Equal(s.desk.steps, want) {
		t.Errorf("recorded: %q", s.desk.steps)
	}
	s.desk.unlogged = errors.New("the journal is away")
	if resp, body, _ := v.sees("/inzagen", ground(url.Values{"dagen": {"7"}})); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "canary") {
		t.Errorf("what could not be recorded: %d", resp.StatusCode)
	}
	if resp, _ := v.send(at+"/beoordeel", form("1-2", "misuse", "")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a review that could not be recorded: %d", resp.StatusCode)
	}
	if _, body := v.get(at); strings.Count(body, "misbruik, gemeld") != 1 || !strings.Contains(body, "fg-7") {
		t.Error("a review that is not in the log is on the list")
	}
}

// TestIntegrityPage: what is wrong is said, and nothing is called whole that was not found whole.
func TestIntegrityPage(t *testing.T) {
	now := time.Now()
	s := start(t, func(c *console.Config) { c.Now = func() time.Time { return now } })
	v := s.as("f")
	s.audit.integrity = console.Integrity{Checkpoint: &console.SealedAt{Origin: "schakel/x", Size: 1234}, Witnesses: []console.WitnessState{{Name: "getuige-1", Signed: true}, {Name: "getuige-2"}},
		Streams: []console.StreamState{{Name: "gw1", Head: "1-9", Sealed: "1-9"}, {Name: "gw2", Head: "1-9", Sealed: "1-8"}}, Unsealed: now.Add(-90 * time.Second)}
	_, body := v.get("/integriteit")
	for want, times := range map[string]int{"1.234": 1, "90 seconden": 1, ">ondertekende mee<": 1, ">ondertekende niet<": 1, ">loopt achter<": 1, "Hier nog niet gedaan": 1, ">heel<": 0, ">klopt niet<": 0} {
		if strings.Count(body, want) != times {
			t.Errorf("%q: %d times, want %d", want, strings.Count(body, want), times)
		}
	}
	verify := func() string {
		v.send("/integriteit", nil)
		v.get("/integriteit/voortgang") // ends when the work does
		_, body := v.get("/integriteit")
		return body
	}
	s.audit.verified = console.Verification{Time: now, OK: true, Entries: 77}
	if body = verify(); !strings.Contains(body, ">heel<") || !strings.Contains(body, "77 vermeldingen") {
		t.Error("a whole log is not called whole")
	}
	s.audit.verified = console.Verification{Time: now, Faults: []string{"gw2 1-4: altered"}, More: 3}
	if body = verify(); strings.Contains(body, ">heel<") || !strings.Contains(body, ">niet heel<") || !strings.Contains(body, "gw2 1-4: altered") {
		t.Error("a log with a fault is called whole, or the fault is not named")
	}
	s.audit.broken = errors.New("the store is away")
	if body = verify(); !strings.Contains(body, "the store is away") {
		t.Error("a verification that failed is not told")
	}
	s.audit.integrity.Trouble, s.audit.integrity.Checkpoint = errors.New("bad signature"), nil
	if _, body = v.get("/integriteit"); !strings.Contains(body, ">klopt niet<") || !strings.Contains(body, "bad signature") {
		t.Error("a checkpoint that does not hold is not told")
	}
}

// TestLongWork: what may have to read the whole log goes on while nobody looks, says how far it is, and can be stopped.
func TestLongWork(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.asked.requests = someAsked()
	slow := slowly{wait: make(chan struct{}), read: 250_000, told: make(chan struct{}, 9)}
	s.audit.slowly, s.asked.slowly = slow, slow
	v := s.as("f")
	_, _, request := v.sees("/inwoners", url.Values{"nummer": {"BCDF-2340"}, "doel": {"inzage"}, "grond": {"AVG 16"}})
	for _, work := range []struct {
		name, begin string
		form        url.Values
		found       string // what the page says once it is done, and not before or after it was stopped
	}{
		{"looks", "/inzagen", ground(url.Values{"dagen": {"30"}}), "Niets valt op"},
		{"verification", "/integriteit", nil, ">heel<"},
		{"recipients", request + "/ontvangers", nil, "Niemand kreeg via Schakel"},
	} {
		s.audit.verified = console.Verification{OK: true}
		begin := func() string { // and waits until it is at work
			resp, body := v.send(work.begin, work.form)
			if resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %d %s", work.name, resp.StatusCode, body)
			}
			<-slow.told
			at, _, _ := strings.Cut(resp.Header.Get("Location"), "#")
			return at
		}
		at := begin()
		if said := v.firstProgress(at + "/voortgang"); !strings.Contains(said, "(200.000 vermeldingen gelezen)") || !strings.Contains(said, `"done":false`) {
			t.Errorf("%s: progress: %s", work.name, said)
		}
		if _, body := v.get(at); !strings.Contains(body, `data-progress="`+at+`/voortgang"`) || !strings.Contains(body, `action="`+at+`/stop"`) || strings.Contains(body, work.found) {
			t.Errorf("%s: while it goes on: %s", work.name, body)
		}
		v.send(at+"/stop", nil)
		v.get(at + "/voortgang") // ends when the work does
		if _, body := v.get(at); !strings.Contains(body, "Gestopt voordat er een antwoord was") || strings.Contains(body, work.found) {
			t.Errorf("%s: stopped: %s", work.name, body)
		}
		at = begin()
		slow.wait <- struct{}{} // while nobody looks
		v.get(at + "/voortgang")
		if _, body := v.get(at); !strings.Contains(body, work.found) || strings.Contains(body, "Gestopt voordat") {
			t.Errorf("%s: done: %s", work.name, body)
		}
	}
}

// auditorPages gives every page about the log, in the states that have texts of their own.
func (v *visitor) auditorPages(look func(name string, status int, body string)) {
	sees := func(path string, form url.Values) string {
		resp, body, at := v.sees(path, form)
		look("POST "+path, resp.StatusCode, body)
		return strings.SplitN(at, "#", 2)[0]
	}
	v.site.audit.sealed, v.site.audit.replay = console.ErrNotSealed, audit.ReplayReport{Differences: make([]audit.ReplayDifference, 1), Different: 1, Troubles: make([]audit.ReplayTrouble, 1)}
	sees("/logboek/zoek", ground(url.Values{"vraag": {"x"}}))
	sees("/logboek/zoek", ground(url.Values{"vanaf": {"2"}}))
	sees("/logboek/zoek", ground(url.Values{}))
	at := sees("/logboek/gebeurtenis", url.Values{"schrijver": {"gw1"}, "nummer": {"1-1"}})
	sees(at+"/bewijs", nil)
	sees(at+"/opnieuw", nil)
	root, path := tree([][]byte{[]byte("a"), []byte("b")}, 1)
	v.site.audit.proof, v.site.audit.sealed = console.Proof{Leaf: []byte("b"), Index: 1, Size: 2, Hashes: path, Root: root}, nil
	v.site.audit.replay = audit.ReplayReport{Identical: 1, Decisions: 1}
	sees(at+"/opnieuw", nil)
	sees(at+"/bewijs", nil)
	v.site.audit.list = console.LookList{Unread: 1, Looks: []console.RankedLook{{Review: &console.LookReview{Time: time.Now()}, Explanations: make([]broker.Text, 1)}, {Case: "x"}}}
	v.site.audit.changes = nil
	for _, kind := range []string{"case.opened", "case.closed", "case.assigned", "case.unassigned", "consent.given", "consent.withdrawn", "emergency.declared", "emergency.ended", "processing.restricted", "processing.lifted", "x"} {
		v.site.audit.changes = append(v.site.audit.changes, console.CaseChange{Kind: kind})
	}
	sees("/inzagen", ground(url.Values{"dagen": {"7"}}))
	sees("/logboek/zaak", url.Values{"zaak": {"x"}})
	show := func(i console.Integrity) {
		v.site.audit.integrity = i
		resp, body := v.get("/integriteit")
		look("GET /integriteit", resp.StatusCode, body)
	}
	show(console.Integrity{Checkpoint: &console.SealedAt{}, Witnesses: []console.WitnessState{{Signed: true}, {}}, Streams: []console.StreamState{{Head: "1"}, {}}, Unsealed: time.Now().Add(-time.Hour), Limit: time.Second,
		Verified: &console.Verification{Faults: []string{"§"}, More: 1, Checkpoint: 1}, Index: search.State{Current: true}})
	show(console.Integrity{NoIndex: errors.New("§"), Verified: &console.Verification{OK: true, Took: 5 * time.Second}})
}

// TestOnlyWhatPolicyPermits: whom the policy lets ask a question of the log for no purpose finds no link to its page, and is
// refused there; all others find it.
func TestOnlyWhatPolicyPermits(t *testing.T) {
	s := start(t, nil)
	s.audit.mayNot = map[console.Question][]console.Role{console.QuestionLooks: {console.PrivacyOfficer}, console.QuestionSearch: {console.Auditor}}
	for who, want := range map[string]map[string]bool{
		"p1": {"/logboek": true, "/inzagen": false, "/integriteit": true},
		"f":  {"/logboek": true, "/inzagen": true, "/integriteit": true},
		"a":  {"/logboek": false, "/inzagen": true, "/integriteit": true},
		"j":  {"/logboek": false, "/inzagen": false, "/integriteit": false}, // by the table
	} {
		v := s.as(who)
		_, body := v.get("/")
		for path, is := range want {
			if strings.Contains(body, `href="`+path+`"`) != is {
				t.Errorf("%s finds a link to %s: %v, want %v", who, path, !is, is)
			}
			if resp, _ := v.get(path); (resp.StatusCode == http.StatusOK) != is || (!is && resp.StatusCode != http.StatusForbidden) {
				t.Errorf("%s at %s: %d", who, path, resp.StatusCode)
			}
		}
	}
}
