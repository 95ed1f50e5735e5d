package workbench

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Format lays a Rego file out as opa fmt does, which Check demands. It fails where the file is not Rego.
func Format(file string, content []byte) ([]byte, error) {
	out, err := format.SourceWithOpts(file, content, format.Opts{RegoVersion: ast.RegoV1,
		ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1}})
	if err != nil {
		return nil, fmt.Errorf("format %s: %w", file, err)
	}
	return out, nil
}
