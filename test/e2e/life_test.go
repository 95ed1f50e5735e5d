package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/policiestest"
)

// TestRevisionLife: two gateways on one Redis. A draft is submitted, its author may not approve it, a colleague does, and
// both serve it from one point on. An altered bundle is refused: who serves goes on, who starts answers 503 and says why.
// One officer stops everything; the way back is approved.
func TestRevisionLife(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	gateways := []string{v["SERVER"], w.another(t, "gw2", w.redis.Addr)}
	first, way := policies.Revision(policiestest.Small()), w.decidesBySmall(t)
	for _, g := range gateways {
		w.serves(t, v, g, first)
	}
	answered := func(what string, revision broker.Revision, reason string) {
		t.Helper()
		for i, g := range gateways {
			r, out := w.askOne(t, v, g)
			if r != revision || !strings.Contains(out, reason) {
				t.Fatalf("%s: gateway %d answers by %.12s, want %.12s\n%s", what, i+1, r, revision, out)
			}
		}
	}
	files := with(policiestest.Small(), "schakel/grants.rego", "\n# Herzien.\n")
	folder := policiestest.Folder(t, files)
	revised := policies.Revision(files)
	must := func(args ...string) string {
		t.Helper()
		out, err := w.schakel(append([]string{"policy"}, args...)...)
		if err != nil {
			t.Fatalf("policy %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	refused := func(says string, args ...string) {
		t.Helper()
		if out, err := w.schakel(append([]string{"policy"}, args...)...); err == nil || !strings.Contains(out, says) {
			t.Fatalf("policy %s: %v, want …%s…\n%s", strings.Join(args, " "), err, says, out)
		}
	}
	refused("may not author", "submit", folder, "--officer", "fg-1", "--title", "herzien")
	must("submit", folder, "--officer", "privacy-1", "--title", "herzien")
	refused("waits for the approval", "activate", "2")
	refused("ask a colleague", "approve", "2", "--officer", "privacy-1")
	refused("may not approve", "approve", "2", "--officer", "fg-1")
	must("approve", "2", "--officer", "privacy-2")
	answered("approved and not yet activated", first, "")
	must("activate", "2")
	answered("activated", revised, "")
	status := must("status")
	for _, want := range []string{"in force: " + string(revised), "gw1", "gw2", "serves the policy in force", "privacy-1", "live"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status lacks %q:\n%s", want, status)
		}
	}

	// One byte of the bundle: who has it compiled goes on; who starts has nothing to decide by.
	third, log := w.started(t, "gw3")
	answered("with an altered bundle in the store", revised, "")
	if code := statusOf(t, third+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("a gateway that started on an altered bundle is ready: %d", code)
	}
	if _, out := w.askOne(t, v, third); !strings.Contains(out, "503") && !strings.Contains(out, "revision-not-loaded") {
		t.Errorf("it answers %s", out)
	}
	if !strings.Contains(log.String(), "policy not loaded") {
		t.Errorf("it does not say why:\n%s", log)
	}
	w.alterBundle(t, revised)
	waitReady(t, third) // it is whole again
	gateways = append(gateways, third)
	answered("put back", revised, "")

	must("deny-all", "--officer", "privacy-1", "--reason", "er gaat iets mis")
	stopped := w.policy(t).Live
	answered("stopped", stopped, "emergency-stop")
	if !strings.Contains(w.output.String(), "EMERGENCY STOP") {
		t.Error("no gateway logs the stop")
	}
	for _, g := range gateways {
		if m := bodyOf(t, g+"/metrics"); !strings.Contains(m, "schakel_policy_stopped 1") {
			t.Errorf("%s does not show the stop in its metrics", g)
		}
	}
	refused("policy rollback", "deny-all", "--officer", "privacy-1", "--reason", "nog eens")
	if status := must("status"); !strings.Contains(status, "EMERGENCY STOP") || !strings.Contains(status, "er gaat iets mis") {
		t.Errorf("the status is not loud:\n%s", status)
	}

	// The way back takes two, as every revision does.
	if _, err := way.desk.do(t.Context(), way.activate(t, revised)...); err != nil {
		t.Fatal(err)
	}
	w.serves(t, v, gateways[1], revised)
	answered("after the stop", revised, "")
	if out, err := w.schakel("audit", "verify"); err != nil {
		t.Errorf("the log: %v\n%s", err, out)
	}
}

// decidesBySmall brings the small policy into force, of which reports are made in a moment, and gives who brought it.
func (w *world) decidesBySmall(t *testing.T) *officers {
	t.Helper()
	ring := w.openRing(t)
	desk := w.newRegistrar(t, ring, shippedCatalog(t), "balie")
	desk.keepBundle(t, ring, policiestest.Small())
	o := &officers{desk: desk, author: w.officer(t, "privacy-1"), approver: w.officer(t, "privacy-2"), ids: [2]register.OfficerID{"privacy-1", "privacy-2"}}
	if _, err := desk.do(t.Context(), o.activate(t, policies.Revision(policiestest.Small()))...); err != nil {
		t.Fatal(err)
	}
	return o
}

// serves waits until a gateway answers by a revision.
func (w *world) serves(t *testing.T, v map[string]string, server string, revision broker.Revision) {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(50 * time.Millisecond) {
		r, out := w.askOne(t, v, server)
		if r == revision {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s answers by %.12s, want %.12s\n%s", server, r, revision, out)
		}
	}
}

// askOne asks a gateway, and gives the revision that its answer names and everything that was printed.
func (w *world) askOne(t *testing.T, v map[string]string, server string) (broker.Revision, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "answer.json")
	out, _ := w.schakel(askArgs(v, "--server", server, "--audience", v["SERVER"], "--save", file)...)
	var evidence struct{ Body string }
	var answer struct {
		Policy struct{ Revision broker.Revision }
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &evidence)
	}
	if err == nil {
		err = json.Unmarshal([]byte(evidence.Body), &answer)
	}
	if err != nil {
		return "", out
	}
	return answer.Policy.Revision, out + evidence.Body
}

func (w *world) policy(t *testing.T) register.Policy {
	t.Helper()
	out, err := w.schakel("policy", "status", "--json")
	if err != nil {
		t.Fatal(out)
	}
	var p register.Policy
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) officer(t *testing.T, id string) keys.Signer {
	t.Helper()
	signer, err := keys.ParseSigner([]byte(readFile(t, filepath.Join(w.dir, "officers", id+".jwk"))))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// alterBundle turns the lowest bit of one byte of a bundle in Redis round: twice, and it is as it was.
func (w *world) alterBundle(t *testing.T, r broker.Revision) {
	t.Helper()
	w.redis.Do(t, `eval "local v = redis.call('hget', KEYS[1], ARGV[1]) local n = math.floor(#v / 2) local c = string.byte(v, n) `+
		`return redis.call('hset', KEYS[1], ARGV[1], v:sub(1, n - 1) .. string.char(c % 2 == 0 and c + 1 or c - 1) .. v:sub(n + 1))" 1 `+
		"schakel:{"+w.people.Municipality()+"}:blobs "+string(r))
}

// started starts a gateway that need not become ready.
func (w *world) started(t *testing.T, writer string) (url string, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	listen, dir := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t)), t.TempDir()
	w.write(t, writer+".yaml", w.variant(t, func(c map[string]any) { c["writer"], c["data"], c["listen"] = writer, dir, listen }))
	config := filepath.Join(w.dir, writer+".yaml")
	if out, err := exec.Command(binary, "init", "--config", config).CombinedOutput(); err != nil {
		t.Fatalf("init of %s: %s", writer, out)
	}
	w.alterBundle(t, w.policy(t).Live) // after init, which refuses it too
	gw := exec.Command(binary, "serve", "--config", config)
	gw.Stderr = log
	if err := gw.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gw.Process.Kill(); _ = gw.Wait() })
	return "http://" + listen, log
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			return resp.StatusCode
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func bodyOf(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
