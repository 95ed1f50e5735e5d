package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	ErrMayNotLook  = errors.New("who asks may not look at recorded decisions")
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
	Work     stepState // of an explanation
	At       string    // its address, while it is being found out
}

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

// askQuestion explains a question that was put together, or changes the list it is put together from.
func (k *Console) askQuestion(c *call) error {
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
	v, status := whyView{}, http.StatusBadRequest
	switch {
	case c.r.PostFormValue("actie") == "kies":
		status = http.StatusOK
	case len(unknown) > 0:
		v.Problem = c.say("Deze revisie kent deze woorden niet; ze zijn weggelaten: ", "This revision does not know these words; they were left out: ") + strings.Join(unknown, ", ")
	case q.Role == "" || q.Purpose == "" || len(q.Fields) == 0:
		v.Problem = c.say("Kies een rol, een doel en ten minste één veld.", "Choose a role, a purpose and at least one field.")
	default:
		k.startWhy(c, &answered{parts: []answeredPart{{DecisionPart: DecisionPart{Revision: r, Query: q}, files: files, draft: draft}}})
		return nil
	}
	if v.Form, err = k.whyForm(c, r, catalog, q); err != nil {
		return err
	}
	return c.render(status, "why", c.say("Waarom?", "Why?"), v)
}

// answerID is the id of an answer: a UUIDv7 (RFC 9562).
var answerID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// lookUp explains a recorded decision. That somebody looks is recorded before anything is shown.
func (k *Console) lookUp(c *call) error {
	id := strings.ToLower(strings.TrimSpace(c.r.PostFormValue("besluit")))
	if !answerID.MatchString(id) {
		return mistake{"Dit is geen kenmerk van een antwoord. Het staat als id in het antwoord en ziet eruit als 0193a2b4-0000-7000-8000-000000000000.",
			"This is no id of an answer. It stands in the answer as id and looks like 0193a2b4-0000-7000-8000-000000000000."}
	}
	d, err := k.cfg.Desk.Decision(c.r.Context(), *c.person, broker.RequestID(id))
	switch {
	case errors.Is(err, ErrNoDecision):
		return mistake{"Dit besluit staat niet in het logboek van deze Schakel.", "This decision is not in the log of this Schakel."}
	case errors.Is(err, ErrMayNotLook):
		return refusal{err}
	case err != nil:
		return err
	}
	a := &answered{decision: &d}
	for _, p := range d.Parts {
		files, draft, err := k.policyOf(c.r.Context(), p.Revision)
		if err != nil {
			return fmt.Errorf("read revision %.12s of a recorded decision: %w", p.Revision, err)
		}
		a.parts = append(a.parts, answeredPart{DecisionPart: p, files: files, draft: draft})
	}
	k.startWhy(c, a)
	return nil
}

// answered is an explanation: of a decision, or of a question that was put together.
type answered struct {
	decision *Decision // nil: of a question
	parts    []answeredPart
}

type answeredPart struct {
	DecisionPart
	files  map[string][]byte
	draft  *draft
	report workbench.WhyReport
}

// explainAtOnce is how many fields are explained between two signs of progress: about a second.
const explainAtOnce = 6

// explain asks the workbench about every part.
func (a *answered) explain(ctx context.Context, progress func(done, total int)) (any, error) {
	done, total := 0, 0
	for _, p := range a.parts {
		total += len(p.Query.Fields)
	}
	for i := range a.parts {
		p := &a.parts[i]
		p.report = workbench.WhyReport{Revision: p.Revision, Query: p.Query}
		for some := range slices.Chunk(p.Query.Fields, explainAtOnce) {
			q := p.Query
			q.Fields = some
			r, err := workbench.Why(ctx, p.files, q)
			if err != nil {
				return nil, err
			}
			p.report.Fields = append(p.report.Fields, r.Fields...)
			done += len(some)
			progress(done, total)
		}
	}
	return a, nil
}

// whyKey names an explanation. It is there for the session that asked: of a decision no other view was recorded.
func (c *call) whyKey(id string) string { return c.formToken() + "/" + id }

func (k *Console) startWhy(c *call, a *answered) {
	id := random()
	k.questions.start(c.whyKey(id), false, []step{{askWhy, a.explain}})
	c.redirect("/waarom/" + id)
}

// patience is how long a page waits for an explanation before it shows how far that is.
const patience = 2 * time.Second

// showWhy shows an explanation, or how far it is.
func (k *Console) showWhy(c *call) error {
	id := c.params.ByName("id")
	j := k.questions.get(c.whyKey(id))
	if j == nil {
		return errNotFound
	}
	s := c.await(j, patience)
	v := whyView{Work: s.result(askWhy)}
	a, _ := v.Work.Result.(*answered)
	if !s.Done {
		v.At = "/waarom/" + id
	}
	if a != nil && v.Work.Err == nil {
		v.Decision = a.decision
		for _, p := range a.parts {
			about := ""
			if a.decision != nil {
				about = c.about(p.DecisionPart)
			}
			part, err := k.shown(c, p, about)
			if err != nil {
				return err
			}
			if a.decision == nil {
				if v.Form, err = k.whyFormOf(c, p); err != nil {
					return err
				}
			}
			v.Parts = append(v.Parts, part)
		}
	}
	return c.render(http.StatusOK, "why", c.say("Waarom?", "Why?"), v)
}

// whyFormOf fills the form in with a question that was explained, to ask another like it.
func (k *Console) whyFormOf(c *call, p answeredPart) (*whyForm, error) {
	catalog, err := k.cfg.Desk.Catalog(p.files)
	if err != nil {
		return nil, err
	}
	return k.whyForm(c, p.Revision, catalog, p.Query)
}

// serveWhyProgress tells how far an explanation is.
func (k *Console) serveWhyProgress(c *call) error {
	j := k.questions.get(c.whyKey(c.params.ByName("id")))
	if j == nil {
		return errNotFound
	}
	return c.follow(j)
}

// await waits until work is done, or for as long as it is said.
func (c *call) await(j *job, long time.Duration) state {
	end := time.NewTimer(long)
	defer end.Stop()
	for {
		s, changed := j.now()
		if s.Done {
			return s
		}
		select {
		case <-changed:
		case <-end.C:
			return s
		case <-c.r.Context().Done():
			return s
		}
	}
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
