// Package docs holds the documents to the program: what README.md says can be run is run, out of README.md itself, against
// a real demo; what it lists is held against the code. It holds tests only, and nobody imports it.
package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/test/program"
)

const root = "../.."

var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(program.Run(m, &binary))
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// block is a fenced block of README.md.
type block struct {
	language, name string // of ```language name
	text           string
	line           int
}

// blocks gives the fenced blocks of a name, or of a language for "" as name.
func blocks(t testing.TB, language, name string) (out []block) {
	t.Helper()
	var open *block
	for i, line := range strings.Split(read(t, "README.md"), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1}
			open.language, open.name, _ = strings.Cut(info, " ")
		case fence:
			if open.language == language && (name == "" || open.name == name) {
				out = append(out, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("README.md:%d: the block is not closed", open.line)
	}
	if len(out) == 0 {
		t.Fatalf("README.md has no block ```%s %s", language, name)
	}
	return out
}

// only gives the one block of a name.
func only(t testing.TB, language, name string) string {
	t.Helper()
	found := blocks(t, language, name)
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks ```%s %s, want one", len(found), language, name)
	}
	return found[0].text
}

// demo is a running `schakel demo` on generated persons.
type demo struct{ data, server string }

func startDemo(t *testing.T) demo {
	t.Helper()
	data, err := os.MkdirTemp("", "docs-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	var said bytes.Buffer
	c := exec.Command(binary, "demo", "--listen", "127.0.0.1:0", "--data", data)
	c.Env = environment()
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the demo ended with %v: %s", err, said.String())
			}
		case <-time.After(2 * time.Minute):
			_ = c.Process.Kill()
			t.Error("the demo did not stop")
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var info struct{ Server string }
		raw, err := os.ReadFile(filepath.Join(data, "demo.json"))
		if err == nil && json.Unmarshal(raw, &info) == nil && ready(info.Server) {
			return demo{data, info.Server}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the demo stopped: %v: %s", err, said.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not ready: %s", said.String())
		}
	}
}

func ready(server string) bool {
	resp, err := http.Get(server + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// environment is ours without anything that leads schakel elsewhere.
func environment(more ...string) []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SCHAKEL_") {
			out = append(out, v)
		}
	}
	return append(out, more...)
}

// run executes a program in a folder and gives its exit code and everything it said.
func run(t testing.TB, dir string, env []string, name string, args ...string) (int, string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir, c.Env = dir, env
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v; test/run installs what is needed", name, err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// TestTours pastes the commands of the tours, in order, in one shell, as a reader does. Lines "# → text" say what must
// be seen before the next such line.
func TestTours(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "schakel")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(root+"/policies")); err != nil {
		t.Fatal(err)
	}
	tours := blocks(t, "sh", "tour")
	var script strings.Builder
	script.WriteString("set -e\n")
	for i, b := range tours {
		fmt.Fprintf(&script, "echo @@%d\n%s\n", i, b.text)
	}
	script.WriteString("echo @@end\n")
	file := filepath.Join(dir, "tours.sh")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := run(t, dir, environment("SCHAKEL_DATA="+d.data, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")), "bash", file)
	if code != 0 || !strings.Contains(out, "@@end") {
		t.Errorf("the tours end with exit code %d", code)
	}
	for i, b := range tours {
		_, part, _ := strings.Cut(out, fmt.Sprintf("@@%d\n", i))
		part, _, _ = strings.Cut(part, "@@")
		seen := part
		for _, m := range regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(b.text, -1) {
			_, rest, found := strings.Cut(strings.ToLower(seen), strings.ToLower(m[1]))
			if !found {
				t.Errorf("README.md:%d promises %q; seen:\n%s", b.line, m[1], part)
			}
			seen = rest
		}
	}
	if t.Failed() {
		t.Logf("the end of what was said:\n%s", out[max(0, len(out)-2000):])
	}
	answer(t, filepath.Join(dir, "body.json"))
}

// answer holds the answer in README.md against the real one: the same grants and refusals, and values of the same kind.
func answer(t *testing.T, file string) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, want := shape(t, body), shape(t, []byte(only(t, "json", "answer")))
	if got != want {
		t.Errorf("the answer in README.md is not as the demo's:\n%s\nwant\n%s", want, got)
	}
}

// shape leaves out of an answer what differs each time: ids, times, the revision, and the order of the persons.
func shape(t *testing.T, body []byte) string {
	t.Helper()
	var a map[string]any
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("read answer: %v: %s", err, body)
	}
	for _, name := range []string{"id", "issuedAt", "policy"} {
		if a[name] == nil {
			t.Errorf("no %s in %s", name, body)
		}
		a[name] = "…"
	}
	for name, v := range a {
		if items, ok := v.([]any); ok {
			set := map[string]int{}
			for _, item := range items {
				if m, ok := item.(map[string]any); ok && m["subject"] != "household" {
					m["subject"] = "p"
				}
				line, _ := json.Marshal(item)
				set[string(line)]++
			}
			a[name] = set
		}
	}
	out, _ := json.MarshalIndent(a, "", " ")
	return string(out)
}
