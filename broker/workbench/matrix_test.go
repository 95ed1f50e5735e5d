package workbench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// What was explored in one test is not explored again in the next: the shipped policy, and a shorter one with its drafts.
var shipped, short = workbench.NewExplorer(), workbench.NewExplorer()

// fewer is the shipped policy with shorter lists, so that every combination can be asked one by one. Its tests are left
// out.
func fewer(t testing.TB) map[string][]byte {
	t.Helper()
	files := policies.Files()
	maps.DeleteFunc(files, func(file string, _ []byte) bool { return decide.IsTest(file) })
	keep(t, files, "roles", "wijkteammedewerker", "jeugdbeschermer", "sociaal-rechercheur")
	keep(t, files, "purposes", "ontruiming-voorkomen", "ondertoezichtstelling", "handhaving")
	keep(t, files, "agencyKinds", "gemeente", "welzijnsorganisatie", "gecertificeerde-instelling", "woningcorporatie", "register", "rvig", "ggz-aanbieder", "dji")
	keep(t, files, "mandates", "wgs")
	keep(t, files, "domains", "persoon", "ggz", "justitie")
	keep(t, files, "fields", "persoon.burgerservicenummer", "ggz.behandelaar.contact", "ggz.diagnose", "justitie.detentie.einddatum")
	return files
}

// keep leaves some entries of a list of the catalog.
func keep(t testing.TB, files map[string][]byte, list string, ids ...string) {
	t.Helper()
	path := "schakel/catalog/" + list + "/data.json"
	var all []map[string]any
	if err := json.Unmarshal(files[path], &all); err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(e map[string]any) bool {
		id, _ := e["id"].(string)
		if id == "" {
			id, _ = e["path"].(string)
		}
		return !slices.Contains(ids, id)
	})
	files[path], _ = json.Marshal(all)
}

func replace(t testing.TB, files map[string][]byte, file, old, new string) map[string][]byte {
	t.Helper()
	out := maps.Clone(files)
	if !bytes.Contains(out[file], []byte(old)) {
		t.Fatalf("%s has no %q", file, old)
	}
	out[file] = bytes.Replace(out[file], []byte(old), []byte(new), 1)
	return out
}

func loaded(t testing.TB, files map[string][]byte) (*decide.Decider, broker.Revision) {
	t.Helper()
	d, revision := decide.New(decide.Config{Memo: -1}), policies.Revision(files)
	if err := d.Load(context.Background(), revision, files); err != nil {
		t.Fatal(err)
	}
	return d, revision
}

// What could make a matrix wrong is refused: a rule that sees the input as a whole, a set read for more than membership,
// and an entry point that comes to a decision in another way.
func TestExploreRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ file, old, new, says string }{
		"whole input":       {"schakel/field.rego", `special if input.field.class == "bijzonder"`, `special if input == {}`, "more than one field"},
		"an object":         {"schakel/field.rego", `special if input.field.class == "bijzonder"`, `special if count(input.relation) == 0`, "as a whole"},
		"a set, counted":    {"schakel/field.rego", `agreement if input.field.domain in input.agreements`, `agreement if count(input.agreements) > 3`, "more than"},
		"other entry":       {"schakel/access.rego", `"agency": input.agency,`, `"agency": {"kind": "gemeente", "mandates": ["wgs"]},`, "question"},
		"other import":      {"schakel/answer.rego", "import data.schakel.reasons", "import data.schakel.grants as reasons", "found"},
		"no entry":          {"schakel/access.rego", "decided[path] := found if {", "decides[path] := found if {", "decide"},
		"a rule from afar":  {"schakel/law/ggz.rego", "package schakel.law.ggz\n", "package schakel\n\naccess.decided[path] := 1 if some path in input.fields\n", "access.decided"},
		"other way to give": {"schakel/answer.rego", "	given\n", "	not given\n", "found"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := workbench.NewExplorer().Matrix(context.Background(), replace(t, fewer(t), tt.file, tt.old, tt.new))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Two rows for one field give no decision: the matrix says so, with a query that shows it.
func TestMatrixFaults(t *testing.T) {
	files := replace(t, fewer(t), "schakel/law/jeugd.rego", `{"give": "contact", "basis"`, `{"give": "exact-with-special", "basis"`)
	files = replace(t, files, "schakel/law/ggz.rego", "rows contains {\"give\": \"exact-on-consent\", \"basis\": \"avg-9-2a\", \"mandate\": \"none\"} if {\n\tinput.role == \"ggz-behandelaar\"\n\tinput.purpose == \"behandeling-afstemmen\"\n\tinput.field.domain == \"contact\"",
		"rows contains {\"give\": \"contact\", \"basis\": \"avg-9-2a\", \"mandate\": \"none\"} if {\n\tinput.role == \"jeugdbeschermer\"\n\tinput.purpose == \"ondertoezichtstelling\"\n\tinput.field.domain == \"ggz\"")
	m, err := workbench.NewExplorer().Matrix(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if m.OK() || m.Faults[0].Field != "ggz.behandelaar.contact" {
		t.Fatalf("got %+v", m.Faults)
	}
	d, revision := loaded(t, files)
	if _, err := d.Decide(context.Background(), revision, m.Faults[0].Example); err == nil {
		t.Errorf("the example gets a decision: %s", m.Faults[0].Example.Bytes())
	}
}

// A policy without guardrails is not fine.
func TestNoGuardrails(t *testing.T) {
	files, x := fewer(t), short
	if r, err := x.Guardrails(context.Background(), files); err != nil || !r.OK() {
		t.Errorf("got %s, %v", r.Text(), err)
	}
	delete(files, "schakel/guardrails/guardrails.rego")
	r, err := x.Guardrails(context.Background(), files)
	if err != nil || r.OK() {
		t.Errorf("got %+v, %v", r, err)
	}
}
