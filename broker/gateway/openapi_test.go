package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/schakel/schakel/broker"
)

// contract is the OpenAPI document, ready to hold answers against.
type contract struct {
	doc     map[string]any
	schemas *jsonschema.Compiler
	mu      sync.Mutex
	seen    map[string]bool // "POST /v1/disclosures 200 application/json"
}

var loadContract = sync.OnceValues(func() (*contract, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapiJSON))
	if err != nil {
		return nil, err
	}
	c := &contract{doc: doc.(map[string]any), schemas: jsonschema.NewCompiler(), seen: map[string]bool{}}
	return c, c.schemas.AddResource("openapi.json", doc)
})

func contractOf(t *testing.T) *contract {
	t.Helper()
	c, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at walks the document, following references.
func (c *contract) at(v any, keys ...string) map[string]any {
	m, _ := v.(map[string]any)
	for _, k := range keys {
		if m, _ = m[k].(map[string]any); m == nil {
			return nil
		}
		if ref, ok := m["$ref"].(string); ok && len(m) == 1 {
			m = c.at(c.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return m
}

func (c *contract) validate(pointer string, v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.schemas.Compile("openapi.json#" + pointer)
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// response finds what the document says of an answer, and where. A path or method that is not in it has the components
// NotFound and MethodNotAllowed.
func (c *contract) response(method, path string, status int) (pointer string, found map[string]any) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op := c.at(c.doc, "paths", path, strings.ToLower(method))
	if op == nil {
		name := map[int]string{404: "NotFound", 405: "MethodNotAllowed"}[status]
		return "/components/responses/" + name, c.at(c.doc, "components", "responses", name)
	}
	pointer = "/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + strconv.Itoa(status)
	raw, _ := op["responses"].(map[string]any)
	one, _ := raw[strconv.Itoa(status)].(map[string]any)
	if ref, ok := one["$ref"].(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
	}
	return pointer, c.at(raw, strconv.Itoa(status))
}

// check holds one answer against the document: status, media type, body, and the headers both ways.
func (c *contract) check(method, path string, r reply) error {
	pointer, res := c.response(method, path, r.StatusCode)
	if res == nil {
		return fmt.Errorf("status %d is not in it", r.StatusCode)
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	c.mu.Lock()
	c.seen[strings.TrimSpace(fmt.Sprintf("%s %d %s", pointer, r.StatusCode, mediaType))] = true
	c.mu.Unlock()
	if err := c.checkHeaders(pointer, res, r.Header); err != nil {
		return err
	}
	content := c.at(res, "content")
	if content == nil {
		if len(r.body) > 0 {
			return fmt.Errorf("a body where none is documented")
		}
		return nil
	}
	if content[mediaType] == nil {
		return fmt.Errorf("media type %q is not in it", mediaType)
	}
	if method == http.MethodHead {
		return nil
	}
	var v any = string(r.body)
	if strings.HasSuffix(mediaType, "json") {
		var err error
		if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(r.body)); err != nil {
			return err
		}
	}
	return c.validate(pointer+"/content/"+escape(mediaType)+"/schema", v)
}

func (c *contract) checkHeaders(pointer string, res map[string]any, got http.Header) error {
	documented, _ := res["headers"].(map[string]any)
	canonical := map[string]bool{"Content-Type": true, "Content-Length": true, "Date": true, "Connection": true, "Transfer-Encoding": true}
	for name := range documented {
		canonical[http.CanonicalHeaderKey(name)] = true
		h := c.at(documented, name)
		values := got.Values(name)
		switch {
		case len(values) > 1:
			return fmt.Errorf("header %s stands there %d times", name, len(values))
		case len(values) == 0 && h["required"] == true:
			return fmt.Errorf("header %s is missing", name)
		case len(values) == 1:
			ref := documented[name].(map[string]any)["$ref"].(string)
			if err := c.validate(strings.TrimPrefix(ref, "#")+"/schema", values[0]); err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	for name := range got {
		if !canonical[name] {
			return fmt.Errorf("header %s is not in it (%s)", name, pointer)
		}
	}
	return nil
}

func TestOpenAPIHasTheRoutesAndNoOthers(t *testing.T) {
	c := contractOf(t)
	var documented, routes []string
	for path, item := range c.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range newSite(t).gateway.router.Routes() {
		if r.Method != http.MethodHead { // GET implies it
			routes = append(routes, r.Method+" "+r.Path)
		}
	}
	sort.Strings(documented)
	sort.Strings(routes)
	if !slices.Equal(documented, routes) {
		t.Errorf("documented %v\nrouted     %v", documented, routes)
	}
}

func TestOpenAPIHasTheCodes(t *testing.T) {
	c := contractOf(t)
	hidden := []string{"policy-result-malformed", "query-malformed", "query-version-unknown"} // shown as internal
	compare := func(schema string, want []string) {
		t.Helper()
		var got []string
		for _, v := range c.at(c.doc, "components", "schemas", schema, "properties", "code")["enum"].([]any) {
			got = append(got, v.(string))
		}
		sort.Strings(got)
		sort.Strings(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the codes\n%v, the table\n%v", schema, got, want)
		}
	}
	var codes, reasons []string
	for code := range problemTable() {
		if !slices.Contains(hidden, code) {
			codes = append(codes, code)
		}
	}
	for code := range reasonTable() {
		reasons = append(reasons, code)
	}
	compare("Problem", codes)
	compare("InvalidParam", reasons)
	if v := c.at(c.doc, "info")["version"]; v != APIVersion {
		t.Errorf("info.version is %v, API-Version %s", v, APIVersion)
	}
}

// Each example must fit its schema; those of requests must be read by the broker, those of problems be what is said.
func TestOpenAPIExamplesAreReal(t *testing.T) {
	c := contractOf(t)
	g := newSite(t).gateway
	problems, n := 0, 0
	var walk func(pointer string, v any)
	walk = func(pointer string, v any) {
		switch v := v.(type) {
		case []any:
			for i, item := range v {
				walk(pointer+"/"+strconv.Itoa(i), item)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && c.at(map[string]any{"x": v}, "x") == nil {
				t.Errorf("%s: %s leads nowhere", pointer, ref)
			}
			examples, _ := v["examples"].(map[string]any)
			for name := range examples {
				n++
				example := examples[name].(map[string]any)["value"]
				if err := c.validate(pointer+"/schema", example); err != nil {
					t.Errorf("%s, example %s: %v", pointer, name, err)
				}
				if strings.HasSuffix(pointer, "problem+json") && name != "refused" {
					problems++
					code := example.(map[string]any)["code"].(string)
					want := g.newProblem(&exchange{language: "en"}, code, paramsOf(example))
					if got, want := mustJSON(t, example), mustJSON(t, want); got != want {
						t.Errorf("%s, example %s:\n%s, but it is\n%s", pointer, name, got, want)
					}
				}
			}
			for k, item := range v {
				if k != "examples" {
					walk(pointer+"/"+escape(k), item)
				}
			}
		}
	}
	walk("", c.doc)
	if n < 20 || problems < 12 {
		t.Errorf("only %d examples, %d of problems", n, problems)
	}
	requests := c.at(c.doc, "paths", "/v1/disclosures", "post", "requestBody", "content", "application/json", "examples")
	for name := range requests {
		body := mustJSON(t, requests[name].(map[string]any)["value"])
		if _, err := broker.ReadRequest([]byte(body), broker.Caller{}, exampleCatalog(), true); err != nil {
			t.Errorf("request example %s is refused: %v", name, err)
		}
	}
}

func exampleCatalog() *broker.Catalog {
	c := catalog()
	return c
}

func paramsOf(example any) (out []broker.Param) {
	list, _ := example.(map[string]any)["invalidParams"].([]any)
	for _, p := range list {
		m := p.(map[string]any)
		out = append(out, broker.Param{Name: m["name"].(string), Code: m["code"].(string)})
	}
	return out
}

// mustJSON gives JSON with sorted keys, so that two values can be compared.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	b, _ = json.Marshal(again)
	return string(b)
}
