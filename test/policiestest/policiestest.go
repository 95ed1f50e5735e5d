// Package policiestest holds a small policy that is whole: it passes every check and its own tests, and breaks no guardrail.
// What tests do with a policy they do with this one in a moment, where the shipped one takes a minute.
//
// It has the catalog, settings, schemas, guardrails and entry point of the shipped policy, and one rule of its own that gives.
// Only tests import it.
package policiestest

import (
	"bytes"
	"embed"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/policies"
)

//go:embed small
var rules embed.FS

// Small gives the small policy: path to content. The caller may change what it gets.
func Small() map[string][]byte {
	const entry = "schakel/access.rego"
	files := policies.Files()
	maps.DeleteFunc(files, func(name string, _ []byte) bool {
		return path.Ext(name) == ".rego" && name != entry && !strings.HasPrefix(name, policies.GuardrailsFolder)
	})
	err := fs.WalkDir(rules, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[strings.TrimPrefix(name, "small/")], err = rules.ReadFile(name)
		return err
	})
	if err != nil {
		panic("read embedded policy: " + err.Error()) // it is linked in
	}
	return files
}

// Wider gives the small policy with one field more, which a housing corporation holds: huur.achterstand.maanden.
func Wider() map[string][]byte {
	files := Small()
	Replace(files, "schakel/grants.rego", `input.field.path == "huur.achterstand.bedrag"`,
		`input.field.path in {"huur.achterstand.bedrag", "huur.achterstand.maanden"}`)
	Replace(files, "schakel/small_test.rego", "huur.achterstand.maanden", "huur.contactpersoon")
	return files
}

// Replace changes a text that stands in a file just once; it panics where it does not.
func Replace(files map[string][]byte, file, old, new string) {
	if bytes.Count(files[file], []byte(old)) != 1 {
		panic(file + " has not just one " + old)
	}
	files[file] = bytes.Replace(files[file], []byte(old), []byte(new), 1)
}

// Folder writes a policy to a folder that is gone after the test, as an officer has it who works with an editor.
func Folder(t testing.TB, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
