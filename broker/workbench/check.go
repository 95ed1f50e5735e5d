package workbench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
)

// The checks, as Finding.Rule names them.
const (
	RuleParse    = "parse"    // not Rego v1, or data that can't be read
	RuleCompile  = "compile"  // not strict, or against the schemas
	RuleBuiltin  = "builtin"  // a builtin outside the allow-list
	RuleMetadata = "metadata" // a rule that does not say what it is for
	RuleLiteral  = "literal"  // a word that is in none of the closed lists it is compared with
	RuleSet      = "set"      // a set of the input that is used for more than membership
	RuleFields   = "fields"   // a rule that can see more than one field
	RuleFormat   = "format"   // not laid out as opa fmt does
	RulePlumbing = "plumbing" // a rule between answer.given and the decision is not as it must be
)

// CheckReport is what Check found, by file and line.
type CheckReport struct {
	Files    int       `json:"files"`
	Rules    int       `json:"rules"`
	Findings []Finding `json:"findings"`
}

// OK tells whether nothing was found.
func (r CheckReport) OK() bool { return len(r.Findings) == 0 }

// Check looks for everything that can be wrong with policy files without asking them anything.
func Check(files map[string][]byte) CheckReport {
	c := &checker{files: files, report: CheckReport{Files: len(files), Findings: []Finding{}}}
	source, err := decide.Read(files)
	if err != nil {
		c.engine(RuleParse, err)
		return c.done()
	}
	c.source = source
	for _, file := range slices.Sorted(maps.Keys(source.Modules)) {
		c.report.Rules += len(source.Modules[file].Rules)
		c.metadata(file, source.Modules[file])
		c.lint(file, source.Modules[file])
	}
	c.settings()
	c.plumbing()
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(file, ".rego") {
			c.format(file)
		}
	}
	c.compile()
	return c.done()
}

type checker struct {
	files  map[string][]byte
	source *decide.Source
	report CheckReport
}

func (c *checker) add(rule, file string, line int, problem, advice broker.Text) *Finding {
	c.report.Findings = append(c.report.Findings, Finding{Place: placeIn(c.files, file, line), Rule: rule, Problem: problem, Advice: advice})
	return &c.report.Findings[len(c.report.Findings)-1]
}

func (c *checker) done() CheckReport {
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	c.report.Findings = slices.CompactFunc(c.report.Findings, func(a, b Finding) bool { return a == b })
	return c.report
}

// compile compiles the policy as it is served, and then with its tests.
func (c *checker) compile() {
	if c.source.Modules == nil {
		return
	}
	if _, err := c.source.Compile(copies(c.source.Modules), false); err != nil {
		c.engine(RuleCompile, err)
		return
	}
	all := copies(c.source.Modules)
	maps.Copy(all, copies(c.source.Tests))
	if _, err := c.source.Compile(all, true); err != nil {
		c.engine(RuleCompile, err)
	}
	entry := ast.MustParseRef(decide.EntryPoint)
	if !slices.ContainsFunc(slices.Collect(maps.Values(c.source.Modules)), func(m *ast.Module) bool {
		return slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return r.Ref().GroundPrefix().Equal(entry) })
	}) {
		c.add(RuleCompile, "", 0,
			broker.Text{NL: "de regel " + decide.EntryPoint + " ontbreekt", EN: "the rule " + decide.EntryPoint + " is missing"},
			broker.Text{NL: "Schrijf de regel decision in package schakel.access.", EN: "Write the rule decision in package schakel.access."})
	}
}

// engine turns the engine's errors into findings.
func (c *checker) engine(rule string, err error) {
	var many interface{ Unwrap() []error }
	var faults ast.Errors
	var fault *decide.Fault
	switch {
	case errors.As(err, &faults) && !errors.As(err, &many):
		for _, f := range faults {
			c.fault(rule, f)
		}
	case errors.As(err, &many):
		for _, e := range many.Unwrap() {
			c.engine(rule, e)
		}
	case errors.As(err, &fault):
		c.add(rule, fault.File, fault.Line, fault.Problem, fault.Advice).Said = fault.Said
	default:
		c.add(rule, c.fileIn(err), 0, broker.Text{NL: "dit kan niet worden gelezen: " + err.Error(), EN: err.Error()},
			broker.Text{NL: "Herstel dit bestand; het moet geldige JSON zijn.", EN: "Mend this file; it must be valid JSON."})
	}
}

// fileIn finds the file an error names.
func (c *checker) fileIn(err error) string {
	for _, file := range slices.Sorted(maps.Keys(c.files)) {
		if strings.Contains(err.Error(), file) {
			return file
		}
	}
	return ""
}

func (c *checker) fault(rule string, f *ast.Error) {
	advice := broker.Text{NL: "Herstel deze regel.", EN: "Mend this line."}
	switch {
	case strings.Contains(f.Message, "undefined function"):
		return // the builtin check says it better; a misspelt function of our own is also an undefined ref
	case f.Code == ast.TypeErr:
		advice = broker.Text{NL: "Vergelijk het pad met policies/schemas; een regel ziet input.field en niet input.fields.",
			EN: "Hold the path against policies/schemas; a rule sees input.field and not input.fields."}
	case f.Code == ast.ParseErr:
		advice = broker.Text{NL: "Schrijf Rego v1: if, contains en in.", EN: "Write Rego v1: if, contains and in."}
	}
	var file string
	var line int
	if f.Location != nil {
		file, line = f.Location.File, f.Location.Row
	}
	problem, said := told(f.Message)
	if f.Details != nil {
		said = strings.Join(append([]string{said}, f.Details.Lines()...), "; ")
	}
	c.add(rule, file, line, problem, advice).Said = strings.TrimPrefix(said, "; ")
}

// told says in both languages what the compiler says most. The rest it says itself.
func told(message string) (problem broker.Text, said string) {
	for _, known := range []struct{ message, nl, en, said string }{
		{`^var (.+) is unsafe$`, "de variabele $1 krijgt nergens een waarde", "the variable $1 gets a value nowhere", ""},
		{`^(?:assigned|declared) var (.+) unused$`, "de variabele $1 wordt niet gebruikt", "the variable $1 is not used", ""},
		{`^undefined ref: (.+)$`, "dit pad bestaat niet: $1", "this path does not exist: $1", ""},
		{`^unexpected (.+?) token(?:|: (.*))$`, "hier klopt de schrijfwijze niet, bij: $1", "this is not written right, at: $1", "$2"},
		{`^rule (.+) is recursive: (.+)$`, "de regel $1 verwijst naar zichzelf: $2", "the rule $1 refers to itself: $2", ""},
		{`^(.+) keyword cannot be used for rule .*$`, "hier hoort het woord $1 niet", "the word $1 does not belong here", ""},
	} {
		if re := regexp.MustCompile(known.message); re.MatchString(message) {
			in := func(text string) string { return re.ReplaceAllString(message, text) }
			return broker.Text{NL: in(known.nl), EN: in(known.en)}, in(known.said)
		}
	}
	return broker.Text{NL: "de compiler keurt dit af:", EN: "the compiler refuses this:"}, message
}

// format demands the layout of opa fmt.
func (c *checker) format(file string) {
	want, err := format.SourceWithOpts(file, c.files[file], format.Opts{RegoVersion: ast.RegoV1,
		ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1}})
	if err != nil || bytes.Equal(want, c.files[file]) {
		return
	}
	have, need := bytes.Split(c.files[file], []byte("\n")), bytes.Split(want, []byte("\n"))
	line := 1
	for line <= len(have) && line <= len(need) && bytes.Equal(have[line-1], need[line-1]) {
		line++
	}
	shown := ""
	if line <= len(need) {
		shown = strings.TrimSpace(string(need[line-1]))
	}
	c.add(RuleFormat, file, line,
		broker.Text{NL: "niet opgemaakt zoals opa fmt het doet", EN: "not laid out as opa fmt does"},
		broker.Text{NL: fmt.Sprintf("Schrijf hier: %s", shown), EN: fmt.Sprintf("Write here: %s", shown)})
}

// metadata demands that the package and every rule say what they are for, in both languages, and on which basis.
func (c *checker) metadata(file string, m *ast.Module) {
	for _, a := range m.Annotations {
		if a.Scope == "package" {
			c.describe(file, m.Package.Location.Row, a, false)
		}
	}
	if !slices.ContainsFunc(m.Annotations, func(a *ast.Annotations) bool { return a.Scope == "package" }) {
		c.undescribed(file, m.Package.Location.Row)
	}
	for _, r := range m.Rules {
		var own *ast.Annotations
		for _, a := range r.Annotations {
			if a.Scope == "rule" || a.Scope == "document" {
				own = a
			}
		}
		if own == nil {
			c.undescribed(file, r.Location.Row)
			continue
		}
		c.describe(file, r.Location.Row, own, true)
	}
}

func (c *checker) undescribed(file string, line int) {
	c.add(RuleMetadata, file, line, broker.Text{NL: "zonder METADATA", EN: "without METADATA"}, broker.Text{
		NL: "Zet erboven: # METADATA met title, description (NL: en EN:) en custom basis.",
		EN: "Put above it: # METADATA with title, description (NL: and EN:) and custom basis."})
}

func (c *checker) describe(file string, line int, a *ast.Annotations, needsBasis bool) {
	var missing []string
	if strings.TrimSpace(a.Title) == "" {
		missing = append(missing, "title")
	}
	if !strings.Contains(a.Description, "NL:") || !strings.Contains(a.Description, "EN:") {
		missing = append(missing, "description (NL: … EN: …)")
	}
	if basis, _ := a.Custom["basis"].(string); needsBasis && strings.TrimSpace(basis) == "" {
		missing = append(missing, "custom.basis")
	}
	if len(missing) == 0 {
		return
	}
	list := strings.Join(missing, ", ")
	c.add(RuleMetadata, file, line, broker.Text{NL: "METADATA zonder " + list, EN: "METADATA without " + list},
		broker.Text{NL: "Vul aan: " + list + ".", EN: "Add: " + list + "."})
}
