package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/schakel/schakel/policies"
)

// TestEveryQueryIsInThePolicy: what the program records as a query of the log has words in the shipped policy, and somebody who
// may put it.
func TestEveryQueryIsInThePolicy(t *testing.T) {
	var words map[string]struct{ NL, EN string }
	if err := json.Unmarshal(policies.Files()[policies.LogFolder+"queries/data.json"], &words); err != nil {
		t.Fatal(err)
	}
	permits := string(policies.Files()[policies.LogFolder+"permits/data.json"])
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || file == "console_resident.go" { // residents are no officers
			continue
		}
		for _, m := range regexp.MustCompile(`How(?:: +| = )"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			found++
			if w := words[m[1]]; w.NL == "" || w.EN == "" || !strings.Contains(permits, `"`+m[1]+`"`) {
				t.Errorf("%s: %q is not in the policy's list of queries, or nobody may put it", file, m[1])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d queries found", found)
	}
}
