// Package program gives the tests the program that they start.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run runs the tests of a package with schakel at binary: the one that $SCHAKEL_BINARY names, which test/run has built, or one
// that is built now. It gives the exit code.
func Run(m *testing.M, binary *string) int {
	_ = os.Unsetenv("GOGC") // is the tests' own: what they start collects as in a deployment
	if *binary = os.Getenv("SCHAKEL_BINARY"); *binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "schakel-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*binary = filepath.Join(dir, "schakel")
	if out, err := exec.Command("go", "build", "-o", *binary, "github.com/schakel/schakel/cmd/schakel").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build schakel: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
