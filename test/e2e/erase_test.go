package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
)

// TestEraseCommand: on a running server a resident and a closed case are erased before their term, on an officer's ground. What
// was kept about them can't be read any more; all that proves the log stays, and the server goes on.
func TestEraseCommand(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	defer w.stop(t)
	startBolt(t, w)
	v := w.vars(t)
	ask := func(theCase, worker string) {
		t.Helper()
		if out, err := w.schakel("ask", "--agency", v["GEMEENTE"], "--worker", worker, "--role", "wijkteammedewerker",
			"--purpose", "ontruiming-voorkomen", "--household", "case:"+theCase, "--fields", "huur", "--save", filepath.Join(t.TempDir(), "a.json")); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	report := func(bsn string) (r audit.SubjectReport) {
		t.Helper()
		out, say, err := w.subject(bsn, "subject", "--bsn", "-", "--officer", "fg-1", "--purpose", "inzage", "--ground", "AVG 15", "--json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &r)
		}
		if err != nil {
			t.Fatal(err, say)
		}
		return r
	}
	known, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	var resident broker.BSN // of the case, in as few others as can be
	least := len(known.Cases) + 1
	for _, c := range known.Cases {
		for _, b := range c.BSNs {
			n := 0
			for _, other := range known.Cases {
				if slices.Contains(other.BSNs, b) {
					n++
				}
			}
			if c.ID == v["CASE"] && n < least {
				resident, least = b, n
			}
		}
	}
	ask(v["CASE"], v["WORKER"])
	if out, err := w.schakel("audit", "index", "build"); err != nil {
		t.Fatal(out)
	}
	file := filepath.Join(t.TempDir(), "bsn")
	if err := os.WriteFile(file, []byte(resident.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	// What will be due: numbers, and nobody is asked who looks.
	due := func() int {
		t.Helper()
		out, err := w.schakel("erase", "--expired", "--dry-run", "--json", "--now", "2040-01-01")
		var s struct{ Survey struct{ Keys int } }
		if err != nil || json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &s) != nil || s.Survey.Keys < 3 {
			t.Errorf("%v, %s", err, out)
		}
		return s.Survey.Keys
	}
	before := due()
	if out, err := w.schakel("register", "officer", "suspend", "jurist-1"); err != nil {
		t.Fatal(out)
	}
	if after := due(); after != before+1 { // who the jurist is, from now on
		t.Errorf("with an officer suspended %d keys will be due, %d before", after, before)
	}
	officer := []string{"--officer", "privacy-1", "--ground", "AVG 17, dossier canary-9", "--settle", "100ms"}
	erase := func(args ...string) (string, error) {
		return w.schakel(append(append([]string{"erase"}, args...), officer...)...)
	}
	subject := []string{"--subject-bsn-file", file, "--before-term"}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("canary-vraag\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := w.counter(t, resident.Reveal()+"\n", "request", "make", "--officer", "privacy-1", "--kind", "complaint", "--text", text)
	number := strings.Fields(asked)[1]
	for _, no := range []struct {
		says string
		args []string
	}{
		{"open cases", subject},
		{"still to come", []string{"--expired", "--now", "2040-01-01"}},
	} {
		// Flags that are given twice count as given last.
		if out, err := w.schakel(append(append([]string{"erase"}, officer...), no.args...)...); err == nil || !strings.Contains(out, no.says) {
			t.Errorf("%v: want …%s…: %v, %s", no.args, no.says, err, out)
		}
	}
	for _, c := range known.Cases { // a signal or a claim too
		if slices.Contains(c.BSNs, resident) {
			if out, err := w.schakel("register", "case", "close", c.ID); err != nil {
				t.Fatal(out)
			}
		}
	}
	if out, err := erase(subject...); err == nil || !strings.Contains(out, "waits for an answer") {
		t.Errorf("erased with a request that waits: %v, %s", err, out)
	}
	w.counter(t, "", "request", "answer", number, "--officer", "privacy-1", "--outcome", "granted", "--text", text)
	theCase := []string{"--case", v["CASE"], "--before-term"}
	w.killedErasing(t, append(append([]string{"erase"}, theCase...), officer[:4]...))
	if out, err := erase(subject...); err == nil || !strings.Contains(out, "erasure 1, of a case, was interrupted") {
		t.Errorf("another erasure while one was interrupted: %v, %s", err, out)
	}
	for n, what := range [][]string{theCase, subject} { // the first goes on
		out, err := erase(what...)
		if err != nil || !strings.Contains(out, "erased and recorded") {
			t.Fatalf("erasure %d: %v, %s", n+1, err, out)
		}
	}

	if r := report(resident.Reveal()); len(r.Acts) != 1 || r.Acts[0].State != audit.ActErased || len(r.Acts[0].Given) > 0 {
		t.Errorf("after: %+v", r.Acts)
	}
	if out := w.counter(t, "", "request", "list"); strings.Contains(out, number) {
		t.Errorf("what the resident asked is there still: %s", out)
	}
	ask(v["OTHER_CASE"], v["OTHER_WORKER"]) // the server goes on, under the ring as it is now
	for _, whole := range [][]string{{"verify"}, {"replay"}, {"index", "verify"}} {
		if out, err := w.schakel(append([]string{"audit"}, whole...)...); err != nil {
			t.Errorf("audit %v: %v, %s", whole, err, out)
		}
	}
	log := w.opened(t)
	for _, line := range []string{"register erasure.begun ", "register erasure.ended "} {
		if strings.Count(log, line) != 2 {
			t.Errorf("the log does not say twice %q:\n%s", line, log)
		}
	}
	if !strings.Contains(log, `worker="privacy-1" role="privacy-officer" purpose="wissen" ground="AVG 17, dossier canary-9"`) || strings.Contains(log, resident.Reveal()) {
		t.Errorf("who erased, and why, is not in the log, or for whom is:\n%s", log)
	}

}

// killedErasing kills an erasure after it has deleted its keys, while it waits for what gateways are making.
func (w *world) killedErasing(t *testing.T, args []string) {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
	says, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(says); lines.Scan(); {
		if said = append(said, lines.Text()); strings.HasSuffix(lines.Text(), "deleted") {
			_ = c.Process.Kill()
		}
	}
	if err := c.Wait(); err == nil || len(said) < 2 || !strings.HasSuffix(said[len(said)-1], "deleted") {
		t.Fatalf("not killed in between: %v, %q", err, said)
	}
}
