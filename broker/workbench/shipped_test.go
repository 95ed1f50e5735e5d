//go:build !race

package workbench_test

import (
	"sync"
	"testing"

	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// These tests compute much and share nothing between goroutines that small_test.go does not run with the race detector
// too; so they are left out of its builds.

// shippedSuite serves both: its tests are run once.
var shippedSuite = sync.OnceValues(func() (*workbench.Suite, error) { return workbench.NewSuite(policies.Files()) })

// The shipped policy passes its own tests, and they reach every line.
func TestShippedTests(t *testing.T) {
	suite, err := shippedSuite()
	if err != nil {
		t.Fatal(err)
	}
	got, err := suite.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Failed {
		t.Errorf("%s:%d: %s %s", f.File, f.Line, f.Test, f.Error)
	}
	for _, p := range got.Uncovered {
		t.Errorf("%s:%d: no test reaches %q", p.File, p.Line, p.Source)
	}
	if got.Passed < 100 || got.Lines < 300 {
		t.Errorf("%d tests, %d lines: some were not found", got.Passed, got.Lines)
	}
}

// Turning any single condition of the shipped policy round makes one of its tests fail.
func TestShippedConditions(t *testing.T) {
	suite, err := shippedSuite()
	if err != nil {
		t.Fatal(err)
	}
	got, err := suite.Mutate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got.Survived {
		t.Errorf("%s:%d: no test fails with %q turned round", m.File, m.Line, m.Condition)
	}
	for _, m := range got.Skipped {
		t.Errorf("%s:%d: %q can't be turned round", m.File, m.Line, m.Condition)
	}
	t.Logf("%d conditions turned round", got.Tried)
	if got.Tried < 150 {
		t.Error("too few conditions")
	}
}

func TestShippedCheck(t *testing.T) {
	got := workbench.Check(policies.Files())
	for _, f := range got.Findings {
		t.Errorf("%s:%d: %s: %s (%s) %s", f.File, f.Line, f.Rule, f.Problem.EN, f.Advice.EN, f.Source)
	}
	if got.Rules < 100 {
		t.Errorf("only %d rules", got.Rules)
	}
}
