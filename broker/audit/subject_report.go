package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// NotNamed is said in every report, whether there is something that is not named or not (AVG 23, UAVG 41).
const NotNamed = "De wet laat soms toe dat wij een opvraging niet noemen (AVG artikel 23, UAVG artikel 41). Deze zin staat in elk " +
	"overzicht, ook als er niets is dat wij niet noemen. De functionaris gegevensbescherming kan het voor u nakijken."

// NotNamedEnglish is NotNamed for a report in English.
const NotNamedEnglish = "The law sometimes permits us not to name a request (GDPR article 23, UAVG article 41). This sentence stands in every " +
	"overview, also when there is nothing that we do not name. The data protection officer can check it for you."

// SubjectReport is what a data subject is told of who asked for their data (AVG 15): what was given, never the values.
type SubjectReport struct {
	Made        time.Time    `json:"gemaaktOp"`
	Since       *time.Time   `json:"vanaf,omitempty"` // included; none is the begin of the log
	Until       *time.Time   `json:"tot,omitempty"`   // not included
	Acts        []SubjectAct `json:"verwerkingsacties"`
	Unreadable  int          `json:"onleesbaar"` // events that can't be read: whether they are about this person isn't known
	NotNamed    string       `json:"nietGenoemd"`
	ProvedUntil *time.Time   `json:"bewezenTot,omitempty"` // up to then a file proves that all is there that must be named; none without one
}

// SubjectAct is one disclosure, or refusal, about a data subject, in the words of VNG's standard for logging processing
// (Verwerkingenlogging, inzage), with what that standard does not have: what was withheld, and who was asked.
type SubjectAct struct {
	Event           broker.Hash    `json:"actieId"` // the hash of the event, which the log and the agency's receipt have
	Name            string         `json:"actieNaam"`
	Time            time.Time      `json:"tijdstip"`
	Confidentiality string         `json:"vertrouwelijkheid"`
	Retention       *string        `json:"bewaartermijn"` // ISO 8601; null: the policy does not say
	RecipientType   string         `json:"soortAfnemerId"`
	Recipient       broker.OIN     `json:"afnemerId"`
	RecipientName   string         `json:"afnemerNaam"`
	Role            string         `json:"rol"`
	Worker          string         `json:"gebruiker,omitempty"` // only where an officer decided so
	Purpose         string         `json:"doel"`
	Given           []GivenData    `json:"verwerkteSoortenGegevens"`
	Withheld        []WithheldData `json:"nietVerstrekt"`
	Asked           []AskedAgency  `json:"bevraagd"`
	State           ActState       `json:"toestand,omitempty"` // why it does not say what was given; "" where it does
}

// ActState says why a report does not tell what was given in an act.
type ActState string

// Closed list of ActState.
const (
	ActErased     ActState = "gewist"     // it was erased after its term; that there was an act, stays
	ActUnreadable ActState = "onleesbaar" // it was altered, or its policy can't be read
)

// GivenData is one kind of data that was given.
type GivenData struct {
	Data      string `json:"soortGegeven"`
	Form      string `json:"vorm"`
	Basis     string `json:"grondslag"`
	Household bool   `json:"huishouden"` // about the household as a whole
	Exact     bool   `json:"-"`          // as it is, and not in a limited form
}

// WithheldData is one kind of data that was asked for and not given. Reasons are as the agency was told them.
type WithheldData struct {
	Data      string   `json:"soortGegeven"`
	Reasons   []string `json:"redenen"`
	Household bool     `json:"huishouden"`
}

// AskedAgency is an agency that was asked for data.
type AskedAgency struct {
	OIN  broker.OIN `json:"oin"`
	Name string     `json:"naam"`
}

// Words gives the words that a report is written in.
type Words struct {
	Catalog func(broker.Revision) *broker.Catalog // of the policy that decided; nil where it isn't known
	Agency  func(broker.OIN) string               // the name of an agency; "" where it isn't known
	Staff   bool                                  // name members of staff
	English bool                                  // instead of Dutch
	Term    func(broker.Purpose) string           // for how long it may be read, ISO 8601; "" where the policy does not say; may be nil
}

// in gives a text in the language of the report.
func (w Words) in(nl, en string) string {
	if w.English {
		return en
	}
	return nl
}

// Act puts an event in words.
func (w Words) Act(e SubjectEvent) SubjectAct {
	c := w.Catalog(e.Revision)
	if c == nil {
		c = &broker.Catalog{}
	}
	a := SubjectAct{Event: e.Hash, Name: w.in("Gegevens opgevraagd", "Data asked for"), Time: e.Time, Confidentiality: "normaal", RecipientType: "OIN",
		Given: []GivenData{}, Withheld: []WithheldData{}, Asked: []AskedAgency{}}
	switch e.State {
	case PartErased:
		a.State = ActErased
	case PartDamaged, PartClosed:
		a.State = ActUnreadable
	}
	if s := e.Staff; s != nil {
		a.Recipient, a.Purpose, a.Role = s.Agency, w.term(c.Purposes, string(s.Purpose)), w.term(c.Roles, string(s.Role))
		if w.Staff {
			a.Worker = string(s.Worker)
		}
	}
	if p := e.Part; p != nil {
		if w.Term != nil {
			if term := w.Term(p.Purpose); term != "" {
				a.Retention = &term
			}
		}
		a.Recipient, a.Purpose = p.Agency, w.term(c.Purposes, string(p.Purpose))
		for _, g := range p.Released {
			a.Given = append(a.Given, GivenData{w.label(c, g.Field), w.term(c.Forms, string(g.Form)), w.term(c.Bases, string(g.Basis)), g.Subject == broker.Household, g.Form == broker.FormExact})
		}
		for _, h := range p.Withheld {
			d := WithheldData{Data: w.label(c, h.Field), Household: h.Subject == broker.Household}
			for _, r := range h.Reasons {
				d.Reasons = append(d.Reasons, w.term(c.Reasons, string(r)))
			}
			a.Withheld = append(a.Withheld, d)
		}
		for _, q := range p.Asked {
			asked := AskedAgency{q.Holder, cmp.Or(w.Agency(q.Holder), string(q.Holder))}
			if !slices.Contains(a.Asked, asked) {
				a.Asked = append(a.Asked, asked)
			}
		}
		if len(p.Released) == 0 {
			a.Name = w.in("Gegevens opgevraagd en niet gekregen", "Data asked for and not received")
		}
	}
	a.RecipientName = cmp.Or(w.Agency(a.Recipient), string(a.Recipient))
	return a
}

func (w Words) term(list []broker.Term, id string) string {
	if i := slices.IndexFunc(list, func(t broker.Term) bool { return t.ID == id }); i >= 0 {
		return cmp.Or(w.in(list[i].Text.NL, list[i].Text.EN), id)
	}
	return id
}

func (w Words) label(c *broker.Catalog, path broker.Field) string {
	if f, ok := c.Field(path); ok {
		return cmp.Or(w.in(f.Label.NL, f.Label.EN), string(path))
	}
	for _, k := range c.Companions {
		if k.Path == path {
			return cmp.Or(w.in(k.Label.NL, k.Label.EN), string(path))
		}
	}
	return string(path)
}

// Text gives the report to read and to print, in plain Dutch; the newest comes first.
func (r SubjectReport) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Wie vroeg uw gegevens op?\n")
	line("Dit overzicht is gemaakt op %s.", inWords(r.Made))
	switch {
	case r.Since != nil && r.Until != nil:
		line("Het gaat over de tijd van %s tot %s.", inWords(*r.Since), inWords(*r.Until))
	case r.Since != nil:
		line("Het gaat over de tijd vanaf %s.", inWords(*r.Since))
	case r.Until != nil:
		line("Het gaat over de tijd tot %s.", inWords(*r.Until))
	}
	switch len(r.Acts) {
	case 0:
		line("In dit overzicht staan geen opvragingen van uw gegevens.")
	case 1:
		line("In dit overzicht staat één opvraging van uw gegevens. U leest welke organisatie dat deed, waarom, en wat zij kreeg.")
	default:
		line("In dit overzicht staan %d opvragingen van uw gegevens. U leest welke organisatie dat deed, waarom, en wat zij kreeg.", len(r.Acts))
	}
	line("De gegevens zelf staan hier niet in.")
	for _, a := range r.Acts {
		a.write(line)
	}
	line("\nGoed om te weten\n")
	if r.ProvedUntil != nil {
		line("Bij dit overzicht hoort een bestand. Daarmee kunt u nagaan, of laten nagaan, dat tot %s alles erin staat wat wij u moeten noemen.\n"+
			"Bewaar dat bestand goed en geef het niet zomaar weg: wie het heeft, kan uw burgerservicenummer erbij zoeken.\n", inWords(*r.ProvedUntil))
	}
	if r.Unreadable > 0 {
		line("Let op: %d regels van ons logboek kunnen wij niet lezen. Misschien gaan ze ook over u. Vraag ons wat wij daaraan doen.\n", r.Unreadable)
	}
	line("%s\n", NotNamed)
	line("Klopt er iets niet? U mag vragen om verbetering, en u mag bezwaar maken (AVG artikel 16, 18 en 21).\n" +
		"U kunt ook een klacht indienen bij de Autoriteit Persoonsgegevens. Noem dan het nummer van de opvraging.")
	return b.String()
}

func (a SubjectAct) write(line func(string, ...any)) {
	line("\n%s\n%s", inWords(a.Time), cmp.Or(a.RecipientName, "Een organisatie die wij niet meer kunnen noemen"))
	if a.Role != "" {
		line("  Functie van wie het vroeg: %s", a.Role)
	}
	if a.Worker != "" {
		line("  Medewerker: %s", a.Worker)
	}
	if a.Purpose != "" {
		line("  Waarvoor: %s", a.Purpose)
	}
	switch {
	case a.State == ActUnreadable:
		line("  Wat er is gevraagd, kunnen wij niet lezen. Vraag ons wat wij daaraan doen.")
	case a.State == ActErased:
		line("  Wat er is gevraagd, hebben wij gewist, omdat de bewaartijd voorbij is.")
	case len(a.Given) == 0:
		line("  Gekregen: niets")
	}
	said := ""
	for _, g := range a.Given {
		if title := "  Gekregen, volgens " + g.Basis + ":"; title != said {
			said = title
			line("%s", title)
		}
		line("    - %s%s: %s", g.Data, ofHousehold(g.Household), lowerFirst(g.Form))
	}
	for _, h := range a.Withheld {
		if title := "  Niet gekregen. De organisatie kreeg als antwoord: \"" + strings.Join(h.Reasons, " ") + "\""; title != said {
			said = title
			line("%s", title)
		}
		line("    - %s%s", h.Data, ofHousehold(h.Household))
	}
	if len(a.Asked) > 0 {
		names := make([]string, len(a.Asked))
		for i, q := range a.Asked {
			names[i] = q.Name
		}
		line("  Deze organisaties gaven de gegevens, of werden erom gevraagd: %s", strings.Join(names, "; "))
	}
	line("  Nummer: %s", a.Event)
}

func ofHousehold(household bool) string {
	if household {
		return " van uw huishouden"
	}
	return ""
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// inWords gives a moment as it is said in Dutch, by the clock of Amsterdam.
func inWords(t time.Time) string {
	months := []string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"}
	t = t.In(broker.Amsterdam())
	return strconv.Itoa(t.Day()) + " " + months[t.Month()-1] + t.Format(" 2006, 15.04 uur")
}
