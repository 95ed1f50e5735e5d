package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// TestInvariantsEndToEnd asks many questions of a running deployment on Redis, as every kind of worker, and then holds
// what the agencies saw, what the log says and what lies around against the invariants.
func TestInvariantsEndToEnd(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer w.stop(t)
	asked := w.askAll(t, 150)
	if asked[http.StatusOK] < 30 || asked[http.StatusForbidden] < 30 {
		t.Fatalf("answers by status: %v; too few of a kind to prove anything", asked)
	}
	t.Logf("answers by status: %v", asked)
	events := w.events(t)
	t.Run("3 holders are asked what was granted", func(t *testing.T) { w.invariant3(t, events) })
	t.Run("4 decisions can be made again", func(t *testing.T) { invariant4(t, events) })
	t.Run("5 no personal value in clear", func(t *testing.T) { w.invariant5(t) })
}

type event struct {
	Hash     broker.Hash
	RepeatOf broker.Hash
	Kind     string
	Common   broker.Common
	Staff    *broker.Staff
}

func (w *world) events(t *testing.T) []event {
	t.Helper()
	var events []event
	for line := range strings.Lines(w.opened(t, "--json")) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "disclosure" {
			events = append(events, e)
		}
	}
	return events
}

// askAll puts n questions, drawn with a fixed seed from workers, cases, purposes and fields, and counts the answers. Most
// are by a worker of the case for a purpose of their role; the others by anyone, for anything.
func (w *world) askAll(t *testing.T, n int) map[int]int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Server  string
		Workers []struct{ Agency, ID, Role string }
		Cases   []struct {
			ID       string
			BSNs     []broker.BSN
			Workers  []string
			Purposes []string
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	catalog, purposes := shippedCatalog(t), purposesOfRoles(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	count := map[int]int{}
	for range n {
		worker := d.Workers[rnd.IntN(len(d.Workers))]
		c := d.Cases[rnd.IntN(len(d.Cases))]
		purpose := c.Purposes[rnd.IntN(len(c.Purposes))]
		if rnd.IntN(4) > 0 {
			for !slices.Contains(c.Workers, worker.ID) {
				worker = d.Workers[rnd.IntN(len(d.Workers))]
			}
			if own := purposes[worker.Role]; len(own) > 0 {
				purpose = own[rnd.IntN(len(own))]
			}
		}
		household := map[string]any{"case": c.ID}
		if rnd.IntN(3) == 0 && worker.Role != "medewerker-sociale-incasso" {
			household = map[string]any{"bsn": c.BSNs[rnd.IntN(len(c.BSNs))].Reveal()}
		}
		var fields []broker.Field
		for range 1 + rnd.IntN(12) {
			fields = append(fields, catalog.Fields[rnd.IntN(len(catalog.Fields))].Path)
		}
		body, err := json.Marshal(map[string]any{"household": household, "purpose": purpose, "fields": fields})
		if err != nil {
			t.Fatal(err)
		}
		var resp *http.Response
		for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			resp = w.post(t, d.Server, w.token(t, d.Server, worker.Agency, worker.ID, worker.Role), body, nil)
			said, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if !unrecorded(string(said)) {
				break
			}
		}
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s asked %s: status %d", worker.Role, body, resp.StatusCode)
		}
		count[resp.StatusCode]++
	}
	return count
}

func (w *world) token(t testing.TB, server, agency, worker, role string) string {
	t.Helper()
	jwk, err := os.ReadFile(filepath.Join(w.dir, "agencies", agency+".jwk"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.ParseSigner(jwk)
	if err != nil {
		t.Fatal(err)
	}
	token, err := seal.SignToken(signer, seal.TokenClaims{Agency: broker.OIN(agency), Worker: broker.WorkerID(worker),
		Role: broker.Role(role), Audience: server, IssuedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) post(t testing.TB, server, token string, body []byte, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, server+"/v1/disclosures", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := w.http().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// purposesOfRoles reads the page that was made by asking the policy everything: rows of | role | purpose | ….
func purposesOfRoles(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../policies/TABLE.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 9 {
			role := strings.TrimSpace(cells[1])
			out[role] = append(out[role], strings.TrimSpace(cells[2]))
		}
	}
	if len(out["wijkteammedewerker"]) == 0 {
		t.Fatal("the page has another form")
	}
	return out
}

func shippedCatalog(t *testing.T) *broker.Catalog {
	t.Helper()
	d, revision := shippedDecider(t)
	c, err := d.Catalog(revision)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shippedDecider(t *testing.T) (*decide.Decider, broker.Revision) {
	t.Helper()
	d := decide.New(decide.Config{})
	files := policies.Files()
	revision := policies.Revision(files)
	if err := d.Load(context.Background(), revision, files); err != nil {
		t.Fatal(err)
	}
	return d, revision
}

// invariant3: what each agency saw of each request is in what the decisions of that request's event granted, to the asker
// or to a holder that is asked by name; each was asked by the key it may have; each has an agreement.
func (w *world) invariant3(t *testing.T, events []event) {
	granted := map[string]map[string]bool{}
	lookup := map[string]bool{}
	for _, e := range events {
		if e.Staff == nil {
			t.Fatal("the staff part is closed")
		}
		id := string(e.Staff.Request)
		granted[id] = map[string]bool{}
		for _, raw := range e.Common.Decisions {
			var d broker.Decision
			if err := json.Unmarshal(raw, &d); err != nil {
				t.Fatal(err)
			}
			for f := range d.Grants {
				granted[id][string(f)] = true
			}
		}
		for _, s := range e.Common.Subjects {
			if s.Lookup != "" {
				lookup[id] = true
			}
		}
	}
	byName := []string{"woningcorporatie", "energieleverancier", "drinkwaterbedrijf"}
	n := 0
	for _, q := range w.town.Log() {
		n++
		if len(q.Asked) == 0 || len(q.Asked) != len(q.Fields) {
			t.Errorf("%s was asked in words it does not know: %v", q.Kind, q.Fields)
		}
		for _, f := range q.Asked {
			if q.Kind == broker.KindRvIG {
				f = "persoon." + f
			}
			if !granted[q.RequestID][f] {
				t.Errorf("%s was asked for %s, which was not granted", q.Kind, f)
			}
		}
		want := broker.KeyBSN
		if slices.Contains(byName, string(q.Kind)) {
			want = broker.KeyIdentity
			if !lookup[q.RequestID] {
				t.Errorf("%s was sent a name without a decision on that", q.Kind)
			}
			if bytes.Contains(q.Body, []byte(q.Subject.Reveal())) && q.Subject != "" {
				t.Errorf("%s was sent a BSN", q.Kind)
			}
		}
		if q.Key != want {
			t.Errorf("%s was asked by %q", q.Kind, q.Key)
		}
		if q.Kind == "drinkwaterbedrijf" || q.Kind == "dji" {
			t.Errorf("%s has no agreement and was asked", q.Kind)
		}
	}
	if n < 50 {
		t.Fatalf("only %d questions reached the agencies", n)
	}
	t.Logf("%d questions", n)
}

// invariant4: every recorded query, decided again by a fresh engine, gives the recorded bytes.
func invariant4(t *testing.T, events []event) {
	d, revision := shippedDecider(t)
	n := 0
	for _, e := range events {
		if e.Common.Policy.Revision != revision || e.Common.Policy.Engine != d.Engine() {
			t.Fatalf("decided by %v, this is %s, %s", e.Common.Policy, revision, d.Engine())
		}
		for i, raw := range e.Common.Queries {
			var q broker.Query
			if err := json.Unmarshal(raw, &q); err != nil {
				t.Fatal(err)
			}
			again, err := d.Decide(context.Background(), revision, q)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), e.Common.Decisions[i]) {
				t.Errorf("recorded %s\ndecided again %s", e.Common.Decisions[i], again.Bytes())
			}
			n++
		}
	}
	t.Logf("%d decisions made again", n)
}

// invariant5: nothing of the persons in the cases, nor a worker's name, stands in clear anywhere the deployment writes:
// what Redis keeps, its log, its metrics, its data folder.
func (w *world) invariant5(t *testing.T) {
	info, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	canaries := map[string]bool{}
	for _, c := range info.Cases {
		for _, b := range c.BSNs {
			p, _ := w.people.Person(b)
			id := p.Identity()
			canaries[b.Reveal()] = true
			for _, s := range []string{id.FamilyName, id.AddressLine} {
				if len(s) > 6 {
					canaries[s] = true
				}
			}
		}
	}
	for _, name := range []string{"wijkteam-1", "schuldhulp-1", "behandelaar-1", "vroegsignalering-1"} {
		canaries[name] = true
	}
	places := map[string][]byte{"log": w.output.Bytes()}
	resp, err := http.Get(info.Server + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	places["metrics"], err = io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || len(places["metrics"]) < 1000 {
		t.Fatalf("metrics: %v", err)
	}
	for _, dir := range []string{w.redis.Dir, filepath.Join(w.dir, "heads")} {
		if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				places[path], err = os.ReadFile(path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(places["log"]) < 1000 || len(places) < 5 {
		t.Fatalf("too little to look through: %d places", len(places))
	}
	for place, data := range places {
		for c := range canaries {
			if bytes.Contains(data, []byte(c)) {
				i := bytes.Index(data, []byte(c))
				t.Errorf("%s holds a value about a person, near %q", place, data[max(0, i-60):i])
			}
		}
	}
	t.Logf("%d values looked for in %d places", len(canaries), len(places))
}
