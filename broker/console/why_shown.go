package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

// whyPart is the explanation of one query, for a reader.
type whyPart struct {
	About    string // a data subject of a decision; "" for a question that was put together
	Question string // who asks, and what for
	Revision broker.Revision
	Query    broker.Query
	Fields   []whyField
}

// whyField is one field, with the source that decided about it.
type whyField struct {
	workbench.WhyField
	Nearest, Others []workbench.Attempt
	Form            broker.Text // in which it is given
	Lit             []litFile
	About           string // the data subject of a decision
	Few             bool   // there are few others: it needs no opening
	revision        broker.Revision
	Forms           []broker.Term
}

// Try is the question of a change, to be asked in turn.
func (f whyField) Try(w workbench.WhyChange) whyExample { return whyExample{f.revision, w.Query} }

// whyExample is a question that leads to this page, filled in.
type whyExample struct {
	Revision broker.Revision
	Query    broker.Query
}

// Example puts a question and the revision that answers it together, for a button.
func (c *call) Example(r broker.Revision, q broker.Query) whyExample { return whyExample{r, q} }

// about names the data subject of a part, as the answer did.
func (c *call) about(p DecisionPart) string {
	text := c.say("Over het huishouden", "About the household")
	if p.Subject != broker.Household {
		text = c.say("Over persoon ", "About person ") + string(p.Subject)
	}
	if p.Lookup != "" {
		text += c.say(": mag een houder weten over wie het gaat? ", ": may a holder know whom it is about? ") + "(" + string(p.Lookup) + ")"
	}
	return text
}

// shown puts an explanation in the words of a reader, and finds the lines to light.
func (k *Console) shown(c *call, p answeredPart, about string) (whyPart, error) {
	catalog, err := k.cfg.Desk.Catalog(p.files)
	if err != nil {
		return whyPart{}, err
	}
	role, _ := termText(catalog.Roles, string(p.Query.Role))
	purpose, _ := termText(catalog.Purposes, string(p.Query.Purpose))
	part := whyPart{About: about, Revision: p.Revision, Query: p.Query, Question: c.Text(role) + ", " + c.Text(purpose)}
	lit := highlighter{files: p.files, link: c.linkTo(p.Revision, p.draft), lines: map[string][][]span{}}
	for _, w := range p.report.Fields {
		f := whyField{WhyField: w, revision: p.Revision, Forms: catalog.Forms, About: about, Few: len(p.report.Fields) <= 3}
		if w.Grant != nil {
			f.Form, _ = termText(catalog.Forms, string(w.Grant.Form))
		}
		f.Nearest, f.Others = nearest(w)
		f.Lit = lit.of(f.Nearest)
		part.Fields = append(part.Fields, f)
	}
	return part, nil
}

// nearest are the rules that gave a field or, where it is withheld, those that came nearest to it; others are the rest.
func nearest(w workbench.WhyField) (near, others []workbench.Attempt) {
	for _, a := range w.Attempts {
		if a.Holds || (w.Grant == nil && len(a.Failed) == len(w.Attempts[0].Failed)) {
			near = append(near, a)
		} else {
			others = append(others, a)
		}
	}
	return near, others
}

// linkTo gives the address of a line of a file of a revision; "" where the reader may not see files.
func (c *call) linkTo(r broker.Revision, d *draft) func(path string, lit []int) string {
	return func(path string, lit []int) string {
		if !c.May(http.MethodGet, "/beleid/bestand") || len(lit) == 0 {
			return ""
		}
		at := fmt.Sprintf("#r%d", lit[0])
		if d != nil {
			return "/ontwerpen/" + d.ID + "/bestand?pad=" + url.QueryEscape(path) + at
		}
		return "/beleid/bestand?pad=" + url.QueryEscape(path) + "&revisie=" + string(r) + "&regels=" + joined(lit) + at
	}
}

func joined(numbers []int) string {
	var b strings.Builder
	for i, n := range numbers {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}

// Condition names a line of a rule: what it is called, or its own words.
func (c *call) Condition(w workbench.WhyCondition) string {
	switch {
	case w.Title == (broker.Text{}):
		return c.say("deze voorwaarde", "this condition")
	case w.Not:
		return c.say("mag niet gelden: ", "must not hold: ") + c.Text(w.Title)
	}
	return c.Text(w.Title)
}
