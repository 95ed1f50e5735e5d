package agencies

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
)

// list is one person list (persoonslijst) as the BRP keeps it: per category (01 person, 02 and 03 parents, 05 marriage or
// partnership, …) its instances, each holding elements by "group.element". Elements without a value are absent.
type list map[string][]instance

type instance struct {
	past   bool // history of the instance before it (category 51, 52, …)
	values map[string]string
}

// get gives an element of the current instance of a category that has one at most.
func (l list) get(category, element string) string {
	if rows := l[category]; len(rows) > 0 && !rows[0].past {
		return rows[0].values[element]
	}
	return ""
}

// current gives the instances of a category that are not history.
func (l list) current(category string) []map[string]string {
	var out []map[string]string
	for _, i := range l[category] {
		if !i.past {
			out = append(out, i.values)
		}
	}
	return out
}

const (
	maxTestSet = 64 << 20
	maxValue   = 400
)

// ReadTestSet reads the official test set of person lists: UTF-8, with or without a byte order mark, separated by
// semicolons. The header names each column by category.group.element; a row with an empty first column continues the list
// above it. Its errors name a line and a column, never a value.
func ReadTestSet(r io.Reader) (Population, error) {
	lists, err := readLists(r)
	if err != nil {
		return Population{}, fmt.Errorf("read test set: %w", err)
	}
	return populate(lists), nil
}

func readLists(r io.Reader) ([]list, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxTestSet+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxTestSet {
		return nil, fmt.Errorf("over %d bytes", maxTestSet)
	}
	c := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	c.Comma, c.ReuseRecord = ';', true
	header, err := c.Read()
	if err != nil {
		return nil, errors.New("no header line")
	}
	columns, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	var lists []list
	var quote *csv.ParseError
	next := map[string]string{} // per category, what the row above said the next one is
	for {
		row, err := c.Read()
		if err == io.EOF {
			return lists, nil
		}
		line := 0
		if len(row) > 0 {
			line, _ = c.FieldPos(0)
		}
		switch {
		case errors.Is(err, csv.ErrFieldCount):
			return nil, fmt.Errorf("line %d: has another number of columns than the header", line)
		case errors.As(err, &quote):
			return nil, fmt.Errorf("line %d: a quote is not closed or stands inside a value", quote.StartLine)
		case err != nil:
			return nil, errors.New("not readable as CSV")
		case row[0] != "":
			lists = append(lists, list{})
			clear(next)
		case len(lists) == 0:
			return nil, fmt.Errorf("line %d: continues a person list, but none stands above it", line)
		}
		if err := addRow(lists[len(lists)-1], columns, row, next); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// column says what stands in a column: an element of a category, or (element "H") what its next row will be.
type column struct{ category, element string }

func readHeader(header []string) ([]column, error) {
	columns := make([]column, len(header))
	seen := map[column]bool{}
	for i, name := range header {
		if i == 0 || name == "" { // the official file ends each line with a separator
			continue
		}
		category, element, ok := strings.Cut(name, ".")
		if !ok || len(category) != 2 || element == "" || len(name) > 8 {
			return nil, fmt.Errorf("column %d of the header is not category.group.element", i+1)
		}
		k := column{category, element}
		if seen[k] { // the official file names 06.88.10 twice; what the second holds is not used
			continue
		}
		seen[k], columns[i] = true, k
	}
	for _, need := range []column{{"01", "01.20"}, {"01", "02.40"}, {"01", "03.10"}, {"07", "70.10"}, {"08", "09.10"},
		{"08", "11.10"}, {"08", "11.20"}, {"08", "11.60"}} {
		if !seen[need] {
			return nil, fmt.Errorf("the header has no column %s.%s", need.category, need.element)
		}
	}
	return columns, nil
}

func addRow(l list, columns []column, row []string, next map[string]string) error {
	first := len(l) == 0
	found := map[string]map[string]string{}
	then := map[string]string{}
	for i, value := range row {
		k := columns[i]
		if i == 0 || value == "" || k.category == "" {
			continue
		}
		if len(value) > maxValue || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return fmt.Errorf("column %s.%s is too long or holds control characters", k.category, k.element)
		}
		if k.element == "H" {
			then[k.category] = value
			continue
		}
		if found[k.category] == nil {
			found[k.category] = map[string]string{}
		}
		found[k.category][k.element] = value
	}
	for category, values := range found {
		past := !first && isPast(category, next[category])
		l[category] = append(l[category], instance{past, values})
	}
	for category := range found {
		next[category] = ""
	}
	maps.Copy(next, then) // also of a category that stands empty here: what comes next is the history of nothing
	if first && found["01"] == nil {
		return errors.New("a person list begins without a person")
	}
	return nil
}

// isPast tells whether mark, as the row above it has it, says that this row is history: category 51 for 01, and so on.
func isPast(category, mark string) bool {
	return len(mark) == 2 && len(category) == 2 && mark[0] == category[0]+5 && mark[1] == category[1]
}

// populate makes a population of lists. A list without a valid BSN, or one that was taken off (reason F or W), can't
// be asked for. Of lists with the same BSN the first counts: the registry would have to settle which is right.
func populate(lists []list) Population {
	p := Population{lists: len(lists), at: map[broker.BSN]int{}}
	for _, l := range lists {
		bsn, err := broker.ParseBSN(l.get("01", "01.20"))
		if err != nil {
			continue
		}
		if _, twice := p.at[bsn]; twice || slices.Contains([]string{"F", "W"}, l.get("07", "67.20")) {
			continue
		}
		p.at[bsn] = len(p.persons)
		p.persons = append(p.persons, personOf(bsn, l))
	}
	p.households = households(&p)
	p.index()
	return p
}
