package broker

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestCanonicalBytes holds the bytes that are written by hand to what encoding/json writes.
func TestCanonicalBytes(t *testing.T) {
	word := rapid.OneOf(rapid.StringMatching(`[a-z.-]{0,12}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		word := func(name string) string { return word.Draw(t, name) }
		q := Query{
			V: rapid.Int().Draw(t, "v"), Agency: QueryAgency{AgencyKind(word("kind")), drawSet[Mandate](t, "mandates", word)},
			Role: Role(word("role")), Purpose: Purpose(word("purpose")),
			Relation: Relation{CaseRelation(word("case")), rapid.Bool().Draw(t, "coordinator"), rapid.Bool().Draw(t, "signal"),
				rapid.Bool().Draw(t, "claim"), Municipality(word("municipality"))},
			Subject: QuerySubject{SubjectKind(word("subject")), AgeBand(word("age")), rapid.Bool().Draw(t, "restricted"),
				drawSet[Domain](t, "consent", word), drawSet[Domain](t, "release", word)},
			Agreements: drawSet[Domain](t, "agreements", word),
			Emergency:  QueryEmergency{rapid.Bool().Draw(t, "active"), drawSet[Domain](t, "domains", word)},
			Fields:     drawSet[Field](t, "fields", word),
		}
		if got, want := q.Bytes(), mustJSON(q.Canonical()); !bytes.Equal(got, want) {
			t.Fatalf("query\n got %s\nwant %s", got, want)
		}
		d := Decision{Obligations: drawSet[Obligation](t, "obligations", word)}
		if rapid.Bool().Draw(t, "something") {
			d.Grants, d.Refusals = map[Field]Grant{}, map[Field][]Reason{}
		}
		for _, f := range q.Fields {
			if d.Grants == nil {
				break
			}
			if rapid.Bool().Draw(t, "granted") {
				d.Grants[f] = Grant{Form(word("form")), Basis(word("basis"))}
			} else {
				d.Refusals[f] = drawSet[Reason](t, "reasons", word)
			}
		}
		if got, want := d.Bytes(), mustJSON(d.Canonical()); !bytes.Equal(got, want) {
			t.Fatalf("decision\n got %s\nwant %s", got, want)
		}
	})
}

func drawSet[T ~string](t *rapid.T, name string, word func(string) string) []T {
	var out []T
	for range rapid.IntRange(0, 4).Draw(t, name+" length") {
		out = append(out, T(word(name)))
	}
	return out
}

// TestCanonicalKeepsWhatItWasGiven: a list that has to be put in order is copied first.
func TestCanonicalKeepsWhatItWasGiven(t *testing.T) {
	fields := []Field{"b", "a", "b"}
	reasons := []Reason{"z", "y"}
	q := Query{Fields: fields}.Canonical()
	d := Decision{Refusals: map[Field][]Reason{"a": reasons}}.Canonical()
	if len(q.Fields) != 2 || q.Fields[0] != "a" || d.Refusals["a"][0] != "y" || d.Obligations == nil || d.Grants == nil {
		t.Fatalf("not canonical: %v, %v", q.Fields, d)
	}
	if fields[0] != "b" || reasons[0] != "z" {
		t.Fatal("the caller's list was changed")
	}
}
