package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

// answering is an Answering with some requests.
type answering struct {
	slowly
	requests   []register.RequestState
	restricted bool
	recipients []console.Recipient
	steps      []string // that were taken, and looks
	unlogged   error
	refuse     error
}

func (a *answering) Asked() (out []console.AskedLine) {
	for _, q := range a.requests {
		l := console.AskedLine{ID: q.ID, Kind: q.Kind, Made: q.Made, Due: q.Due(), Extended: q.Extended != ""}
		if q.Answer != nil {
			l.Outcome = q.Answer.Outcome
		}
		out = append(out, l)
	}
	return out
}

func (a *answering) AnsweringPurposes(context.Context, console.Person) ([]broker.Term, error) {
	return []broker.Term{{ID: "inzage", Text: broker.Text{NL: "een inwoner antwoorden", EN: "answer a resident"}}}, nil
}

func (a *answering) find(id string) (*register.RequestState, error) {
	for i := range a.requests {
		if a.requests[i].ID == id {
			return &a.requests[i], nil
		}
	}
	return nil, console.ErrNoRequest
}

func (a *answering) look(by console.Person, why console.Ground, what string) error {
	if a.unlogged != nil {
		return fmt.Errorf("%w: %w", console.ErrNotRecorded, a.unlogged)
	}
	a.steps = append(a.steps, fmt.Sprintf("%s %s (%s, %s)", by.ID, what, why.Purpose, why.Ground))
	return nil
}

func (a *answering) ReadRequest(_ context.Context, by console.Person, why console.Ground, id string) (console.AskedRequest, error) {
	q, err := a.find(id)
	if err == nil {
		err = a.look(by, why, "read "+id)
	}
	if err != nil {
		return console.AskedRequest{}, err
	}
	return console.AskedRequest{RequestState: *q, Restricted: a.restricted}, nil
}

func (a *answering) Recipients(ctx context.Context, by console.Person, why console.Ground, id string, read func(int)) ([]console.Recipient, error) {
	if err := a.slow(ctx, read); err != nil {
		return nil, err
	}
	return a.recipients, a.look(by, why, "recipients "+id)
}

func (a *answering) did(by console.Person, format string, args ...any) error {
	if a.refuse == nil {
		a.steps = append(a.steps, by.ID+" "+fmt.Sprintf(format, args...))
	}
	return a.refuse
}

func (a *answering) AnswerRequest(_ context.Context, by console.Person, id string, outcome register.Outcome, text string) error {
	return a.did(by, "answer %s %s %s", id, outcome, text)
}

func (a *answering) ExtendRequest(_ context.Context, by console.Person, id, why string) error {
	return a.did(by, "extend %s %s", id, why)
}

func (a *answering) Restrict(_ context.Context, by console.Person, id string, on bool) error {
	return a.did(by, "restrict %s %t", id, on)
}

// someAsked are requests in every state.
func someAsked() (out []register.RequestState) {
	now := time.Now()
	for i, kind := range register.RequestKinds() {
		q := register.RequestState{ResidentRequest: register.ResidentRequest{ID: fmt.Sprintf("BCDF-234%d", i), About: parent, Kind: kind, Text: "<b>canary-vraag</b>"}, Made: now}
		switch i {
		case 1:
			q.Made, q.By = now.AddDate(0, -2, 0), child
		case 2:
			q.Extended = "het is veel werk"
		case 3:
			q.Answer = &register.RequestAnswer{Outcome: register.OutcomePartly, Text: "canary-antwoord", When: now}
		}
		out = append(out, q)
	}
	return out
}

// TestAnsweringResidents: the list tells nothing of who asked or what; a request shows after it was recorded that somebody reads
// it, to the session that does alone; and each step is taken in the name of who takes it.
func TestAnsweringResidents(t *testing.T) {
	s := start(t, nil)
	s.asked.requests = someAsked()
	v := s.as("p1")
	_, list := v.get("/inwoners")
	for _, want := range []string{"3 berichten wachten op antwoord", "1 bericht is te laat", "te laat", "verlengd", "deels toegewezen", "Beperking (AVG 18)"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	if strings.Contains(list, "canary") || strings.Contains(list, parent.Reveal()) || strings.Index(list, "BCDF-2341") > strings.Index(list, "BCDF-2340") {
		t.Error("the list tells what was asked, or by whom, or is not in the order of its terms")
	}
	if resp, _ := v.send("/inwoners", url.Values{"nummer": {"BCDF-2340"}}); resp.StatusCode != http.StatusBadRequest || len(s.asked.steps) > 0 {
		t.Errorf("without a ground: %d, %v", resp.StatusCode, s.asked.steps)
	}
	why := func(number string) url.Values {
		return url.Values{"nummer": {number}, "doel": {"inzage"}, "grond": {"AVG 16, dossier 3"}}
	}
	if resp, body := v.send("/inwoners", why("ZZZZ-2222")); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "geen bericht met dit nummer") {
		t.Errorf("no such number: %d", resp.StatusCode)
	}
	resp, body, at := v.sees("/inwoners", why(" bcdf-2340 "))
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "&lt;b&gt;canary-vraag") || !strings.Contains(body, parent.Reveal()) || strings.Contains(at, "BCDF") {
		t.Fatalf("%d at %s: %s", resp.StatusCode, at, body)
	}
	if got := s.asked.steps; len(got) != 1 || got[0] != "p1 read BCDF-2340 (inzage, AVG 16, dossier 3)" {
		t.Errorf("recorded: %v", got)
	}
	for _, other := range []*visitor{s.as("f"), s.as("p1")} {
		if resp, body := other.get(at); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "canary") {
			t.Errorf("another session: %d", resp.StatusCode)
		}
		if resp, _ := other.send(at+"/antwoord", url.Values{"uitkomst": {"granted"}, "antwoord": {"x"}}); resp.StatusCode != http.StatusNotFound {
			t.Errorf("another session answers: %d", resp.StatusCode)
		}
	}

	s.asked.recipients = []console.Recipient{{Name: "Woningstichting", Data: []string{"huurachterstand", "leeftijd"}, Times: 2, Last: time.Now()}}
	v.send(at+"/ontvangers", nil)
	v.get(at + "/voortgang") // ends when the work does
	if _, body := v.get(at); !strings.Contains(body, "Woningstichting") || !strings.Contains(body, "huurachterstand; leeftijd") || !strings.Contains(body, "2 keer") {
		t.Errorf("recipients: %s", body)
	}
	if _, body, _ := v.sees(at+"/beperk", url.Values{"beperk": {"ja"}}); !strings.Contains(body, "Hef de beperking op") || !strings.Contains(body, "Woningstichting") {
		t.Errorf("restricted: %s", body)
	}
	if _, body, _ := v.sees(at+"/beperk", url.Values{"beperk": {"nee"}}); !strings.Contains(body, "Beperk de verwerking") {
		t.Errorf("lifted: %s", body)
	}
	if _, body, _ := v.sees(at+"/verleng", url.Values{"waarom": {"canary-waarom"}}); !strings.Contains(body, "canary-waarom") || strings.Contains(body, "/verleng") {
		t.Errorf("extended: %s", body)
	}
	for _, bad := range []url.Values{{"antwoord": {"goed"}}, {"uitkomst": {"misschien"}, "antwoord": {"goed"}}, {"uitkomst": {"granted"}, "antwoord": {" "}}, {"uitkomst": {"granted"}, "antwoord": {strings.Repeat("é", 4001)}}} {
		if resp, _ := v.send(at+"/antwoord", bad); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, resp.StatusCode)
		}
	}
	s.asked.refuse = errors.New("it was answered already")
	if resp, body := v.send(at+"/antwoord", url.Values{"uitkomst": {"granted"}, "antwoord": {"goed"}}); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "it was answered already") {
		t.Errorf("what the register refuses: %d %s", resp.StatusCode, body)
	}
	s.asked.refuse = nil
	if _, body, _ := v.sees(at+"/antwoord", url.Values{"uitkomst": {"granted"}, "antwoord": {"Wij hebben het\r\nverbeterd."}}); !strings.Contains(body, "Wij hebben het\nverbeterd.") || strings.Contains(body, "/antwoord") {
		t.Errorf("answered: %s", body)
	}
	want := []string{"p1 read BCDF-2340 (inzage, AVG 16, dossier 3)", "p1 recipients BCDF-2340 (inzage, AVG 16, dossier 3)", "p1 restrict BCDF-2340 true", "p1 restrict BCDF-2340 false",
		"p1 extend BCDF-2340 canary-waarom", "p1 answer BCDF-2340 granted Wij hebben het\nverbeterd."}
	if strings.Join(s.asked.steps, "|") != strings.Join(want, "|") {
		t.Errorf("steps: %q", s.asked.steps)
	}
	s.asked.unlogged = errors.New("the journal is away")
	if resp, body, _ := v.sees("/inwoners", why("BCDF-2341")); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "canary") {
		t.Errorf("what could not be recorded: %d", resp.StatusCode)
	}
}

// answeringPages looks at a request in every state.
func (v *visitor) answeringPages(look func(string, int, string)) {
	v.asked.recipients = nil
	for _, q := range v.asked.requests {
		resp, body, at := v.sees("/inwoners", url.Values{"nummer": {q.ID}, "doel": {"inzage"}, "grond": {"AVG 16"}})
		look("request "+q.ID, resp.StatusCode, body)
		v.send(at+"/ontvangers", nil)
		v.get(at + "/voortgang") // ends when the work does
		resp, body = v.get(at)
		look("recipients of "+q.ID, resp.StatusCode, body)
		v.asked.recipients = []console.Recipient{{Name: "Woningstichting", Times: 2, Last: time.Now()}}
		for _, on := range []string{"ja", "nee"} {
			resp, body, _ = v.sees(at+"/beperk", url.Values{"beperk": {on}})
			look("restriction of "+q.ID+" "+on, resp.StatusCode, body)
		}
	}
}
