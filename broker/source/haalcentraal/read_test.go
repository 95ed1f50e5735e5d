package haalcentraal

import (
	"reflect"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
)

const me = broker.BSN("999990019")

func answer(t testing.TB, person string) map[string]any {
	t.Helper()
	obj, err := broker.ParseObject([]byte(`{"type":"RaadpleegMetBurgerservicenummer","personen":[` + person + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestNobodyIsNotFound(t *testing.T) {
	if _, err := read(answer(t, ``), me, []string{"leeftijd"}); source.FailureOf(err) != source.FailUnknown {
		t.Errorf("failure %q, want %q", source.FailureOf(err), source.FailUnknown)
	}
}

func TestOwnNumberMustBeThereWhenAsked(t *testing.T) {
	if _, err := read(answer(t, `{}`), me, []string{"burgerservicenummer"}); source.FailureOf(err) != source.FailOtherPerson {
		t.Errorf("failure %q, want %q", source.FailureOf(err), source.FailOtherPerson)
	}
	rec, err := read(answer(t, `{"burgerservicenummer":"999990019"}`), me, []string{"burgerservicenummer"})
	if err != nil || rec.Values["persoon.burgerservicenummer"] != "999990019" {
		t.Errorf("own number not read: %v", err)
	}
}

// TestAuthority: the kind of authority over the person asked about is read; who holds it, and authority over others, is not.
func TestAuthority(t *testing.T) {
	mine := `{"type":"TweehoofdigOuderlijkGezag","minderjarige":{"burgerservicenummer":"999990019"},"ouders":[{"burgerservicenummer":"999990093"},{"naam":{"geslachtsnaam":"Anders"}}]}`
	other := strings.Replace(mine, "999990019", "999990093", 1)
	read1 := func(gezag string) (any, error) {
		rec, err := read(answer(t, `{"gezag":`+gezag+`}`), me, []string{"gezag"})
		return rec.Values["persoon.gezag"], err
	}
	got, err := read1(`[` + other + `,` + mine + `]`)
	if want := []any{map[string]any{"type": "TweehoofdigOuderlijkGezag"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("gezag %v %v, want %v", got, err, want)
	}
	if got, err := read1(`[` + other + `]`); err != nil || got != nil {
		t.Errorf("authority over someone else was read: %v %v", got, err)
	}
	for _, bad := range []string{`{}`, `["x"]`, `[{"minderjarige":"999990019"}]`, strings.Replace(`[`+mine+`]`, "Tweehoofdig", "Driehoofdig", 1)} {
		if _, err := read1(bad); source.FailureOf(err) != source.FailType {
			t.Errorf("%s: failure %q, want %q", bad, source.FailureOf(err), source.FailType)
		}
	}
}

func TestStricterFacts(t *testing.T) {
	date := `{"type":"Datum","datum":"2024-02-10","langFormaat":"10 februari 2024"}`
	for person, want := range map[string]broker.Record{
		`{}`:                                     {},
		`{"geheimhoudingPersoonsgegevens":true}`: {Restricted: true},
		`{"geheimhoudingPersoonsgegevens":false}`: {},
		`{"overlijden":{"datum":` + date + `}}`:   {Deceased: true},
		`{"overlijden":{}}`:                       {Deceased: true},
		`{"geboorte":{"datum":` + date + `}}`:     {Birth: broker.Date{Year: 2024, Month: 2, Day: 10}},
		`{"opschortingBijhouding":{"reden":{"code":"O","omschrijving":"overlijden"},"datum":` + date + `}}`: {Deceased: true},
		`{"opschortingBijhouding":{"reden":{"code":"E"}}}`:                                                  {},
	} {
		rec, err := read(answer(t, person), me, []string{"leeftijd"})
		if err != nil || rec.Restricted != want.Restricted || rec.Deceased != want.Deceased || rec.Birth != want.Birth {
			t.Errorf("%s: got restricted %t deceased %t, %v", person, rec.Restricted, rec.Deceased, err)
		}
		if len(rec.Values) != 0 {
			t.Errorf("%s: read what was not asked", person)
		}
	}
}

// FuzzAnswer: whatever the registry answers, only asked fields are read, nothing of a relative, and no answer about
// someone else.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"naam":{"voornamen":"x","inOnderzoek":{"voornamen":true}}}`, `{"geboorte":{"datum":{"type":"JaarDatum","jaar":1985}}}`,
		`{"gezag":[{"type":"Voogdij","minderjarige":{"burgerservicenummer":"999990019"}}]}`, `{"burgerservicenummer":"999990093"}`,
		`{"opschortingBijhouding":{"reden":{"code":"O"}},"rni":[{"deelnemer":{}}],"verificatie":{}}`, `{"naam":null}`, `{},{}`, `1`,
		`{"overlijden":{"datum":{"type":"DatumOnbekend","onbekend":true}},"geheimhoudingPersoonsgegevens":true}`,
		`{"gemeenteVanInschrijving":{"code":"0599","x":1},"verblijfplaats":{"verblijfadres":{"huisnummer":1e3}}}`,
	} {
		f.Add(`{"type":"RaadpleegMetBurgerservicenummer","personen":[` + seed + `]}`)
	}
	fields := []string{"naam.voornamen", "geboorte.datum", "gezag", "gemeenteVanInschrijving", "overlijden.datum", "verblijfplaats.verblijfadres.huisnummer"}
	f.Fuzz(func(t *testing.T, data string) {
		obj, err := broker.ParseObject([]byte(data))
		if err != nil {
			return
		}
		rec, err := read(obj, me, fields)
		if err != nil {
			if source.FailureOf(err) == "" {
				t.Fatal("an error without a failure")
			}
			return
		}
		person := obj["personen"].([]any)[0].(map[string]any)
		if n, ok := person["burgerservicenummer"]; ok && n != "999990019" {
			t.Fatal("read an answer about another person")
		}
		for path, v := range rec.Values {
			name := strings.TrimPrefix(string(path), "persoon.")
			again, err := kindOf(name)(v, me)
			if name != "gezag" && (err != nil || !reflect.DeepEqual(again, v)) {
				t.Fatalf("%s is not of its kind", path)
			}
			if name == "gezag" {
				for _, item := range v.([]any) {
					if obj := item.(map[string]any); obj["minderjarige"] != nil || obj["ouders"] != nil {
						t.Fatal("read a relative")
					}
				}
			}
		}
		for path := range rec.Companions {
			if last := path[strings.LastIndexByte(string(path), '.')+1:]; kindOf(string(last)) != nil {
				t.Fatalf("%s is not a companion", path)
			}
		}
	})
}
