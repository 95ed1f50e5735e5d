package decide_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/schakel/schakel/broker"
)

var update = flag.Bool("update", false, "write the corpus anew, after a change of policy")

const corpus = "testdata/corpus.jsonl"

// The corpus holds queries and the bytes of their decisions. A newer engine must give the very same bytes: an upgrade
// that fails here changes what old events replay to. It is written anew only when the policy itself changes.
func TestCorpus(t *testing.T) {
	d, name := shipped(t, 0)
	if *update {
		writeCorpus(t, d, name)
	}
	data, err := os.ReadFile(corpus)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	n, granted := 0, 0
	for ; lines.Scan(); n++ {
		var kept struct {
			Query    broker.Query    `json:"query"`
			Decision json.RawMessage `json:"decision"`
		}
		if err := json.Unmarshal(lines.Bytes(), &kept); err != nil {
			t.Fatal(err)
		}
		got, err := d.Decide(context.Background(), name, kept.Query)
		if err != nil {
			t.Fatal(err)
		}
		granted += len(got.Grants)
		if !bytes.Equal(got.Bytes(), kept.Decision) {
			t.Errorf("line %d\ngot  %s\nkept %s", n+1, got.Bytes(), kept.Decision)
		}
	}
	if n < 50 || granted < 50 {
		t.Errorf("%d queries, %d grants: too few to prove anything", n, granted)
	}
}

func writeCorpus(t *testing.T, d broker.Decider, name broker.Revision) {
	c, err := d.Catalog(name)
	if err != nil {
		t.Fatal(err)
	}
	var asked []broker.Query
	for _, row := range rows[1:] { // each with all that a policy can ask for, about every field
		q := example()
		q.Role, q.Purpose = row.role, row.purpose
		q.Agency = broker.QueryAgency{Kind: row.kind, Mandates: []broker.Mandate{row.mandate}}
		q.Relation.Coordinator, q.Relation.Signal, q.Relation.Claim = true, true, true
		if row.role == broker.RoleHolder {
			q.Relation.Case = broker.CaseAgency
		}
		for _, d := range c.Domains {
			q.Agreements = append(q.Agreements, broker.Domain(d.ID))
		}
		q.Subject.Consent, q.Subject.Release = q.Agreements, q.Agreements
		q.Fields = allFields(c)
		asked = append(asked, q)
	}
	for seed := range 100 {
		asked = append(asked, queries(c).Example(seed))
	}
	var out bytes.Buffer
	for _, q := range asked {
		got, err := d.Decide(context.Background(), name, q)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(`{"query":` + string(q.Bytes()) + `,"decision":` + string(got.Bytes()) + "}\n")
	}
	if err := os.WriteFile(corpus, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
