package decide_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// changed gives the shipped files with one text in one file replaced.
func changed(t *testing.T, file, old, new string) map[string][]byte {
	t.Helper()
	files := policies.Files()
	maps.DeleteFunc(files, func(f string, _ []byte) bool { return decide.IsTest(f) })
	if !bytes.Contains(files[file], []byte(old)) {
		t.Fatalf("%s has no %q", file, old)
	}
	files[file] = bytes.Replace(files[file], []byte(old), []byte(new), 1)
	return files
}

func TestLoadRefuses(t *testing.T) {
	const access = "schakel/access.rego"
	for name, tt := range map[string]struct {
		file, old, new, want string
	}{
		"a clock":                {"schakel/asker.rego", `needs == "signal"`, `time.now_ns() > 0`, "undefined function time.now_ns"},
		"the network":            {"schakel/asker.rego", `needs == "signal"`, `http.send({}).status_code == 200`, "undefined function http.send"},
		"an unused variable":     {"schakel/asker.rego", `needs == "signal"`, `x := 1`, "assigned var"},
		"a path not in schema":   {"schakel/field.rego", `input.field.class == "bijzonder"`, `input.field.klasse == "bijzonder"`, "rego_type_error"},
		"a rule that sees all":   {"schakel/field.rego", `input.field.class == "bijzonder"`, `"x" in input.fields`, "rego_type_error"},
		"Rego v0":                {"schakel/field.rego", `special if input.field.class == "bijzonder"`, `special { input.field.class == "bijzonder" }`, "rego_parse_error"},
		"no entry point":         {access, "decision :=", "verdict :=", "no rule"},
		"broken data":            {"schakel/catalog/forms/data.json", "[", "", "read schakel/catalog/forms/data.json"},
		"a stranger in the data": {"schakel/catalog/forms/data.json", `"id"`, `"naam"`, "read data.schakel.catalog"},
		"an unlisted form":       {"schakel/catalog/fields/data.json", `"forms": ["exact", "pseudonym"]`, `"forms": ["geheim"]`, `add form "geheim"`},
		"without no-agreement":   {"schakel/catalog/reasons/data.json", `"no-agreement"`, `"geen-afspraak"`, "no-agreement"},
		"a grant to nobody": {"schakel/answer.rego", `"reasons": reasons.found, "obligations": set()}`,
			`"reasons": reasons.found, "obligations": {"x"}}`, "policy-result-malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			files := changed(t, tt.file, tt.old, tt.new)
			d := decide.New(decide.Config{})
			err := d.Load(context.Background(), policies.Revision(files), files)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := d.Catalog(policies.Revision(files)); err == nil {
				t.Error("loaded all the same")
			}
		})
	}
}

// A revision that gives something where nothing binds the asker is never loaded.
func TestLoadRefusesToServeNobody(t *testing.T) {
	files := policies.Files()
	files["schakel/access.rego"] = []byte(`package schakel.access

decision := {"grants": {path: {"form": "yes-no", "basis": "wgs-8"} | some path in input.fields}, "refusals": {}, "obligations": []}
`)
	err := decide.New(decide.Config{}).Load(context.Background(), policies.Revision(files), files)
	if err == nil || !strings.Contains(err.Error(), "policy-result-malformed") {
		t.Errorf("got %v", err)
	}
}

func TestLoadComparesTheRevision(t *testing.T) {
	files := policies.Files()
	name := policies.Revision(files)
	files["schakel/field.rego"] = append(files["schakel/field.rego"], '\n')
	if err := decide.New(decide.Config{}).Load(context.Background(), name, files); err == nil || !strings.Contains(err.Error(), string(policies.Revision(files))) {
		t.Errorf("got %v", err)
	}
}

func kindOf(err error) (broker.Kind, string) {
	var e *broker.Error
	if errors.As(err, &e) {
		return e.Kind, e.Code
	}
	return -1, ""
}

func TestMissingRevision(t *testing.T) {
	d, _ := shipped(t, 0)
	_, err := d.Decide(context.Background(), "0000", example())
	if kind, code := kindOf(err); kind != broker.KindUnavailable || code != "revision-not-loaded" {
		t.Errorf("got %v", err)
	}
	_, err = d.Catalog("0000")
	if kind, code := kindOf(err); kind != broker.KindUnavailable || code != "revision-not-loaded" {
		t.Errorf("got %v", err)
	}
}

func TestQueryVersion(t *testing.T) {
	d, name := shipped(t, 0)
	q := example()
	q.V = 2
	_, err := d.Decide(context.Background(), name, q)
	if kind, code := kindOf(err); kind != broker.KindInternal || code != "query-version-unknown" {
		t.Errorf("got %v", err)
	}
}

// An undefined or contradictory result is an error, never a quiet refusal, and it is not remembered as one.
func TestMalformedResult(t *testing.T) {
	limited := `rows contains {"give": "limited", "basis": "wgs-8", "mandate": "wgs"} if {`
	rent := example()
	rent.Fields = []broker.Field{"huur.achterstand.bedrag"}
	colleague := rent
	colleague.Relation.Case = broker.CaseAgency
	for name, tt := range map[string]struct {
		file, old, new string
		query          broker.Query
	}{
		"no reason and no grant": {"schakel/reasons.rego", `found := {"no-relation"} if {`,
			`found := {"no-relation"} if {` + "\n\t" + `input.role != "wijkteammedewerker"`, colleague},
		"two rows for one cell": {"schakel/law/wgs.rego", limited,
			`rows contains {"give": "exact", "basis": "wgs-4a", "mandate": "wgs"} if input.role == "wijkteammedewerker"` + "\n\n" + limited, rent},
		"a stray basis": {"schakel/law/wgs.rego", `"basis": "wgs-8", "mandate": "wgs"} if {
	input.role in`, `"basis": "wgs-9", "mandate": "wgs"} if {
	input.role in`, rent},
	} {
		t.Run(name, func(t *testing.T) {
			files := changed(t, tt.file, tt.old, tt.new)
			d, name := decide.New(decide.Config{}), policies.Revision(files)
			if err := d.Load(context.Background(), name, files); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := d.Decide(context.Background(), name, tt.query)
				if kind, code := kindOf(err); kind != broker.KindInternal || code != "policy-result-malformed" {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	d, name := shipped(t, -1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := d.Decide(ctx, name, example())
	if kind, code := kindOf(err); kind != broker.KindUnavailable || code != "policy-interrupted" {
		t.Errorf("got %v", err)
	}
}

func TestEngine(t *testing.T) {
	if got := decide.New(decide.Config{}).Engine(); !strings.HasPrefix(got, "opa 1.") {
		t.Errorf("engine %q", got)
	}
}
