package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// Answering is what the pages work at on which officers answer residents. What a method gives of one request was first recorded as
// a look, with the errors of Desk.Decision. Each step is a register event in the name of who takes it; the register refuses what
// a role may not do.
type Answering interface {
	// Asked lists what residents asked, the oldest first: numbers, kinds and terms, and not who asked, or what.
	Asked() []AskedLine
	// AnsweringPurposes lists for what somebody may read a request, as the policy in force has it.
	AnsweringPurposes(ctx context.Context, by Person) ([]broker.Term, error)
	// ReadRequest gives one request. ErrNoRequest where there is none with this number.
	ReadRequest(ctx context.Context, by Person, why Ground, id string) (AskedRequest, error)
	// Recipients gives who got data of whom a request is about, the last first: those whom an answer has to reach (AVG 19). That
	// somebody asks for them is recorded like a look. It may have to read the whole log; read is told how many entries it read.
	Recipients(ctx context.Context, by Person, why Ground, id string, read func(entries int)) ([]Recipient, error)
	AnswerRequest(ctx context.Context, by Person, id string, outcome register.Outcome, text string) error
	ExtendRequest(ctx context.Context, by Person, id, why string) error
	// Restrict makes that nothing of whom a request is about is given (AVG 18), or lifts that.
	Restrict(ctx context.Context, by Person, id string, on bool) error
}

// AskedLine is a request in a list.
type AskedLine struct {
	ID       string
	Kind     register.RequestKind
	Made     time.Time
	Due      broker.Date
	Extended bool
	Outcome  register.Outcome // "" while it waits
}

// AskedRequest is a request as an officer reads it.
type AskedRequest struct {
	register.RequestState
	Restricted bool // nothing of whom it is about is given now
}

// Recipient is an agency that got data of somebody.
type Recipient struct {
	Name  string    `json:"name"`
	Data  []string  `json:"data"` // kinds, in words
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
}

// ErrNoRequest tells that there is no request with a number, or no longer.
var ErrNoRequest = mistake{"Er is geen bericht met dit nummer.", "There is no message with this number."}

// askedView is one request on a page of the session that opened it.
type askedView struct {
	AskedRequest
	Key        string
	Title      string
	Last       broker.Date
	Late       bool
	Outcomes   []choice
	Recipients *[]Recipient // nil: not found yet
	Finding    bool         // them
	Work       stepState
}

const askRecipients = "recipients"

// kindOfRequest names a right as officers do.
func (c *call) kindOfRequest(kind register.RequestKind) string {
	switch kind {
	case register.RequestCorrection:
		return c.say("Verbetering (AVG 16)", "Correction (GDPR 16)")
	case register.RequestRestriction:
		return c.say("Beperking (AVG 18)", "Restriction (GDPR 18)")
	case register.RequestObjection:
		return c.say("Bezwaar (AVG 21)", "Objection (GDPR 21)")
	case register.RequestComplaint:
		return c.say("Klacht", "Complaint")
	}
	return string(kind)
}

// KindOfRequest is kindOfRequest for templates.
func (c *call) KindOfRequest(kind register.RequestKind) string { return c.kindOfRequest(kind) }

// outcomeWord says what became of a request in a word.
func (c *call) outcomeWord(o register.Outcome) string {
	switch o {
	case register.OutcomeGranted:
		return c.say("toegewezen", "granted")
	case register.OutcomePartly:
		return c.say("deels toegewezen", "partly granted")
	case register.OutcomeRefused:
		return c.say("afgewezen", "refused")
	}
	return string(o)
}

// OutcomeWord is outcomeWord for templates.
func (c *call) OutcomeWord(o register.Outcome) string { return c.outcomeWord(o) }

// late tells whether the last day to answer is over.
func (k *Console) late(last broker.Date) bool {
	return last.Digits() < k.now().In(broker.Amsterdam()).Format("20060102")
}

// askedRow is a request in the list on the page.
type askedRow struct {
	AskedLine
	Late bool
}

// serveAsked lists what waits, that of which the term ends first on top, and what was answered.
func (k *Console) serveAsked(c *call) error {
	var v struct {
		Why            groundForm
		Open, Answered []askedRow
		Late           int
	}
	for _, l := range k.cfg.Answering.Asked() {
		row := askedRow{l, l.Outcome == "" && k.late(l.Due)}
		if l.Outcome != "" {
			v.Answered = append(v.Answered, row)
			continue
		}
		v.Open = append(v.Open, row)
		if row.Late {
			v.Late++
		}
	}
	slices.SortStableFunc(v.Open, func(a, b askedRow) int { return strings.Compare(a.Due.Digits(), b.Due.Digits()) })
	slices.Reverse(v.Answered)
	purposes, err := k.cfg.Answering.AnsweringPurposes(c.r.Context(), *c.person)
	if err != nil {
		return err
	}
	why, _ := c.ground()
	v.Why = groundForm{why, c.terms(purposes, why.Purpose)}
	return c.render(http.StatusOK, "asked", c.say("Berichten van inwoners", "Messages of residents"), v)
}

// openAsked shows one request. That somebody reads it is recorded first.
func (k *Console) openAsked(c *call) error {
	if _, err := c.tellGround(); err != nil {
		return err
	}
	id := strings.ToUpper(strings.TrimSpace(c.r.PostFormValue("nummer")))
	q, err := looked(c, func(why Ground) (AskedRequest, error) {
		return k.cfg.Answering.ReadRequest(c.r.Context(), *c.person, why, id)
	})
	if err != nil {
		return err
	}
	k.keepLook(c, "/inwoners", askedView{AskedRequest: q})
	return nil
}

// askedOf finds the request of a page of this session.
func (k *Console) askedOf(c *call) (askedView, error) {
	v, ok := shelfGet[askedView](&k.looked, c.mine(c.params.ByName("id")), k.now())
	if !ok {
		return v, errNotFound
	}
	return v, nil
}

func (k *Console) serveOneAsked(c *call) error {
	v, err := k.askedOf(c)
	if err != nil {
		return err
	}
	if j := k.questions.get(c.recipientsKey()); j != nil {
		s := c.await(j, patience)
		v.Finding, v.Work = !s.Done, s.Steps[0]
		switch {
		case errors.Is(v.Work.Err, ErrMayNotLook):
			k.questions.drop(c.recipientsKey())
			return refusal{v.Work.Err}
		case errors.Is(v.Work.Err, ErrNotRecorded):
			k.questions.drop(c.recipientsKey())
			return v.Work.Err
		}
		if list, ok := v.Work.Result.([]Recipient); ok && v.Work.Err == nil {
			v.Recipients = &list
		}
	}
	v.Key, v.Title, v.Last = c.params.ByName("id"), c.kindOfRequest(v.Kind), v.Due()
	v.Late = v.Answer == nil && k.late(v.Last)
	for _, o := range register.Outcomes() {
		v.Outcomes = append(v.Outcomes, choice{string(o), c.outcomeWord(o), false})
	}
	return c.render(http.StatusOK, "askedone", c.say("Bericht ", "Message ")+v.ID, v, link{"/inwoners", c.say("Berichten van inwoners", "Messages of residents"), false})
}

// step does something with the request of a page, and keeps what comes of it on that page.
func (k *Console) step(c *call, do func(v *askedView) error) error {
	v, err := k.askedOf(c)
	if err != nil {
		return err
	}
	if err := do(&v); err != nil {
		return err
	}
	k.looked.put(c.mine(c.params.ByName("id")), v, k.now())
	c.redirect("/inwoners/" + c.params.ByName("id"))
	return nil
}

// words reads what an officer wrote for a resident.
func (c *call) words(name string) (string, error) {
	text := strings.TrimSpace(strings.ReplaceAll(c.r.PostFormValue(name), "\r\n", "\n"))
	if n := utf8.RuneCountInString(text); n == 0 || n > 4000 || !utf8.ValidString(text) {
		return "", mistake{"Schrijf een tekst voor de inwoner, in 1 tot 4000 tekens.", "Write a text for the resident, in 1 to 4000 characters."}
	}
	return text, nil
}

func (k *Console) answerAsked(c *call) error {
	return k.step(c, func(v *askedView) error {
		outcome := register.Outcome(c.r.PostFormValue("uitkomst"))
		if !slices.Contains(register.Outcomes(), outcome) {
			return mistake{"Kies een uitkomst.", "Choose an outcome."}
		}
		text, err := c.words("antwoord")
		if err != nil {
			return err
		}
		if err := k.cfg.Answering.AnswerRequest(c.r.Context(), *c.person, v.ID, outcome, text); err != nil {
			return refusal{err}
		}
		v.Answer = &register.RequestAnswer{Outcome: outcome, Text: text, When: k.now()}
		c.notice("Het antwoord staat op de pagina van de inwoner.", "The answer stands on the resident's page.")
		return nil
	})
}

func (k *Console) extendAsked(c *call) error {
	return k.step(c, func(v *askedView) error {
		why, err := c.words("waarom")
		if err != nil {
			return err
		}
		if err := k.cfg.Answering.ExtendRequest(c.r.Context(), *c.person, v.ID, why); err != nil {
			return refusal{err}
		}
		v.Extended = why
		c.notice("De termijn is verlengd. De inwoner leest op de eigen pagina waarom.", "The term was extended. The resident reads why on their own page.")
		return nil
	})
}

func (k *Console) restrictAsked(c *call) error {
	return k.step(c, func(v *askedView) error {
		on := c.r.PostFormValue("beperk") == "ja"
		if err := k.cfg.Answering.Restrict(c.r.Context(), *c.person, v.ID, on); err != nil {
			return refusal{err}
		}
		if v.Restricted = on; on {
			c.notice("Over deze persoon wordt niets meer gegeven, vanaf het volgende antwoord.", "Nothing of this person is given any more, from the next answer on.")
		} else {
			c.notice("De beperking is opgeheven.", "The restriction was lifted.")
		}
		return nil
	})
}

// recipientsKey names the work of finding whom the outcome of the request on this page has to reach.
func (c *call) recipientsKey() string { return c.mine(c.params.ByName("id")) + "/ontvangers" }

// findRecipients begins to find whom the outcome has to reach. It goes on while nobody looks.
func (k *Console) findRecipients(c *call) error {
	v, err := k.askedOf(c)
	if err != nil {
		return err
	}
	by := *c.person
	_, err = looked(c, func(why Ground) (*job, error) {
		return k.questions.start(c.recipientsKey(), true, []step{{askRecipients, func(ctx context.Context, progress func(int, int)) (any, error) {
			return k.cfg.Answering.Recipients(ctx, by, why, v.ID, func(read int) { progress(read, 0) })
		}}}), nil
	})
	if err != nil {
		return err
	}
	c.redirect("/inwoners/" + c.params.ByName("id") + "#ontvangers")
	return nil
}

// recipientsOf finds that work.
func (k *Console) recipientsOf(c *call) (*job, error) {
	j := k.questions.get(c.recipientsKey())
	if j == nil {
		return nil, errNotFound
	}
	return j, nil
}

func (k *Console) serveRecipientsProgress(c *call) error {
	j, err := k.recipientsOf(c)
	if err != nil {
		return err
	}
	return c.follow(j)
}

func (k *Console) stopRecipients(c *call) error {
	j, err := k.recipientsOf(c)
	if err != nil {
		return err
	}
	j.cancel()
	c.notice("Het zoeken is gestopt.", "The search was stopped.")
	c.redirect("/inwoners/" + c.params.ByName("id"))
	return nil
}
