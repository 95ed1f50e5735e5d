package decide_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// A remembered decision is given for its whole query and revision only: every part of the input is changed in turn, after
// the example was decided and remembered, and the answer is what a decider that remembers nothing gives.
func TestMemoKeyIsTheWholeInput(t *testing.T) {
	remembers, name := shipped(t, 0)
	forgets, _ := shipped(t, -1)
	decideBoth := func(what string, q broker.Query) {
		t.Helper()
		got, err := remembers.Decide(context.Background(), name, q)
		if err != nil {
			t.Fatal(err)
		}
		want, err := forgets.Decide(context.Background(), name, q)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: remembered %s\nwithout memory %s", what, got.Bytes(), want.Bytes())
		}
	}
	decideBoth("example", example())
	for what, change := range map[string]func(*broker.Query){
		"agency":       func(q *broker.Query) { q.Agency.Kind = "woningcorporatie" },
		"mandates":     func(q *broker.Query) { q.Agency.Mandates = nil },
		"role":         func(q *broker.Query) { q.Role = "sociaal-rechercheur" },
		"purpose":      func(q *broker.Query) { q.Purpose = "handhaving" },
		"relation":     func(q *broker.Query) { q.Relation.Case = broker.CaseNone },
		"municipality": func(q *broker.Query) { q.Relation.Municipality = broker.MunicipalityOther },
		"release":      func(q *broker.Query) { q.Subject.Release = []broker.Domain{"ggz"} },
		"agreements":   func(q *broker.Query) { q.Agreements = nil },
	} {
		q := example()
		change(&q)
		got, _ := remembers.Decide(context.Background(), name, example())
		changed, _ := forgets.Decide(context.Background(), name, q)
		if bytes.Equal(got.Bytes(), changed.Bytes()) {
			t.Fatalf("%s: this change changes nothing; choose another", what)
		}
		decideBoth(what, q)
	}
}

func TestMemoKeyHasTheRevision(t *testing.T) {
	ctx := context.Background()
	d, name := shipped(t, 0)
	files := policies.Files()
	const settings = "schakel/catalog/roles/data.json"
	if _, ok := files[settings]; !ok {
		t.Fatal("no " + settings)
	}
	// The same policy without the worker's rows: every row asks for a role that nobody has.
	for path, data := range files {
		if bytes.Contains(data, []byte(`"wijkteammedewerker"`)) && !decide.IsTest(path) && path != settings {
			files[path] = bytes.ReplaceAll(data, []byte(`"wijkteammedewerker"`), []byte(`"auditor"`))
		}
	}
	other := policies.Revision(files)
	if other == name {
		t.Fatal("nothing changed")
	}
	if err := d.Load(ctx, other, files); err != nil {
		t.Fatal(err)
	}
	first, err := d.Decide(ctx, name, example())
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.Decide(ctx, other, example())
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Grants) == 0 || len(second.Grants) != 0 {
		t.Errorf("one revision's decision is given for another: %s, then %s", first.Bytes(), second.Bytes())
	}
}
