package console

import (
	"strings"

	"github.com/alecthomas/chroma/v2"
)

// span is a piece of a line of source and what it is: k keyword, s string, c comment, n number, f function, or "".
type span struct {
	Kind string `json:"k,omitempty"`
	Text string `json:"t"`
}

// newLexer makes a lexer of Rego, and of JSON, which has less of it. Chroma's own stand in a package that makes all of its
// languages ready whenever a program starts, which takes longer than most commands.
func newLexer() (chroma.Lexer, error) {
	return chroma.NewLexer(&chroma.Config{Name: "Rego", EnsureNL: false}, func() chroma.Rules {
		return chroma.Rules{"root": {
			{Pattern: `#[^\n]*`, Type: chroma.Comment},
			{Pattern: `"(\\.|[^"\\\n])*"`, Type: chroma.String},
			{Pattern: "`[^`]*`", Type: chroma.String},
			{Pattern: `(package|import|as|not|with|default|else|some|every|in|if|contains|true|false|null)\b`, Type: chroma.Keyword},
			{Pattern: `[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\b`, Type: chroma.Number},
			{Pattern: `[a-z_]\w*(?=\()`, Type: chroma.NameFunction},
			{Pattern: `\w+`, Type: chroma.Name},
			{Pattern: `\W`, Type: chroma.Text},
		}}
	})
}

// highlight splits source into lines, and lines into what they are made of. Source that the lexer can't read is shown as it is.
func highlight(source []byte) [][]span {
	text := strings.TrimSuffix(strings.ReplaceAll(string(source), "\r", ""), "\n")
	plain := []chroma.Token{{Type: chroma.Text, Value: text}}
	tokens := plain
	if lexer, err := newLexer(); err == nil {
		if tokens, err = chroma.Tokenise(lexer, nil, text); err != nil {
			tokens = plain
		}
	}
	out := [][]span{{}}
	for _, t := range tokens {
		for i, part := range strings.Split(t.Value, "\n") {
			if i > 0 {
				out = append(out, []span{})
			}
			line := &out[len(out)-1]
			switch kind, n := kindOf(t.Type), len(*line); {
			case part == "":
			case n > 0 && (*line)[n-1].Kind == kind:
				(*line)[n-1].Text += part
			default:
				*line = append(*line, span{kind, part})
			}
		}
	}
	return out
}

func kindOf(t chroma.TokenType) string {
	return map[chroma.TokenType]string{chroma.Comment: "c", chroma.String: "s", chroma.Keyword: "k", chroma.Number: "n", chroma.NameFunction: "f"}[t]
}
