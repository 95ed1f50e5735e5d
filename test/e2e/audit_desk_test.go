package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/policies"
)

// TestAuditorsDesk: a day of the demo, granted, partly withheld and refused, and what an auditor proves and finds of it, on the
// running server and in the folder of the stopped one.
func TestAuditorsDesk(t *testing.T) {
	t.Parallel()
	_, brp := people(t)
	d := &auditedDay{dir: filepath.Join(t.TempDir(), "data")}
	d.w = &world{dir: d.dir}
	d.evidence = filepath.Join(d.dir, "evidence", "2026")
	demo := startDemo(t, d.dir, brp)
	d.ask(t)

	t.Run("replay while it runs", d.replays)
	t.Run("receipts while it runs", d.receipts)
	t.Run("breach while it runs", d.breached)
	t.Run("export while it runs", d.exports)
	demo.interrupt(t)
	d.whole = readFile(t, filepath.Join(d.dir, "journal.db"))
	t.Run("replay of what was bent", d.bent)
	t.Run("receipts of what was dropped", d.dropped)
}

// auditedDay is a day's log in a folder.
type auditedDay struct {
	dir, evidence string
	w             *world
	whole         string // the journal, as it was left
	answers       int
	agency        string          // that asked
	asked         map[string]int  // how often, by worker
	households    map[string]bool // that somebody asked about
}

// ask makes the day: workers of the municipality, each for a few households.
func (d *auditedDay) ask(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(d.evidence, 0o700); err != nil {
		t.Fatal(err)
	}
	i, err := d.w.info()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range i.Agencies {
		if a.Kind == "gemeente" && d.agency == "" {
			d.agency = a.OIN
		}
	}
	d.asked, d.households = map[string]int{}, map[string]bool{}
	var asks sync.WaitGroup
	turn := make(chan bool, 4)
	cases := slices.DeleteFunc(i.Cases, func(c struct {
		ID      string
		BSNs    []broker.BSN
		Workers []string
	}) bool {
		return !strings.HasPrefix(c.ID, "zaak")
	})
	for n, c := range cases[:8] {
		worker, role, purpose := c.Workers[0], "wijkteammedewerker", "ontruiming-voorkomen"
		if n%4 == 3 {
			worker, role, purpose = "recherche-1", "sociaal-rechercheur", "handhaving" // refused
		}
		d.answers++
		d.asked[worker]++
		d.households[c.ID] = true
		asks.Go(func() {
			turn <- true
			defer func() { <-turn }()
			out, err := d.w.schakel("ask", "--agency", d.agency, "--worker", worker, "--role", role, "--purpose", purpose, "--household", "case:"+c.ID,
				"--fields", "huur.achterstand,ggz,jeugd,huishouden.minderjarigenAanwezig", "--save", filepath.Join(d.evidence, fmt.Sprintf("%02d.json", n)))
			if err != nil && !strings.Contains(out, "geweigerd") {
				t.Errorf("ask %s: %v, %s", c.ID, err, out)
			}
		})
	}
	asks.Wait()
}

// run runs a command of the auditor's and gives what it printed on standard output, and its exit code.
func (d *auditedDay) run(args ...string) (string, int) {
	c := exec.Command(binary, append([]string{"audit"}, args...)...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+d.dir)
	out, _ := c.Output()
	return string(out), c.ProcessState.ExitCode()
}

// json runs it with --json.
func (d *auditedDay) json(t *testing.T, to any, args ...string) (code int) {
	t.Helper()
	out, code := d.run(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), to); err != nil {
		t.Fatalf("%v: exit %d, %v, %s", args, code, err, out)
	}
	return code
}

// replayed is the JSON of `audit replay`.
type replayed struct {
	OK                                                                bool
	Events, Decisions, Identical, Different, NotReplayed, OtherEngine int
	Differences                                                       []struct{ Events []string }
	Troubles                                                          []struct {
		Reason   struct{ EN string }
		Revision string
		Events   []string
	}
	Against *struct {
		Otherwise, Quietly any
		Changes            []struct {
			Field, From, To string
			Decisions       any
		}
	}
}

func (d *auditedDay) replays(t *testing.T) {
	var r replayed
	if code := d.json(t, &r, "replay"); code != 0 || !r.OK || r.Events != d.answers || r.Decisions < d.answers || r.Identical != r.Decisions || r.OtherEngine != 0 {
		t.Errorf("exit %d, %+v", code, r)
	}
	t.Logf("%d decisions of %d events, all identical", r.Identical, r.Events)
	all := r.Decisions

	// One decision, by the hash of its receipt and by the id of the answer.
	var saved struct{ Body string }
	var answer struct{ ID string }
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(d.evidence, "00.json"))), &saved); err != nil || json.Unmarshal([]byte(saved.Body), &answer) != nil {
		t.Fatal(err, saved.Body)
	}
	r = replayed{}
	if code := d.json(t, &r, "replay", "--decision", answer.ID); code != 0 || r.Events != 1 || r.Identical == 0 || r.Identical >= all {
		t.Errorf("one decision: exit %d, %+v", code, r)
	}
	if out, code := d.run("replay", "--decision", "01a22a2a-f801-7323-9c3c-9e6e10c973a2"); code != 1 {
		t.Errorf("a decision that is not there: exit %d, %s", code, out)
	}
	r = replayed{}
	if code := d.json(t, &r, "replay", "--until", "1h"); code != 0 || r.Events != 0 {
		t.Errorf("a window before it began: exit %d, %+v", code, r)
	}

	// Another policy would have given less; small numbers are not shown.
	files := policies.Files()
	name := "schakel/settings/data.json"
	files[name] = []byte(strings.Replace(string(files[name]), "\"never\": [\n", "\"never\": [\n    \"huur.achterstand.bedrag\",\n", 1))
	folder := filepath.Join(d.dir, "stricter")
	for path, text := range files {
		path = filepath.Join(folder, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	r = replayed{}
	if code := d.json(t, &r, "replay", "--against", folder); code != 0 || r.Against == nil || len(r.Against.Changes) != 1 || r.Against.Changes[0].Field != "huur.achterstand.bedrag" || r.Against.Changes[0].To != "" {
		t.Errorf("against: exit %d, %+v", code, r.Against)
	} else if n, isNumber := r.Against.Changes[0].Decisions.(float64); isNumber && n < 10 {
		t.Errorf("it shows a number of %v", n)
	}
	r = replayed{}
	if code := d.json(t, &r, "replay", "--against", folder, "--decision", answer.ID); code != 0 || r.Against == nil || r.Against.Otherwise != "<10" {
		t.Errorf("one decision against: exit %d, %+v", code, r.Against)
	}
}

// bent: a decision planted in an event, and a bundle whose files are others than its name says, are found and named.
func (d *auditedDay) bent(t *testing.T) {
	var r replayed
	d.w.write(t, "journal.db", d.whole)
	if code := d.json(t, &r, "replay"); code != 0 || !r.OK {
		t.Fatalf("whole: exit %d, %+v", code, r)
	}
	event := ""
	d.bend(t, func(tx *bbolt.Tx) error { // an event says that a field was given in another form
		b := tx.Bucket([]byte("audit")).Bucket([]byte("demo"))
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if planted := strings.Replace(string(v), `"form":"exact"`, `"form":"never"`, 1); planted != string(v) {
				event = fmt.Sprintf("demo %d-%d", k[7], k[15])
				return b.Put(k, []byte(planted))
			}
		}
		return errors.New("no event has such a decision")
	})
	r = replayed{}
	if code := d.json(t, &r, "replay"); code != 1 || r.OK || r.Different != 1 || len(r.Differences) != 1 || !slices.Equal(r.Differences[0].Events, []string{event}) {
		t.Errorf("a planted decision: exit %d, %+v", code, r)
	}
	if out, code := d.run("replay"); code != 1 || !strings.Contains(out, "DIFFERENT: 1 decisions") || !strings.Contains(out, event) {
		t.Errorf("exit %d, %s", code, out)
	}

	d.w.write(t, "journal.db", d.whole)
	revision := string(policies.Revision(policies.Files()))
	d.bend(t, func(tx *bbolt.Tx) error { // the rule of a field, after the fact, under the old name
		b := tx.Bucket([]byte("blobs"))
		files, err := policies.Unbundle(b.Get([]byte(revision)))
		if err != nil {
			return err
		}
		files["schakel/field.rego"] = append(files["schakel/field.rego"], "\n# nobody will notice\n"...)
		bundle, err := policies.Bundle(files)
		if err != nil {
			return err
		}
		return b.Put([]byte(revision), bundle)
	})
	r = replayed{}
	if code := d.json(t, &r, "replay"); code != 1 || r.Identical != 0 || r.NotReplayed != r.Decisions || len(r.Troubles) != 1 ||
		r.Troubles[0].Revision != revision || !strings.Contains(r.Troubles[0].Reason.EN, "altered") {
		t.Errorf("an altered bundle: exit %d, %+v", code, r)
	}
	d.bend(t, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("blobs")).Delete([]byte(revision)) })
	r = replayed{}
	if code := d.json(t, &r, "replay"); code != 1 || len(r.Troubles) != 1 || !strings.Contains(r.Troubles[0].Reason.EN, "not kept") {
		t.Errorf("a bundle that is gone: exit %d, %+v", code, r)
	}
	d.w.write(t, "journal.db", d.whole)
}

// bend changes the stopped journal behind Schakel's back.
func (d *auditedDay) bend(t *testing.T, do func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(d.dir, "journal.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(do)
	if closed := db.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
}

// held is the JSON of `audit receipts`.
type held struct {
	OK                   bool
	Files, Held, Answers int
	Problems             []struct {
		File, State string
		Events      []string
	}
}

// receipts: the agency's evidence folder is in the log, whole; a file that was touched is not.
func (d *auditedDay) receipts(t *testing.T) {
	var r held
	if code := d.json(t, &r, "receipts", filepath.Dir(d.evidence)); code != 0 || !r.OK || r.Files != d.answers || r.Held != d.answers || r.Answers != d.answers {
		t.Errorf("exit %d, %+v", code, r)
	}
	folder := t.TempDir()
	text := readFile(t, filepath.Join(d.evidence, "00.json"))
	for name, text := range map[string]string{"same.json": text, "again.json": text, "touched.json": strings.Replace(text, "issuedAt", "issuedat", 1), "other.json": "{}"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r = held{}
	if code := d.json(t, &r, "receipts", folder); code != 1 || r.OK || r.Files != 4 || r.Held != 2 || r.Answers != 1 || len(r.Problems) != 2 ||
		!strings.HasSuffix(r.Problems[0].File, "other.json") || !strings.HasSuffix(r.Problems[1].File, "touched.json") || r.Problems[1].State != "unverified" {
		t.Errorf("touched: exit %d, %+v", code, r)
	}
}

// dropped: of an answer whose event was removed, and nothing else says so, the receipt is the proof.
func (d *auditedDay) dropped(t *testing.T) {
	d.w.write(t, "journal.db", d.whole)
	defer d.w.write(t, "journal.db", d.whole)
	d.bend(t, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("audit")).Bucket([]byte("demo")).Delete([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4})
	})
	var r held
	if code := d.json(t, &r, "receipts", d.evidence); code != 1 || r.Held != d.answers-1 || len(r.Problems) != 1 || r.Problems[0].State != "missing" {
		t.Errorf("exit %d, %+v", code, r)
	}
	if out, code := d.run("receipts", d.evidence); code != 1 || !strings.Contains(out, "MISSING: ") || !strings.Contains(out, fmt.Sprintf("%d of %d kept answers", d.answers-1, d.answers)) {
		t.Errorf("exit %d, %s", code, out)
	}
}

// breached: what a worker, a key and an agency got to see is what the day's evidence says; who looks is an officer who may,
// and it is recorded before anything is shown.
func (d *auditedDay) breached(t *testing.T) {
	type report struct {
		Answers, Nothing int
		Households       []struct {
			Case             string
			Answers, Nothing int
			Fields           []struct{ Field string }
		}
		Workers, Keys []struct {
			Name        string
			Disclosures int
		}
	}
	by := func(officer string, args ...string) []string {
		return append([]string{"breach", "--officer", officer, "--purpose", "datalek", "--ground", "AVG 33, dossier 7"}, args...)
	}
	// What the workers keep says which fields were given, and of which household.
	given := map[string]map[string]bool{}
	files, err := filepath.Glob(filepath.Join(d.evidence, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		var saved struct{ Body string }
		var answer struct{ Granted []struct{ Field string } }
		if err := errors.Join(json.Unmarshal([]byte(readFile(t, f)), &saved), json.Unmarshal([]byte(saved.Body), &answer)); err != nil {
			t.Fatal(err)
		}
		for _, g := range answer.Granted {
			if given[f] == nil {
				given[f] = map[string]bool{}
			}
			given[f][g.Field] = true
		}
	}
	var whole report
	if code := d.json(t, &whole, by("auditor-1", "--agency", d.agency)...); code != 0 || whole.Answers != len(given) || whole.Answers+whole.Nothing != d.answers || len(whole.Households) != len(d.households) || len(whole.Keys) != 1 {
		t.Errorf("agency: exit %d, %d given, %+v", code, len(given), whole)
	}
	fields, want := map[string]bool{}, map[string]bool{}
	for _, h := range whole.Households {
		for _, f := range h.Fields {
			fields[f.Field] = true
		}
	}
	for _, list := range given {
		maps.Copy(want, list)
	}
	if !maps.Equal(fields, want) {
		t.Errorf("fields %v, want %v", fields, want)
	}
	var key report
	if code := d.json(t, &key, by("fg-1", "--kid", whole.Keys[0].Name)...); code != 0 || key.Answers != whole.Answers || key.Nothing != whole.Nothing {
		t.Errorf("key: exit %d, %+v", code, key)
	}
	var worker report
	if code := d.json(t, &worker, by("privacy-1", "--worker", "recherche-1", "--agency", d.agency)...); code != 0 || worker.Answers != 0 || worker.Nothing != d.asked["recherche-1"] {
		t.Errorf("worker: exit %d, %+v", code, worker)
	}

	looks := func() int {
		out, _ := d.run("log")
		return strings.Count(out, ` view of=many how="audit breach"`)
	}
	if n := looks(); n != 3 {
		t.Errorf("%d looks are recorded, want 3", n)
	}
	for name, args := range map[string][]string{
		"a jurist":          by("jurist-1", "--agency", d.agency),
		"nobody":            {"breach", "--agency", d.agency, "--purpose", "datalek", "--ground", "AVG 33"},
		"another's key":     append(by("auditor-1", "--agency", d.agency), "--key", filepath.Join(d.dir, "officers", "fg-1.jwk")),
		"without a ground":  {"breach", "--agency", d.agency, "--officer", "auditor-1", "--purpose", "datalek"},
		"of an unknown key": by("auditor-1", "--kid", "nobodys"),
		"of nobody":         by("auditor-1"),
	} {
		if out, code := d.run(args...); code == 0 || out != "" {
			t.Errorf("%s: exit %d, %s", name, code, out)
		}
	}
	if n := looks(); n != 3 {
		t.Errorf("%d looks are recorded after those that were refused, want 3", n)
	}
}

// exports: every format says what its manifest says, holds no BSN, and is not made in a folder that is there already.
func (d *auditedDay) exports(t *testing.T) {
	type report struct {
		Events, Records int
		Log             string
		Acknowledged    int
		Heads           []struct{ Stream, ID string }
		Files           []struct {
			Name, SHA256 string
			Bytes        int
		}
	}
	i, err := d.w.info()
	if err != nil {
		t.Fatal(err)
	}
	var corporation string
	for _, a := range i.Agencies {
		if a.Kind == "woningcorporatie" {
			corporation = a.OIN
		}
	}
	by := func(format, out string, args ...string) []string {
		return append([]string{"export", "--format", format, "--out", out, "--officer", "auditor-1", "--purpose", "controle", "--ground", "AVG 5 lid 2"}, args...)
	}
	for name, args := range map[string][]string{"ldv": nil, "adl": nil, "csv": nil, "holder": {"--holder", corporation}} {
		format := name
		if name == "holder" {
			format = "csv"
		}
		folder := filepath.Join(t.TempDir(), name)
		if name == "ldv" {
			taken := 0
			collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var body struct{ ResourceSpans []json.RawMessage }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				taken += len(body.ResourceSpans)
			}))
			defer collector.Close()
			args = []string{"--otlp", collector.URL}
			defer func() {
				if taken == 0 {
					t.Error("nothing came to the collector")
				}
			}()
		}
		var r, kept report
		if code := d.json(t, &r, by(format, folder, args...)...); code != 0 || r.Records == 0 || r.Log == "" || len(r.Heads) < 3 {
			t.Errorf("%s: exit %d, %+v", name, code, r)
			continue
		}
		if name == "ldv" && r.Acknowledged != r.Records {
			t.Errorf("the collector acknowledged %d of %d", r.Acknowledged, r.Records)
		}
		if name != "holder" && r.Events != d.answers {
			t.Errorf("%s: %d events of %d", name, r.Events, d.answers)
		}
		manifest := readFile(t, filepath.Join(folder, "manifest.json"))
		if err := json.Unmarshal([]byte(manifest), &kept); err != nil || kept.Records != r.Records || len(kept.Files) == 0 {
			t.Errorf("%s: the manifest: %v, %s", name, err, manifest)
		}
		for _, f := range kept.Files {
			text := readFile(t, filepath.Join(folder, f.Name))
			if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != f.SHA256 || len(text) != f.Bytes {
				t.Errorf("%s: %s has another digest", name, f.Name)
			}
			if f.Name == "checkpoint" {
				continue
			}
			lines := strings.Count(text, "\n")
			if format == "csv" {
				lines-- // the heading
			}
			if lines != r.Records {
				t.Errorf("%s: %d lines, %d records", name, lines, r.Records)
			}
			for _, c := range i.Cases {
				for _, bsn := range c.BSNs {
					if strings.Contains(text, bsn.Reveal()) {
						t.Fatalf("%s: %s holds a BSN", name, f.Name)
					}
				}
			}
		}
		if name == "csv" {
			if out, code := d.run(by(format, folder)...); code != 2 || out != "" {
				t.Errorf("in the same folder: exit %d, %s", code, out)
			}
		}
	}
	folder := filepath.Join(t.TempDir(), "nobody")
	if out, code := d.run("export", "--format", "csv", "--out", folder); code != 2 || out != "" {
		t.Errorf("by nobody: exit %d, %s", code, out)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Error("what was refused left a folder")
	}
	if out, _ := d.run("log"); strings.Count(out, ` view of=many how="audit export"`) != 4 {
		t.Errorf("the looks are not recorded: %s", out)
	}
}
