package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/haalcentraal"
	"github.com/schakel/schakel/broker/source/rest"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
	"github.com/schakel/schakel/test/agencies"
)

// demoWriterName is the demo's own stream of the log.
const demoWriterName = "demo"

type demo struct {
	listen, data, brp string
	out               io.Writer
}

func newDemo() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start everything on this machine and print commands to try",
		Long: `Starts a gateway, an embedded journal, the example policies and stand-ins for fourteen agencies, with
households of persons who do not exist, and prints commands to paste in another terminal.
Nothing else is needed, nothing is installed; Ctrl-C stops it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d.out = c.OutOrStdout()
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.listen, "listen", "127.0.0.1:8080", "address of the gateway")
	f.StringVar(&d.brp, "brp", "", "the official BRP test set (CSV) to take persons from ($SCHAKEL_BRP); default: generated persons")
	dataFlag(c, &d.data)
	return c
}

func (d *demo) run(ctx context.Context) error {
	people, from, err := agencies.Open(d.brp)
	if err != nil {
		return err
	}
	if d.data == "" {
		if d.data, err = os.MkdirTemp("", "schakel-demo-"); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
	} else if err = os.MkdirAll(d.data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	asked, err := appendFile(filepath.Join(d.data, "asked.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = asked.Close() }()
	town, err := agencies.Start(agencies.Config{People: people, Log: asked})
	if err != nil {
		return err
	}
	defer func() { _ = town.Close() }()
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(d.data, journalFile)})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	logFile, err := appendFile(filepath.Join(d.data, "log.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()

	s, info, err := d.start(ctx, store, town, people, slog.New(slog.NewJSONHandler(logFile, nil)))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx) }()
	if err := s.waitReady(ctx, served); err != nil {
		return err
	}
	d.guide(info, from, people)
	return <-served
}

// start makes what is missing (ring, register, policy, example) and wires the server.
func (d *demo) start(ctx context.Context, store journal.Store, town *agencies.Town, people agencies.Population, log *slog.Logger) (*server, demoInfo, error) {
	ring, err := demoRing(d.data)
	if err != nil {
		return nil, demoInfo{}, err
	}
	info, err := initExample(ctx, store, ring, d.data, town.Agencies(), people)
	if err != nil {
		return nil, demoInfo{}, err
	}
	sources, err := townSources(town.Agencies())
	if err != nil {
		return nil, demoInfo{}, err
	}
	limits := limitsConfig{RequestsPerSecond: 1000, Burst: 1000}
	limits.defaults()
	s, err := newServer(ctx, serverConfig{store: store, ring: ring, sources: sources, dir: d.data, writer: demoWriterName,
		listen: d.listen, limits: limits, log: log})
	if err != nil {
		return nil, demoInfo{}, err
	}
	info.Server = s.url
	return s, info, writeJSONFile(filepath.Join(d.data, demoFile), info)
}

// demoRing opens the ring of a demo folder, or makes one with a passphrase of its own.
func demoRing(data string) (*keys.Ring, error) {
	file := filepath.Join(data, passphraseFile)
	if _, err := os.Stat(filepath.Join(data, ringFile)); err == nil {
		return (&where{data: data}).openRing()
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(base64.RawURLEncoding.EncodeToString(secret)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write passphrase: %w", err)
	}
	passphrase, err := keys.Passphrase(file, os.Getenv)
	if err != nil {
		return nil, err
	}
	return keys.Create(keys.Config{Path: filepath.Join(data, ringFile), Passphrase: passphrase})
}

// initExample fills an empty store with genesis, policy and example; a store that has them is left as it is.
func initExample(ctx context.Context, store journal.Store, ring *keys.Ring, data string, town []agencies.Agency, people agencies.Population) (demoInfo, error) {
	head, err := store.Head(ctx, journal.Register)
	if err != nil {
		return demoInfo{}, err
	}
	if head != (journal.Head{}) {
		info, err := readDemo(data)
		if err != nil {
			return info, fmt.Errorf("this folder holds a journal but no whole example (%w); name another folder with --data", err)
		}
		return info, nil
	}
	if err := genesis(ctx, store, people.Municipality()); err != nil {
		return demoInfo{}, err
	}
	d, err := newDesk(ctx, store, ring)
	if err != nil {
		return demoInfo{}, err
	}
	revision, err := d.keepPolicy(ctx, policies.Files())
	if err != nil {
		return demoInfo{}, err
	}
	w, err := audit.Open(ctx, d.writerConfig(adminWriter, data))
	if err != nil {
		return demoInfo{}, err
	}
	s := newSeeder(town, people, filepath.Join(data, agenciesFolder), time.Now())
	s.commands = append(s.commands, register.ActivatePolicy{Revision: revision})
	if err := s.seed(ctx, d, appender(w)); err != nil {
		return demoInfo{}, errors.Join(err, w.Close(ctx))
	}
	return s.info, w.Close(ctx)
}

// genesis begins a register.
func genesis(ctx context.Context, store journal.Store, shard string) error {
	entry, _, err := register.Genesis(shard, time.Now())
	if err != nil {
		return err
	}
	return store.Init(ctx, entry)
}

// townSources makes the way to each stand-in.
func townSources(town []agencies.Agency) (*source.Sources, error) {
	var holders []source.Holder
	for _, a := range town {
		endpoint := source.Endpoint{URL: a.BaseURL, Header: a.Header}
		var src broker.Source
		var err error
		switch a.Protocol {
		case agencies.ProtocolHaalCentraal:
			src, err = haalcentraal.New(haalcentraal.Config{Endpoint: endpoint})
		case agencies.ProtocolREST:
			src, err = rest.New(rest.Config{Endpoint: endpoint, Key: a.Key, Fields: a.Fields})
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("source of %s: %w", a.Kind, err)
		}
		holders = append(holders, source.Holder{OIN: a.OIN, Source: src})
	}
	return source.New(holders...)
}

func (s *server) waitReady(ctx context.Context, served <-chan error) error {
	for {
		select {
		case err := <-served:
			return cmp.Or(err, errors.New("stopped before it was ready"))
		case <-time.After(10 * time.Millisecond):
			if s.ready(ctx) == nil {
				return nil
			}
		}
	}
}

func appendFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	return f, nil
}

func writeJSONFile(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// guide prints commands that work when pasted.
func (d *demo) guide(info demoInfo, from string, people agencies.Population) {
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", a...) }
	c := guideCase(info, people)
	me, data := self(), quote(d.data)
	save := quote(filepath.Join(d.data, "answer.json"))
	var gemeente broker.OIN
	for _, a := range info.Agencies {
		if a.Kind == "gemeente" {
			gemeente = a.OIN
		}
	}
	ask := func(worker, role, purpose, fields, more string) string {
		return fmt.Sprintf("%s ask --data %s --agency %s --worker %s --role %s --purpose %s --household case:%s --fields %s%s",
			me, data, gemeente, worker, role, purpose, c.ID, fields, more)
	}
	say("Schakel draait op %s  (data: %s)", info.Server, d.data)
	say("Personen: %s. %d zaken; niemand hierin bestaat.", from, len(info.Cases))
	say("Het voorbeeldbeleid is geen juridisch advies: laat het toetsen voor gebruik.")
	say("\nProbeer in een andere terminal (try these in another terminal):")
	say("\n# 1. verstrekt: de wijkteammedewerker wil een ontruiming voorkomen (granted)")
	say("%s", ask(string(c.Workers[0]), "wijkteammedewerker", "ontruiming-voorkomen",
		"huur.achterstand,contact.telefoonnummer,huishouden.minderjarigenAanwezig", " --save "+save))
	say("\n# 2. deels niet verstrekt: diagnose en behandelaar blijven achter (partly withheld)")
	say("%s", ask(string(c.Workers[0]), "wijkteammedewerker", "ontruiming-voorkomen", "huur.achterstand.bedrag,schulden,ggz", ""))
	say("\n# 3. geweigerd: zorggegevens zijn niet voor handhaving (refused)")
	say("%s", ask("recherche-1", "sociaal-rechercheur", "handhaving", "jeugd,wmo,huur", ""))
	say("\n# 4. controleer het bewaarde antwoord (verify)")
	say("%s verify %s --jwks %s/.well-known/jwks.json", me, save, info.Server)
	say("\n# 5. het logboek (the log)")
	say("%s audit log --data %s", me, data)
	say("\n# 6. controleer het logboek (verify the log)")
	say("%s audit verify --data %s", me, data)
	say("\nStop met Ctrl-C. Meer: %s --help", me)
}

// guideCase picks a case that shows something: minors, and nobody with restricted disclosure or an unknown age.
func guideCase(info demoInfo, people agencies.Population) demoCase {
	for _, c := range info.Cases {
		minor, plain := false, true
		for i, b := range c.BSNs {
			p, ok := people.Person(b)
			band := p.Birth.AgeBand(time.Now())
			plain = plain && ok && !p.Restricted && !p.Deceased && band != broker.AgeUnknown && (i > 0 || band == broker.Age18Plus)
			minor = minor || (band != broker.Age18Plus && band != broker.AgeUnknown)
		}
		if plain && minor {
			return c
		}
	}
	return info.Cases[0]
}

// self is how this program was started, as it can be typed again.
func self() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(exe, "go-build") {
		return "go run ./cmd/schakel"
	}
	return quote(os.Args[0])
}

// quote makes a word safe for a shell.
func quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+=@", r)
	}) < 0 && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
