package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/register"
)

// Of reports that were made: they are kept in memory for the session that asked, for so long, and so many together.
const (
	reportKept  = 15 * time.Minute
	reportsKept = 64
	reportAgain = 30 * time.Second // a second one within this time is the first
	turnWithin  = 20 * time.Second // the wait until it is one's turn
)

// sessionReport holds the id of a kept report.
const sessionReport = "report"

// keptReport is a report with the time it was made.
type keptReport struct {
	Report
	about broker.BSN
	name  string // of who it is about; "" for who is signed in
	made  time.Time
}

func (k *Residents) serveStart(c *call) error {
	return c.render(http.StatusOK, "start", c.say("Wie vroeg uw gegevens op?", "Who asked for your data?"), struct {
		contact
		Represents []register.Representation
		Restricted bool
	}{k.contact(), k.cfg.Desk.Represents(c.person.bsn), k.cfg.Desk.Restricted(c.person.bsn)})
}

// chosen gives whom a form is about: who is signed in, or whom they represent today. A form names a representation by its number.
func (k *Residents) chosen(c *call) (about broker.BSN, name string, err error) {
	id := c.r.PostFormValue("over")
	if id == "" {
		return c.person.bsn, "", nil
	}
	for _, r := range k.cfg.Desk.Represents(c.person.bsn) {
		if r.ID == id {
			return r.About, r.Name, nil
		}
	}
	return "", "", mistake{"U mag dit niet namens deze persoon doen. Misschien is de termijn voorbij.", "You may not do this for this person. Perhaps the term is over."}
}

// mayFor tells whether who is signed in may see what is about somebody, today.
func (k *Residents) mayFor(c *call, about broker.BSN) bool {
	return about == c.person.bsn || slices.ContainsFunc(k.cfg.Desk.Represents(c.person.bsn), func(r register.Representation) bool { return r.About == about })
}

// makeReport makes a report and keeps it for this session.
func (k *Residents) makeReport(c *call) error {
	about, name, err := k.chosen(c)
	if err != nil {
		return err
	}
	if old, ok := k.found(c); !ok || old.about != about || k.now().Sub(old.made) > reportAgain {
		ctx, cancel := context.WithTimeout(c.r.Context(), turnWithin)
		defer cancel()
		select {
		case k.turns <- struct{}{}:
			defer func() { <-k.turns }()
		case <-ctx.Done():
			return errBusy
		}
		r, err := k.cfg.Desk.Report(c.r.Context(), c.person.bsn, about)
		if err != nil {
			return err
		}
		if r.NoProof != nil {
			k.log.Error("a resident got no proof", "error", r.NoProof)
		}
		k.keep(c, keptReport{r, about, name, k.now()})
	}
	c.redirect("/overzicht")
	return nil
}

// keep keeps a report in place of the one that the session had.
func (k *Residents) keep(c *call, r keptReport) {
	k.forget(c)
	id := random()
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.order) >= reportsKept {
		delete(k.kept, k.order[0])
		k.order = k.order[1:]
	}
	k.kept[id], k.order = r, append(k.order, id)
	c.session.Put(c.r.Context(), sessionReport, id)
	time.AfterFunc(reportKept, func() { k.drop(id) })
}

func (k *Residents) drop(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, id)
	k.order = slices.DeleteFunc(k.order, func(o string) bool { return o == id })
}

// found gives the report of this session, unless it was too long ago, or is about somebody whom they no longer represent.
func (k *Residents) found(c *call) (keptReport, bool) {
	r, ok := k.recalled(c)
	return r, ok && k.mayFor(c, r.about)
}

func (k *Residents) recalled(c *call) (keptReport, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.kept[c.session.GetString(c.r.Context(), sessionReport)]
	return r, ok && k.now().Sub(r.made) <= reportKept
}

func (k *Residents) forget(c *call) { k.drop(c.session.PopString(c.r.Context(), sessionReport)) }

// shownReport is a report as the page shows it.
type shownReport struct {
	contact
	audit.SubjectReport
	Acts     []shownAct
	HasProof bool
	Name     string // of who it is about; "" for the reader
	Online   bool   // on a page, not on paper
}

// shownAct is an act with what was given and withheld put together by why.
type shownAct struct {
	audit.SubjectAct
	Number   int // from 1
	Given    []shownData
	Withheld []shownData
}

// shownData is data that has one ground, or one reason, in common.
type shownData struct {
	Why  string
	Data []string
}

func (k *Residents) serveReport(c *call) error {
	r, ok := k.found(c)
	if !ok {
		c.redirect("/")
		return nil
	}
	v := shown(c, r.Report)
	v.contact, v.Name, v.Online = k.contact(), r.name, true
	return c.render(http.StatusOK, "report", v.title(c), v)
}

func (v shownReport) title(c *call) string {
	if v.Name != "" {
		return c.say("Wie vroeg gegevens op van ", "Who asked for data of ") + v.Name + "?"
	}
	return c.say("Wie vroeg uw gegevens op?", "Who asked for your data?")
}

func shown(c *call, r Report) shownReport {
	report := r.Dutch
	if c.lang == "en" {
		report = r.English
	}
	v := shownReport{SubjectReport: report, HasProof: r.Proof != nil}
	for i, a := range report.Acts {
		s := shownAct{SubjectAct: a, Number: i + 1}
		for _, g := range a.Given {
			data := c.data(g.Data, g.Household)
			if !g.Exact {
				data += ": " + lowerFirst(g.Form)
			}
			s.Given = together(s.Given, g.Basis, data)
		}
		for _, w := range a.Withheld {
			s.Withheld = together(s.Withheld, strings.Join(w.Reasons, " "), c.data(w.Data, w.Household))
		}
		v.Acts = append(v.Acts, s)
	}
	return v
}

func together(list []shownData, why, data string) []shownData {
	i := slices.IndexFunc(list, func(d shownData) bool { return d.Why == why })
	if i < 0 {
		return append(list, shownData{why, []string{data}})
	}
	list[i].Data = append(list[i].Data, data)
	return list
}

// data names a kind of data.
func (c *call) data(name string, household bool) string {
	if household {
		return name + c.say(" van het huishouden", " of the household")
	}
	return name
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// Asks names who was asked.
func (a shownAct) Asks() []string {
	var out []string
	for _, q := range a.Asked {
		out = append(out, cmp.Or(q.Name, string(q.OIN)))
	}
	return out
}

// serveData gives the report as JSON, in Dutch as the standard has it.
func (k *Residents) serveData(c *call) error {
	r, ok := k.found(c)
	if !ok {
		return errNotFound
	}
	data, err := json.MarshalIndent(r.Dutch, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return c.file("overzicht.json", append(data, '\n'))
}

// serveProof gives the file that proves that nothing was left out.
func (k *Residents) serveProof(c *call) error {
	r, ok := k.found(c)
	if !ok || r.Proof == nil {
		return errNotFound
	}
	return c.file("bewijs.json", r.Proof)
}

// file sends JSON to be kept.
func (c *call) file(name string, data []byte) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = c.w.Write(data) // the reader is gone: nobody to tell
	return nil
}
