package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
)

// inzage is a resident's browser at their own site.
type inzage struct {
	t      *testing.T
	url    string
	client *http.Client
}

// inzage signs the n-th test person in.
func (w *world) inzage(t *testing.T, n int) *inzage {
	t.Helper()
	var info struct{ Residents string }
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(w.dir, "demo.json"))), &info); err != nil || info.Residents == "" {
		t.Fatal(err, info)
	}
	jar, _ := cookiejar.New(nil)
	v := &inzage{t, info.Residents, &http.Client{Jar: jar}}
	v.send("/aanmelden", url.Values{"persoon": {strconv.Itoa(n)}})
	return v
}

func (v *inzage) get(path string) string {
	v.t.Helper()
	return v.read(v.client.Get(v.url + path))
}

func (v *inzage) read(resp *http.Response, err error) string {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 400 {
		v.t.Fatalf("%s: %d %v %s", resp.Request.URL, resp.StatusCode, err, body)
	}
	return string(body)
}

// overview asks for an overview, waits until it is made, and gives its page.
func (v *inzage) overview(form url.Values) string {
	v.t.Helper()
	v.send("/overzicht", form)
	v.get("/overzicht/voortgang") // ends when the work does
	return v.get("/overzicht")
}

// send posts a form and gives the page that comes of it.
func (v *inzage) send(path string, form url.Values) string {
	v.t.Helper()
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(v.get("/toegankelijkheid"))
	if m == nil {
		v.t.Fatal("no form")
	}
	form.Set("token", m[1])
	return v.read(v.client.PostForm(v.url+path, form))
}

// counter gives a command for residents, with what stands on its standard input.
func (w *world) counter(t *testing.T, in string, args ...string) string {
	t.Helper()
	out, say, err := w.withInput(in, append([]string{"resident"}, args...)...)
	if err != nil {
		t.Fatalf("resident %v: %v: %s%s", args, err, out, say)
	}
	return out
}

// testPerson gives the number of a person at the residents' site, who is in an open case with others, and that case.
func (w *world) testPerson(t *testing.T) (n int, family []broker.BSN, id, worker string) {
	t.Helper()
	i, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range w.people.Households() {
		p := h.Persons[0]
		if p.Deceased || p.Birth.AgeBand(time.Now()) != broker.Age18Plus || p.Identity().FamilyName == "" {
			continue
		}
		for _, c := range i.Cases {
			if strings.HasPrefix(c.ID, "zaak") && c.BSNs[0] == p.BSN && len(c.BSNs) > 1 && !p.Restricted {
				return n, c.BSNs, c.ID, c.Workers[0]
			}
		}
		n++
	}
	t.Fatal("no test person has a case")
	return
}

// TestResident: a resident sees what was asked of them and asks that nothing is shared; an officer decides so, and the next
// answer has nothing of them nor of the household; it is lifted and answered, and the resident reads that. They then act for a
// child. At the counter the same can be had on paper.
func TestResident(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	defer w.stop(t)
	startBolt(t, w)
	n, family, id, worker := w.testPerson(t)
	agency := w.vars(t)["GEMEENTE"]
	ask := func() (granted, withheld map[string]bool, hash string) {
		t.Helper()
		out, _ := w.schakel("ask", "--json", "--agency", agency, "--worker", worker, "--role", "wijkteammedewerker", "--purpose", "ontruiming-voorkomen",
			"--household", "case:"+id, "--fields", "huur.achterstand.bedrag,persoon.leeftijd,contact.telefoonnummer")
		var a struct {
			Answer struct {
				Granted, Withheld []struct {
					Field   string
					Reasons []string
				}
			}
			Receipt struct{ Hash string }
		}
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatal(err, out)
		}
		granted, withheld = map[string]bool{}, map[string]bool{}
		for _, g := range a.Answer.Granted {
			granted[g.Field] = true
		}
		for _, x := range a.Answer.Withheld {
			withheld[x.Field] = withheld[x.Field] || slices.Contains(x.Reasons, "processing-restricted")
		}
		return granted, withheld, a.Receipt.Hash
	}
	granted, _, hash := ask()
	if !granted["huur.achterstand.bedrag"] || !granted["persoon.leeftijd"] {
		t.Fatalf("granted: %v", granted)
	}

	v := w.inzage(t, n)
	page := v.overview(url.Values{})
	if !strings.Contains(page, "één opvraging") || !strings.Contains(page, hash) {
		t.Errorf("the page of one question: %s", page)
	}
	for _, b := range family {
		if strings.Contains(page, b.Reveal()) {
			t.Error("the page holds a BSN")
		}
	}
	for end := time.Now().Add(soon); !strings.Contains(page, "/overzicht/bewijs"); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("there is no proof in time")
		}
		page = w.inzage(t, n).overview(url.Values{})
	}
	v = w.inzage(t, n)
	v.overview(url.Values{})
	w.checksProof(t, family[0].Reveal(), v.get("/overzicht/gegevens"), v.get("/overzicht/bewijs"))

	page = v.send("/verzoek", url.Values{"soort": {"restriction"}, "tekst": {"canary-woorden van een inwoner"}, "opvraging": {"1"}})
	number := regexp.MustCompile(`Het nummer is (\S{4}-\S{4})`).FindStringSubmatch(page)
	if number == nil {
		t.Fatalf("asked: %s", page)
	}
	officer := []string{"--officer", "privacy-1"}
	if out := w.counter(t, "", "request", "list", "--open"); !strings.Contains(out, number[1]) || strings.Contains(out, "canary") {
		t.Errorf("list: %s", out)
	}
	if out := w.counter(t, "", append(officer, "request", "show", number[1], "--ground", "AVG 18, dossier 1")...); !strings.Contains(out, "canary-woorden") || !strings.Contains(out, hash) || !strings.Contains(out, family[0].Reveal()) {
		t.Errorf("show: %s", out)
	}
	if out := w.counter(t, "", append(officer, "request", "recipients", number[1], "--ground", "AVG 19, dossier 1")...); strings.Count(out, "\n") != 1 || !strings.Contains(out, "\t1\t") || !strings.Contains(out, "Leeftijd") {
		t.Errorf("who must be told: %q", out)
	}
	if out, say, err := w.withInput("", "resident", "request", "restrict", number[1], "--officer", "jurist-1"); err == nil || !strings.Contains(say, "may not") {
		t.Errorf("a jurist restricts: %v %s%s", err, out, say)
	}
	w.counter(t, "", append(officer, "request", "restrict", number[1])...)
	granted, withheld, _ := ask()
	if granted["huur.achterstand.bedrag"] || !withheld["huur.achterstand.bedrag"] || !withheld["persoon.leeftijd"] || !granted["persoon.leeftijd"] {
		t.Errorf("restricted: granted %v, withheld %v", granted, withheld)
	}
	if page = v.get("/"); !strings.Contains(page, "geven wij via Schakel geen gegevens over u") {
		t.Errorf("restricted, the page: %s", page)
	}
	answer := filepath.Join(t.TempDir(), "antwoord.txt")
	if err := os.WriteFile(answer, []byte("Wij hebben het uitgezocht.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.counter(t, "", append(officer, "request", "lift", number[1])...)
	w.counter(t, "", append(officer, "request", "answer", number[1], "--outcome", "granted", "--text", answer)...)
	if granted, withheld, _ = ask(); !granted["huur.achterstand.bedrag"] || withheld["persoon.leeftijd"] {
		t.Errorf("lifted: granted %v, withheld %v", granted, withheld)
	}
	if page = v.get("/verzoeken"); !strings.Contains(page, "Wij hebben het uitgezocht.") || !strings.Contains(page, "canary-woorden") {
		t.Errorf("answered: %s", page)
	}

	w.counter(t, family[1].Reveal()+"\n"+family[0].Reveal()+"\n", append(officer, "represent", "add", "--kind", "machtiging", "--name", "Sanne", "--until", "2099-01-01", "--proof", "machtiging, gezien")...)
	over := regexp.MustCompile(`name="over" value="(\S{4}-\S{4})"`).FindStringSubmatch(v.get("/"))
	if over == nil {
		t.Fatalf("not offered: %s", v.get("/"))
	}
	if page = v.overview(url.Values{"over": {over[1]}}); !strings.Contains(page, "Wie vroeg gegevens op van Sanne?") || !strings.Contains(page, "3 opvragingen") {
		t.Errorf("of another: %s", page)
	}

	paper := filepath.Join(t.TempDir(), "overzicht.html")
	w.counter(t, family[0].Reveal()+"\n", append(officer, "report", "--ground", "AVG 15, dossier 2", "--identified", "paspoort", "--out", paper)...)
	if info, err := os.Stat(paper); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(readFile(t, paper), "3 opvragingen") {
		t.Errorf("paper: %v %v", err, info)
	}
	w.counter(t, family[1].Reveal()+"\n", append(officer, "request", "make", "--kind", "complaint", "--text", answer)...)

	log := w.opened(t)
	for _, want := range []string{`how="inzage" worker="inwoner" purpose="inzage" ground="AVG 15: eigen inzage, ingelogd" sought="data subject 1.`, ", for their representative 1.",
		"request.made", "request.answered", "processing.restricted", "processing.lifted", "representation.added", `how="resident request show" worker="privacy-1"`, `how="resident request recipients" worker="privacy-1" purpose="inzage" ground="AVG 19, dossier 1" sought="data subject 1.`,
		`how="resident report" worker="privacy-1" purpose="inzage" ground="AVG 15, dossier 2; identiteit gezien: paspoort"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	if out, err := w.schakel("audit", "verify"); err != nil {
		t.Errorf("the log is not in order: %s", out)
	}
	w.stop(t)
	data := readFile(t, filepath.Join(w.dir, "journal.db"))
	for _, b := range []string{"canary-woorden", "Sanne", family[0].Reveal(), family[1].Reveal()} {
		if strings.Contains(data, b) {
			t.Errorf("the journal holds in clear what a resident asked, or who they are")
		}
	}
}

// checksProof: the file that the page gives holds for the report that it gives.
func (w *world) checksProof(t *testing.T, bsn, report, proof string) {
	t.Helper()
	var r audit.SubjectReport
	if err := json.Unmarshal([]byte(report), &r); err != nil || r.ProvedUntil == nil || len(r.Acts) != 1 {
		t.Fatal(err, report)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"overzicht.json": report, "bewijs.json": proof} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"audit", "index", "check", filepath.Join(dir, "bewijs.json"), "--bsn", "-", "--report", filepath.Join(dir, "overzicht.json")}
	for flag, command := range map[string][]string{"--log-key": {"audit", "key"}, "--pseudonym-key": {"audit", "index", "keys"}} {
		out, err := w.schakel(command...)
		if err != nil {
			t.Fatal(out)
		}
		for _, k := range strings.Fields(out) {
			args = append(args, flag, k)
		}
	}
	if out, say, err := w.withInput(bsn+"\n", args...); err != nil || !strings.Contains(out, "verified") {
		t.Errorf("check: %v %s%s", err, out, say)
	}
}

// restrictsElsewhere: a restriction that is recorded through the journal holds for the next answer of a gateway that had no part
// in it, and so does its end.
func (w *world) restrictsElsewhere(t *testing.T, bsn string, ask func() (string, error)) {
	t.Helper()
	text := filepath.Join(t.TempDir(), "verzoek.txt")
	if err := os.WriteFile(text, []byte("geef even niets\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := ask(); err != nil {
		t.Fatal(out)
	}
	made := w.counter(t, bsn+"\n", "request", "make", "--officer", "privacy-1", "--kind", "restriction", "--text", text)
	id := strings.Fields(made)[1]
	w.counter(t, "", "request", "restrict", id, "--officer", "privacy-1")
	if out, err := ask(); err == nil || !strings.Contains(out, "processing-restricted") {
		t.Errorf("restricted elsewhere, given here: %v %s", err, out)
	}
	w.counter(t, "", "request", "lift", id, "--officer", "privacy-1")
	if out, err := ask(); err != nil {
		t.Errorf("lifted elsewhere: %s", out)
	}
}
