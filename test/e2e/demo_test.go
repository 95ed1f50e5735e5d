package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemoGuide pastes every command of the guide into a shell, in another folder.
func TestDemoGuide(t *testing.T) {
	_, brp := people(t)
	dir := filepath.Join(t.TempDir(), "a folder with 'quotes'")
	d := startDemo(t, dir, brp)
	if n := len(d.commands); n != 6 {
		t.Fatalf("%d commands in the guide, want 6:\n%s", n, d.text)
	}
	var said []string
	for i, line := range d.commands {
		out, code := d.paste(t, i)
		if want := []int{0, 0, 3, 0, 0, 0}[i]; code != want {
			t.Errorf("exit %d, want %d: %s\n%s", code, want, line, out)
		}
		said = append(said, out)
	}
	for i, want := range []string{"Verstrekt", "Niet verstrekt", "geweigerd", "verified: answer", "disclosure refused", "the log is whole"} {
		if !strings.Contains(said[i], want) {
			t.Errorf("command %d does not say %q:\n%s", i+1, want, said[i])
		}
	}
	if strings.Contains(said[0], "Niet verstrekt") {
		t.Errorf("the first command is not wholly granted:\n%s", said[0])
	}

	// A second demo keeps out of this folder and off this port, and leaves nothing behind.
	out, err := exec.Command(binary, "demo", "--data", dir, "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "name another folder with --data") {
		t.Errorf("a second demo in the folder: %v, %s", err, out)
	}
	other := filepath.Join(t.TempDir(), "other")
	out, err = exec.Command(binary, "demo", "--data", other, "--listen", strings.TrimPrefix(d.server, "http://")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--listen") {
		t.Errorf("a second demo on the port: %v, %s", err, out)
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a start that failed left %s: %v", other, err)
	}

	// The folder survives a restart: cases, answers, and a log that goes on in a new epoch.
	before := readFile(t, filepath.Join(dir, "demo.json"))
	d.interrupt(t)
	d = startDemo(t, dir, brp)
	after := readFile(t, filepath.Join(dir, "demo.json"))
	if cut(before) != cut(after) {
		t.Error("demo.json changed by a restart")
	}
	w := &world{dir: dir}
	if out, err := w.schakel("audit", "verify", "--receipt", filepath.Join(dir, "answer.json")); err != nil || !strings.Contains(out, "receipts that match: 1") {
		t.Errorf("verify after the restart: %v, %s", err, out)
	}
	log, err := w.schakel("audit", "log", "--json")
	if err != nil || !strings.Contains(log, `"kind":"stop"`) || !strings.Contains(log, `"id":"2-0"`) {
		t.Errorf("no stop and second epoch in the log: %v, %.2000s", err, log)
	}
	d.interrupt(t)

	// With other persons the cases of this folder would be about nobody.
	if brp != "" {
		c := exec.Command(binary, "demo", "--data", dir, "--listen", "127.0.0.1:0")
		c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SCHAKEL_BRP=") })
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "--brp") {
			t.Errorf("other persons: %v, %s", err, out)
		}
	}
}

// cut leaves out the addresses, which may be others after a restart.
func cut(demoJSON string) string {
	var v map[string]any
	_ = json.Unmarshal([]byte(demoJSON), &v)
	delete(v, "server")
	delete(v, "checkpoints")
	delete(v, "residents")
	out, _ := json.Marshal(v)
	return string(out)
}

// TestDemoKilledWhileFilling: a demo killed while it fills its folder starts again with the same folder.
func TestDemoKilledWhileFilling(t *testing.T) {
	_, brp := people(t)
	for _, moment := range []string{"seeding", "agencies", "heads"} {
		dir := ""
		for end := time.Now().Add(soon); ; {
			if dir = killedAt(t, moment, brp); dir != "" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("killed at %s, but never while filling", moment)
			}
		}
		d := startDemo(t, dir, brp)
		if out, err := (&world{dir: dir}).schakel("audit", "verify"); err != nil {
			t.Errorf("killed at %s: %s", moment, out)
		}
		d.interrupt(t)
	}
}

// killedAt kills a demo as soon as something is in its folder, and gives the folder; "" where the demo was quicker, and had filled
// it.
func killedAt(t *testing.T, moment, brp string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	args := []string{"demo", "--data", dir, "--listen", "127.0.0.1:0"}
	if brp != "" {
		args = append(args, "--brp", brp)
	}
	c := exec.Command(binary, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		if _, err := os.Stat(filepath.Join(dir, moment)); err == nil {
			break
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if _, err := os.Stat(filepath.Join(dir, "seeding")); err != nil {
		return ""
	}
	return dir
}

// paste gives a command of the guide to a shell, in another folder.
func (d *demo) paste(t *testing.T, n int) (out string, code int) {
	t.Helper()
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		c := exec.Command("sh", "-c", d.commands[n])
		c.Dir = t.TempDir()
		said, _ := c.CombinedOutput()
		if out, code = string(said), c.ProcessState.ExitCode(); !unrecorded(out) || time.Now().After(end) {
			return out, code
		}
	}
}

// demo is a running `schakel demo` and its guide.
type demo struct {
	process  *exec.Cmd
	text     string
	server   string
	commands []string
}

func startDemo(t *testing.T, dir, brp string) *demo {
	t.Helper()
	args := []string{"demo", "--data", dir, "--listen", "127.0.0.1:0"}
	if brp != "" {
		args = append(args, "--brp", brp)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // killed when the test is over, if it still runs
	t.Cleanup(cancel)
	d := &demo{process: exec.CommandContext(ctx, binary, args...)}
	out, err := d.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	d.process.Stderr = &errs
	started := time.Now()
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		d.text += lines.Text() + "\n"
		if strings.Contains(lines.Text(), binary) && !strings.Contains(lines.Text(), "--help") {
			d.commands = append(d.commands, lines.Text())
		}
		if _, rest, ok := strings.Cut(lines.Text(), "draait op "); ok {
			d.server, _, _ = strings.Cut(rest, " ")
		}
		if strings.HasPrefix(lines.Text(), "Stop met") {
			t.Logf("guide after %v", time.Since(started).Round(time.Millisecond))
			return d
		}
	}
	_ = d.process.Wait()
	t.Fatalf("no guide: %s%s", d.text, errs.String())
	return nil
}

// interrupt ends it as Ctrl-C does.
func (d *demo) interrupt(t *testing.T) {
	t.Helper()
	_ = d.process.Process.Signal(syscall.SIGINT)
	if err := d.process.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
