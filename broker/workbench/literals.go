package workbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
)

// Closed lists that are part of the query and not of the catalog.
var (
	caseWords         = []string{"assigned", "team", "agency", "none"}
	municipalityWords = []string{"same", "other", "unknown"}
	subjectWords      = []string{"household", "person"}
	ageWords          = []string{"0-11", "12-15", "16-17", "18+", "unknown"}
	tieWords          = []string{"case", "signal", "claim", "holder"}
	giveWords         = []string{"exact", "exact-with-special", "limited", "contact", "contact-on-release", "exact-on-consent",
		"limited-on-consent", "lookup", "emergency"}
	bsnWords = []string{"always", "mandated", "never"}
)

// list gives the closed list that a name stands for: an input path, a key of an object, or a key of the settings.
func (c *checker) list(name string) (what string, words []string) {
	k := c.source.Catalog
	switch name {
	case "input.role", "role":
		return "roles", ids(k.Roles)
	case "input.purpose", "purpose", "switched_off", "enforcement":
		return "purposes", ids(k.Purposes)
	case "input.agency.kind", "kinds", "public_bodies":
		return "agencyKinds", kinds(k)
	case "input.agency.mandates":
		return "mandates", ids(k.Mandates)
	case "mandate":
		return "mandates", append(ids(k.Mandates), "none")
	case "input.relation.case":
		return "relation.case", caseWords
	case "input.relation.municipality":
		return "relation.municipality", municipalityWords
	case "input.subject.kind", "input.field.subject":
		return "subject.kind", subjectWords
	case "input.subject.age", "ages":
		return "subject.age", ageWords
	case "input.field.domain", "input.subject.consent", "input.subject.release", "input.agreements", "input.emergency.domains",
		"secrecy", "domains", "domain":
		return "domains", ids(k.Domains)
	case "input.field.class", "class":
		return "classes", ids(k.Classes)
	case "input.field.path", "never", "fields":
		return "fields", paths(k)
	case "input.field.forms", "form":
		return "forms", ids(k.Forms)
	case "basis":
		return "bases", ids(k.Bases)
	case "reasons":
		return "reasons", ids(k.Reasons)
	case "obligations":
		return "obligations", ids(k.Obligations)
	case "give":
		return "give", giveWords
	case "relation", "needs":
		return "relation", tieWords
	case "bsn":
		return "bsn", bsnWords
	}
	return "", nil
}

func ids(terms []broker.Term) []string {
	var out []string
	for _, t := range terms {
		out = append(out, t.ID)
	}
	return out
}

func kinds(k *broker.Catalog) []string {
	var out []string
	for _, t := range k.AgencyKinds {
		out = append(out, string(t.ID))
	}
	return out
}

func paths(k *broker.Catalog) []string {
	var out []string
	for _, f := range k.Fields {
		out = append(out, string(f.Path))
	}
	return out
}

// word demands that a literal is in the closed list of a name.
func (c *checker) word(file string, line int, name, literal string) {
	what, words := c.list(name)
	if what == "" || literal == "" || slices.Contains(words, literal) { // "" asks whether there is a word
		return
	}
	near := closest(literal, words)
	c.add(RuleLiteral, file, line,
		broker.Text{NL: fmt.Sprintf("%q staat niet in de lijst %s", literal, what), EN: fmt.Sprintf("%q is not in the list %s", literal, what)},
		broker.Text{NL: fmt.Sprintf("Bedoelde u %q? Anders: voeg het woord toe aan de lijst.", near),
			EN: fmt.Sprintf("Did you mean %q? Otherwise add the word to the list.", near)})
}

// literals demands that the strings in a term are in the closed list of a name.
func (c *checker) literals(file string, name string, t *ast.Term) {
	switch v := t.Value.(type) {
	case ast.String:
		c.word(file, t.Location.Row, name, string(v))
	case ast.Set:
		v.Foreach(func(t *ast.Term) { c.literals(file, name, t) })
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { c.literals(file, name, t) })
	}
}

// comparison checks what a literal is compared with: == and != both ways, and in.
func (l *linter) comparison(e *ast.Expr) {
	if e.IsCall() {
		l.compared(e.Terms.([]*ast.Term))
	}
}

func (l *linter) compared(call []*ast.Term) {
	if len(call) != 3 {
		return
	}
	switch call[0].Value.String() {
	case "equal", "neq", "eq", "internal.member_2":
		l.against(call[1], call[2])
		l.against(call[2], call[1])
	}
}

// against checks literal where it meets a ref: input.role by its path, row.give by its last step.
func (l *linter) against(ref, literal *ast.Term) {
	switch v := ref.Value.(type) {
	case ast.Ref:
		if v.HasPrefix(ast.InputRootRef) {
			l.literals(l.file, v.String(), literal)
		} else if last, ok := v[len(v)-1].Value.(ast.String); ok && len(v) > 1 {
			l.literals(l.file, string(last), literal)
		}
	case ast.Var:
		l.literals(l.file, string(v), literal)
	}
}

// objectWords checks the values of keys that stand for a closed list, wherever an object is made.
func (l *linter) objectWords(o ast.Object) {
	o.Foreach(func(k, v *ast.Term) {
		if key, ok := k.Value.(ast.String); ok && l.plain(string(key)) {
			l.literals(l.file, string(key), v)
		}
	})
}

// plain are the keys of rows and grants. The entry point makes an empty field entry, whose words are no words.
func (l *linter) plain(key string) bool {
	return !l.entry && slices.Contains([]string{"give", "basis", "mandate", "form", "role", "purpose", "reasons", "obligations"}, key)
}

// ruleWords checks what a rule itself gives: reasons, obligations and forms.
func (l *linter) ruleWords(r *ast.Rule) {
	name := ""
	pkg := r.Module.Package.Path.String()
	switch string(r.Head.Name) {
	case "missing":
		name = "reasons"
	case "found":
		if strings.HasSuffix(pkg, ".reasons") {
			name = "reasons"
		}
	case "obligations":
		name = "obligations"
	case "full", "limited":
		name = "form"
	case "needs":
		name = "needs"
	}
	if name == "" {
		return
	}
	for ; r != nil; r = r.Else {
		if r.Head.Key != nil {
			l.literals(l.file, name, r.Head.Key)
		}
		if r.Head.Value != nil {
			l.literals(l.file, name, r.Head.Value)
		}
	}
}

// settingsFile holds data.schakel.settings.
const settingsFile = "schakel/settings/data.json"

// settings checks the words in data.schakel.settings.
func (c *checker) settings() {
	root, _ := c.source.Data["schakel"].(map[string]any)
	settings, _ := root["settings"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		switch v := settings[key].(type) {
		case []any:
			c.dataWords(key, v)
		case map[string]any:
			for _, inner := range slices.Sorted(maps.Keys(v)) {
				c.setting(key, inner, v[inner])
			}
		}
	}
}

func (c *checker) setting(key, inner string, v any) {
	switch key {
	case "consent_ages", "release_ages":
		c.dataWord("domain", inner)
		c.dataWords("ages", v)
	case "groups":
		c.dataWords("fields", v)
	case "roles":
		c.dataWord("role", inner)
		role, _ := v.(map[string]any)
		c.dataWords("relation", []any{role["relation"]})
		c.dataWords("kinds", role["kinds"])
	case "lookup":
		c.dataWord("kinds", inner)
		c.dataWords("purpose", v)
	case "emergency":
		c.dataWords(inner, v)
	}
}

func (c *checker) dataWords(name string, v any) {
	list, _ := v.([]any)
	for _, item := range list {
		word, _ := item.(string)
		c.dataWord(name, word)
	}
}

func (c *checker) dataWord(name, word string) {
	line := 0
	for i, text := range strings.Split(string(c.files[settingsFile]), "\n") {
		if line == 0 && strings.Contains(text, fmt.Sprintf("%q", word)) {
			line = i + 1
		}
	}
	c.word(settingsFile, line, name, word)
}

// closest gives the word of a list that differs in the fewest letters.
func closest(word string, words []string) string {
	best, least := "", 1<<30
	for _, w := range words {
		if d := edits(word, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
