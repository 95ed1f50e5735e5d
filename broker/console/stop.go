package console

import (
	"net/http"
	"strings"
)

func (k *Console) serveStop(c *call) error {
	return c.render(http.StatusOK, "stop", c.say("Noodstop", "Emergency stop"), k.cfg.Desk.Policy().Stop)
}

func (k *Console) stopAll(c *call) error {
	reason := strings.TrimSpace(c.r.PostFormValue("reden"))
	if reason == "" || c.r.PostFormValue("zeker") != "ja" {
		return mistake{"Geef een reden, en bevestig dat u alles wilt stilleggen.", "Give a reason, and confirm that you want to halt everything."}
	}
	if err := k.cfg.Desk.Stop(c.r.Context(), *c.person, reason); err != nil {
		return refusal{err}
	}
	c.notice("Noodstop: alle verstrekkingen zijn stilgelegd.", "Emergency stop: all disclosure was halted.")
	c.redirect("/")
	return nil
}
