package e2e

import (
	"bytes"
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

// TestTwoGateways: one Redis, two gateways, each begun by init. A consent withdrawn through one is honoured by the other
// at once. A gateway whose stream another process claims ends with an error.
func TestTwoGateways(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer func() { w.stop(t) }()
	v := w.vars(t)
	dir2 := filepath.Join(t.TempDir(), "gw2")
	if err := os.MkdirAll(dir2, 0o700); err != nil {
		t.Fatal(err)
	}
	port := redistest.FreePort(t)
	second := func(writer string) func(map[string]any) {
		return func(config map[string]any) {
			config["writer"], config["data"] = writer, dir2
			config["listen"] = fmt.Sprintf("127.0.0.1:%d", port)
		}
	}
	config2 := filepath.Join(w.dir, "gw2.yaml")
	w.write(t, "gw2.yaml", w.variant(t, second("gw2")))
	// A second start of gw1 in its own folder and on its own port does not disturb it.
	if out, err := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "schakel.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "already in use") {
		t.Fatalf("a second start: %v, %s", err, out)
	}
	w.write(t, "same-folder.yaml", w.variant(t, func(c map[string]any) { c["listen"] = "127.0.0.1:0" }))
	if out, err := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "same-folder.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "another server has it") {
		t.Fatalf("a second start in the folder: %v, %s", err, out)
	}
	if out, err := w.schakel(askArgs(v)...); err != nil {
		t.Fatalf("gw1 after a second start: %s", out)
	}
	out, err := exec.Command(binary, "serve", "--config", config2).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "schakel init") {
		t.Fatalf("serve made a stream that was absent: %v, %s", err, out)
	}
	for range 2 { // the second time it finds nothing to do
		if out, err := exec.Command(binary, "init", "--config", config2).CombinedOutput(); err != nil {
			t.Fatalf("init of gw2: %s", out)
		}
	}
	gw2 := exec.Command(binary, "serve", "--config", config2)
	var log bytes.Buffer
	gw2.Stderr = &log
	if err := gw2.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- gw2.Wait() }()
	defer func() { _ = gw2.Process.Kill() }()
	url2 := fmt.Sprintf("http://127.0.0.1:%d", port)
	waitReady(t, url2)

	ggz := func() (string, error) {
		return w.schakel("ask", "--server", url2, "--audience", v["SERVER"], "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role",
			"wijkteammedewerker", "--purpose", "ontruiming-voorkomen", "--household", "case:"+v["CASE"], "--fields", "ggz.behandelaar.contact")
	}
	consent := func(act string, more ...string) {
		t.Helper()
		if out, err := w.schakel(append([]string{"register", "consent", act, "--case", v["CASE"], "--person", "bsn:" + v["BSN"], "--kind", "release",
			"--domain", "ggz"}, more...)...); err != nil {
			t.Fatal(out)
		}
	}
	for range 2 {
		consent("give", "--recipient", v["GEMEENTE"], "--purposes", "ontruiming-voorkomen")
		if out, err := ggz(); err != nil {
			t.Fatalf("given through gw1, not used by gw2: %s", out)
		}
		consent("withdraw")
		if out, err := ggz(); err == nil || !strings.Contains(out, "release-missing") {
			t.Fatalf("withdrawn through gw1, used by gw2: %s", out)
		}
	}

	w.restrictsElsewhere(t, v["BSN"], func() (string, error) {
		return w.schakel("ask", "--server", url2, "--audience", v["SERVER"], "--agency", v["GEMEENTE"], "--worker", v["WORKER"], "--role",
			"wijkteammedewerker", "--purpose", "ontruiming-voorkomen", "--household", "case:"+v["CASE"], "--fields", "huur.achterstand.bedrag")
	})

	// A second gateway that takes gw1 for its name pushes gw1 out: it must not go on.
	port3 := redistest.FreePort(t)
	w.write(t, "gw1-again.yaml", w.variant(t, func(c map[string]any) {
		c["data"], c["listen"] = t.TempDir(), fmt.Sprintf("127.0.0.1:%d", port3)
	}))
	usurper := exec.Command(binary, "serve", "--config", filepath.Join(w.dir, "gw1-again.yaml"))
	if err := usurper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = usurper.Process.Kill(); _ = usurper.Wait() }()
	waitReady(t, fmt.Sprintf("http://127.0.0.1:%d", port3))
	if out, err := w.schakel(askArgs(v)...); err == nil {
		t.Errorf("an answer from a gateway whose stream is another's: %s", out)
	}
	first := w.process
	w.process = nil
	time.AfterFunc(soon, func() { _ = first.Process.Kill() })
	_ = first.Wait()
	if code := first.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the gateway whose stream was claimed ended with %d", code)
	}

	// gw2 goes on, and ends well.
	if out, err := ggz(); err == nil || !strings.Contains(out, "release-missing") {
		t.Errorf("gw2 after that: %s", out)
	}
	_ = gw2.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("gw2: %v, %s", err, log.String())
	}
	if strings.Contains(log.String(), v["BSN"]) || strings.Contains(log.String(), v["WORKER"]) {
		t.Errorf("the log of gw2 names persons: %s", log.String())
	}
}

func waitReady(t testing.TB, server string) {
	t.Helper()
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(server + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatal("not ready in time")
}
