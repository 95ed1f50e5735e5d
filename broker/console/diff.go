package console

import (
	"strings"

	"github.com/schakel/schakel/policies"
)

// fileDiff is what differs in one file.
type fileDiff struct {
	Path           string
	Added, Removed bool // the whole file
	Rows           []diffRow
}

// diffRow is one line side by side: Old and New are line numbers, 0 for none. A row with Gap stands for lines left out.
type diffRow struct {
	Old, New int
	Was, Is  string
	Changed  bool
	Gap      int
}

// contextLines is how many equal lines stand around a change.
const contextLines = 3

// diffFiles compares two policies, file by file.
func diffFiles(was, is map[string][]byte) []fileDiff {
	var out []fileDiff
	for _, path := range policies.Changed(was, is) {
		out = append(out, diffFile(path, was, is))
	}
	return out
}

// diffFile compares one file of two policies.
func diffFile(path string, was, is map[string][]byte) fileDiff {
	a, had := was[path]
	b, has := is[path]
	return fileDiff{Path: path, Added: !had, Removed: !has, Rows: diffLines(lines(a), lines(b))}
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// diffLines compares by the longest common subsequence of lines, after what is equal at both ends.
func diffLines(a, b []string) []diffRow {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var rows []diffRow
	for i := range head {
		rows = append(rows, diffRow{Old: i + 1, New: i + 1, Was: a[i], Is: b[i]})
	}
	rows = append(rows, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i := tail; i > 0; i-- {
		rows = append(rows, diffRow{Old: len(a) - i + 1, New: len(b) - i + 1, Was: a[len(a)-i], Is: b[len(b)-i]})
	}
	return folded(rows)
}

// mostCells bounds the table of middle; larger changes are shown as all old and then all new.
const mostCells = 4_000_000

func middle(a, b []string, offset int) []diffRow {
	var gone, come []diffRow
	var rows []diffRow
	flush := func() { // what went and what came stand side by side
		for i := range max(len(gone), len(come)) {
			r := diffRow{Changed: true}
			if i < len(gone) {
				r.Old, r.Was = gone[i].Old, gone[i].Was
			}
			if i < len(come) {
				r.New, r.Is = come[i].New, come[i].Is
			}
			rows = append(rows, r)
		}
		gone, come = nil, nil
	}
	longest := make([][]int32, len(a)+1)
	if len(a)*len(b) <= mostCells {
		for i := range longest {
			longest[i] = make([]int32, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if a[i] == b[j] {
					longest[i][j] = longest[i+1][j+1] + 1
				} else {
					longest[i][j] = max(longest[i+1][j], longest[i][j+1])
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j] && longest[0] != nil:
			flush()
			rows = append(rows, diffRow{Old: offset + i + 1, New: offset + j + 1, Was: a[i], Is: b[j]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || longest[0] == nil || longest[i+1][j] >= longest[i][j+1]):
			gone = append(gone, diffRow{Old: offset + i + 1, Was: a[i]})
			i++
		default:
			come = append(come, diffRow{New: offset + j + 1, Is: b[j]})
			j++
		}
	}
	flush()
	return rows
}

// folded leaves out equal lines far from any change.
func folded(rows []diffRow) []diffRow {
	near := make([]bool, len(rows))
	for i, r := range rows {
		if r.Changed {
			for j := max(0, i-contextLines); j <= min(len(rows)-1, i+contextLines); j++ {
				near[j] = true
			}
		}
	}
	var out []diffRow
	for i, r := range rows {
		switch {
		case near[i]:
			out = append(out, r)
		case len(out) > 0 && out[len(out)-1].Gap > 0:
			out[len(out)-1].Gap++
		default:
			out = append(out, diffRow{Gap: 1})
		}
	}
	return out
}
