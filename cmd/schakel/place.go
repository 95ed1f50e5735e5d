package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/socket"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
)

// Names in a data folder.
const (
	journalFile    = "journal.db"
	socketFile     = "schakel.sock"
	ringFile       = "keys.jwe"
	passphraseFile = "passphrase"
	headsFolder    = "heads"
	agenciesFolder = "agencies"
	demoFile       = "demo.json"
)

// patience is what a command waits for one write to Redis. Nobody waits for its answer as an asker does for a gateway's.
const patience = 5 * time.Second

// where says which journal and key ring a command works on. One way for all: a running server over its socket, a
// stopped folder, or Redis; the command does the same with each.
type where struct {
	data, redis, keys, passphrase string
	archived                      string // folder of the archive

	anyPolicy bool // open the desk also where the revision in force can't be loaded: for the commands that mend it
}

func (w *where) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&w.data, "data", os.Getenv("SCHAKEL_DATA"), "data folder of a running or stopped server ($SCHAKEL_DATA)")
	f.StringVar(&w.redis, "redis", os.Getenv("SCHAKEL_REDIS"),
		"redis://[user@]host:port[,host:port…]?shard=CODE[&master=NAME][&cluster=1][&tls=1][&replicas=N] ($SCHAKEL_REDIS); password in $SCHAKEL_REDIS_PASSWORD")
	f.StringVar(&w.keys, "keys", os.Getenv("SCHAKEL_KEYS"), "key ring file; default: keys.jwe in the data folder ($SCHAKEL_KEYS)")
	f.StringVar(&w.passphrase, "passphrase-file", os.Getenv("SCHAKEL_PASSPHRASE_FILE"),
		"file with the ring's passphrase; default: passphrase in the data folder, or $SCHAKEL_PASSPHRASE")
	f.StringVar(&w.archived, "archive", os.Getenv("SCHAKEL_ARCHIVE"),
		"folder with events that were moved out of the journal; default: archive in the data folder ($SCHAKEL_ARCHIVE)")
}

func dataFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "data", os.Getenv("SCHAKEL_DATA"), "data folder ($SCHAKEL_DATA)")
}

func jsonFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "json", false, "print JSON")
}

// readLine reads one line, such as a BSN that must not stand on a command line.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(in).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("standard input holds none")
		}
		return "", &exitError{exitUsage, fmt.Errorf("read BSN: %w", err)}
	}
	return line, nil
}

// openStore opens the journal, with the archive of its older events.
func (w *where) openStore(ctx context.Context, readOnly bool) (*archive.Store, error) {
	store, err := w.openJournal(ctx, readOnly)
	if err != nil {
		return nil, err
	}
	whole, err := overArchive(ctx, store, w.archiveFolder())
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return whole, nil
}

// overArchive reads a journal and the archive in a folder as one.
func overArchive(ctx context.Context, store journal.Store, folder string) (*archive.Store, error) {
	restored, err := backup.Name(ctx, store)
	return archive.NewStore(store, archive.OpenFolder(folderAfter(folder, restored))), err
}

// openJournal opens the journal alone.
func (w *where) openJournal(ctx context.Context, readOnly bool) (journal.Store, error) {
	if w.redis != "" {
		cfg, err := parseRedisURL(w.redis)
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		cfg.Timeout = patience
		store, err := redisstream.Open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	if w.data == "" {
		return nil, &exitError{exitUsage, errors.New("which Schakel? Name its data folder with --data (or $SCHAKEL_DATA), or its Redis with --redis")}
	}
	sock := filepath.Join(w.data, socketFile)
	if _, err := os.Stat(sock); err == nil {
		store, err := socket.Dial(sock)
		if err == nil {
			return store, nil
		}
	}
	path := filepath.Join(w.data, journalFile)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no journal in %s; is it the folder that `schakel demo` named?", w.data)
	}
	store, err := bolt.Open(bolt.Config{Path: path, ReadOnly: readOnly})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// parseRedisURL reads --redis. A password in it is refused: command lines can be read by every process.
func parseRedisURL(s string) (redisstream.Config, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "redis" || u.Host == "" {
		return redisstream.Config{}, errors.New("--redis is redis://host:port?shard=CODE")
	}
	if _, has := u.User.Password(); has {
		return redisstream.Config{}, errors.New("--redis must not hold the password: put it in $SCHAKEL_REDIS_PASSWORD")
	}
	q := u.Query()
	replicas, err := strconv.Atoi(cmp.Or(q.Get("replicas"), "0"))
	if err != nil {
		return redisstream.Config{}, errors.New("--redis: replicas is a number")
	}
	c := redisConfig{Addresses: strings.Split(u.Host, ","), Master: q.Get("master"), Cluster: q.Get("cluster") == "1",
		Username: u.User.Username(), TLS: q.Get("tls") == "1", WaitReplicas: replicas}
	if q.Get("shard") == "" {
		return redisstream.Config{}, errors.New("--redis: name the shard, …?shard=CODE")
	}
	return c.options(q.Get("shard"))
}

// openRing opens the key ring.
func (w *where) openRing() (*keys.Ring, error) {
	path := w.keys
	if path == "" {
		if w.data == "" {
			return nil, &exitError{exitUsage, errors.New("which key ring? Name it with --keys, or its folder with --data")}
		}
		path = filepath.Join(w.data, ringFile)
	}
	file := w.passphrase
	if file == "" && os.Getenv(keys.PassphraseVariable) == "" && w.data != "" {
		file = filepath.Join(w.data, passphraseFile)
	}
	passphrase, err := keys.Passphrase(file, os.Getenv)
	if err != nil {
		return nil, err
	}
	return keys.Load(keys.Config{Path: path, Passphrase: passphrase})
}

// desk is an opened journal, ring and register view: what a command that changes the register works at.
type desk struct {
	store    journal.Store
	ring     *keys.Ring
	vault    *keys.Vault
	register *register.Register
	decider  *decide.Decider
	catalog  atomic.Pointer[broker.Catalog] // of the revision in force; before there is one, of the shipped policy
	restored string                         // its name since it was put back from a backup last; "" where it never was
	unready  error                          // why the revision in force could not be loaded when it was opened
	explorer *workbench.Explorer
	proved   sync.Map // drafts that verifyProposal found true
	unnamed  sync.Map // by revision, what it does not name (decide.NotNamed); that never changes
}

func (w *where) openDesk(ctx context.Context, readOnly bool) (*desk, error) {
	store, err := w.openStore(ctx, readOnly)
	if err != nil {
		return nil, err
	}
	ring, err := w.openRing()
	if err == nil {
		var d *desk
		if d, err = newDesk(ctx, store, ring); err == nil {
			if err = d.unready; err == nil || w.anyPolicy {
				return d, nil
			}
		}
	}
	return nil, errors.Join(err, store.Close())
}

// newDesk reads the register and loads the policy revision in force. Where that can't be loaded, unready says why: a
// gateway then answers 503, and a command that needs it ends.
func newDesk(ctx context.Context, store journal.Store, ring *keys.Ring) (*desk, error) {
	d := &desk{store: store, ring: ring, vault: keys.NewVault(store, ring), decider: decide.New(decide.Config{}), explorer: workbench.NewExplorer()}
	var err error
	if d.restored, err = backup.Name(ctx, store); err != nil {
		return nil, err
	}
	d.register, err = register.Open(ctx, register.Config{
		Store: store, Vault: d.vault, Touch: ring.Touch, VerifyAgreement: verifyAgreement, VerifyStep: seal.VerifyPolicyStep, Catalog: d.catalog.Load,
	})
	if err != nil {
		return nil, err
	}
	d.unready = d.loadPolicy(ctx)
	return d, nil
}

// writerConfig is what every writer of this desk has in common.
func (d *desk) writerConfig(writer, dir string) audit.Config {
	log, _ := d.register.Log()
	return audit.Config{
		Store: d.store, Writer: writer, Log: log, Version: version(), Vault: d.vault, Pseudonym: d.ring.Pseudonym,
		View: d.register, HeadsDir: filepath.Join(dir, headsFolder), SignHead: d.signHead, VerifyHead: d.verifyHead,
	}
}

func (d *desk) signHead(h audit.Head) (string, error) {
	signer, err := d.ring.Signer(keys.Heads)
	if err != nil {
		return "", err
	}
	return seal.SignHead(signer, seal.Head(h))
}

func (d *desk) verifyHead(signature string) (audit.Head, error) {
	h, err := seal.VerifyHead(signature, d.ring.JWKS(keys.Heads))
	return audit.Head(h), err
}

// appender lets the register record its changes in a writer's stream.
func appender(w *audit.Writer) register.Appender {
	return func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
		outcome, err := w.Change(ctx, audit.Change{After: after, Entries: entries, Kind: kind, Staff: staff})
		if err != nil && !errors.Is(err, audit.ErrUnknown) {
			err = fmt.Errorf("%w: %w", register.ErrNotMade, err)
		}
		return outcome, err
	}
}

// adminWriter is the stream of commands. Each command claims it for as long as it takes.
const adminWriter = "admin"

// change makes register changes from the command line, as one administrator at a time.
func (w *where) change(ctx context.Context, commands ...register.Command) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return w.work(ctx, adminWriter, func(d *desk, a register.Appender) error {
		return d.register.DoAll(ctx, a, register.Operator{Name: operator()}, commands)
	})
}

// work claims the stream of a kind of commands, when it is its turn, for as long as do takes.
func (w *where) work(ctx context.Context, stream string, do func(*desk, register.Appender) error) error {
	return w.write(ctx, stream, func(d *desk, writer *audit.Writer) error { return do(d, appender(writer)) })
}

// write is work for what is no change of the register.
func (w *where) write(ctx context.Context, stream string, do func(*desk, *audit.Writer) error) error {
	release, err := w.turn(ctx, stream)
	if err != nil {
		return err
	}
	defer release()
	d, err := w.openDesk(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = d.store.Close() }()
	cfg := d.writerConfig(stream, w.data)
	if w.data == "" {
		cfg.HeadsDir = ""
	}
	writer, err := audit.Open(ctx, cfg)
	if err != nil {
		return err
	}
	err = do(d, writer)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(err, writer.Close(ctx))
}

// turn waits until no other command in this data folder works on the same stream: two at once would push each other out of
// it, which is safe but leaves one of them in doubt. Commands on other machines still can.
func (w *where) turn(ctx context.Context, stream string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := os.Stat(w.data); err != nil { // no folder: opening the journal says what to do
		return func() {}, nil
	}
	f, err := os.OpenFile(filepath.Join(w.data, stream+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("wait for other commands: %w", err)
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return func() { _ = f.Close() }, nil // which lets go of the lock
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(errors.New("another command of this kind changes the register, and does not end; try again"), f.Close())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// operator names who gives a command in the record of it: $SCHAKEL_OPERATOR, or the account.
func operator() string {
	return cmp.Or(os.Getenv("SCHAKEL_OPERATOR"), os.Getenv("USER"), "uid-"+strconv.Itoa(os.Getuid()))
}

// agencySigner reads the private key that an agency signs its tokens and agreements with.
func agencySigner(data, file string, oin broker.OIN) (keys.Signer, error) {
	if file == "" {
		if data == "" {
			return keys.Signer{}, &exitError{exitUsage, errors.New("which key? Name the agency's private key with --key, or the demo's folder with --data")}
		}
		file = filepath.Join(data, agenciesFolder, string(oin)+".jwk")
	}
	jwk, err := os.ReadFile(file)
	if err != nil {
		return keys.Signer{}, fmt.Errorf("read the key of agency %s: %w", oin, err)
	}
	return keys.ParseSigner(jwk)
}

func verifyAgreement(holder broker.Agency, a register.Agreement) error {
	jwks := make([]json.RawMessage, 0, len(holder.Keys))
	for _, k := range holder.Keys {
		jwks = append(jwks, k.JWK)
	}
	return seal.VerifyAgreement(a.Signature, a.Payload(), jwks)
}
