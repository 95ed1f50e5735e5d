// Package workbench is where a policy revision is made: it checks, tests and shows policy files before anyone approves
// them. Check finds what a compiler alone does not: a misspelt role, a rule without a reason for being there, a loop
// over a set. Test runs the Rego tests and names lines they never reach. Mutate turns conditions of rules round, one at
// a time, and names those that no test misses. Explorer finds what a policy gives in every combination; Tabulate is a
// short reading of that, and Show gives the policy back in words. Impact decides recorded requests again, and Why
// explains one decision by the policy's own named rules.
//
// It refuses to change anything: its results are plain structs that print and encode to JSON. The edges (gateway,
// console) and cmd may import it; it uses decide. OPA is imported here and in decide only.
package workbench

import (
	"bytes"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Place is a line of a policy file.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Source string `json:"source"` // the line itself
}

// Finding is one thing wrong with a policy.
type Finding struct {
	Place
	Rule    string      `json:"rule"`           // which check found it; a closed list, see Check
	Problem broker.Text `json:"problem"`        // what is wrong
	Said    string      `json:"said,omitempty"` // what the compiler says of it beyond that, in its own English
	Advice  broker.Text `json:"advice"`         // what to do
}

// placeIn finds a line in the files.
func placeIn(files map[string][]byte, file string, line int) Place {
	p := Place{File: file, Line: line}
	lines := bytes.Split(files[file], []byte("\n"))
	if line >= 1 && line <= len(lines) {
		p.Source = strings.TrimSpace(string(lines[line-1]))
	}
	return p
}
