package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// looksList is the JSON of `audit looks`.
type looksList struct {
	Judged, Unread int
	Rules          string
	Looks          []struct {
		Answer, Case string
		Worker       struct{ ID string }
		Judgement    struct {
			Explanations, Patterns []struct{ ID, NL, EN string }
			Score                  int
			Listed                 bool
		}
		Review *struct{ Outcome string }
	}
}

func (l looksList) patterns() (out []string) {
	for _, one := range l.Looks {
		said := one.Worker.ID
		for _, p := range one.Judgement.Patterns {
			said += " " + p.ID
		}
		out = append(out, said)
	}
	return out
}

// TestAuditLooks: an own case, a colleague's case that nobody works on, the same after the colleague worked on it, and numbers
// that are tried: what the working list has of them, who may see it, that it is recorded first, and what a manager gets.
func TestAuditLooks(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	defer w.stop(t)
	startBolt(t, w)
	v := w.vars(t)
	ask := func(worker, household string, refused bool) {
		t.Helper()
		out, err := w.schakel("ask", "--agency", v["GEMEENTE"], "--worker", worker, "--role", "wijkteammedewerker", "--purpose", "ontruiming-voorkomen",
			"--household", household, "--fields", "huur")
		if (err != nil) != refused {
			t.Fatalf("%s asks about %s: %v, %s", worker, household, err, out)
		}
	}
	do := func(args ...string) string {
		t.Helper()
		out, err := w.schakel(args...)
		if err != nil {
			t.Fatalf("%v: %v, %s", args, err, out)
		}
		return out
	}
	do("register", "agency", "team", v["GEMEENTE"], "noord", v["OUTSIDER"], v["WORKER"])
	do("register", "case", "assign", "--case", v["CASE"], "--agency", v["GEMEENTE"], "--team", "noord")
	ask(v["OUTSIDER"], "case:"+v["CASE"], false) // nobody works on it
	ask(v["WORKER"], "case:"+v["CASE"], false)   // whose it is
	ask(v["OUTSIDER"], "case:"+v["CASE"], false) // a colleague works on it
	for range 3 {
		ask("nieuwsgierig", "bsn:"+v["BSN"], true)
	}

	out := func(args ...string) (string, string, error) {
		c := exec.Command(binary, args...)
		c.Env = append(c.Environ(), "SCHAKEL_DATA="+w.dir)
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		err := c.Run()
		return stdout.String(), stderr.String(), err
	}
	look := []string{"audit", "looks", "--officer", "fg-1", "--purpose", "controle", "--ground", "AVG 32, steekproef canary-8"}
	list := func() (l looksList) {
		t.Helper()
		text, say, err := out(append(look, "--json")...)
		if err != nil || json.Unmarshal([]byte(text), &l) != nil {
			t.Fatalf("%v: %s%s", err, text, say)
		}
		return l
	}
	l := list()
	// At night or at a weekend the rhythm of nobody is known yet: four weeks of the log are needed.
	if got := strings.Join(l.patterns(), "; "); l.Judged != 6 || l.Unread != 0 || got != "nieuwsgierig fishing; "+v["OUTSIDER"]+" unexplained" {
		t.Fatalf("%d judged, %d unread: %s", l.Judged, l.Unread, got)
	}
	if one := l.Looks[1]; one.Case != v["CASE"] || len(one.Judgement.Explanations) != 0 || one.Review != nil || l.Looks[0].Case != "" {
		t.Errorf("%+v", l.Looks)
	}
	review := append([]string{"audit", "looks", "review", l.Looks[0].Answer, "--outcome", "misuse"}, look[2:]...)
	do(review...)
	review[5] = "explained"
	do(review...)
	l = list()
	if len(l.Looks) != 2 || l.Looks[1].Review == nil || l.Looks[1].Review.Outcome != "explained" || l.Looks[0].Review != nil {
		t.Errorf("after the review, which goes last: %+v", l.Looks)
	}
	if text, _, err := out(look...); err != nil || !strings.Contains(text, "Werklijst – working list: 2 van – of 6") || !strings.Contains(text, "verklaard – explained") {
		t.Errorf("%v: %s", err, text)
	}

	month := time.Now().In(broker.Amsterdam()).Format("2006-01")
	text, say, err := out("audit", "looks", "--report", month, "--json")
	if err != nil || !strings.Contains(text, `"judged":"<10","given":"<10","listed":"<10"`) || !strings.Contains(text, `"looks":"<10","workers":"<10"`) ||
		strings.Contains(text, "nieuwsgierig") || strings.Contains(text, v["OUTSIDER"]) || strings.Contains(text, v["CASE"]) {
		t.Errorf("the report for managers: %v, %s%s", err, text, say)
	}

	for _, no := range []struct {
		says string
		args []string
	}{
		{"does not let you do this as jurist; these roles may: auditor, functionaris-gegevensbescherming", []string{"audit", "looks", "--officer", "jurist-1", "--purpose", "controle", "--ground", "AVG 32"}},
		{"is no month", []string{"audit", "looks", "--report", "november"}},
		{"The outcome is", append(review[:4:4], append([]string{"--outcome", "weg"}, look[2:]...)...)},
	} {
		if text, say, err := out(no.args...); err == nil || !strings.Contains(say, no.says) || text != "" {
			t.Errorf("%v: want …%s…, %v, %s%s", no.args, no.says, err, text, say)
		}
	}
	log := w.opened(t)
	if n := strings.Count(log, `view of=many how="audit looks" worker="fg-1" purpose="controle" ground="AVG 32, steekproef canary-8" sought="looks that nothing explains"`); n != 3 {
		t.Errorf("%d looks over the list are recorded, want 3\n%s", n, log)
	}
	if strings.Count(log, `how="audit looks review: misuse" worker="fg-1"`) != 1 || strings.Count(log, `how="audit looks review: explained" worker="fg-1"`) != 1 {
		t.Errorf("the reviews are not recorded: %s", log)
	}
}
