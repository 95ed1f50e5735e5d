package decide_test

import (
	"context"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

func shipped(t testing.TB, memo int) (*decide.Decider, broker.Revision) {
	t.Helper()
	files := policies.Files()
	d, name := decide.New(decide.Config{Memo: memo}), policies.Revision(files)
	if err := d.Load(context.Background(), name, files); err != nil {
		t.Fatal(err)
	}
	return d, name
}

// example is the query of the design, word for word.
func example() broker.Query {
	return broker.Query{
		V:          1,
		Agency:     broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}},
		Role:       "wijkteammedewerker",
		Purpose:    "ontruiming-voorkomen",
		Relation:   broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
		Subject:    broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus, Consent: []broker.Domain{"schulden"}},
		Agreements: []broker.Domain{"huur", "schulden"},
		Fields:     []broker.Field{"huur.achterstand.bedrag", "ggz.behandelaar.contact"},
	}
}

func TestDesignExample(t *testing.T) {
	d, name := shipped(t, 0)
	got, err := d.Decide(context.Background(), name, example())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},` +
		`"refusals":{"ggz.behandelaar.contact":["release-missing"]},"obligations":["inform-household"]}`
	if string(got.Bytes()) != want {
		t.Errorf("got  %s\nwant %s", got.Bytes(), want)
	}
}
