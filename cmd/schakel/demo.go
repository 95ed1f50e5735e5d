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
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/socket"
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
	listen, console, residents, data, brp string
	out                                   io.Writer
}

func newDemo() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start everything on this machine and print commands to try",
		Long: `Starts a gateway, an embedded journal, the example policies and stand-ins for fourteen agencies, with
households of persons who do not exist, and prints commands to paste in another terminal.
Nothing else is needed, nothing is installed; Ctrl-C stops it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d.out = c.OutOrStdout()
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.listen, "listen", "127.0.0.1:8080", "address of the gateway")
	f.StringVar(&d.console, "console", demoConsole, "address of the console; any free port where this one is in use")
	f.StringVar(&d.residents, "residents", demoResidents, "address of the site for residents; any free port where this one is in use")
	f.StringVar(&d.brp, "brp", "", "the official BRP test set (CSV) to take persons from ($SCHAKEL_BRP); default: generated persons")
	dataFlag(c, &d.data)
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	people, from, err := agencies.Open(d.brp)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, d.listen) // first: a port in use leaves nothing behind
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	site, err := d.site(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = site.listener.Close() }()
	residents, err := d.residentsSite(ctx, people)
	if err != nil {
		return err
	}
	defer func() { _ = residents.listener.Close() }()
	ready := false
	if d.data == "" {
		if d.data, err = os.MkdirTemp("", "schakel-demo-"); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		defer func() {
			if !ready { // nobody was told its name
				err = errors.Join(err, os.RemoveAll(d.data))
			}
		}()
	}
	if d.data, err = filepath.Abs(d.data); err != nil {
		return err
	}
	store, err := d.journal()
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	asked, err := appendFile(filepath.Join(d.data, "asked.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = asked.Close() }()
	logFile, err := appendFile(filepath.Join(d.data, "log.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()
	town, err := agencies.Start(agencies.Config{People: people, Log: asked})
	if err != nil {
		return err
	}
	defer func() { _ = town.Close() }()

	s, info, err := d.start(ctx, store, listener, site, residents, town, people, slog.New(slog.NewJSONHandler(logFile, nil)))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(ctx) }()
	if err := s.waitReady(ctx, served); err != nil {
		return err
	}
	ready = true
	d.guide(info, from, site.url, residents.config.PublicURL, people)
	return <-served
}

// seedingFile stands in the data folder while the example is being made. What an interrupted start left is not whole, and
// nobody was given an answer from it: the next start begins again.
const seedingFile = "seeding"

// journal opens the folder's journal, which keeps other demos out of the folder.
func (d *demo) journal() (*bolt.Store, error) {
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if other, err := socket.Dial(filepath.Join(d.data, socketFile)); err == nil {
		info, _ := readDemo(d.data)
		return nil, errors.Join(fmt.Errorf("a server runs in %s already (%s): use that one, stop it, or name another folder with --data", d.data, info.Server), other.Close())
	}
	path := filepath.Join(d.data, journalFile)
	open := func() (*bolt.Store, error) {
		store, err := bolt.Open(bolt.Config{Path: path})
		if err != nil {
			return nil, fmt.Errorf("%w; or name another folder with --data", err)
		}
		return store, nil
	}
	store, err := open()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(d.data, seedingFile)); err != nil {
		return store, nil
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	for _, name := range []string{headsFolder, agenciesFolder, officersFolder, checkpointsFolder, archiveFolder, demoFile, journalFile, seedingFile} {
		if err := os.RemoveAll(filepath.Join(d.data, name)); err != nil {
			return nil, fmt.Errorf("clear what an interrupted start left: %w", err)
		}
	}
	return open()
}

// start makes what is missing (ring, register, policy, example) and wires the server.
func (d *demo) start(ctx context.Context, store journal.Store, listener net.Listener, site *consoleSite, residents *residentsSite, town *agencies.Town, people agencies.Population, log *slog.Logger) (*server, demoInfo, error) {
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
	sealing := &sealing{dir: filepath.Join(d.data, checkpointsFolder), maxUnsealed: 5 * time.Minute}
	if sealing.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, demoInfo{}, err
	}
	limits := limitsConfig{RequestsPerSecond: 1000, Burst: 1000}
	limits.defaults()
	moved := archiveConfig{Folder: filepath.Join(d.data, archiveFolder)}
	moved.defaults()
	whole, err := overArchive(ctx, store, moved.Folder)
	if err != nil {
		return nil, demoInfo{}, errors.Join(err, sealing.listener.Close())
	}
	s, err := newServer(ctx, serverConfig{store: whole, archive: moved, ring: ring, sources: sources, dir: d.data, writer: demoWriterName,
		listener: listener, console: site, residents: residents, sealing: sealing, limits: limits, log: log})
	if err != nil {
		return nil, demoInfo{}, errors.Join(err, sealing.listener.Close())
	}
	info.Checkpoints = "http://" + sealing.listener.Addr().String()
	info.Server, info.Residents = s.url, residents.config.PublicURL
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
		return knownExample(data, people)
	}
	marker := filepath.Join(data, seedingFile)
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return demoInfo{}, fmt.Errorf("begin example: %w", err)
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
	if err := errors.Join(s.seed(ctx, d, appender(w)), w.Close(ctx)); err != nil {
		return demoInfo{}, err
	}
	if err := writeJSONFile(filepath.Join(data, demoFile), s.info); err != nil {
		return demoInfo{}, err
	}
	return s.info, os.Remove(marker)
}

// knownExample reads what an earlier start made. It must be about the persons that the stand-ins know now.
func knownExample(data string, people agencies.Population) (demoInfo, error) {
	info, err := readDemo(data)
	if err != nil {
		return info, fmt.Errorf("this folder holds a journal but no example (%w); name another folder with --data", err)
	}
	for _, c := range info.Cases {
		for _, b := range c.BSNs {
			if _, ok := people.Person(b); !ok {
				return info, errors.New("this folder was made with other persons: give the --brp of that time (or none, if there was none), or another folder with --data")
			}
		}
	}
	return info, nil
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
