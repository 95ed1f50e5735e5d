package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/gateway"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// Kinds of gateway.
const (
	kindFloor  = "floor"       // decision and sources stubbed; all else real
	kindBroker = "broker"      // everything real, sources in memory
	kindHTTP   = "broker_http" // the same, sources over loopback HTTP
	kindCold   = "broker_cold" // as broker, every decision made by the engine
)

// nodeConfig is what a gateway process is told, as JSON in its argument.
type nodeConfig struct {
	Kind    string
	Redis   string
	Shard   string
	Writer  string
	Dir     string // of the key ring
	Holders string // where the holders answer, for broker_http
	Profile string // folder for a processor profile; "" makes none
}

// started is what a child process says once it answers.
type started struct {
	URL     string
	ReadyMs int64
	Heap    uint64 // bytes in use once it answers, garbage apart: the register, and some 10 MB of policy and program
}

func say(s started) error { return json.NewEncoder(os.Stdout).Encode(s) }

const passphrase = "alleen voor deze meting, en voor niets anders"

func ringConfig(dir string) keys.Config {
	return keys.Config{Path: filepath.Join(dir, "keys.jwe"), Passphrase: []byte(passphrase)}
}

func openStore(ctx context.Context, redis, shard string) (*redisstream.Store, error) {
	return redisstream.Open(ctx, redisstream.Config{Addrs: []string{redis}, Shard: shard, Timeout: 5 * time.Second})
}

func openRegister(ctx context.Context, store journal.Store, ring *keys.Ring, catalog *broker.Catalog) (*register.Register, *keys.Vault, error) {
	vault := keys.NewVault(store, ring)
	reg, err := register.Open(ctx, register.Config{Store: store, Vault: vault, Touch: ring.Touch,
		Catalog: func() *broker.Catalog { return catalog },
		VerifyAgreement: func(holder broker.Agency, a register.Agreement) error {
			var jwks []json.RawMessage
			for _, k := range holder.Keys {
				jwks = append(jwks, k.JWK)
			}
			return seal.VerifyAgreement(a.Signature, a.Payload(), jwks)
		}})
	return reg, vault, err
}

func openWriter(ctx context.Context, store journal.Store, ring *keys.Ring, reg *register.Register, vault *keys.Vault, writer, dir string) (*audit.Writer, error) {
	log, _ := reg.Log()
	return audit.Open(ctx, audit.Config{Store: store, Writer: writer, Log: log, Version: "bench", Vault: vault,
		Pseudonym: ring.Pseudonym, View: reg, HeadsDir: filepath.Join(dir, "heads", writer), Queue: 1 << 14,
		SignHead: func(h audit.Head) (string, error) {
			signer, err := ring.Signer(keys.Heads)
			if err != nil {
				return "", err
			}
			return seal.SignHead(signer, seal.Head(h))
		}})
}

// node is a gateway, wired as cmd/schakel wires one.
type node struct {
	store   *redisstream.Store
	decider *decide.Decider
	writer  *audit.Writer
	broker  *broker.Broker
	ring    *keys.Ring
	reg     *register.Register
	stop    context.CancelFunc
}

func newNode(ctx context.Context, c nodeConfig) (*node, error) {
	n := &node{}
	var err error
	if n.ring, err = keys.Load(ringConfig(c.Dir)); err != nil {
		return nil, err
	}
	if n.store, err = openStore(ctx, c.Redis, c.Shard); err != nil {
		return nil, err
	}
	if err := n.store.Check(ctx); err != nil {
		return nil, err
	}
	memo := 0
	if c.Kind == kindCold {
		memo = -1
	}
	n.decider = decide.New(decide.Config{Memo: memo})
	files := policies.Files()
	revision := policies.Revision(files)
	if err := n.decider.Load(ctx, revision, files); err != nil {
		return nil, err
	}
	catalog, err := n.decider.Catalog(revision)
	if err != nil {
		return nil, err
	}
	var vault *keys.Vault
	if n.reg, vault, err = openRegister(ctx, n.store, n.ring, catalog); err != nil {
		return nil, err
	}
	if n.writer, err = openWriter(ctx, n.store, n.ring, n.reg, vault, c.Writer, c.Dir); err != nil {
		return nil, err
	}
	ctx, n.stop = context.WithCancel(ctx)
	go func() { _ = n.reg.Follow(ctx) }()
	n.broker, err = n.newBroker(c, catalog)
	return n, err
}

func (n *node) newBroker(c nodeConfig, catalog *broker.Catalog) (*broker.Broker, error) {
	town, err := townOnly()
	if err != nil {
		return nil, err
	}
	var decider broker.Decider = n.decider
	var sources broker.Sources
	switch c.Kind {
	case kindFloor:
		all := &stub{Decider: n.decider}
		for _, f := range catalog.Fields {
			all.everything = append(all.everything, f.Path)
		}
		decider = all
		sources, err = stubSources(town, catalog)
	case kindHTTP:
		sources, err = httpSources(town, c.Holders)
	default:
		sources, err = memorySources(town)
	}
	if err != nil {
		return nil, err
	}
	opener, err := seal.NewOpener(seal.OpenerConfig{Agencies: n.reg.Agency, Audience: []string{audience}})
	if err != nil {
		return nil, err
	}
	sealer, err := seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return n.ring.Signer(keys.Answers) }})
	if err != nil {
		return nil, err
	}
	return broker.New(broker.Config{Opener: opener, Register: n.reg, Decider: decider, Sources: sources, Journal: n.writer, Sealer: sealer,
		Now: time.Now, NewID: newID, Rand: rand.Reader, Pseudonym: n.ring.RecipientPseudonym})
}

func (n *node) close(ctx context.Context) error {
	n.stop()
	return errors.Join(n.writer.Close(ctx), n.store.Close())
}

// headroom is what cmd/schakel claims for the garbage collector.
const headroom = 128 << 20

// serveNode runs a gateway until its input ends.
func serveNode(c nodeConfig) error {
	if c.Profile != "" {
		stop, err := profile(filepath.Join(c.Profile, c.Kind+"-"+c.Writer+".pprof"))
		if err != nil {
			return err
		}
		defer stop()
	}
	defer runtime.KeepAlive(make([]byte, headroom))
	began := time.Now()
	n, err := newNode(context.Background(), c)
	if err != nil {
		return err
	}
	// The log of requests is written as in production, and thrown away by the kernel.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	g, err := gateway.New(gateway.Config{Broker: n.broker, JWKS: func() []byte { return n.ring.JWKS(keys.Answers) },
		Ready: func(context.Context) error { return n.reg.Ready() }, Log: slog.New(slog.NewJSONHandler(null, nil)), Version: "bench"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := g.Server("")
	mux := http.NewServeMux()
	mux.Handle("/", server.Handler)
	mux.HandleFunc("GET /bench/counts", func(w http.ResponseWriter, _ *http.Request) {
		hits, misses := n.decider.Remembered()
		reply(w, counts{Mallocs: mallocs(), Hits: hits, Misses: misses})
	})
	server.Handler = mux
	go func() { _ = server.Serve(l) }() // ends when it is shut down
	ready := time.Since(began)
	if err := say(started{URL: "http://" + l.Addr().String(), ReadyMs: ready.Milliseconds(), Heap: heapInUse()}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	end, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	return errors.Join(server.Shutdown(end), n.close(end))
}

func profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// counts is what a gateway tells about itself between two windows.
type counts struct{ Mallocs, Hits, Misses uint64 }

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc - headroom
}

func newID() broker.RequestID { return broker.RequestID(uuid.Must(uuid.NewV7()).String()) }

// stub decides from a table that the engine filled once: by role, purpose, relation and kind of subject, for every field.
// What follows a decision is the same as with real ones, and deciding costs next to nothing.
type stub struct {
	*decide.Decider
	everything []broker.Field
	tables     sync.Map // stubKey to broker.Decision
}

type stubKey struct {
	agency   broker.AgencyKind
	role     broker.Role
	purpose  broker.Purpose
	relation broker.CaseRelation
	subject  broker.SubjectKind
}

// Decide implements broker.Decider.
func (s *stub) Decide(ctx context.Context, r broker.Revision, q broker.Query) (broker.Decision, error) {
	key := stubKey{q.Agency.Kind, q.Role, q.Purpose, q.Relation.Case, q.Subject.Kind}
	known, ok := s.tables.Load(key)
	if !ok {
		all := q
		all.Fields = s.everything
		d, err := s.Decider.Decide(ctx, r, all.Canonical())
		if err != nil {
			return d, err
		}
		known, _ = s.tables.LoadOrStore(key, d)
	}
	table := known.(broker.Decision)
	d := broker.Decision{Grants: map[broker.Field]broker.Grant{}, Refusals: map[broker.Field][]broker.Reason{}, Obligations: table.Obligations}
	for _, f := range q.Fields {
		if g, ok := table.Grants[f]; ok {
			d.Grants[f] = g
		} else {
			d.Refusals[f] = table.Refusals[f]
		}
	}
	return d, nil
}
