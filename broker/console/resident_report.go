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

// Of reports: one may have to read much of the log, so few are made at the same time. Those that were made are kept in memory for
// the session that asked, for so long, and so many together.
const (
	reportsAtOnce = 2
	reportKept    = 15 * time.Minute
	reportsKept   = 64
	reportAgain   = 30 * time.Second // a second one within this time is the first
)

// What a session holds of its report.
const (
	sessionReport = "report" // the id of the work
	sessionAbout  = "about"  // the BSN of whom it is about
)

const askReport = "report"

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
		Begun      bool // a report of this session is being made, or there
	}{k.contact(), k.cfg.Desk.Represents(c.person.bsn), k.cfg.Desk.Restricted(c.person.bsn), k.work(c).job != nil})
}

// chosen gives whom a form is about: who is signed in, or whom they represent today. A form names a representation by its number.
func (k *Residents) chosen(c *call) (broker.BSN, error) {
	id := c.r.PostFormValue("over")
	if id == "" {
		return c.person.bsn, nil
	}
	for _, r := range k.cfg.Desk.Represents(c.person.bsn) {
		if r.ID == id {
			return r.About, nil
		}
	}
	return "", mistake{"U mag dit niet namens deze persoon doen. Misschien is de termijn voorbij.", "You may not do this for this person. Perhaps the term is over."}
}

// reportWork is the work on the report of a session.
type reportWork struct {
	*job  // nil: none
	about broker.BSN
	name  string // of whom it is about; "" for who is signed in
}

// work finds that of this session, unless it is about somebody whom they no longer represent.
func (k *Residents) work(c *call) reportWork {
	w := reportWork{job: k.reports.get(c.session.GetString(c.r.Context(), sessionReport)), about: broker.BSN(c.session.GetString(c.r.Context(), sessionAbout))}
	if w.about == c.person.bsn {
		return w
	}
	for _, r := range k.cfg.Desk.Represents(c.person.bsn) {
		if r.About == w.about {
			w.name = r.Name
			return w
		}
	}
	return reportWork{}
}

// makeReport begins to make a report, which goes on without anybody looking and is for this session alone.
func (k *Residents) makeReport(c *call) error {
	about, err := k.chosen(c)
	if err != nil {
		return err
	}
	if w := k.work(c); w.job == nil || w.about != about || k.aged(w.job) {
		k.forget(c)
		if k.reports.unended() >= reportsKept {
			return errBusy
		}
		id, by := random(), c.person.bsn
		k.reports.start(id, false, []step{{askReport, func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := k.cfg.Desk.Report(ctx, by, about, func(read int) { progress(read, 0) })
			if err != nil {
				return nil, err
			}
			if r.NoProof != nil {
				k.log.Error("a resident got no proof", "error", r.NoProof)
			}
			time.AfterFunc(reportKept, func() { k.reports.drop(id) })
			return keptReport{Report: r, made: k.now()}, nil
		}}})
		c.session.Put(c.r.Context(), sessionReport, id)
		c.session.Put(c.r.Context(), sessionAbout, about.Reveal())
	}
	c.redirect("/overzicht")
	return nil
}

// aged tells whether a report is to be made again where it is asked for again.
func (k *Residents) aged(j *job) bool {
	s, _ := j.now()
	r, ok := s.Steps[0].Result.(keptReport)
	return s.Done && (!ok || k.now().Sub(r.made) > reportAgain)
}

// found gives the report of this session.
func (k *Residents) found(c *call) (keptReport, bool) {
	w := k.work(c)
	if w.job == nil {
		return keptReport{}, false
	}
	s, _ := w.now()
	r, ok := s.Steps[0].Result.(keptReport)
	r.about, r.name = w.about, w.name
	return r, ok && k.now().Sub(r.made) <= reportKept
}

// forget stops and forgets what this session has.
func (k *Residents) forget(c *call) {
	k.reports.drop(c.session.PopString(c.r.Context(), sessionReport))
	c.session.Remove(c.r.Context(), sessionAbout)
}

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

// serveReport shows the report, or how far it is.
func (k *Residents) serveReport(c *call) error {
	if w := k.work(c); w.job != nil {
		s := c.await(w.job, patience)
		if !s.Done {
			return c.render(http.StatusOK, "making", c.say("Wij maken uw overzicht", "We are making your overview"), c.reportProgress(s))
		}
		if err := s.Steps[0].Err; err != nil {
			k.forget(c)
			return err
		}
	}
	r, ok := k.found(c)
	if !ok {
		c.redirect("/")
		return nil
	}
	v := shown(c, r.Report)
	v.contact, v.Name, v.Online = k.contact(), r.name, true
	return c.render(http.StatusOK, "report", v.title(c), v)
}

// serveReportProgress tells how far the report of this session is.
func (k *Residents) serveReportProgress(c *call) error {
	w := k.work(c)
	if w.job == nil {
		return errNotFound
	}
	return c.followIn(w.job, c.reportProgress)
}

func (c *call) reportProgress(s state) progress {
	p := progress{Done: s.Done, Text: c.say("Er zijn anderen voor u. Even geduld.", "Others are before you. One moment please.")}
	switch w := s.Steps[0]; {
	case s.Done:
		p.Text = c.say("Klaar.", "Done.")
	case w.Done >= countedBy:
		p.Text = c.say("Wij lezen ons logboek. Zoveel regels hebben wij gehad: ", "We are reading our log. So many lines we have had: ") + c.counted(w.Done) + "."
	case w.Running:
		p.Text = c.say("Wij lezen ons logboek.", "We are reading our log.")
	}
	return p
}

// stopReport stops making the report.
func (k *Residents) stopReport(c *call) error {
	k.forget(c)
	c.notice("Wij zijn gestopt. Er is geen overzicht gemaakt.", "We stopped. No overview was made.")
	c.redirect("/")
	return nil
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
