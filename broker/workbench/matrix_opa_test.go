//go:build !race

package workbench_test

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/opa"
)

var (
	sampleSize = flag.Int("sample", 400, "how many random queries are asked of OPA's own program")
	sampleSeed = flag.Uint64("seed", 0, "of that sample; 0: the time")
)

// TestMatrixIsWhatOPASays holds the matrix of the shipped policy against OPA's own program, run as a separate process over the
// same files: on random queries, half of them a step or two from one that is given, half of them anything.
func TestMatrixIsWhatOPASays(t *testing.T) {
	binary, err := opa.Binary()
	if err != nil {
		t.Fatal(err)
	}
	files := policies.Files()
	m, err := shipped.Matrix(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	seed := *sampleSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d queries; again with: go test ./broker/workbench -run TestMatrixIsWhatOPASays -sample %d -seed %d", *sampleSize, *sampleSize, seed)
	r := rand.New(rand.NewPCG(seed, 1))
	queries := make([]broker.Query, *sampleSize)
	for i := range queries {
		c := m.Cells[r.IntN(len(m.Cells))]
		if i%2 == 1 { // of any cell, also of those where nothing is given, and without what would do
			c = workbench.MatrixCell{Role: broker.Role(m.Catalog.Roles[r.IntN(len(m.Catalog.Roles))].ID),
				Purpose: broker.Purpose(m.Catalog.Purposes[r.IntN(len(m.Catalog.Purposes))].ID),
				Field:   m.Catalog.Fields[r.IntN(len(m.Catalog.Fields))].Path, Ways: []workbench.Way{{When: [][]workbench.Condition{{}}}}}
		}
		queries[i] = sample(r, m.Catalog, c)
	}
	granted := 0
	for i, said := range opaSays(t, binary, files, queries) {
		q := queries[i]
		f := q.Fields[0]
		grant, given := said.Grants[f]
		way, ok := m.Given(q, f)
		if ok != given || way.Form != grant.Form || way.Basis != grant.Basis {
			t.Errorf("%s\nopa    %v %+v\nmatrix %v %+v", q.Bytes(), given, grant, ok, way)
		}
		if given {
			granted++
		}
	}
	t.Logf("%d granted", granted)
	if granted < len(queries)/20 || granted > len(queries)*9/10 {
		t.Errorf("%d of %d granted: the sample is one-sided", granted, len(queries))
	}
}

// opaSays asks OPA's program all queries at once.
func opaSays(t *testing.T, binary string, files map[string][]byte, queries []broker.Query) []broker.Decision {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, data := range files {
		if !decide.IsTest(name) {
			write(filepath.Join("policy", name), data)
		}
	}
	write("policy/sample.rego", []byte(`package sample

answers := [answer |
	some query in input
	answer := data.schakel.access.decision with input as query
]
`))
	input, err := json.Marshal(queries)
	if err != nil {
		t.Fatal(err)
	}
	eval := exec.Command(binary, "eval", "--bundle", filepath.Join(dir, "policy"), "--input", write("input.json", input), "--format", "json", "data.sample.answers")
	out, err := eval.Output()
	if err != nil {
		t.Fatalf("opa eval: %v\n%s", err, out)
	}
	var result struct {
		Result []struct {
			Expressions []struct{ Value []broker.Decision }
		}
	}
	if err := json.Unmarshal(out, &result); err != nil || len(result.Result) != 1 || len(result.Result[0].Expressions) != 1 {
		t.Fatalf("opa eval: %v\n%.500s", err, out)
	}
	answers := result.Result[0].Expressions[0].Value
	if len(answers) != len(queries) {
		t.Fatalf("opa gives %d answers to %d queries", len(answers), len(queries))
	}
	return answers
}
