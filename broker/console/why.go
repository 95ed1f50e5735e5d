package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// What Desk.Decision says where it shows nothing.
var (
	ErrNoDecision  = errors.New("the log has no decision by this id")
	ErrNotRecorded = errors.New("that the decision is looked at could not be recorded")
)

// Decision is a recorded decision: what was asked of the policy, and by which revision it was decided. It names nobody.
type Decision struct {
	Event string // writer and id in the log
	Time  time.Time
	Parts []DecisionPart
}

// DecisionPart is one query of a decision, about one data subject.
type DecisionPart struct {
	Subject  broker.Subject
	Lookup   broker.AgencyKind // may a holder of this kind be sent what it is asked by; "": the query of who asked
	Revision broker.Revision
	Query    broker.Query
}

// whyView is the page that says why a field is given or withheld.
type whyView struct {
	Problem  string // what is missing in the question
	Form     *whyForm
	Decision *Decision
	Parts    []whyPart
}

// whyPart is the explanation of one query.
type whyPart struct {
	About    string // a data subject of a decision; "" for a question that was put together
	Question string // who asks, and what for
	Revision broker.Revision
	Query    broker.Query
	Fields   []whyField
}

// whyField is one field, with the source that decided about it.
type whyField struct {
	workbench.WhyField
	Nearest, Others []workbench.Attempt
	Form            broker.Text // in which it is given
	Lit             []litFile
	revision        broker.Revision
}

// Try is the question of a change, to be asked in turn.
func (f whyField) Try(w workbench.WhyChange) whyExample { return whyExample{f.revision, w.Query} }

// whyExample is a question that leads to this page, filled in.
type whyExample struct {
	Revision broker.Revision
	Query    broker.Query
}

// Example puts a question and the revision that answers it together, for a button.
func (c *call) Example(r broker.Revision, q broker.Query) whyExample { return whyExample{r, q} }

func (k *Console) serveWhy(c *call) error {
	v := whyView{}
	if c.May(http.MethodPost, "/waarom") {
		p := k.cfg.Desk.Policy()
		files, _, err := k.policyOf(c.r.Context(), p.Live)
		if err != nil {
			return err
		}
		catalog, err := k.cfg.Desk.Catalog(files)
		if err != nil {
			return err
		}
		if v.Form, err = k.whyForm(c, p.Live, catalog, commonQuestion(catalog)); err != nil {
			return err
		}
	}
	return c.render(http.StatusOK, "why", c.say("Waarom?", "Why?"), v)
}

// askWhy explains a question that was put together, or changes the list it is put together from.
func (k *Console) askWhy(c *call) error {
	r := broker.Revision(c.r.PostFormValue("revisie"))
	files, draft, err := k.policyOf(c.r.Context(), r)
	if errors.Is(err, errNotFound) {
		return mistake{"Deze revisie is er niet, of het ontwerp is intussen gewijzigd. Kies een andere.", "This revision is not there, or the draft changed meanwhile. Choose another."}
	}
	if err != nil {
		return err
	}
	catalog, err := k.cfg.Desk.Catalog(files)
	if err != nil { // of a draft halfway
		return mistake{"De lijsten van deze revisie kunnen niet worden gelezen. Toets het ontwerp; daar staat wat eraan mankeert.",
			"The lists of this revision can't be read. Check the draft; it says there what is wrong."}
	}
	q, err := c.question()
	if err != nil {
		return err
	}
	q, unknown := within(catalog, q)
	v := whyView{}
	if v.Form, err = k.whyForm(c, r, catalog, q); err != nil {
		return err
	}
	status := http.StatusOK
	switch {
	case len(unknown) > 0 && c.r.PostFormValue("actie") != "kies":
		v.Problem = c.say("Deze revisie kent deze woorden niet; ze zijn weggelaten: ", "This revision does not know these words; they were left out: ") + strings.Join(unknown, ", ")
		status = http.StatusBadRequest
	case c.r.PostFormValue("actie") == "kies":
	case q.Role == "" || q.Purpose == "" || len(q.Fields) == 0:
		v.Problem = c.say("Kies een rol, een doel en ten minste één veld.", "Choose a role, a purpose and at least one field.")
		status = http.StatusBadRequest
	default:
		part, err := k.explain(c, files, draft, q)
		if err != nil && c.r.Context().Err() == nil {
			v.Problem, status = c.say("Deze revisie kan de vraag niet beantwoorden: ", "This revision can't answer the question: ")+err.Error(), http.StatusBadRequest
			break
		}
		if err != nil {
			return err
		}
		v.Parts = []whyPart{part}
	}
	return c.render(status, "why", c.say("Waarom?", "Why?"), v)
}

// answerID is the id of an answer: a UUIDv7 (RFC 9562).
var answerID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// showDecision explains a recorded decision. That somebody looks is recorded before anything is shown.
func (k *Console) showDecision(c *call) error {
	id := strings.ToLower(strings.TrimSpace(c.r.PostFormValue("besluit")))
	if !answerID.MatchString(id) {
		return mistake{"Dit is geen kenmerk van een antwoord. Het staat als `id` in het antwoord en ziet eruit als 0193a2b4-0000-7000-8000-000000000000.",
			"This is no id of an answer. It stands in the answer as `id` and looks like 0193a2b4-0000-7000-8000-000000000000."}
	}
	d, err := k.cfg.Desk.Decision(c.r.Context(), *c.person, broker.RequestID(id))
	if errors.Is(err, ErrNoDecision) {
		return mistake{"Dit besluit staat niet in het logboek van deze Schakel.", "This decision is not in the log of this Schakel."}
	}
	if err != nil {
		return err
	}
	v := whyView{Decision: &d}
	for _, p := range d.Parts {
		files, draft, err := k.policyOf(c.r.Context(), p.Revision)
		if err != nil {
			return fmt.Errorf("read revision %.12s of a recorded decision: %w", p.Revision, err)
		}
		part, err := k.explain(c, files, draft, p.Query)
		if err != nil {
			return err
		}
		part.About = c.about(p)
		v.Parts = append(v.Parts, part)
	}
	return c.render(http.StatusOK, "why", c.say("Waarom?", "Why?"), v)
}

// about names the data subject of a part, as the answer did.
func (c *call) about(p DecisionPart) string {
	text := c.say("Over het huishouden", "About the household")
	if p.Subject != broker.Household {
		text = c.say("Over persoon ", "About person ") + string(p.Subject)
	}
	if p.Lookup != "" {
		text += c.say(": mag een houder weten over wie het gaat? ", ": may a holder know whom it is about? ") + "(" + string(p.Lookup) + ")"
	}
	return text
}

// explain asks the workbench, and finds the lines to light.
func (k *Console) explain(c *call, files map[string][]byte, draft *draft, q broker.Query) (whyPart, error) {
	report, err := workbench.Why(c.r.Context(), files, q)
	if err != nil {
		return whyPart{}, err
	}
	catalog, err := k.cfg.Desk.Catalog(files)
	if err != nil {
		return whyPart{}, err
	}
	role, _ := termText(catalog.Roles, string(q.Role))
	purpose, _ := termText(catalog.Purposes, string(q.Purpose))
	part := whyPart{Revision: report.Revision, Query: report.Query, Question: c.Text(role) + ", " + c.Text(purpose)}
	lit := highlighter{files: files, link: c.linkTo(report.Revision, draft), lines: map[string][][]span{}}
	for _, w := range report.Fields {
		f := whyField{WhyField: w, revision: report.Revision}
		if w.Grant != nil {
			f.Form, _ = termText(catalog.Forms, string(w.Grant.Form))
		}
		f.Nearest, f.Others = nearest(w)
		f.Lit = lit.of(f.Nearest)
		part.Fields = append(part.Fields, f)
	}
	return part, nil
}

// nearest are the rules that gave a field or, where it is withheld, those that came nearest to it; others are the rest.
func nearest(w workbench.WhyField) (near, others []workbench.Attempt) {
	for _, a := range w.Attempts {
		if a.Holds || (w.Grant == nil && len(a.Failed) == len(w.Attempts[0].Failed)) {
			near = append(near, a)
		} else {
			others = append(others, a)
		}
	}
	return near, others
}

// policyOf finds the files of a revision: one that the register knows or, by its content, a draft of this console, which is
// given too.
func (k *Console) policyOf(ctx context.Context, r broker.Revision) (map[string][]byte, *draft, error) {
	if slices.Contains(revisions(k.cfg.Desk.Policy()), r) {
		files, err := k.cfg.Desk.Files(ctx, r)
		return files, nil, err
	}
	list, err := k.drafts.list()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range list {
		base, err := k.cfg.Desk.Files(ctx, d.Base)
		if err != nil {
			return nil, nil, err
		}
		if files := d.over(base); revisionOf(files) == r {
			return files, d, nil
		}
	}
	return nil, nil, errNotFound
}

// revisions are all that the register knows, the last first.
func revisions(p register.Policy) []broker.Revision {
	var out []broker.Revision
	add := func(r broker.Revision) {
		if r != "" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, a := range slices.Backward(p.History) {
		add(a.Revision)
	}
	for _, d := range slices.Backward(p.Drafts) {
		add(d.Revision)
	}
	return out
}

// linkTo gives the address of a line of a file of a revision; "" where the reader may not see files.
func (c *call) linkTo(r broker.Revision, d *draft) func(path string, lit []int) string {
	return func(path string, lit []int) string {
		if !c.May(http.MethodGet, "/beleid/bestand") || len(lit) == 0 {
			return ""
		}
		at := fmt.Sprintf("#r%d", lit[0])
		if d != nil {
			return "/ontwerpen/" + d.ID + "/bestand?pad=" + url.QueryEscape(path) + at
		}
		return "/beleid/bestand?pad=" + url.QueryEscape(path) + "&revisie=" + string(r) + "&regels=" + joined(lit) + at
	}
}

func joined(numbers []int) string {
	var b strings.Builder
	for i, n := range numbers {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}

// Condition names a line of a rule: what it is called, or its own words.
func (c *call) Condition(w workbench.WhyCondition) string {
	switch {
	case w.Title == (broker.Text{}):
		return c.say("deze voorwaarde", "this condition")
	case w.Not:
		return c.say("mag niet gelden: ", "must not hold: ") + c.Text(w.Title)
	}
	return c.Text(w.Title)
}

// question reads what a form asks: as JSON, from a button, or put together.
func (c *call) question() (q broker.Query, err error) {
	if text := c.r.PostFormValue("vraag"); text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return q, mistake{"Deze vraag kan niet worden gelezen.", "This question can't be read."}
		}
		return q.Canonical(), nil
	}
	_ = c.r.PostFormValue("") // parses
	f := c.r.PostForm
	yes := func(name string) bool { return f.Get(name) == "ja" }
	q = broker.Query{V: broker.QueryVersion, Role: broker.Role(f.Get("rol")), Purpose: broker.Purpose(f.Get("doel")),
		Agency: broker.QueryAgency{Kind: broker.AgencyKind(f.Get("soort")), Mandates: words[broker.Mandate](f["mandaat"])},
		Relation: broker.Relation{Case: broker.CaseRelation(f.Get("zaak")), Municipality: broker.Municipality(f.Get("gemeente")),
			Coordinator: yes("regisseur"), Signal: yes("signaal"), Claim: yes("vordering")},
		Subject: broker.QuerySubject{Kind: broker.SubjectKind(f.Get("over")), Age: broker.AgeBand(f.Get("leeftijd")), DisclosureRestricted: yes("beperkt"),
			Consent: words[broker.Domain](f["toestemming"]), Release: words[broker.Domain](f["instemming"])},
		Agreements: words[broker.Domain](f["afspraak"]),
		Emergency:  broker.QueryEmergency{Active: yes("nood"), Domains: words[broker.Domain](f["noodakkoord"])},
		Fields:     words[broker.Field](f["veld"])}
	return q.Canonical(), nil
}

func words[T ~string](list []string) []T {
	out := make([]T, 0, len(list))
	for _, w := range list {
		out = append(out, T(w))
	}
	return out
}
