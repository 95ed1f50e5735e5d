package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

func newServe() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve --config schakel.yaml",
		Short: "Run a gateway in production, on Redis",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file)
			if err != nil {
				return err
			}
			return serve(c.Context(), cfg, slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil)))
		},
	}
	c.Flags().StringVar(&file, "config", "schakel.yaml", "configuration file")
	return c
}

func serve(ctx context.Context, cfg *config, log *slog.Logger) error {
	store, ring, err := cfg.open(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	sources, err := cfg.sources()
	if err != nil {
		return err
	}
	tlsConfig, err := cfg.TLS.serverTLS()
	if err != nil {
		return err
	}
	if err := store.Check(ctx); err != nil {
		return err
	}
	if err := cfg.refuseAbsent(ctx, store); err != nil {
		return err
	}
	listener, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	metricsFrom, err := cfg.metricsFrom()
	if err != nil {
		return err
	}
	site, err := cfg.Console.site(ctx)
	if err != nil {
		return err
	}
	residents, err := cfg.Residents.site(ctx)
	if err != nil {
		return err
	}
	sealing, err := cfg.Checkpoints.sealing(ctx)
	if err != nil {
		return err
	}
	whole, err := overArchive(ctx, store, cfg.Archive.Folder)
	if err != nil {
		return err
	}
	s, err := newServer(ctx, serverConfig{console: site, residents: residents, sealing: sealing, archive: cfg.Archive,
		store: whole, ring: ring, sources: sources, dir: cfg.Data, writer: cfg.Writer,
		listener: listener, audience: cfg.Audience, tls: tlsConfig, require: cfg.TLS.Require, limits: cfg.Limits, log: log,
		metricsFrom: metricsFrom})
	if err != nil {
		return err
	}
	log.Info("serving", "listen", listener.Addr().String(), "writer", cfg.Writer, "shard", cfg.Shard)
	return s.serve(ctx)
}

// open reaches Redis and opens the key ring. timeout is for one write; 0 is the short one of a gateway.
func (c *config) open(ctx context.Context, timeout time.Duration) (*redisstream.Store, *keys.Ring, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make data folder: %w", err)
	}
	passphrase, err := keys.Passphrase(c.Keys.PassphraseFile, os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	ring, err := keys.Load(keys.Config{Path: c.Keys.File, Passphrase: passphrase})
	if err != nil {
		return nil, nil, fmt.Errorf("%w; `schakel init` makes the ring", err)
	}
	options, err := c.Redis.options(c.Shard)
	if err != nil {
		return nil, nil, err
	}
	options.Timeout = timeout
	store, err := redisstream.Open(ctx, options)
	return store, ring, err
}

// refuseAbsent: a register or stream that is not there is not made by serving. It may be the wrong Redis, or one that
// lost everything; only `schakel init` begins a log.
func (c *config) refuseAbsent(ctx context.Context, store journal.Store) error {
	for _, stream := range []journal.Stream{journal.Register, journal.Audit(c.Writer)} {
		head, err := store.Head(ctx, stream)
		if err != nil {
			return err
		}
		if head == (journal.Head{}) {
			return fmt.Errorf("stream %s of shard %s is absent: is this the right Redis? If this is a new deployment or a new gateway, run `schakel init --config …` once", stream, c.Shard)
		}
	}
	return nil
}

func newInit() *cobra.Command {
	var file string
	var example exampleFlags
	c := &cobra.Command{
		Use:   "init --config schakel.yaml",
		Short: "Begin a deployment: key ring, genesis of the log, this gateway's stream, the shipped policy",
		Long: `Makes what is missing and leaves what is there. Run it once for a new deployment, and once for each new
gateway. It never begins a log twice: with a register in Redis it only adds this gateway's stream.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), 60*time.Second)
			defer cancel()
			lines, err := cfg.init(ctx, example)
			for _, l := range lines {
				_, _ = fmt.Fprintln(c.OutOrStdout(), l)
			}
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "schakel.yaml", "configuration file")
	example.flags(c)
	return c
}

// refuseSecondLog: signed heads in this gateway's folder are of a log that was begun. Where there is none in Redis now,
// it is another Redis, or it lost everything, and beginning anew would hide that.
func (c *config) refuseSecondLog(ctx context.Context, store journal.Store) error {
	folder := filepath.Join(c.Data, headsFolder)
	heads, err := audit.ReadHeads(folder, "")
	if err != nil || len(heads) == 0 {
		return err
	}
	register, err := store.Head(ctx, journal.Register)
	if err != nil || register != (journal.Head{}) {
		return err
	}
	return fmt.Errorf("there is no log of shard %s in this Redis, but %s holds signed heads of log %s: is this the right Redis? If it lost everything, put back its backup. To begin a new log all the same, move that folder away and keep it: it shows what the old log held",
		c.Shard, folder, heads[len(heads)-1].Log)
}

// init begins what is missing, and says what it did.
func (c *config) init(ctx context.Context, example exampleFlags) (said []string, err error) {
	if _, err := os.Stat(c.Keys.File); errors.Is(err, os.ErrNotExist) {
		passphrase, err := keys.Passphrase(c.Keys.PassphraseFile, os.Getenv)
		if err != nil {
			return said, err
		}
		if _, err := keys.Create(keys.Config{Path: c.Keys.File, Passphrase: passphrase}); err != nil {
			return said, err
		}
		said = append(said, "key ring made: "+c.Keys.File+" (keep a copy apart from the backups of Redis)")
	}
	store, ring, err := c.open(ctx, patience)
	if err != nil {
		return said, err
	}
	defer func() { _ = store.Close() }()
	if err := store.Check(ctx); err != nil {
		return said, err
	}
	if err := c.refuseSecondLog(ctx, store); err != nil {
		return said, err
	}
	switch err := genesis(ctx, store, c.Shard); {
	case err == nil:
		said = append(said, "log begun for shard "+c.Shard)
	case !errors.Is(err, journal.ErrExists):
		return said, err
	}
	d, err := newDesk(ctx, store, ring)
	if err != nil {
		return said, err
	}
	if d.unready != nil {
		return said, d.unready
	}
	head, err := store.Head(ctx, journal.Audit(c.Writer))
	if err != nil {
		return said, err
	}
	_, active := d.register.Revision()
	if head != (journal.Head{}) && active && example.done() {
		return append(said, "nothing to do: the log and the stream of "+c.Writer+" exist"), nil
	}
	if head != (journal.Head{}) {
		return said, fmt.Errorf("the stream of %s exists: stop that gateway and use the schakel commands to change the register", c.Writer)
	}
	w, err := audit.Open(ctx, d.writerConfig(c.Writer, c.Data))
	if err != nil {
		return said, err
	}
	said = append(said, "stream begun for writer "+c.Writer)
	var commands []register.Command
	if !active {
		revision, err := d.keepPolicy(ctx, policies.Files())
		if err != nil {
			return said, errors.Join(err, w.Close(ctx))
		}
		commands = append(commands, register.ActivatePolicy{Revision: revision})
		said = append(said, "example policy "+string(revision[:12])+" active: have it reviewed before use")
	}
	if example.dir != "" {
		err = example.seed(ctx, d, appender(w), commands)
		said = append(said, "example filled in; agency keys and demo.json in "+example.dir)
	} else {
		err = d.register.DoAll(ctx, appender(w), register.Operator{Name: operator()}, commands)
	}
	return said, errors.Join(err, w.Close(ctx))
}
