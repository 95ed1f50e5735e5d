package policies_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// The emergency stop refuses whatever the policy before it gave, of every field of the catalog, with its own reason.
func TestDenyAll(t *testing.T) {
	files := policies.Files()
	old := maps.Clone(files) // one of before there were stops
	const reasons = "schakel/catalog/reasons/data.json"
	lines := bytes.SplitAfter(old[reasons], []byte("\n"))
	old[reasons] = bytes.Join(slices.DeleteFunc(lines, func(l []byte) bool { return bytes.Contains(l, []byte("emergency-stop")) }), nil)
	if bytes.Equal(old[reasons], files[reasons]) {
		t.Fatal("the reason was not taken out")
	}
	for name, files := range map[string]map[string][]byte{"shipped": files, "older": old} {
		t.Run(name, func(t *testing.T) {
			before := policies.Revision(files)
			stop, err := policies.DenyAll(files)
			if err != nil {
				t.Fatal(err)
			}
			again, err := policies.DenyAll(files)
			if err != nil || policies.Revision(again) != policies.Revision(stop) || policies.Revision(files) != before {
				t.Fatalf("it is not the same each time, or changed what it was given: %v", err)
			}
			d := decide.New(decide.Config{})
			revision := policies.Revision(stop)
			if err := d.Load(t.Context(), revision, stop); err != nil {
				t.Fatal(err)
			}
			catalog, err := d.Catalog(revision)
			if err != nil {
				t.Fatal(err)
			}
			q := broker.Query{V: broker.QueryVersion, Agency: broker.QueryAgency{Kind: "gemeente", Mandates: []broker.Mandate{"wgs"}},
				Role: "wijkteammedewerker", Purpose: "ontruiming-voorkomen", Relation: broker.Relation{Case: broker.CaseAssigned, Municipality: broker.MunicipalitySame},
				Subject: broker.QuerySubject{Kind: broker.SubjectPerson, Age: broker.Age18Plus}, Agreements: []broker.Domain{"huur", "contact"}}
			for _, f := range catalog.Fields {
				q.Fields = append(q.Fields, f.Path)
			}
			got, err := d.Decide(t.Context(), revision, q.Canonical())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Grants) != 0 || len(got.Refusals) != len(catalog.Fields) || len(catalog.Fields) < 50 {
				t.Fatalf("%d granted, %d refused of %d", len(got.Grants), len(got.Refusals), len(catalog.Fields))
			}
			for f, why := range got.Refusals {
				if !slices.Equal(why, []broker.Reason{"emergency-stop"}) {
					t.Errorf("%s: %v", f, why)
				}
			}
		})
	}
	if _, err := policies.DenyAll(map[string][]byte{}); err == nil || !strings.Contains(err.Error(), "reasons") {
		t.Errorf("of nothing: %v", err)
	}
}

// Every way in which a file can differ between base, draft and live: what one side did holds, what both did alike holds
// once, and what they did otherwise is named and kept by neither.
func TestRebase(t *testing.T) {
	const gone = "-"
	file := func(content string) map[string][]byte {
		if content == gone {
			return map[string][]byte{}
		}
		return map[string][]byte{"f": []byte(content)}
	}
	for name, tt := range map[string]struct {
		base, draft, live string
		want              string // content of the file, or both
		underneath        bool
	}{
		"nobody touches it":         {"1", "1", "1", "1", false},
		"draft changes":             {"1", "2", "1", "2", false},
		"live changes":              {"1", "1", "2", "2", true},
		"both change alike":         {"1", "2", "2", "2", true},
		"both change otherwise":     {"1", "2", "3", "both", true},
		"draft adds":                {gone, "1", gone, "1", false},
		"live adds":                 {gone, gone, "1", "1", true},
		"both add alike":            {gone, "1", "1", "1", true},
		"both add otherwise":        {gone, "1", "2", "both", true},
		"draft adds, live empty":    {gone, "1", "", "both", true},
		"draft removes":             {"1", gone, "1", gone, false},
		"live removes":              {"1", "1", gone, gone, true},
		"both remove":               {"1", gone, gone, gone, true},
		"draft removes, live edits": {"1", gone, "2", "both", true},
		"draft edits, live removes": {"1", "2", gone, "both", true},
		"draft empties, live not":   {"1", "", "1", "", false},
		"draft empties, live rids":  {"1", "", gone, "both", true},
	} {
		t.Run(name, func(t *testing.T) {
			base, draft, live := file(tt.base), file(tt.draft), file(tt.live)
			for _, files := range []map[string][]byte{base, draft, live} {
				files["other"] = []byte("x")
			}
			live[policies.Signatures] = []byte("of the live policy")
			got := policies.Rebase(base, draft, live)
			if tt.underneath != slices.Equal(got.Underneath, []string{"f"}) || (!tt.underneath && len(got.Underneath) > 0) {
				t.Errorf("changed underneath: %v", got.Underneath)
			}
			if tt.want == "both" {
				if got.Files != nil || !slices.Equal(got.Both, []string{"f"}) {
					t.Fatalf("got %v, both %v", got.Files, got.Both)
				}
				return
			}
			want := file(tt.want)
			want["other"] = []byte("x")
			if len(got.Both) > 0 || !maps.EqualFunc(got.Files, want, bytes.Equal) {
				t.Errorf("got %q, both %v", got.Files, got.Both)
			}
			if string(live[policies.Signatures]) == "" || len(base) != len(file(tt.base))+1 {
				t.Error("it changed what it was given")
			}
		})
	}
	// Each file by itself: one that both changed keeps all from being put together, and only it is named.
	got := policies.Rebase(map[string][]byte{"a": []byte("1"), "b": []byte("1"), "c": []byte("1")},
		map[string][]byte{"a": []byte("2"), "b": []byte("2"), "c": []byte("1")}, map[string][]byte{"a": []byte("1"), "b": []byte("3")})
	if got.Files != nil || !slices.Equal(got.Both, []string{"b"}) || !slices.Equal(got.Underneath, []string{"b", "c"}) {
		t.Errorf("got %+v", got)
	}
}

func TestChanged(t *testing.T) {
	from := map[string][]byte{"a": []byte("1"), "b": []byte("1"), "gone": nil, policies.Signatures: []byte("x")}
	to := map[string][]byte{"a": []byte("1"), "b": []byte("2"), "schakel/guardrails/new.rego": nil}
	got := policies.Changed(from, to)
	if !slices.Equal(got, []string{"b", "gone", "schakel/guardrails/new.rego"}) {
		t.Errorf("changed: %v", got)
	}
	for _, tt := range []struct {
		changed           []string
		rules, guardrails bool
	}{{got, true, true}, {got[2:], false, true}, {got[:1], true, false}, {nil, true, false}, {[]string{"schakel/guardrails.rego"}, true, false}} {
		if r, g := policies.Part(tt.changed); r != tt.rules || g != tt.guardrails {
			t.Errorf("%v: rules %v, guardrails %v", tt.changed, r, g)
		}
	}
}
