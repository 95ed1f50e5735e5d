package console

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/search"
)

// logView is the page on which the log is searched, with or without what was found.
type logView struct {
	Text    string // the question as it was typed
	Why     groundForm
	Problem string
	Found   *logFound
}

// logFound is one page of what a question found.
type logFound struct {
	search.Found
	Text  string // the question as it was typed
	Why   Ground
	Rows  []logRow
	First int // number of the first row, from 1
}

// logRow is one disclosure in a list.
type logRow struct {
	search.Hit
	Agency string // its name, or its OIN
}

// OIN is that of the agency.
func (r logRow) OIN() string { return string(r.Hit.Agency) }

func (k *Console) serveLog(c *call) error {
	why, _ := c.ground()
	return k.showLog(c, http.StatusOK, why, logView{})
}

func (k *Console) showLog(c *call, status int, why Ground, v logView) (err error) {
	if v.Why, err = k.groundForm(c, why, QuestionSearch); err != nil {
		return err
	}
	return c.render(status, "log", c.say("Logboek", "Log"), v)
}

var oin = regexp.MustCompile(`^[0-9]{20}$`)

// searchLog searches. That somebody does is recorded before anything is found.
func (k *Console) searchLog(c *call) error {
	text := strings.TrimSpace(c.r.PostFormValue("vraag"))
	again := func(problem string) error {
		return k.showLog(c, http.StatusBadRequest, Ground{c.r.PostFormValue("doel"), c.r.PostFormValue("grond")}, logView{Text: text, Problem: problem})
	}
	var m mistake
	if _, err := c.tellGround(); errors.As(err, &m) {
		return again(c.say(m.nl, m.en))
	}
	q, err := search.Parse(text)
	if err == nil {
		err = k.namedAgencies(&q)
	}
	var f search.Fault
	if errors.As(err, &f) {
		return again(c.Text(f.Text))
	}
	if err != nil {
		return err
	}
	begin, _ := strconv.ParseUint(c.r.PostFormValue("vanaf"), 10, 64)
	first, _ := strconv.Atoi(c.r.PostFormValue("eerste"))
	found, err := looked(c, func(why Ground) (*logFound, error) {
		found, err := k.cfg.Auditing.Search(c.r.Context(), *c.person, why, q, begin)
		return &logFound{Found: found, Text: text, Why: why, First: max(first, 1)}, err
	})
	if err != nil {
		return err
	}
	for _, h := range found.Hits {
		found.Rows = append(found.Rows, k.logRow(h))
	}
	k.keepLook(c, "/logboek/gevonden", found)
	return nil
}

func (k *Console) logRow(h search.Hit) logRow {
	name := k.agencyName(h.Agency)
	if name == "" {
		name = string(h.Agency)
	}
	return logRow{h, name}
}

// namedAgencies puts the OIN in the place of an agency's name, or of a part of it that only one has.
func (k *Console) namedAgencies(q *search.Query) error {
	for i, cond := range q.Conditions {
		if cond.Kind != search.Agency || oin.MatchString(cond.Value) {
			continue
		}
		var of []broker.Agency
		for _, a := range k.cfg.Desk.Agencies() {
			if strings.EqualFold(a.Name, cond.Value) {
				of = []broker.Agency{a}
				break
			}
			if strings.Contains(strings.ToLower(a.Name), strings.ToLower(cond.Value)) {
				of = append(of, a)
			}
		}
		switch {
		case len(of) == 0:
			return search.Fault{Text: broker.Text{NL: "geen organisatie heet zo: " + cond.Value, EN: "no agency has this name: " + cond.Value}}
		case len(of) > 1:
			return search.Fault{Text: broker.Text{NL: "meer organisaties heten zo; geef het OIN: " + cond.Value, EN: "several agencies have this name; give the OIN: " + cond.Value}}
		}
		q.Conditions[i].Value = string(of[0].OIN)
	}
	return nil
}

// serveFound shows what was found, to the session that searched.
func (k *Console) serveFound(c *call) error {
	found, ok := shelfGet[*logFound](&k.looked, c.mine(c.params.ByName("id")), k.now())
	if !ok {
		return errNotFound
	}
	return k.showLog(c, http.StatusOK, found.Why, logView{Text: found.Text, Found: found})
}

// After is the number of the first row of the next page.
func (f *logFound) After() int { return f.First + len(f.Rows) }

// Last is the number of the last row.
func (f *logFound) Last() int { return f.First + len(f.Rows) - 1 }

// Outcome says what a decision came to.
func (c *call) Outcome(outcome string) string {
	switch outcome {
	case search.Given:
		return c.say("verstrekt", "given")
	case search.Partly:
		return c.say("deels verstrekt", "given in part")
	case search.Refused:
		return c.say("geweigerd", "refused")
	}
	return outcome
}

// PartState says why a part of an event can't be read.
func (c *call) PartState(s audit.PartState) string {
	switch s {
	case audit.PartErased:
		return c.say("gewist: wie vroeg is niet meer te lezen", "erased: who asked can't be read any more")
	case audit.PartDamaged:
		return c.say("beschadigd: wie vroeg is niet te lezen", "damaged: who asked can't be read")
	case audit.PartClosed:
		return c.say("gesloten: de sleutelbos is niet bij de hand", "closed: the key ring is not at hand")
	}
	return ""
}
