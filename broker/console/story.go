package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

// The questions that a draft is asked, in the order of the page.
const (
	askCheck  = "check"
	askTests  = "tests"
	askTurns  = "turns"
	askDiffer = "difference"
	askGuards = "guardrails"
	askImpact = "impact"
	askWhy    = "why"
)

// window is how far back recorded requests are decided again.
const window = 90 * 24 * time.Hour

// story is what is known of a draft: the answers there are, and how far the work on the others is.
type story struct {
	state
	Began   bool
	Started time.Time
}

// key names the work on a draft: another text, or another base, is other work.
func key(base, draft broker.Revision) string { return string(base) + "/" + string(draft) }

// story finds the work on a draft.
func (k *Console) story(base, draft broker.Revision) *story {
	j := k.jobs.get(key(base, draft))
	if j == nil {
		return &story{}
	}
	s, _ := j.now()
	return &story{state: s, Began: true, Started: j.started}
}

// steps is the work: every question, the quick ones first.
func (k *Console) steps(base, files map[string][]byte) []step {
	now := k.cfg.Now() // before the rest: whatever was under way then is recorded when the impact reads, and for whoever repeats it
	suite := sync.OnceValues(func() (*workbench.Suite, error) { return workbench.NewSuite(files) })
	var checked workbench.CheckReport
	all := []step{
		{askCheck, func(context.Context, func(int, int)) (any, error) {
			go func() { _, _ = suite() }() // the other core compiles what is asked for next
			checked = workbench.Check(files)
			return &checked, nil
		}},
		{askTests, func(ctx context.Context, _ func(int, int)) (any, error) {
			tests, err := suite()
			if err != nil {
				return nil, err
			}
			r, err := tests.Test(ctx)
			return &r, err
		}},
		{askTurns, func(ctx context.Context, _ func(int, int)) (any, error) {
			tests, err := suite()
			if err != nil {
				return nil, err
			}
			r, err := tests.Mutate(ctx)
			return &r, err
		}},
		{askDiffer, func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := k.explorer.Telling(progress).Difference(ctx, base, files)
			return &r, err
		}},
		{askGuards, func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := k.explorer.Telling(progress).Guardrails(ctx, files)
			return &r, err
		}},
		{askMatrix, func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := k.explorer.Telling(progress).Matrix(ctx, files)
			return &r, err
		}},
		{askImpact, func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := workbench.Impact(ctx, workbench.ImpactConfig{Base: base, Draft: files, Since: now.Add(-window), Until: now,
				Requests: k.cfg.Desk.Requests(ctx, now.Add(-window), now),
				Progress: func(p workbench.ImpactProgress) { progress(p.Decided, p.Queries) }})
			return &r, err
		}},
	}
	for i, s := range all {
		all[i].do = func(ctx context.Context, progress func(int, int)) (any, error) {
			r, err := s.do(ctx, progress)
			if err != nil && ctx.Err() == nil && !checked.OK() { // what the compiler says of it stands there, with what to do
				err = fmt.Errorf("%w: %w", broker.Told("Dit kan pas als bij ‘Klopt het?’ geen meldingen meer staan.", "This can be answered once ‘Is it correct?’ has no findings left."), err)
			}
			return r, err
		}
	}
	return all
}

// seen is an impact, with the difference that has a query for each change in it.
type seen struct {
	Impact     *workbench.ImpactReport
	Difference *workbench.Difference
}

// Seen puts the two together for a page.
func (c *call) Seen(i *workbench.ImpactReport, d *workbench.Difference) seen { return seen{i, d} }

// Forms are the words for forms; none where the difference is not known yet.
func (s seen) Forms() []broker.Term {
	if s.Difference == nil || s.Difference.Catalog == nil {
		return nil
	}
	return s.Difference.Catalog.Forms
}

// Example finds a query that shows a change: the impact itself holds none, since it counts what was really asked.
func (s seen) Example(i workbench.ImpactChange) *whyExample {
	form := func(g *broker.Grant) broker.Form {
		if g == nil {
			return ""
		}
		return g.Form
	}
	if s.Difference == nil {
		return nil
	}
	for _, d := range s.Difference.Changes {
		if d.Field == i.Field && form(d.Before) == i.From && form(d.After) == i.To && slices.Contains(i.Roles, d.Role) {
			return &whyExample{s.Difference.Draft, d.Example}
		}
	}
	return nil
}

// What templates ask of a story; nil where there is no answer.

// Step gives how far a step is.
func (s *story) Step(name string) stepState { return s.result(name) }

// Check gives the first answer.
func (s *story) Check() *workbench.CheckReport { return answer[workbench.CheckReport](s, askCheck) }

// Tests gives the second.
func (s *story) Tests() *workbench.TestReport { return answer[workbench.TestReport](s, askTests) }

// Turns gives what no test noticed.
func (s *story) Turns() *workbench.MutationReport {
	return answer[workbench.MutationReport](s, askTurns)
}

// Difference gives the cells that change.
func (s *story) Difference() *workbench.Difference { return answer[workbench.Difference](s, askDiffer) }

// Guardrails gives which rules about rules are broken.
func (s *story) Guardrails() *workbench.GuardrailReport {
	return answer[workbench.GuardrailReport](s, askGuards)
}

// Matrix gives what the draft gives in every combination of facts.
func (s *story) Matrix() *workbench.Matrix { return answer[workbench.Matrix](s, askMatrix) }

// Impact gives what would have been different in the requests of the window.
func (s *story) Impact() *workbench.ImpactReport { return answer[workbench.ImpactReport](s, askImpact) }

// study gives all answers together, to be submitted.
func (s *story) study() Study {
	return Study{s.Check(), s.Tests(), s.Turns(), s.Difference(), s.Guardrails(), s.Impact()}
}

// Good tells whether every question has an answer, and none of them is in the way of approval.
func (s *story) Good() bool {
	t := s.study()
	return t.Check != nil && t.Check.OK() && t.Tests != nil && t.Tests.OK() && t.Turns != nil && t.Turns.OK() &&
		t.Difference != nil && t.Guardrails != nil && t.Guardrails.OK() && t.Impact != nil
}

func answer[T any](s *story, name string) *T {
	r, _ := s.result(name).Result.(*T)
	if s.result(name).Err != nil {
		return nil
	}
	return r
}

// coverage gives the lines of a file that no test reaches, where that is known for just this text.
func (k *Console) coverage(base, draft broker.Revision, path string) (missed map[int]bool, known bool) {
	r := k.story(base, draft).Tests()
	if r == nil {
		return nil, false
	}
	missed = map[int]bool{}
	for _, p := range r.Uncovered {
		if p.File == path {
			missed[p.Line] = true
		}
	}
	return missed, true
}

func (k *Console) startChecks(c *call) error {
	d, base, files, err := k.open(c)
	if err != nil {
		return err
	}
	k.jobs.start(key(d.Base, revisionOf(files)), true, k.steps(base, files))
	c.redirect("/ontwerpen/" + d.ID + "#antwoorden")
	return nil
}

func (k *Console) stopChecks(c *call) error {
	d, _, files, err := k.open(c)
	if err != nil {
		return err
	}
	if j := k.jobs.get(key(d.Base, revisionOf(files))); j != nil {
		j.cancel()
	}
	c.notice("De toetsing is gestopt.", "The check was stopped.")
	c.redirect("/ontwerpen/" + d.ID)
	return nil
}

// progress is one message to the page about how far the work is.
type progress struct {
	Step string `json:"step"` // the answer that is worked on
	Text string `json:"text"`
	Done bool   `json:"done"` // nothing more comes: load the page again
}

// serveProgress tells how far the work on a draft is, for as long as somebody looks (server-sent events).
func (k *Console) serveProgress(c *call) error {
	d, _, files, err := k.open(c)
	if err != nil {
		return err
	}
	j := k.jobs.get(key(d.Base, revisionOf(files)))
	if j == nil {
		return errNotFound
	}
	return c.follow(j)
}

func (c *call) follow(j *job) error { return c.followIn(j, c.progressOf) }

// followIn is follow in words of its own.
func (c *call) followIn(j *job, say func(state) progress) error {
	var w http.ResponseWriter = c.w
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(nil) // Gin knows then that the header is written
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = u.Unwrap() // Gin's own Flush wants a writer that this is not
	}
	flow := http.NewResponseController(w)
	last := ""
	for {
		s, changed := j.now()
		p := say(s)
		if text := fmt.Sprint(p); text != last {
			last = text
			_ = flow.SetWriteDeadline(time.Now().Add(time.Minute))
			if err := sendEvent(w, p); err != nil {
				return nil // the reader left
			}
			if err := flow.Flush(); err != nil {
				return nil
			}
		}
		if p.Done {
			return nil
		}
		select {
		case <-c.r.Context().Done():
			return nil
		case <-changed:
		case <-time.After(20 * time.Second): // a sign of life
			_ = flow.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := fmt.Fprint(w, ": \n\n"); err != nil || flow.Flush() != nil {
				return nil
			}
		}
	}
}

func (c *call) progressOf(s state) progress {
	p := progress{Done: s.Done, Text: c.say("Wacht op andere toetsingen.", "Waiting for other checks.")}
	finished := 0
	for _, st := range s.Steps {
		if st.Finished() {
			finished++
		}
		if st.Running {
			p.Step, p.Text = st.Name, fmt.Sprintf(c.say("Vraag %d van %d: %s", "Question %d of %d: %s"), finished+1, len(s.Steps), c.Question(st.Name))
			switch {
			case st.Total > 0:
				p.Text += fmt.Sprintf(" (%d%%)", 100*st.Done/st.Total)
			case st.Done >= countedBy:
				p.Text += fmt.Sprintf(c.say(" (%s vermeldingen gelezen)", " (%s entries read)"), c.counted(st.Done))
			}
		}
	}
	if s.Done {
		p.Text = c.say("Klaar.", "Done.")
	}
	return p
}

// countedBy is by how many entries a page tells how far reading the log is: often enough to see that it goes on, and seldom
// enough for who has it read aloud.
const countedBy = 100_000

// counted is how many entries were read, in round numbers.
func (c *call) counted(read int) string { return c.Count(read - read%countedBy) }

// Question names a step in words.
func (c *call) Question(name string) string {
	switch name {
	case askCheck:
		return c.say("klopt het?", "is it correct?")
	case askTests:
		return c.say("is het getest?", "is it tested?")
	case askDiffer:
		return c.say("wat verandert er?", "what changes?")
	case askGuards:
		return c.say("blijven de vangrails heel?", "do the guardrails hold?")
	case askImpact:
		return c.say("wie merkt het?", "who notices?")
	case askMatrix:
		return c.say("wie krijgt wat?", "who gets what?")
	case askWhy:
		return c.say("waarom?", "why?")
	case askAudit:
		return c.say("is het logboek heel?", "is the log whole?")
	case askRecipients:
		return c.say("wie kreeg gegevens?", "who got data?")
	case askLooks:
		return c.say("welke inzagen vallen op?", "which looks stand out?")
	case askVerify:
		return c.say("klopt het met de rapporten?", "is it what its reports say?")
	case askTurns:
		return c.say("merkt een test elke voorwaarde?", "does a test notice each condition?")
	}
	return name
}

// Why says why a step has no answer.
func (c *call) Why(s stepState) string {
	switch {
	case errors.Is(s.Err, context.Canceled):
		return c.say("Gestopt voordat er een antwoord was.", "Stopped before there was an answer.")
	case s.Err != nil:
		return c.say("Deze vraag kon niet worden beantwoord; de oorzaak:", "This question could not be answered; the cause:")
	}
	return ""
}

// Fault is what a room said when it failed; nil for a step that was only stopped.
func (c *call) Fault(s stepState) *wording {
	if s.Err == nil || errors.Is(s.Err, context.Canceled) {
		return nil
	}
	return c.worded(s.Err)
}

// wording is what went wrong, as a page shows it.
type wording struct {
	Text    string
	English bool // on a page in another language
}

// worded gives an error's words in the reader's language. What has none is a fault of the machinery, and is shown as it is.
func (c *call) worded(err error) *wording {
	var told broker.Worded
	if errors.As(err, &told) {
		return &wording{Text: c.Text(told.Text)}
	}
	return &wording{err.Error(), c.Lang() != "en"}
}
