package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/audit/index"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/test/agencies"
)

// residentsConfig is the residents' own listener: who asked for their data, and what they can do about it. Without Listen there
// is none. Residents sign in over OpenID Connect at a provider with DigiD behind it; officers do so elsewhere (console).
type residentsConfig struct {
	Listen      string `yaml:"listen"`      // host:port
	URL         string `yaml:"url"`         // what browsers call it: https://inzage.example; not that of the console
	Certificate string `yaml:"certificate"` // PEM; without one it is plain HTTP, for behind a proxy that ends TLS
	Key         string `yaml:"key"`         // PEM
	Proxy       bool   `yaml:"proxy"`       // as in console

	Organisation string `yaml:"organisation"` // who answers for this Schakel: Gemeente Voorbeeld
	Contact      string `yaml:"contact"`      // how to reach its functionaris gegevensbescherming

	Issuer           string   `yaml:"issuer"`
	ClientID         string   `yaml:"clientID"`
	ClientSecretFile string   `yaml:"clientSecretFile"`
	BSNClaim         string   `yaml:"bsnClaim"` // claim of the ID token that holds the BSN
	Levels           []string `yaml:"levels"`   // values of acr that will do: DigiD substantieel and hoog, as the provider names them
}

// check refuses a site that nobody could sign in at, or that would send sessions in clear over a network.
func (c *residentsConfig) check(officers string) error {
	if c.Listen == "" {
		return nil
	}
	var missing []string
	for key, value := range map[string]string{"url": c.URL, "organisation": c.Organisation, "contact": c.Contact, "issuer": c.Issuer, "clientID": c.ClientID,
		"clientSecretFile": c.ClientSecretFile, "bsnClaim": c.BSNClaim, "levels": strings.Join(c.Levels, "")} {
		if value == "" {
			missing = append(missing, "residents."+key)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("residents: certificate and key go together")
	case c.Certificate == "" && !c.Proxy && !loopback(c.Listen):
		return errors.New("residents.listen: plain HTTP here would send sessions in clear over a network; give residents.certificate and key, listen on 127.0.0.1, or say residents.proxy: true where a proxy that ends TLS stands before it")
	case !strings.HasPrefix(c.URL, "https://"):
		return errors.New("residents.url must begin with https://, also behind a proxy that ends TLS")
	case c.URL == officers:
		return errors.New("residents.url must be another than console.url: officers and residents don't sign in at the same place")
	}
	return nil
}

// residentsSite is the residents' site of a running server; nil where there is none.
type residentsSite struct {
	listener net.Listener
	tls      *tls.Config
	config   console.ResidentsConfig // without its desk
}

// site takes the residents' address; nil where none is configured.
func (c *residentsConfig) site(ctx context.Context) (*residentsSite, error) {
	if c.Listen == "" {
		return nil, nil
	}
	secret, err := secretFile(c.ClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("residents: clientSecretFile: %w", err)
	}
	s := &residentsSite{config: console.ResidentsConfig{PublicURL: c.URL, Organisation: c.Organisation, Contact: c.Contact,
		OIDC: &console.ResidentsOIDC{OIDC: console.OIDC{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret}, BSNClaim: c.BSNClaim, Levels: c.Levels}}}
	if s.tls, err = (tlsConfig{Certificate: c.Certificate, Key: c.Key}).serverTLS(); err != nil {
		return nil, fmt.Errorf("residents: %w", err)
	}
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("residents: %w; choose another residents.listen", err)
	}
	return s, nil
}

// demoResidents is where the demo's residents' site is, unless that port is in use.
const demoResidents = "127.0.0.1:8082"

// residentsSite takes the address of the demo's residents' site.
func (d *demo) residentsSite(ctx context.Context, people agencies.Population) (*residentsSite, error) {
	if !loopback(d.residents) {
		return nil, fmt.Errorf("residents: %s is not on this machine only, and in the demo whoever reaches the site may be anybody; choose a loopback address with --residents", d.residents)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", d.residents)
	if err != nil && d.residents == demoResidents {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --residents", err)
	}
	return &residentsSite{listener: l, config: console.ResidentsConfig{PublicURL: "http://" + l.Addr().String(), Persons: testPersons(people),
		Organisation: "Gemeente (voorbeeld)", Contact: "fg@gemeente.example"}}, nil
}

// testPersons are who one can be on the demo's residents' site: adults of the first households.
func testPersons(people agencies.Population) []console.TestPerson {
	var out []console.TestPerson
	for _, h := range people.Households() {
		p := h.Persons[0]
		id := p.Identity()
		if p.Deceased || p.Birth.AgeBand(time.Now()) != broker.Age18Plus || id.FamilyName == "" {
			continue
		}
		name := strings.Join(strings.Fields(id.GivenNames+" "+id.Prefix+" "+id.FamilyName), " ")
		if out = append(out, console.TestPerson{Name: name, BSN: p.BSN}); len(out) == 8 {
			break
		}
	}
	return out
}

// serveResidents runs the residents' site until the server stops.
func (s *server) serveResidents(site *residentsSite) error {
	cfg := site.config
	cfg.Desk, cfg.TLS, cfg.Log = &residentsDesk{desk: s.desk, writer: s.writer, append: appender(s.writer), sealing: s.cfg.sealing}, site.tls, s.cfg.log
	k, err := console.NewResidents(cfg)
	if err != nil {
		return err
	}
	return k.Serve(s.background, site.listener)
}

// residentsDesk is what the residents' site works at: the desk of the running gateway. That somebody looks is recorded in the
// gateway's own stream.
type residentsDesk struct {
	*desk
	writer  *audit.Writer
	append  register.Appender
	sealing *sealing

	mu       sync.Mutex
	catalogs map[broker.Revision]*broker.Catalog // of revisions read before; they never change
}

// Who looks at their own data, and on which ground, as the log has it.
const (
	workerResident  broker.WorkerID = "inwoner"
	purposeInspect  broker.Purpose  = "inzage"
	groundOwnReport                 = "AVG 15: eigen inzage, ingelogd"
)

func (d *residentsDesk) Represents(by broker.BSN) []register.Representation {
	return d.register.Represents(by)
}
func (d *residentsDesk) Requests(of broker.BSN) []register.RequestState {
	return d.register.RequestsOf(of)
}
func (d *residentsDesk) Restricted(bsn broker.BSN) bool { return d.register.Restricted(bsn) }

// Ask records a request of who is signed in.
func (d *residentsDesk) Ask(ctx context.Context, q register.ResidentRequest) error {
	return d.register.Do(ctx, d.append, register.Operator{Name: string(workerResident)}, register.MakeRequest{ResidentRequest: q})
}

// Report records that a resident looks, and finds who asked for the data.
func (d *residentsDesk) Report(ctx context.Context, by, about broker.BSN, read func(int)) (console.Report, error) {
	sought := "data subject " + d.ring.Pseudonym(about)
	if by != about {
		sought += ", for their representative " + d.ring.Pseudonym(by)
	}
	soon, cancel := context.WithTimeout(ctx, viewWithin)
	defer cancel()
	if err := d.writer.View(soon, audit.Viewed{How: "inzage"}, broker.Staff{Worker: workerResident, Purpose: purposeInspect, Ground: groundOwnReport, Sought: sought}); err != nil {
		return console.Report{}, fmt.Errorf("%w: %w", console.ErrNotRecorded, err)
	}
	at, noProof := d.indexed()
	at.read = read
	found, err := d.subjectEvents(ctx, about, audit.MentionsConfig{}, at)
	if err != nil {
		return console.Report{}, err
	}
	now := time.Now()
	words := d.words(ctx, d.catalogOf(ctx))
	out := console.Report{Dutch: found.report(words, now)}
	words.English = true
	out.English = found.report(words, now)
	out.NoProof = noProof
	var got index.Verified
	if noProof == nil {
		out.Proof, got, out.NoProof = d.proofFile(ctx, at, about, found.mentions)
	}
	if out.NoProof == nil {
		out.Dutch.ProvedUntil, out.English.ProvedUntil = &got.Until, &got.Until
	}
	return out, nil
}

// indexed is the Merkle log of this gateway; the error says why it has none.
func (d *residentsDesk) indexed() (indexed, error) {
	if d.sealing == nil || d.sealing.dir == "" {
		return indexed{}, errors.New("this gateway has no folder of the Merkle log (checkpoints.folder)")
	}
	k, err := checkpoint.NewKeys(d.originOf(d.sealing.origin), d.ring.CheckpointKeys(), nil, 0)
	if err != nil {
		return indexed{}, err
	}
	return indexed{log: checkpoint.OpenLog(d.sealing.dir, k), folder: d.sealing.dir, keys: k}, nil
}

// catalogOf gives the words of policies, each read once.
func (d *residentsDesk) catalogOf(ctx context.Context) func(broker.Revision) *broker.Catalog {
	read := d.desk.catalogs(ctx)
	return func(r broker.Revision) *broker.Catalog {
		d.mu.Lock()
		defer d.mu.Unlock()
		if c := d.catalogs[r]; c != nil {
			return c
		}
		c := read(r)
		if d.catalogs == nil {
			d.catalogs = map[broker.Revision]*broker.Catalog{}
		}
		if c != nil {
			d.catalogs[r] = c
		}
		return c
	}
}
