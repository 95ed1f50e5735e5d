package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
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
	k, err := console.New(console.Config{Desk: &consoleDesk{desk: s.desk}, Dir: filepath.Join(s.cfg.dir, draftsFolder),
		PublicURL: site.url, Personas: site.personas, OIDC: site.oidc, TLS: site.tls, Log: s.cfg.log})
	if err != nil {
		return err
	}
	return k.Serve(s.background, site.listener)
}

// consoleDesk is what the console works at: the desk of the running gateway.
type consoleDesk struct {
	*desk
	mu    sync.Mutex
	files map[broker.Revision]map[string][]byte // of revisions read lately; they never change
}

func (d *consoleDesk) Live() (broker.Revision, bool)    { return d.register.Revision() }
func (d *consoleDesk) Agencies() []broker.Agency        { return d.register.Agencies() }
func (d *consoleDesk) Agreements() []register.Agreement { return d.register.Agreements() }

func (d *consoleDesk) Policy() register.Policy { return d.register.Policy() }

// Gateways is empty until gateways say what they serve.
func (d *consoleDesk) Gateways(context.Context) ([]console.Gateway, error) { return nil, nil }

func (d *consoleDesk) Files(ctx context.Context, r broker.Revision) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if files, ok := d.files[r]; ok {
		return files, nil
	}
	bundle, err := d.store.Blob(ctx, string(r))
	if err != nil {
		return nil, err
	}
	files, err := policies.Unbundle(bundle)
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
