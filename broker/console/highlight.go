package console

import (
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// span is a piece of a line of source and what it is: k keyword, s string, c comment, n number, f function, or "".
type span struct {
	Kind string `json:"k,omitempty"`
	Text string `json:"t"`
}

// highlight splits source into lines, and lines into what they are made of.
func highlight(path string, source []byte) [][]span {
	name := "rego"
	if strings.HasSuffix(path, ".json") {
		name = "json"
	}
	text := strings.TrimSuffix(string(source), "\n")
	tokens, err := chroma.Tokenise(lexers.Get(name), nil, text)
	if err != nil { // source that the lexer can't read is shown as it is
		tokens = []chroma.Token{{Type: chroma.Text, Value: text}}
	}
	var out [][]span
	for _, line := range chroma.SplitTokensIntoLines(tokens) {
		spans := []span{}
		for _, t := range line {
			value := strings.TrimRight(t.Value, "\r\n")
			if value == "" {
				continue
			}
			kind := kindOf(t.Type)
			if n := len(spans); n > 0 && spans[n-1].Kind == kind {
				spans[n-1].Text += value
				continue
			}
			spans = append(spans, span{kind, value})
		}
		out = append(out, spans)
	}
	return out
}

func kindOf(t chroma.TokenType) string {
	switch {
	case t.InCategory(chroma.Keyword):
		return "k"
	case t.InSubCategory(chroma.LiteralString) || t == chroma.NameTag:
		return "s"
	case t.InCategory(chroma.Comment):
		return "c"
	case t.InSubCategory(chroma.LiteralNumber):
		return "n"
	case t == chroma.NameFunction:
		return "f"
	}
	return ""
}
