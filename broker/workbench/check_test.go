package workbench_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

// Each check finds its bad example, says where, shows the line, and says what to do in two languages.
func TestCheckFinds(t *testing.T) {
	const (
		wgs      = "schakel/law/wgs.rego"
		field    = "schakel/field.rego"
		subject  = "schakel/subject.rego"
		settings = "schakel/settings/data.json"
		notNamed = decide.NotNamedFile
		special  = `special if input.field.class == "bijzonder"`
	)
	for name, tt := range map[string]struct{ file, old, new, rule, line, advice string }{
		"parse":                   {field, special, `special { input.field.class == "bijzonder" }`, "parse", `special {`, "Rego v1"},
		"data that is no JSON":    {settings, "{", "[", "parse", "", "valid JSON"},
		"compile, unused":         {field, special, special + "\n\nspecial if {\n\tleft := 1\n}", "compile", "left := 1", "Mend"},
		"compile, schema":         {field, special, `special if input.field.klasse == "bijzonder"`, "compile", "klasse", "schemas"},
		"no entry point":          {"schakel/access.rego", "decision :=", "verdict :=", "compile", "", "schakel.access"},
		"builtin, clock":          {field, special, `special if time.now_ns() > 0`, "builtin", "time.now_ns", "network"},
		"builtin, in a term":      {field, special, `special if input.field.class == json.marshal(1)`, "builtin", "json.marshal", "network"},
		"no metadata":             {field, "# METADATA\n# title: Bijzonder persoonsgegeven", "# title: Bijzonder persoonsgegeven", "metadata", "special if", "METADATA"},
		"no basis":                {field, "#   basis: AVG 9\n", "#   bron: AVG 9\n", "metadata", "special if", "custom.basis"},
		"no English":              {field, "#   EN: A special category", "#   A special category", "metadata", "special if", "description"},
		"role":                    {wgs, `input.role == "medewerker-vroegsignalering"`, `input.role == "medewerker-vroegsignalerin"`, "literal", "vroegsignalerin\"", `"medewerker-vroegsignalering"`},
		"role in a set":           {wgs, `{"wijkteammedewerker", "casusregisseur"}`, `{"wijkteammedewerker", "casusregiseur"}`, "literal", "casusregiseur", `"casusregisseur"`},
		"purpose":                 {wgs, `input.purpose == "vroegsignalering"`, `input.purpose == "vroegsignaal"`, "literal", "vroegsignaal", "list"},
		"purpose, other side":     {wgs, `input.purpose == "vroegsignalering"`, `"vroegsignaal" == input.purpose`, "literal", "vroegsignaal", "list"},
		"purpose, unequal":        {wgs, `input.purpose == "vroegsignalering"`, `input.purpose != "vroegsignaal"`, "literal", "vroegsignaal", "list"},
		"domain":                  {wgs, `input.field.domain == "persoon"`, `input.field.domain == "persoom"`, "literal", "persoom", `"persoon"`},
		"field":                   {"schakel/law/incasso.rego", `"schulden.schuldhulptraject"`, `"schulden.schuldhulp"`, "literal", `"schulden.schuldhulp"`, `"schulden.`},
		"basis":                   {wgs, `"basis": "wgs-8"`, `"basis": "wgs-88"`, "literal", "wgs-88", `"wgs-8"`},
		"mandate":                 {wgs, `"mandate": "wgs"`, `"mandate": "wgz"`, "literal", "wgz", `"wgs"`},
		"give":                    {wgs, `"give": "exact"`, `"give": "exakt"`, "literal", "exakt", `"exact"`},
		"give, compared":          {"schakel/grants.rego", `row.give == "exact"`, `row.give == "exakt"`, "literal", "exakt", `"exact"`},
		"form":                    {field, `full := "exact"`, `full := "exakt"`, "literal", "exakt", `"exact"`},
		"form, in the catalog":    {field, `"exact" in input.field.forms`, `"exakt" in input.field.forms`, "literal", "exakt", `"exact"`},
		"reason":                  {"schakel/reasons.rego", `missing contains "mandate-missing"`, `missing contains "mandate-mising"`, "literal", "mandate-mising", `"mandate-missing"`},
		"reason, in the order":    {"schakel/reasons.rego", `else := {"never-shared"}`, `else := {"never-share"}`, "literal", `"never-share"`, `"never-shared"`},
		"obligation":              {"schakel/grants.rego", `obligations contains "inform-household"`, `obligations contains "inform-houshold"`, "literal", "houshold", `"inform-household"`},
		"relation":                {"schakel/asker.rego", `{"assigned", "team"}`, `{"asigned", "team"}`, "literal", "asigned", `"assigned"`},
		"municipality":            {"schakel/asker.rego", `municipality == "same"`, `municipality == "dezelfde"`, "literal", "dezelfde", "list"},
		"kind of subject":         {subject, `input.subject.kind == "person"`, `input.subject.kind == "persoon"`, "literal", `"persoon"`, `"person"`},
		"class":                   {field, special, `special if input.field.class == "byzonder"`, "literal", "byzonder", `"bijzonder"`},
		"BSN ground":              {field, `kind.bsn == "always"`, `kind.bsn == "altijd"`, "literal", "altijd", "list"},
		"tie":                     {"schakel/asker.rego", `needs == "signal"`, `needs == "signaal"`, "literal", "signaal", `"signal"`},
		"settings, never":         {settings, `"ggz.diagnose"`, `"ggz.diagnoses"`, "literal", "ggz.diagnoses", `"ggz.diagnose"`},
		"settings, role":          {settings, `"schuldhulpverlener": {`, `"schuldhulpverleners": {`, "literal", "schuldhulpverleners", `"schuldhulpverlener"`},
		"settings, age":           {settings, `"16-17"`, `"16-18"`, "literal", "16-18", `"16-17"`},
		"settings, tie":           {settings, `"relation": "signal"`, `"relation": "signaal"`, "literal", "signaal", `"signal"`},
		"not named, ground":       {notNamed, `"requests": [`, `"requests": [{"purpose": "handhaving", "why": {"nl": "x", "en": "x"}}`, "parse", `"requests": [`, "AVG 23(1)d"},
		"not named, role":         {notNamed, `"requests": [`, `"requests": [{"purpose": "handhaving", "role": "rechercheur", "ground": "AVG 23(1)d", "why": {"nl": "x", "en": "x"}}`, "parse", `"rechercheur"`, "list"},
		"not named, key":          {notNamed, `"requests": [`, `"requests": [{"doel": "handhaving"}`, "parse", `"doel"`, "purpose, ground and why"},
		"set, counted":            {field, `mandate.id in input.agency.mandates`, `count(input.agency.mandates) > 0; mandate.id != ""`, "set", "count(", "in input.agency.mandates"},
		"set, walked":             {subject, `input.field.domain in input.subject.consent`, `some domain in input.subject.consent; domain == input.field.domain`, "set", "some domain", "in input.subject.consent"},
		"set, indexed":            {subject, `input.field.domain in input.subject.release`, `input.subject.release[_] == input.field.domain`, "set", "release[_]", "in input.subject.release"},
		"set, named":              {field, `agreement if input.field.domain in input.agreements`, `agreement if {` + "\n\tall := input.agreements\n\tinput.field.domain in all\n}", "set", "all := ", "in input.agreements"},
		"set, by another road":    {field, special, `special if object.get(input.subject, "consent", []) != []`, "set", "object.get", "in input.subject"},
		"all fields":              {field, special, `special if "ggz.diagnose" in input.fields`, "fields", "input.fields", "input.field;"},
		"the whole input":         {field, special, `special if object.get(input, "role", "") == "x"`, "fields", "object.get(input", "input.field;"},
		"a path that is computed": {field, special, `special if input[input.role] == "x"`, "fields", "input[", "input.field;"},
		"layout":                  {field, special, `special  if input.field.class == "bijzonder"`, "format", "special  if", "special if"},
	} {
		t.Run(name, func(t *testing.T) {
			files := policies.Files()
			maps.DeleteFunc(files, func(file string, _ []byte) bool { return decide.IsTest(file) }) // quicker
			if !bytes.Contains(files[tt.file], []byte(tt.old)) {
				t.Fatalf("%s has no %q", tt.file, tt.old)
			}
			files[tt.file] = bytes.Replace(files[tt.file], []byte(tt.old), []byte(tt.new), 1)
			got := workbench.Check(files)
			for _, f := range got.Findings {
				if f.Rule == tt.rule && strings.Contains(f.Source, tt.line) && strings.Contains(f.Advice.EN, tt.advice) {
					if f.Problem.NL == "" || f.Problem.NL == f.Problem.EN || f.Problem.EN == "" || f.Advice.NL == "" {
						t.Errorf("not said in two languages: %+v", f)
					}
					if tt.line != "" && (f.File != tt.file || f.Line == 0) {
						t.Errorf("not said where: %+v", f)
					}
					return
				}
			}
			t.Errorf("not found; found %+v", got.Findings)
		})
	}
}

// What the compiler says in its own words is told apart from what is said in the reader's.
func TestCompilersWords(t *testing.T) {
	const file = "schakel/field.rego"
	for added, want := range map[string]workbench.Finding{
		"left if := 1\n": {Problem: broker.Text{NL: "hier klopt de schrijfwijze niet, bij: assign", EN: "this is not written right, at: assign"}},
		"default special := 1\ndefault special := 2\n": {Problem: broker.Text{NL: "de compiler keurt dit af:", EN: "the compiler refuses this:"}, Said: "multiple default rules"},
	} {
		files := policies.Files()
		maps.DeleteFunc(files, func(file string, _ []byte) bool { return decide.IsTest(file) })
		files[file] = append(files[file], "\n"+added...)
		found := workbench.Check(files).Findings
		if !slices.ContainsFunc(found, func(f workbench.Finding) bool {
			return f.Problem == want.Problem && strings.Contains(f.Said, want.Said) && f.Advice.NL != ""
		}) {
			t.Errorf("%q: %+v", added, found)
		}
	}
}
