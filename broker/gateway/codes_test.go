package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
)

// found is what the sources of one package fail with.
type found struct {
	codes  map[string]map[string]bool // code → names of the Kinds it comes with
	params map[string]bool
	dark   []string // places where the code can't be read from the source
}

// scan reads the codes of all Fail(kind, code, …), Error{…} and Param{…} in a package, also where they go through a
// constant, a local variable or a function of the package that passes its argument on.
type scan struct {
	fset   *token.FileSet
	consts map[string]string
	fields map[string][]ast.Expr // what is put in struct fields, by field name
	sinks  map[string]sink       // by function name
	found  found
}

type sink struct {
	arg, args int    // which argument is the code, of how many
	kind      string // the Kind it is failed with; "" for a Param
	variadic  bool
}

func scanPackage(t *testing.T, dir string, files []string, shared map[string]string) found {
	t.Helper()
	s := &scan{fset: token.NewFileSet(), consts: map[string]string{}, fields: map[string][]ast.Expr{}, sinks: map[string]sink{},
		found: found{codes: map[string]map[string]bool{}, params: map[string]bool{}}}
	maps.Copy(s.consts, shared)
	var parsed []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(s.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Logf("not read: %v", err)
			continue
		}
		parsed = append(parsed, f)
		s.values(f)
	}
	for {
		before := len(s.sinks)
		s.found = found{codes: map[string]map[string]bool{}, params: map[string]bool{}}
		for _, f := range parsed {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					s.function(fn.Name.Name, fn.Type, fn.Body, nil)
				}
			}
		}
		if len(s.sinks) == before {
			return s.found
		}
	}
}

// values notes the text constants of a file, and what it puts in struct fields.
func (s *scan) values(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.ValueSpec:
			for i, name := range v.Names {
				if i < len(v.Values) {
					if text, ok := literal(v.Values[i]); ok {
						s.consts[name.Name] = text
					}
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := v.Key.(*ast.Ident); ok {
				s.fields[key.Name] = append(s.fields[key.Name], v.Value)
			}
		case *ast.AssignStmt:
			for i, l := range v.Lhs {
				if field, ok := l.(*ast.SelectorExpr); ok && len(v.Lhs) == len(v.Rhs) {
					s.fields[field.Sel.Name] = append(s.fields[field.Sel.Name], v.Rhs[i])
				}
			}
		}
		return true
	})
}

func literal(e ast.Expr) (string, bool) {
	b, ok := e.(*ast.BasicLit)
	if !ok || b.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(b.Value)
	return s, err == nil
}

// function looks through one body. outer has the parameters of the functions around it, and where they come from.
func (s *scan) function(name string, typ *ast.FuncType, body *ast.BlockStmt, outer map[string]sinkOf) {
	params := maps.Clone(outer)
	if params == nil {
		params = map[string]sinkOf{}
	}
	n := 0
	for _, field := range typ.Params.List {
		_, variadic := field.Type.(*ast.Ellipsis)
		for _, id := range field.Names {
			params[id.Name] = sinkOf{name, sink{arg: n, variadic: variadic}}
			n++
		}
		if len(field.Names) == 0 {
			n++
		}
	}
	for k, p := range params {
		if p.function == name {
			p.args = n
			params[k] = p
		}
	}
	locals := map[string][]ast.Expr{}
	names := map[*ast.FuncLit]string{}
	ast.Inspect(body, func(node ast.Node) bool {
		switch v := node.(type) {
		case *ast.AssignStmt:
			if len(v.Lhs) != len(v.Rhs) {
				return true
			}
			for i, l := range v.Lhs {
				id, ok := l.(*ast.Ident)
				if !ok {
					continue
				}
				if lit, ok := v.Rhs[i].(*ast.FuncLit); ok {
					names[lit] = id.Name
				}
				locals[id.Name] = append(locals[id.Name], v.Rhs[i])
			}
		case *ast.FuncLit:
			s.function(names[v], v.Type, v.Body, params)
			return false
		case *ast.CallExpr:
			s.call(v, params, locals)
		case *ast.CompositeLit:
			s.composite(v, params, locals)
		}
		return true
	})
}

type sinkOf struct {
	function string
	sink
}

func (s *scan) call(c *ast.CallExpr, params map[string]sinkOf, locals map[string][]ast.Expr) {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if name == "Fail" && len(c.Args) == 3 {
		s.code(c.Args[1], kindName(c.Args[0]), params, locals)
		return
	}
	if k, ok := s.sinks[name]; ok && (len(c.Args) == k.args || k.variadic) && k.arg < len(c.Args) {
		s.code(c.Args[k.arg], k.kind, params, locals)
	}
}

func (s *scan) composite(c *ast.CompositeLit, params map[string]sinkOf, locals map[string][]ast.Expr) {
	name := ""
	switch t := c.Type.(type) {
	case *ast.Ident:
		name = t.Name
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok && x.Name == "broker" {
			name = t.Sel.Name
		}
	}
	if name != "Error" && name != "Param" {
		return
	}
	kind, code := "", ast.Expr(nil)
	for _, e := range c.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch kv.Key.(*ast.Ident).Name {
		case "Kind":
			kind = kindName(kv.Value)
		case "Code":
			code = kv.Value
		}
	}
	if name == "Error" && kind == "" {
		kind = "KindInternal" // the zero value
	}
	if code != nil {
		s.code(code, kind, params, locals)
	}
}

func kindName(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.SelectorExpr:
		return v.Sel.Name
	case *ast.Ident:
		return v.Name
	}
	return "?"
}

func (s *scan) code(e ast.Expr, kind string, params map[string]sinkOf, locals map[string][]ast.Expr) {
	name := ""
	switch v := e.(type) {
	case *ast.BasicLit:
		if text, ok := literal(v); ok {
			s.add(text, kind)
			return
		}
	case *ast.Ident:
		name = v.Name
	case *ast.SelectorExpr:
		if v.Sel.Name == "Code" {
			return // a code that was read elsewhere is passed on
		}
		if name = v.Sel.Name; s.consts[name] == "" { // a field of a struct of this package
			locals, params = s.fields, nil
		}
	}
	switch from, ok := params[name]; {
	case ok && from.function == "Fail": // itself
	case ok && from.function != "":
		from.kind = kind
		s.sinks[from.function] = from.sink
	case s.consts[name] != "":
		s.add(s.consts[name], kind)
	case len(locals[name]) > 0:
		for _, v := range locals[name] {
			s.code(v, kind, params, nil)
		}
	default:
		s.found.dark = append(s.found.dark, s.fset.Position(e.Pos()).String())
	}
}

func (s *scan) add(code, kind string) {
	if kind == "" {
		s.found.params[code] = true
		return
	}
	if s.found.codes[code] == nil {
		s.found.codes[code] = map[string]bool{}
	}
	s.found.codes[code][kind] = true
}

// packages lists the Go files of package broker and the rooms under it, but this one, by folder.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "gateway" || d.Name() == "console") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			out[filepath.Dir(path)] = append(out[filepath.Dir(path)], filepath.Base(path))
		}
		return nil
	})
	if err != nil || len(out) < 2 {
		t.Fatalf("%d packages found: %v", len(out), err)
	}
	return out
}

// A code that another package fails with, and that is not in the table, would be a 500.
func TestTableHasEveryCode(t *testing.T) {
	rows, reasons := problemTable(), reasonTable()
	statuses := map[string][]int{"KindInvalid": {400}, "KindUnauthenticated": {401}, "KindTooLarge": {401, 413},
		"KindBusy": {429}, "KindUnavailable": {503}, "KindInternal": {500}}
	shared := map[string]string{"CodeRefused": broker.CodeRefused}
	used := map[string]bool{}
	for dir, files := range packages(t) {
		f := scanPackage(t, dir, files, shared)
		for code, kinds := range f.codes {
			used[code] = true
			row, ok := rows[code]
			if !ok {
				t.Errorf("%s fails with %q (%v), which is not in problemTable: add its status and texts", dir, code, slices.Sorted(maps.Keys(kinds)))
				continue
			}
			for kind := range kinds {
				if !slices.Contains(statuses[kind], row.status) {
					t.Errorf("%s fails with %q of %s, which is %d in problemTable", dir, code, kind, row.status)
				}
			}
		}
		for code := range f.params {
			used[code] = true
			if _, ok := reasons[code]; !ok {
				t.Errorf("%s names a parameter %q, which is not in reasonTable: add its texts", dir, code)
			}
		}
		for _, at := range f.dark {
			t.Errorf("%s: this test can't see which code this is: write a literal or a constant", at)
		}
	}
	for _, code := range []string{"json-malformed", "parameters-invalid", "too-many-requests", "facts-keep-changing", "no-policy",
		"internal", "bsn-invalid", "no-bsn-ground", "unknown-key", "companion"} {
		if !used[code] {
			t.Errorf("the scan no longer finds %q: it has gone blind", code)
		}
	}
	for code := range rows {
		if !used[code] {
			t.Logf("only the gateway uses %s", code)
		}
	}
}

func TestScanSeesThroughWrappers(t *testing.T) {
	f := scanPackage(t, "testdata", []string{"codes.go"}, nil)
	want := map[string]string{"literal": "KindInvalid", "constant": "KindBusy", "wrapped": "KindUnavailable", "twice-wrapped": "KindUnavailable",
		"closure": "KindInternal", "composite": "KindTooLarge", "one": "KindInvalid", "other": "KindInvalid", "field": "KindUnavailable", "zero-kind": "KindInternal"}
	for code, kind := range want {
		if !f.codes[code][kind] || (len(f.codes[code]) != 1 && code != "constant") {
			t.Errorf("%s: %v, want %s", code, f.codes[code], kind)
		}
	}
	if len(f.codes) != len(want) || len(f.params) != 2 || !f.params["param"] || !f.params["added"] || len(f.dark) != 1 {
		t.Errorf("found %v", f)
	}
}

func TestTextsSayWhatToDo(t *testing.T) {
	texts := map[string]broker.Text{}
	for code, row := range problemTable() {
		texts[code] = row.detail
		if row.title.NL == "" || row.title.EN == "" || row.title.NL == row.title.EN || strings.HasSuffix(row.title.NL+row.title.EN, ".") {
			t.Errorf("%s has the titles %q", code, row.title)
		}
		if (row.status == 429 || row.status == 503) != (row.retryAfter > 0) {
			t.Errorf("%s: %d with Retry-After %d", code, row.status, row.retryAfter)
		}
	}
	for code, text := range reasonTable() {
		texts["param "+code] = text
	}
	for code, text := range texts {
		if len(text.NL) < 15 || len(text.EN) < 15 || text.NL == text.EN || !strings.HasSuffix(text.NL, ".") || !strings.HasSuffix(text.EN, ".") {
			t.Errorf("%s has the texts %q", code, text)
		}
	}
}

// Every row of the table, over HTTP, in both languages, against the OpenAPI document.
func TestEveryProblemOverHTTP(t *testing.T) {
	s := newSite(t)
	kinds := map[int]broker.Kind{400: broker.KindInvalid, 401: broker.KindUnauthenticated, 413: broker.KindTooLarge,
		429: broker.KindBusy, 503: broker.KindUnavailable}
	for code, row := range problemTable() {
		kind, ok := kinds[row.status]
		if !ok || code == "not-ready" {
			continue // the gateway's own; other tests have them
		}
		s.disclose = fails(broker.Fail(kind, code, nil))
		for _, language := range []string{"nl", "en"} {
			got := s.ask(t, with("Accept-Language", language))
			p := got.wants(t, row.status, code)
			if p.Title != in(language, row.title) || p.Detail != in(language, row.detail) || got.Header.Get("Content-Language") != language {
				t.Errorf("%s in %s: %s", code, language, got.body)
			}
			if has := got.Header.Get("Retry-After") != ""; has != (row.retryAfter > 0) {
				t.Errorf("%s: Retry-After %v", code, has)
			}
			if has := got.Header.Get("WWW-Authenticate") != ""; has != (row.status == 401) {
				t.Errorf("%s: WWW-Authenticate %v", code, has)
			}
		}
	}
}
