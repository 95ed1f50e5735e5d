package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestCheckpoints: in the demo every event comes under a checkpoint. An event has an offline proof, which nothing but the log's
// public key verifies; the log extends what it was, over a kill; and a journal that was put back is found, and named.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	_, brp := people(t)
	dir := filepath.Join(t.TempDir(), "data")
	d := startDemo(t, dir, brp)
	w := &world{dir: dir}
	ask := func() {
		t.Helper()
		if out, code := d.paste(t, 0); code != 0 {
			t.Fatalf("exit %d: %s", code, out)
		}
	}
	ask()
	w.held(t)
	key, err := w.schakel("audit", "key")
	if err != nil {
		t.Fatal(key)
	}
	event := w.eventOf(t, filepath.Join(dir, "answer.json"))
	proof := filepath.Join(dir, "event.tlog-proof")
	if out, err := w.schakel("audit", "prove", event.Writer, event.ID, "--out", proof); err != nil {
		t.Fatal(out)
	}
	verify := append([]string{"verify", proof}, logKeys(key)...)
	away := exec.Command(binary, verify...) // no folder, no ring, no server
	away.Dir, away.Env = t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}
	if out, err := away.CombinedOutput(); err != nil || !strings.Contains(string(out), event.Hash) {
		t.Errorf("the proof does not verify: %v, %s", err, out)
	}
	bad := []byte(readFile(t, proof))
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(proof, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := exitOf(exec.Command(binary, verify...)); code != 4 {
		t.Errorf("an altered proof: exit %d", code)
	}

	// Kept now, to be held against the log later.
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, []byte(readFile(t, filepath.Join(dir, "checkpoints", "checkpoint"))), 0o600); err != nil {
		t.Fatal(err)
	}
	before, older := filepath.Join(t.TempDir(), "journal.db"), filepath.Join(t.TempDir(), "checkpoints")
	d.interrupt(t)
	if err := os.CopyFS(older, os.DirFS(filepath.Join(dir, "checkpoints"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(before, []byte(readFile(t, filepath.Join(dir, "journal.db"))), 0o600); err != nil {
		t.Fatal(err)
	}
	d = startDemo(t, dir, brp)
	ask()
	_ = d.process.Process.Signal(syscall.SIGKILL)
	_ = d.process.Wait()
	d = startDemo(t, dir, brp)
	ask()
	w.held(t)
	if out, err := w.schakel("audit", "verify", "--since-checkpoint", kept); err != nil || !strings.Contains(out, "it extends 1 kept before") {
		t.Errorf("after a kill: %v, %s", err, out)
	}
	last := w.eventOf(t, filepath.Join(dir, "answer.json"))
	d.interrupt(t)

	// The folder of before in the place of this one: it is whole, and shorter than the journal remembers.
	newer := filepath.Join(t.TempDir(), "newer")
	if err := errors.Join(os.Rename(filepath.Join(dir, "checkpoints"), newer), os.CopyFS(filepath.Join(dir, "checkpoints"), os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	if out, err := w.schakel("audit", "verify"); err == nil || !strings.Contains(out, "put back or altered") {
		t.Errorf("a folder that was put back: %v, %s", err, out)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "checkpoints")), os.Rename(newer, filepath.Join(dir, "checkpoints"))); err != nil {
		t.Fatal(err)
	}

	// The journal of before in the place of this one, and the signed heads gone: only the checkpoint knows.
	if err := os.Rename(before, filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "heads")); err != nil {
		t.Fatal(err)
	}
	out, err := w.schakel("audit", "verify", "--json")
	if err == nil || !strings.Contains(out, `"code":"missing","stream":"audit:demo"`) {
		t.Errorf("a journal that was put back: %v, %.2000s", err, out)
	}
	// What was lost has its proof all the same: the Merkle log kept its hash.
	if out, err := w.schakel("audit", "prove", last.Writer, last.ID); err == nil || !strings.Contains(out, "has no entry") {
		t.Errorf("a lost event: %v, %s", err, out)
	}
}

// TestWitness: `schakel witness`, run by another organisation, cosigns what a gateway publishes. Without it nothing is
// published, and a gateway whose events wait too long answers 503, until the witness is back.
func TestWitness(t *testing.T) {
	t.Parallel()
	people, brp := people(t)
	w := &world{tb: t, people: people, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	other := t.TempDir()
	key, err := exec.Command(binary, "witness", "key", "getuige.example", "--out", filepath.Join(other, "key")).Output()
	if err != nil {
		t.Fatal(err)
	}
	vkey := strings.TrimSpace(string(key))
	address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
	listen := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
	w.adjust = func(c map[string]any) {
		c["checkpoints"] = map[string]any{"folder": "checkpoints", "origin": "schakel.example/log", "listen": listen, "maxUnsealed": "1s",
			"witnesses": []map[string]any{{"verifierKey": vkey, "url": "http://" + address}}}
	}
	startRedis(t, w)
	t.Cleanup(func() { w.stop(t) })
	v := w.vars(t)
	log, err := w.schakel("audit", "key", "--origin", "schakel.example/log")
	if err != nil {
		t.Fatal(log)
	}
	if err := os.WriteFile(filepath.Join(other, "log"), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := w.until(t, v, 503); !strings.Contains(code, "log-unsealed") {
		t.Errorf("without a witness: %s", code)
	}
	if status := statusOf(t, v["SERVER"]+"/readyz"); status != 503 {
		t.Errorf("readyz: %d", status)
	}
	if m := bodyOf(t, v["SERVER"]+"/metrics"); strings.Contains(m, "schakel_log_unsealed_seconds 0\n") || !strings.Contains(m, "schakel_checkpoint_alarms_total 0") {
		t.Errorf("metrics of a log that waits: %.3000s", m)
	}
	witness := exec.Command(binary, "witness", "--listen", address, "--key", filepath.Join(other, "key"), "--folder", filepath.Join(other, "state"),
		"--log", filepath.Join(other, "log"))
	said, err := witness.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := witness.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = witness.Process.Kill(); _ = witness.Wait() })
	if line, _ := bufio.NewReader(said).ReadString('\n'); !strings.Contains(line, "witness on") {
		t.Fatalf("the witness says %q", line)
	}
	w.until(t, v, 200)
	w.held(t, "--origin", "schakel.example/log", "--witness", vkey, "--quorum", "1")
	resp, err := http.Get("http://" + listen + "/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the log is not served: %d", resp.StatusCode)
	}
}

// until asks until an answer has a status, and gives its body.
func (w *world) until(t *testing.T, v map[string]string, status int) string {
	t.Helper()
	token := w.token(t, v["SERVER"], v["GEMEENTE"], v["WORKER"], "wijkteammedewerker")
	body := fmt.Appendf(nil, `{"household":{"case":%q},"purpose":"ontruiming-voorkomen","fields":["huur.achterstand.bedrag"]}`, v["CASE"])
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		resp := w.post(t, v["SERVER"], token, body, nil)
		text := make([]byte, 4096)
		n, _ := resp.Body.Read(text)
		_ = resp.Body.Close()
		if resp.StatusCode == status {
			return string(text[:n])
		}
		if time.Now().After(end) {
			t.Fatalf("no answer with status %d: %d, %s; the server says:\n%s", status, resp.StatusCode, text[:n], w.output.String())
		}
	}
}

// place is where an event stands.
type place struct{ Writer, ID, Hash string }

// eventOf finds the event of a kept answer by its receipt.
func (w *world) eventOf(t *testing.T, answer string) place {
	t.Helper()
	info, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(binary, "verify", answer, "--jwks", info.Server+"/.well-known/jwks.json").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(said), "receipt: ")
	hash, _, _ := strings.Cut(rest, " ")
	log, err := w.schakel("audit", "log", "--json")
	if err != nil {
		t.Fatal(log)
	}
	for _, line := range strings.Split(log, "\n") {
		var p place
		if json.Unmarshal([]byte(line), &p) == nil && p.Hash == hash {
			return p
		}
	}
	t.Fatalf("no event has the hash %s", hash)
	return place{}
}

func logKeys(list string) (flags []string) {
	for _, k := range strings.Fields(list) {
		flags = append(flags, "--log-key", k)
	}
	return flags
}

func exitOf(c *exec.Cmd) int {
	_ = c.Run()
	return c.ProcessState.ExitCode()
}
