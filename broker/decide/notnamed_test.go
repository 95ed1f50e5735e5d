package decide_test

import (
	"context"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/policies"
)

// listed gives the shipped policy with lines in the list of what is not named.
func listed(lines string) map[string][]byte {
	files := policies.Files()
	files[decide.NotNamedFile] = []byte("{\"decided_by\": {\"nl\": \"x\", \"en\": \"x\"},\n\"requests\": [\n" + lines + "\n]}")
	return files
}

const (
	why     = `"why": {"nl": "Onderzoek.", "en": "Inquiry."}`
	oneRole = `{"purpose": "handhaving", "role": "sociaal-rechercheur", "ground": "AVG 23(1)d", ` + why + `}`
	anyRole = `{"purpose": "kindregeling", "ground": "AVG 23(1)i", ` + why + `}`
)

// A list names requests by purpose, and by role where it says so. One that ships names nothing, and so does a policy of before.
func TestNotNamed(t *testing.T) {
	list, err := decide.ReadNotNamed(listed(oneRole + ",\n" + anyRole))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		role    broker.Role
		purpose broker.Purpose
		ground  string
	}{
		{"sociaal-rechercheur", "handhaving", "AVG 23(1)d"}, {"wijkteammedewerker", "handhaving", ""},
		{"sociaal-rechercheur", "kindregeling", "AVG 23(1)i"}, {"inkomensconsulent", "kindregeling", "AVG 23(1)i"}, {"sociaal-rechercheur", "schoolverzuim-aanpak", ""},
	} {
		got := list.Of(tt.role, tt.purpose)
		if (got == nil) != (tt.ground == "") || (got != nil && (got.Ground != tt.ground || got.Why.NL != "Onderzoek.")) {
			t.Errorf("%s for %s: %+v", tt.role, tt.purpose, got)
		}
	}
	before := policies.Files()
	delete(before, decide.NotNamedFile)
	for what, files := range map[string]map[string][]byte{"shipped": policies.Files(), "of before": before} {
		if list, err := decide.ReadNotNamed(files); err != nil || len(list.Requests) > 0 {
			t.Errorf("%s: %+v, %v", what, list, err)
		}
	}
	good := listed(oneRole + ",\n" + anyRole)
	if err := decide.New(decide.Config{}).Load(context.Background(), policies.Revision(good), good); err != nil {
		t.Error(err)
	}
}

// No policy is loaded with a list that can't be relied on; what is wrong is said with its line.
func TestNotNamedRefuses(t *testing.T) {
	for what, tt := range map[string]struct{ lines, want string }{
		"no ground":               {`{"purpose": "handhaving", ` + why + `}`, ":3: without a ground"},
		"a ground without letter": {strings.ReplaceAll(oneRole, "(1)d", "(1)"), ":3: without a ground"},
		"a ground elsewhere":      {anyRole + ",\n" + strings.ReplaceAll(oneRole, "AVG 23(1)d", "AVG 6(1)e"), ":4: without a ground"},
		"no reason":               {`{"purpose": "handhaving", "ground": "AVG 23(1)d"}`, "say why"},
		"no reason in English":    {strings.ReplaceAll(oneRole, "Inquiry.", " "), "say why"},
		"a purpose of nobody":     {strings.ReplaceAll(oneRole, "handhaving", "handhavin"), `:3: "handhavin" is not in the list purposes`},
		"no purpose":              {strings.ReplaceAll(oneRole, "handhaving", ""), `"" is not in the list purposes`},
		"a role of nobody":        {anyRole + ",\n\n" + strings.ReplaceAll(oneRole, "sociaal-rechercheur", "rechercheur"), `:5: "rechercheur" is not in the list roles`},
		"another key":             {strings.ReplaceAll(oneRole, `"role"`, `"roles"`), `:3: this is no line of this list: json: unknown field "roles"`},
		"no line":                 {`"handhaving"`, ":3: this is no line"},
	} {
		files := listed(tt.lines)
		if err := decide.New(decide.Config{}).Load(context.Background(), policies.Revision(files), files); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", what, err, tt.want)
		}
	}
	for what, content := range map[string]string{
		"another key": `{"decided_by": {"nl": "x", "en": "x"}, "lines": []}`, "nobody decides": `{"requests": []}`, "a list alone": `[]`,
	} {
		files := policies.Files()
		files[decide.NotNamedFile] = []byte(content)
		if _, err := decide.Read(files); err == nil || !strings.Contains(err.Error(), decide.NotNamedFile+":1: ") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
