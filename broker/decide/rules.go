package decide

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Rules are the part of a policy that judges something else than a request, under the same discipline: the allow-list of
// builtins, strict compilation, schemas. Their methods may be called concurrently.
type Rules struct {
	entry string
	query rego.PreparedEvalQuery
}

// LoadRules compiles rules; entry is the document they are asked for, such as data.schakel.looks.judgement. It fails unless the
// document complete is true without any input: where data that a rule looks up is missing, the rule would quietly not hold.
// Tests are left out.
func LoadRules(ctx context.Context, files map[string][]byte, entry, complete string) (*Rules, error) {
	serving := maps.Clone(files)
	maps.DeleteFunc(serving, func(file string, _ []byte) bool { return IsTest(file) })
	source, err := readFiles(serving)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	compiler, err := source.Compile(source.Modules, false)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	store := inmem.NewFromObjectWithOpts(source.Data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	rules := map[string]*Rules{}
	for _, document := range []string{entry, complete} {
		if len(compiler.GetRulesExact(ast.MustParseRef(document))) == 0 {
			return nil, fmt.Errorf("load rules: no rule %s", document)
		}
		query, err := rego.New(rego.Query(document), rego.Compiler(compiler), rego.Store(store), rego.Strict(true),
			rego.StrictBuiltinErrors(true), rego.Capabilities(Capabilities(false)), rego.EnablePrintStatements(false)).PrepareForEval(ctx)
		if err != nil {
			return nil, fmt.Errorf("load rules: %w", err)
		}
		rules[document] = &Rules{document, query}
	}
	var whole bool
	if err := rules[complete].Ask(ctx, nil, &whole); err != nil || !whole {
		return nil, fmt.Errorf("load rules: %s is not true: what the rules look up is missing in the data", complete)
	}
	return rules[entry], nil
}

// Ask evaluates the rules on an input, any value that encodes to JSON, and decodes what they say into out, strictly. An
// undefined result is an error: what was not judged must not pass for what was found good.
func (r *Rules) Ask(ctx context.Context, input, out any) error {
	value, err := ast.InterfaceToValue(input)
	if err != nil {
		return fmt.Errorf("ask %s: %w", r.entry, err)
	}
	results, err := r.query.Eval(ctx, rego.EvalParsedInput(value))
	if err == nil && (len(results) != 1 || len(results[0].Expressions) != 1) {
		err = errors.New("the result is undefined; is a threshold missing in the data?")
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(results[0].Expressions[0].Value)
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(out)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", r.entry, err)
	}
	return nil
}
