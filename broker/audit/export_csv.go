package audit

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// csv writes rows for people, with a heading in Dutch (RFC 4180).
func (c ExportConfig) csv(out io.Writer) (func(Disclosure) (int, error), error) {
	w := csv.NewWriter(out)
	row := func(cells ...string) error {
		for i, cell := range cells {
			cells[i] = harmless(cell)
		}
		if err := w.Write(cells); err != nil {
			return err
		}
		w.Flush()
		return w.Error()
	}
	if c.Holder != "" {
		err := row("tijd", "gebeurtenis", "organisatie", "naam", "rol", "doel", "gevraagd", "niet geleverd")
		return func(d Disclosure) (int, error) {
			asked, missed := c.takenFrom(d)
			return 1, row(d.Time.UTC().Format(time.RFC3339), d.Hash.String(), string(d.Staff.Agency), c.Names[d.Staff.Agency], string(d.Staff.Role),
				string(d.Staff.Purpose), list(asked), list(missed))
		}, err
	}
	err := row("tijd", "gebeurtenis", "organisatie", "naam", "medewerker", "rol", "doel", "zaak", "uitkomst", "verstrekt", "niet verstrekt", "gevraagd aan")
	return func(d Disclosure) (int, error) {
		given, withheld := []string{}, []string{}
		for _, g := range d.given() {
			given = append(given, string(g.Field)+" ("+string(g.Form)+")")
		}
		for _, f := range d.Parts.Withheld {
			for _, reason := range f.Reasons {
				withheld = append(withheld, string(f.Field)+" ("+string(reason)+")")
			}
		}
		outcome := "verstrekt"
		if len(given) == 0 {
			outcome = "niets verstrekt"
		}
		if d.Parts.Refused {
			outcome = "geweigerd"
		}
		s := broker.Staff{Worker: "niet leesbaar"}
		if d.StaffState == PartErased {
			s.Worker = "gewist"
		}
		if d.Staff != nil {
			s = *d.Staff
		}
		var holders []string
		for _, a := range s.Asked {
			holders = append(holders, strings.TrimSpace(string(a.Holder)+" "+c.Names[a.Holder]))
		}
		return 1, row(d.Time.UTC().Format(time.RFC3339), d.Hash.String(), string(s.Agency), c.Names[s.Agency], string(s.Worker), string(s.Role),
			string(s.Purpose), string(s.Case), outcome, list(given), list(withheld), list(holders))
	}, err
}

// takenFrom gives what the holder was asked for, and what of it did not come.
func (c ExportConfig) takenFrom(d Disclosure) (asked, missed []string) {
	for i, q := range d.Parts.Asked {
		if i >= len(d.Staff.Asked) || d.Staff.Asked[i].Holder != c.Holder {
			continue
		}
		for _, f := range q.Fields {
			asked = append(asked, string(f))
			if slices.ContainsFunc(d.Parts.Unavailable, func(u broker.Unreached) bool { return u.Field == f && u.Subject == q.Subject }) {
				missed = append(missed, string(f))
			}
		}
	}
	return asked, missed
}

// list writes a set on one line, each once.
func list(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// harmless keeps a spreadsheet from reading a cell as a formula: names of workers and cases come from elsewhere.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
