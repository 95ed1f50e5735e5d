package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
)

// subject gives a command that reads a BSN from standard input.
func (w *world) subject(bsn string, args ...string) (out, say string, err error) {
	return w.withInput(bsn+"\n", append([]string{"audit"}, args...)...)
}

// withInput gives a command that reads something from standard input.
func (w *world) withInput(in string, args ...string) (out, say string, err error) {
	c := exec.Command(binary, args...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	c.Stdin = strings.NewReader(in)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

// provesAll: the file that goes with a report proves to anybody who has the public keys, and nothing else, that every event about
// this BSN stands in it. It serves no other BSN, and no report that leaves one out. A journal that lost one gets no file.
func (w *world) provesAll(t *testing.T, bsn string, look, hashes []string) {
	t.Helper()
	if out, err := w.schakel("audit", "index", "build"); err != nil {
		t.Fatal(out)
	}
	for end := time.Now().Add(soon); ; time.Sleep(500 * time.Millisecond) {
		out, err := w.schakel("audit", "index", "verify")
		if err == nil && strings.HasPrefix(out, "2 indexes are what the log says, 2 of them sealed") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the index was not sealed: %v, %s", err, out)
		}
	}
	for officer, want := range map[string]string{"fg-1": "0 requests that are not named\n", "auditor-1": "may not open this index"} {
		out, say, _ := w.subject("", "index", "not-named", "--index", "1", "--officer", officer, "--purpose", "toezicht", "--ground", "AVG 39")
		if !strings.Contains(out+say, want) {
			t.Errorf("what is not named, for %s: %s%s", officer, out, say)
		}
	}
	dir := t.TempDir()
	report, proof := filepath.Join(dir, "report.json"), filepath.Join(dir, "proof.json")
	if _, say, err := w.subject(bsn, append(look, "--json", "--out", report, "--proof", proof)...); err != nil {
		t.Fatal(say)
	}
	logKeys, err := w.schakel("audit", "key")
	if err != nil {
		t.Fatal(logKeys)
	}
	public, err := w.schakel("audit", "index", "keys")
	if err != nil {
		t.Fatal(public)
	}
	check := func(bsn, report string) (string, int) {
		args := []string{"audit", "index", "check", proof, "--bsn", "-", "--report", report}
		for _, k := range strings.Fields(logKeys) {
			args = append(args, "--log-key", k)
		}
		for _, k := range strings.Fields(public) {
			args = append(args, "--pseudonym-key", k)
		}
		c := exec.Command(binary, args...) // no folder, no ring, no server
		c.Dir, c.Env, c.Stdin = dir, []string{"PATH=" + os.Getenv("PATH")}, strings.NewReader(bsn+"\n")
		out, _ := c.CombinedOutput()
		return string(out), c.ProcessState.ExitCode()
	}
	// What is found by the index is what the whole log has.
	quick, say, err := w.subject(bsn, append(look, "--json", "--since", "2020-01-01")...)
	if err != nil {
		t.Fatal(say)
	}
	whole, say, err := w.subject(bsn, append(look, "--json", "--since", "2020-01-01", "--whole-log")...)
	if err != nil {
		t.Fatal(say)
	}
	made := regexp.MustCompile(`"gemaaktOp": "[^"]*"`)
	if !strings.Contains(quick, hashes[0]) || made.ReplaceAllString(quick, "") != made.ReplaceAllString(whole, "") {
		t.Errorf("by the index:\n%s\nof the whole log:\n%s", quick, whole)
	}
	out, code := check(bsn, report)
	if code != 0 || !strings.Contains(out, "verified: 2 events") || !strings.Contains(out, hashes[0]) || !strings.Contains(out, hashes[1]) {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := check(w.unknownBSN(), report); code != 4 {
		t.Errorf("it serves another BSN: exit %d: %s", code, out)
	}
	var r audit.SubjectReport
	if err := json.Unmarshal([]byte(readFile(t, report)), &r); err != nil || r.ProvedUntil == nil {
		t.Fatal(err, r.ProvedUntil)
	}
	r.Acts = r.Acts[1:]
	short, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(report, short, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, code := check(bsn, report); code != 4 || !strings.Contains(out, "does not name it") {
		t.Errorf("a report that leaves one out: exit %d: %s", code, out)
	}
}

// TestAuditSubject: what a resident is told of two questions about their household: one answered, one refused; who may ask
// for it, and that it is recorded first.
func TestAuditSubject(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	defer w.stop(t)
	startBolt(t, w)
	v := w.vars(t)
	var hashes []string
	for _, ask := range [][]string{
		{v["WORKER"], "wijkteammedewerker", "ontruiming-voorkomen"}, {"recherche-1", "sociaal-rechercheur", "handhaving"},
	} {
		out, err := w.schakel("ask", "--agency", v["GEMEENTE"], "--worker", ask[0], "--role", ask[1], "--purpose", ask[2],
			"--household", "case:"+v["CASE"], "--fields", "huur", "--save", filepath.Join(t.TempDir(), "answer.json"))
		if i := strings.Index(out, "vastgelegd als  "); i >= 0 {
			hashes = append(hashes, out[i+len("vastgelegd als  "):][:64])
		} else {
			t.Fatalf("%v: %s", err, out)
		}
	}
	look := []string{"subject", "--bsn", "-", "--officer", "fg-1", "--purpose", "inzage", "--ground", "AVG 15, verzoek canary-7"}

	out, say, err := w.subject(v["BSN"], append(look, "--json")...)
	if err != nil {
		t.Fatalf("%v: %s", err, say)
	}
	var r audit.SubjectReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Acts) != 2 || r.Acts[0].Event.String() != hashes[1] || r.Acts[1].Event.String() != hashes[0] || r.Unreadable != 0 {
		t.Fatalf("not the two questions, newest first: %s", out)
	}
	given, refused := r.Acts[1], r.Acts[0]
	if len(given.Given) == 0 || len(given.Asked) == 0 || given.Role != "Wijkteammedewerker" || given.Purpose != "Ontruiming voorkomen" || given.Recipient != broker.OIN(v["GEMEENTE"]) ||
		len(refused.Given) > 0 || len(refused.Withheld) == 0 || len(refused.Asked) > 0 {
		t.Errorf("%+v\n%+v", given, refused)
	}
	if strings.Contains(out, v["WORKER"]) || strings.Contains(out, "recherche-1") || strings.Contains(out, v["BSN"]) {
		t.Errorf("it names staff, or the BSN:\n%s", out)
	}

	w.provesAll(t, v["BSN"], look, hashes)

	file := filepath.Join(t.TempDir(), "overzicht.txt")
	if _, say, err := w.subject(v["BSN"], append(look, "--with-staff", "--out", file)...); err != nil {
		t.Fatalf("%v: %s", err, say)
	}
	text := readFile(t, file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(string(text), "Medewerker: recherche-1") || !strings.Contains(string(text), audit.NotNamed) {
		t.Errorf("%v, %v, %s", err, info, text)
	}
	if out, say, err := w.subject(w.unknownBSN(), look...); err != nil || !strings.Contains(out, "geen opvragingen") {
		t.Errorf("somebody nobody asked about: %v, %s%s", err, out, say)
	}

	for _, no := range []struct {
		says string
		args []string
	}{
		{"command line", []string{"subject", "--bsn", v["BSN"], "--officer", "fg-1", "--purpose", "inzage", "--ground", "AVG 15"}},
		{"exists already", append(look, "--out", file)},
		{"does not let you do this as auditor", []string{"subject", "--bsn", "-", "--officer", "auditor-1", "--purpose", "inzage", "--ground", "AVG 15", "--with-staff"}},
	} {
		if out, say, err := w.subject(v["BSN"], no.args...); err == nil || !strings.Contains(say, no.says) || strings.Contains(out, hashes[0]) {
			t.Errorf("%v: want …%s…, %v, %s%s", no.args, no.says, err, out, say)
		}
	}
	log := w.opened(t)
	if strings.Count(log, `view of=many how="audit subject" worker="fg-1" purpose="inzage" ground="AVG 15, verzoek canary-7" sought="data subject 1.`) < 3 {
		t.Errorf("not every look is recorded:\n%s", log)
	}
}
