package console

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// overview is the first page.
type overview struct {
	Live     broker.Revision
	Since    time.Time
	Stop     *register.Stop
	Queue    []link
	Drafts   []draftRow
	Gateways []Gateway
}

func (k *Console) serveOverview(c *call) error {
	p := k.cfg.Desk.Policy()
	v := overview{Live: p.Live, Stop: p.Stop, Queue: k.queue(c, p)}
	if n := len(p.History); n > 0 {
		v.Since = p.History[n-1].When
	}
	var err error
	if v.Gateways, err = k.cfg.Desk.Gateways(c.r.Context()); err != nil {
		return fmt.Errorf("read what gateways serve: %w", err)
	}
	if v.Drafts, err = k.draftRows(c); err != nil {
		return err
	}
	for _, d := range v.Drafts {
		if d.Own && d.Outdated {
			v.Queue = append(v.Queue, link{"/ontwerpen/" + d.ID, c.say("Uw ontwerp is achterhaald: ", "Your draft is outdated: ") + d.Title, false})
		}
	}
	return c.render(http.StatusOK, "overview", c.say("Overzicht", "Overview"), v)
}

// queue is what waits for the reader among the proposals.
func (k *Console) queue(c *call, p register.Policy) []link {
	var out []link
	for _, d := range p.Drafts {
		own := k.cfg.Desk.Officer(d.Author) == c.person.ID
		if d.State == register.StateApproved && c.May(http.MethodPost, "/voorstel/:nummer/activeren") {
			out = append(out, link{fmt.Sprintf("/voorstel/%d", d.Number), c.say("Activeren: ", "To activate: ") + d.Title, false})
		}
		if !own && slices.Contains(d.WaitsFor, register.OfficerRole(c.person.Role)) {
			out = append(out, link{fmt.Sprintf("/voorstel/%d", d.Number), c.say("Beoordelen: ", "To judge: ") + d.Title, false})
		}
	}
	return out
}
