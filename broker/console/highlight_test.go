package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/schakel/schakel/policies"
)

// Source is coloured, and stays what it is.
func TestHighlight(t *testing.T) {
	for source, want := range map[string]string{
		"":                             "[[]]",
		"# een \"woord\"\n":            `[[{c # een "woord"}]]`,
		"some x in data.rows":          "[[{k some} {  x } {k in} {  data.rows}]]",
		"f(x) := count(lib.g(`a\nb`))": "[[{f f} { (x) := } {f count} { (lib.} {f g} { (} {s `a}] [{s b`} { ))}]]",
		`{"a \" if": [1.5e3, true]}`:   `[[{ {} {s "a \" if"} { : [} {n 1.5e3} { , } {k true} { ]}}]]`,
		"inside if_not \"open":         `[[{ inside if_not "open}]]`,
		"een\r\n\r\ntwee 22\r\n":       "[[{ een}] [] [{ twee } {n 22}]]",
	} {
		if got := fmt.Sprint(highlight([]byte(source))); got != want {
			t.Errorf("%q: %s, want %s", source, got, want)
		}
	}
	for name, content := range policies.Files() {
		var lines []string
		for _, spans := range highlight(content) {
			line := ""
			for _, s := range spans {
				line += s.Text
			}
			lines = append(lines, line)
		}
		if got := strings.Join(lines, "\n") + "\n"; got != string(content) {
			t.Errorf("%s is another text when it is coloured", name)
		}
	}
}
