package docs

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func fetch(t testing.TB, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("get %s: %d %v", url, resp.StatusCode, err)
	}
	return string(data)
}

// same tells what two lists don't have in common.
func same(t *testing.T, what string, documented, real []string) {
	t.Helper()
	if len(real) == 0 {
		t.Errorf("%s: found none in the code", what)
	}
	for _, d := range documented {
		if !slices.Contains(real, d) {
			t.Errorf("%s: README.md has %s, the code has not", what, d)
		}
	}
	for _, r := range real {
		if !slices.Contains(documented, r) {
			t.Errorf("%s: the code has %s, README.md has not", what, r)
		}
	}
}

func matches(text, pattern string) []string {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[len(m)-1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// TestCommands asks the program about every schakel command of the documents: there is such a command, with such flags.
func TestCommands(t *testing.T) {
	type command struct {
		where string
		words []string
	}
	var commands []command
	for _, b := range blocks(t, "sh", "") {
		text := strings.ReplaceAll(b.text, "\\\n", " ")
		for _, m := range regexp.MustCompile(`(?m)(?:^|[ ;|(/])schakel ([a-z][^|#&;)\n]*)`).FindAllStringSubmatch(text, -1) {
			commands = append(commands, command{b.text, strings.Fields(m[1])})
		}
	}
	for _, file := range []string{"README.md", "ARCHITECTURE.md", "DECISIONS.md"} {
		for _, m := range regexp.MustCompile("`schakel ([a-z][^`]*)`").FindAllStringSubmatch(read(t, file), -1) {
			commands = append(commands, command{file, strings.Fields(m[1])})
		}
	}
	if len(commands) < 40 {
		t.Errorf("found %d commands only", len(commands))
	}
	help := map[string]string{}
	for _, c := range commands {
		path := []string{}
		flags := []string{}
		for _, w := range c.words {
			switch {
			case strings.HasPrefix(w, "--"):
				flags = append(flags, strings.TrimPrefix(strings.SplitN(w, "=", 2)[0], "--"))
			case len(flags) == 0 && len(path) < 3 && regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(w):
				path = append(path, w)
			}
		}
		name, usage := "", ""
		for n := len(path); n > 0 && usage == ""; n-- { // the last words may be arguments: of leaves only
			name = strings.Join(path[:n], " ")
			if _, asked := help[name]; !asked {
				_, help[name] = run(t, ".", environment(), binary, append(slices.Clone(path[:n]), "--help")...)
			}
			if strings.Contains(help[name], "\n  schakel "+name+" ") || strings.Contains(help[name], "\n  schakel "+name+"\n") {
				usage = help[name]
			}
		}
		if usage == "" {
			t.Errorf("there is no command schakel %s", strings.Join(c.words, " "))
			continue
		}
		if name != strings.Join(path, " ") && strings.Contains(usage, "Available Commands:") {
			t.Errorf("schakel %s: %s is not one of its commands", strings.Join(c.words, " "), path[len(path)-1])
		}
		for _, f := range flags {
			if !regexp.MustCompile(`(?m)^ +(-\w, )?--` + regexp.QuoteMeta(f) + `\b`).MatchString(usage) {
				t.Errorf("schakel %s has no flag --%s", name, f)
			}
		}
	}
}

// TestConfiguration holds the manual against the structs: the same keys, and a file that is taken.
func TestConfiguration(t *testing.T) {
	manual := only(t, "yaml", "schakel.yaml")
	files, err := filepath.Glob(filepath.Join(root, "cmd/schakel/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && f.Tag != nil {
				if key := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"); key != "" {
					keys = append(keys, key)
				}
			}
			return true
		})
	}
	slices.Sort(keys)
	documented := matches(regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(manual, ""), `(?m)^[ -]*([A-Za-z]+):`)
	same(t, "configuration", documented, slices.Compact(keys))

	// The program reads it through, and stops only at the secrets that are not there.
	dir := t.TempDir()
	local := strings.NewReplacer("/var/lib/schakel", "data", "/run/secrets/", "secrets/").Replace(manual)
	for name, text := range map[string]string{"good.yaml": local, "bad.yaml": local + "nonsense: 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, out := run(t, dir, environment(), binary, "serve", "--config", "good.yaml"); !strings.Contains(out, "read passphrase") {
		t.Errorf("the configuration of README.md is not taken: %s", out)
	}
	if _, out := run(t, dir, environment(), binary, "serve", "--config", "bad.yaml"); !strings.Contains(out, "nonsense") {
		t.Errorf("an unknown key is not named: %s", out)
	}
}

// sources gives the Go files of some folders.
func sources(t *testing.T, folders ...string) (out []string) {
	t.Helper()
	for _, f := range folders {
		err := filepath.WalkDir(filepath.Join(root, f), func(path string, e fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestEnvironment(t *testing.T) {
	var code strings.Builder
	for _, path := range sources(t, "cmd", "keys", "test/agencies") {
		if data, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, "_test.go") {
			code.Write(data)
		}
	}
	same(t, "environment", matches(read(t, "README.md"), `\| .(SCHAKEL_[A-Z_]+). \|`), matches(code.String(), `"(SCHAKEL_[A-Z_]+)"`))
}

func TestProblemCodes(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "README.md"), "<!-- codes -->")
	table, _, _ = strings.Cut(table, "<!-- /codes -->")
	var documented []string
	for _, row := range strings.Split(table, "\n") {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			documented = append(documented, matches(cells[2], "`([a-z-]+)`")...)
		}
	}
	var spec struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal([]byte(read(t, "broker/gateway/openapi.json")), &spec); err != nil {
		t.Fatal(err)
	}
	codes := []string{"nothing-disclosed"} // of the signed refusal, which has a schema of its own
	for _, schema := range spec.Components.Schemas {
		for _, m := range regexp.MustCompile(`"enum"\s*:\s*\[([^\]]*"token-missing"[^\]]*)\]`).FindAllSubmatch(schema, -1) {
			codes = append(codes, matches(string(m[1]), `"([a-z-]+)"`)...)
		}
	}
	same(t, "problem codes", documented, codes)
}

// TestLinks follows the links of the documents that stay in the project.
func TestLinks(t *testing.T) {
	for _, file := range []string{"README.md", "ARCHITECTURE.md", "DECISIONS.md", "CHANGELOG.md", "SECURITY.md", "test/bench/README.md"} {
		text := read(t, file)
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			if path != "" {
				if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), path)); err != nil {
					t.Errorf("%s: %s does not exist", file, path)
				}
				continue
			}
			found := false
			for _, title := range matches(text, `(?m)^#+ (.*)$`) {
				found = found || regexp.MustCompile(`[^a-z0-9-]`).ReplaceAllString(strings.ReplaceAll(strings.ToLower(title), " ", "-"), "") == anchor
			}
			if !found {
				t.Errorf("%s: there is no heading #%s", file, anchor)
			}
		}
	}
}

// TestDecisions: numbered without a gap, at most fifteen lines each, and every library that our code imports has a reason.
func TestDecisions(t *testing.T) {
	text := read(t, "DECISIONS.md")
	parts := regexp.MustCompile(`(?m)^## D(\d+)\. `).FindAllStringSubmatchIndex(text, -1)
	if len(parts) == 0 {
		t.Fatal("no decisions")
	}
	for i, p := range parts {
		end := len(text)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		if n := strings.Count(strings.TrimSpace(text[p[0]:end]), "\n") + 1; n > 15 {
			t.Errorf("D%s has %d lines, at most 15", text[p[2]:p[3]], n)
		}
		if want := i + 1; text[p[2]:p[3]] != strconv.Itoa(want) {
			t.Errorf("D%s stands where D%d should", text[p[2]:p[3]], want)
		}
	}
	modules := matches(read(t, "go.mod"), `(?m)^\s+(\S+) v`)
	for _, path := range sources(t, "broker", "cmd", "keys", "policies", "test") {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			imported := strings.Trim(i.Path.Value, `"`)
			for _, m := range modules {
				if (imported == m || strings.HasPrefix(imported, m+"/")) && !strings.Contains(text, "`"+m+"`") {
					t.Errorf("%s imports %s: DECISIONS.md does not say why", path, m)
				}
			}
		}
	}
}
