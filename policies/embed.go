// Package policies holds the example policy that ships with Schakel: Rego, its tests, its data and its schemas, and what
// a revision of a policy is: its name (Revision), and the archive it travels in (Bundle, Unbundle).
//
// It refuses archives that could do harm when unpacked: too large, too many files, paths that leave the tree. It knows
// nothing of how a policy is evaluated; decide and workbench do. cmd, decide and workbench may import it.
//
// The example is not legal advice: a privacy officer starts from it, and a lawyer reviews it before use.
package policies

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/schakel/schakel/broker"
)

//go:embed schakel schemas
var shipped embed.FS

// Signatures is the one file of a bundle that is no part of its revision.
const Signatures = ".signatures.json"

// Files gives the shipped policy: path to content. The caller may change what it gets.
func Files() map[string][]byte {
	files := map[string][]byte{}
	err := fs.WalkDir(shipped, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = shipped.ReadFile(path)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("read embedded policies: %v", err)) // they are linked in
	}
	return files
}

// Revision names a set of policy files: SHA-256 over the lines "hex(sha256(file))  path\n", sorted by the bytes of the
// path. Tests count, Signatures does not.
func Revision(files map[string][]byte) broker.Revision {
	all := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if path == Signatures {
			continue
		}
		sum := sha256.Sum256(files[path])
		fmt.Fprintf(all, "%x  %s\n", sum, path)
	}
	return broker.Revision(hex.EncodeToString(all.Sum(nil)))
}
