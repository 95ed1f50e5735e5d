package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// draftsFolder is where the console keeps drafts, in the data folder.
const draftsFolder = "drafts"

// consoleSite is the console of a running server; nil where there is none.
type consoleSite struct {
	listener net.Listener
	url      string
	tls      *tls.Config
	oidc     *console.OIDC
	personas []console.Person // of the demo
}

// demoPersonas are who one can be in the demo's console.
func demoPersonas() []console.Person {
	return []console.Person{
		{ID: "privacy-1", Name: "Privacy officer 1", Role: console.PrivacyOfficer},
		{ID: "privacy-2", Name: "Privacy officer 2", Role: console.PrivacyOfficer},
		{ID: "jurist-1", Name: "Jurist", Role: console.Jurist},
		{ID: "fg-1", Name: "Functionaris gegevensbescherming", Role: console.FG},
		{ID: "auditor-1", Name: "Auditor", Role: console.Auditor},
	}
}

// demoConsole is where the demo's console is, unless that port is in use.
const demoConsole = "127.0.0.1:8081"

// site takes the address of the demo's console.
func (d *demo) site(ctx context.Context) (*consoleSite, error) {
	if !loopback(d.console) {
		return nil, fmt.Errorf("console: %s is not on this machine only, and in the demo whoever reaches the console may be anybody; choose a loopback address with --console", d.console)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", d.console)
	if err != nil && d.console == demoConsole {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --console", err)
	}
	return &consoleSite{listener: l, url: "http://" + l.Addr().String(), personas: demoPersonas()}, nil
}

// loopback tells whether an address to listen at can only be reached from this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// site takes the console's address; nil where none is configured.
func (c *consoleConfig) site(ctx context.Context) (*consoleSite, error) {
	if c.Listen == "" {
		return nil, nil
	}
	secret, err := secretFile(c.ClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("console: clientSecretFile: %w", err)
	}
	s := &consoleSite{url: c.URL, oidc: &console.OIDC{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret,
		RolesClaim: c.RolesClaim, Roles: c.Roles}}
	if s.tls, err = (tlsConfig{Certificate: c.Certificate, Key: c.Key}).serverTLS(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("console: %w; choose another console.listen", err)
	}
	return s, nil
}

// serveConsole runs the console until the server stops.
func (s *server) serveConsole(site *consoleSite) error {
	desk := &consoleDesk{desk: s.desk, writer: s.writer, append: appender(s.writer), dir: s.cfg.dir}
	log := &auditDesk{consoleDesk: desk, config: s.desk.searchOf(s.cfg.dir), log: s.cfg.store, sealing: s.cfg.sealing, replaying: newReplayer(s.cfg.store)}
	s.wait.Go(func() {
		log.keepSearch(s.background, func(err error) {
			s.cfg.log.Error("the log can't be searched in full for now; tried again", "error", err)
		})
	})
	k, err := console.New(console.Config{Desk: desk, Auditing: log, Answering: log, Explorer: s.desk.explorer, Dir: filepath.Join(s.cfg.dir, draftsFolder),
		PublicURL: site.url, Personas: site.personas, OIDC: site.oidc, TLS: site.tls, Log: s.cfg.log})
	if err != nil {
		return err
	}
	return k.Serve(s.background, site.listener)
}

// consoleDesk is what the console works at: the desk of the running gateway. Its changes are recorded in the gateway's own
// stream.
type consoleDesk struct {
	*desk
	writer *audit.Writer
	append register.Appender
	dir    string // the data folder, for officers' keys
	mu     sync.Mutex
	files  map[broker.Revision]map[string][]byte // of revisions read lately; they never change
}

func (d *consoleDesk) Policy() register.Policy          { return d.register.Policy() }
func (d *consoleDesk) Agencies() []broker.Agency        { return d.register.Agencies() }
func (d *consoleDesk) Agreements() []register.Agreement { return d.register.Agreements() }

func (d *consoleDesk) Files(ctx context.Context, r broker.Revision) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if files, ok := d.files[r]; ok {
		return files, nil
	}
	files, err := d.revisionFiles(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(d.files) >= 16 || d.files == nil {
		d.files = map[broker.Revision]map[string][]byte{}
	}
	d.files[r] = files
	return files, nil
}

func (d *consoleDesk) Catalog(files map[string][]byte) (*broker.Catalog, error) {
	source, err := decide.Read(files)
	if err != nil {
		return nil, err
	}
	return source.Catalog, nil
}

// Gateways gives the notes that gateways leave of themselves.
func (d *consoleDesk) Gateways(ctx context.Context) ([]console.Gateway, error) {
	list, err := d.gateways(ctx)
	var out []console.Gateway
	for _, g := range list {
		out = append(out, console.Gateway{Name: g.Writer, Serves: g.Serves, Time: g.Time, Silent: g.Silent, Ended: g.Ended, Problem: g.Problem})
	}
	return out, err
}

func (d *consoleDesk) Officer(ref register.OfficerRef) string {
	o, _ := d.register.Officer(ref)
	return string(o.ID)
}

func (d *consoleDesk) Requests(ctx context.Context, since, until time.Time) iter.Seq2[workbench.Recorded, error] {
	return recorded(ctx, d.store, d.ring, since, until)
}

// viewWithin bounds the wait until a view is in the log.
const viewWithin = 5 * time.Second

// Decision finds a decision in the log, by the time in its id, and records the view in the gateway's own stream.
func (d *consoleDesk) Decision(ctx context.Context, by console.Person, id broker.RequestID) (console.Decision, error) {
	if err := d.officer(by); err != nil {
		return console.Decision{}, fmt.Errorf("%w: %w", console.ErrMayNotLook, err)
	}
	cfg, err := whenAnswered(string(id))
	if err != nil {
		return console.Decision{}, fmt.Errorf("%w: %w", console.ErrNoDecision, err)
	}
	cfg.Store, cfg.Vault = d.store, d.vault
	r, err := findAnswer(ctx, cfg, string(id))
	if errors.Is(err, errNoAnswer) {
		return console.Decision{}, console.ErrNoDecision
	}
	if err != nil {
		return console.Decision{}, err
	}
	v := audit.Viewed{Writer: r.Writer, Event: audit.Ref{ID: r.ID, Hash: r.Hash}, How: "console waarom"}
	if err := d.permits(ctx, v, by.ID, purposePolicy); err != nil {
		return console.Decision{}, fmt.Errorf("%w: %w", console.ErrMayNotLook, err)
	}
	soon, cancel := context.WithTimeout(ctx, viewWithin)
	defer cancel()
	if err := d.writer.View(soon, v, broker.Staff{Worker: broker.WorkerID(by.ID), Purpose: purposePolicy}); err != nil {
		return console.Decision{}, fmt.Errorf("%w: %w", console.ErrNotRecorded, err)
	}
	out := console.Decision{Event: r.Writer + " " + r.ID.String(), Time: r.Time}
	for _, s := range r.Subjects {
		for _, n := range s.Queries {
			part := console.DecisionPart{Subject: s.Subject, Lookup: s.Lookup, Revision: r.Revisions[n]}
			if err := json.Unmarshal(r.Queries[n], &part.Query); err != nil {
				return console.Decision{}, fmt.Errorf("read recorded query: %w", err)
			}
			out.Parts = append(out.Parts, part)
		}
	}
	return out, nil
}

func (d *consoleDesk) Report(ctx context.Context, h broker.Hash) (json.RawMessage, error) {
	return d.readReport(ctx, h)
}

// officer makes sure that who is signed in is an officer of the register, in the same role and not suspended.
func (d *consoleDesk) officer(by console.Person) error {
	known := slices.ContainsFunc(d.register.Officers(), func(o register.Officer) bool {
		return string(o.ID) == by.ID && string(o.Role) == string(by.Role) && !o.Suspended
	})
	if !known {
		return broker.Told(fmt.Sprintf("Het register kent u niet als %s (%s). Laat de beheerder u toevoegen: schakel register officer add.", by.Role, by.ID),
			fmt.Sprintf("the register has no officer %q with the role %s; `schakel register officer add` makes one", by.ID, by.Role))
	}
	return nil
}

// signer finds the key of an officer who is signed in. It is there in the demo, and where an organisation puts its
// officers' keys on the machine of the console; others sign with the command.
func (d *consoleDesk) signer(by console.Person) (keys.Signer, error) {
	if err := d.officer(by); err != nil {
		return keys.Signer{}, err
	}
	if filepath.Base(by.ID) != by.ID {
		return keys.Signer{}, fmt.Errorf("%q can't name a file; sign with the command", by.ID)
	}
	signer, err := (&officerKey{id: by.ID}).signer(d.dir)
	if errors.Is(err, os.ErrNotExist) {
		err = broker.Told(fmt.Sprintf("Uw sleutel staat niet op deze machine. Teken met de opdracht: schakel policy … --officer %s --key BESTAND.", by.ID),
			fmt.Sprintf("your key is not on this machine: sign with `schakel policy … --officer %s --key FILE`", by.ID))
	}
	return signer, err
}

// Submit proposes a draft with the reports that the console made of it.
func (d *consoleDesk) Submit(ctx context.Context, by console.Person, title string, base broker.Revision, files map[string][]byte, s console.Study) (int, error) {
	signer, err := d.signer(by)
	if err != nil {
		return 0, err
	}
	old, err := d.Files(ctx, d.register.Policy().Against())
	if err != nil {
		return 0, err
	}
	if s.Check == nil || s.Tests == nil || s.Turns == nil || s.Difference == nil || s.Guardrails == nil || s.Impact == nil {
		return 0, errors.New("submit policy: not every report of it is there yet; wait until they are")
	}
	return d.submit(ctx, d.append, by.ID, signer, title, base, files, study{Revision: policies.Revision(files), Against: policies.Revision(old),
		Changed: policies.Changed(old, files), Check: *s.Check, Tests: &testsAndMutants{*s.Tests, s.Turns},
		Difference: &comparison{*s.Difference, *s.Guardrails}, Impact: s.Impact})
}

func (d *consoleDesk) Approve(ctx context.Context, by console.Person, n int) error {
	signer, err := d.signer(by)
	if err != nil {
		return err
	}
	return d.approve(ctx, d.append, n, by.ID, signer)
}

func (d *consoleDesk) Verify(ctx context.Context, n int, progress func(done, of int)) error {
	draft, err := d.draft(ctx, n)
	if err != nil {
		return err
	}
	return d.verifyProposal(ctx, draft, progress)
}

func (d *consoleDesk) Agree(ctx context.Context, by console.Person, n int, statement string) error {
	return d.recordAgreement(ctx, d.append, by.ID, n, statement)
}

func (d *consoleDesk) Activate(ctx context.Context, by console.Person, n int) error {
	return d.activate(ctx, d.append, n, by.ID)
}

func (d *consoleDesk) Stop(ctx context.Context, by console.Person, reason string) error {
	signer, err := d.signer(by)
	if err != nil {
		return err
	}
	return d.stop(ctx, d.append, by.ID, signer, reason)
}
