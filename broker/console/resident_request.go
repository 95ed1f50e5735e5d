package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// requestForm is the form that a resident asks or reports something with.
type requestForm struct {
	contact
	Kinds      []requestKind
	Represents []register.Representation
	For        string // number of the representation; "" for themselves
	Act        int    // of the kept report, from 1; 0 for none in particular
	Recipient  string // who asked, in that act
	When       time.Time
	Text       string
	NoKind     bool // what is missing
	NoText     bool
}

// requestKind is one choice of the form.
type requestKind struct {
	ID          register.RequestKind
	Title, More string
	Chosen      bool
}

// requestKinds names what a resident can ask, and what each comes to.
func (c *call) requestKinds(chosen register.RequestKind) []requestKind {
	list := []requestKind{
		{register.RequestCorrection, c.say("Er klopt iets niet", "Something is not right"),
			c.say("U wilt dat wij het verbeteren. Bijvoorbeeld: een opvraging die niet over u gaat.", "You want us to correct it. For example: a request that is not about you."), false},
		{register.RequestRestriction, c.say("Deel mijn gegevens nu even niet", "Do not share my data for now"),
			c.say("U wilt dat organisaties voorlopig niets over u krijgen. Bijvoorbeeld zolang wij iets uitzoeken.", "You want organisations to get nothing about you for the time being. For example while we look into something."), false},
		{register.RequestObjection, c.say("Ik maak bezwaar", "I object"),
			c.say("U bent het er niet mee eens dat een organisatie uw gegevens krijgt.", "You do not agree that an organisation gets your data."), false},
		{register.RequestComplaint, c.say("Ik heb een klacht", "I have a complaint"),
			c.say("U bent niet tevreden over hoe er met uw gegevens is omgegaan.", "You are not satisfied with how your data was dealt with."), false},
	}
	for i := range list {
		list[i].Chosen = list[i].ID == chosen
	}
	return list
}

// serveRequest gives the form, empty, or about one act of the report that this session has.
func (k *Residents) serveRequest(c *call) error {
	f := requestForm{Act: number(c.r.URL.Query().Get("opvraging"))}
	if r, ok := k.found(c); ok && f.Act > 0 && r.about != c.person.bsn {
		for _, p := range k.cfg.Desk.Represents(c.person.bsn) {
			if p.About == r.about {
				f.For = p.ID
			}
		}
	}
	return k.renderRequest(c, http.StatusOK, "", f)
}

func (k *Residents) renderRequest(c *call, status int, kind register.RequestKind, f requestForm) error {
	f.contact, f.Kinds, f.Represents = k.contact(), c.requestKinds(kind), k.cfg.Desk.Represents(c.person.bsn)
	if r, ok := k.found(c); ok && f.Act > 0 && f.Act <= len(r.Dutch.Acts) {
		f.Recipient, f.When = r.Dutch.Acts[f.Act-1].RecipientName, r.Dutch.Acts[f.Act-1].Time
	} else {
		f.Act = 0
	}
	return c.render(status, "request", c.say("Vraag of meld iets", "Ask or report something"), f)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// makeRequest records what a resident asks. What is missing is said at its place, and nothing that was filled in is lost.
func (k *Residents) makeRequest(c *call) error {
	about, err := k.chosen(c)
	if err != nil {
		return err
	}
	q := register.ResidentRequest{ID: register.ResidentNumber(), About: about, Kind: register.RequestKind(c.r.PostFormValue("soort")),
		Text: strings.TrimSpace(strings.ReplaceAll(c.r.PostFormValue("tekst"), "\r\n", "\n"))}
	if about != c.person.bsn {
		q.By = c.person.bsn
	}
	f := requestForm{For: c.r.PostFormValue("over"), Act: number(c.r.PostFormValue("opvraging")), Text: q.Text}
	f.NoKind = !slices.Contains(register.RequestKinds(), q.Kind)
	f.NoText = q.Text == "" || !utf8.ValidString(q.Text) || utf8.RuneCountInString(q.Text) > 4000
	if f.NoKind || f.NoText {
		return k.renderRequest(c, http.StatusBadRequest, q.Kind, f)
	}
	if r, ok := k.found(c); ok && r.about == about && f.Act > 0 && f.Act <= len(r.Dutch.Acts) {
		q.Event = r.Dutch.Acts[f.Act-1].Event.String()
	}
	if err := k.cfg.Desk.Ask(c.r.Context(), q); err != nil {
		return err
	}
	due := c.OnDay(register.RequestState{ResidentRequest: q, Made: k.now()}.Due())
	c.notice("Wij hebben uw bericht gekregen. Het nummer is "+q.ID+". U krijgt uiterlijk "+due+" antwoord.",
		"We received your message. Its number is "+q.ID+". You get an answer by "+due+" at the latest.")
	c.redirect("/verzoeken")
	return nil
}

// shownRequest is a request as the page shows it.
type shownRequest struct {
	register.RequestState
	Title string
	For   string // the name of who it is about; "" for the reader
	Last  broker.Date
	Late  bool
}

// serveRequests lists what the reader asked, for themselves or for whom they represent today, and what others asked for them.
func (k *Residents) serveRequests(c *call) error {
	v := struct {
		contact
		Restricted bool
		Requests   []shownRequest
	}{k.contact(), k.cfg.Desk.Restricted(c.person.bsn), nil}
	represents := k.cfg.Desk.Represents(c.person.bsn)
	for _, q := range slices.Backward(k.cfg.Desk.Requests(c.person.bsn)) {
		s := shownRequest{RequestState: q, Title: c.kindTitle(q.Kind), Last: q.Due()}
		if q.About != c.person.bsn {
			i := slices.IndexFunc(represents, func(r register.Representation) bool { return r.About == q.About })
			if i < 0 {
				continue
			}
			s.For = represents[i].Name
		}
		now := k.now().In(broker.Amsterdam())
		s.Late = q.Answer == nil && s.Last.Digits() < now.Format("20060102")
		v.Requests = append(v.Requests, s)
	}
	return c.render(http.StatusOK, "requests", c.say("Mijn berichten", "My messages"), v)
}

func (c *call) kindTitle(kind register.RequestKind) string {
	for _, k := range c.requestKinds("") {
		if k.ID == kind {
			return k.Title
		}
	}
	return string(kind)
}

// OutcomeName says what became of a request.
func (c *call) OutcomeName(o register.Outcome) string {
	switch o {
	case register.OutcomeGranted:
		return c.say("Wij doen wat u vraagt.", "We do what you ask.")
	case register.OutcomePartly:
		return c.say("Wij doen een deel van wat u vraagt.", "We do part of what you ask.")
	case register.OutcomeRefused:
		return c.say("Wij doen niet wat u vraagt.", "We do not do what you ask.")
	}
	return string(o)
}

// OnDay writes a calendar day in words.
func (c *call) OnDay(d broker.Date) string {
	at := time.Date(d.Year, time.Month(d.Month), d.Day, 12, 0, 0, 0, broker.Amsterdam())
	day, _, _ := strings.Cut(c.When(at), ",")
	return day
}
