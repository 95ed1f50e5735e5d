package workbench

import (
	"fmt"
	"strings"

	"github.com/schakel/schakel/broker"
)

// Text gives the explanation as a page, Dutch first.
func (r WhyReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Waarom – Why\n\nrevisie – revision %s\n", r.Revision)
	for _, f := range r.Fields {
		f.write(&b)
	}
	return b.String()
}

func (f WhyField) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s – %s\n", f.Field, f.Label.NL, f.Label.EN)
	if f.Grant != nil {
		fmt.Fprintf(b, "GEGEVEN – GIVEN: %s, %s – %s\n", f.Grant.Form, f.Basis.NL, f.Basis.EN)
		for _, a := range f.Attempts {
			if a.Holds {
				a.write(b)
			}
		}
		return
	}
	b.WriteString("GEWEIGERD – REFUSED\n")
	for _, reason := range f.Reasons {
		fmt.Fprintf(b, "- %s\n  %s\n", reason.Text.NL, reason.Text.EN)
	}
	if len(f.Attempts) == 0 {
		b.WriteString("\nGeen rij van de tabel geeft dit veld aan deze rol voor dit doel.\nNo row of the table gives this field to this role for this purpose.\n")
	} else {
		b.WriteString("\nDeze regels hadden het kunnen geven, de dichtstbijzijnde eerst – These rules could have given it, the nearest first:\n")
		for _, a := range f.Attempts {
			a.write(b)
		}
	}
	say(b, "Eén verandering waarmee het wel was gegeven – One change with which it would have been given", f.Changes)
	say(b, "Ook dan, maar dat kan niemand veranderen – Also then, but nobody can change that", f.Facts)
	if len(f.Changes)+len(f.Facts) == 0 {
		b.WriteString("\nGeen enkele losse verandering had het veld gegeven.\nNo single change would have given the field.\n")
	}
}

func (a Attempt) write(b *strings.Builder) {
	a.Rule.write(b)
	for _, row := range a.Rows {
		fmt.Fprintf(b, "  rij – row: %s – %s (%s)\n  %s:%d: %s\n", row.Title.NL, row.Title.EN, row.Basis, row.File, row.Line, row.Source)
	}
	for _, c := range a.Failed {
		c.write(b)
	}
}

func (n Named) write(b *strings.Builder) {
	fmt.Fprintf(b, "- %s – %s (%s)\n  %s:%d: %s\n", n.Title.NL, n.Title.EN, n.Basis, n.File, n.Line, n.Source)
}

func (c WhyCondition) write(b *strings.Builder) {
	title := c.Title
	switch {
	case title == (broker.Text{}):
		title = broker.Text{NL: "deze regel", EN: "this line"}
	case c.Not:
		title = broker.Text{NL: "mag niet gelden: " + title.NL, EN: "must not hold: " + title.EN}
	}
	fmt.Fprintf(b, "    NIET VOLDAAN – DOES NOT HOLD: %s – %s\n    %s:%d: %s\n", title.NL, title.EN, c.File, c.Line, c.Source)
	for _, part := range c.Parts {
		if !c.OneOf || !part.applies() {
			continue
		}
		for _, inner := range failures(nil, part.Parts) {
			fmt.Fprintf(b, "      %s:%d: %s\n", inner.File, inner.Line, inner.Source)
		}
	}
}

func say(b *strings.Builder, head string, changes []WhyChange) {
	if len(changes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", head)
	for _, c := range changes {
		fmt.Fprintf(b, "- %s – %s (%s)\n", c.What.NL, c.What.EN, c.Grant.Form)
	}
}
