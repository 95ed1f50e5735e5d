package workbench_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
)

// The lines that no test reaches are those of a whole trace of every test, whatever way a rule is asked.
func TestUncoveredAsTraced(t *testing.T) {
	const (
		parts = `role contains "worker" if {
	input.role == "a"
	input.purpose == "b"
}

role contains word if {
	some word in input.words
	word != ""
	input.open
}
`
		function = `allow if granted(input.role)

granted(role) if {
	role == "a"
	input.purpose == "b"
} else if {
	role == "b"
	not input.closed
}
`
		inside = `default allow := false

allow if {
	every word in input.words {
		word != ""
		word in {
			"a",
			"b",
		}
	}
	found := {word |
		some word in input.words
		not input.closed
		word != "b"
	}
	count(found) == 0
}

list := [word |
	some word in input.words
	word != "b"
]
`
		early = `allow if {
	input.role == "a"
	input.purpose
}

allow if {
	input.open
	input.role != "a"
}

grant[role] := "yes" if {
	some role in input.words
	allow
}
`
	)
	for name, tt := range map[string]struct {
		rules, tests string
		uncovered    int
	}{
		"else, whole":                       {twoConditions, bothWatched, 0},
		"else, in part":                     {twoConditions, "test_yes if small.allow with input as {\"role\": \"a\", \"purpose\": \"b\"}\n", 2},
		"else, by a test that fails":        {twoConditions, "test_yes if small.allow with input as {\"role\": \"a\", \"closed\": true}\n", 4},
		"set, one member":                   {parts, "test_yes if \"worker\" in small.role with input as {\"role\": \"a\", \"purpose\": \"b\"}\n", 3},
		"set, by its key":                   {parts, "test_yes if small.role.worker with input as {\"role\": \"a\", \"purpose\": \"b\"}\n", 3},
		"set, by a key that it lacks":       {parts, "test_no if not small.role.x with input as {\"role\": \"a\", \"words\": [\"y\"]}\n", 6},
		"set, walked":                       {parts, "test_yes if small.role == {\"x\"} with input as {\"words\": [\"x\"], \"open\": true}\n", 3},
		"function, first":                   {function, "test_yes if small.allow with input as {\"role\": \"a\", \"purpose\": \"b\"}\n", 3},
		"function, nothing":                 {function, "test_no if not small.allow with input as {\"role\": \"b\", \"closed\": true}\n", 4},
		"inside, nothing to walk":           {inside, "test_yes if small.allow with input as {\"words\": []}\n", 5},
		"inside, some":                      {inside, "test_yes if small.allow with input as {\"words\": [\"b\"]}\n\ntest_list if small.list == [] with input as {\"words\": [\"b\"]}\n", 1},
		"inside, only what it is otherwise": {inside, "test_no if not small.allow with input as {\"words\": [\"c\"]}\n", 11},
		"one condition":                     {"allow if {\n\tnot input.closed\n\tinput.role == \"a\"\n}\n", "test_no if not small.allow with input as {\"closed\": true, \"role\": \"a\"}\n", 2},
		"labels of its own":                 {"# METADATA\n# title: x\n# labels:\n#   rule: 1\nlist := [1]\n\nallow if input.open\n", "# METADATA\n# labels:\n#   rule: 1\ntest_yes if small.list == [1]\n", 1},
		"early":                             {early, "test_yes if small.allow with input as {\"role\": \"a\", \"purpose\": \"x\"}\n", 5},
		"early, a key":                      {early, "test_yes if small.grant.b == \"yes\" with input as {\"role\": \"b\", \"open\": true, \"words\": [\"a\", \"b\"]}\n", 3},
	} {
		t.Run(name, func(t *testing.T) {
			files := small(tt.rules, tt.tests)
			got, err := tested(files)
			if err != nil {
				t.Fatal(err)
			}
			var lines []int
			for _, p := range got.Uncovered {
				lines = append(lines, p.Line)
			}
			if want := traced(t, files); !slices.Equal(lines, want) || len(lines) != tt.uncovered {
				t.Errorf("got lines %v, a trace gives %v, expected are %d", lines, want, tt.uncovered)
			}
		})
	}
}

// traced gives the lines of the rules of a small policy in which the engine's own coverage finds nothing reached.
func traced(t *testing.T, files map[string][]byte) []int {
	t.Helper()
	const rules, tests = "schakel/small.rego", "schakel/small_test.rego"
	modules := map[string]*ast.Module{}
	for _, file := range []string{rules, tests} {
		parsed, err := ast.ParseModuleWithOpts(file, string(files[file]), ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		modules[file] = parsed
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	reached := cover.New()
	for _, rule := range modules[tests].Rules {
		if name := string(rule.Head.Name); strings.HasPrefix(name, "test_") {
			if _, err := rego.New(rego.Query("data.schakel.small_test."+name), rego.Compiler(compiler), rego.QueryTracer(reached)).Eval(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	report := reached.Report(map[string]*ast.Module{rules: modules[rules]}).Files[rules]
	missed := map[int]bool{}
	for _, r := range report.NotCovered {
		for line := r.Start.Row; line <= r.End.Row; line++ {
			missed[line] = true
		}
	}
	for _, r := range report.Covered {
		for line := r.Start.Row; line <= r.End.Row; line++ {
			delete(missed, line)
		}
	}
	return slices.Sorted(maps.Keys(missed))
}
