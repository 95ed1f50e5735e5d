package decide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/schakel/schakel/broker"
)

// EntryPoint is the one document that is asked for a decision.
const EntryPoint = "data.schakel.access.decision"

// allowed is the allow-list of builtins: pure functions without network, time, randomness or runtime.
const allowed = `eq equal neq lt lte gt gte assign and or minus plus count sum max min sort concat contains startswith
	endswith lower upper split sprintf format_int array.concat union intersection object.get object.keys object.union
	numbers.range is_array is_boolean is_null is_number is_object is_set is_string internal.member_2 internal.member_3
	internal.print print`

// Capabilities gives what a policy may use of the engine. Tests may use one builtin more.
func Capabilities(tests bool) *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	names := strings.Fields(allowed)
	if tests {
		names = append(names, "internal.test_case")
	}
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool { return !slices.Contains(names, b.Name) })
	c.AllowNet = []string{}
	return c
}

// Source is a policy as parsed: modules by path, tests apart, data and schemas.
type Source struct {
	Modules map[string]*ast.Module
	Tests   map[string]*ast.Module
	Data    map[string]any
	Schemas *ast.SchemaSet
	Catalog *broker.Catalog
}

// IsTest tells whether a path is that of a Rego test.
func IsTest(file string) bool { return strings.HasSuffix(file, "_test.rego") }

// Read parses policy files: .rego as Rego v1, data.json as data at the path of its folder, schemas/NAME.json as
// schema.NAME. Its error has every parse error of every file (ast.Errors).
func Read(files map[string][]byte) (*Source, error) {
	s, err := readFiles(files)
	if err != nil {
		return nil, err
	}
	if err := s.readCatalog(); err != nil {
		return nil, fmt.Errorf("read data.schakel.catalog: %w", err)
	}
	return s, s.readNotNamed(files)
}

// readFiles parses Rego and data, of a policy or of other rules.
func readFiles(files map[string][]byte) (*Source, error) {
	s := &Source{Modules: map[string]*ast.Module{}, Tests: map[string]*ast.Module{}, Data: map[string]any{}, Schemas: ast.NewSchemaSet()}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case path.Ext(name) == ".rego":
			m, err := ast.ParseModuleWithOpts(name, string(files[name]), ast.ParserOptions{
				ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: Capabilities(IsTest(name))})
			if err != nil {
				wrong = append(wrong, err)
			} else if IsTest(name) {
				s.Tests[name] = m
			} else {
				s.Modules[name] = m
			}
		case path.Base(name) == "data.json":
			if err := s.addData(name, files[name]); err != nil {
				wrong = append(wrong, fmt.Errorf("read %s: %w", name, err))
			}
		case path.Dir(name) == "schemas" && path.Ext(name) == ".json":
			v, err := readJSON(files[name])
			if err != nil {
				wrong = append(wrong, fmt.Errorf("read %s: %w", name, err))
			}
			s.Schemas.Put(ast.MustParseRef("schema."+strings.TrimSuffix(path.Base(name), ".json")), v)
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return s, nil
}

func (s *Source) addData(name string, content []byte) error {
	v, err := readJSON(content)
	if err != nil {
		return err
	}
	at := s.Data
	steps := strings.Split(path.Dir(name), "/")
	for _, step := range steps[:len(steps)-1] {
		next, ok := at[step].(map[string]any)
		if !ok {
			if _, taken := at[step]; taken {
				return errors.New("another data.json has a value at this path")
			}
			next = map[string]any{}
			at[step] = next
		}
		at = next
	}
	last := steps[len(steps)-1]
	if _, taken := at[last]; taken {
		return errors.New("another data.json has a value at this path")
	}
	at[last] = v
	return nil
}

func readJSON(content []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the JSON value")
	}
	return v, nil
}

// readCatalog decodes the catalog strictly, and checks that its entries use its own closed lists.
func (s *Source) readCatalog() error {
	root, _ := s.Data["schakel"].(map[string]any)
	raw, err := json.Marshal(root["catalog"])
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	s.Catalog = &broker.Catalog{}
	if err := d.Decode(s.Catalog); err != nil {
		return err
	}
	return checkCatalog(s.Catalog)
}

func checkCatalog(c *broker.Catalog) error {
	if len(c.Fields) == 0 {
		return errors.New("it has no fields")
	}
	seen := map[broker.Field]bool{}
	for _, f := range c.Fields {
		switch {
		case seen[f.Path]:
			return fmt.Errorf("field %s stands in it twice", f.Path)
		case !broker.HasTerm(c.Domains, string(f.Domain)):
			return fmt.Errorf("field %s: add domain %q to domains", f.Path, f.Domain)
		case !broker.HasTerm(c.Classes, string(f.Class)):
			return fmt.Errorf("field %s: add class %q to classes", f.Path, f.Class)
		case f.Subject != broker.SubjectHousehold && f.Subject != broker.SubjectPerson:
			return fmt.Errorf("field %s: subject is household or person", f.Path)
		case len(f.Forms) == 0 || len(f.Holders) == 0:
			return fmt.Errorf("field %s: name at least one form and one holder", f.Path)
		}
		for _, form := range f.Forms {
			if !broker.HasTerm(c.Forms, string(form)) {
				return fmt.Errorf("field %s: add form %q to forms", f.Path, form)
			}
		}
		for _, kind := range f.Holders {
			if !slices.ContainsFunc(c.AgencyKinds, func(k broker.KindInfo) bool { return k.ID == kind }) {
				return fmt.Errorf("field %s: add holder %q to agencyKinds", f.Path, kind)
			}
		}
		seen[f.Path] = true
	}
	for _, reason := range []broker.Reason{broker.ReasonChanged, broker.ReasonNoAgreement} {
		if !broker.HasTerm(c.Reasons, string(reason)) {
			return fmt.Errorf("add %q to reasons: the broker itself gives it", reason)
		}
	}
	return nil
}

// Compile compiles modules strictly, against the schemas, with the allow-list of builtins. print is erased. Its error
// is an ast.Errors with every fault.
func (s *Source) Compile(modules map[string]*ast.Module, tests bool) (*ast.Compiler, error) {
	c := ast.NewCompiler().WithStrict(true).WithCapabilities(Capabilities(tests)).WithSchemas(s.Schemas).
		WithUseTypeCheckAnnotations(true).WithEnablePrintStatements(false).WithDefaultRegoVersion(ast.RegoV1).
		SetErrorLimit(0)
	c.Compile(modules)
	if c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}
