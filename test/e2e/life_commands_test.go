package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// The life of a policy by commands alone: over the socket of a running server, and to Redis with the key ring beside, as from
// another machine. Two drafts on one base; a holder agrees on a machine of its own; what came in between is rebased or refused;
// the way back, twice.
func TestPolicyCommandsOnRedis(t *testing.T) {
	t.Parallel()
	policyCommands(t, startRedis)
}

// TestPolicyCommandsOverTheSocket is the long form (-rounds): TestRevisionLife gives its commands over sockets too.
func TestPolicyCommandsOverTheSocket(t *testing.T) {
	if *rounds == 0 {
		t.Skip("long form: -rounds 1")
	}
	policyCommands(t, startBolt)
}

// clerk gives commands on the policy of a world.
type clerk struct {
	t     *testing.T
	w     *world
	where []string // of the journal and the ring
}

func newClerk(t *testing.T, w *world) clerk {
	in := func(name string) string { return filepath.Join(w.dir, name) }
	if w.redis == nil {
		return clerk{t, w, []string{"--data", w.dir}}
	}
	return clerk{t, w, []string{"--redis", "redis://" + w.redis.Addr + "?shard=" + w.people.Municipality(), "--keys", in("keys.jwe"), "--passphrase-file", in("passphrase")}}
}

// run gives a command as JSON; out is what it prints and say its errors and progress.
func (c clerk) run(args ...string) (out, say string, err error) {
	if i := slices.Index(args, "--officer"); i >= 0 && c.w.redis != nil {
		args = append(args, "--key", filepath.Join(c.w.dir, "officers", args[i+1]+".jwk"))
	}
	if i := slices.Index(args, "--holder"); i >= 0 {
		args = append(args, "--key", filepath.Join(c.w.dir, "agencies", args[i+1]+".jwk"))
	}
	where := c.where
	if slices.Contains(args, "--proposal") { // a machine without a journal
		where = nil
	}
	cmd := exec.Command(binary, append(append([]string{"policy"}, args...), append(where, "--json")...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err = cmd.Run()
	c.t.Logf("policy %s: %.1f s, CPU %.1f s", args[0], time.Since(began).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	return stdout.String(), stderr.String(), err
}

// toldOf is what a step prints as JSON.
type toldOf struct {
	Done, State, Next, Statement string
	Draft                        int
	Revision                     broker.Revision
	Study                        map[string]json.RawMessage
}

// must gives a command that succeeds, and makes sure that what it prints has these members and no others.
func (c clerk) must(keys string, args ...string) (told toldOf) {
	c.t.Helper()
	out, say, err := c.run(args...)
	if err != nil {
		c.t.Fatalf("policy %s: %v\n%s%s", strings.Join(args, " "), err, out, say)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		c.t.Fatalf("policy %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(members)), " "); keys != "" && got != keys {
		c.t.Errorf("policy %s prints %s, want %s", strings.Join(args, " "), got, keys)
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		c.t.Fatal(err)
	}
	return told
}

func (c clerk) refused(says string, args ...string) {
	c.t.Helper()
	if out, say, err := c.run(args...); err == nil || !strings.Contains(out+say, says) {
		c.t.Errorf("policy %s: %v, want …%s…\n%s%s", strings.Join(args, " "), err, says, out, say)
	}
}

const (
	stepKeys = "done draft next revision state"
	liveKeys = "done draft revision state" // nothing comes after it
)

// submitted proposes files and gives the draft's number.
func (c clerk) submitted(files map[string][]byte, args ...string) string {
	c.t.Helper()
	told := c.must("done draft next revision state study", append([]string{"submit", policiestest.Folder(c.t, files), "--officer", "privacy-1"}, args...)...)
	if told.Revision != policies.Revision(files) || told.State != string(register.StateChecked) {
		c.t.Errorf("submitted: %+v", told)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(told.Study)), " "); got != "against blocked changed check difference impact revision tests" {
		c.t.Errorf("the study has %s", got)
	}
	return strconv.Itoa(told.Draft)
}

// live approves a draft, lets the holders agree that would give more, activates it, and makes sure that it decides.
func (c clerk) live(draft string, revision broker.Revision) (holders []broker.OIN) {
	c.t.Helper()
	told := c.must(stepKeys, "approve", draft, "--officer", "privacy-2")
	holders = c.waitsFor(draft).WaitsForHolders
	for _, holder := range holders {
		told = c.must(stepKeys, "agree", draft, "--holder", string(holder))
	}
	if told.State != string(register.StateApproved) {
		c.t.Errorf("approved: %+v", told)
	}
	c.activated(draft, revision)
	return holders
}

// waitsFor gives a draft as the register has it.
func (c clerk) waitsFor(draft string) register.Draft {
	c.t.Helper()
	n, err := strconv.Atoi(draft)
	if err != nil {
		c.t.Fatal(err)
	}
	d, _ := c.w.policy(c.t).Find(n)
	return d
}

func (c clerk) activated(draft string, revision broker.Revision) {
	c.t.Helper()
	if told := c.must(liveKeys, "activate", draft); told.State != string(register.StateLive) || told.Revision != revision {
		c.t.Errorf("activated: %+v", told)
	}
	if p := c.w.policy(c.t); p.Live != revision {
		c.t.Fatalf("draft %s is live, and %.12s decides", draft, p.Live)
	}
}

// with gives files where something was added to one.
func with(files map[string][]byte, name, more string) map[string][]byte {
	files[name] = append(files[name], more...)
	return files
}

func policyCommands(t *testing.T, start func(testing.TB, *world)) {
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	start(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	c := newClerk(t, w)
	small, wider := policies.Revision(policiestest.Small()), policies.Revision(policiestest.Wider())

	answer := c.looked(v, policiestest.Small())

	// From the shipped policy to the small one; in the long form by commands, which ask the shipped one in every combination.
	if *rounds == 0 {
		w.decidesBySmall(t)
	} else {
		c.live(c.submitted(policiestest.Small(), "--title", "klein"), small)
	}
	// The small one does not say who may query the log: then nobody may.
	c.refused("must say who may query the log", "why", answer, "--officer", "auditor-1")

	// Three drafts on one base: one that asks more of a holder, and two that stand on the old base once it is live.
	more := c.submitted(policiestest.Wider(), "--title", "ook de maanden")
	words := with(policiestest.Small(), "schakel/reasons.rego", "\n# Herzien.\n")
	aside := c.submitted(words, "--title", "redenen herzien")
	across := c.submitted(with(policiestest.Small(), "schakel/grants.rego", "\n# Herzien.\n"), "--title", "rijen herzien")

	c.refused("who wrote a draft", "approve", more, "--officer", "privacy-1")
	c.must(stepKeys, "approve", more, "--officer", "privacy-2")
	draft := c.waitsFor(more)
	if draft.State != register.StateChecked || len(draft.WaitsForHolders) == 0 || len(draft.Widens) != 1 || draft.Widens[0].Field != "huur.achterstand.maanden" {
		t.Fatalf("what it waits for: %+v", draft)
	}
	c.refused(string(draft.WaitsForHolders[0]), "activate", more)
	c.agreedElsewhere(more, draft.WaitsForHolders, v["GGZ"])
	c.activated(more, wider)

	// What was made on the old base is refused with what changed, and rebased; where both changed a file that is named.
	underneath := "changed underneath: schakel/grants.rego, schakel/small_test.rego"
	c.refused(underneath, "approve", aside, "--officer", "privacy-2")
	c.refused(underneath, "submit", policiestest.Folder(t, words), "--officer", "privacy-1", "--title", "nog eens", "--base", string(small))
	rebased := policies.Revision(with(policiestest.Wider(), "schakel/reasons.rego", "\n# Herzien.\n"))
	told := c.must("done draft next revision state study", "submit", "--rebase", aside, "--officer", "privacy-1")
	if told.Revision != rebased || string(told.Study["changed"]) != `["schakel/reasons.rego"]` {
		t.Errorf("rebased: %s, changed %s", told.Done, told.Study["changed"])
	}
	c.refused("changed the same files: schakel/grants.rego (all that changed underneath: schakel/grants.rego, schakel/small_test.rego)",
		"submit", "--rebase", across, "--officer", "privacy-1")
	by := c.submitted(with(policiestest.Wider(), "schakel/grants.rego", "\n# Herzien.\n"), "--rebase", across)
	if p := w.policy(t); p.Drafts[len(p.Drafts)-1].Title != "rijen herzien" || strconv.Itoa(len(p.Drafts)) != by {
		t.Errorf("brought together: %+v", p.Drafts[len(p.Drafts)-1])
	}

	// The way back, and forth again: there the holders' word is needed anew, and given on this machine.
	c.refused("never in force", "rollback", string(rebased), "--officer", "privacy-1")
	told = c.must("done draft next revision state study", "rollback", "--officer", "privacy-1")
	if told.Revision != small {
		t.Errorf("rolled back: %+v", told)
	}
	c.live(strconv.Itoa(told.Draft), small)
	told = c.must("done draft next revision state study", "rollback", string(wider), "--officer", "privacy-1", "--title", "toch weer")
	if holders := c.live(strconv.Itoa(told.Draft), wider); !slices.Equal(holders, draft.WaitsForHolders) {
		t.Errorf("asked again: %v", holders)
	}

	// From an emergency stop the same way back, to what it took the place of: nothing is wider than before it, so no holder is
	// asked.
	c.must("done next revision", "deny-all", "--officer", "privacy-1", "--reason", "proef")
	told = c.must("done draft next revision state study", "rollback", "--officer", "privacy-1")
	if holders := c.live(strconv.Itoa(told.Draft), wider); len(holders) > 0 {
		t.Errorf("after the stop it waits for %v", holders)
	}
	if p := w.policy(t); p.Stop != nil {
		t.Errorf("still stopped: %+v", p.Stop)
	}
	if out, err := w.schakel("audit", "verify"); err != nil {
		t.Errorf("the log: %v\n%s", err, out)
	}
}

// agreedElsewhere gives the holders' word for a draft: from a file of the proposal, on a machine without a journal. What was
// changed on the way is refused.
func (c clerk) agreedElsewhere(draft string, holders []broker.OIN, other string) {
	c.t.Helper()
	out, say, err := c.run("status", "--draft", draft)
	if err != nil {
		c.t.Fatal(out, say)
	}
	dir := c.t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
		return path
	}
	proposal, word := write("proposal.json", out), filepath.Join(dir, "word.jws")
	altered := write("altered.json", strings.Replace(out, `"kind":"gained"`, `"kind":"lost"`, 1))
	c.refused("difference report is not the one", "agree", "--proposal", altered, "--holder", string(holders[0]), "--out", word)
	c.refused("does not wait for "+other, "agree", "--proposal", proposal, "--holder", other, "--out", word)
	for i, holder := range holders {
		if told := c.must("done draft next revision statement", "agree", "--proposal", proposal, "--holder", string(holder), "--out", word); told.Statement != word {
			c.t.Errorf("signed: %+v", told)
		}
		text := readFile(c.t, word)
		at := strings.LastIndex(text, ".") + 5
		broken := write("broken.jws", text[:at]+map[bool]string{true: "B", false: "A"}[text[at] == 'A']+text[at+1:])
		c.refused("verify signature of the holder", "agree", "--statement", broken)
		told := c.must(stepKeys, "agree", "--statement", word)
		if want := map[bool]register.DraftState{true: register.StateApproved, false: register.StateChecked}[i == len(holders)-1]; told.State != string(want) {
			c.t.Errorf("agreed: %+v", told)
		}
		c.refused("does not wait", "agree", "--statement", word)
	}
}

// looked: what a draft would have changed in what was asked, and why a recorded decision was so, for officers only; each look is
// recorded.
func (c clerk) looked(v map[string]string, draft map[string][]byte) (answerID string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "answer.json")
	if out, err := c.w.schakel(askArgs(v, "--save", file)...); err != nil {
		c.t.Fatalf("ask: %s", out)
	}
	var evidence struct{ Body string }
	var answer struct{ ID string }
	if err := json.Unmarshal([]byte(readFile(c.t, file)), &evidence); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(evidence.Body), &answer); err != nil {
		c.t.Fatal(err)
	}
	shipped := policies.Revision(policies.Files())
	for _, base := range [][]string{nil, {"--base", string(shipped)}} {
		out, say, err := c.run(append([]string{"impact", policiestest.Folder(c.t, draft)}, base...)...)
		var r struct {
			Base, Draft        broker.Revision
			Requests, Replayed int
			Unlike, Closed     int
		}
		if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.Base != shipped || r.Draft != policies.Revision(draft) || r.Requests != 1 ||
			r.Replayed != 1 || r.Unlike != 0 || r.Closed != 0 {
			c.t.Errorf("impact %v: %v %s%s", base, err, out, say)
		}
	}
	c.refused("none is kept", "impact", strings.Repeat("0", 64))

	c.refused("who are you", "why", answer.ID)
	if c.w.redis == nil {
		c.refused("no officer", "why", answer.ID, "--officer", "niemand", "--key", filepath.Join(c.w.dir, "officers", "auditor-1.jwk"))
		c.refused("not the key", "why", answer.ID, "--officer", "fg-1", "--key", filepath.Join(c.w.dir, "officers", "auditor-1.jwk"))
	}
	for _, officer := range []string{"privacy-1", "auditor-1"} {
		out, say, err := c.run("why", answer.ID, "--officer", officer)
		var list []struct {
			Event, Subject string
			Why            struct {
				Revision broker.Revision
				Fields   []struct{ Field broker.Field }
			}
		}
		if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) == 0 || list[0].Why.Revision != shipped || len(list[0].Why.Fields) == 0 {
			c.t.Fatalf("why for %s: %v %s%s", officer, err, out, say)
		}
	}
	log := c.w.opened(c.t)
	if n := strings.Count(log, " view of="); n != 3 || !strings.Contains(log, `how="policy why" worker="auditor-1"`) {
		c.t.Errorf("%d views are recorded:\n%s", n, log)
	}
	return answer.ID
}
