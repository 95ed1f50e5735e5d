package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/register"
)

// TestProposal: a colleague is asked and can approve, the author is not; what the register refuses is shown, not swallowed.
func TestProposal(t *testing.T) {
	s := start(t, nil)
	s.desk.propose(register.Draft{Title: "voorstel", Base: s.desk.live(), Revision: s.desk.live(), Author: "p1"})
	author, colleague, fg := s.as("p1"), s.as("p2"), s.as("f")
	if _, body := colleague.get("/"); !strings.Contains(body, `href="/voorstel/1"`) {
		t.Error("it is not in the colleague's queue")
	}
	if _, body := author.get("/"); strings.Contains(body, `href="/voorstel/1"`) {
		t.Error("it is in the author's own queue")
	}
	for name, v := range map[string]*visitor{"author": author, "FG": fg} {
		if resp, body := v.get("/voorstel/1"); resp.StatusCode != http.StatusOK || strings.Contains(body, "/voorstel/1/goedkeuren") {
			t.Errorf("%s is offered approval: %d", name, resp.StatusCode)
		}
	}
	if _, body := colleague.get("/voorstel/1"); !strings.Contains(body, "/voorstel/1/goedkeuren") {
		t.Error("the colleague is not offered approval")
	}
	// A form of another revision approves nothing.
	if resp, _ := colleague.send("/voorstel/1/goedkeuren", url.Values{"revisie": {"x"}}); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another revision: %d", resp.StatusCode)
	}
	form := func() url.Values { return url.Values{"revisie": {string(s.desk.live())}} }
	if resp, _ := fg.send("/voorstel/1/goedkeuren", form()); resp.StatusCode != http.StatusForbidden {
		t.Errorf("approval by the FG: %d", resp.StatusCode)
	}
	if len(s.desk.steps) != 0 {
		t.Fatalf("steps were taken: %v", s.desk.steps)
	}
	if resp, _ := colleague.send("/voorstel/1/goedkeuren", form()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("approve: %d", resp.StatusCode)
	}
	s.desk.refuse = errors.New("the author can't approve <it>")
	resp, body := author.send("/voorstel/1/goedkeuren", form())
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "can&#39;t approve &lt;it&gt;") {
		t.Errorf("what the register refuses: %d %.400s", resp.StatusCode, body)
	}
	if !slices.Equal(s.desk.steps, []string{"approve 1 p2", "approve 1 p1"}) {
		t.Errorf("steps: %v", s.desk.steps)
	}
}

// TestStop: only a privacy officer, only with a reason and when they confirm.
func TestStop(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	for _, form := range []url.Values{{}, {"reden": {"x"}}, {"zeker": {"ja"}}, {"reden": {"  "}, "zeker": {"ja"}}} {
		if resp, _ := v.send("/noodstop", form); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", form, resp.StatusCode)
		}
	}
	if resp, _ := s.as("j").send("/noodstop", url.Values{"reden": {"x"}, "zeker": {"ja"}}); resp.StatusCode != http.StatusForbidden {
		t.Errorf("by the jurist: %d", resp.StatusCode)
	}
	if len(s.desk.steps) != 0 {
		t.Fatalf("it stopped: %v", s.desk.steps)
	}
	v.send("/noodstop", url.Values{"reden": {"lek"}, "zeker": {"ja"}})
	if !slices.Equal(s.desk.steps, []string{"stop p1 lek"}) {
		t.Errorf("steps: %v", s.desk.steps)
	}
}

// TestUncheckedIsNotSubmitted: a draft without all its answers goes nowhere.
func TestUncheckedIsNotSubmitted(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	at := v.draft("ongetoetst")
	if resp, _ := v.send(at+"/indienen", nil); resp.StatusCode != http.StatusBadRequest || len(s.desk.steps) != 0 {
		t.Errorf("submitted unchecked: %d %v", resp.StatusCode, s.desk.steps)
	}
}

// TestWayBackInTime: a draft of an earlier revision holds its content.
func TestWayBackInTime(t *testing.T) {
	s := start(t, nil)
	first := s.desk.live()
	s.desk.change(wmo, "# nieuw\n"+string(s.desk.files[wmo]))
	v := s.as("p1")
	resp, _ := v.send("/ontwerpen", url.Values{"terug": {string(first)}})
	if _, body := v.get(resp.Header.Get("Location")); !strings.Contains(body, "<del># nieuw</del>") || !strings.Contains(body, string(first[:12])) {
		t.Error("the draft does not go back")
	}
	if resp, _ := v.send("/ontwerpen", url.Values{"terug": {"0000"}}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("back to what never was in force: %d", resp.StatusCode)
	}
	// Any two revisions can be compared, and nothing else.
	if _, body := v.get("/geschiedenis?van=" + string(first) + "&naar=" + string(s.desk.live())); !strings.Contains(body, "<ins># nieuw</ins>") {
		t.Error("the difference is not shown")
	}
	if resp, _ := v.get("/geschiedenis?van=" + string(first) + "&naar=x"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown revision: %d", resp.StatusCode)
	}
}
