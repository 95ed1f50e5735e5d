package agencies_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/test/agencies"
)

func ask(a agencies.Agency, p agencies.Person, fields ...broker.Field) broker.Ask {
	if len(fields) == 0 {
		fields = slices.Sorted(maps.Keys(a.Fields))
	}
	out := broker.Ask{Fields: fields, RequestID: "0190f5fe-0000-7000-8000-000000000001"}
	if a.Key == broker.KeyBSN {
		out.BSN = p.BSN
		return out
	}
	id := p.Identity()
	out.Identity = &id
	return out
}

// TestHolders asks every holder about everyone in a household of more than one, and looks at what it logged.
func TestHolders(t *testing.T) {
	everyone(t, func(t *testing.T, people agencies.Population) {
		town, again := start(t, people), start(t, people)
		for _, a := range town.Agencies() {
			if a.Protocol != agencies.ProtocolREST {
				continue
			}
			s, s2 := sourceOf(t, a, 0), sourceOf(t, again.Agency(a.Kind), 0)
			values, nothing, asked := map[broker.Field]map[string]bool{}, 0, 0
			town.Forget()
			for i, h := range people.Households() {
				if i >= 40 {
					break
				}
				shared := ""
				for _, p := range h.Persons {
					q := ask(a, p)
					if q.BSN == "" && (q.Identity.FamilyName == "" || q.Identity.AddressLine == "") {
						continue // nobody can be asked about by a name that is not known
					}
					rec, err := s.Fetch(t.Context(), q)
					if err != nil {
						t.Fatalf("%s: %v", a.Kind, err)
					}
					rec2, err := s2.Fetch(t.Context(), q)
					if err != nil || !reflect.DeepEqual(rec, rec2) {
						t.Errorf("%s: not the same answer twice: %v", a.Kind, err)
					}
					asked++
					nothing += len(filter(len(rec.Values) == 0))
					for f, v := range rec.Values {
						if values[f] == nil {
							values[f] = map[string]bool{}
						}
						text, _ := json.Marshal(v)
						values[f][string(text)] = true
					}
					if a.Key == broker.KeyIdentity {
						text, _ := json.Marshal(rec.Values)
						if shared == "" {
							shared = string(text)
						}
						if shared != string(text) || len(rec.Values) == 0 {
							t.Errorf("%s: housemates got different answers, or none", a.Kind)
						}
					}
				}
			}
			log := town.Log()
			if len(log) != asked {
				t.Errorf("%s: %d entries for %d questions", a.Kind, len(log), asked)
			}
			for _, e := range log {
				if e.Holder != a.OIN || e.Kind != a.Kind || e.Key != a.Key || e.Subject == "" || e.Status != 200 || e.Client != "api-key" ||
					e.RequestID == "" || !slices.Equal(e.Asked, text(slices.Sorted(maps.Keys(a.Fields)))) {
					t.Fatalf("%s: entry says %s %s %d %v", a.Kind, e.Kind, e.Key, e.Status, e.Asked)
				}
				if a.Key == broker.KeyIdentity && bytes.Contains(e.Body, []byte(e.Subject.Reveal())) {
					t.Errorf("%s was sent a BSN", a.Kind)
				}
			}
			for _, f := range slices.Sorted(maps.Keys(a.Fields)) {
				if len(values[f]) == 0 && f != "justitie.detentie.einddatum" {
					t.Errorf("%s: nobody has %s", a.Kind, f)
				}
			}
			if f := broker.Field("huur.achterstand.bedrag"); a.Fields[f].Name != "" && (!values[f]["0"] || len(values[f]) < 5) {
				t.Error("not some with and some without arrears")
			}
		}
	})
}

func text(fields []broker.Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, string(f))
	}
	return out
}

// TestKeys: a holder refuses the key it may not have, and the question stands in its log all the same.
func TestKeys(t *testing.T) {
	people := agencies.Generate(1)
	town := start(t, people)
	bsn := people.Persons()[0].BSN
	byName := `{"geslachtsnaam":"Proefstra","geboortedatum":"19850101","adresregel1":"Lindelaan 7","fields":["%"]}`
	for _, a := range town.Agencies() {
		if a.Protocol != agencies.ProtocolREST {
			continue
		}
		name := a.Fields[slices.Sorted(maps.Keys(a.Fields))[0]].Name
		bad := map[string]broker.KeyKind{
			`{"bsn":"` + bsn.Reveal() + `","fields":["nietBestaand"]}`: broker.KeyBSN,
			`{"bsn":"123456789","fields":["` + name + `"]}`:            broker.KeyBSN,
			`{"fields":["` + name + `"]}`:                              "",
			strings.Replace(byName, `["%"]`, `[]`, 1):                  broker.KeyIdentity,
		}
		if a.Key == broker.KeyIdentity {
			bad[`{"bsn":"`+bsn.Reveal()+`","fields":["`+name+`"]}`] = broker.KeyBSN
			bad[strings.Replace(strings.Replace(byName, "%", name, 1), "{", `{"bsn":"`+bsn.Reveal()+`",`, 1)] = broker.KeyBSN
		} else {
			bad[strings.Replace(byName, "%", name, 1)] = broker.KeyIdentity
		}
		for body, key := range bad {
			town.Forget()
			status, got := post(t, a, body)
			log := town.Log()
			if status != 400 || got["code"] != "paramsValidation" || len(log) != 1 || log[0].Key != key || log[0].Status != 400 {
				t.Errorf("%s: status %d, code %v, %d entries", a.Kind, status, got["code"], len(log))
			}
		}
		// someone it does not know
		known := `{"bsn":"999990019","fields":["` + name + `"]}`
		if a.Key == broker.KeyIdentity {
			known = strings.Replace(byName, "%", name, 1)
		}
		if status, got := post(t, a, known); status != 200 || len(got) != 0 {
			t.Errorf("%s: a stranger got %d %v", a.Kind, status, got)
		}
		// no API key
		a.Header = nil
		if status, got := post(t, a, known); status != http.StatusUnauthorized || got["code"] != "authentication" {
			t.Errorf("%s: without API key got %d", a.Kind, status)
		}
	}
}

// TestBehaviours: each way to misbehave is met by the sources, for both protocols, and ends when it is set back.
func TestBehaviours(t *testing.T) {
	people := agencies.Generate(1)
	town := start(t, people)
	p := people.Households()[0].Persons[0]
	for _, kind := range []broker.AgencyKind{broker.KindRvIG, "woningcorporatie", "gemeente"} {
		a := town.Agency(kind)
		s, hasty := sourceOf(t, a, 10*time.Second), sourceOf(t, a, 100*time.Millisecond)
		q := ask(a, p)
		if kind == broker.KindRvIG {
			q = ask(a, p, "persoon.naam.voornamen", "persoon.geboorte.datum")
		}
		honest, err := s.Fetch(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for how, want := range map[agencies.Behaviour]source.Failure{
			agencies.Down: source.FailUnreachable, agencies.Failing: source.FailStatus, agencies.Slow: source.FailTimeout,
			agencies.Redirect: source.FailRedirect, agencies.Garbage: source.FailMalformed, agencies.Twice: source.FailMalformed,
			agencies.Huge: source.FailTooLarge, agencies.OtherPerson: source.FailOtherPerson, agencies.TwoPersons: source.FailOtherPerson,
			agencies.WrongType: source.FailType, agencies.Endless: source.FailTooLarge, agencies.Bomb: source.FailMalformed,
			agencies.Drip: source.FailTimeout, agencies.RedirectLoop: source.FailRedirect, agencies.WrongContent: source.FailMalformed,
			agencies.Reset: source.FailUnreachable, agencies.OtherHousehold: source.FailOtherPerson,
		} {
			town.Set(a.OIN, how)
			before := len(town.Log())
			asker := s
			if how == agencies.Slow || how == agencies.Drip {
				asker = hasty
			}
			rec, err := asker.Fetch(t.Context(), q)
			if got := source.FailureOf(err); got != want || len(rec.Values) > 0 {
				t.Errorf("%s %s: failure %q, want %q", kind, how, got, want)
			}
			if n := len(town.Log()) - before; n != 1 {
				t.Errorf("%s %s: %d questions in the log, want 1", kind, how, n)
			}
		}
		for _, how := range []agencies.Behaviour{agencies.Extra, agencies.Honest} {
			town.Set(a.OIN, how)
			rec, err := s.Fetch(t.Context(), q)
			if err != nil || !reflect.DeepEqual(rec, honest) {
				t.Errorf("%s %q: %v, or another record than an honest one", kind, how, err)
			}
		}
	}
}

// TestAgencies: what a demonstration registers is complete and its OINs differ.
func TestAgencies(t *testing.T) {
	town := start(t, agencies.Population{})
	seen := map[broker.OIN]bool{}
	for _, a := range town.Agencies() {
		if _, err := broker.ParseOIN(string(a.OIN)); err != nil || seen[a.OIN] || a.Name == "" {
			t.Errorf("%s: OIN %s is not of its own", a.Kind, a.OIN)
		}
		seen[a.OIN] = true
		noBSN := a.Kind == "woningcorporatie" || a.Kind == "energieleverancier" || a.Kind == "drinkwaterbedrijf"
		if a.Protocol != "" && (a.Key == broker.KeyIdentity) != noBSN {
			t.Errorf("%s is asked by %s", a.Kind, a.Key)
		}
		if a.Protocol != "" && (len(a.Domains) == 0 || !strings.HasPrefix(a.BaseURL, "http://127.0.0.1:")) {
			t.Errorf("%s: domains %v at %s", a.Kind, a.Domains, a.BaseURL)
		}
	}
	if got := town.Agency("gemeente").Municipality; got != "0599" {
		t.Errorf("the municipality is %s", got)
	}
	if len(town.People().Persons()) == 0 {
		t.Error("a town without a population has nobody")
	}
}
