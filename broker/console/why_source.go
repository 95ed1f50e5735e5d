package console

import (
	"maps"
	"slices"

	"github.com/schakel/schakel/broker/workbench"
)

// litFile is a policy file, as far as it decided: the lines that did, and what stands around them.
type litFile struct {
	Path, Link string
	Rows       []litRow
}

// litRow is a line. A row with Gap stands for lines left out.
type litRow struct {
	Number int
	Spans  []span
	Mark   string // "": it only stands beside; rule, holds or fails
	Gap    bool
}

// What a line that is lit did.
const (
	markRule  = "rule"
	markHolds = "holds"
	markFails = "fails"
)

// highlighter lights lines of a policy.
type highlighter struct {
	files map[string][]byte
	link  func(path string, lit []int) string
	lines map[string][][]span // of files that were coloured already
}

// of lights the rules that were tried, the rows they were tried for, and every condition of them.
func (h *highlighter) of(attempts []workbench.Attempt) []litFile {
	lit := map[string]map[int]string{}
	mark := func(p workbench.Place, how string) {
		if lit[p.File] == nil {
			lit[p.File] = map[int]string{}
		}
		if lit[p.File][p.Line] != markFails { // what failed for one row failed
			lit[p.File][p.Line] = how
		}
	}
	var light func(c workbench.WhyCondition)
	light = func(c workbench.WhyCondition) {
		if c.Holds {
			mark(c.Place, markHolds)
			return
		}
		mark(c.Place, markFails)
		if !c.OneOf && !c.Not { // what of it failed, and what held
			for _, part := range c.Parts {
				light(part)
			}
		}
	}
	for _, a := range attempts {
		mark(a.Rule.Place, markRule)
		for _, row := range a.Rows {
			mark(row.Place, markRule)
		}
		for _, c := range slices.Concat(a.Conditions, a.Failed) {
			light(c)
		}
	}
	var out []litFile
	for _, path := range slices.Sorted(maps.Keys(lit)) {
		if content, ok := h.files[path]; ok {
			if h.lines[path] == nil {
				h.lines[path] = highlight(content)
			}
			out = append(out, litFile{Path: path, Link: h.link(path, slices.Sorted(maps.Keys(lit[path]))), Rows: excerpt(h.lines[path], lit[path])})
		}
	}
	return out
}

// excerpt gives the lit lines with a few around each.
func excerpt(lines [][]span, lit map[int]string) []litRow {
	var out []litRow
	for i, spans := range lines {
		n := i + 1
		near := false
		for at := n - contextLines; at <= n+contextLines; at++ {
			near = near || lit[at] != ""
		}
		switch {
		case near:
			out = append(out, litRow{Number: n, Spans: spans, Mark: lit[n]})
		case len(out) == 0 || !out[len(out)-1].Gap:
			out = append(out, litRow{Gap: true})
		}
	}
	return out
}
