package workbench_test

import (
	"context"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// small is a policy of one file with the shipped data.
func small(rules, tests string) map[string][]byte {
	files := map[string][]byte{"schakel/small.rego": []byte("package schakel.small\n\n" + rules),
		"schakel/small_test.rego": []byte("package schakel.small_test\n\nimport data.schakel.small\n\n" + tests)}
	for path, content := range policies.Files() {
		if strings.HasSuffix(path, "data.json") {
			files[path] = content
		}
	}
	return files
}

func tested(files map[string][]byte) (workbench.TestReport, error) {
	suite, err := workbench.NewSuite(files)
	if err != nil {
		return workbench.TestReport{}, err
	}
	return suite.Test(context.Background())
}

func mutated(files map[string][]byte) (workbench.MutationReport, error) {
	suite, err := workbench.NewSuite(files)
	if err != nil {
		return workbench.MutationReport{}, err
	}
	return suite.Mutate(context.Background())
}

const (
	twoConditions = "allow if {\n\tinput.role == \"a\"\n\tinput.purpose == \"b\"\n} else if {\n\tnot input.closed\n}\n"
	bothWatched   = `test_yes if small.allow with input as {"role": "a", "purpose": "b", "closed": true}

test_role if not small.allow with input as {"role": "x", "purpose": "b", "closed": true}

test_purpose if not small.allow with input as {"role": "a", "purpose": "x", "closed": true}

test_open if small.allow with input as {}
`
)

func TestTestReports(t *testing.T) {
	got, err := tested(small(twoConditions, bothWatched+"\ntest_wrong if small.allow with input as {\"closed\": true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Passed != 4 || len(got.Failed) != 1 || len(got.Uncovered) != 0 || got.OK() {
		t.Fatalf("got %+v", got)
	}
	if f := got.Failed[0]; f.Test != "data.schakel.small_test.test_wrong" || f.File != "schakel/small_test.rego" || !strings.HasPrefix(f.Source, "test_wrong") {
		t.Errorf("got %+v", f)
	}
}

func TestTestReportsUncoveredLines(t *testing.T) {
	got, err := tested(small(twoConditions, "test_yes if small.allow with input as {\"role\": \"a\", \"purpose\": \"b\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Uncovered) == 0 || got.OK() || got.Uncovered[len(got.Uncovered)-1].Source != "not input.closed" {
		t.Errorf("got %+v", got)
	}
}

func TestTestOfBrokenPolicy(t *testing.T) {
	if _, err := tested(small("allow if {\n", "")); err == nil {
		t.Error("no error")
	}
}

func TestNoTestsIsNotOK(t *testing.T) {
	got, err := tested(small("", ""))
	if err == nil && got.OK() {
		t.Error("a policy without tests is fine")
	}
}

func TestMutateFindsWhatNoTestWatches(t *testing.T) {
	for name, tt := range map[string]struct{ tests, survivor string }{
		"all watched":   {bothWatched, ""},
		"one unwatched": {"test_yes if {\n\tsmall.allow with input as {\"role\": \"a\", \"purpose\": \"b\"}\n\tsmall.allow with input as {}\n}\n", `input.role == "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mutated(small(twoConditions, tt.tests))
			if err != nil {
				t.Fatal(err)
			}
			if got.Tried != 3 || len(got.Skipped) != 0 || got.OK() != (tt.survivor == "") {
				t.Fatalf("got %+v", got)
			}
			if tt.survivor != "" && (got.Survived[0].Condition != tt.survivor || got.Survived[0].Line != 4) {
				t.Errorf("got %+v", got.Survived)
			}
		})
	}
}

// A test notices a condition of a rule that gave it nothing, though another in which it gave something does not.
func TestMutateTriesEveryTest(t *testing.T) {
	got, err := mutated(small("allow if granted(input.role)\n\ngranted(role) if role == \"a\"\n",
		"test_no if not small.allow with input as {\"role\": \"b\"}\n\ntest_yes if {\n\tsmall.allow with input as {\"role\": \"a\"}\n} else := true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Tried != 2 || !got.OK() {
		t.Errorf("got %+v", got)
	}
}

// A condition that also gives a variable its value can't be turned round; it is named and not counted.
func TestMutateSkips(t *testing.T) {
	got, err := mutated(small("allow if {\n\tinput.list[i] == 1\n\ti > 0\n}\n",
		"test_yes if small.allow with input as {\"list\": [0, 1]}\n\ntest_no if not small.allow with input as {\"list\": [1, 0]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Tried != 1 || len(got.Skipped) != 1 || got.Skipped[0].Condition != "input.list[i] == 1" || !got.OK() {
		t.Errorf("got %+v", got)
	}
}

// A policy with rules where the guards of variants look comes to an end.
func TestMutateGuardsAreNoRules(t *testing.T) {
	files := small("allow if input.open\n", "test_yes if small.allow with input as {\"open\": true}\n")
	files["schakel/workbench.rego"] = []byte("package workbench\n\noff[\"1\"] if data.schakel.small.allow\n")
	if got, err := mutated(files); err == nil || !strings.Contains(err.Error(), "recursive") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMutateDemandsPassingTests(t *testing.T) {
	_, err := mutated(small(twoConditions, "test_wrong if not small.allow with input as {}\n"))
	if err == nil || !strings.Contains(err.Error(), "test_wrong fails before") {
		t.Errorf("got %v", err)
	}
}

func TestShow(t *testing.T) {
	files := policies.Files()
	files["schakel/catalog/roles/data.json"] = []byte(`[{"id": "wijkteammedewerker", "text": {"nl": "a", "en": "b"}}]`) // quick
	files["schakel/catalog/purposes/data.json"] = []byte(`[{"id": "ontruiming-voorkomen", "text": {"nl": "a", "en": "b"}}]`)
	got, err := workbench.Show(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Table.Rows) != 1 || len(got.Rules) < 100 {
		t.Fatalf("%d rows, %d rules", len(got.Table.Rows), len(got.Rules))
	}
	text := got.Text()
	for _, want := range []string{"| wijkteammedewerker | ontruiming-voorkomen | wgs |", "ggz **Tc** 1/3", "schakel/law/wgs.rego:", "Grondslag – Basis: WGBO 7:457",
		"A lawyer reviews it before use."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
