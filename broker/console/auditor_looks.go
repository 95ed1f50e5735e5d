package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
)

// LookList is a working list: looks that nothing explains, or that fit a pattern of misuse. A pattern is a reason to ask, and
// no verdict.
type LookList struct {
	Since, Until time.Time
	Rules        broker.Revision // the policy whose rules judged
	Judged       int             // looks in the window
	Unread       int             // of them and of the history: damaged, or who looked can't be read
	Looks        []RankedLook    // the heaviest first; those that were reviewed last
}

// RankedLook is one look on the list.
type RankedLook struct {
	Writer       string
	ID           audit.ID
	Time         time.Time
	Agency       broker.OIN
	Worker       broker.WorkerID
	Role         broker.Role
	Purpose      broker.Purpose
	Case         broker.CaseID
	Fields       int
	Refused      bool
	Score        int
	Patterns     []broker.Text
	Explanations []broker.Text
	Review       *LookReview // the last one
}

// LookReview is what came of asking about a look.
type LookReview struct {
	Outcome broker.Text
	Note    broker.Text // empty for none
	By      string      // the officer; "" where it can't be read any more
	Time    time.Time
}

const askLooks = "looks"

// looksView is the queue of looks.
type looksView struct {
	Why             groundForm
	Days            int
	List            *LookList
	Rows            []lookRow
	Waiting         int // not reviewed yet
	Outcomes, Notes []choice
	Key             string // that this session has the list under
	Running         bool
	Work            stepState
}

type lookRow struct {
	RankedLook
	Name string // of the agency, or its OIN
	N    int    // from 1
}

// defaultDays is the window of the list, in days.
const defaultDays = 30

func (k *Console) serveLooks(c *call) error {
	return k.showLooks(c, looksView{Days: defaultDays})
}

func (k *Console) showLooks(c *call, v looksView) (err error) {
	why, _ := c.ground()
	if v.Why, err = k.groundForm(c, why, QuestionLooks); err != nil {
		return err
	}
	return c.render(http.StatusOK, "looks", c.say("Opvallende inzagen", "Looks that stand out"), v)
}

// startLooks makes the list. That somebody asks for it is recorded first.
func (k *Console) startLooks(c *call) error {
	if _, err := c.tellGround(); err != nil {
		return err
	}
	days := map[string]int{"7": 7, "30": 30, "90": 90, "365": 365}[c.r.PostFormValue("dagen")]
	if days == 0 {
		return mistake{"Kies een periode.", "Choose a period."}
	}
	why, err := c.ground()
	if err != nil {
		return err
	}
	id, by, until := random(), *c.person, k.now()
	k.looked.put(c.mine(id), days, until)
	k.jobs.start(c.mine(id), false, []step{{askLooks, func(ctx context.Context, progress func(int, int)) (any, error) {
		list, err := k.cfg.Auditing.Looks(ctx, by, why, until.AddDate(0, 0, -days), until, func(read int) { progress(read, 0) })
		return &list, err
	}}})
	c.redirect("/inzagen/" + id)
	return nil
}

// listOf finds a list that this session asked for.
func (k *Console) listOf(c *call) (*job, int, error) {
	days, ok := shelfGet[int](&k.looked, c.mine(c.params.ByName("id")), k.now())
	j := k.jobs.get(c.mine(c.params.ByName("id")))
	if !ok || j == nil {
		return nil, 0, errNotFound
	}
	return j, days, nil
}

func (k *Console) serveLookList(c *call) error {
	j, days, err := k.listOf(c)
	if err != nil {
		return err
	}
	v := looksView{Days: days, Key: c.params.ByName("id")}
	s := c.await(j, patience)
	v.Running, v.Work = !s.Done, s.Steps[0]
	switch {
	case errors.Is(v.Work.Err, ErrMayNotLook):
		return refusal{v.Work.Err}
	case errors.Is(v.Work.Err, ErrNotRecorded):
		return v.Work.Err
	}
	if list, _ := v.Work.Result.(*LookList); list != nil && v.Work.Err == nil {
		v.List = list
		for i, l := range list.Looks {
			name := k.agencyName(l.Agency)
			if name == "" {
				name = string(l.Agency)
			}
			v.Rows = append(v.Rows, lookRow{l, name, i + 1})
			if l.Review == nil {
				v.Waiting++
			}
		}
		outcomes, notes := k.cfg.Auditing.Reviews()
		v.Outcomes, v.Notes = c.terms(outcomes, ""), c.terms(notes, "")
	}
	return k.showLooks(c, v)
}

func (k *Console) serveLooksProgress(c *call) error {
	j, _, err := k.listOf(c)
	if err != nil {
		return err
	}
	return c.follow(j)
}

// stopLooks stops making a list of this session.
func (k *Console) stopLooks(c *call) error {
	j, _, err := k.listOf(c)
	if err != nil {
		return err
	}
	j.cancel()
	c.notice("Het wegen is gestopt.", "Weighing was stopped.")
	c.redirect("/inzagen")
	return nil
}

// reviewLook records what came of asking about a look of a list of this session.
func (k *Console) reviewLook(c *call) error {
	j, _, err := k.listOf(c)
	if err != nil {
		return err
	}
	s, _ := j.now()
	list, _ := s.Steps[0].Result.(*LookList)
	var id audit.ID
	if list == nil || id.UnmarshalText([]byte(c.r.PostFormValue("nummer"))) != nil {
		return errNotFound
	}
	writer, outcome, note := c.r.PostFormValue("schrijver"), c.r.PostFormValue("uitkomst"), c.r.PostFormValue("toelichting")
	i := slices.IndexFunc(list.Looks, func(l RankedLook) bool { return l.Writer == writer && l.ID == id })
	if i < 0 {
		return errNotFound
	}
	outcomes, notes := k.cfg.Auditing.Reviews()
	known, ok := termText(outcomes, outcome)
	said, fine := termText(notes, note)
	if !ok || (note != "" && !fine) {
		return mistake{"Kies een uitkomst.", "Choose an outcome."}
	}
	_, err = looked(c, func(why Ground) (struct{}, error) {
		return struct{}{}, k.cfg.Auditing.Review(c.r.Context(), *c.person, why, writer, id, outcome, note)
	})
	if err != nil {
		return err
	}
	k.reviewed(j, i, LookReview{Outcome: known, Note: said, By: c.person.ID, Time: k.now()})
	c.notice("De beoordeling staat in het logboek.", "The review stands in the log.")
	c.redirect("/inzagen/" + c.params.ByName("id") + "#inzagen")
	return nil
}

// reviewed puts a review in the list that a session has, where it stays until the list is made again.
func (k *Console) reviewed(j *job, i int, r LookReview) {
	j.update(func(s *state) {
		list := *s.Steps[0].Result.(*LookList)
		list.Looks = slices.Clone(list.Looks)
		list.Looks[i].Review = &r
		s.Steps = slices.Clone(s.Steps)
		s.Steps[0].Result = &list
	})
}

// Texts puts some texts after each other.
func (c *call) Texts(list []broker.Text) string {
	var out []string
	for _, t := range list {
		out = append(out, c.Text(t))
	}
	return strings.Join(out, "; ")
}

// Days are the periods that a list can be of.
func (c *call) Days(chosen int) (out []choice) {
	for _, n := range []int{7, 30, 90, 365} {
		out = append(out, choice{strconv.Itoa(n), c.say("de laatste ", "the last ") + strconv.Itoa(n) + c.say(" dagen", " days"), n == chosen})
	}
	return out
}
