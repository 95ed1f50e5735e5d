package console

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// Role is what somebody may do in the console. No role gives access to data of households.
type Role string

// Closed list of Role.
const (
	PrivacyOfficer Role = "privacy-officer"                  // writes policy, and approves that of others
	Jurist         Role = "jurist"                           // owns the guardrails
	FG             Role = "functionaris-gegevensbescherming" // reads everything, changes no policy, answers residents (AVG 38)
	Auditor        Role = "auditor"                          // sees what happened
)

// Person is somebody who signed in.
type Person struct {
	ID   string // as the register knows an officer
	Name string // as the screen shows it
	Role Role

	bsn broker.BSN // of a resident
}

// Desk is what the console works at. Every change it makes is a register event in the name of who makes it; its errors are
// shown to that person.
type Desk interface {
	// Policy gives the life of the policy: what is and was in force, and what was proposed.
	Policy() register.Policy
	// Files gives the files of a revision that was proposed or in force, path to content. The caller may not change them.
	Files(ctx context.Context, r broker.Revision) (map[string][]byte, error)
	// Catalog reads the catalog that policy files hold.
	Catalog(files map[string][]byte) (*broker.Catalog, error)
	// Gateways gives what each gateway says of itself, by name.
	Gateways(ctx context.Context) ([]Gateway, error)
	// Officer gives the id of an officer, "" where it was erased.
	Officer(ref register.OfficerRef) string
	// Agencies and Agreements list what the register holds now.
	Agencies() []broker.Agency
	Agreements() []register.Agreement
	// Requests gives the recorded requests of a window.
	Requests(ctx context.Context, since, until time.Time) iter.Seq2[workbench.Recorded, error]
	// Decision gives a recorded decision by the id of its answer, once it is durable in the log that this person looks at it.
	// Errors: ErrNoDecision, ErrMayNotLook, ErrNotRecorded; with any error nothing is given.
	Decision(ctx context.Context, by Person, id broker.RequestID) (Decision, error)
	// Report gives a kept report by its digest.
	Report(ctx context.Context, h broker.Hash) (json.RawMessage, error)

	// Submit proposes files, made on base, with what they were told, and gives the number of the proposal.
	Submit(ctx context.Context, by Person, title string, base broker.Revision, files map[string][]byte, s Study) (int, error)
	// Approve signs for a proposal with exactly its reports. It refuses one that Verify does, and works it out again where
	// nobody did yet.
	Approve(ctx context.Context, by Person, number int) error
	// Verify works out again, from its files, what a proposal changes and whether it breaks a guardrail. An error says what
	// of it is not as its reports say.
	Verify(ctx context.Context, number int, progress func(done, of int)) error
	// Agree records a holder's word for a proposal: a compact JWS that the holder signed, and that names it.
	Agree(ctx context.Context, by Person, number int, statement string) error
	// Activate makes an approved proposal the policy in force.
	Activate(ctx context.Context, by Person, number int) error
	// Stop is the emergency stop: every field is refused, at once.
	Stop(ctx context.Context, by Person, reason string) error
}

// Study is what a draft was told before it was submitted.
type Study struct {
	Check      *workbench.CheckReport
	Tests      *workbench.TestReport
	Turns      *workbench.MutationReport
	Difference *workbench.Difference
	Guardrails *workbench.GuardrailReport
	Impact     *workbench.ImpactReport
}

// Config is what a Console is made of. Desk, Auditing, Answering, Dir and either Personas or OIDC must be set.
type Config struct {
	Desk Desk
	// Auditing is what the pages about the log work at. It must be set.
	Auditing Auditing
	// Answering is what the pages work at on which officers answer residents. It must be set.
	Answering Answering
	// Explorer explores policies, and remembers them for whoever has it too. A new one when nil.
	Explorer *workbench.Explorer
	// Dir is the folder that drafts are kept in until they are submitted. It is made.
	Dir string
	// PublicURL is what browsers call the console, scheme and host. Requests for another host are refused.
	PublicURL string
	// Personas can be chosen without a password: for a demonstration on one machine only.
	Personas []Person
	// OIDC signs people in at the organisation's identity provider. With it Personas must be empty.
	OIDC *OIDC
	// TLS makes Serve speak TLS.
	TLS *tls.Config
	// Log gets one event for each request, without who asked. nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Console is the http.Handler of the console's listener.
type Console struct {
	*site
	cfg       Config
	drafts    *drafts
	explorer  *workbench.Explorer
	jobs      *jobs // on drafts, proposals and the matrix
	questions *jobs // explanations: shorter, so they don't wait for those
	looked    shelf // what sessions looked at in the log
}

// New makes a Console.
func New(c Config) (*Console, error) {
	if c.Desk == nil || c.Auditing == nil || c.Answering == nil || c.Dir == "" {
		return nil, errors.New("new console: Desk, Auditing, Answering and Dir must be set")
	}
	if (c.OIDC == nil) == (len(c.Personas) == 0) {
		return nil, errors.New("new console: set either Personas or OIDC")
	}
	base, err := newSite("schakel-console", c.PublicURL, c.Log, c.Now)
	if err != nil {
		return nil, fmt.Errorf("new console: %w", err)
	}
	if c.Explorer == nil {
		c.Explorer = workbench.NewExplorer()
	}
	c.Now = base.now
	k := &Console{site: base, cfg: c, explorer: c.Explorer, jobs: newJobs(1, kept), questions: newJobs(1, kept)}
	if c.OIDC != nil {
		k.provider = &provider{cfg: *c.OIDC, redirect: callback(c.PublicURL), scopes: []string{"profile"}}
	}
	if k.pages, err = newPages("web/layout.html", "web/pages/*.html"); err != nil {
		return nil, fmt.Errorf("new console: %w", err)
	}
	if k.drafts, err = openDrafts(c.Dir, c.Now); err != nil {
		return nil, fmt.Errorf("new console: %w", err)
	}
	k.routes, k.menu, k.fail = k.table(), k.mainPages, (*call).fail
	k.stopped = func() bool { return c.Desk.Policy().Stop != nil }
	k.ready()
	return k, nil
}

// Serve answers requests on a listener until ctx ends. What people were waiting for is then stopped; drafts are safe.
func (k *Console) Serve(ctx context.Context, l net.Listener) error {
	err := k.serve(ctx, l, k.cfg.TLS, func() {
		k.jobs.stop()
		k.questions.stop()
	})
	if err != nil {
		return fmt.Errorf("serve console: %w", err)
	}
	return nil
}
