// Package opa gives OPA's own program, of the version that Schakel is built with: what Schakel's engine says is held against
// it, by tests and by the bench. It is built once, and kept beside the other tools of this project.
package opa

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Version is the one in go.mod.
const Version = "v1.22.2"

// Binary gives the path of the program, and builds it where it is not there yet, which takes a minute or two.
func Binary() (string, error) {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("find the build cache: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(cache)), "schakel-tools")
	path := filepath.Join(dir, "opa-"+Version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make tools folder: %w", err)
	}
	own, err := os.MkdirTemp(dir, "opa-") // two who build at once don't meet
	if err != nil {
		return "", fmt.Errorf("make tools folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(own) }()
	fmt.Fprintln(os.Stderr, "building opa", Version, "(once; a minute or two)")
	install := exec.Command("go", "install", "github.com/open-policy-agent/opa@"+Version)
	install.Dir = os.TempDir() // outside this module
	install.Env = append(os.Environ(), "GOBIN="+own, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build opa: %w\n%s", err, out)
	}
	return path, os.Rename(filepath.Join(own, "opa"), path)
}
