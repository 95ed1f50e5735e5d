package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// past is one moment at which another revision came into force.
type past struct {
	register.Activation
	Title string // of the draft that brought it
	Now   bool   // it is what decides
	Live  bool   // the same revision decides now, maybe since later
}

// historyView is the page of what was in force, and of what is proposed.
type historyView struct {
	Past     []past // the last first
	Drafts   []register.Draft
	From, To broker.Revision
	Diff     []fileDiff
	Compared bool
	Known    []broker.Revision
}

func (k *Console) serveHistory(c *call) error {
	p := k.cfg.Desk.Policy()
	v := historyView{Known: revisions(p)}
	for i, a := range slices.Backward(p.History) {
		one := past{Activation: a, Now: i == len(p.History)-1, Live: a.Revision == p.Live}
		if d, ok := p.Find(a.Draft); ok {
			one.Title = d.Title
		}
		v.Past = append(v.Past, one)
	}
	for _, d := range slices.Backward(p.Drafts) {
		v.Drafts = append(v.Drafts, d)
	}
	q := c.r.URL.Query()
	v.From, v.To = broker.Revision(q.Get("van")), broker.Revision(q.Get("naar"))
	if v.From != "" || v.To != "" {
		if !slices.Contains(v.Known, v.From) || !slices.Contains(v.Known, v.To) {
			return errNotFound
		}
		was, err := k.cfg.Desk.Files(c.r.Context(), v.From)
		if err != nil {
			return err
		}
		is, err := k.cfg.Desk.Files(c.r.Context(), v.To)
		if err != nil {
			return err
		}
		v.Diff, v.Compared = diffFiles(was, is), true
	}
	return c.render(http.StatusOK, "history", c.say("Geschiedenis", "History"), v)
}

// State names how far a proposal is.
func (c *call) State(d register.Draft) string {
	switch d.State {
	case register.StateDraft:
		return c.say("ingediend", "submitted")
	case register.StateChecked:
		if len(d.WaitsFor) == 0 && len(d.WaitsForHolders) > 0 {
			return c.say("wacht op een houder", "waits for a holder")
		}
		return c.say("wacht op goedkeuring", "waits for approval")
	case register.StateApproved:
		return c.say("goedgekeurd", "approved")
	case register.StateLive:
		return c.say("geldt nu", "in force")
	case register.StateSuperseded:
		return c.say("gold eerder", "was in force")
	case register.StateOutdated:
		return c.say("achterhaald", "outdated")
	}
	return string(d.State)
}

// Gateway is what one gateway says of itself.
type Gateway struct {
	Name    string
	Serves  broker.Revision // "" where it can't answer
	Time    time.Time       // when it said so
	Silent  bool            // it says nothing any more
	Ended   bool            // it was stopped in good order
	Problem string
}
